//! The normal case (§ Normal case): propose, prepare, commit, decide, execute.

use super::promises::{Kind, Place};
use super::slot::Slot;
use super::tally::Counted;
use super::waits::longest_known;
use super::{Active, Mode, Notice, Record, Replica, To};
use crate::message::batch::{ItemKey, NULL};
use crate::message::{
    Batch, Commit, CommitCertificate, Genuine, PeerMessage, PrePrepare, Prepare, Proposed, Reject,
    Reply, Signed, ToClient, Verified,
};
use crate::types::{ReplicaId, Seq};

impl Replica {
    // Proposing.

    /// Proposes what waits, while fewer than the pipeline's depth are in flight, and fewer bytes
    /// than one batch may have, and where it is worth a round of votes. Nothing delays a request
    /// where one is asked for at a time.
    pub(super) fn propose(&mut self) {
        while let Some(seq) = self.place_to_propose() {
            if self.is_too_little(seq) && !self.is_fill_up_due() {
                return;
            }
            let items = self.pick_items();
            self.end_gathering();
            if items.is_empty() && !self.is_fill_up_due() {
                return;
            }
            if items.is_empty() {
                self.fill_up_due = self.now.instant.plus(self.settings.fill_up_interval);
            }
            // Not the agreed time, though that may be later: others compare with clocks.
            let batch = Batch::new(self.now.wall, items);
            self.propose_batch(seq, batch);
        }
    }

    /// The next number to propose, if this replica may propose now.
    pub(super) fn place_to_propose(&self) -> Option<Seq> {
        let Mode::Active(active) = &self.mode else { return None };
        // A state that was transferred may have brought it past its own proposals.
        let next = active.next.max(self.executed().next());
        let in_flight = next.previous().since(self.executed());
        let may = self.may_vote()
            && self.is_primary()
            && in_flight < self.settings.pipeline
            && next <= self.window_end()
            && self.bytes_in_flight(next.previous()) < self.genesis.parameters.batch_bytes
            && !self.promises.is_lost(self.view, next);
        may.then_some(next)
    }

    /// How many bytes of batches are proposed up to this number and not executed. Much more
    /// than a network takes at once only waits on the way, behind what was proposed before:
    /// then agreement takes so long that others believe it lost.
    pub(super) fn bytes_in_flight(&self, up_to: Seq) -> u64 {
        let Some(active) = self.active() else { return 0 };
        let from = self.executed().next();
        if up_to < from {
            return 0;
        }
        active.slots.range(from..=up_to).map(|(_, slot)| slot.bytes as u64).sum()
    }

    fn pick_items(&mut self) -> Vec<crate::message::Item> {
        let (most_items, most_bytes) = self.batch_limits();
        self.pool.pick(most_items, most_bytes)
    }

    /// How many items a batch may hold, and of how many bytes together.
    pub(super) fn batch_limits(&self) -> (usize, usize) {
        let parameters = &self.genesis.parameters;
        let most_items = usize::try_from(parameters.batch_items).unwrap_or(usize::MAX);
        // The time, the length of the list, and the length of the whole.
        const FRAME: u64 = 64;
        let most_bytes = parameters.batch_bytes.saturating_sub(FRAME);
        (most_items, usize::try_from(most_bytes).unwrap_or(usize::MAX))
    }

    fn propose_batch(&mut self, seq: Seq, batch: Batch) {
        let digest = batch.digest();
        let body = PrePrepare { view: self.view, seq, digest, by: self.voter_about(seq) };
        let place = Place { kind: Kind::PrePrepare, view: self.view, seq };
        let proposal = self.promises.sign(place, digest, body);
        self.out.record(Record::PrePrepare(Signed::clone(&proposal), Some(batch.clone())));
        let message = PeerMessage::Propose(Signed::clone(&proposal), Some(batch.clone()));
        self.send_vote(seq, message);
        self.active_mut().expect("only an active primary proposes").next = seq.next();
        self.accept(proposal, Some(batch));
    }

    // Accepting a proposal.

