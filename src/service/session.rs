//! The clients' sessions as they lie in the tree (§ Clients).
//!
//! One record per client, and one per kept reply, so that an operation costs two writes
//! whatever the window. Numbers are written with the most significant byte first: the
//! tree's order is theirs, and the replies of one client lie side by side.
//!
//! | key | value |
//! | --- | --- |
//! | `01 client(4)` | floor(8), highest(8), bytes of kept results(8) |
//! | `01 client(4) number(8)` | the [`Kept`] reply |
//!
//! A client without a record has the session that every client begins with.

use super::data::{SESSIONS, key_in};
use super::tree::{KeyRange, Tree};
use crate::types::{ClientId, Digest, RequestNumber, Seq};
use crate::wire::{self, Blob, MOST_BYTES};
use bincode::{Decode, Encode};

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

/// Where one client stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Session {
    /// All numbers at or below are acknowledged; nothing of them is kept.
    pub(super) floor: RequestNumber,
    /// The highest number that was ever executed.
    pub(super) highest: RequestNumber,
    /// The bytes of the kept results.
    pub(super) kept_bytes: u64,
}

impl Session {
    /// The session of this client.
    pub(super) fn load(tree: &Tree, client: ClientId) -> Session {
        let Some(entry) = tree.get(&session_key(client)) else {
            return Session::default();
        };
        wire::decode(&entry.value, MOST_BYTES).expect("sessions are written by this module alone")
    }

    /// Writes the session back.
    pub(super) fn store(&self, tree: &mut Tree, client: ClientId, seq: Seq) {
        tree.put(&session_key(client), wire::encode(self).into(), seq);
    }

    /// The last number that the window reaches: `window` above the floor, or where
    /// numbers end.
    pub(super) fn window_end(&self, window: u64) -> RequestNumber {
        RequestNumber(self.floor.0.saturating_add(window))
    }

    /// The highest number that the client may acknowledge: `window` above what was
    /// executed. A client never has more under way that it could have given up on.
    pub(super) fn acknowledgeable(&self, window: u64) -> RequestNumber {
        RequestNumber(self.highest.0.saturating_add(window))
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
        if up_to <= self.floor {
            return;
        }
        for key in self.kept_through(tree, client, up_to) {
            if let Some(kept) = tree.remove(&key, seq) {
                self.kept_bytes -= read_kept(&kept).result.len() as u64;
            }
        }
        self.floor = up_to;
    }

    /// The keys of the replies that may be kept up to a number. Of few, each is tried; of many
    /// it is looked up which there are.
    fn kept_through(&self, tree: &Tree, client: ClientId, last: RequestNumber) -> Vec<Vec<u8>> {
        let last = last.min(self.highest);
        if last.0.saturating_sub(self.floor.0) <= FEW {
            let numbers = (self.floor.0 + 1..=last.0).map(RequestNumber);
            return numbers.map(|number| kept_key(client, number)).collect();
        }
        let from = kept_key(client, self.floor).into();
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
        let may_be = self.floor < number && number <= self.highest;
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
        let from = kept_key(client, RequestNumber(self.floor.0.saturating_add(1))).into();
        let below = tree.range(&KeyRange { from, until: Some(kept_key(client, number).into()) });
        below.count() as u64 == number.0.saturating_sub(self.floor.0.saturating_add(1))
    }

    /// Keeps the reply of an operation that was just executed.
    pub(super) fn keep(
        &mut self,
        tree: &mut Tree,
        client: ClientId,
        number: RequestNumber,
        kept: &Kept,
    ) {
        tree.put(&kept_key(client, number), wire::encode(kept).into(), kept.seq);
        self.kept_bytes += kept.result.len() as u64;
        self.highest = self.highest.max(number);
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
