# § Stable storage and recovery: r2 and r3 have asked for view 1 and are killed with r1 before
# it is opened. Restarted they still want it, and vote no more in view 0.

cluster n=4
lose new-view
mute r0 pre-prepare
submit c0 put a 1 to r2 r3
hold view-change
pass 1100ms
crash r1 r2 r3
log r2
----
r2 r3: asks for view 1: NothingExecuted
view-change to 1, stable 0, prepared nothing

restart r1 r2 r3
deliver
state
----
r1 r2 r3: may vote
r0 r1: view 0, executed 0, stable 0, voting
r2 r3: view 1 wanted, executed 0, stable 0, voting

release
heal
submit c0 put a 1 number=1 to all
pass 5s
state
order
----
r0 r1: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
1 [c0#1 put a 1]
