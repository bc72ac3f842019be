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
