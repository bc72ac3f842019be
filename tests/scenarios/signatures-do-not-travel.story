# B4: true signatures put to another use: a prepare's in another view, as a commit, as
# one for another cluster of the same members, or under another batch. The signature
# binds all of these.

cluster n=4
liar r3
lose prepare to r0 r3
submit c0 put a 1 to r0
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

batch B c0#1 put a 2
lie r3 prepare #1 view=1 seq=1 as=r2 stolen=prepare to r0
lie r3 prepare #1 view=0 seq=2 as=r2 stolen=prepare to r0
lie r3 prepare B view=0 seq=1 as=r2 stolen=prepare to r0
lie r3 commit #1 view=0 seq=1 as=r2 stolen=prepare to r0
lie r3 commit #1 view=0 seq=1 foreign to r0
heal
deliver
rejects r0
state
----
r0: refuses BadSignature from r3, 5 times
BadSignature 5
r0 r1 r2 r3: view 0, executed 0, stable 0, voting
