# V8: the opening of view 1 reaches r2 only. The others get it again from r2, who holds
# it, by status.

cluster n=4
mute r1 new-view to r0 r3
crash r0
submit c0 put a 1 to r1 r2 r3
pass 3s
state
order
----
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r1 r2 r3: executes 1
r0: down
r1 r2 r3: view 1, executed 1, stable 0, voting
1 [c0#1 put a 1]
