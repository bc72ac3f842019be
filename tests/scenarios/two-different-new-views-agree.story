# V7: the primary of view 1 opens it for r2 from one quorum of view-changes, and for r3
# from another. Both are true, and so, by the intersection of quorums, lead to the same
# decisions; who holds both has evidence.

cluster n=4
lose commit
submit c0 put a 1 to r0
deliver
heal
mute r1 new-view
mute r0 pre-prepare
submit c1 put b 1 to r1 r2 r3
lose commit
pass 1100ms
heal
lie r1 new-view view=1 from r0 r1 r2 to r2
lie r1 new-view view=1 from r1 r2 r3 to r3
deliver
state
evidence
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r1 r2 r3: enters view 1
r1 r2 r3: executes 1
r0: view 1 wanted, executed 0, stable 0, voting
r1 r2 r3: view 1, executed 1, stable 0, voting
r0 r1 r2 r3: no evidence

pass 10s
order
state
evidence
----
r0: enters view 1
r0 r1 r2 r3: has evidence against r1: two new-views
r0 r2 r3: asks for view 2: Convicted
r1: asks for view 2: Joined
r0 r1 r2 r3: enters view 2
r0: executes 1-2
r1 r2 r3: executes 2
1 [c0#1 put a 1]
2 [c1#1 put b 1]
r0 r1 r2 r3: view 2, executed 2, stable 0, voting
r0 r1 r2 r3: r1 two new-views
