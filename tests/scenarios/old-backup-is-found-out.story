# S10: an old copy of r2's disk is put back. Others hold signatures of r2 that the copy
# lacks; r2 stops at its start. Recovered by its operator's word it is a new incarnation.

cluster n=4
repeat 3: submit c0 put a $i to r0 ; deliver
backup r2
repeat 3: submit c0 put b $i to r0 ; deliver
crash r2
restore r2
restart r2
deliver
state
----
r2: finds that its disk went back in time
r0 r1 r2 r3: executes 1-6
r0 r1 r3: view 0, executed 6, stable 0, voting
r2: view 0, executed 0, stable 0, halted

crash r2
restart r2 --recover
pass 5s
state
log r2
----
r0 r1 r3: stable at 8
r0 r1 r2 r3: stable at 16
r2: fetches the state at 16
r2: has fetched the state at 16
r0 r1 r2 r3: stable at 24
r0 r1 r2 r3: stable at 32
r0 r1 r2 r3: takes r2 for life 1
r0 r1 r2 r3: stable at 40
r2: may vote
r0 r1 r3: executes 7-40
r2: executes 17-40
r0 r1 r2 r3: view 0, executed 40, stable 40, voting
stable 40
stable 40
recovered, in life 1
