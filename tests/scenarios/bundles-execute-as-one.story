# § Clients: the operations of a bundle execute in order with no others between; a bundle
# that overlaps one that was executed adds only what is new.

cluster n=4 pipeline=1
submit c0 put a 1 + put b 1 + get a to r0
submit c1 put a 9 to r0
deliver
order
replies c0 3
----
r0 r1 r2 r3: executes 1-2
1 [c0#1 put a 1 + put b 1 + get a]
2 [c1#1 put a 9]
r0 r1 r2 r3: 1 of 1 at 1
accepted

submit c0 get a + put c 1 number=3 to r0
deliver
replies c0 3
replies c0 4
value c
----
r0 r1 r2 r3: executes 3
r0 r1 r2 r3: 1 of 1 at 1
accepted
r0 r1 r2 r3: put at 3
accepted
r0 r1 r2 r3: 1 of 3
