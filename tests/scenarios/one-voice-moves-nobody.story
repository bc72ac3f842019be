# V1, V10: r3 asks for view after view up to far-off ones. Nobody follows one voice, and
# one wish is kept of each sender.

cluster n=4
liar r3
repeat 50: lie r3 view-change view=$i to all
lie r3 view-change view=1000000 to all
deliver
submit c0 put a 1 to r0
deliver
state
held r1
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
r1: slots 1, prepared 1, decided 1, bodies 1, promises 2, wishes 1

# No message may name the last views there are.
lie r3 view-change view=18446744073709551615 to r1
deliver
----
r1: refuses OutOfRange from r3
