# S18: r2's disk takes for ever to save a state. It signs no checkpoint that it could not
# restore; the others' make the window move, and r2 follows when its disk does.

cluster n=4 k=4 l=8
hold-saves r2
repeat 14: submit c0 put a $i to r0 ; deliver
pass 2s
state
----
r0 r1 r3: stable at 4
r0 r1 r3: stable at 8
r0 r1 r3: stable at 12
r2: fetches the state at 12
r2: has fetched the state at 12
r2: refuses AboveWindow from r0, 55 times
r2: refuses AboveWindow from r1, 57 times
r2: refuses AboveWindow from r3, 55 times
r0 r1 r3: executes 1-14
r2: executes 1-8
r0 r1 r3: view 0, executed 14, stable 12, voting
r2: view 0, executed 12, stable 0, voting

release-saves r2
pass 2s
state
agree
----
r2: stable at 4
r2: stable at 8
r2: stable at 12
r2: executes 13-14
r0 r1 r2 r3: view 0, executed 14, stable 12, voting
14 entries executed alike
