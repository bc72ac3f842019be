# One client floods the primary while the pipeline is full; the next batches hold one
# bundle of each client in turn, so that the flood keeps nobody waiting.

cluster n=4 pipeline=1 batch=3 clients=3
repeat 8: submit c0 put a $i to r0
submit c1 put b 1 to r0
submit c2 put c 1 to r0
deliver
order
----
r0 r1 r2 r3: executes 1-4
1 [c0#1 put a 1]
2 [c1#1 put b 1, c2#1 put c 1, c0#2 put a 2]
3 [c0#3 put a 3, c0#4 put a 4, c0#5 put a 5]
4 [c0#6 put a 6, c0#7 put a 7, c0#8 put a 8]
