//! Records of lies: kept, shown to the others, and no primary is borne that one of them
//! convicts (§ View change).
//!
//! Safety needs none of this: a liar is outvoted whether or not anybody can show that it
//! lies. But a primary that tells different replicas different things costs every request a
//! detour for as long as it is in office, and does so in no way that a wait would notice.

use super::effects::Record;
use super::{Notice, Replica, Suspicion, To};
use crate::message::{Evidence, PeerMessage, Reject, Verified};
use crate::types::{Instant, ReplicaId, View};
use std::mem::discriminant;

/// The most records of evidence kept; one convicts, more are a courtesy.
pub const MOST_EVIDENCE: usize = 64;

impl Replica {
    /// Keeps a record of a lie, and shows it to the others once.
    pub(super) fn convict(&mut self, evidence: Option<Verified<Evidence>>) {
        let Some(evidence) = evidence else { return };
        if self.take_evidence(evidence.clone()) {
            self.out.send(To::Everyone, PeerMessage::Evidence(evidence.into_inner()));
        }
    }

    /// A record that somebody shows. It proves itself.
    pub(super) fn on_evidence(&mut self, evidence: Verified<Evidence>) -> Result<(), Reject> {
        match self.take_evidence(evidence) {
            true => Ok(()),
            false => Err(Reject::Duplicate),
        }
    }

    /// One record for each liar and kind is enough, unless it is of a life that is over and
    /// the new one is not. A liar makes up lives as it likes.
    fn take_evidence(&mut self, evidence: Verified<Evidence>) -> bool {
        let is_new = self.is_of_present_life(&evidence);
        let makes_superfluous = |one: &Verified<Evidence>| {
            one.accused().replica == evidence.accused().replica
                && discriminant::<Evidence>(one) == discriminant::<Evidence>(&evidence)
                && (self.is_of_present_life(one) || !is_new)
        };
        if self.evidence.len() >= MOST_EVIDENCE || self.evidence.iter().any(makes_superfluous) {
            return false;
        }
        self.out.record(Record::Evidence(Evidence::clone(&evidence)));
        self.out.notice(Notice::Evidence(Evidence::clone(&evidence)));
        self.evidence.push(evidence);
        true
    }

    /// Whether it is about the life that the accused is in, or one that it pretends to: no
    /// honest replica contradicts itself in any.
    fn is_of_present_life(&self, evidence: &Evidence) -> bool {
        let accused = evidence.accused();
        accused.incarnation >= self.executor.lives().current(accused.replica)
    }

    /// What convicts another replica in its present life, if anything does.
    pub(super) fn evidence_against(&self, replica: ReplicaId) -> Option<&Verified<Evidence>> {
        self.evidence.iter().find(|one| {
            replica != self.id && one.accused().replica == replica && self.is_of_present_life(one)
        })
    }

    /// From here on a primary stays in office though evidence convicts it. For the
    /// simulator: there liars should get far.
    pub fn bear_convicts(&mut self) {
        self.bears_convicts = true;
    }

    /// The first view from this one on whose primary is not convicted.
    pub(super) fn past_convicts(&self, view: View) -> View {
        let mut view = view;
        // Its own at the latest: nobody convicts itself.
        while !self.bears_convicts && self.evidence_against(self.committee.primary(view)).is_some()
        {
            view = view.next();
        }
        view
    }

    /// When it leaves the view for what its primary is convicted of: at once.
    pub(super) fn conviction_deadline(&self) -> Option<Instant> {
        let leaves = self.may_vote() && self.past_convicts(self.view) != self.view;
        leaves.then_some(self.now.instant)
    }

    /// Whoever is convicted is no primary: it is not waited for, and not given a chance.
    pub(super) fn tick_convictions(&mut self) {
        if self.conviction_deadline().is_some() {
            self.waits.was_orderly();
            self.suspect(Suspicion::Convicted);
        }
    }
}
