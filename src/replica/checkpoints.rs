//! Checkpoints, the window and the collection of what lies below it (§ Checkpoints and
//! garbage).

use super::promises::{Kind, Place};
use super::tally::{Counted, Tally};
use super::{Compaction, Notice, Record, Replica, Standing, To};
use crate::message::{
    Checkpoint, CheckpointCertificate, PeerMessage, PrePrepare, Reject, Signed, Verified,
};
use crate::service::Tree;
use crate::types::{Digest, Incarnation, ReplicaId, Seq, View};
use std::collections::BTreeMap;

/// This replica's own state at a checkpoint.
pub(super) struct Own {
    pub(super) digest: Digest,
    pub(super) tree: Tree,
    /// Whether it can be restored from this replica's disk.
    pub(super) saved: bool,
}

/// Everything about checkpoints.
#[derive(Default)]
pub(super) struct Checkpoints {
    /// `h`: the stable checkpoint, whose certificate and state are durable here.
    pub(super) stable: Seq,
    pub(super) certificate: Option<Verified<CheckpointCertificate>>,
    /// The highest certificate seen; at or above the stable one.
    pub(super) best: Option<Verified<CheckpointCertificate>>,
    /// Certificates that were overtaken by a higher one, within the window or of a state
    /// that was fetched: the state of one of these may be on this disk sooner.
    overtaken: BTreeMap<Seq, Verified<CheckpointCertificate>>,
    /// Own states, from the stable checkpoint before the last one on: at most
    /// `L/K + 2`.
    pub(super) own: BTreeMap<Seq, Own>,
    /// Votes within the window: at most two for each replica and checkpoint.
    pub(super) votes: BTreeMap<Seq, Tally<Checkpoint>>,
    /// This replica's state differs from a certified one.
    pub(super) diverged: bool,
}

impl Checkpoints {
    pub(super) fn held(&self) -> usize {
        self.own.len() + self.overtaken.len() + self.votes.values().map(Tally::held).sum::<usize>()
    }

    /// Keeps what shows a state that was fetched, though a higher one may be certified by now:
    /// a cluster that goes on faster than states travel would else be followed for ever, and
    /// nothing here become stable.
    pub(super) fn keep(&mut self, certificate: Verified<CheckpointCertificate>) {
        if self.known() > certificate.seq() {
            self.overtaken.insert(certificate.seq(), certificate);
        }
    }

    /// The highest number that a certificate shows to be decided.
    pub(super) fn known(&self) -> Seq {
        self.best.as_ref().map_or(self.stable, |certificate| certificate.seq()).max(self.stable)
    }
}

impl Replica {
    /// This replica has executed a checkpoint's number. The vote leaves once the state
    /// can be restored from its own disk.
    pub(super) fn on_own_checkpoint(&mut self, seq: Seq, tree: Tree) {
        let digest = tree.digest();
        self.out.save(seq, digest, tree.clone());
        self.checkpoints.own.insert(seq, Own { digest, tree, saved: false });
        self.settle_checkpoint();
    }

    /// The state at a checkpoint is on disk.
    pub(super) fn on_saved(&mut self, seq: Seq, digest: Digest) {
        let own = self.checkpoints.own.get_mut(&seq).filter(|own| own.digest == digest);
        let Some(own) = own else { return };
        own.saved = true;
        self.vote_for_checkpoint(seq);
        self.settle_checkpoint();
    }

    /// This replica's own state at a checkpoint, to be handed on.
    pub(super) fn snapshot(&self, seq: Seq) -> Option<&Tree> {
        self.checkpoints.own.get(&seq).map(|own| &own.tree)
    }

    /// Votes for every own checkpoint that is saved and was not voted for.
    pub(super) fn vote_for_checkpoints(&mut self) {
        let numbers: Vec<Seq> = self.checkpoints.own.keys().copied().collect();
        numbers.into_iter().for_each(|seq| self.vote_for_checkpoint(seq));
    }

