# S10b: r3 asked for view 1 before it lost its disk, and a liar kept that. After the
# recovery the old view-change is void: it neither counts for a view nor opens one.

cluster n=4 k=4 l=8
one-way r0 r1 r2 -> r3
hold view-change from r3
submit c0 put a 1 to all
pass 1500ms
state
----
r3: asks for view 1: NothingExecuted
r0 r1 r2: executes 1
r0 r1 r2: view 0, executed 1, stable 0, voting
r3: view 1 wanted, executed 0, stable 0, voting

heal
crash r3
wipe r3
restart r3 --recover
pass 5s
state
----
r0 r1 r2 r3: stable at 4
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: takes r3 for life 1
r0 r1 r2 r3: stable at 12
r3: may vote
r0 r1 r2: executes 2-12
r3: executes 1-12
r0 r1 r2 r3: view 0, executed 12, stable 12, voting

release
deliver
liar r2
replay view-change from r3
lie r2 view-change view=1 to all
deliver
rejects r0
state
agree
----
r0 r1 r2: refuses WrongIncarnation from r3, 2 times
Duplicate 3
WrongIncarnation 2
Acknowledged 5
r0 r1 r2 r3: view 0, executed 12, stable 12, voting
12 entries executed alike
