# P2, P3: the primary proposes nothing to r2 and r3. They ask r1 for it, whose prepare they
# see, though no status tells anybody; and the other batch that r3 had, and refused, convicts.

cluster n=4
lose status
mute r0 pre-prepare to r2 r3
submit c0 put a 1 to r0
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

pass 400ms
sent fetch to r1
state
----
r0 r1 r2 r3: executes 1
2 sent
r0 r1 r2 r3: view 0, executed 1, stable 0, voting

batch X c1#1 put b 1 , c1#1 put b 1
lie r0 pre-prepare X view=0 seq=2 to r3
submit c0 put a 2 to r0
deliver
rejects r3
pass 400ms
state
evidence
----
r0 r1 r2 r3: has evidence against r0: two pre-prepares
r3: refuses RepeatedItem from r0
r0 r1 r2 r3: executes 2
RepeatedItem 1
r1 r2 r3: asks for view 1: Convicted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: view 1, executed 2, stable 0, voting
r0 r1 r2 r3: r0 two pre-prepares
