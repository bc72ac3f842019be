# P7: proposals of a replica that is not the primary of the view it names, and of one
# that was the primary of a view that is over.

cluster n=4
mute r3 all
batch A c0#1 put a 1
lie r3 pre-prepare A view=0 seq=1 to r1 r2
deliver
state
----
r1 r2: refuses WrongRole from r3
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

lie r3 pre-prepare A view=3 seq=1 to r1 r2
deliver
rejects r1
----
WrongRole 1
FutureView 1

# The first primary falls silent; after the view change it proposes in its old view.
crash r0
submit c0 put a 1 to r1 r2
pass 3s
restart r0
pass 3s
state
----
r1 r2: asks for view 1: NothingExecuted
r0 r3: asks for view 1: Joined
r3: asks for view 2: NewViewLate
r0: may vote
r0 r1 r2: enters view 1
r0 r1 r2: executes 1
r0 r1 r2: view 1, executed 1, stable 0, voting
r3: view 2 wanted, executed 0, stable 0, voting

batch B c0#2 put a 2
lie r0 pre-prepare B view=0 seq=2 to r1 r2
deliver
rejects r1
state
----
WrongRole 1
OldView 1
FutureView 1
Duplicate 2
r0 r1 r2: view 1, executed 1, stable 0, voting
r3: view 2 wanted, executed 0, stable 0, voting
