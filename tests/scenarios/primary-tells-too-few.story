# P3: the primary proposes to one backup only. The others hear of it by that one's prepare,
# and ask it for the proposal, which the primary has signed: nobody has to leave the view.

cluster n=4
mute r0 pre-prepare to r2 r3
submit c0 put a 1 to all
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

pass 3s
state
replies c0 1
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
r0 r1 r2 r3: put at 1
accepted
