# P1, S19: the primary proposes one batch to r1 and r2 and another to r3, and commits with the
# two. No wait ends for that, but r3 learns of the entry late, and so does its client. Once
# the two signatures have met, nobody bears this primary.

cluster n=4
submit c0 put a 1 to r0
drop pre-prepare to r3
batch B c0#1 put a 2
lie r0 pre-prepare B view=0 seq=1 to r3
deliver
pass 20ms
state
evidence
value a
----
r0 r1 r2 r3: has evidence against r0: two pre-prepares
r1 r2 r3: asks for view 1: Convicted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r1: refuses Conflict from r3
r3: refuses Conflict from r0
r3: refuses Conflict from r1
r3: refuses Conflict from r2
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
r0 r1 r2 r3: r0 two pre-prepares
r0 r1 r2 r3: 1 of 1

# Two convicts are more than may be faulty. If each replica passed over those that it knows
# to be convicted, hardly anybody would be left, so they serve like others.
submit c0 put a 3 to r1
deliver
lie r1 commit B view=1 seq=2 to all
deliver
pass 100ms
evidence
submit c0 put a 4 to r1
deliver
state
----
r0 r1 r2 r3: has evidence against r1: two commits
r0 r1 r2 r3: executes 2
r0 r1 r2 r3: r0 two pre-prepares, r1 two commits
r0 r1 r2 r3: executes 3
r0 r1 r2 r3: view 1, executed 3, stable 0, voting
