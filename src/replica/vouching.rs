//! Who checks what clients signed, and who waits for those who do (§ Normal case, 3; §
//! Optimisations, Vouching).
//!
//! The primary checked each request before it proposed it. Beside it, `f` of the backups
//! check a batch as soon as they have it, others for each number; with the primary they are
//! the weak quorum whose word is enough. The other backups wait for that word, but not for
//! long: after a while each checks all the same, and for some time waits no more for those
//! who kept it waiting. So progress depends on nobody's checking but one's own, and safety
//! on nothing in here: that an unchecked batch is not agreed with, the types say, and why
//! the word of others is enough, [`crate::message::genuine`].
//!
//! The proposed time goes the same way: a clock that supports it, or others who vouch.

use super::slot::{Doubt, Doubtful};
use super::{Replica, Settings};
use crate::message::{Batch, Checked, Genuine, PrePrepare, Reject, Signed, Unchecked, Verified};
use crate::types::{Committee, Digest, Instant, ReplicaId, Seq, Span, Timestamp, View};

/// Whoever kept this replica waiting is not waited for, for so many times as long.
const DISTRUST: u64 = 64;

/// The backups that check a batch at once: `f` of them, the next ones for each number.
fn checkers(committee: Committee, view: View, seq: Seq) -> impl Iterator<Item = ReplicaId> {
    committee.backups_from(view, seq.0).take(committee.faults())
}

impl Replica {
    /// A proposal in the view this replica takes part in, within its window, for a number
    /// that it has accepted nothing for.
    pub(super) fn on_unchecked(
        &mut self,
        from: ReplicaId,
        proposal: Verified<Signed<PrePrepare>>,
        batch: Unchecked,
    ) -> Result<(), Reject> {
        let (seq, time, now) = (proposal.body.seq, batch.time(), self.now.instant);
        self.compare_with_refused(&proposal);
        let refused = self.slot(seq).and_then(|slot| slot.refused.as_ref());
        if refused.is_some_and(|refused| refused.body.digest == batch.digest()) {
            // It was checked, and is no better now.
            return Err(Reject::Duplicate);
        }
        let earlier = self.slot(seq).and_then(|slot| slot.doubtful.clone());
        let is_known = earlier.as_ref().is_some_and(|one| one.body.digest() == batch.digest());
        if let Some(earlier) = earlier.filter(|_| !is_known) {
            self.convict(proposal.conflict(&earlier.proposal));
            // So no more is checked at a time than there are numbers.
            if matches!(earlier.body, Doubt::Checking(_)) {
                return Err(Reject::Conflict);
            }
        }
        let interval = self.settings.fill_up_interval;
        if !is_known && batch.is_fill_up() && !self.fill_ups_accepted.take(now, interval) {
            return Err(Reject::FillUpTooSoon);
        }
        if !is_known {
            self.search.found(from == proposal.body.by.replica, batch.size());
            let body = Doubt::Unchecked(batch);
            self.slot_mut(seq).doubtful = Some(Doubtful { proposal, body, since: now });
            if let Some(active) = self.active_mut() {
                active.doubts.insert(seq);
            }
        }
        self.reconsider(seq);
        let is_accepted = self.slot(seq).is_some_and(|slot| slot.proposal.is_some());
        match (is_accepted, self.is_time_near(time), is_known) {
            (false, false, _) => Err(Reject::BadTime),
            (false, true, true) => Err(Reject::Duplicate),
            (true, ..) | (false, true, false) => Ok(()),
        }
    }

    /// A doubtful proposal may be good enough by now, or have to be checked here.
    pub(super) fn reconsider(&mut self, seq: Seq) {
        let Some(slot) = self.slot(seq).filter(|slot| slot.proposal.is_none()) else { return };
        let Some(Doubtful { proposal, body, since }) = slot.doubtful.clone() else { return };
        if let Some(genuine) = self.vouched(&proposal, &body) {
            return self.accept_genuine(proposal, genuine);
        }
        // Of a time that no clock here supports, others have to speak anyhow.
        if !self.is_time_near(body.time()) {
            return;
        }
        match body {
            Doubt::Genuine(batch) => self.accept_genuine(proposal, batch),
            Doubt::Unchecked(batch) if self.must_check(seq, &batch, since) => {
                self.out.check(batch.clone());
                let body = Doubt::Checking(batch);
                self.slot_mut(seq).doubtful = Some(Doubtful { proposal, body, since });
            }
            Doubt::Unchecked(_) | Doubt::Checking(_) => {}
        }
    }

    /// The batch, if enough others vouch for the proposal.
    fn vouched(&self, proposal: &Verified<Signed<PrePrepare>>, body: &Doubt) -> Option<Genuine> {
        let slot = self.slot(proposal.body.seq)?;
        let votes = slot.prepares.matching(proposal.body.digest);
        let vouched =
            |batch: &Unchecked| Genuine::vouched(self.committee, self.id, proposal, batch, votes);
        match body {
            Doubt::Unchecked(batch) | Doubt::Checking(batch) => vouched(batch),
            // Then it is the time that others have to vouch for.
            Doubt::Genuine(batch) => vouched(&batch.as_unchecked()),
        }
    }

    /// Whether this replica's clock supports a proposed time.
    fn is_time_near(&self, time: Timestamp) -> bool {
        time.distance(self.now.wall) <= self.genesis.parameters.time_tolerance
    }

    /// How long others have for a batch: as long as agreement takes of late, in which each of
    /// them has its syncs and its ways, within limits.
    fn vouching_patience(&self) -> Span {
        let Settings { vouching_patience, patience, .. } = self.settings;
        let most = Span(patience.0 / 4);
        vouching_patience.max(self.waits.usual_agreement().min(most))
    }

