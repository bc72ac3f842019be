# V2: an entry is decided at r0 alone when r0 falls; r3, one of those who prepared it,
# hides that in its view-change. Quorums intersect: the new view chooses it all the
# same.

cluster n=4
lose commit to r1 r2 r3
submit c0 put a 1 to r0
deliver
state
----
r0: executes 1
r0: view 0, executed 1, stable 0, voting
r1 r2 r3: view 0, executed 0, stable 0, voting

crash r0
heal
mute r3 view-change
submit c1 put b 1 to r1 r2 r3
lose commit
pass 1100ms
heal
lie r3 view-change view=1 to all
deliver
queue
pass 1s
order
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r1 r2 r3: executes 1-2
1 [c0#1 put a 1]
2 [c1#1 put b 1]
r0: down
r1 r2 r3: view 1, executed 2, stable 0, voting
