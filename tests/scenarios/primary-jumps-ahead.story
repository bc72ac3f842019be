# P8: the primary proposes at the end of the window and past it, and leaves a gap. Past
# the window is refused; what lies above the gap is prepared and not executed. The next
# view fills the gap with null, and what was prepared is executed behind it.

cluster n=4 k=8 l=16
mute r0 all
batch A c0#1 put a 1
batch B c0#2 put a 2
lie r0 pre-prepare B view=0 seq=17 to all
deliver
----
r1 r2 r3: refuses AboveWindow from r0

lie r0 pre-prepare A view=0 seq=4 to all
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

pass 3s
order
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0: executes 1-3
r1 r2 r3: executes 1-4
1 [null]
2 [null]
3 [null]
4 [c0#1 put a 1]
r0: view 1, executed 3, stable 0, voting
r1 r2 r3: view 1, executed 4, stable 0, voting
