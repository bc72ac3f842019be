# K7: a client that is not listed, and one that signs in another's name.

cluster n=4 clients=2
submit c7 put a 1 to r0
submit c1 put a 1 key=0 to r0
deliver
queue
state
----
r0: refuses UnknownAuthor from a client
r0: refuses BadSignature from a client
r0 r1 r2 r3: view 0, executed 0, stable 0, voting
