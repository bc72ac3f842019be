# § View change, rotation: after every second stable checkpoint in its view the primary
# makes way. No request is lost, and a replica killed right then remembers what it asked
# for.

cluster n=4 k=4 l=8 rotation=2
repeat 7: submit c0 put a $i to all ; deliver
state
----
r0 r1 r2 r3: stable at 4
r0 r1 r2 r3: executes 1-7
r0 r1 r2 r3: view 0, executed 7, stable 4, voting

submit c0 put a 8 to all
deliver
state
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: asks for view 1: Rotation
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 8
r0 r1 r2 r3: view 1, executed 8, stable 8, voting

hold view-change
repeat 7: submit c0 put b $i to all ; deliver
submit c0 put b 8 to all
deliver
log r2
----
r0 r1 r2 r3: stable at 12
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: asks for view 2: Rotation
r0 r1 r2 r3: executes 9-16
stable 16
new-view 1
view-change to 2, stable 16, prepared nothing
stable 16
view-change to 2, stable 16, prepared nothing

crash r2
restart r2
release
deliver
state
----
r2: may vote
r0 r1 r2 r3: enters view 2
r0 r1 r2 r3: view 2, executed 16, stable 16, voting

repeat 8: submit c0 put c $i to all ; deliver
state
agree
----
r0 r1 r2 r3: stable at 20
r0 r1 r2 r3: stable at 24
r0 r1 r2 r3: asks for view 3: Rotation
r0 r1 r2 r3: enters view 3
r0 r1 r2 r3: executes 17-24
r0 r1 r2 r3: view 3, executed 24, stable 24, voting
24 entries executed alike
