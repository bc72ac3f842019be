# P15: r3 gets the primary's word without the batch, and so cannot prepare. It learns
# from the others' commits that the entry is decided, and fetches the batch by its
# digest; no view change.

cluster n=4
batch A c0#1 put a 1
mute r0 pre-prepare
mute r0 batch decided
lie r0 pre-prepare A view=0 seq=1 to r1 r2
lie r0 pre-prepare A view=0 seq=1 bodiless to r3
lie r0 commit A view=0 seq=1 to all
deliver
pass 1s
state
value a
----
r3: refuses WrongDigest from r0
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
r0 r1 r2 r3: 1 of 1
