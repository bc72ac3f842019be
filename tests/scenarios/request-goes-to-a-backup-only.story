# K5: the client knows one backup. It passes the request on to the primary, which orders
# it; no view changes. If the primary ignores it, that backup's voice alone moves nobody;
# the client asks all, and one view change serves it.

cluster n=4
submit c0 put a 1 to r2
queue
----
r2 -> r0: relay [c0#1 put a 1]

deliver
replies c0 1
state
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: put at 1
accepted
r0 r1 r2 r3: view 0, executed 1, stable 0, voting

liar r0
lose relay to r0
submit c0 put a 2 number=2 to r2
pass 2s
state
----
r2: asks for view 1: NothingExecuted
r0 r1 r3: view 0, executed 1, stable 0, voting
r2: view 1 wanted, executed 1, stable 0, voting

submit c0 put a 2 number=2 to r1 r2 r3
pass 3s
state
replies c0 2
----
r1 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 2
r0 r1 r2 r3: view 1, executed 2, stable 0, voting
r0 r1 r2 r3: put over what 1 wrote at 2
accepted