    /// Whether this replica is to check a batch now, and waits for nobody.
    fn must_check(&self, seq: Seq, batch: &Unchecked, since: Instant) -> bool {
        let now = self.now.instant;
        let is_unreliable = |checker: &ReplicaId| {
            *checker == self.id || self.unreliable.get(checker).is_some_and(|until| now < *until)
        };
        batch.signatures() < self.settings.vouched_from
            || now.since(since) >= self.vouching_patience()
            || checkers(self.committee, self.view, seq).any(|checker| is_unreliable(&checker))
    }

    /// What came of checking a batch. The verdict is on its bytes, whoever proposed them
    /// and wherever; if nothing waits for it any more, it is no news.
    pub(super) fn on_checked(
        &mut self,
        checked: Checked,
    ) -> (Option<ReplicaId>, Result<(), Reject>) {
        let Checked { digest, verdict } = checked;
        let waiting: Vec<Seq> = self
            .doubtful()
            .filter(|(_, one)| matches!(&one.body, Doubt::Checking(it) if it.digest() == digest))
            .map(|(seq, _)| seq)
            .collect();
        let proposer = (!waiting.is_empty()).then(|| self.primary());
        for seq in waiting {
            let slot = self.slot_mut(seq);
            match (&verdict, &mut slot.doubtful) {
                (Ok(batch), Some(doubtful)) => {
                    doubtful.body = Doubt::Genuine(batch.clone());
                    self.reconsider(seq);
                }
                (Err(_), doubtful) => {
                    if let Some(doubtful) = doubtful.take() {
                        self.refuse(doubtful.proposal);
                    }
                }
                (Ok(_), None) => {}
            }
        }
        (proposer, proposer.map_or(Ok(()), |_| verdict.map(drop)))
    }

    /// When this replica stops waiting for others to check.
    pub(super) fn vouching_deadline(&self) -> Option<Instant> {
        let since = self.waiting_for_vouchers().map(|(_, one)| one.since).min();
        since.map(|since| since.plus(self.vouching_patience()))
    }

    /// What this replica would agree with if it were checked, and does not check yet.
    fn waiting_for_vouchers(&self) -> impl Iterator<Item = (Seq, &Doubtful)> {
        self.doubtful().filter(|(_, one)| {
            matches!(one.body, Doubt::Unchecked(_)) && self.is_time_near(one.body.time())
        })
    }

    /// Checks what others should have vouched for by now.
    pub(super) fn tick_vouching(&mut self) {
        if self.vouching_deadline().is_none_or(|due| due > self.now.instant) {
            return;
        }
        let (now, patience) = (self.now.instant, self.vouching_patience());
        let late: Vec<(Seq, Digest)> = self
            .waiting_for_vouchers()
            .filter(|(_, one)| now.since(one.since) >= patience)
            .map(|(seq, one)| (seq, one.body.digest()))
            .collect();
        for (seq, digest) in late {
            self.distrust_checkers(seq, digest);
            self.reconsider(seq);
        }
    }

    /// Whoever was to check this and has not vouched for it is not waited for again soon.
    fn distrust_checkers(&mut self, seq: Seq, digest: Digest) {
        let until = self.now.instant.plus(self.vouching_patience().times(DISTRUST));
        let silent: Vec<ReplicaId> = checkers(self.committee, self.view, seq)
            .filter(|checker| *checker != self.id && !self.has_prepared(*checker, seq, digest))
            .collect();
        self.unreliable.extend(silent.into_iter().map(|checker| (checker, until)));
    }

    fn has_prepared(&self, replica: ReplicaId, seq: Seq, digest: Digest) -> bool {
        self.slot(seq).is_some_and(|slot| {
            slot.prepares.matching(digest).any(|vote| vote.body.by.replica == replica)
        })
    }

    /// The body of a proposal that this replica does not agree with yet, for whom the
    /// digest is enough.
    pub(super) fn doubtful_body(&self, seq: Seq, digest: Digest) -> Option<Batch> {
        let doubtful = self.slot(seq)?.doubtful.clone()?;
        (doubtful.body.digest() == digest).then(|| doubtful.body.exempt())
    }

    /// Every proposal that this replica does not agree with yet.
    fn doubtful(&self) -> impl Iterator<Item = (Seq, &Doubtful)> {
        self.active().into_iter().flat_map(|active| {
            let doubtful = |seq: &Seq| Some((*seq, active.slots.get(seq)?.doubtful.as_ref()?));
            active.doubts.iter().filter_map(doubtful)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// With the primary they are a weak quorum; and everybody has its turn.
    #[test]
    fn as_many_check_as_are_needed_and_the_work_goes_round() {
        for replicas in 4..=13 {
            let committee = Committee::new(replicas).expect("enough");
            let view = View(u64::from(replicas) + 2);
            let mut turns: BTreeMap<ReplicaId, usize> = BTreeMap::new();
            for seq in (1..=4 * (u64::from(replicas) - 1)).map(Seq) {
                let mut chosen: Vec<ReplicaId> = checkers(committee, view, seq).collect();
                chosen.iter().for_each(|one| *turns.entry(*one).or_default() += 1);
                assert!(!chosen.contains(&committee.primary(view)));
                chosen.push(committee.primary(view));
                chosen.sort_unstable();
                chosen.dedup();
                assert_eq!(chosen.len(), committee.weak_quorum());
            }
            assert_eq!(turns.len(), committee.size() - 1);
            assert!(turns.values().all(|turn| *turn == 4 * committee.faults()));
        }
    }
}
