# § View change: r3 certifies a batch that r1, the new primary, cannot get in time. It
# takes other replicas' view-changes instead: any Q are safe, for nothing was decided.

cluster n=4
lose pre-prepare to r1
lose prepare to r0 r2
lose batch to r1
submit c0 put a 1 to r0
deliver
submit c1 put b 1 to r1 r2 r3
hold view-change from r2
pass 1100ms
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: view 1 wanted, executed 0, stable 0, voting

release
pass 400ms
heal
lose batch to r1
state
----
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: view 1, executed 0, stable 0, voting

pass 1s
state
----
r0 r1 r2 r3: executes 1-2
r0 r1 r2 r3: view 1, executed 2, stable 0, voting

heal
pass 2s
order
state
agree
----
1 [c1#1 put b 1]
2 [c0#1 put a 1]
r0 r1 r2 r3: view 1, executed 2, stable 0, voting
2 entries executed alike
