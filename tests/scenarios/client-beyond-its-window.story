# § Clients: numbers beyond the window are refused with a clear answer once they are too far;
# those just beyond are parked, since the replica may lag, and refused at execution.

cluster n=4 window=4 bundle=4
submit c0 put a 1 number=9 to r0
deliver
replies c0 9
----
r0: refuses BeyondWindow from a client
r0: refused, the window ends at number 4: acknowledge answers before sending more
not accepted

repeat 4: submit c0 put a $i number=$i to r0
submit c0 put a 5 number=5 to r0
deliver
replies c0 5
order
----
r0 r1 r2 r3: executes 1-5
r0 r1 r2 r3: refused, the window ends at number 4: acknowledge answers before sending more (at 5)
accepted
1 [c0#1 put a 1]
2 [c0#2 put a 2]
3 [c0#3 put a 3]
4 [c0#4 put a 4]
5 [c0#5 put a 5]

submit c0 put a 5 number=5 ack=4 to r0
deliver
replies c0 5
value a
state
----
r0 r1 r2 r3: executes 6
r0 r1 r2 r3: refused, the window ends at number 4: acknowledge answers before sending more (at 5)
r0 r1 r2 r3: put over what 4 wrote at 6
accepted
r0 r1 r2 r3: 5 of 6
r0 r1 r2 r3: view 0, executed 6, stable 0, voting
