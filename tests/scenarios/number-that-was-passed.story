# K2, K3: a client whose number lies below what it acknowledged elsewhere, by another session
# with its key, is told so: nothing comes of that number any more.

cluster n=4
submit c0 put a 1 number=9 ack=8 to r0
deliver
submit c0 put a 2 number=5 to all
deliver
replies c0 5
rejects r1
order
----
r0 r1 r2 r3: executes 1
r0 r1 r2 r3: refused, another session with this client's key has gone past this number: does somebody else use the key, or are requests of an earlier session still under way?
accepted
Acknowledged 1
1 [c0#9 put a 1]
