# P9: the primary gives a number that is decided to another batch. It changes nothing;
# the two proposals are evidence as long as the number is above the stable checkpoint.

cluster n=4
submit c0 put a 1 to r0
deliver
batch B c0#2 put a 2
lie r0 pre-prepare B view=0 seq=1 to all
deliver
value a
state
----
r0 r1 r2 r3: has evidence against r0: two pre-prepares
r1 r2 r3: refuses Conflict from r0
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: 1 of 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting

# Below the stable checkpoint it is not even looked at.
repeat 8: submit c1 put b $i to r0 ; deliver
lie r0 pre-prepare B view=0 seq=1 to all
deliver
rejects r1
state
agree
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: executes 2-9
BelowWindow 2
Duplicate 2
Conflict 1
r0 r1 r2 r3: view 0, executed 9, stable 8, voting
9 entries executed alike
