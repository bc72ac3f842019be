# V13: the primary falls just when number 8, a checkpoint, is decided by some, and no
# checkpoint is stable yet. The new view starts below it and nothing executes twice.

cluster n=4
repeat 7: submit c0 put a $i to r0 ; deliver
lose checkpoint
lose commit to r2 r3
submit c0 put a 8 to r0
deliver
state
----
r0 r1: executes 1-8
r2 r3: executes 1-7
r0 r1: view 0, executed 8, stable 0, voting
r2 r3: view 0, executed 7, stable 0, voting

crash r0
submit c1 put b 1 to r1 r2 r3
pass 1200ms
heal
pass 2s
order
state
agree
----
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r1 r2 r3: stable at 8
r1: executes 9
r2 r3: executes 8-9
1 [c0#1 put a 1]
2 [c0#2 put a 2]
3 [c0#3 put a 3]
4 [c0#4 put a 4]
5 [c0#5 put a 5]
6 [c0#6 put a 6]
7 [c0#7 put a 7]
8 [c0#8 put a 8]
9 [c1#1 put b 1]
r0: down
r1 r2 r3: view 1, executed 9, stable 8, voting
9 entries executed alike
