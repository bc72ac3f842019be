# N1: messages are delivered twice, and the last ones first. The order that comes of it
# is one order, and nothing executes twice.

cluster n=4
repeat 4: submit c0 put a $i to all ; submit c1 put b $i to all
repeat 12: reverse ; deliver pre-prepare count=5 ; deliver commit count=9 ; deliver prepare count=9 ; deliver relay count=6
duplicate
deliver
pass 2s
state
agree
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: executes 1-8
r0 r1 r2 r3: view 0, executed 8, stable 8, voting
8 entries executed alike
