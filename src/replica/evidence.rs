//! Records of lies: kept, shown to the others, and no primary is borne that one of them
//! convicts (§ View change).
//!
//! Safety needs none of this: a liar is outvoted whether or not anybody can show that it
//! lies. But a primary that tells different replicas different things costs every request a
//! detour for as long as it is in office, and does so in no way that a wait would notice.

use super::effects::Record;
use super::{Mode, Notice, Replica, Suspicion, To};
use crate::message::{Batch, Evidence, PeerMessage, PrePrepare, Reject, Signed, Verified};
use crate::types::{Incarnation, Instant, ReplicaId, View};
use crate::wire;
use std::mem::discriminant;

/// The most records of evidence kept; one convicts, more are a courtesy.
pub const MOST_EVIDENCE: usize = 64;

/// A larger record is not kept. A liar could fill two openings with what it likes, and every
/// log begins with all the records there are.
const LARGEST_EVIDENCE: usize = 4 << 20;

/// A proposal in another life goes to all at once if its batch has no more bytes; else to
/// whoever turns out not to know of it.
const SMALL: usize = 64 << 10;

fn is_small(batch: &Batch) -> bool {
    batch.size() <= SMALL
}

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

    /// One record for each liar and kind is enough: one of its present life, if there is any,
    /// or else the first. A liar makes up lives as it likes, and begins them.
    fn take_evidence(&mut self, evidence: Verified<Evidence>) -> bool {
        let is_alike = |one: &Verified<Evidence>| {
            one.accused().replica == evidence.accused().replica
                && discriminant::<Evidence>(one) == discriminant::<Evidence>(&evidence)
        };
        let known = self.evidence.iter().find(|one| is_alike(one));
        let current = self.executor.lives().current(evidence.accused().replica);
        let is_settled = known.is_some_and(|known| {
            let (old, new) = (known.accused().incarnation, evidence.accused().incarnation);
            // One that others have seen begin may be the next here.
            let may_be_present = new >= current && (old < current || new <= current.next());
            new <= old || !may_be_present
        });
        let is_full = known.is_none() && self.evidence.len() >= MOST_EVIDENCE;
        if is_settled || is_full || wire::size(&*evidence) > LARGEST_EVIDENCE {
            return false;
        }
        self.out.record(Record::Evidence(Evidence::clone(&evidence)));
        self.out.notice(Notice::Evidence(Evidence::clone(&evidence)));
        self.keep_evidence(evidence);
        true
    }

    /// In the place of the one that it supersedes; also of what the log holds.
    pub(super) fn keep_evidence(&mut self, evidence: Verified<Evidence>) {
        self.evidence.retain(|one| {
            one.accused().replica != evidence.accused().replica
                || discriminant::<Evidence>(one) != discriminant::<Evidence>(&evidence)
        });
        self.evidence.push(evidence);
    }

    /// Whether it is about the life that the accused is in, or one that it pretends to: no
    /// honest replica contradicts itself in any.
    fn is_of_present_life(&self, evidence: &Evidence) -> bool {
        let accused = evidence.accused();
        accused.incarnation >= self.executor.lives().current(accused.replica)
    }

    /// What convicts a replica in its present life, or in this one if that is later.
    fn against(
        &self,
        replica: ReplicaId,
        life: Incarnation,
    ) -> impl Iterator<Item = &Verified<Evidence>> {
        self.evidence.iter().filter(move |one| {
            let accused = one.accused();
            accused.replica == replica
                && accused.incarnation >= life
                && self.is_of_present_life(one)
        })
    }

    fn is_convicted(&self, replica: ReplicaId) -> bool {
        self.against(replica, Incarnation::FIRST).next().is_some()
    }

    /// The smallest record that convicts a replica, if any does.
    pub(super) fn evidence_against(&self, replica: ReplicaId) -> Option<&Verified<Evidence>> {
        self.against(replica, Incarnation::FIRST).min_by_key(|one| wire::size::<Evidence>(one))
    }

    /// Whether convicts are left out. Where there are more than may be faulty, hardly anybody
    /// would be left who could lead: then they serve like others.
    fn leaves_out_convicts(&self) -> bool {
        let convicted = self.committee.replicas().filter(|one| self.is_convicted(*one)).count();
        !self.bears_convicts && convicted <= self.committee.faults()
    }

    /// Whether another leads the present view, and is convicted. It may have opened that in a
    /// life that this replica has not seen begin yet.
    fn is_led_by_convict(&self) -> bool {
        let primary = self.primary();
        let opening = self.opening.as_ref().map(|opening| opening.new_view.body.by);
        let opened = opening.filter(|by| by.replica == primary && self.is_active());
        let life = opened.map_or(Incarnation::FIRST, |by| by.incarnation);
        primary != self.id
            && self.against(primary, life).next().is_some()
            && self.leaves_out_convicts()
    }

    /// From here on a primary stays in office though evidence convicts it. For the
    /// simulator: there liars should get far.
    pub fn bear_convicts(&mut self) {
        self.bears_convicts = true;
    }

    /// The primary of this view has signed a proposal in a life that it is not in about that
    /// number. Each life is ordered a whole window before its first number, so an honest
    /// primary knows its own; and so do the others, who judge the proposal alike. (What the
    /// opening chose lies below the numbers that its primary executed, perhaps, and is signed
    /// in a life that began since.)
    pub(super) fn on_other_life(
        &mut self,
        proposal: Verified<Signed<PrePrepare>>,
        batch: Option<Batch>,
    ) {
        let (bears, is_small) = (self.bears_convicts, batch.as_ref().is_none_or(is_small));
        let active = self.active_mut().expect("the caller has required an active view");
        if proposal.body.seq <= active.chosen_up_to || active.impostor.is_some() || bears {
            return;
        }
        let message = PeerMessage::Propose(proposal.into_inner(), batch);
        active.impostor = Some(message.clone());
        if is_small {
            self.out.send(To::Everyone, message);
        }
    }

    /// Shows somebody who is still in a view for which of its proposals it was left.
    pub(super) fn show_impostor(&mut self, to: ReplicaId, view: View) {
        let Mode::Changing(changing) = &self.mode else { return };
        if let Some(message @ PeerMessage::Propose(proposal, _)) = &changing.impostor
            && proposal.body.view == view
        {
            let message = message.clone();
            self.answer(to, message);
        }
    }

    /// The first view from this one on that this replica leads, or one that is not convicted.
    pub(super) fn past_convicts(&self, view: View) -> View {
        let is_out = |primary: ReplicaId| primary != self.id && self.is_convicted(primary);
        let mut view = view;
        while is_out(self.committee.primary(view)) && self.leaves_out_convicts() {
            view = view.next();
        }
        view
    }

    /// When it leaves the view for what its primary is convicted of: at once.
    pub(super) fn conviction_deadline(&self) -> Option<Instant> {
        let leaves = self.may_vote() && self.lie_of_primary().is_some();
        leaves.then_some(self.now.instant)
    }

    /// Whoever is convicted is no primary: it is not waited for, and not given a chance.
    pub(super) fn tick_convictions(&mut self) {
        if let Some(lie) = self.lie_of_primary().filter(|_| self.may_vote()) {
            self.suspect(lie);
        }
    }

    /// A view is left. If a liar leads it, the next one needs no more time for that.
    pub(super) fn note_liar_left(&mut self) {
        if self.lie_of_primary().is_some() {
            self.waits.was_orderly();
        }
    }

    /// What the primary of the present view is known to lie about, if it is.
    fn lie_of_primary(&self) -> Option<Suspicion> {
        if self.is_led_by_convict() {
            return Some(Suspicion::Convicted);
        }
        let impostor = self.active().and_then(|active| active.impostor.as_ref());
        impostor.map(|_| Suspicion::OtherLife)
    }
}
