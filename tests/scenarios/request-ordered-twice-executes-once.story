# P12: the primary orders one request under two numbers, and one twice in a batch. The
# first executes; the second tells the kept reply; the third is refused whole.

cluster n=4
submit c0 put a 1 to r0
deliver
mute r0 pre-prepare
batch A c0#1 put a 1
lie r0 pre-prepare A view=0 seq=2 to all
deliver
order
replies c0 1
value a
----
r0 r1 r2 r3: executes 1-2
1 [c0#1 put a 1]
2 [c0#1 put a 1]
r0 r1 r2 r3: put at 1
accepted
r0 r1 r2 r3: 1 of 1

batch B c0#2 put a 2 , c0#2 put a 2
lie r0 pre-prepare B view=0 seq=3 to all
deliver
state
----
r1 r2 r3: refuses RepeatedItem from r0
r0 r1 r2 r3: view 0, executed 2, stable 0, voting
