# T6: r3 asks for entries two thousand times. Past its quota it gets no answers until the
# interval ends; others are served as ever.

cluster n=4
repeat 4: submit c0 put a $i to r0 ; deliver
liar r3
lie r3 fetch seq=1 count=2000 to r1
deliver
rejects r1
----
r1: refuses OverQuota from r3, 977 times
r0 r1 r2 r3: executes 1-4
OverQuota 977

submit c0 put b 1 to r0
pass 1s
state
----
r0 r1 r2 r3: executes 5
r0 r1 r2 r3: view 0, executed 5, stable 0, voting
