# V10, V11: r3 asked for view 1 while it heard nothing, and votes no more in view 0. When
# r1 falls its vote is needed: the others' waits end, and they meet it in a later view.

cluster n=4
lose all to r3
submit c0 put a 1 to r3 r0
pass 2s
heal
state
----
r3: asks for view 1: NothingExecuted
r0 r1 r2: executes 1
r0 r1 r2: view 0, executed 1, stable 0, voting
r3: view 1 wanted, executed 0, stable 0, voting

crash r1
submit c0 put a 2 to all
pass 5s
state
order
----
r2: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r3: asks for view 2: NewViewLate
r2: asks for view 2: Joined
r0 r2 r3: enters view 2
r0 r2: executes 2
r3: executes 1-2
r0 r2 r3: view 2, executed 2, stable 0, voting
r1: down
1 [c0#1 put a 1]
2 [c0#2 put a 2]