    /// A proposal of the primary (§ Normal case, 3).
    pub(super) fn on_pre_prepare(
        &mut self,
        from: ReplicaId,
        proposal: Verified<Signed<PrePrepare>>,
        batch: Proposed,
    ) -> Result<(), Reject> {
        let PrePrepare { view, seq, by, .. } = proposal.body;
        if by.replica == self.id {
            return Err(Reject::FromSelf);
        }
        self.hear(|heard| &mut heard.pre_prepare, &proposal);
        self.require_active_view(view, by.replica)?;
        self.require_window(seq)?;
        if let Err(reject) = self.require_life(by, seq) {
            self.on_other_life(proposal, batch.exempt());
            return Err(reject);
        }
        if let Some(accepted) = self.slot(seq).and_then(|slot| slot.proposal.clone()) {
            return self.on_second_proposal(&accepted, &proposal, batch.exempt());
        }
        if seq <= self.active().expect("just required").chosen_up_to {
            return self.on_chosen_proposal(proposal, batch.exempt());
        }
        self.require_unpromised(&proposal.body)?;
        match batch {
            Proposed::Null => Err(Reject::NotChosen),
            Proposed::Unfit(_, reject) => {
                self.refuse(proposal);
                Err(reject)
            }
            Proposed::Unchecked(batch) => self.on_unchecked(from, proposal, batch),
        }
    }

    /// The same again may bring the body; another digest is a lie.
    fn on_second_proposal(
        &mut self,
        accepted: &Verified<Signed<PrePrepare>>,
        proposal: &Verified<Signed<PrePrepare>>,
        batch: Option<Batch>,
    ) -> Result<(), Reject> {
        if accepted.body.digest != proposal.body.digest {
            self.convict(proposal.conflict(accepted));
            return Err(Reject::Conflict);
        }
        match batch {
            Some(batch) if !self.bodies.contains_key(&batch.digest()) => self.on_batch(batch),
            _ => Err(Reject::Duplicate),
        }
    }

    /// A proposal of the view's opening that this replica has no place for yet: its
    /// window did not reach so far when it entered. What the view chose is exempt from
    /// all but that.
    fn on_chosen_proposal(
        &mut self,
        proposal: Verified<Signed<PrePrepare>>,
        batch: Option<Batch>,
    ) -> Result<(), Reject> {
        let is_chosen = self.opening.as_ref().is_some_and(|opening| {
            opening.new_view.body.pre_prepares.iter().any(|chosen| chosen.body == proposal.body)
        });
        if !is_chosen {
            return Err(Reject::NotChosen);
        }
        self.accept(proposal, batch);
        Ok(())
    }

    /// This replica may have agreed with another digest before a restart. What it may have
    /// forgotten it does not agree with, and commits to it when others have.
    fn require_unpromised(&self, proposal: &PrePrepare) -> Result<(), Reject> {
        let place = Place { kind: Kind::Prepare, view: proposal.view, seq: proposal.seq };
        match self.promises.made(place).is_none_or(|made| made == proposal.digest) {
            true => Ok(()),
            false => Err(Reject::Conflict),
        }
    }

    /// Agrees with a proposal, since clients signed what is in it.
    pub(super) fn accept_genuine(
        &mut self,
        proposal: Verified<Signed<PrePrepare>>,
        batch: Genuine,
    ) {
        self.accept(proposal, Some(batch.into_batch()));
    }

    /// What is in a batch needs no other place in the order, unless that one has come
    /// already: what was refused there waits for another.
    pub(super) fn mark_proposed(&mut self, seq: Seq, batch: &Batch) {
        if seq > self.executed() {
            batch.items().iter().for_each(|item| self.pool.mark_proposed(item.key()));
        }
    }

    /// Whether an accepted proposal holds it that was not executed.
    pub(super) fn is_under_way(&self, key: ItemKey) -> bool {
        let Some(active) = self.active() else { return false };
        let slots = active.slots.range(self.executed().next()..);
        let batches = slots
            .filter_map(|(_, slot)| slot.digest())
            .filter_map(|digest| self.bodies.get(&digest));
        batches.flat_map(|batch| batch.items()).any(|item| item.key() == key)
    }

