# B5: one backup is silent from the start, wholly or after its prepare. Nobody waits for
# it and no view changes.

cluster n=4
mute r3 commit checkpoint
repeat 5: submit c0 put a $i to r0 ; pass 200ms
state
----
r0 r1 r2 r3: executes 1-5
r0 r1 r2 r3: view 0, executed 5, stable 0, voting

crash r3
repeat 5: submit c0 put b $i to r0 ; pass 200ms
state
agree
----
r0 r1 r2: stable at 8
r0 r1 r2: executes 6-10
r0 r1 r2: view 0, executed 10, stable 8, voting
r3: down
10 entries executed alike
