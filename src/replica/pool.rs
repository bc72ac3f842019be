//! The requests that this replica knows and that are not executed (§ Clients, § View
//! change).
//!
//! One structure serves both roles: the primary picks from it, fairly across clients,
//! and a backup waits for what is in it. A place belongs to (client, number), not to
//! bytes: when that number executes, whoever's bytes they were, the place is free.
//!
//! Bound: each listed client has places only for numbers within four times its window above
//! its floor (what lies beyond the first window is parked, since this replica may lag),
//! and only while what waits for it has fewer bytes than a few batches: so the whole
//! holds at most `4 · client_window` bundles a client, and no more than that many bytes
//! and a bundle. What finds no place is not waited for; its client asks again.

use crate::message::Item;
use crate::message::batch::ItemKey;
use crate::types::{ClientId, Instant, Nonce, ReplicaId, RequestNumber, Seq, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Whose item it is: fairness is between owners.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// A replica that recovers.
    Replica(ReplicaId),
    /// A client.
    Client(ClientId),
}

/// An owner's item: a bundle's first number, or a nonce.
type Number = u64;

/// The how-manieth item it was to arrive here. Items are served in this order, so that no
/// item waits for ever behind others of the same owner.
type Arrival = u64;

/// Whose item it is, and its number.
pub(super) fn place(key: ItemKey) -> (Owner, Number) {
    match key {
        ItemKey::Request(client, RequestNumber(number)) => (Owner::Client(client), number),
        ItemKey::Recovery(replica, Nonce(nonce)) => (Owner::Replica(replica), nonce),
    }
}

/// One item that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// What waits.
    pub item: Item,
    /// Since when this replica knows it, in this view.
    pub since: Instant,
    /// Entries up to this number may have been proposed before the primary knew it.
    pub fence: Seq,
    /// Whether the primary had room to propose it when it became known.
    pub had_room: bool,
    proposed: bool,
    arrival: Arrival,
    /// When it was last passed on,
    passed_on: Instant,
    /// and for how long it is not again, unless its client asks.
    pause: Span,
}

/// What waits for one owner.
#[derive(Default)]
struct Queue {
    items: BTreeMap<Number, Waiting>,
    arrived: BTreeMap<Arrival, Number>,
    unproposed: BTreeMap<Arrival, Number>,
    bytes: usize,
}

/// Everything that waits.
pub struct Pool {
    queues: BTreeMap<Owner, Queue>,
    /// Owners that have something not proposed yet.
    ready: BTreeSet<Owner>,
    /// Everything in the order in which it arrived.
    arrived: BTreeMap<Arrival, (Owner, Number)>,
    next: Arrival,
    /// What is not proposed yet, in bytes.
    unproposed_bytes: usize,
    unproposed: usize,
    /// Whose turn was last.
    last_served: Option<Owner>,
    /// An owner with so many bytes waiting gets no more places.
    most_bytes_each: usize,
}

/// A replica keeps at most so many recoveries of one other waiting.
const MOST_RECOVERIES_EACH: usize = 2;

/// So many bytes are passed on at once, or a single item: every backup sends them, and the
/// primary has most of them from their clients.
const MOST_BYTES_PASSED_ON: usize = 1 << 20;

/// What has fewer bytes is small: it need not wait for what is large.
const LARGE: usize = 4 << 10;

impl Pool {
    /// An empty one, in which no owner gets more places once it has so many bytes waiting.
    pub(super) fn new(most_bytes_each: usize) -> Pool {
        Pool {
            queues: BTreeMap::new(),
            ready: BTreeSet::new(),
            arrived: BTreeMap::new(),
            next: 0,
            unproposed_bytes: 0,
            unproposed: 0,
            last_served: None,
            most_bytes_each,
        }
    }

    /// Adds an item, unless its place is taken or its owner has no room. Says whether it
    /// was added.
    pub(super) fn insert(&mut self, item: Item, since: Instant, fence: Seq) -> bool {
        self.insert_seen(item, since, fence, false)
    }

