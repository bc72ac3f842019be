# P11: the primary orders everything, each time just before the others lose patience.
# Measured against how long agreement takes, that is far too slow, and it is replaced.

cluster n=4
liar r0
repeat 13: hold pre-prepare from r0 ; submit c0 put a $i to all ; pass 800ms ; release ; deliver
state
----
r0 r1 r2 r3: stable at 8
r1 r2 r3: asks for view 1: Slow
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1-13
r0 r1 r2 r3: view 1, executed 13, stable 8, voting

repeat 3: submit c0 put b $i to all ; pass 100ms
state
patience
agree
----
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: executes 14-16
r0 r1 r2 r3: view 1, executed 16, stable 16, voting
r0 r1 r2 r3: waits 1000 ms
16 entries executed alike
