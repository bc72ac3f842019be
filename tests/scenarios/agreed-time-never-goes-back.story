# P13, § Normal case: clocks that go back, within the tolerance, do not take the agreed
# time with them.

cluster n=4
submit c0 put a 1 to r0
deliver
time
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: agreed time 1000 ms at 1

clock r0 -5s
submit c0 put a 2 to r0
deliver
time
----
r0 r1 r2 r3: executes 2
r0 r1 r2 r3: agreed time 1000 ms at 2

clock r0 +0s
pass 1s
submit c0 put a 3 to r0
deliver
time
----
r0 r1 r2 r3: executes 3
r0 r1 r2 r3: agreed time 2000 ms at 3
