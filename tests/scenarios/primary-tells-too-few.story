# P3: the primary proposes to one backup only, which cannot prepare it. The others know
# the request, their wait for it ends, and one view change later it is executed.

cluster n=4
mute r0 pre-prepare to r2 r3
submit c0 put a 1 to all
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

pass 3s
state
replies c0 1
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
r0 r1 r2 r3: put at 1
accepted
