# V9: seven replicas; r1 voted twice, and everybody knows. When r0 falls, nobody asks r1 to
# lead: view 2 follows view 0. Those who start anew know it from their logs. Recovered, in its
# next life, r1 is a replica like others.

cluster n=7 k=4 l=8
submit c0 put a 1 to r0
deliver
batch B c0#1 put a 2
lie r1 prepare B view=0 seq=1 to all
deliver
repeat 2: submit c0 put b $i to r0 ; deliver
crash r3
restart r3
pass 1s
crash r0
submit c0 put c 1 to all
pass 2s
state
evidence
----
r0 r1 r2 r3 r4 r5 r6: has evidence against r1: two prepares
r3: may vote
r1: asks for view 1: NothingExecuted
r2 r3 r4 r5 r6: asks for view 2: NothingExecuted
r1: asks for view 2: Joined
r1 r2 r3 r4 r5 r6: enters view 2
r1 r2 r3 r4 r5 r6: stable at 4
r0: executes 1-3
r1 r2 r4 r5 r6: executes 1-4
r3: executes 1-3 1-4
r0: down
r1 r2 r3 r4 r5 r6: view 2, executed 4, stable 4, voting
r0: down
r1 r2 r3 r4 r5 r6: r1 two prepares

crash r1
wipe r1
restart r1 --recover
restart r0
pass 3s
crash r2
submit c0 put d 1 to all
pass 10s
state
patience
----
r0 r1: enters view 2
r0 r1: may vote
r2 r3 r4 r5 r6: stable at 8
r0 r1 r2 r3 r4 r5 r6: stable at 12
r0 r1: fetches the state at 8
r0 r1 r2 r3 r4 r5 r6: takes r1 for life 1
r0 r1 r2 r3 r4 r5 r6: stable at 16
r0 r1: fetches the state at 12
r0 r1: has fetched the state at 12
r0 r1: fetches the state at 16
r0 r1: has fetched the state at 16
r0 r1 r3 r4 r5 r6: asks for view 3: NothingExecuted
r0 r1 r3 r4 r5 r6: enters view 3
r0 r1: refuses AboveWindow from r2, 18 times
r0 r1: refuses AboveWindow from r3, 18 times
r0 r1: refuses AboveWindow from r4, 18 times
r0 r1: refuses AboveWindow from r5, 18 times
r0 r1: refuses AboveWindow from r6, 18 times
r0 r1: executes 17
r2: executes 5-16
r3 r4 r5 r6: executes 5-17
r0 r1 r3 r4 r5 r6: view 3, executed 17, stable 16, voting
r2: down
r0 r1 r3 r4 r5 r6: waits 1000 ms
r2: down
