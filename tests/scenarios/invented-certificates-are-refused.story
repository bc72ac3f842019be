# V3, V4: r3 asks for a view with prepared certificates that have too few members, one
# member twice, the primary's own prepare counted, prepares that it signed in others'
# names, or true signatures bound to another number or digest. Each is refused, and the
# true ones of the others are not masked.

cluster n=4
lose commit
submit c0 put a 1 to r0
deliver
heal
batch B c0#1 put a 2
liar r3
mute r3 view-change
lie r3 view-change view=1 prepared=1:few to r1
lie r3 view-change view=1 prepared=1:doubled to r1
lie r3 view-change view=1 prepared=1:forged to r1
lie r3 view-change view=1 prepared=1:moved to r1
lie r3 view-change view=1 prepared=1:other with=B to r1
deliver
rejects r1
----
r1: refuses BadSignature from r3, 3 times
r1: refuses BadCertificate from r3, 2 times
BadSignature 3
BadCertificate 2
WrongNonce 1

# A view's own primary as the liar: its prepare beside its proposal is one voice.
liar r0
lie r0 view-change view=1 prepared=1:primary to r1
deliver
----
r1: refuses BadCertificate from r0

mute r0 all
submit c1 put b 1 to r1 r2 r3
lose commit
pass 1100ms
heal
pass 2s
order
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r3: asks for view 2: NewViewLate
r0 r3: view 2 wanted, executed 0, stable 0, voting
r1 r2: view 1 wanted, executed 0, stable 0, voting