    /// The same, and says whether the primary had room to propose it at once.
    pub(super) fn insert_seen(
        &mut self,
        item: Item,
        since: Instant,
        fence: Seq,
        had_room: bool,
    ) -> bool {
        let (owner, number) = place(item.key());
        if !self.has_room(owner, number) {
            return false;
        }
        let arrival = self.next;
        self.next += 1;
        let queue = self.queues.entry(owner).or_default();
        let bytes = weight(&item);
        queue.bytes += bytes;
        self.unproposed_bytes += bytes;
        self.unproposed += 1;
        queue.arrived.insert(arrival, number);
        queue.unproposed.insert(arrival, number);
        let (proposed, passed_on, pause) = (false, since, Span(0));
        let waiting = Waiting { item, since, fence, had_room, proposed, arrival, passed_on, pause };
        queue.items.insert(number, waiting);
        self.arrived.insert(arrival, (owner, number));
        self.ready.insert(owner);
        true
    }

    fn has_room(&self, owner: Owner, number: Number) -> bool {
        let Some(queue) = self.queues.get(&owner) else { return true };
        let is_full = match owner {
            Owner::Replica(_) => queue.items.len() >= MOST_RECOVERIES_EACH,
            Owner::Client(_) => queue.bytes >= self.most_bytes_each,
        };
        !is_full && !queue.items.contains_key(&number)
    }

    /// How many items wait.
    pub(super) fn held(&self) -> usize {
        self.arrived.len()
    }

    /// How many have something that waits.
    pub(super) fn owners(&self) -> usize {
        self.queues.len()
    }

    /// Whether this one has.
    pub(super) fn has(&self, owner: Owner) -> bool {
        self.queues.contains_key(&owner)
    }

    /// How many have something that is not proposed yet.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// How much is not proposed yet, in items and in bytes.
    pub(super) fn backlog(&self) -> (usize, usize) {
        (self.unproposed, self.unproposed_bytes)
    }

    /// Picks items for a batch: one of each owner in turn, until the batch is full.
    pub(super) fn pick(&mut self, most_items: usize, most_bytes: usize) -> Vec<Item> {
        let mut picked = Vec::new();
        let mut bytes = 0;
        while picked.len() < most_items {
            let Some(owner) = self.next_owner() else { break };
            let queue = self.queues.get_mut(&owner).expect("who is ready has a queue");
            let number = *queue.unproposed.values().next().expect("who is ready has something");
            let waiting = queue.items.get(&number).expect("what is unproposed is there");
            bytes += weight(&waiting.item);
            if bytes > most_bytes && !picked.is_empty() {
                break;
            }
            picked.push(waiting.item.clone());
            self.set_proposed(owner, number);
            self.last_served = Some(owner);
        }
        picked
    }

