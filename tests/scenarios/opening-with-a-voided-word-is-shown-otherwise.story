# § Stable storage and recovery: view 1 was opened with a view-change of r3, which then lost
# its disk and recovered. r0, cut off all the while, has executed r3's new life before it
# hears of view 1: the opening counts for it by a commit certificate of that view.

cluster n=4 k=4 l=8
lose new-view to r0
lose pre-prepare from r0
submit c0 put a 1 to r1 r2 r3
hold view-change from r0
pass 1500ms
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0: view 1 wanted, executed 1, stable 0, voting
r1 r2 r3: view 1, executed 1, stable 0, voting

repeat 3: submit c0 put b $i to r1 ; deliver
crash r3
wipe r3
restart r3 --recover
pass 5s
state
----
r0 r1 r2 r3: stable at 4
r3: enters view 1
r0 r3: fetches the state at 4
r0 r3: has fetched the state at 4
r0: asks for view 2: NewViewLate
r2: asks for view 2: NothingExecuted
r1 r2 r3: executes 2-4
r0 r2: view 2 wanted, executed 4, stable 4, voting
r1: view 1, executed 4, stable 4, voting
r3: view 1, executed 4, stable 4, recovering

heal
pass 2s
state
log r0
----
r0 r2: view 2 wanted, executed 4, stable 4, voting
r1: view 1, executed 4, stable 4, voting
r3: view 1, executed 4, stable 4, recovering
stable 4
view-change to 1, stable 0, prepared nothing
view-change to 2, stable 4, prepared nothing
