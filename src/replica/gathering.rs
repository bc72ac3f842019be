//! When a batch is worth its votes (docs/protocol.md § Normal case, 2): each costs all
//! replicas the same, however little is in it.
//!
//! Clients that wait for each other's batches ask again one soon after the other, when the
//! batch is executed. A primary that proposed the first of them at once would order it alone,
//! and the others after it. So it waits for as many as there were, but not for longer than
//! agreement takes anyway.

use super::Replica;
use crate::types::{Instant, Seq, Span};

/// So many items are worth a batch, whatever else is to be expected,
const ENOUGH_ITEMS: usize = 64;

/// or so many bytes of them.
const ENOUGH_BYTES: usize = 64 << 10;

/// What the primary knows of who will ask.
#[derive(Default)]
pub(super) struct Gathering {
    /// Those served by the last entry, and those that waited when it was executed.
    expected: usize,
    /// Since when there is something to propose and a place for it.
    since: Option<Instant>,
}

impl Replica {
    /// An entry with so many items was executed: whoever is served may ask again.
    pub(super) fn expect_company(&mut self, served: usize) {
        self.gathering.expected = served + self.pool.backlog().0;
    }

    /// Whether what waits had better wait for more.
    pub(super) fn is_too_little(&mut self, seq: Seq) -> bool {
        let (items, bytes) = self.pool.backlog();
        let (most_items, most_bytes) = self.batch_limits();
        if items >= most_items.min(ENOUGH_ITEMS) || bytes >= most_bytes.min(ENOUGH_BYTES) {
            return false;
        }
        let in_flight = seq.previous().since(self.executed());
        if in_flight >= self.settings.eager {
            return true;
        }
        if items == 0 || items >= self.gathering.expected {
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
        let is_wanted = self.pool.backlog().0 > 0 && self.place_to_propose().is_some();
        is_wanted.then(|| since.plus(self.patience_for_company()))
    }

    fn patience_for_company(&self) -> Span {
        self.settings.gathering.min(self.waits.usual_agreement())
    }
}
