# N3: everything that was ever sent arrives again, twice and in the wrong order, after two
# views. Nobody goes back or executes anything again.

cluster n=4
repeat 5: submit c0 put a $i to r0 ; deliver
crash r0
submit c0 put b 1 to r1 r2 r3
pass 2s
restart r0
pass 1s
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0 r1 r2 r3: enters view 1
r0: may vote
r0: executes 1-5 1-6
r1 r2 r3: executes 1-6
r0 r1 r2 r3: view 1, executed 6, stable 0, voting

replay all
duplicate
reverse
deliver
state
agree
----
r0 r1 r2 r3: view 1, executed 6, stable 0, voting
6 entries executed alike
