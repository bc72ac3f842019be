# C1, S16: the state on r2's disk goes wrong while no certificate of it is known yet. At the
# next checkpoint r2 finds that it differs from what Q have, says so, and replaces it.

cluster n=4
lose checkpoint
repeat 8: submit c0 put a$i $i to r0 ; deliver
crash r2
corrupt r2 a3
restart r2
pass 1s
state
value a3
----
r2: may vote
r0 r1 r2 r3: executes 1-8
r0 r1 r2 r3: view 0, executed 8, stable 0, voting
r0 r1 r3: 3 of 3
r2: rot of 8

heal
repeat 8: submit c0 put b $i to r0 ; deliver
pass 2s
state
value a3
agree
----
r0 r1 r2 r3: stable at 16
r2: finds its state at 16 to be wrong
r2: fetches the state at 16
r2: has fetched the state at 16
r0 r1 r2 r3: executes 9-16
r0 r1 r2 r3: view 0, executed 16, stable 16, voting
r0 r1 r2 r3: 3 of 3
16 entries executed alike
