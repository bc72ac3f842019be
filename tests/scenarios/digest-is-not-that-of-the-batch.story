# P4: the primary sends a batch beside the digest of another. Backups recompute it and
# refuse; nothing is executed, and the proposal with its own batch is still welcome.

cluster n=4
mute r0 all
batch A c0#1 put a 1
batch B c0#1 put a 2
lie r0 pre-prepare A view=0 seq=1 with=B to all
deliver
state
----
r1 r2 r3: refuses WrongDigest from r0
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

lie r0 pre-prepare A view=0 seq=1 to all
deliver
state
----
r1 r2 r3: executes 1
r0: view 0, executed 0, stable 0, voting
r1 r2 r3: view 0, executed 1, stable 0, voting
