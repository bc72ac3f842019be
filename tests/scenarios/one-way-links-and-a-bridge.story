# N2: first r1 hears nothing of the primary but by others; then r0 and r1 hear r2 and r3
# only over bridges. Safe throughout, and served once it heals.

cluster n=4
one-way r0 -> r1
submit c0 put a 1 to all
pass 3s
state
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting

heal
one-way r0 -> r3
one-way r3 -> r0
one-way r1 -> r2
one-way r2 -> r1
submit c0 put a 2 to all
pass 5s
heal
pass 10s
state
replies c0 2
agree
----
r0 r1 r2 r3: executes 2
r0 r1 r2 r3: view 0, executed 2, stable 0, voting
r0 r1 r2 r3: put over what 1 wrote at 2
accepted
2 entries executed alike
