# K4: a client that uses the last number there is harms nobody but itself.

cluster n=4
submit c0 put a 1 number=18446744073709551615 to all
deliver
submit c1 put b 1 to r0
deliver
state
value b
----
r0 r1 r2 r3: refuses BeyondWindow from a client
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
r0 r1 r2 r3: 1 of 1

submit c2 put a 1 + put b 1 number=18446744073709551615 to r0
deliver
----
r0: refuses OutOfRange from a client
