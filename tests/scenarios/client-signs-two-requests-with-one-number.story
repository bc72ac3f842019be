# K3: a client gives one number to two requests and tells them to different replicas.
# What is ordered first wins everywhere; every wait for that number ends, and no view
# changes.

cluster n=4
submit c0 put a 1 number=1 to r0 r1
submit c0 put a 2 number=1 to r2
submit c0 put a 3 number=1 to r3
deliver
pass 5s
order
value a
replies c0 1
state
----
r0 r1 r2 r3: executes 1
1 [c0#1 put a 1]
r0 r1 r2 r3: 1 of 1
r0 r1 r2 r3: put at 1
accepted
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
