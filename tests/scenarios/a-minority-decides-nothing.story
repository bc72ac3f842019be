# N2: a partition in halves, and one of one against three. Halves decide nothing; three
# go on; when it heals all agree.

cluster n=4
partition r0 r1 | r2 r3
submit c0 put a 1 to all
pass 5s
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: view 0, executed 0, stable 0, voting
r1 r2 r3: view 1 wanted, executed 0, stable 0, voting

heal
pass 5s
state
replies c0 1
----
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
r0 r1 r2 r3: put at 1
accepted

partition r0 | r1 r2 r3
submit c0 put a 2 to all
pass 5s
state
----
r0: asks for view 2: NothingExecuted
r1 r2 r3: executes 2
r0: view 2 wanted, executed 1, stable 0, voting
r1 r2 r3: view 1, executed 2, stable 0, voting

heal
pass 3s
state
agree
----
r0: executes 2
r0: view 2 wanted, executed 2, stable 0, voting
r1 r2 r3: view 1, executed 2, stable 0, voting
2 entries executed alike
