//! Votes that may leave before they are on the disk: what is reserved for them, that they are
//! written all the same, and who leaves a view on their account.

use super::disk::OnDisk;
use super::ledger::{Kind, words_of};
use super::{Checker, Invariant};
use crate::replica::effects::Record;
use crate::replica::{Notice, Outgoing, Replica, Suspicion};
use crate::types::{ReplicaId, Seq, View};
use std::collections::BTreeMap;

impl Checker {
    /// A vote that nobody has said yet is written in the step in which it is said, whether or
    /// not it waits for the disk.
    pub(super) fn writes_its_votes<'a>(
        &mut self,
        id: ReplicaId,
        said: impl Iterator<Item = &'a Outgoing>,
        records: &[Record],
    ) {
        let states = BTreeMap::new();
        let written =
            OnDisk { records: records.iter().collect(), states: &states, lost_state: false };
        let own = said.filter_map(|one| match one {
            Outgoing::Peer(_, message) => Some(words_of(message)),
            _ => None,
        });
        let unwritten = own.flatten().find(|word| {
            word.by.replica == id
                && matches!(word.kind, Kind::Propose | Kind::Prepare)
                && !self.ledger.has_said(word.by, &word.saying())
                && !written.has_vote(word)
        });
        if let Some(word) = unwritten {
            self.fail(Invariant::Durability, format!("{word:?} is said, and written nowhere"));
        }
    }

    /// What is reserved is of a view that a replica has come to in this step, or was in, and
    /// within its window.
    pub(super) fn reserves(&mut self, id: ReplicaId, replica: &Replica, view: View, up_to: Seq) {
        let end = replica.stable().0.saturating_add(self.cluster.window);
        self.may_reserve(id, replica.view().0, end, (view.0, up_to.0));
    }

    pub(super) fn may_reserve(&mut self, id: ReplicaId, now: u64, end: u64, range: (u64, u64)) {
        let before = self.glimpses.get(&id).map_or(0, |glimpse| glimpse.view);
        if !(before..=now).contains(&range.0) || range.1 > end {
            let (view, up_to) = range;
            let what = format!("{id:?} in v{now} reserves up to s{up_to} of v{view}, above s{end}");
            self.fail(Invariant::Bounds, what);
        }
        self.reserved.insert(id, range);
    }

    /// A start finds in the log how far it has reserved: nothing, if it has proposed all that.
    pub fn recalls(&mut self, id: ReplicaId, records: &[Record]) {
        self.reserved.remove(&id);
        let reserved = records.iter().rev().find_map(|record| match record {
            Record::Reserved(view, up_to) => Some((view.0, up_to.0)),
            _ => None,
        });
        let Some((view, up_to)) = reserved else { return };
        let proposed = records.iter().filter_map(|record| match record {
            Record::PrePrepare(one, _) if one.body.view.0 == view => Some(one.body.seq.0),
            Record::NewView(opening, _) if opening.body.view.0 == view => {
                opening.body.pre_prepares.last().map(|one| one.body.seq.0)
            }
            _ => None,
        });
        if proposed.max() < Some(up_to) {
            self.reserved.insert(id, (view, up_to));
        }
    }

    /// A replica may say that it gives up a view.
    pub(super) fn abdicates(&mut self, id: ReplicaId, notices: &[Notice]) {
        for notice in notices {
            if let Notice::Suspects { left, why: Suspicion::Abdicates, .. } = notice {
                self.may_abdicate(id, left.0);
            }
        }
    }

    /// A primary gives its view up for what it may have forgotten if it reserved something
    /// there that it has not executed yet.
    pub(super) fn may_abdicate(&mut self, id: ReplicaId, left: u64) {
        let executed = self.glimpses.get(&id).map_or(0, |glimpse| glimpse.executed);
        let reserved = self.reserved.get(&id);
        let may_lack = reserved.is_some_and(|(view, seq)| *view == left && *seq > executed);
        if self.cluster.primary(left) != id || !may_lack {
            let what = format!("{id:?} gives up v{left} at s{executed}, and reserved {reserved:?}");
            self.fail(Invariant::Progress, what);
        }
    }

    /// Whoever follows a primary follows one that left. What liars say is not known here.
    pub(super) fn follows_its_primary(&mut self, id: ReplicaId, left: u64, to: u64) {
        let primary = self.cluster.primary(left);
        let asked = self.ledger.wishers_from(left + 1).contains(&primary);
        if !asked && !self.faulty.contains(&primary) {
            self.fail(Invariant::Certificates, format!("{id:?} follows {primary:?} to v{to}"));
        }
    }
}
