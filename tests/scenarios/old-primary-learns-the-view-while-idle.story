# V12: r0 is cut off, the others go on in view 1. When it is back nobody submits
# anything; from status alone it learns the view and what was decided, in two periods.

cluster n=4
partition r0 | r1 r2 r3
submit c0 put a 1 to r1 r2 r3
pass 3s
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r1 r2 r3: executes 1
r0: view 0, executed 0, stable 0, voting
r1 r2 r3: view 1, executed 1, stable 0, voting

heal
pass 2s
state
agree
----
r0: enters view 1
r0: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
1 entries executed alike
