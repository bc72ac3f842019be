# § Stable storage and recovery: the primary of view 0 lost its disk. It asks for its next
# incarnation and proposes nothing; one view change, and its wish is ordered.

cluster n=4 k=4 l=8
repeat 3: submit c0 put a $i to r0 ; deliver
crash r0
wipe r0
restart r0 --recover
pass 5s
state
agree
----
r1 r2 r3: asks for view 1: NothingExecuted
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: stable at 4
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: takes r0 for life 1
r0 r1 r2 r3: stable at 12
r0: may vote
r0: executes 1-3 1-12
r1 r2 r3: executes 1-12
r0 r1 r2 r3: view 1, executed 12, stable 12, voting
12 entries executed alike
