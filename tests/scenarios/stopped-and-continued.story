# S14: the primary is stopped for half a minute and continues where it was. One view
# change; what it had sent and not sent does no harm.

cluster n=4
repeat 3: submit c0 put a $i to r0 ; deliver
hold all from r0
hold all to r0
submit c0 put a 4 to all
pass 30s
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r0: executes 1-3
r1 r2 r3: executes 1-4
r0: view 0, executed 3, stable 0, voting
r1 r2 r3: view 1, executed 4, stable 0, voting

release
pass 2s
state
order
agree
----
r0: asks for view 1: Joined
r0: enters view 1
r0: refuses BadTime from r1
r0: executes 4
r0 r1 r2 r3: view 1, executed 4, stable 0, voting
1 [c0#1 put a 1]
2 [c0#2 put a 2]
3 [c0#3 put a 3]
4 [c0#4 put a 4]
4 entries executed alike
