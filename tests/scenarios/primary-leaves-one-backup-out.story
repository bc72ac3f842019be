# P2: the primary never proposes anything to r3. r3 has its proposals from the others, and keeps
# up with them; no view change.

cluster n=4
mute r0 pre-prepare to r3
repeat 20: submit c0 put a $i to r0 ; deliver ; pass 100ms
state
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: executes 1-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting

pass 3s
state
agree
----
r0 r1 r2 r3: view 0, executed 20, stable 16, voting
20 entries executed alike
