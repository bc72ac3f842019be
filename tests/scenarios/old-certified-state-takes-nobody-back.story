# T2: an old certificate and old checkpoints, true as they are, come again, to replicas
# that run and to one that has just restarted. Nobody goes below what it executed.

cluster n=4
lose all to r3
repeat 10: submit c0 put a $i to r0 ; deliver
heal
pass 2s
repeat 10: submit c0 put b $i to r0 ; deliver
state
----
r0 r1 r2 r3: stable at 8
r3: fetches the state at 8
r3: has fetched the state at 8
r0 r1 r2 r3: stable at 16
r0 r1 r2: executes 1-20
r3: executes 9-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting

crash r3
restart r3
deliver
replay checkpoint
replay stable
deliver
pass 1s
state
agree
----
r3: may vote
r3: executes 17-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting
20 entries executed alike
