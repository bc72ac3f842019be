# B3: r3 casts votes in the names of r1 and r2, signed with its own key. They are
# refused; who is named is not accused, and its true vote still counts.

cluster n=4
crash r1 r2
liar r3
submit c0 put a 1 to r0
lie r3 prepare #1 view=0 seq=1 as=r1 to r0
lie r3 prepare #1 view=0 seq=1 as=r2 to r0
lie r3 commit #1 view=0 seq=1 as=r1 to r0
deliver
evidence
state
----
r0: refuses BadSignature from r3, 3 times
r0 r3: no evidence
r1 r2: down
r0 r3: view 0, executed 0, stable 0, voting
r1 r2: down

restart r1 r2
pass 2s
state
value a
----
r1 r2: may vote
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
r0 r1 r2 r3: 1 of 1
