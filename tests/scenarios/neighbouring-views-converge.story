# V11: r0 and r1 are in view 1, r2 and r3 want view 2, and neither pair hears of the
# other's wishes. Once they hear each other they meet in one view.

cluster n=4
mute r0 pre-prepare
lose new-view to r2 r3
submit c0 put a 1 to r1 r2 r3
pass 1100ms
lose view-change
pass 2s
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1: enters view 1
r0: asks for view 2: NothingExecuted
r2 r3: asks for view 2: NewViewLate
r0 r2 r3: view 2 wanted, executed 0, stable 0, voting
r1: view 1, executed 0, stable 0, voting

heal
pass 5s
state
replies c0 1
----
r1: asks for view 2: Joined
r0 r1 r2 r3: enters view 2
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 2, executed 1, stable 0, voting
r0 r1 r2 r3: put at 1
accepted
