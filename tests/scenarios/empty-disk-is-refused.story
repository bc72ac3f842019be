# § Stable storage and recovery: r3's disk is empty, and others have heard r3. Without
# the operator's word that the disk was lost, it does not vote again.

cluster n=4
repeat 3: submit c0 put a $i to r0 ; deliver
crash r3
wipe r3
restart r3
deliver
state
----
r3: finds that its disk went back in time
r0 r1 r2 r3: executes 1-3
r0 r1 r2: view 0, executed 3, stable 0, voting
r3: view 0, executed 0, stable 0, halted
