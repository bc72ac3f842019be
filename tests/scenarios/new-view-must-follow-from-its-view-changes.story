# V6, V7: r1, primary of view 1, opens it otherwise than the view-changes demand: null
# in the place of what was prepared, another batch, one too many, none; or with too few
# view-changes, one twice, or those of an older view. All recompute it and refuse; view
# 2 follows, and keeps what was prepared.

cluster n=4
lose commit
submit c0 put a 1 to r0
deliver
crash r0
mute r1 new-view
submit c1 put b 1 to r1 r2 r3
pass 1100ms
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r1: enters view 1
r0: down
r1: view 1, executed 0, stable 0, voting
r2 r3: view 1 wanted, executed 0, stable 0, voting

batch B c0#1 put a 2
lie r1 new-view view=1 how=null from r1 r2 r3 to r2 r3
lie r1 new-view view=1 how=other with=B from r1 r2 r3 to r2 r3
lie r1 new-view view=1 how=more with=B from r1 r2 r3 to r2 r3
lie r1 new-view view=1 how=short from r1 r2 r3 to r2 r3
lie r1 new-view view=1 how=few from r1 r2 r3 to r2 r3
lie r1 new-view view=1 how=doubled from r1 r2 r3 to r2 r3
lie r1 new-view view=5 of=1 from r1 r2 r3 to r2 r3
deliver
state
----
r2 r3: refuses BadNewView from r1, 7 times
r0: down
r1: view 1, executed 0, stable 0, voting
r2 r3: view 1 wanted, executed 0, stable 0, voting

heal
pass 5s
order
state
----
r2 r3: asks for view 2: NewViewLate
r1: asks for view 2: Joined
r1 r2 r3: enters view 2
r1 r2 r3: executes 1-2
1 [c0#1 put a 1]
2 [c1#1 put b 1]
r0: down
r1 r2 r3: view 2, executed 2, stable 0, voting
