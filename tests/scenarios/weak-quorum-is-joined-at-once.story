# § View change: W others want views above r2's: it joins the smallest of them at once,
# without any wait of its own. One of the wishes is a liar's, far off.

cluster n=4
mute r3 view-change
crash r0
lie r3 view-change view=9 to r1 r2
deliver
state
----
r0: down
r1 r2 r3: view 0, executed 0, stable 0, voting

submit c0 put a 1 to r1
pass 1050ms
state
----
r1: asks for view 1: NothingExecuted
r2 r3: asks for view 1: Joined
r0: down
r1 r2 r3: view 1 wanted, executed 0, stable 0, voting
