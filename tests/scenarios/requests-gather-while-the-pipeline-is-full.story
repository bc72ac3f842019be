# A lone request leaves at once; while the pipeline is full requests gather, and leave
# together when a place is free. No timer is involved.

cluster n=4 pipeline=2
repeat 6: submit c0 put a $i to r0
queue to r1
----
r0 -> r1: pre-prepare 1 of view 0 [c0#1 put a 1]
r0 -> r1: pre-prepare 2 of view 0 [c0#2 put a 2]

deliver
order
----
r0 r1 r2 r3: executes 1-3
1 [c0#1 put a 1]
2 [c0#2 put a 2]
3 [c0#3 c0#4 c0#5 c0#6]
