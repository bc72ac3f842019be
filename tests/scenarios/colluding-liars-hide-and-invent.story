# V2, V3, V6: seven replicas. An entry is decided at r3 alone. The primary and r1 lie
# together: they hide the entry in their view-changes, and r1 opens view 1 with null in its
# place. The opening is refused and view 2 keeps the entry.

cluster n=7
lose commit decided to r0 r1 r2 r4 r5 r6
submit c0 put a 1 to r0
deliver
heal
lose commit decided
mute r0 all
mute r1 all
submit c1 put b 1 to r2 r3 r4 r5 r6
pass 1100ms
lie r0 view-change view=1 to all
lie r1 view-change view=1 to all
deliver
state
----
r1 r2 r3 r4 r5 r6: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r1: enters view 1
r3: executes 1
r0 r2 r4 r5 r6: view 1 wanted, executed 0, stable 0, voting
r1: view 1, executed 0, stable 0, voting
r3: view 1 wanted, executed 1, stable 0, voting

lie r1 new-view view=1 how=null from r0 r1 r2 r4 r5 to all
deliver
state
----
r0 r2 r3 r4 r5 r6: refuses BadNewView from r1
r0 r2 r4 r5 r6: view 1 wanted, executed 0, stable 0, voting
r1: view 1, executed 0, stable 0, voting
r3: view 1 wanted, executed 1, stable 0, voting

heal
pass 5s
order
state
----
r0 r2 r3 r4 r5 r6: asks for view 2: NewViewLate
r1: asks for view 2: Joined
r0 r1 r2 r3 r4 r5 r6: enters view 2
r0 r1 r2 r4 r5 r6: executes 1-2
r3: executes 2
1 [c0#1 put a 1]
2 [c1#1 put b 1]
r0 r1 r2 r3 r4 r5 r6: view 2, executed 2, stable 0, voting
