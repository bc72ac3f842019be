# V11: r1 wants view 1, r2 wants view 2, r3 is cut off with its own wish for view 1, and r0
# is in view 0. Once they hear each other they meet in one view.

cluster n=4
hold view-change new-view
lose pre-prepare from r0
submit c0 put a 1 to r1 r2 r3
pass 1100ms
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: view 0, executed 0, stable 0, voting
r1 r2 r3: view 1 wanted, executed 0, stable 0, voting

heal
release
drop view-change to r0
drop view-change from r1
pass 5s
state
replies c0 1
----
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
r0 r1 r2 r3: put at 1
accepted
