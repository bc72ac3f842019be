# S8: r1 crashes after its prepare is on disk and before it is sent; the primary after
# its proposal is. Restarted, they send the same again, and never another.

cluster n=4
submit c0 put a 1 to r0
deliver pre-prepare
queue prepare from r1
crash r1 unsent
drop prepare from r3
log r1
----
r1 -> r0: prepare 1 of view 0 [c0#1 put a 1]
r1 -> r2: prepare 1 of view 0 [c0#1 put a 1]
r1 -> r3: prepare 1 of view 0 [c0#1 put a 1]
prepare 1 of view 0 [c0#1 put a 1]

restart r1
pass 1s
log r1
state
----
r1: may vote
r0 r1 r2 r3: executes 1
prepare 1 of view 0 [c0#1 put a 1]
prepared 1 of view 0 [c0#1 put a 1]
r0 r1 r2 r3: view 0, executed 1, stable 0, voting

submit c0 put a 2 to r0
crash r0 unsent
queue
log r0
----
pre-prepare 1 of view 0 [c0#1 put a 1]
prepared 1 of view 0 [c0#1 put a 1]
pre-prepare 2 of view 0 [c0#2 put a 2]

restart r0
pass 2s
state
order
agree
----
r0: may vote
r0: executes 1-2
r1 r2 r3: executes 2
r0 r1 r2 r3: view 0, executed 2, stable 0, voting
1 [c0#1 put a 1]
2 [c0#2 put a 2]
2 entries executed alike