    fn next_owner(&self) -> Option<Owner> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self
            .last_served
            .and_then(|last| self.ready.range((Excluded(last), Unbounded)).next().copied());
        after.or_else(|| self.ready.first().copied())
    }

    /// Marks what is in a batch that somebody proposed, so that it isn't proposed again.
    pub(super) fn mark_proposed(&mut self, key: ItemKey) {
        let (owner, number) = place(key);
        self.set_proposed(owner, number);
    }

    fn set_proposed(&mut self, owner: Owner, number: Number) {
        let Some(queue) = self.queues.get_mut(&owner) else { return };
        let Some(waiting) = queue.items.get_mut(&number) else { return };
        if !waiting.proposed {
            waiting.proposed = true;
            self.unproposed_bytes -= weight(&waiting.item);
            self.unproposed -= 1;
        }
        queue.unproposed.remove(&waiting.arrival);
        if queue.unproposed.is_empty() {
            self.ready.remove(&owner);
        }
    }

    /// A new view: nothing is proposed yet, and every wait starts anew.
    pub(super) fn start_anew(&mut self, now: Instant, fence: Seq) {
        self.forget_proposed();
        for waiting in self.queues.values_mut().flat_map(|queue| queue.items.values_mut()) {
            waiting.since = now;
            waiting.fence = fence;
            waiting.had_room = false;
            (waiting.passed_on, waiting.pause) = (now, Span(0));
        }
    }

    /// Nothing is proposed.
    pub(super) fn forget_proposed(&mut self) {
        self.unproposed = self.arrived.len();
        self.unproposed_bytes = self.queues.values().map(|queue| queue.bytes).sum();
        for (owner, queue) in &mut self.queues {
            queue.items.values_mut().for_each(|waiting| waiting.proposed = false);
            queue.unproposed = queue.arrived.clone();
            self.ready.insert(*owner);
        }
    }

    /// An item executed, or failed at execution: its wait ends. Says whether anything
    /// waited for it.
    pub(super) fn executed(&mut self, key: ItemKey) -> bool {
        let (owner, number) = place(key);
        self.remove(owner, number)
    }

    fn remove(&mut self, owner: Owner, number: Number) -> bool {
        let Some(queue) = self.queues.get_mut(&owner) else { return false };
        let Some(waiting) = queue.items.remove(&number) else { return false };
        let bytes = weight(&waiting.item);
        queue.bytes -= bytes;
        if !waiting.proposed {
            self.unproposed_bytes -= bytes;
            self.unproposed -= 1;
        }
        queue.arrived.remove(&waiting.arrival);
        queue.unproposed.remove(&waiting.arrival);
        self.arrived.remove(&waiting.arrival);
        if queue.unproposed.is_empty() {
            self.ready.remove(&owner);
        }
        if queue.items.is_empty() {
            self.queues.remove(&owner);
        }
        true
    }

    /// Numbers of a client executed. Ends every wait that this settles: for a bundle that
    /// uses none but numbers at or below the floor, or executed. Bundles have at most
    /// `longest` numbers, so only those nearby are looked at.
    pub(super) fn settle(
        &mut self,
        client: ClientId,
        floor: RequestNumber,
        executed: RangeInclusive<Number>,
        longest: u64,
        is_open: impl Fn(RequestNumber) -> bool,
    ) {
        let owner = Owner::Client(client);
        let Some(queue) = self.queues.get(&owner) else { return };
        let from = executed.start().saturating_sub(longest);
        let below = queue.items.range(..=floor.0);
        let nearby = queue.items.range(from..=(*executed.end()).max(from));
        let settled: BTreeSet<Number> = below
            .chain(nearby)
            .filter(|(first, waiting)| is_settled(**first, waiting, floor, &is_open))
            .map(|(first, _)| *first)
            .collect();
        for number in settled {
            self.remove(owner, number);
        }
    }

    /// The same for everything of a client, after a jump over entries.
    pub(super) fn settle_all(
        &mut self,
        client: ClientId,
        floor: RequestNumber,
        is_open: impl Fn(RequestNumber) -> bool,
    ) {
        self.settle(client, floor, 0..=u64::MAX, 0, is_open);
    }

    /// Ends every wait for a recovery whose command was taken.
    pub(super) fn settle_recoveries(&mut self, is_taken: impl Fn(ReplicaId, Nonce) -> bool) {
        let waiting = self.arrived.values().copied();
        let taken: Vec<(Owner, Number)> = waiting
            .filter(|(owner, number)| match owner {
                Owner::Replica(replica) => is_taken(*replica, Nonce(*number)),
                Owner::Client(_) => false,
            })
            .collect();
        for (owner, number) in taken {
            self.remove(owner, number);
        }
    }

    /// Since when an item is known that the primary had room for and has not proposed.
    pub(super) fn known_with_room(&self, key: ItemKey) -> Option<Instant> {
        let (owner, number) = place(key);
        let waiting = self.queues.get(&owner)?.items.get(&number)?;
        (waiting.had_room && !waiting.proposed).then_some(waiting.since)
    }

    /// Since when the longest waiting item waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let (owner, number) = self.arrived.values().next()?;
        self.queues.get(owner)?.items.get(number).map(|waiting| waiting.since)
    }

    /// Each owner's longest waiting item.
    pub(super) fn oldest_of_each(&self) -> impl Iterator<Item = (Owner, &Waiting)> {
        self.queues.iter().filter_map(|(owner, queue)| {
            let oldest = queue.arrived.values().next()?;
            Some((*owner, queue.items.get(oldest)?))
        })
    }

    /// What a new primary is told of: each owner's longest waiting items, so many of them,
    /// in turns, as much as is passed on at once. Each replica begins with another owner.
    pub(super) fn earliest_of_each(&self, most: usize, beginning: usize) -> Vec<Item> {
        let mut turns: Vec<_> =
            self.queues.values().map(|queue| (queue, queue.arrived.values().take(most))).collect();
        rotate(&mut turns, beginning);
        let mut load = Load::default();
        let mut items = Vec::new();
        while !turns.is_empty() {
            turns.retain_mut(|(queue, numbers)| {
                let waiting = numbers.next().and_then(|number| queue.items.get(number));
                let taken = waiting.filter(|waiting| load.takes(&waiting.item));
                items.extend(taken.map(|waiting| waiting.item.clone()));
                waiting.is_some()
            });
        }
        items
    }

    /// Whether a proposal holds it that was not executed.
    pub(super) fn is_proposed(&self, key: ItemKey) -> bool {
        let (owner, number) = place(key);
        let waiting = self.queues.get(&owner).and_then(|queue| queue.items.get(&number));
        waiting.is_some_and(|waiting| waiting.proposed)
    }

    /// Whether an item that waits may be passed on once more for its client's repetition:
    /// not twice within such a time, and not if it is proposed, for then the primary has it.
    pub(super) fn may_pass_on(&mut self, key: ItemKey, now: Instant, interval: Span) -> bool {
        let (owner, number) = place(key);
        let queue = self.queues.get_mut(&owner);
        let waiting = queue.and_then(|queue| queue.items.get_mut(&number));
        let waiting =
            waiting.filter(|waiting| !waiting.proposed && waiting.passed_on.plus(interval) <= now);
        waiting.map(|waiting| waiting.passed_on = now).is_some()
    }

    /// What is to be passed on again though no client asks for it: of each owner what waits
    /// longest and is not proposed, as much as is passed on at once. What is large each time
    /// after twice the time, for it may wait at the primary as well, up to the longest. Of
    /// those that are due since the same time, each replica begins with another.
    pub(super) fn due_to_pass_on(
        &mut self,
        now: Instant,
        interval: Span,
        longest: Span,
        beginning: usize,
    ) -> Vec<Item> {
        let first = |owner: &Owner| -> Option<(Instant, Owner, Number)> {
            let queue = self.queues.get(owner)?;
            let number = queue.unproposed.values().next()?;
            let waiting = queue.items.get(number)?;
            let is_due = waiting.passed_on.plus(waiting.pause.max(interval)) <= now;
            is_due.then_some((waiting.passed_on, *owner, *number))
        };
        let mut due: Vec<(Instant, Owner, Number)> = self.ready.iter().filter_map(first).collect();
        rotate(&mut due, beginning);
        due.sort_by_key(|(passed_on, ..)| *passed_on);
        let mut load = Load::default();
        let mut items = Vec::new();
        for (_, owner, number) in due {
            let queue = self.queues.get_mut(&owner);
            let waiting = queue.and_then(|queue| queue.items.get_mut(&number));
            let waiting = waiting.expect("it was there just now");
            if load.takes(&waiting.item) {
                waiting.passed_on = now;
                if is_large(&waiting.item) {
                    waiting.pause = waiting.pause.max(interval).times(2).min(longest);
                }
                items.push(waiting.item.clone());
            }
        }
        items
    }

    /// The lowest of the fences, if anything waits.
    pub(super) fn lowest_fence(&self) -> Option<Seq> {
        let items = self.queues.values().flat_map(|queue| queue.items.values());
        items.map(|waiting| waiting.fence).min()
    }
}

