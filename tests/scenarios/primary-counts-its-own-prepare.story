# V3: the primary proposed to r1 and r2 and no prepare got through. In its view-change it
# counts a prepare of its own beside its proposal. A proposal is its primary's only word,
# so this is no certificate; the view starts without it.

cluster n=4
mute r0 all
batch A c0#1 put a 1
lie r0 pre-prepare A view=0 seq=1 to r1 r2
deliver pre-prepare
lose prepare
deliver
lie r0 view-change view=1 prepared=1:primary to all
deliver
----
r1 r2 r3: refuses BadCertificate from r0

submit c1 put b 1 to r1 r2 r3
pass 1100ms
heal
pass 1s
order
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
1 [c0#1 put a 1, c1#1 put b 1]
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
