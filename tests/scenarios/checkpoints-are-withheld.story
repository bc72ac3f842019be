# C2: r3 withholds its checkpoints; the window moves without them.

cluster n=4 k=4 l=8
mute r3 checkpoint
repeat 20: submit c0 put a $i to r0 ; deliver
state
----
r0 r1 r2 r3: stable at 4
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: stable at 12
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: stable at 20
r0 r1 r2 r3: executes 1-20
r0 r1 r2 r3: view 0, executed 20, stable 20, voting
