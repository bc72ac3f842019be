//! When a batch is worth its votes (docs/protocol.md § Normal case, 2): each costs all
//! replicas the same, however little is in it.
//!
//! Clients that were served together ask again one soon after the other. A primary that
//! proposed the first of them at once would order it alone, and the others after it. So it
//! waits for as many as there were, but not for longer than agreement takes anyway.

use super::Replica;
use super::executor::Done;
use super::pool::{Owner, place};
use crate::types::{Instant, Seq, Span};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// So many items are worth a batch at least and at most: half as many as clients are expected,
/// so that one batch is gathered while another is agreed on,
const ENOUGH_ITEMS: RangeInclusive<usize> = 64..=256;

/// or so many bytes of them.
const ENOUGH_BYTES: usize = 64 << 10;

/// What the primary knows of who will ask.
#[derive(Default)]
pub(super) struct Gathering {
    /// How many had something in the last entry, or in the pool when it was executed.
    expected: usize,
    /// Since when there is something to propose and a place for it.
    since: Option<Instant>,
}

impl Replica {
    /// An entry was executed: whoever it served may ask again, like those who wait.
    pub(super) fn expect_company(&mut self, served: &[Done]) {
        let served: BTreeSet<Owner> = served.iter().map(|done| place(done.key).0).collect();
        let is_client = |owner: &Owner| matches!(owner, Owner::Client(_));
        let clients = served.into_iter().filter(is_client);
        let new = clients.filter(|owner| !self.pool.has(*owner)).count();
        self.gathering.expected = new + self.pool.owners();
    }

    /// Whether what waits had better wait for more.
    pub(super) fn is_too_little(&mut self, seq: Seq) -> bool {
        let (items, bytes) = self.pool.backlog();
        let (most_items, most_bytes) = self.batch_limits();
        let half = self.gathering.expected.div_ceil(2);
        let enough_items = half.clamp(*ENOUGH_ITEMS.start(), *ENOUGH_ITEMS.end());
        if items >= most_items.min(enough_items) || bytes >= most_bytes.min(ENOUGH_BYTES) {
            return false;
        }
        if !self.is_eager(seq) {
            return true;
        }
        if items == 0 || self.pool.ready() >= self.gathering.expected {
            return false;
        }
        self.gathering.since.get_or_insert(self.now.instant);
        self.gathering_deadline().is_some_and(|due| self.now.instant < due)
    }

    /// What waited is proposed.
    pub(super) fn end_gathering(&mut self) {
        self.gathering.since = None;
    }

    /// When what waits is proposed, if no more comes.
    pub(super) fn gathering_deadline(&self) -> Option<Instant> {
        let since = self.gathering.since?;
        let place = self.place_to_propose().filter(|seq| self.is_eager(*seq));
        (place.is_some() && self.pool.ready() > 0).then(|| since.plus(self.patience_for_company()))
    }

    /// Whether so few batches are under way that this one may be small.
    fn is_eager(&self, seq: Seq) -> bool {
        seq.previous().since(self.executed()) < self.settings.eager
    }

    fn patience_for_company(&self) -> Span {
        self.settings.gathering.min(self.waits.usual_agreement())
    }
}
