# P2: the primary never proposes anything to r3. r3 fetches what was decided with its
# certificates and stays close to the others; no view change.

cluster n=4
mute r0 pre-prepare to r3
repeat 20: submit c0 put a $i to r0 ; deliver ; pass 100ms
state
----
r0 r1 r2 r3: stable at 8
r3: fetches the state at 8
r3: has fetched the state at 8
r0 r1 r2: stable at 16
r0 r1 r2: executes 1-20
r3: executes 1-7 9-15
r0 r1 r2: view 0, executed 20, stable 16, voting
r3: view 0, executed 15, stable 8, voting

pass 3s
state
agree
----
r3: fetches the state at 16
r3: has fetched the state at 16
r3: stable at 16
r3: executes 17-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting
20 entries executed alike
