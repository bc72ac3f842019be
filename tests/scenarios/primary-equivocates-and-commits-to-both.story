# P1, B1: seven replicas, two of them liars: the primary proposes two batches, and the
# other liar prepares and commits both. One batch at most is decided.

cluster n=7
mute r0 all
mute r6 all
batch A c0#1 put a 1
batch B c0#1 put a 2
lie r0 pre-prepare A view=0 seq=1 to r1 r2 r3
lie r0 pre-prepare B view=0 seq=1 to r4 r5
lie r6 prepare A view=0 seq=1 to all
lie r6 prepare B view=0 seq=1 to all
lie r0 commit A view=0 seq=1 to all
lie r0 commit B view=0 seq=1 to all
lie r6 commit A view=0 seq=1 to all
lie r6 commit B view=0 seq=1 to all
deliver
state
evidence
----
r0 r1 r2 r3 r4 r5 r6: has evidence against r6: two prepares
r0 r1 r2 r3 r4 r5 r6: has evidence against r0: two commits
r0 r1 r2 r3 r4 r5 r6: has evidence against r6: two commits
r6: has evidence against r0: two pre-prepares
r6: refuses Conflict from r1
r6: refuses Conflict from r2
r6: refuses Conflict from r3
r1 r2 r3: executes 1
r0 r4 r5 r6: view 0, executed 0, stable 0, voting
r1 r2 r3: view 0, executed 1, stable 0, voting
r0 r1 r2 r3 r4 r5: r0 two commits, r6 two commits, r6 two prepares
r6: r0 two commits, r0 two pre-prepares, r6 two commits, r6 two prepares

pass 3s
order
value a
state
----
r1 r2 r3 r4 r5 r6: asks for view 1: Convicted
r0: asks for view 1: Joined
r0 r1 r2 r3 r4 r5 r6: enters view 1
r4 r5: executes 1
1 [c0#1 put a 1]
r0 r6: nothing
r1 r2 r3 r4 r5: 1 of 1
r0 r6: view 1, executed 0, stable 0, voting
r1 r2 r3 r4 r5: view 1, executed 1, stable 0, voting
