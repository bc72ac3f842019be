# § Clients: a client whose window was full when it lost count acknowledges a window above
# what was executed, and goes on after that. What it acknowledges itself counts at the door,
# as it does at execution.

cluster n=4 window=4 bundle=4
repeat 4: submit c0 put a $i number=$i to r0
deliver
submit c0 put b 1 number=9 ack=8 to all
deliver
order
replies c0 9
----
r0 r1 r2 r3: executes 1-5
1 [c0#1 put a 1]
2 [c0#2 put a 2]
3 [c0#3 put a 3]
4 [c0#4 put a 4]
5 [c0#9 put b 1]
r0 r1 r2 r3: put at 5
accepted