    fn vote_for_checkpoint(&mut self, seq: Seq) {
        let place = Place { kind: Kind::Checkpoint, view: View::FIRST, seq };
        let Some(own) = self.checkpoints.own.get(&seq) else { return };
        let digest = own.digest;
        let voted =
            self.checkpoints.votes.get(&seq).is_some_and(|tally| tally.of(self.id).is_some());
        if !self.may_vote()
            || self.checkpoints.diverged
            || !own.saved
            || voted
            || seq <= self.stable()
            || !self.promises.allows(place, digest)
        {
            return;
        }
        let body = Checkpoint { seq, digest, by: self.voter_about(seq) };
        let vote = self.promises.sign(place, digest, body);
        self.out.record(Record::Checkpoint(Signed::clone(&vote)));
        self.out.send(To::Everyone, PeerMessage::Checkpoint(Signed::clone(&vote)));
        let counted = self.checkpoints.votes.entry(seq).or_default().count(vote);
        assert!(counted.is_ok(), "one's own checkpoint is cast once");
        self.count_checkpoints(seq);
    }

    /// Another replica's checkpoint.
    pub(super) fn on_checkpoint(
        &mut self,
        vote: Verified<Signed<Checkpoint>>,
    ) -> Result<(), Reject> {
        let Checkpoint { seq, by, .. } = vote.body;
        if by.replica == self.id {
            return Err(Reject::FromSelf);
        }
        self.hear(|heard| &mut heard.checkpoint, &vote);
        self.require_window(seq)?;
        self.require_life(by, seq)?;
        let tally = self.checkpoints.votes.entry(seq).or_default();
        if let Counted::Conflicting(earlier) = tally.count(vote.clone())? {
            self.convict(vote.conflict(&earlier));
        }
        self.count_checkpoints(seq);
        Ok(())
    }

    fn count_checkpoints(&mut self, seq: Seq) {
        let Some(tally) = self.checkpoints.votes.get(&seq) else { return };
        let certificate = tally.digests().find_map(|digest| {
            CheckpointCertificate::new(self.committee, seq, digest, tally.matching(digest))
        });
        if let Some(certificate) = certificate {
            self.learn_certificate(certificate);
        }
    }

    /// A certificate of a stable checkpoint, from wherever. Says whether it is news.
    pub(super) fn learn_certificate(
        &mut self,
        certificate: Verified<CheckpointCertificate>,
    ) -> bool {
        if certificate.seq() <= self.checkpoints.known() {
            return false;
        }
        let window = self.stable().next()..=self.window_end();
        let overtaken = self.checkpoints.best.replace(certificate);
        if let Some(overtaken) = overtaken.filter(|one| window.contains(&one.seq())) {
            self.checkpoints.overtaken.insert(overtaken.seq(), overtaken);
        }
        self.settle_checkpoint();
        true
    }

    /// Compares certificates with this replica's own states, the highest first: one becomes
    /// stable here, or shows that this replica's state is wrong.
    pub(super) fn settle_checkpoint(&mut self) {
        let Checkpoints { best, overtaken, own, stable, .. } = &self.checkpoints;
        let certificates = best.iter().chain(overtaken.values().rev());
        let known = certificates
            .filter(|one| one.seq() > *stable)
            .filter_map(|one| Some((one, own.get(&one.seq())?)))
            .find(|(one, own)| own.saved || own.digest != one.digest())
            .map(|(one, own)| (one.clone(), own.digest));
        match known {
            Some((certificate, own)) if own != certificate.digest() => {
                self.on_divergence(&certificate, own);
            }
            Some((certificate, _)) => self.advance_stable(certificate),
            None => {}
        }
    }

    /// This replica's state is not the one that `Q` others have: it says so loudly,
    /// stops executing and voting on checkpoints, and fetches the state anew.
    pub(super) fn on_divergence(
        &mut self,
        certificate: &Verified<CheckpointCertificate>,
        own: Digest,
    ) {
        if self.checkpoints.diverged {
            return;
        }
        self.checkpoints.diverged = true;
        let (seq, certified) = (certificate.seq(), certificate.digest());
        self.out.notice(Notice::Diverged { seq, certified, own });
        self.begin_transfer(certificate.clone());
    }

    /// `h` moves: what lies at or below is settled and goes.
    fn advance_stable(&mut self, certificate: Verified<CheckpointCertificate>) {
        let (seq, before) = (certificate.seq(), self.stable());
        assert!(seq > before, "the stable checkpoint never goes back");
        self.out.notice(Notice::Stable(seq, certificate.digest()));
        self.checkpoints.stable = seq;
        self.out.record(Record::Stable(CheckpointCertificate::clone(&certificate)));
        self.checkpoints.certificate = Some(certificate);
        self.checkpoints.overtaken.retain(|number, _| *number > seq);
        self.checkpoints.own.retain(|number, _| *number >= before);
        self.checkpoints.votes.retain(|number, _| *number > seq);
        self.prepared.retain(|number, _| *number > seq);
        self.decided.retain(|number, _| *number > seq);
        self.search.forget_through(seq);
        if let Some(active) = self.active_mut() {
            active.slots.retain(|number, _| *number > seq);
            active.doubts.retain(|number| *number > seq);
            active.next = active.next.max(seq.next());
        }
        self.adopt_reached();
        self.collect_bodies();
        self.promises.forget(seq, self.view);
        // A transfer under way has taken those that it can use.
        self.kept_parts.clear();
        self.compact_below = Some(seq);
        self.forget_turns();
        self.finish_recovery();
        self.advance_all();
        self.consider_rotation();
        self.propose();
    }

