# § Stable storage and recovery: r2 prepared one batch and restarts. The primary, a liar,
# now proposes another under the same number: r2 still knows what it promised.

cluster n=4
mute r0 all
batch A c0#1 put a 1
batch B c0#1 put a 2
lie r0 pre-prepare A view=0 seq=1 to r2
deliver
crash r2
restart r2
deliver start-query
deliver start-answer to r2
unmute r0
pass 50ms
lie r0 pre-prepare B view=0 seq=1 to r2
deliver
log r2
rejects r2
----
r2: may vote
r2: refuses Conflict from r0
prepare 1 of view 0 [c0#1 put a 1]
Conflict 1
