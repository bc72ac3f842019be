# § Stable storage and recovery, catch-up: r3 is killed while it fetches a large state. The
# parts that it has are not fetched again.

cluster n=4
lose all to r3
repeat 20: submit c0 put a$i x*200000 to r0 ; deliver
heal
lose part from r1 r2
pass 2300ms
state
sent fetch to r0 from r3
sent part from r0
----
r0 r1 r2: stable at 8
r0 r1 r2: stable at 16
r3: fetches the state at 16
r0 r1 r2: executes 1-20
r0 r1 r2: view 0, executed 20, stable 16, voting
r3: view 0, executed 0, stable 0, voting, in transfer
18 sent
14 sent

crash r3
restart r3
heal
pass 3s
state
sent part from r0
sent part from r1
sent part from r2
agree
----
r3: may vote
r3: fetches the state at 16
r3: has fetched the state at 16
r3: stable at 16
r3: executes 17-20
r0 r1 r2 r3: view 0, executed 20, stable 16, voting
16 sent
11 sent
11 sent
20 entries executed alike
