# § Stable storage and recovery: view 1 was opened with a view-change of r2, which then lost
# its disk and recovered. r0, which never got the opening, executes r2's new life before it
# hears of view 1: the opening counts for it by a commit certificate of that view.

cluster n=7 k=4 l=8
partition r0 | r1 r2 r3 r4 r5 r6
submit c0 put a 1 to r1 r2 r3 r4 r5 r6
pass 1500ms
state
----
r1 r2 r3 r4 r5 r6: asks for view 1: NothingExecuted
r1 r2 r3 r4 r5 r6: enters view 1
r1 r2 r3 r4 r5 r6: executes 1
r0: view 0, executed 0, stable 0, voting
r1 r2 r3 r4 r5 r6: view 1, executed 1, stable 0, voting

crash r2
wipe r2
restart r2 --recover
pass 3s
state
----
r2: enters view 1
r1 r3 r4 r5 r6: stable at 4
r1 r3 r4 r5 r6: stable at 8
r1 r2 r3 r4 r5 r6: takes r2 for life 1
r1 r2 r3 r4 r5 r6: stable at 12
r2: fetches the state at 12
r2: has fetched the state at 12
r2: may vote
r2: refuses AboveWindow from r1, 9 times
r2: refuses AboveWindow from r3, 9 times
r2: refuses AboveWindow from r4, 9 times
r2: refuses AboveWindow from r5, 9 times
r2: refuses AboveWindow from r6, 9 times
r1 r3 r4 r5 r6: executes 2-12
r0: view 0, executed 0, stable 0, voting
r1 r2 r3 r4 r5 r6: view 1, executed 12, stable 12, voting

heal
lose new-view to r0
pass 3s
state
----
r0: fetches the state at 12
r0: takes r2 for life 1
r0: has fetched the state at 12
r0: stable at 12
r0: view 0, executed 12, stable 12, voting
r1 r2 r3 r4 r5 r6: view 1, executed 12, stable 12, voting

heal
pass 1s
state
log r0
----
r0: enters view 1
r0 r1 r2 r3 r4 r5 r6: view 1, executed 12, stable 12, voting
stable 12
checkpoint 12
stable 12
new-view 1, shown by a commit certificate
