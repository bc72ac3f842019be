# P13: a primary proposes times an hour ahead and an hour back. Backups refuse; the
# next view orders the request at a time that their clocks support.

cluster n=4
mute r0 all
submit c0 put a 1 to r1 r2 r3
batch A time=+1h c0#1 put a 1
batch B time=-1h c0#1 put a 1
lie r0 pre-prepare A view=0 seq=1 to all
lie r0 pre-prepare B view=0 seq=2 to all
deliver
state
----
r1 r2 r3: refuses BadTime from r0, 2 times
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

pass 3s
state
time
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
r0 r1 r2 r3: agreed time 2000 ms at 1
