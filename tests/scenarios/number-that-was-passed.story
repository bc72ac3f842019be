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
