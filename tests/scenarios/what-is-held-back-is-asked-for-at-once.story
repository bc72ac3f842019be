# P2, P15: the primary proposes nothing to r2 and r3. They wait for the first proposal, ask r1
# for it, and wait for no other after that.

cluster n=4
lose status
mute r0 pre-prepare to r2 r3
submit c0 put a 1 to r0
deliver
state
----
r0 r1 r2 r3: view 0, executed 0, stable 0, voting

pass 300ms
repeat 3: submit c0 put b $i to r0 ; deliver
sent fetch to r1
state
----
r0 r1 r2 r3: executes 1-4
8 sent
r0 r1 r2 r3: view 0, executed 4, stable 0, voting

# Once the primary has brought sixteen itself, they wait again.

unmute r0
repeat 16: submit c0 put c $i to r0 ; deliver
mute r0 pre-prepare to r2 r3
submit c0 put d 1 to r0
deliver
sent fetch to r1
state
----
r0 r1 r2 r3: stable at 8
r0 r1 r2 r3: stable at 16
r0 r1 r2 r3: executes 5-20
8 sent
r0 r1 r2 r3: view 0, executed 20, stable 16, voting

pass 5ms
sent fetch to r1
state
----
r0 r1 r2 r3: executes 21
10 sent
r0 r1 r2 r3: view 0, executed 21, stable 16, voting

# One that is late, and is here before an answer, is no reason to hurry.

unmute r0
repeat 16: submit c0 put e $i to r0 ; deliver
hold pre-prepare to r2 r3
submit c0 put f 1 to r0
deliver
pass 5ms
sent fetch to r1
state
----
r0 r1 r2 r3: stable at 24
r0 r1 r2 r3: stable at 32
r0 r1 r2 r3: executes 22-37
12 sent
r0 r1 r2 r3: view 0, executed 37, stable 32, voting

release
deliver
mute r0 pre-prepare to r2 r3
submit c0 put g 1 to r0
deliver
sent fetch to r1
state
----
r0 r1 r2 r3: executes 38
12 sent
r0 r1 r2 r3: view 0, executed 38, stable 32, voting

# What is refused has found no place, and counts for nothing.

pass 300ms
submit c0 put h 1 to r0
deliver
repeat 16: lie r0 pre-prepare null view=0 seq=45 to r2 r3
deliver
submit c0 put h 2 to r0
deliver
state
----
r0 r1 r2 r3: stable at 40
r0 r1 r2 r3: executes 39-41
r0 r1 r2 r3: view 0, executed 41, stable 40, voting

# In the next view its primary is waited for.

mute r0 pre-prepare
submit c0 put i 1 to r0 r1 r2 r3
deliver
pass 5s
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2 r3: enters view 1
r0 r1 r2 r3: executes 42
r0 r1 r2 r3: view 1, executed 42, stable 40, voting

unmute r0
mute r1 pre-prepare to r2 r3
submit c0 put i 2 to r1
deliver
state
----
r0 r1 r2 r3: view 1, executed 42, stable 40, voting

pass 5ms
state
----
r0 r1 r2 r3: executes 43
r0 r1 r2 r3: view 1, executed 43, stable 40, voting
