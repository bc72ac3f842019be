# § Stable storage and recovery: r3 began a recovery that the network kept; then its true
# disk was found and put back, and it started from that. The command is let go after all:
# r3 takes on the new incarnation at its checkpoint, keeps its votes and takes part.

cluster n=4 k=4 l=8
repeat 3: submit c0 put a $i to r0 ; deliver
backup r3
crash r3
wipe r3
hold recovery
restart r3 --recover
deliver
crash r3
restore r3
restart r3
pass 1500ms
state
----
r3: may vote
r0 r1 r2: executes 1-3
r3: executes 1-3 1-3
r0 r1 r2 r3: view 0, executed 3, stable 0, voting

release
deliver
pass 2s
state
----
r0 r1 r2 r3: stable at 4
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: takes r3 for life 1
r0 r1 r2 r3: stable at 12
r0 r1 r2 r3: executes 4-12
r0 r1 r2 r3: view 0, executed 12, stable 12, voting

crash r2
repeat 6: submit c0 put b $i to r0 ; deliver
state
----
r0 r1 r3: stable at 16
r0 r1 r3: executes 13-18
r0 r1 r3: view 0, executed 18, stable 16, voting
r2: down

crash r3
restart r3
pass 1s
submit c0 put c 1 to r0
pass 1s
state
agree
----
r3: may vote
r0 r1: executes 19
r3: executes 17-19
r0 r1 r3: view 0, executed 19, stable 16, voting
r2: down
19 entries executed alike
