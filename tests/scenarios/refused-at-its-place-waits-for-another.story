# K2, V13: a request that was refused where it was ordered waits for another place. A new view
# takes over the place where it was refused, and that is no reason not to propose it again.

cluster n=4 window=4 bundle=1
submit c0 put a 1 number=6 to r0
deliver
order
----
r0 r1 r2 r3: executes 1
1 [c0#6 put a 1]

lose all to r0
submit c0 put a 3 number=3 ack=2 to r1 r2 r3
submit c0 put a 1 number=6 ack=2 to r1 r2 r3
pass 5s
order
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r1 r2 r3: executes 2
1 [c0#6 put a 1]
2 [c0#3 put a 3, c0#6 put a 1]
r0: view 0, executed 1, stable 0, voting
r1 r2 r3: view 1, executed 2, stable 0, voting
