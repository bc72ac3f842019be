# P1, P5: the primary proposes to r1 and r2 only, and commits with neither. When r3 has seen
# their votes it is told something that no client signed. It asks r1 and r2 all the same, and
# the two proposals convict.

cluster n=4
lose status
mute r0 pre-prepare to r3
mute r0 commit
submit c0 put a 1 to r0
deliver
batch X forged=1 c1#1 put b 1
lie r0 pre-prepare X view=0 seq=1 to r3
deliver
pass 800ms
rejects r3
evidence
state
----
r0 r1 r2 r3: has evidence against r0: two pre-prepares
r1 r2 r3: asks for view 1: Convicted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r3: refuses ForgedRequest from r0
r0 r1 r2 r3: executes 1
ForgedRequest 1
r0 r1 r2 r3: r0 two pre-prepares
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
