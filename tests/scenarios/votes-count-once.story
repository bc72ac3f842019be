# B2: r3 sends its prepare and its commit a hundred times. With r1 and r2 silent that is
# one vote, and no quorum.

cluster n=4
crash r1 r2
liar r3
submit c0 put a 1 to r0
deliver
lie r3 prepare #1 view=0 seq=1 count=100 to r0
lie r3 commit #1 view=0 seq=1 count=100 to r0
deliver
state
rejects r0
held r0
----
r0 r3: view 0, executed 0, stable 0, voting
r1 r2: down
Duplicate 199
r0: slots 1, bodies 1, promises 1, waiting 1
