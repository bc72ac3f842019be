//! The requests that this replica knows and that are not executed (§ Clients, § View
//! change).
//!
//! One structure serves both roles: the primary picks from it, fairly across clients,
//! and a backup waits for what is in it. A place belongs to (client, number), not to
//! bytes: when that number executes, whoever's bytes they were, the place is free.
//!
//! Bound: each listed client has places only for numbers within twice its window above
//! its floor (what lies beyond the first window is parked, since this replica may lag),
//! so the whole holds at most `2 · client_window` bundles a client.

use crate::message::Item;
use crate::message::batch::ItemKey;
use crate::types::{ClientId, Instant, Nonce, ReplicaId, RequestNumber, Seq};
use std::collections::{BTreeMap, BTreeSet};

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

fn place(key: ItemKey) -> (Owner, Number) {
    match key {
        ItemKey::Request(client, RequestNumber(number)) => (Owner::Client(client), number),
        ItemKey::Recovery(replica, Nonce(nonce)) => (Owner::Replica(replica), nonce),
    }
}

/// The last number that an item uses.
fn last_number(item: &Item) -> Number {
    match item {
        Item::Request(request) => request.body.last().map_or(u64::MAX, |number| number.0),
        Item::Recovery(recovery) => recovery.body.nonce.0,
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
}

/// What waits for one owner.
#[derive(Default)]
struct Queue {
    items: BTreeMap<Number, Waiting>,
    unproposed: BTreeSet<Number>,
    /// Bundles of this owner executed behind some other owner's fence; see `Pool::unfair`.
    served: BTreeMap<Seq, u64>,
}

/// Everything that waits.
#[derive(Default)]
pub struct Pool {
    queues: BTreeMap<Owner, Queue>,
    /// Owners that have something not proposed yet.
    ready: BTreeSet<Owner>,
    /// Whose turn was last.
    last_served: Option<Owner>,
}

/// A replica keeps at most so many recoveries of one other waiting: the newest.
const MOST_RECOVERIES_EACH: usize = 2;

impl Pool {
    /// Adds an item, unless its place is taken. Says whether it was new.
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
        let queue = self.queues.entry(owner).or_default();
        if queue.items.contains_key(&number) {
            return false;
        }
        if matches!(owner, Owner::Replica(_)) && queue.items.len() >= MOST_RECOVERIES_EACH {
            let oldest = queue.items.iter().min_by_key(|(_, one)| one.since).map(|(at, _)| *at);
            oldest.into_iter().for_each(|at| queue.remove(at));
        }
        queue.items.insert(number, Waiting { item, since, fence, had_room, proposed: false });
        queue.unproposed.insert(number);
        self.ready.insert(owner);
        true
    }

    /// How many items wait.
    pub(super) fn held(&self) -> usize {
        self.queues.values().map(|queue| queue.items.len()).sum()
    }

    /// Picks items for a batch: one of each owner in turn, until the batch is full.
    pub(super) fn pick(&mut self, most_items: usize, most_bytes: usize) -> Vec<Item> {
        let mut picked = Vec::new();
        let mut bytes = 0;
        while picked.len() < most_items {
            let Some(owner) = self.next_owner() else { break };
            let queue = self.queues.get_mut(&owner).expect("who is ready has a queue");
            let number = *queue.unproposed.first().expect("who is ready has something");
            let waiting = queue.items.get_mut(&number).expect("what is unproposed is there");
            bytes += weight(&waiting.item);
            if bytes > most_bytes && !picked.is_empty() {
                break;
            }
            waiting.proposed = true;
            picked.push(waiting.item.clone());
            queue.unproposed.remove(&number);
            if queue.unproposed.is_empty() {
                self.ready.remove(&owner);
            }
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
    pub(super) fn mark_proposed(&mut self, item: &Item) {
        let (owner, number) = place(item.key());
        if let Some(queue) = self.queues.get_mut(&owner)
            && let Some(waiting) = queue.items.get_mut(&number)
        {
            waiting.proposed = true;
            queue.unproposed.remove(&number);
            if queue.unproposed.is_empty() {
                self.ready.remove(&owner);
            }
        }
    }

    /// A new view: nothing is proposed yet, and every wait starts anew.
    pub(super) fn start_anew(&mut self, now: Instant, fence: Seq) {
        for (owner, queue) in &mut self.queues {
            for waiting in queue.items.values_mut() {
                waiting.since = now;
                waiting.fence = fence;
                waiting.had_room = false;
                waiting.proposed = false;
            }
            queue.unproposed = queue.items.keys().copied().collect();
            queue.served.clear();
            if !queue.unproposed.is_empty() {
                self.ready.insert(*owner);
            }
        }
    }

    /// An item executed, or failed at execution: its wait ends, and so does every wait
    /// for numbers that are settled. Says whether anything waited for it.
    pub(super) fn executed(&mut self, key: ItemKey, at: Seq) -> bool {
        let (owner, number) = place(key);
        let queue = self.queues.entry(owner).or_default();
        let waited = queue.items.contains_key(&number);
        queue.remove(number);
        *queue.served.entry(at).or_default() += 1;
        if queue.unproposed.is_empty() {
            self.ready.remove(&owner);
        }
        waited
    }

    /// Ends every wait of a client whose numbers are all settled: at or below the floor,
    /// or executed.
    pub(super) fn settle(&mut self, client: ClientId, is_open: impl Fn(RequestNumber) -> bool) {
        let owner = Owner::Client(client);
        let Some(queue) = self.queues.get_mut(&owner) else { return };
        let settled: Vec<Number> = queue
            .items
            .iter()
            .filter(|(first, waiting)| {
                !(**first..=last_number(&waiting.item)).map(RequestNumber).any(&is_open)
            })
            .map(|(first, _)| *first)
            .collect();
        settled.into_iter().for_each(|number| queue.remove(number));
        if queue.unproposed.is_empty() {
            self.ready.remove(&owner);
        }
    }

    /// Ends every wait for a recovery that was taken already.
    pub(super) fn settle_recoveries(
        &mut self,
        replica: ReplicaId,
        is_taken: impl Fn(Nonce) -> bool,
    ) {
        let owner = Owner::Replica(replica);
        let Some(queue) = self.queues.get_mut(&owner) else { return };
        let taken: Vec<Number> =
            queue.items.keys().copied().filter(|nonce| is_taken(Nonce(*nonce))).collect();
        taken.into_iter().for_each(|nonce| queue.remove(nonce));
        if queue.unproposed.is_empty() {
            self.ready.remove(&owner);
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
        self.oldest_of_each().map(|(_, waiting)| waiting.since).min()
    }

    /// Each owner's longest waiting item.
    pub(super) fn oldest_of_each(&self) -> impl Iterator<Item = (Owner, &Waiting)> {
        self.queues.iter().filter_map(|(owner, queue)| {
            let oldest = queue.items.values().min_by_key(|waiting| waiting.since)?;
            Some((*owner, oldest))
        })
    }

    /// Whether an owner was passed over: since its item became known here, behind the
    /// entries that the primary may have proposed before, other owners were served more
    /// than once each (§ View change: one fair round).
    pub(super) fn is_passed_over(&self, owner: Owner, waiting: &Waiting) -> bool {
        let mut owners = 0;
        let mut bundles = 0;
        for (other, queue) in &self.queues {
            let served: u64 =
                queue.served.range(waiting.fence.next()..).map(|(_, count)| count).sum();
            if *other != owner && served > 0 {
                owners += 1;
                bundles += served;
            }
        }
        bundles > owners
    }

    /// Forgets service that lies before every fence, and queues that hold nothing.
    pub(super) fn trim(&mut self) {
        let lowest = self.queues.values().flat_map(|queue| queue.items.values());
        let lowest = lowest.map(|waiting| waiting.fence).min();
        for queue in self.queues.values_mut() {
            match lowest {
                Some(fence) => queue.served = queue.served.split_off(&fence.next()),
                None => queue.served.clear(),
            }
        }
        self.queues.retain(|_, queue| !queue.items.is_empty() || !queue.served.is_empty());
    }
}

impl Queue {
    fn remove(&mut self, number: Number) {
        self.items.remove(&number);
        self.unproposed.remove(&number);
    }
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
