# § Stable storage and recovery: seven replicas, and two lost their disks at once: both
# come back at the same checkpoint. When r6 loses its disk again at once, its wish waits
# until enough checkpoints have passed since its last life began.

cluster n=7 k=4 l=8 spacing=6
submit c0 put a 1 to r0
deliver
crash r5 r6
wipe r5
wipe r6
restart r5 r6 --recover
pass 3s
state
----
r0 r1 r2 r3 r4: stable at 4
r0 r1 r2 r3 r4: stable at 8
r0 r1 r2 r3 r4 r5 r6: takes r5 for life 1
r0 r1 r2 r3 r4 r5 r6: takes r6 for life 1
r0 r1 r2 r3 r4 r5 r6: stable at 12
r5 r6: fetches the state at 12
r5 r6: has fetched the state at 12
r5 r6: may vote
r5 r6: refuses AboveWindow from r0, 9 times
r5 r6: refuses AboveWindow from r1, 9 times
r5 r6: refuses AboveWindow from r2, 9 times
r5 r6: refuses AboveWindow from r3, 9 times
r5 r6: refuses AboveWindow from r4, 9 times
r0 r1 r2 r3 r4: executes 1-12
r5 r6: executes 1
r0 r1 r2 r3 r4 r5 r6: view 0, executed 12, stable 12, voting

crash r6
wipe r6
restart r6 --recover
pass 5s
state
agree
----
r0 r1 r2 r3 r4 r5: stable at 16
r0 r1 r2 r3 r4 r5 r6: stable at 20
r6: fetches the state at 20
r0 r1 r2 r3 r4 r5: stable at 24
r6: takes r5 for life 1
r6: takes r6 for life 1
r6: has fetched the state at 20
r0 r1 r2 r3 r4 r5: stable at 28
r0 r1 r2 r3 r4 r5 r6: stable at 32
r6: fetches the state at 32
r6: has fetched the state at 32
r0 r1 r2 r3 r4 r5: stable at 36
r0 r1 r2 r3 r4 r5 r6: stable at 40
r6: fetches the state at 40
r0 r1 r2 r3 r4 r5 r6: takes r6 for life 2
r0 r1 r2 r3 r4 r5 r6: stable at 44
r6: has fetched the state at 40
r6: fetches the state at 44
r6: has fetched the state at 44
r6: may vote
r6: refuses AboveWindow from r0, 49 times
r6: refuses AboveWindow from r1, 49 times
r6: refuses AboveWindow from r2, 49 times
r6: refuses AboveWindow from r3, 49 times
r6: refuses AboveWindow from r4, 49 times
r6: refuses AboveWindow from r5, 49 times
r0 r1 r2 r3 r4 r5: executes 13-44
r0 r1 r2 r3 r4 r5 r6: view 0, executed 44, stable 44, voting
44 entries executed alike
