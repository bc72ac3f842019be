# § Stable storage and recovery, catch-up: r3 was cut off for longer than the log lasts. It
# fetches the state of the stable checkpoint, and what the others executed since.

cluster n=4
lose all to r3
repeat 45: submit c0 put a$i $i to r0 ; deliver
state
----
r0 r1 r2: stable at 8
r0 r1 r2: stable at 16
r0 r1 r2: stable at 24
r0 r1 r2: stable at 32
r0 r1 r2: stable at 40
r0 r1 r2: executes 1-45
r0 r1 r2: view 0, executed 45, stable 40, voting
r3: view 0, executed 0, stable 0, voting

heal
pass 2s
state
value a7
agree
----
r3: fetches the state at 40
r3: has fetched the state at 40
r3: stable at 40
r3: refuses AboveWindow from r0, 20 times
r3: refuses AboveWindow from r1, 20 times
r3: refuses AboveWindow from r2, 20 times
r3: executes 41-45
r0 r1 r2 r3: view 0, executed 45, stable 40, voting
r0 r1 r2 r3: 7 of 7
45 entries executed alike
