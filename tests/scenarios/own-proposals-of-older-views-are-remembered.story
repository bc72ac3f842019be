# § Every start: r1 proposed in view 1 what that view had to begin with. View 2 follows,
# and r1's log is compacted below those numbers. When r1 restarts, r3 still shows it one
# of those proposals: its log knows it, and r1 does not take its disk for an old one.

cluster n=4 k=4 l=8
repeat 3: submit c0 put a $i to r0 ; deliver
lose commit
lose pre-prepare to r3
lose batch to r3
repeat 4: submit c0 put b $i to r0
deliver
crash r0
heal
lose commit
lose batch to r3
pass 1800ms
state
----
r1 r2: asks for view 1: NothingExecuted
r3: asks for view 1: Joined
r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1-3
r0: down
r1 r2 r3: view 1, executed 3, stable 0, voting

pass 2500ms
heal
pass 500ms
state
----
r2 r3: asks for view 2: NothingExecuted
r1: asks for view 2: Joined
r1 r2 r3: enters view 2
r1 r2 r3: stable at 4
r1 r2 r3: executes 4-7
r0: down
r1 r2 r3: view 2, executed 7, stable 4, voting

crash r1
restart r1
pass 500ms
state
----
r1: may vote
r1: executes 5-7
r0: down
r1 r2 r3: view 2, executed 7, stable 4, voting
