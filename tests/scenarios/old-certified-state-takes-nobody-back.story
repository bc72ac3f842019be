# T2: old certificates and checkpoints, true as they are, come again, to replicas that run
# and to one that has just restarted. Nobody goes below what it executed.

cluster n=4
repeat 20: submit c0 put a $i to r0 ; deliver
state
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: executes 1-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting

crash r3
restart r3
deliver
state
----
r3: may vote
r0 r1 r2: view 0, executed 20, stable 16, voting
r3: view 0, executed 16, stable 16, voting

replay checkpoint
replay stable
deliver
pass 1s
state
agree
----


