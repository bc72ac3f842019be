# § Stable storage and recovery: r3 has recovered and is needed for the next view change.
# Its word in the new life counts, before and after a restart, as the primary too.

cluster n=4 k=4 l=8
submit c0 put a 1 to r0
deliver
crash r3
wipe r3
restart r3 --recover
pass 3s
crash r0
submit c0 put a 2 to r1 r2 r3
pass 3s
state
----
r0 r1 r2: stable at 4
r0 r1 r2: stable at 8
r0 r1 r2 r3: takes r3 for life 1
r0 r1 r2 r3: stable at 12
r3: fetches the state at 12
r3: has fetched the state at 12
r3: may vote
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r3: refuses AboveWindow from r0, 9 times
r3: refuses AboveWindow from r1, 9 times
r3: refuses AboveWindow from r2, 9 times
r0: executes 1-12
r1 r2: executes 1-13
r3: executes 1 13
r0: down
r1 r2 r3: view 1, executed 13, stable 12, voting

restart r0
pass 1s
crash r1
submit c0 put a 3 to r0 r2 r3
pass 3s
crash r2
restart r1
pass 2s
submit c0 put a 4 to r0 r1 r3
pass 8s
state
----
r0: enters view 1
r0 r1: may vote
r0 r2 r3: asks for view 2: NothingExecuted
r0 r1 r2 r3: enters view 2
r0 r1 r3: asks for view 3: NothingExecuted
r0 r1 r3: enters view 3
r0 r1: executes 13-15
r2: executes 14
r3: executes 14-15
r0 r1 r3: view 3, executed 15, stable 12, voting
r2: down

crash r3
restart r3
pass 1s
submit c0 put a 5 to r0 r1 r3
pass 3s
state
agree
----
r3: may vote
r0 r1 r3: stable at 16
r0 r1: executes 16
r3: executes 13-16
r0 r1 r3: view 3, executed 16, stable 16, voting
r2: down
16 entries executed alike
