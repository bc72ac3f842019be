# S3: the state on r2's disk has rotted. It is not the one that the stable checkpoint's
# certificate is of: r2 sees that when it starts, and fetches it anew.

cluster n=4
repeat 9: submit c0 put a$i $i to r0 ; deliver
crash r2
corrupt r2 a3
restart r2
pass 1s
state
value a3
agree
----
r0 r1 r2 r3: stable at 8
r2: finds its state at 8 to be wrong
r2: fetches the state at 8
r2: has fetched the state at 8
r2: may vote
r0 r1 r3: executes 1-9
r2: executes 1-9 9
r0 r1 r2 r3: view 0, executed 9, stable 8, voting
r0 r1 r2 r3: 3 of 3
9 entries executed alike
