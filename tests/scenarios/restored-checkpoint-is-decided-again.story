# P2, S13: the state of a checkpoint that nobody else has is restored at a restart. Nobody can
# show how its last number was decided, and nothing else is asked for: who restored it waits
# until it is decided once more, and so the one who lacks it does not wait in vain.

cluster n=4 k=4 l=8
lose all to r3
mute r0 checkpoint
repeat 4: submit c0 put a $i to r0 ; deliver
state
----

crash r0 r1 r2
restart r1 r2
heal
repeat 20: submit c0 put a 4 number=4 to r1 r2 r3 ; pass 1s
state
replies c0 4
----