    /// Takes a proposal into its slot, and goes as far as that leads: one of its own, one
    /// that the view's opening chose, or one that is genuine.
    fn accept(&mut self, proposal: Verified<Signed<PrePrepare>>, batch: Option<Batch>) {
        self.compare_with_refused(&proposal);
        let seq = proposal.body.seq;
        let (mut known, mut bytes) = (Vec::new(), 0);
        if let Some(batch) = batch {
            bytes = batch.size();
            known = longest_known(&self.pool, &batch);
            self.mark_proposed(seq, &batch);
            self.store_body(batch);
        }
        let now = self.now.instant;
        self.search.end(seq);
        let slot = self.slot_mut(seq);
        slot.proposal = Some(proposal);
        slot.doubtful = None;
        slot.accepted = Some(now);
        slot.known = known;
        slot.bytes = bytes;
        if let Some(active) = self.active_mut() {
            active.doubts.remove(&seq);
        }
        self.note_ordered();
        self.advance(seq);
        // The entry may have been decided before its body was here.
        self.execute_ready();
    }

    /// A proposal whose batch nobody agrees with. It is signed all the same, and beside another
    /// for the same number it convicts.
    pub(super) fn refuse(&mut self, proposal: Verified<Signed<PrePrepare>>) {
        self.compare_with_refused(&proposal);
        let slot = self.slot_mut(proposal.body.seq);
        let doubtful = slot.doubtful.as_ref().and_then(|one| proposal.conflict(&one.proposal));
        slot.refused.get_or_insert(proposal);
        self.convict(doubtful);
    }

    /// Whether another than this was refused for its number.
    pub(super) fn compare_with_refused(&mut self, proposal: &Verified<Signed<PrePrepare>>) {
        let slot = self.slot(proposal.body.seq);
        let refused = slot.and_then(|slot| proposal.conflict(slot.refused.as_ref()?));
        self.convict(refused);
    }

    // Votes.

    /// A backup agrees (§ Normal case, 4).
    pub(super) fn on_prepare(&mut self, vote: Verified<Signed<Prepare>>) -> Result<(), Reject> {
        let Prepare { view, seq, digest, by } = vote.body;
        if by.replica == self.id {
            return Err(Reject::FromSelf);
        }
        self.hear(|heard| &mut heard.prepare, &vote);
        self.require_active_view(view, by.replica)?;
        self.require_window(seq)?;
        self.require_life(by, seq)?;
        if let Counted::Conflicting(earlier) = self.slot_mut(seq).prepares.count(vote.clone())? {
            self.convict(vote.conflict(&earlier));
        }
        self.show_other_proposal(seq, digest, by.replica);
        self.reconsider(seq);
        self.note_lacking(seq);
        self.advance(seq);
        Ok(())
    }

    /// A replica holds a prepared certificate.
    pub(super) fn on_commit(&mut self, vote: Verified<Signed<Commit>>) -> Result<(), Reject> {
        let Commit { view, seq, by, .. } = vote.body;
        if by.replica == self.id {
            return Err(Reject::FromSelf);
        }
        self.hear(|heard| &mut heard.commit, &vote);
        self.require_active_view(view, by.replica)?;
        self.require_window(seq)?;
        self.require_life(by, seq)?;
        if let Counted::Conflicting(earlier) = self.slot_mut(seq).commits.count(vote.clone())? {
            self.convict(vote.conflict(&earlier));
        }
        self.note_lacking(seq);
        self.advance(seq);
        Ok(())
    }

    /// Somebody was told something else than this replica: showing it the proposal
    /// accepted here puts the primary's two signatures side by side. Once for a slot.
    fn show_other_proposal(&mut self, seq: Seq, digest: crate::types::Digest, to: ReplicaId) {
        let Some(slot) = self.slot(seq) else { return };
        let Some(proposal) = &slot.proposal else { return };
        if slot.shown || proposal.body.digest == digest {
            return;
        }
        let proposal = proposal.clone();
        let batch = self.bodies.get(&proposal.body.digest).cloned();
        if batch.is_some() || proposal.body.digest == NULL {
            self.slot_mut(seq).shown = true;
            let message = PeerMessage::Propose(proposal.into_inner(), batch);
            // It may be one's own, recorded a moment ago and not on disk yet.
            self.out.send(To::Peer(to), message);
        }
    }

    /// Does for one number whatever can be done now: prepare, commit, decide.
    pub(super) fn advance(&mut self, seq: Seq) {
        self.try_prepare(seq);
        self.try_commit(seq);
        self.try_decide(seq);
    }

    /// Does for every number whatever can be done now.
    pub(super) fn advance_all(&mut self) {
        let numbers: Vec<Seq> =
            self.active().map(|active| active.slots.keys().copied().collect()).unwrap_or_default();
        numbers.into_iter().for_each(|seq| self.advance(seq));
    }

