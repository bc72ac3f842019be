# N4: votes for far-off views and numbers are dropped; what is held does not grow.

cluster n=4
liar r3
submit c0 put a 1 to r0
deliver
held r1
----
r0 r1 r2 r3: executes 1
r1: slots 1, prepared 1, decided 1, bodies 1, promises 2

repeat 100: lie r3 prepare #1 view=$i seq=1 to r1 ; lie r3 commit #1 view=0 seq=10$i to r1
deliver
held r1
rejects r1
----
r1: refuses WrongRole from r3, 25 times
r1: refuses AboveWindow from r3, 100 times
r1: slots 1, prepared 1, decided 1, bodies 1, promises 2
WrongRole 25
FutureView 75
AboveWindow 100
