# S10b: r1 holds a view-change that r6 sent before it lost its disk, and jumps over the
# beginning of r6's new life by fetching a state. For r1 too the old word is void: with it
# two liars are still no weak quorum.

cluster n=7 k=4 l=8
lose all to r6
submit c0 put a 1 to r6
pass 1500ms
submit c0 put a 1 number=1 to r0
deliver
state
----
r6: asks for view 1: NothingExecuted
r0 r1 r2 r3 r4 r5: executes 1
r0 r1 r2 r3 r4 r5: view 0, executed 1, stable 0, voting
r6: view 1 wanted, executed 0, stable 0, voting

heal
lose all to r1
crash r6
wipe r6
restart r6 --recover
pass 3s
state
----
r0 r2 r3 r4 r5 r6: stable at 4
r0 r2 r3 r4 r5 r6: stable at 8
r0 r2 r3 r4 r5 r6: takes r6 for life 1
r0 r2 r3 r4 r5 r6: stable at 12
r6: may vote
r0 r2 r3 r4 r5: executes 2-12
r6: executes 1-12
r0 r2 r3 r4 r5 r6: view 0, executed 12, stable 12, voting
r1: view 0, executed 1, stable 0, voting

heal
pass 2s
state
----
r1: fetches the state at 12
r1: takes r6 for life 1
r1: has fetched the state at 12
r1: stable at 12
r0 r1 r2 r3 r4 r5 r6: view 0, executed 12, stable 12, voting

lie r4 view-change view=1 to r1
lie r5 view-change view=1 to r1
deliver
state
held r1
----
r0 r1 r2 r3 r4 r5 r6: view 0, executed 12, stable 12, voting
r1: wishes 2, checkpoints 1
