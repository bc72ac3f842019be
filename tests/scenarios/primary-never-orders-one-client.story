# P10: the primary orders every client's requests but those of c1. Each request has its
# own wait, which others' progress does not reset; one view change, and c1 is served.

cluster n=4 clients=2
liar r0
lose relay to r0
submit c1 put b 1 to r1 r2 r3
repeat 12: submit c0 put a $i to r0 ; pass 100ms
state
value b
----
r0 r1 r2 r3: stable at 8
r1 r2 r3: asks for view 1: Unfair
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1-13
r0 r1 r2 r3: view 1, executed 13, stable 8, voting
r0 r1 r2 r3: 1 of 11

heal
pass 500ms
state
replies c1 1
----
r0 r1 r2 r3: view 1, executed 13, stable 8, voting
r0 r1 r2 r3: put at 11
accepted
