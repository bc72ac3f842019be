# § Stable storage and recovery, catch-up: r3 was cut off for five entries. The others
# still have them in their logs, and it gets each with its commit certificate.

cluster n=4
lose all to r3
repeat 5: submit c0 put a $i to r0 ; deliver
heal
pass 1s
queue
state
agree
----
r0 r1 r2 r3: executes 1-5
r0 r1 r2 r3: view 0, executed 5, stable 0, voting
5 entries executed alike
