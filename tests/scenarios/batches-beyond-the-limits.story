# P14: a batch with more requests than allowed, and empty batches without end. The
# first is refused, and convicts its primary once that proposes another; the others are accepted
# at a bounded rate only.

cluster n=4 batch=2 k=8 l=32
mute r0 all
batch A c0#1 put a 1 , c0#2 put a 2 , c0#3 put a 3
lie r0 pre-prepare A view=0 seq=1 to all
deliver
----
r1 r2 r3: refuses TooLarge from r0

batch F
repeat 30: lie r0 pre-prepare F view=0 seq=$i to r1
deliver
----
r0 r1 r2 r3: has evidence against r0: two pre-prepares
r1: refuses FillUpTooSoon from r0, 14 times
