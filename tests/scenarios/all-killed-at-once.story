# S13: all are killed at once, again and again, with requests under way. Not one write
# that a client was told of is lost.

cluster n=4
repeat 3: submit c0 put a$i $i to all ; deliver
submit c1 put b 1 to all
deliver pre-prepare
deliver prepare
crash all
restart all
pass 2s
state
replies c1 1
----
r0 r1 r2 r3: may vote
r0 r1 r2 r3: executes 1-3 1-4
r0 r1 r2 r3: view 0, executed 4, stable 0, voting
r0 r1 r2 r3: put at 4
accepted

repeat 6: submit c0 put c$i $i to all ; deliver pre-prepare ; crash all ; restart all ; pass 1s
state
order
value c6
agree
----
r0 r1 r2 r3: may vote
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: executes 1-5 1-6 1-7 1-9 9-10
r0 r1 r2 r3: view 0, executed 10, stable 8, voting
1 [c0#1 put a1 1]
2 [c0#2 put a2 2]
3 [c0#3 put a3 3]
4 [c1#1 put b 1]
5 [c0#4 put c1 1]
6 [c0#5 put c2 2]
7 [c0#6 put c3 3]
8 [c0#7 put c4 4]
9 [c0#8 put c5 5]
10 [c0#9 put c6 6]
r0 r1 r2 r3: 6 of 10
10 entries executed alike
