//! What is decided: one digest for each number, whoever finds it so.
//!
//! A replica counts its own commit at once, and shows nobody what follows from it before its
//! disk holds that vote. If it ends before, and nobody else had decided by then, nothing was
//! decided: what it executed in memory is as good as never thought of.

use super::disk::OnDisk;
use super::ledger::{Kind, Word};
use super::{Checker, Invariant};
use crate::message::Voter;
use crate::types::{Digest, Incarnation, ReplicaId, Seq};
use std::collections::BTreeMap;

/// Who has found a number decided, and in which view.
pub(super) type Deciders = BTreeMap<ReplicaId, u64>;

impl Checker {
    /// A replica finds a number decided.
    pub(super) fn decides(&mut self, id: ReplicaId, seq: Seq, digest: Digest) {
        let before = *self.decided.entry(seq).or_insert(digest);
        if before != digest {
            let what = format!("{id:?} decides {digest:?} for {seq:?}, others {before:?}");
            self.fail(Invariant::Agreement, what);
        }
    }

    /// The same, by votes that it counts in this view. Whoever lies counts nothing.
    pub(super) fn decides_in(&mut self, id: ReplicaId, view: u64, seq: Seq, digest: Digest) {
        self.decides(id, seq, digest);
        if self.honest.contains(&id) && !self.settled.contains(&seq) {
            self.deciders.entry(seq).or_default().insert(id, view);
        }
    }

    /// A replica's process ended, and this is left on its disk.
    pub fn died(&mut self, id: ReplicaId, on_disk: &OnDisk<'_>) {
        let found: Vec<(Seq, u64)> = self
            .deciders
            .iter()
            .filter_map(|(seq, deciders)| deciders.get(&id).map(|view| (*seq, *view)))
            .collect();
        let mut undone = None;
        for (seq, view) in found {
            if self.is_surely_decided(id, view, seq, on_disk) {
                self.deciders.remove(&seq);
                self.settled.insert(seq);
                continue;
            }
            let others = self.deciders.get_mut(&seq).expect("it was found there");
            others.remove(&id);
            if others.is_empty() {
                self.deciders.remove(&seq);
                self.decided.remove(&seq);
                undone = undone.or(Some(seq));
            }
        }
        if let Some(first) = undone {
            self.goes_back_to(id, first.previous());
        }
    }

    /// Whether a decision stands without what this replica's disk does not hold.
    fn is_surely_decided(&self, id: ReplicaId, view: u64, seq: Seq, on_disk: &OnDisk<'_>) -> bool {
        let Some(digest) = self.decided.get(&seq).copied() else { return false };
        let by = Voter { replica: id, incarnation: Incarnation(0) };
        let own = Word { by, kind: Kind::Commit, view, seq: seq.0, digest };
        let mut committed = self.ledger.left(&own.saying());
        // What the forgetful said was not followed.
        let said = self.ledger.speakers(&own.saying());
        committed.extend(said.into_iter().filter(|one| self.excused.contains_key(one)));
        if on_disk.covers(&own, false).is_ok() {
            committed.insert(id);
        }
        self.is_believable(&committed)
    }

    /// The agreed history ends here, after all.
    fn goes_back_to(&mut self, id: ReplicaId, last: Seq) {
        if let Some(ever) = self.ever_executed.get_mut(&id) {
            *ever = last.0.min(*ever);
        }
        if self.replay.executed() <= last.0 {
            return;
        }
        let mut replay = self.replay.begun_anew();
        for (_, digest) in self.decided.range(..=last) {
            replay.execute(*digest, self.batches.get(digest));
        }
        self.replay = replay;
    }
}
