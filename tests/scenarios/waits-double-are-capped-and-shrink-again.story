# § View change: with no quorum, nobody opens a view, and waits for views do not even
# start. With a quorum and no primary that serves, they double up to the cap. Only what
# executes for those who waited shrinks them again, step by step.

cluster n=4 patience=1s cap=4s
liar r1
lose new-view
crash r0
submit c0 put a 1 to r1 r2 r3
pass 2s
patience
----
r1 r2 r3: asks for view 1: NothingExecuted
r1: enters view 1
r0: down
r1 r2 r3: waits 2000 ms

pass 20s
patience
----
r2 r3: asks for view 2: NewViewLate
r1: asks for view 2: Joined
r2: enters view 2
r1 r3: asks for view 3: NewViewLate
r2: asks for view 3: Joined
r3: enters view 3
r1 r2: asks for view 4: NewViewLate
r3: asks for view 4: Joined
r1 r2 r3: asks for view 5: NewViewLate
r1: enters view 5
r2 r3: asks for view 6: NewViewLate
r1: asks for view 6: Joined
r2: enters view 6
r0: down
r1 r2 r3: waits 4000 ms

heal
pass 5s
patience
state
----
r1 r3: enters view 6
r1 r2 r3: executes 1
r0: down
r1 r2 r3: waits 2000 ms
r0: down
r1 r2 r3: view 6, executed 1, stable 0, voting

repeat 10: submit c1 put b $i to all ; pass 3s
patience
----
r1 r2 r3: stable at 8
r1 r2 r3: executes 2-11
r0: down
r1 r2 r3: waits 1000 ms