/// What is passed on at once.
#[derive(Default)]
struct Load {
    bytes: usize,
}

impl Load {
    /// Whether this item is passed on with the rest.
    fn takes(&mut self, item: &Item) -> bool {
        let bytes = if is_large(item) { weight(item) } else { 0 };
        let fits = self.bytes == 0 || self.bytes + bytes <= MOST_BYTES_PASSED_ON;
        if fits {
            self.bytes += bytes;
        }
        fits || bytes == 0
    }
}

fn is_large(item: &Item) -> bool {
    weight(item) >= LARGE
}

/// Begins elsewhere.
fn rotate<T>(all: &mut [T], beginning: usize) {
    if !all.is_empty() {
        all.rotate_left(beginning % all.len());
    }
}

fn is_settled(
    first: Number,
    waiting: &Waiting,
    floor: RequestNumber,
    is_open: impl Fn(RequestNumber) -> bool,
) -> bool {
    let last = waiting.item.last();
    last <= floor.0 || !(first.max(floor.0)..=last).map(RequestNumber).any(is_open)
}

/// The bytes that an item takes in a batch, at most.
fn weight(item: &Item) -> usize {
    /// Ids, numbers, lengths and the signature.
    const FIXED: usize = 128;
    match item {
        Item::Request(request) => {
            FIXED + request.body.operations.iter().map(|one| one.len() + 8).sum::<usize>()
        }
        Item::Recovery(_) => FIXED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{ClusterId, SecretKey};
    use crate::message::{RecoveryRequest, Request, Signed};
    use crate::types::Digest;
    use crate::wire::Blob;

    const ANNA: ClientId = ClientId(0);
    const BERT: ClientId = ClientId(1);

    fn bundle(client: ClientId, first: u64, operations: &[&[u8]]) -> Item {
        let body = Request {
            client,
            first: RequestNumber(first),
            acknowledged: RequestNumber(0),
            operations: operations.iter().map(|one| Blob::from(*one)).collect(),
        };
        let key = SecretKey::from_seed(&[1; 32]);
        Item::Request(Signed::sign(body, &ClusterId(Digest::default()), &key))
    }

    fn recovery(nonce: u64) -> Item {
        let body = RecoveryRequest { replica: ReplicaId(3), nonce: Nonce(nonce) };
        let key = SecretKey::from_seed(&[1; 32]);
        Item::Recovery(Signed::sign(body, &ClusterId(Digest::default()), &key))
    }

    fn add(pool: &mut Pool, item: Item, since: u64) -> bool {
        pool.insert(item, Instant(since), Seq(0))
    }

    fn numbers(pool: &mut Pool) -> Vec<(Owner, Number)> {
        pool.pick(100, usize::MAX).iter().map(|item| place(item.key())).collect()
    }

    #[test]
    fn owners_take_turns_and_each_is_served_as_its_requests_came() {
        let mut pool = Pool::new(usize::MAX);
        for first in [7, 3, 5] {
            assert!(add(&mut pool, bundle(ANNA, first, &[b"x"]), first));
        }
        assert!(add(&mut pool, bundle(BERT, 1, &[b"x"]), 9));
        let (anna, bert) = (Owner::Client(ANNA), Owner::Client(BERT));
        assert_eq!(numbers(&mut pool), [(anna, 7), (bert, 1), (anna, 3), (anna, 5)]);
        assert_eq!(numbers(&mut pool), []);
        pool.start_anew(Instant(20), Seq(4));
        assert_eq!(numbers(&mut pool), [(bert, 1), (anna, 7), (anna, 3), (anna, 5)]);
        assert_eq!(pool.lowest_fence(), Some(Seq(4)));
    }

    /// K6: one client with the largest bundles under every number fills no memory.
    #[test]
    fn whoever_has_much_waiting_gets_no_more_places_until_it_is_served() {
        let mut pool = Pool::new(1_000);
        let large = [7; 400];
        let taken = (1..=100).filter(|first| add(&mut pool, bundle(ANNA, *first, &[&large]), 1));
        assert_eq!(taken.count(), 2);
        assert!(add(&mut pool, bundle(BERT, 1, &[&large]), 1), "nobody else has less room");
        assert_eq!(pool.backlog().0, 3);
        assert!(pool.executed(bundle(ANNA, 1, &[b"x"]).key()));
        assert!(add(&mut pool, bundle(ANNA, 9, &[&large]), 1));
        assert_eq!(pool.held(), 3);
        assert_eq!(numbers(&mut pool).len(), 3);
        assert_eq!(pool.backlog(), (0, 0));
        pool.start_anew(Instant(2), Seq(0));
        assert_eq!(pool.backlog().0, 3);
    }

    fn passed_on(pool: &mut Pool, now: u64) -> Vec<(Owner, Number)> {
        let due = pool.due_to_pass_on(Instant(now), Span(100), Span(700), 0);
        due.iter().map(|item| place(item.key())).collect()
    }

    /// What waits longest of each is passed on each time; if it is large after the time, twice
    /// that and so on; and not once it is proposed.
    #[test]
    fn what_is_large_and_not_proposed_is_passed_on_more_and_more_rarely() {
        let mut pool = Pool::new(usize::MAX);
        add(&mut pool, bundle(BERT, 1, &[b"x"]), 0);
        let times = (0..350).filter(|now| !passed_on(&mut pool, *now).is_empty());
        assert_eq!(times.collect::<Vec<_>>(), [100, 200, 300]);
        pool.executed(bundle(BERT, 1, &[b"x"]).key());
        let (first, second) = (bundle(ANNA, 1, &[&[7; LARGE]]), bundle(ANNA, 2, &[b"x"]));
        add(&mut pool, first.clone(), 1_000);
        add(&mut pool, second, 1_000);
        let times = (1_000..3_000).filter(|now| !passed_on(&mut pool, *now).is_empty());
        assert_eq!(times.collect::<Vec<_>>(), [1_100, 1_300, 1_700, 2_400]);
        pool.mark_proposed(first.key());
        assert_eq!(passed_on(&mut pool, 3_000), [(Owner::Client(ANNA), 2)]);
        assert!(!pool.may_pass_on(first.key(), Instant(9_000), Span(100)));
        pool.start_anew(Instant(9_000), Seq(0));
        assert_eq!(passed_on(&mut pool, 9_099), []);
        assert_eq!(passed_on(&mut pool, 9_100), [(Owner::Client(ANNA), 1)]);
    }

    /// Not everything that is large goes at once, and whoever was left out is next.
    #[test]
    fn what_is_large_is_passed_on_in_turns() {
        let mut pool = Pool::new(usize::MAX);
        let large = vec![7; MOST_BYTES_PASSED_ON];
        for client in [ANNA, BERT] {
            add(&mut pool, bundle(client, 1, &[&large]), 1);
            add(&mut pool, bundle(client, 2, &[b"x"]), 1);
        }
        let (anna, bert) = (Owner::Client(ANNA), Owner::Client(BERT));
        let told = |beginning| -> Vec<_> {
            let told = pool.earliest_of_each(9, beginning);
            told.iter().map(|item| place(item.key())).collect()
        };
        assert_eq!(told(0), [(anna, 1), (anna, 2), (bert, 2)], "what is small goes along");
        assert_eq!(told(3), [(bert, 1), (bert, 2), (anna, 2)], "another begins elsewhere");
        assert_eq!(passed_on(&mut pool, 101), [(anna, 1)]);
        assert_eq!(passed_on(&mut pool, 102), [(bert, 1)]);
        assert_eq!(passed_on(&mut pool, 103), []);
    }

    #[test]
    fn a_recovery_does_not_displace_those_that_wait() {
        let mut pool = Pool::new(usize::MAX);
        assert!(add(&mut pool, recovery(5), 1));
        assert!(add(&mut pool, recovery(6), 1));
        assert!(!add(&mut pool, recovery(7), 1));
        pool.settle_recoveries(|_, nonce| nonce == Nonce(5));
        assert!(add(&mut pool, recovery(7), 1));
    }

    #[test]
    fn a_bundle_waits_until_each_of_its_numbers_is_settled() {
        let mut pool = Pool::new(usize::MAX);
        add(&mut pool, bundle(ANNA, 5, &[b"a", b"b", b"c"]), 1);
        add(&mut pool, bundle(ANNA, 6, &[b"d"]), 2);
        add(&mut pool, bundle(ANNA, 20, &[b"e"]), 3);
        let executed = |pool: &mut Pool, floor, through: RangeInclusive<u64>| {
            pool.settle(ANNA, RequestNumber(floor), through.clone(), 3, |number| {
                number.0 > *through.end()
            });
            pool.held()
        };
        assert_eq!(executed(&mut pool, 0, 4..=6), 2, "7 of the first is open");
        assert_eq!(executed(&mut pool, 0, 7..=7), 1);
        assert_eq!(executed(&mut pool, 20, 30..=30), 0, "acknowledged past");
        assert_eq!(pool.oldest(), None);
    }

    #[test]
    fn the_longest_waiting_is_known_at_once() {
        let mut pool = Pool::new(usize::MAX);
        add(&mut pool, bundle(BERT, 9, &[b"x"]), 1);
        add(&mut pool, bundle(ANNA, 2, &[b"x"]), 2);
        add(&mut pool, bundle(BERT, 1, &[b"x"]), 3);
        assert_eq!(pool.oldest(), Some(Instant(1)));
        let oldest: Vec<Instant> =
            pool.oldest_of_each().map(|(_, waiting)| waiting.since).collect();
        assert_eq!(oldest, [Instant(2), Instant(1)]);
        pool.executed(bundle(BERT, 9, &[b"x"]).key());
        assert_eq!(pool.oldest(), Some(Instant(2)));
    }
}
