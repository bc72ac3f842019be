# § View change: r3 was cut off. View 1, opened without r0, begins with entries that lie
# above r3's window until it has fetched a state. Then it votes for those too: it is needed
# for the quorum, and no further view change follows.

cluster n=4 k=4 l=8
lose all to r3
repeat 4: submit c0 put a $i to r0 ; deliver
lose commit
repeat 8: submit c0 put b $i to r0
deliver
state
----
r0 r1 r2: stable at 4
r0 r1 r2: executes 1-4
r0 r1 r2: view 0, executed 4, stable 4, voting
r3: view 0, executed 0, stable 0, voting

crash r0
heal
lose commit part
submit c1 put c 1 to r1 r2 r3
pass 1300ms
state
----
r3: fetches the state at 4
r1 r2: asks for view 1: NothingExecuted
r3: asks for view 1: Joined
r1 r2 r3: enters view 1
r3: refuses AboveWindow from r1, 20 times
r3: refuses AboveWindow from r2, 24 times
r0: down
r1 r2: view 1, executed 4, stable 4, voting
r3: view 1, executed 0, stable 0, voting, in transfer

heal
pass 5s
state
agree
----
r3: has fetched the state at 4
r3: stable at 4
r1 r2 r3: stable at 8
r1 r2 r3: stable at 12
r3: refuses AboveWindow from r1, 8 times
r3: refuses AboveWindow from r2, 8 times
r1 r2 r3: executes 5-13
r0: down
r1 r2 r3: view 1, executed 13, stable 12, voting
13 entries executed alike
