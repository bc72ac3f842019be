# B6: replicas that asked for view 1 vote no more in view 0, whatever its primary
# sends; a replica that votes in both views at a time moves nothing.

cluster n=4
liar r0
mute r0 pre-prepare
hold view-change
submit c0 put a 1 to r1 r2 r3
pass 1100ms
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: view 0, executed 0, stable 0, voting
r1 r2 r3: view 1 wanted, executed 0, stable 0, voting

batch A c0#1 put a 1
lie r0 pre-prepare A view=0 seq=1 to all
lie r0 commit A view=0 seq=1 to all
deliver
queue prepare
rejects r2
state
----
OldView 2
r0: view 0, executed 0, stable 0, voting
r1 r2 r3: view 1 wanted, executed 0, stable 0, voting

release
pass 1s
state
order
----
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
1 [c0#1 put a 1]
