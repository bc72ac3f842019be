# V13: r3 is fetching a state when the primary falls. The view changes meanwhile; r3
# enters it, finishes, and nothing executes twice.

cluster n=4
lose all to r3
repeat 20: submit c0 put a$i x*20000 to r0 ; deliver
heal
lose part
pass 1500ms
state
----
r0 r1 r2: stable at 8
r0 r1 r2: stable at 16
r3: fetches the state at 16
r0 r1 r2: executes 1-20
r0 r1 r2: view 0, executed 20, stable 16, voting
r3: view 0, executed 0, stable 0, voting, in transfer

crash r0
submit c0 put b 1 to r1 r2 r3
pass 1500ms
state
----
r1 r2: asks for view 1: NothingExecuted
r3: asks for view 1: Joined
r1 r2 r3: enters view 1
r1 r2: executes 21
r0: down
r1 r2: view 1, executed 21, stable 16, voting
r3: view 1, executed 0, stable 0, voting, in transfer

heal
pass 5s
state
agree
----
r3: has fetched the state at 16
r3: stable at 16
r3: executes 17-21
r0: down
r1 r2 r3: view 1, executed 21, stable 16, voting
21 entries executed alike
