# T4: one source of a state never sends a part. After a while it is asked no more than
# the others can make up for.

cluster n=4
lose all to r3
repeat 20: submit c0 put a$i x*40000 to r0 ; deliver
mute r0 part
heal
pass 5s
state
agree
----
r0 r1 r2: stable at 8
r0 r1 r2 r3: stable at 16
r3: fetches the state at 16
r3: has fetched the state at 16
r0 r1 r2: executes 1-20
r3: executes 17-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting
20 entries executed alike
