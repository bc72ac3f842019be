# S15: one backup's clock is an hour ahead, then an hour back. Timers are monotonic and do
# not notice; with W that vouch for the time, it accepts what its clock doubts. With the
# primary's clock an hour off, one view change finds another.

cluster n=4
clock r2 +1h
repeat 3: submit c0 put a $i to r0 ; deliver
state
----
r2: refuses BadTime from r0, 3 times
r0 r1 r2 r3: executes 1-3
r0 r1 r2 r3: view 0, executed 3, stable 0, voting

clock r2 -1h
repeat 3: submit c0 put b $i to r0 ; deliver
pass 10s
state
time
----
r2: refuses BadTime from r0, 3 times
r0 r1 r2 r3: executes 4-6
r0 r1 r2 r3: view 0, executed 6, stable 0, voting
r0 r1 r2 r3: agreed time 1000 ms at 6

clock r0 +1h
submit c0 put c 1 to all
pass 3s
state
time
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r2: refuses BadTime from r1
r1 r2 r3: refuses BadTime from r0, 5 times
r0 r1 r2 r3: executes 7
r0 r1 r2 r3: view 1, executed 7, stable 0, voting
r0 r1 r2 r3: agreed time 12000 ms at 7
