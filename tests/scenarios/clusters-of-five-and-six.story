# § Model: with five and with six replicas one may be faulty, and quorums are of four. Three
# of five decide nothing.

cluster n=5
submit c0 put a 1 to r0
deliver
crash r0
submit c0 put a 2 to r1 r2 r3 r4
pass 3s
state
----
r1 r2 r3 r4: asks for view 1: NothingExecuted
r1 r2 r3 r4: enters view 1
r0: executes 1
r1 r2 r3 r4: executes 1-2
r0: down
r1 r2 r3 r4: view 1, executed 2, stable 0, voting

crash r4
submit c0 put a 3 to r1 r2 r3
pass 3s
state
agree
----
r2 r3: asks for view 2: NothingExecuted
r1: asks for view 2: Joined
r0 r4: down
r1 r2 r3: view 2 wanted, executed 2, stable 0, voting
2 entries executed alike

cluster n=6
crash r0
submit c1 put a 1 to r1 r2 r3 r4 r5
pass 3s
state
agree
----
r1 r2 r3 r4 r5: asks for view 1: NothingExecuted
r1 r2 r3 r4 r5: enters view 1
r1 r2 r3 r4 r5: executes 1
r0: down
r1 r2 r3 r4 r5: view 1, executed 1, stable 0, voting
1 entries executed alike