    /// Agrees with the accepted proposal, once its body is here.
    fn try_prepare(&mut self, seq: Seq) {
        if !self.may_vote() || self.is_primary() {
            return;
        }
        let Some(slot) = self.slot(seq) else { return };
        let Some(digest) = slot.digest() else { return };
        let place = Place { kind: Kind::Prepare, view: self.view, seq };
        let voted = slot.prepares.of(self.id).is_some();
        if voted || !self.has_body(digest) || !self.promises.allows(place, digest) {
            return;
        }
        let body = Prepare { view: self.view, seq, digest, by: self.voter_about(seq) };
        let vote = self.promises.sign(place, digest, body);
        self.out.record(Record::Prepare(Signed::clone(&vote)));
        self.send_vote(seq, PeerMessage::Prepare(Signed::clone(&vote)));
        self.count_own(|slot| slot.prepares.count(vote).is_ok(), seq);
    }

    /// Commits to what is prepared: certificate and batch are recorded first.
    fn try_commit(&mut self, seq: Seq) {
        if !self.may_vote() {
            return;
        }
        let Some(slot) = self.slot(seq) else { return };
        let Some(digest) = slot.digest() else { return };
        let place = Place { kind: Kind::Commit, view: self.view, seq };
        if slot.commits.of(self.id).is_some()
            || !slot.is_prepared(self.committee)
            || !self.has_body(digest)
            || !self.promises.allows(place, digest)
        {
            return;
        }
        let certificate = slot.prepared(self.committee).expect("just found to be prepared");
        let batch = self.bodies.get(&digest).filter(|_| !self.has_recorded_body(seq)).cloned();
        self.out.record(Record::Prepared(certificate.clone().into_inner(), batch));
        self.prepared.insert(seq, certificate);
        self.answer_reads_from(self.view, seq);
        let body = Commit { view: self.view, seq, digest, by: self.voter_about(seq) };
        let vote = self.promises.sign(place, digest, body);
        self.out.send(To::Everyone, PeerMessage::Commit(Signed::clone(&vote)));
        self.count_own(|slot| slot.commits.count(vote).is_ok(), seq);
    }

    /// Whether the log has the batch already, from this replica's own proposal in this
    /// view. (What a new view chose was proposed without its body.)
    fn has_recorded_body(&self, seq: Seq) -> bool {
        self.is_primary() && self.active().is_some_and(|active| seq > active.chosen_up_to)
    }

    fn count_own(&mut self, count: impl FnOnce(&mut Slot) -> bool, seq: Seq) {
        let counted = count(self.slot_mut(seq));
        assert!(counted, "one's own vote is cast once");
    }

    /// Decides what `Q` have committed to.
    fn try_decide(&mut self, seq: Seq) {
        if self.decided.contains_key(&seq) {
            return;
        }
        let certificate =
            self.slot(seq).and_then(|slot| slot.committed(self.committee, self.view, seq));
        if let Some(certificate) = certificate {
            self.decide(certificate);
        }
    }

    /// An entry is decided. Its body may have to be fetched before it is executed.
    pub(super) fn decide(&mut self, certificate: Verified<CommitCertificate>) {
        let (seq, digest) = (certificate.seq(), certificate.digest());
        if seq <= self.stable() || self.decided.contains_key(&seq) {
            return;
        }
        self.out.notice(Notice::Decided(seq, digest, certificate.view()));
        // Decided is as good as checked.
        if let Some(batch) = self.doubtful_body(seq, digest) {
            self.store_body(batch);
        }
        if !self.has_body(digest) {
            let voters = certificate.voters().map(|voter| voter.replica).collect();
            self.want(digest, voters);
        }
        self.decided.insert(seq, certificate);
        self.decided_through = self.decided_without_gap();
        self.note_ordered();
        self.execute_ready();
    }

    // Executing.

    /// Executes what is decided, in order, as far as it goes without a gap.
    pub(super) fn execute_ready(&mut self) {
        let before = self.executed();
        while self.execute_next() {}
        if self.executed() > before {
            self.after_executing();
        }
    }

