# § Reads, K8: a replica that has just started answers no read before it has executed what
# Q and its own log speak of; an ordered read works meanwhile.

cluster n=4
repeat 3: submit c0 put a $i to r0 ; deliver
read c1 get a to all
----
r0 r1 r2 r3: executes 1-3
r0 r1 r2 r3: 3 of 3, changed at 3

crash r2
lose decided commit
restart r2
deliver
read c1 get a to r1 r2
----
r2: may vote
r1: 3 of 3, changed at 3

heal
submit c1 get a to r0
pass 1s
replies c1 1
read c1 get a to r1 r2
----
r0 r1 r3: executes 4
r2: executes 1-4
r0 r1 r2 r3: 3 of 3 at 4
accepted
r1 r2: 3 of 3, changed at 3
