# C1: r3 signs wrong digests of states. They count for themselves only, nothing becomes
# stable by them, and two different ones of one number convict it.

cluster n=4
mute r3 checkpoint
hold-saves r2
repeat 7: submit c0 put a $i to r0 ; deliver
lie r3 checkpoint seq=8 digest=one to all
submit c0 put a 8 to r0
deliver
state
----
r3: stable at 8
r0 r1 r2 r3: executes 1-8
r0 r1 r2: view 0, executed 8, stable 0, voting
r3: view 0, executed 8, stable 8, voting

lie r3 checkpoint seq=8 digest=two to r0 r1
deliver
release-saves r2
deliver
state
evidence
----
r0 r1 r2 r3: has evidence against r3: two checkpoints
r0 r1 r2: stable at 8
r0 r1 r2 r3: view 0, executed 8, stable 8, voting
r0 r1 r2 r3: r3 two checkpoints
