# S15, V11: r1 asked for view 1 alone while it heard nothing, r2 is down, and the clock of r3
# supports no time that r0 proposes. Nobody waits for a request but r0, which has proposed it:
# r3 has to wait for what it does not agree with, too, or nobody would ever leave with r1.

cluster n=4
lose all to r1
submit c0 put a 1 to r1 r0
pass 2s
heal
crash r2
clock r3 +1h
submit c0 put b 1 to r0
pass 8s
state
order
----
r1 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r3: enters view 1
r3: refuses BadTime from r0, 5 times
r3: refuses BadTime from r1
r0 r1 r3: executes 1-2
r2: executes 1
r0 r1 r3: view 1, executed 2, stable 0, voting
r2: down
1 [c0#1 put a 1]
2 [c0#2 put b 1]
