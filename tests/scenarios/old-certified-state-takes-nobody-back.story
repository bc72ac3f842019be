# T2, N3: r0 sends an old certificate, true as it is, and r3 asks a source that has only
# an older state. Nobody goes below what it executed, or below the best certificate.

cluster n=4
repeat 20: submit c0 put a $i to r0 ; deliver
state
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: executes 1-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting

pass 2s
liar r0
lie r0 status view=0 executed=3 stable=0 to r1
deliver
crash r3
restart r3
deliver
replay stable
replay checkpoint
deliver
state
agree
----
r3: may vote
r3: executes 17-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting
20 entries executed alike
