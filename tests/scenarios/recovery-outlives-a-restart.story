# § Stable storage and recovery: r3 has recovered. Its log is compacted at that very
# checkpoint, and still says so: restarted, r3 votes as soon as Q have answered.

cluster n=4 k=4 l=8
submit c0 put a 1 to r0
deliver
crash r3
wipe r3
restart r3 --recover
pass 3s
log r3
----
r0 r1 r2: stable at 4
r0 r1 r2: stable at 8
r0 r1 r2 r3: takes r3 for life 1
r0 r1 r2 r3: stable at 12
r3: fetches the state at 12
r3: has fetched the state at 12
r3: may vote
r3: refuses AboveWindow from r0, 9 times
r3: refuses AboveWindow from r1, 9 times
r3: refuses AboveWindow from r2, 9 times
r0 r1 r2: executes 1-12
r3: executes 1
stable 12
stable 12
recovered, in life 1

crash r3
restart r3
pass 100ms
state
----
r3: may vote
r0 r1 r2 r3: view 0, executed 12, stable 12, voting
