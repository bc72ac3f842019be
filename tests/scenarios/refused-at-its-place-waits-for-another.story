# K2, V13: a request that was refused where it was ordered waits for another place. A new view
# takes over the place where it was refused, and that is no reason not to propose it again.

cluster n=4 window=4 bundle=1
submit c0 put a 1 number=6 to r0
deliver
order
----

lose all to r0
submit c0 put a 3 number=3 ack=2 to r1 r2 r3
submit c0 put a 1 number=6 ack=2 to r1 r2 r3
pass 5s
order
state
----
