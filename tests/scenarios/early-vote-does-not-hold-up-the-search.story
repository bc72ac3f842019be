# P2, P15: the primary leaves r2 and r3 out, and commits to something else before others vote.
# It is not asked for what it holds back, and r1 is as soon as it votes.

cluster n=4 patience=1s
lose status
batch B c3#1 put x y
mute r0 pre-prepare to r2 r3
mute r0 commit
submit c0 put a 1 to r0
deliver
pass 300ms
repeat 13: submit c0 put b $i to r0 ; deliver
state
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: executes 1-14
r0 r1 r2 r3: view 0, executed 14, stable 8, voting

lie r0 commit B view=0 seq=15 to r2 r3
deliver commit
submit c0 put d 1 to r0
deliver
state
----
r0 r1 r2 r3: executes 15
r0 r1 r2 r3: view 0, executed 15, stable 8, voting

# Long before: nobody is asked, and so nobody waits longer.

lie r0 commit B view=0 seq=16 to r2 r3
deliver
pass 150ms
submit c0 put d 2 to r0
deliver
state
evidence
----
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: executes 16
r0 r1 r2 r3: view 0, executed 16, stable 16, voting
r0 r1 r2 r3: no evidence

# With two liars, a backup may vote early as well. It is asked at once; r2, whose vote comes
# later, as soon as a first one would be.

cluster n=7 patience=1s
lose status
batch B c3#1 put x y
mute r0 pre-prepare to r3 r4 r5 r6
mute r0 commit
submit c0 put a 1 to r0
deliver
pass 300ms
submit c0 put a 2 to r0
deliver
state
----
r0 r1 r2 r3 r4 r5 r6: executes 1-2
r0 r1 r2 r3 r4 r5 r6: view 0, executed 2, stable 0, voting

lie r1 prepare B view=0 seq=3 to r3 r4 r5 r6
deliver
pass 200ms
mute r1 prepare,commit
submit c0 put d 3 to r0
deliver
state
----
r0 r1 r2 r3 r4 r5 r6: has evidence against r1: two prepares
r0 r1 r2 r3 r4 r5 r6: view 0, executed 2, stable 0, voting

pass 5ms
state
----
r0 r1 r2 r3 r4 r5 r6: executes 3
r0 r1 r2 r3 r4 r5 r6: view 0, executed 3, stable 0, voting
