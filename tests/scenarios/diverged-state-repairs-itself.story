# C1, S3, S16: the state on r2's disk has rotted in a way that no checksum caught. At the
# next checkpoint r2 finds that it differs from what Q have, says so, and replaces it.

cluster n=4
repeat 9: submit c0 put a$i $i to r0 ; deliver
crash r2
corrupt r2 a3
restart r2
deliver
state
value a3
----
r0 r1 r2 r3: stable at 8
r2: may vote
r0 r1 r2 r3: executes 1-9
r0 r1 r3: view 0, executed 9, stable 8, voting
r2: view 0, executed 8, stable 8, voting
r0 r1 r3: 3 of 3
r2: rot of 8

repeat 8: submit c0 put b $i to r0 ; deliver
pass 2s
state
value a3
agree
----
r0 r1 r2 r3: stable at 16
r2: fetches the state at 16
r2: has fetched the state at 16
r0 r1 r3: executes 10-17
r2: executes 17
r0 r1 r2 r3: view 0, executed 17, stable 16, voting
r0 r1 r2 r3: 3 of 3
17 entries executed alike
