# P13: an entry is prepared; by the time that a new view chooses it again its time is
# hours old. What a new view chose is exempt from the test of times, so no storm of
# view changes follows.

cluster n=4
lose commit
submit c0 put a 1 to all
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

crash r0
clock r1 +2h
clock r2 +2h
clock r3 +2h
pass 1200ms
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r0: down
r1 r2 r3: view 1, executed 0, stable 0, voting

heal
pass 3s
state
order
----
r1 r2 r3: executes 1
r0: down
r1 r2 r3: view 1, executed 1, stable 0, voting
1 [c0#1 put a 1]
