# V3, V4: r3 asks for a view with prepared certificates that have too few members, one
# member twice, prepares that it signed in others' names, or true signatures bound to
# another number or digest. Each is refused, and the true ones of the others are not
# masked.

cluster n=4
lose commit
submit c0 put a 1 to r0
deliver
batch B c0#1 put a 2
mute r3 view-change
lie r3 view-change view=1 prepared=1:few to r1
lie r3 view-change view=1 prepared=1:doubled to r1
lie r3 view-change view=1 prepared=1:forged to r1
lie r3 view-change view=1 prepared=1:moved to r1
lie r3 view-change view=1 prepared=1:other with=B to r1
deliver
----
r1: refuses BadSignature from r3, 3 times
r1: refuses BadCertificate from r3, 2 times

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
1 [c0#1 put a 1]
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
