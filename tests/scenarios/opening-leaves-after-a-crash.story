# S8: r1 opens view 1 and is killed when that is on its disk and not sent. Restarted it
# sends the same opening, and no other.

cluster n=4
mute r0 pre-prepare
submit c0 put a 1 to r1 r2 r3
hold view-change to r1
pass 1100ms
release
deliver view-change to r1
queue new-view
crash r1 unsent
log r1
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r1: enters view 1
r1 -> r0: new-view 1 by r1 r2 r3 with nothing
r1 -> r2: new-view 1 by r1 r2 r3 with nothing
r1 -> r3: new-view 1 by r1 r2 r3 with nothing
view-change to 1, stable 0, prepared nothing
new-view 1
pre-prepare 1 of view 1 [c0#1 put a 1]

restart r1
pass 500ms
state
order
----
r1: may vote
r0 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
1 [c0#1 put a 1]
