# B3: r3 shows two proposals of r0 that r3 signed itself, and then two of its own that
# conflict. The first convict nobody, the second r3.

cluster n=4
liar r3
lie r3 evidence as=r0 view=0 seq=1 to r1 r2
deliver
evidence
----
r1 r2: refuses BadSignature from r3
r0 r1 r2 r3: no evidence

lie r3 evidence view=3 seq=1 to r1
deliver
evidence
----
r1: has evidence against r3: two pre-prepares
r0 r2 r3: no evidence
r1: r3 two pre-prepares
