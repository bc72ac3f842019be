# P6: a signature whose scalar is written otherwise, on which verifiers may differ. All
# honest replicas give the same verdict, in a batch as alone: it is refused.

cluster n=4
mute r0 all
batch A stretched=2 c0#1 put a 1 , c1#1 put b 1
lie r0 pre-prepare A view=0 seq=1 to all
deliver
state
----
r1 r2 r3: refuses ForgedRequest from r0
r0 r1 r2 r3: view 0, executed 0, stable 0, voting
