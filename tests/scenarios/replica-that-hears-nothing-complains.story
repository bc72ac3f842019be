# V10: r3 can send and not receive. It suspects the primary and complains for ever; no
# view changes. When it hears again it still gets everything that is decided.

cluster n=4
lose all to r3
submit c0 put a 1 to r3
deliver
pass 10s
repeat 5: submit c1 put b $i to r0 ; pass 200ms
state
----
r3: asks for view 1: NothingExecuted
r0 r1 r2: executes 1-6
r0 r1 r2: view 0, executed 6, stable 0, voting
r3: view 1 wanted, executed 0, stable 0, voting

heal
pass 2s
state
value b
----
r3: executes 1-6
r0 r1 r2: view 0, executed 6, stable 0, voting
r3: view 1 wanted, executed 6, stable 0, voting
r0 r1 r2 r3: 5 of 6
