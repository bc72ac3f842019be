# V9: seven replicas; the primaries of views 0 and 1 are dead. Waits double from view to
# view, and the third primary serves. The sum of f+1 doubled waits is the bound.

cluster n=7
crash r0 r1
submit c0 put a 1 to r2 r3 r4 r5 r6
pass 3500ms
state
patience
----
r2 r3 r4 r5 r6: asks for view 1: NothingExecuted
r2 r3 r4 r5 r6: asks for view 2: NewViewLate
r2 r3 r4 r5 r6: enters view 2
r2 r3 r4 r5 r6: executes 1
r0 r1: down
r2 r3 r4 r5 r6: view 2, executed 1, stable 0, voting
r0 r1: down
r2 r3 r4 r5 r6: waits 4000 ms
