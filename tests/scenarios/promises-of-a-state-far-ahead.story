# T3, T5: r2 says that it has executed ten thousand entries, and has none of them. Who
# believes it asks in vain for a while; what counts is certificates, and others go on.

cluster n=4
submit c0 put a 1 to r0
deliver
mute r2 status
lie r2 status view=0 executed=10000 stable=9992 to all
deliver
pass 3s
repeat 10: submit c0 put b $i to r0 ; pass 100ms
state
agree
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: executes 1-11
r0 r1 r2 r3: view 0, executed 11, stable 8, voting
11 entries executed alike
