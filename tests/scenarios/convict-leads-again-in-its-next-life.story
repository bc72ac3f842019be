# § View change: r1 voted twice, and everybody knows. It recovers, and in its next life it is
# a replica like others: when r0 falls, view 1 is its to lead.

cluster n=4 k=4 l=8
submit c0 put a 1 to r0
deliver
batch B c0#1 put a 2
lie r1 prepare B view=0 seq=1 to all
deliver
crash r1
wipe r1
restart r1 --recover
pass 5s
crash r0
submit c0 put b 1 to all
pass 3s
state
evidence
----
r0 r1 r2 r3: has evidence against r1: two prepares
r0 r2 r3: stable at 4
r0 r2 r3: stable at 8
r0 r1 r2 r3: takes r1 for life 1
r0 r1 r2 r3: stable at 12
r1: fetches the state at 12
r1: has fetched the state at 12
r1: may vote
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r1: refuses AboveWindow from r0, 9 times
r1: refuses AboveWindow from r2, 9 times
r1: refuses AboveWindow from r3, 9 times
r0: executes 1-12
r1: executes 1 13
r2 r3: executes 1-13
r0: down
r1 r2 r3: view 1, executed 13, stable 12, voting
r0: down
r1: no evidence
r2 r3: r1 two prepares
