# § Stable storage and recovery: r3 lost its disk. Its wish for a new incarnation is
# ordered; nobody submits anything, so the primary proposes fill-ups until the checkpoint
# at which it takes effect is stable. Then r3 votes again, in its new life.

cluster n=4 k=4 l=8
repeat 3: submit c0 put a $i to r0 ; deliver
crash r3
wipe r3
restart r3 --recover
deliver
state
----
r0 r1 r2: stable at 4
r0 r1 r2: executes 1-5
r3: executes 1-3
r0 r1 r2: view 0, executed 5, stable 4, voting
r3: view 0, executed 0, stable 0, recovering

pass 3s
state
order
log r3
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
r0 r1 r2: executes 6-12
r0 r1 r2 r3: view 0, executed 12, stable 12, voting
1 [c0#1 put a 1]
2 [c0#2 put a 2]
3 [c0#3 put a 3]
4 [r3 recovers]
5 [fill-up]
6 [fill-up]
7 [fill-up]
8 [fill-up]
9 [fill-up]
10 [fill-up]
11 [fill-up]
12 [fill-up]
stable 12
stable 12
recovered, in life 1

# Its new life counts: without r2 it is needed for a quorum.
crash r2
submit c0 put b 1 to r0
pass 500ms
state
----
r0 r1 r3: executes 13
r0 r1 r3: view 0, executed 13, stable 12, voting
r2: down