    fn execute_next(&mut self) -> bool {
        if self.checkpoints.diverged || self.transfer.is_some() {
            return false;
        }
        let seq = self.executed().next();
        let Some(digest) = self.decided.get(&seq).map(|certificate| certificate.digest()) else {
            return false;
        };
        if !self.has_body(digest) {
            return false;
        }
        let batch = self.bodies.get(&digest).cloned();
        let executed = self.executor.execute(digest, batch.as_ref());
        self.out.notice(Notice::Executed(seq, digest));
        let ordered = self.slot(seq).and_then(|slot| slot.ordered);
        self.waits.note_executed(ordered, self.now.instant);
        self.waits.progress(executed.served, self.now.instant);
        self.end_waits(seq, &executed);
        self.expect_company(&executed.items);
        self.answer_clients(executed.answers, executed.items.len());
        for (replica, incarnation) in executed.begun {
            self.on_new_life(replica, incarnation);
        }
        if let Some(tree) = executed.checkpoint {
            self.on_own_checkpoint(seq, tree);
        }
        true
    }

    /// Tells clients what came of their operations. A replica that recovers tells nobody:
    /// should it crash, it begins anew from a checkpoint before what it told, and it asks no
    /// others what that may have been.
    fn answer_clients(&mut self, answers: Vec<super::executor::Answer>, items: usize) {
        if self.is_recovering() {
            return;
        }
        for answer in answers {
            if self.leaves_to_others(&answer, items) {
                continue;
            }
            let reply = Reply {
                client: answer.client,
                number: answer.number,
                view: self.view,
                seq: answer.seq,
                operation: answer.operation,
                outcome: answer.outcome,
            };
            self.out.reply(answer.client, ToClient::Reply(reply));
        }
    }

    fn after_executing(&mut self) {
        self.renew_wish();
        self.continue_fetching();
        self.propose();
    }

    // Bodies.

    /// Whether the batch with this digest is here, or it is null and has none.
    pub(super) fn has_body(&self, digest: crate::types::Digest) -> bool {
        digest == NULL || self.bodies.contains_key(&digest)
    }

    pub(super) fn store_body(&mut self, batch: Batch) {
        self.wanted.remove(&batch.digest());
        self.bodies.insert(batch.digest(), batch);
    }

    /// A batch that was asked for by its digest.
    pub(super) fn on_batch(&mut self, batch: Batch) -> Result<(), Reject> {
        let digest = batch.digest();
        let proposed = self
            .active()
            .is_some_and(|active| active.slots.values().any(|slot| slot.digest() == Some(digest)));
        if !proposed && !self.wanted.contains_key(&digest) {
            return Err(Reject::Unrequested);
        }
        self.store_body(batch);
        self.advance_all();
        self.execute_ready();
        self.try_open();
        Ok(())
    }

    // The slots of the current view.

    pub(super) fn active(&self) -> Option<&Active> {
        match &self.mode {
            Mode::Active(active) => Some(active),
            Mode::Changing(_) => None,
        }
    }

    pub(super) fn active_mut(&mut self) -> Option<&mut Active> {
        match &mut self.mode {
            Mode::Active(active) => Some(active),
            Mode::Changing(_) => None,
        }
    }

    pub(super) fn slot(&self, seq: Seq) -> Option<&Slot> {
        self.active().and_then(|active| active.slots.get(&seq))
    }

    /// The slot of a number within the window, in the view this replica takes part in.
    pub(super) fn slot_mut(&mut self, seq: Seq) -> &mut Slot {
        let now = self.now.instant;
        let active = self.active_mut().expect("callers have required an active view");
        active.slots.entry(seq).or_insert_with(|| Slot::new(now))
    }

    /// The highest number proposed here or decided. Votes alone are anybody's to cast.
    pub(super) fn highest_proposed(&self) -> Seq {
        let proposed = self.active().and_then(|active| {
            let mut slots = active.slots.iter().rev();
            slots.find(|(_, slot)| slot.proposal.is_some()).map(|(seq, _)| *seq)
        });
        let decided = self.decided.keys().next_back().copied();
        proposed.max(decided).unwrap_or_default().max(self.executed())
    }

    /// The highest number that this replica has seen proposed or voted about.
    pub(super) fn highest_seen(&self) -> Seq {
        let slots = self.active().and_then(|active| active.slots.keys().next_back().copied());
        let decided = self.decided.keys().next_back().copied();
        slots.max(decided).unwrap_or_default().max(self.executed())
    }
}
