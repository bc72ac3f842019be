# N1: each message is delivered twice, and the last one first. The order that comes of it
# is one order, and nothing executes twice.

cluster n=4
repeat 4: submit c0 put a $i to all ; submit c1 put b $i to all
repeat 30: duplicate ; reverse ; deliver count=6 pre-prepare ; deliver count=20 commit ; deliver count=20 prepare ; deliver count=6 relay ; drop relay to r0
deliver
state
agree
----


