# K5: the client knows one backup. It passes the request on to the primary, which orders
# it; no view changes. If the primary ignores it, one does.

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
submit c0 put a 2 to r2
pass 5s
state
replies c0 2
----
r2: asks for view 1: NothingExecuted
r0 r1 r3: view 0, executed 1, stable 0, voting
r2: view 1 wanted, executed 1, stable 0, voting
not accepted