    /// Forgets batches that nothing refers to any more.
    pub(super) fn collect_bodies(&mut self) {
        let mut needed: std::collections::BTreeSet<Digest> =
            self.prepared.values().map(|certificate| certificate.digest()).collect();
        needed.extend(self.decided.values().map(|certificate| certificate.digest()));
        if let Some(active) = self.active() {
            needed.extend(active.slots.values().filter_map(super::slot::Slot::digest));
        }
        self.bodies.retain(|digest, _| needed.contains(digest));
        let decided = &self.decided;
        let active = self.active().is_some();
        let decided: std::collections::BTreeSet<Digest> =
            decided.values().map(|certificate| certificate.digest()).collect();
        if active {
            self.wanted.retain(|digest, _| needed.contains(digest) || decided.contains(digest));
        }
    }

    /// Permits to forget what a checkpoint settled that became stable in this step. The
    /// head is taken when the step is over, so that it misses nothing of it.
    pub(super) fn permit_compaction(&mut self) {
        if let Some(below) = self.compact_below.take() {
            let head = self.head();
            self.out.compact(Compaction { below, head });
        }
    }

    /// What a log that begins at the stable checkpoint must begin with.
    fn head(&self) -> Vec<Record> {
        let mut head: Vec<Record> = Vec::new();
        if let Some(certificate) = &self.checkpoints.certificate {
            head.push(Record::Stable(CheckpointCertificate::clone(certificate)));
        }
        if let Some(opening) = &self.opening {
            let shown = opening.shown.clone().map(Verified::into_inner);
            head.push(Record::NewView(Signed::clone(&opening.new_view), shown));
        }
        if let Some(wish) = self.wishes.get(&self.id) {
            head.push(Record::ViewChange(Signed::clone(wish)));
        }
        head.extend(self.reservation());
        let evidence = self.evidence.iter();
        head.extend(evidence.map(|one| Record::Evidence(crate::message::Evidence::clone(one))));
        if let Standing::Recovering { nonce, .. } = self.standing {
            head.push(Record::Recovering(nonce));
        }
        head
    }

    /// A replica's new life begins: what it said about views in an older one is void
    /// from here on (§ Stable storage and recovery). Its own last wish this replica
    /// keeps: nobody else is bound by it, but it is, and its log must go on saying so.
    pub(super) fn on_new_life(&mut self, replica: ReplicaId, incarnation: Incarnation) {
        self.out.notice(Notice::Reborn(replica, incarnation));
        self.keep_proof_of_view(replica);
        let own = self.id;
        self.wishes.retain(|sender, wish| {
            *sender == own || *sender != replica || wish.body.by.incarnation >= incarnation
        });
        self.forget_former_lives();
    }

    /// What a replica said in an older life about numbers of its present one counts no
    /// longer.
    pub(super) fn forget_former_lives(&mut self) {
        let lives = self.executor.lives().clone();
        let counts = |voter: crate::message::Voter, seq: Seq| lives.counts(voter, seq);
        for (seq, tally) in &mut self.checkpoints.votes {
            tally.retain(|vote| counts(vote.by, *seq));
        }
        let committee = self.committee;
        if let Some(active) = self.active_mut() {
            for slot in active.slots.values_mut() {
                // What is prepared was so by what counted then.
                let is_void =
                    |one: &Verified<Signed<PrePrepare>>| !counts(one.body.by, one.body.seq);
                if slot.proposal.as_ref().is_some_and(is_void) && !slot.is_prepared(committee) {
                    (slot.proposal, slot.accepted, slot.bytes) = (None, None, 0);
                }
                slot.doubtful.take_if(|doubtful| is_void(&doubtful.proposal));
                slot.prepares.retain(|vote| counts(vote.by, vote.seq));
                slot.commits.retain(|vote| counts(vote.by, vote.seq));
            }
        }
    }
}
