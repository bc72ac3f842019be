# K2: a client sends one request to one replica again and again, and to all. It is
# executed once; who has executed it tells the kept reply.

cluster n=4
submit c0 put a 1 number=1 to r0
submit c0 put a 1 number=1 to r0
submit c0 put a 1 number=1 to all
deliver
submit c0 put a 1 number=1 to all
deliver
order
replies c0 1
value a
----
r0 r1 r2 r3: executes 1
1 [c0#1 put a 1]
r0 r1 r2 r3: put at 1
accepted
r0 r1 r2 r3: 1 of 1

# Once the client acknowledges, the reply is kept no longer.
submit c0 put a 2 number=2 ack=1 to r0
deliver
submit c0 put a 1 number=1 to all
deliver
rejects r0
order
----
r0 r1 r2 r3: executes 2
Duplicate 5
Acknowledged 2
1 [c0#1 put a 1]
2 [c0#2 put a 2]
