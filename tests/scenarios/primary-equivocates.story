# P1: the primary proposes one batch to r1 and another to r2 and r3, under one number.
# One of them at most is decided, both signatures are kept as evidence, and at most one
# view change follows.

cluster n=4
mute r0 all
batch A c0#1 put a 1
batch B c0#1 put a 2
lie r0 pre-prepare A view=0 seq=1 to r1
lie r0 pre-prepare B view=0 seq=1 to r2 r3
deliver
evidence
state
----
r0 r1 r2 r3: has evidence against r0: two pre-prepares
r1: refuses Conflict from r2
r1: refuses Conflict from r3
r2: refuses Conflict from r1
r0 r1 r2 r3: r0 two pre-prepares
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

# The liar commits to neither, and what was prepared survives the view change.
pass 3s
order
value a
state
----
r1 r2 r3: asks for view 1: Convicted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r1 r2 r3: executes 1
1 [c0#1 put a 2]
r0: nothing
r1 r2 r3: 2 of 1
r0: view 1, executed 0, stable 0, voting
r1 r2 r3: view 1, executed 1, stable 0, voting
