# B1: r3 prepares and commits both digests. Votes are kept by view, number, digest and
# sender: each counts for its own digest only, and the two together convict r3.

cluster n=4
mute r3 prepare commit
hold pre-prepare
submit c0 put a 1 to r0
batch B c0#1 put a 2
lie r3 prepare B view=0 seq=1 to all
lie r3 commit B view=0 seq=1 to all
deliver
release
deliver
state
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting

lie r3 prepare #1 view=0 seq=1 to all
lie r3 commit #1 view=0 seq=1 to all
deliver
evidence
state
value a
----
r0 r1 r2 r3: has evidence against r3: two prepares
r0 r1 r2 r3: has evidence against r3: two commits
r0 r1 r2 r3: r3 two commits, r3 two prepares
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
r0 r1 r2 r3: 1 of 1
