# § Stable storage and recovery: r3 is killed in the middle of its recovery. It goes on
# with the one it began, under the same nonce.

cluster n=4 k=4 l=8
submit c0 put a 1 to r0
deliver
crash r3
wipe r3
restart r3 --recover
deliver
pass 30ms
crash r3
log r3
----
r0 r1 r2: stable at 4
r0 r1 r2: executes 1-4
r3: executes 1
recovering

restart r3
pass 3s
state
order
----
r0 r1 r2: stable at 8
r0 r1 r2 r3: takes r3 for life 1
r0 r1 r2 r3: stable at 12
r3: fetches the state at 12
r3: has fetched the state at 12
r3: may vote
r3: refuses AboveWindow from r0, 9 times
r3: refuses AboveWindow from r1, 9 times
r3: refuses AboveWindow from r2, 9 times
r0 r1 r2: executes 5-12
r0 r1 r2 r3: view 0, executed 12, stable 12, voting
1 [c0#1 put a 1]
2 [r3 recovers]
3 [fill-up]
4 [fill-up]
5 [fill-up]
6 [fill-up]
7 [fill-up]
8 [fill-up]
9 [fill-up]
10 [fill-up]
11 [fill-up]
12 [fill-up]
