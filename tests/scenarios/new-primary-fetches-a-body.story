# § View change: r1 never got the batch that r2 and r3 prepared. As primary of view 1 it
# fetches it by its digest before it opens the view.

cluster n=4
lose pre-prepare to r1
lose commit
submit c0 put a 1 to r0
deliver
crash r0
heal
lose commit
lose pre-prepare to r1
submit c1 put b 1 to r1 r2 r3
hold batch
pass 1100ms
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: down
r1 r2 r3: view 1 wanted, executed 0, stable 0, voting

release
deliver
heal
pass 1s
order
state
----
r1 r2 r3: enters view 1
r1 r2 r3: executes 1-2
1 [c0#1 put a 1]
2 [c1#1 put b 1]
r0: down
r1 r2 r3: view 1, executed 2, stable 0, voting
