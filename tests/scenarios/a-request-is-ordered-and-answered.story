# The normal case: a lone request leaves the primary at once, all four prepare and
# commit, execute it, and tell the client the same.

cluster n=4
submit c0 put a 1 to r0
queue
----
r0 -> r1: pre-prepare 1 of view 0 [c0#1 put a 1]
r0 -> r2: pre-prepare 1 of view 0 [c0#1 put a 1]
r0 -> r3: pre-prepare 1 of view 0 [c0#1 put a 1]

deliver
replies c0 1
state
log r1
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: put at 1
accepted
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
prepare 1 of view 0 [c0#1 put a 1]
prepared 1 of view 0 [c0#1 put a 1]
