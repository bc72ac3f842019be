# P1, N1: what convicts the primary reaches r3 alone, and what r3 says of that is lost. It
# leaves by itself; the others hear why with its answer to their status.

cluster n=4
lose evidence from r3
lose view-change from r3
submit c0 put a 1 to r0
deliver
batch B c0#1 put a 2
lie r0 commit B view=0 seq=1 to r3
deliver
pass 100ms
evidence
state
----
r3: has evidence against r0: two commits
r3: asks for view 1: Convicted
r0 r1 r2 r3: executes 1
r0 r1 r2: no evidence
r3: r0 two commits
r0 r1 r2: view 0, executed 1, stable 0, voting
r3: view 1 wanted, executed 1, stable 0, voting

heal
pass 2s
evidence
state
----
r0 r1 r2: has evidence against r0: two commits
r1 r2: asks for view 1: Convicted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: r0 two commits
r0 r1 r2 r3: view 1, executed 1, stable 0, voting
