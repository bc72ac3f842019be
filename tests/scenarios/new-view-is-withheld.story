# V8: r1 opens view 1 to nobody, then the same with one that gets it and the rest not.
# The wait for the opening ends, and view 2 serves the client.

cluster n=4
mute r1 new-view
crash r0
submit c0 put a 1 to r1 r2 r3
pass 5s
state
order
patience
----
r1 r2 r3: asks for view 1: NothingExecuted
r1: enters view 1
r2 r3: asks for view 2: NewViewLate
r1: asks for view 2: Joined
r1 r2 r3: enters view 2
r1 r2 r3: executes 1
r0: down
r1 r2 r3: view 2, executed 1, stable 0, voting
1 [c0#1 put a 1]
r0: down
r1 r2 r3: waits 4000 ms
