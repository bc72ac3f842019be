# P2, S13: the state of a checkpoint that nobody else has is restored at a restart. Nobody can
# show how its last number was decided, and nothing else is asked for: who restored it waits
# until it is decided once more, and so the one who lacks it does not wait in vain.

cluster n=4 k=4 l=8
lose all to r3
mute r0 checkpoint
repeat 4: submit c0 put a $i to r0 ; deliver
state
----
r0: stable at 4
r0 r1 r2: executes 1-4
r0: view 0, executed 4, stable 4, voting
r1 r2: view 0, executed 4, stable 0, voting
r3: view 0, executed 0, stable 0, voting

crash r0 r1 r2
restart r1 r2
heal
lose pre-prepare to r3
repeat 20: submit c0 put a 4 number=4 to r1 r2 r3 ; pass 1s
state
replies c0 4
----
r1 r2: may vote
r1 r2 r3: asks for view 1: NothingExecuted
r1 r2 r3: enters view 1
r1 r2 r3: stable at 4
r3: executes 1-4
r0: down
r1 r2 r3: view 1, executed 4, stable 4, voting
r0 r1 r2 r3: put over what 3 wrote at 4
accepted
