# P5: one badly signed request within a good batch. Every honest replica refuses the
# whole; nothing of it is executed; the client that was kept waiting is served one view
# change later.

cluster n=4
mute r0 all
batch A forged=2 c0#1 put a 1 , c1#1 put b 1
submit c0 put a 1 to all
lie r0 pre-prepare A view=0 seq=1 to all
deliver
state
value b
----
r1 r2 r3: refuses ForgedRequest from r0
r0 r1 r2 r3: view 0, executed 0, stable 0, voting
r0 r1 r2 r3: nothing

# Nobody checks it again.

lie r0 pre-prepare A view=0 seq=1 to all
deliver
----
ok

pass 3s
state
order
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
1 [c0#1 put a 1]
