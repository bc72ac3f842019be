//! The clients' sessions (§ Clients), and how they lie in the tree.
//!
//! One record per client, and one per kept reply, so that what is written does not depend on
//! the window. Numbers are written with the most significant byte first: the tree's order is
//! theirs, and the replies of one client lie side by side.
//!
//! | key | value |
//! | --- | --- |
//! | `01 client(4)` | floor(8), highest(8), bytes of kept results(8) |
//! | `01 client(4) number(8)` | the [`Kept`] reply |
//!
//! A client without a record has the session that every client begins with.
//!
//! Most replies are acknowledged long before the next checkpoint, and nobody needs them in the
//! tree before that. So what is new is kept beside it, and written when the state is sealed, with
//! the number at which that is: a tree of any number before is an earlier state of the later one,
//! and lacks nothing that bears a number up to its own. What the tree has and is acknowledged is
//! removed at once.

use super::data::{SESSIONS, key_in};
use super::tree::{KeyRange, Tree};
use crate::types::{ClientId, Digest, RequestNumber, Seq};
use crate::wire::{self, Blob, MOST_BYTES};
use bincode::{Decode, Encode};
use std::collections::BTreeMap;

/// So many numbers are tried one by one, without asking which of them there are.
const FEW: u64 = 64;

/// What is kept of an operation that was executed, until the client acknowledges it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Kept {
    /// The digest of the operation that was executed under this number: of several, the
    /// one that was ordered first.
    pub operation: Digest,
    /// The number at which it was executed.
    pub seq: Seq,
    /// Its result, in the service's own encoding.
    pub result: Blob,
}

/// Where one client stands, as it is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Standing {
    /// All numbers at or below are acknowledged; nothing of them is kept.
    pub(super) floor: RequestNumber,
    /// The highest number that was ever executed.
    pub(super) highest: RequestNumber,
    /// The bytes of the kept results.
    pub(super) kept_bytes: u64,
}

/// One client's session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    standing: Standing,
    /// What the tree says.
    written: Standing,
    /// The kept replies that the tree does not have.
    fresh: BTreeMap<RequestNumber, Kept>,
}

impl Session {
    /// The session of this client, as the tree has it.
    pub(super) fn load(tree: &Tree, client: ClientId) -> Session {
        let Some(entry) = tree.get(&session_key(client)) else {
            return Session::default();
        };
        let standing = wire::decode(&entry.value, MOST_BYTES);
        let standing = standing.expect("sessions are written by this module alone");
        Session { standing, written: standing, fresh: BTreeMap::new() }
    }

    /// Where the client stands.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Writes what the tree does not have.
    pub(super) fn seal(&mut self, tree: &mut Tree, client: ClientId, seq: Seq) {
        for (number, kept) in std::mem::take(&mut self.fresh) {
            tree.put(&kept_key(client, number), wire::encode(&kept).into(), seq);
        }
        if self.standing != self.written {
            tree.put(&session_key(client), wire::encode(&self.standing).into(), seq);
            self.written = self.standing;
        }
    }

    /// The last number that the window reaches: `window` above the floor, or where
    /// numbers end.
    pub(super) fn window_end(&self, window: u64) -> RequestNumber {
        RequestNumber(self.standing.floor.0.saturating_add(window))
    }

    /// The highest number that the client may acknowledge: `window` above what was
    /// executed. A client never has more under way that it could have given up on.
    pub(super) fn acknowledgeable(&self, window: u64) -> RequestNumber {
        RequestNumber(self.standing.highest.0.saturating_add(window))
    }

    /// Raises the floor, and drops the replies kept at or below it. Costs what was kept
    /// there, however far the floor rises. A floor never sinks.
    pub(super) fn acknowledge(
        &mut self,
        tree: &mut Tree,
        client: ClientId,
        up_to: RequestNumber,
        seq: Seq,
    ) {
        if up_to <= self.standing.floor {
            return;
        }
        for key in self.written_through(tree, client, up_to) {
            if let Some(kept) = tree.remove(&key, seq) {
                self.standing.kept_bytes -= read_kept(&kept).result.len() as u64;
            }
        }
        while let Some(first) = self.fresh.first_entry().filter(|first| *first.key() <= up_to) {
            self.standing.kept_bytes -= first.remove().result.len() as u64;
        }
        self.standing.floor = up_to;
    }

    /// The keys of the replies that the tree may have up to a number. Of few, each is tried; of
    /// many it is looked up which there are.
    fn written_through(&self, tree: &Tree, client: ClientId, last: RequestNumber) -> Vec<Vec<u8>> {
        let (floor, last) = (self.standing.floor, last.min(self.written.highest));
        if last.0.saturating_sub(floor.0) <= FEW {
            let numbers = (floor.0 + 1..=last.0).map(RequestNumber);
            return numbers.map(|number| kept_key(client, number)).collect();
        }
        let from = kept_key(client, floor).into();
        let until = KeyRange::single(&kept_key(client, last)).until;
        tree.range(&KeyRange { from, until }).map(|(key, _)| key.to_vec()).collect()
    }

    /// The reply that is kept for this number.
    pub(super) fn kept(
        &self,
        tree: &Tree,
        client: ClientId,
        number: RequestNumber,
    ) -> Option<Kept> {
        if let Some(kept) = self.fresh.get(&number) {
            return Some(kept.clone());
        }
        let may_be = self.standing.floor < number && number <= self.written.highest;
        let entry = may_be.then(|| tree.get(&kept_key(client, number))).flatten()?;
        Some(read_kept(&entry.value))
    }

    /// Whether every number below this one was executed or acknowledged.
    pub(super) fn is_lowest_open(
        &self,
        tree: &Tree,
        client: ClientId,
        number: RequestNumber,
    ) -> bool {
        let lowest = RequestNumber(self.standing.floor.0.saturating_add(1));
        let from = kept_key(client, lowest).into();
        let written = tree.range(&KeyRange { from, until: Some(kept_key(client, number).into()) });
        let fresh = self.fresh.range(..number);
        (written.count() + fresh.count()) as u64 == number.0.saturating_sub(lowest.0)
    }

    /// Keeps the reply of an operation that was just executed.
    pub(super) fn keep(&mut self, number: RequestNumber, kept: Kept) {
        self.standing.kept_bytes += kept.result.len() as u64;
        self.standing.highest = self.standing.highest.max(number);
        self.fresh.insert(number, kept);
    }
}

fn read_kept(value: &[u8]) -> Kept {
    wire::decode(value, MOST_BYTES).expect("kept replies are written by this module alone")
}

fn session_key(client: ClientId) -> Vec<u8> {
    key_in(SESSIONS, &[&client.0.to_be_bytes()])
}

fn kept_key(client: ClientId, number: RequestNumber) -> Vec<u8> {
    key_in(SESSIONS, &[&client.0.to_be_bytes(), &number.0.to_be_bytes()])
}
