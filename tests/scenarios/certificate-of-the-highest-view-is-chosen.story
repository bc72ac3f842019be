# V6, § View change: r3 alone holds a certificate of view 0 for number 1; in view 1, which
# started without r3, another batch was prepared there. View 2 gets both certificates.
# An opening with the one of the lower view is refused; the one of view 1 is chosen.

cluster n=4
lose prepare to r0 r1 r2
lose relay
submit c0 put a 1 to r0
submit c1 put b 1 to r1 r2 r3
deliver
partition r0 r1 r2 | r3
pass 1050ms
log r3
state
----
r1 r2 r3: asks for view 1: NothingExecuted
r0: asks for view 1: Joined
r0 r1 r2: enters view 1
prepare 1 of view 0 [c0#1 put a 1]
prepared 1 of view 0 [c0#1 put a 1]
view-change to 1, stable 0, prepared 1 of view 0
r0 r1 r2: view 1, executed 0, stable 0, voting
r3: view 1 wanted, executed 0, stable 0, voting

heal
partition r0 r1 r2 | r3
lose commit
pass 500ms
state
log r2
----
r0 r1 r2: view 1, executed 0, stable 0, voting
r3: view 1 wanted, executed 0, stable 0, voting
prepare 1 of view 0 [c0#1 put a 1]
view-change to 1, stable 0, prepared nothing
new-view 1
prepare 1 of view 1 [c0#1 put a 1, c1#1 put b 1]
prepared 1 of view 1 [c0#1 put a 1, c1#1 put b 1]

# r0 falls and r3 is back, but prepares nothing in view 1. r2 is to open view 2, and tells
# the others the lower certificate.
crash r0
heal
lose commit
lose prepare to r3
mute r2 new-view
pass 2500ms
log r3
state
----
r3: enters view 1
r2 r3: asks for view 2: NothingExecuted
r1: asks for view 2: Joined
r2: enters view 2
prepare 1 of view 0 [c0#1 put a 1]
prepared 1 of view 0 [c0#1 put a 1]
view-change to 1, stable 0, prepared 1 of view 0
new-view 1
prepare 1 of view 1 [c0#1 put a 1, c1#1 put b 1]
view-change to 2, stable 0, prepared 1 of view 0
r0: down
r1 r3: view 2 wanted, executed 0, stable 0, voting
r2: view 2, executed 0, stable 0, voting

lie r2 new-view view=2 how=other with=#1 from r1 r2 r3 to r1 r3
deliver
----
r1 r3: refuses BadNewView from r2

heal
unmute r2
pass 3s
order
state
----
r1 r3: enters view 2
r1 r2 r3: executes 1
1 [c0#1 put a 1, c1#1 put b 1]
r0: down
r1 r2 r3: view 2, executed 1, stable 0, voting
