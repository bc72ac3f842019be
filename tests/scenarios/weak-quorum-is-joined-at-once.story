# § View change: W others want views above r2's: it joins the smallest of them at once,
# without any wait of its own. One of the wishes is a liar's, far off.

cluster n=4
mute r3 view-change
lose pre-prepare from r0
lie r3 view-change view=9 to all
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

submit c0 put a 1 to r1
pass 1050ms
state
----
r1: asks for view 1: NothingExecuted
r0 r2 r3: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting

heal
pass 1s
order
state
----
1 [c0#1 put a 1]
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
