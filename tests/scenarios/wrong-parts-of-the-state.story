# T1: r3 comes back below the log. One source changes the parts that it sends: each is
# checked on arrival, refused, and fetched from another.

cluster n=4
lose all to r3
repeat 20: submit c0 put a$i x*20000 to r0 ; deliver
spoil r0
heal
pass 3s
state
agree
----
r0 r1 r2: stable at 8
r0 r1 r2 r3: stable at 16
r3: fetches the state at 16
r3: has fetched the state at 16
r3: refuses WrongPart from r0
r0 r1 r2: executes 1-20
r3: executes 17-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting
20 entries executed alike
