# V5: r3 asks for a view and claims a stable checkpoint far ahead, without the
# certificate, and with one that it signed alone.

cluster n=4
liar r3
lie r3 view-change view=1 stable=forged to all
lie r3 stable seq=800 to all
deliver
state
----
r0 r1 r2: refuses BadSignature from r3, 2 times
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

submit c0 put a 1 to r0
deliver
state
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: view 0, executed 1, stable 0, voting
