# § Checkpoints and garbage: with two disks that save nothing no checkpoint is stable, and
# the window fills: nothing is numbered beyond it. It goes on when one of them is done.

cluster n=4 k=4 l=8
hold-saves r2
hold-saves r3
repeat 10: submit c0 put a $i to r0 ; deliver
state
----
r0 r1 r2 r3: executes 1-8
r0 r1 r2 r3: view 0, executed 8, stable 0, voting

release-saves r3
pass 1s
state
agree
----
r0 r1 r3: stable at 4
r0 r1 r3: stable at 8
r2: refuses AboveWindow from r0, 13 times
r2: refuses AboveWindow from r1, 13 times
r2: refuses AboveWindow from r3, 12 times
r0 r1 r3: executes 9
r0 r1 r3: view 0, executed 9, stable 8, voting
r2: view 0, executed 8, stable 0, voting
9 entries executed alike
