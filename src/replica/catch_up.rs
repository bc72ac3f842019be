//! Status, retransmission and fetching (§ View change, retransmission; § Stable storage
//! and recovery, catch-up).
//!
//! Every replica tells from time to time what it has and lacks. Whoever has what the
//! other lacks sends it again. So lost messages, idle clusters and healed replicas
//! converge without any client's help.

use super::checkpoints::Checkpoints;
use super::{Opening, Replica, To};
use crate::message::{
    Batch, Checkpoint, Commit, CommitCertificate, Fetch, NewView, PeerMessage, PrePrepare, Prepare,
    Reject, Signed, SlotStatus, Status, Verified, ViewChange,
};
use crate::types::{Digest, Instant, ReplicaId, Seq, Span, View};
use crate::wire::{self, List};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of another replica.
#[derive(Default)]
pub(super) struct Peer {
    status: Option<Status>,
    /// When its status was last answered,
    helped: Option<Instant>,
    /// and from when on batches may be sent again with that.
    batches_due: Instant,
    /// When its quota is renewed.
    quota_due: Instant,
    /// How often it may still ask until then.
    questions: u64,
    /// And how many bytes of answers it may still have. The last may exceed them.
    bytes: usize,
}

impl Peer {
    /// How far it says to have executed.
    pub(super) fn executed(&self) -> Seq {
        self.status.as_ref().map_or(Seq::GENESIS, |status| status.executed)
    }
}

/// The latest signed messages of another replica, to be shown to it when it restarts.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) pre_prepare: Option<Verified<Signed<PrePrepare>>>,
    pub(super) prepare: Option<Verified<Signed<Prepare>>>,
    pub(super) commit: Option<Verified<Signed<Commit>>>,
    pub(super) checkpoint: Option<Verified<Signed<Checkpoint>>>,
    pub(super) view_change: Option<Verified<Signed<ViewChange>>>,
    pub(super) new_view: Option<Verified<Signed<NewView>>>,
}

/// How late a message of its kind is: what was signed later comes later.
pub(super) trait Lateness: crate::message::Body {
    fn author_replica(&self) -> ReplicaId;
    fn lateness(&self) -> (u64, u64, u64);
}

macro_rules! lateness {
    ($($type:ty: $view:expr, $seq:expr);* $(;)?) => {$(
        impl Lateness for $type {
            fn author_replica(&self) -> ReplicaId {
                self.by.replica
            }
            fn lateness(&self) -> (u64, u64, u64) {
                let view: fn(&$type) -> u64 = $view;
                let seq: fn(&$type) -> u64 = $seq;
                (self.by.incarnation.0, seq(self), view(self))
            }
        }
    )*};
}

lateness! {
    PrePrepare: |one| one.view.0, |one| one.seq.0;
    Prepare: |one| one.view.0, |one| one.seq.0;
    Commit: |one| one.view.0, |one| one.seq.0;
    Checkpoint: |_| 0, |one| one.seq.0;
    ViewChange: |one| one.view.0, |_| 0;
    NewView: |one| one.view.0, |_| 0;
}

/// A batch that is looked for.
pub(super) struct Wanted {
    /// Who should have it, asked in turn; everybody after them.
    holders: Vec<ReplicaId>,
    asked: usize,
    due: Instant,
}

/// A fetch of decided entries under way.
pub(super) struct Fetching {
    from: ReplicaId,
    start: Seq,
    due: Instant,
    /// Who was asked for the entries from there on; the first may answer last.
    asked: BTreeSet<ReplicaId>,
}

/// How many decided entries one answer holds.
const ENTRIES_PER_FETCH: u64 = 32;

/// And how many bytes of batches, about.
const BYTES_PER_FETCH: usize = 4 << 20;

/// What a peer may ask for is counted anew so often. It is the same everywhere, whatever is
/// set: who asks keeps to it as well.
pub(super) const QUOTA_INTERVAL: Span = Span::milliseconds(200);

/// How often a peer may ask for something in it: for the parts of a large state that may
/// differ anywhere, thousands of times a second.
pub(super) const QUOTA_QUESTIONS: u64 = 1_024;

/// And how many bytes of answers it gets. Two of the largest messages, and enough for a
/// transfer to use a fast network.
const QUOTA_BYTES: usize = 64 << 20;

/// An idle replica tells its status so many times less often.
const IDLE_FACTOR: u64 = 5;

/// Batches are looked for at most this many times the window at once.
const MOST_WANTED_PER_NUMBER: u64 = 2;

impl Replica {
    // What others signed.

    /// Remembers the latest message of each kind of each replica.
    pub(super) fn hear<T: Lateness>(
        &mut self,
        kind: impl FnOnce(&mut Heard) -> &mut Option<Verified<Signed<T>>>,
        message: &Verified<Signed<T>>,
    ) {
        let heard = self.heard.entry(message.body.author_replica()).or_default();
        let latest = kind(heard);
        if latest.as_ref().is_none_or(|one| one.body.lateness() < message.body.lateness()) {
            *latest = Some(message.clone());
        }
    }

    /// What is known of a peer, with its quota renewed if it is time.
    fn peer(&mut self, id: ReplicaId) -> &mut Peer {
        let now = self.now.instant;
        let peer = self.peers.entry(id).or_default();
        if peer.quota_due <= now {
            peer.quota_due = now.plus(QUOTA_INTERVAL);
            (peer.questions, peer.bytes) = (QUOTA_QUESTIONS, QUOTA_BYTES);
        }
        peer
    }

    /// Counts what a peer asks for; past its quota it must wait.
    pub(super) fn charge(&mut self, from: ReplicaId) -> Result<(), Reject> {
        let peer = self.peer(from);
        peer.questions = peer.questions.checked_sub(1).ok_or(Reject::OverQuota)?;
        match peer.bytes > 0 {
            true => Ok(()),
            false => Err(Reject::OverQuota),
        }
    }

    /// Sends what a peer asked for, or shows that it lacks, at the expense of its quota.
    pub(super) fn answer(&mut self, to: ReplicaId, message: PeerMessage) {
        let peer = self.peer(to);
        peer.bytes = peer.bytes.saturating_sub(wire::size(&message));
        self.out.send(To::Peer(to), message);
    }

    // Status.

    /// There is something to wait for: the next status may be that of an idle replica, and
    /// too far off.
    pub(super) fn tell_status_soon(&mut self) {
        let soon = self.now.instant.plus(self.settings.status_interval);
        self.status_due = self.status_due.min(soon);
    }

    pub(super) fn tick_status(&mut self) {
        let now = self.now.instant;
        if self.status_due > now {
            return;
        }
        let idle = self.is_idle();
        let factor = if idle { IDLE_FACTOR } else { 1 };
        self.status_due = now.plus(self.settings.status_interval.times(factor));
        let status = self.status();
        self.out.send_free(To::Everyone, PeerMessage::Status(status));
        self.pass_on();
        self.fetch_decided();
        if idle {
            self.forget_turns();
        }
    }

    /// Whether this replica owes nobody anything and lacks nothing that it knows of.
    fn is_idle(&self) -> bool {
        self.may_vote()
            && self.is_active()
            && self.pool.held() == 0
            && !self.is_anything_owed()
            && self.highest_seen() == self.executed()
            && self.checkpoints.known() == self.stable()
            && self.checkpoints.own.keys().next_back().is_none_or(|seq| *seq <= self.stable())
            && self.peers.values().all(|peer| peer.executed() <= self.executed())
    }

    /// How far this replica can show others what it executed. Decisions are not on disk:
    /// after a restart the votes for what it executed before have to come together
    /// again, or who is behind finds nobody to learn from.
    pub(super) fn shown(&self) -> Seq {
        self.decided_without_gap().min(self.executed())
    }

    /// Up to here every number above the stable checkpoint is decided. None is ever forgotten
    /// above that, so what was found once need not be looked at again.
    pub(super) fn decided_without_gap(&self) -> Seq {
        let mut through = self.decided_through.max(self.stable());
        while self.decided.contains_key(&through.next()) {
            through = through.next();
        }
        through
    }

    fn status(&self) -> Status {
        let executed = self.shown();
        let last = self.highest_seen().min(self.window_end()).max(executed);
        let slots = (executed.0 + 1..=last.0).map(Seq).map(|seq| self.slot_status(seq));
        let slots: List<SlotStatus> = slots.collect();
        let wishes = self.wishes.iter().filter(|(_, wish)| wish.body.view >= self.view);
        let view_changes = wishes.map(|(sender, _)| *sender).collect();
        Status {
            view: self.view,
            active: self.is_active(),
            stable: self.stable(),
            executed,
            slots,
            view_changes,
        }
    }

    fn slot_status(&self, seq: Seq) -> SlotStatus {
        if self.decided.contains_key(&seq) {
            return SlotStatus::Decided;
        }
        let Some(slot) = self.slot(seq) else { return SlotStatus::Empty };
        match slot.digest() {
            Some(digest) if self.has_body(digest) => match slot.is_prepared(self.committee) {
                true => SlotStatus::Prepared,
                false => SlotStatus::Proposed,
            },
            _ => SlotStatus::Empty,
        }
    }

    /// What another has and lacks: what this replica has of that, it sends again. An
    /// answer is far larger than the question, so it is given at a bounded rate.
    pub(super) fn on_status(&mut self, from: ReplicaId, status: Status) -> Result<(), Reject> {
        let now = self.now.instant;
        let rest = self.settings.status_interval.halved();
        let peer = self.peer(from);
        peer.status = Some(status.clone());
        if peer.bytes == 0 || peer.helped.is_some_and(|helped| now.since(helped) < rest) {
            // Known now, and helped at its next.
            return Ok(());
        }
        peer.helped = Some(now);
        self.help_with_view(from, &status);
        self.help_with_checkpoints(from, &status);
        self.help_with_slots(from, &status);
        Ok(())
    }

    fn help_with_view(&mut self, from: ReplicaId, status: &Status) {
        let is_there = status.view > self.view || (status.view == self.view && status.active);
        if is_there {
            return;
        }
        if self.is_active() {
            if let Some(message) = self.opening_message() {
                self.answer(from, message);
            }
            return;
        }
        let is_behind = status.view < self.view;
        let own = self.wishes.get(&self.id);
        let own = own.filter(|_| is_behind || !status.view_changes.contains(&self.id));
        // Its primary may have left, and told only some.
        let primary = self.wishes.get(&self.committee.primary(status.view));
        let primary = primary.filter(|wish| is_behind && wish.body.view > status.view);
        let wishes: Vec<_> = own.into_iter().chain(primary).cloned().collect();
        for wish in wishes {
            self.answer(from, PeerMessage::ViewChange(wish.into_inner()));
        }
        // Or it is convicted, and not everybody knows.
        let evidence = self.evidence_against(self.committee.primary(status.view));
        if let Some(evidence) = evidence.filter(|_| is_behind).cloned() {
            self.answer(from, PeerMessage::Evidence(evidence.into_inner()));
        }
        self.show_impostor(from, status.view);
    }

    fn help_with_checkpoints(&mut self, from: ReplicaId, status: &Status) {
        if status.stable < self.checkpoints.known() {
            self.send_stable(from);
        }
        let votes = self.checkpoints.votes.range(status.stable.next()..);
        let own: Vec<PeerMessage> = votes
            .filter_map(|(_, tally)| tally.of(self.id))
            .map(|vote| PeerMessage::Checkpoint(Signed::clone(vote)))
            .collect();
        for message in own {
            self.answer(from, message);
        }
    }

    /// The highest certificate of a checkpoint, though its state may not be here: whoever
    /// has that lacks perhaps nothing else.
    fn send_stable(&mut self, to: ReplicaId) {
        let Checkpoints { best, certificate, .. } = &self.checkpoints;
        let known = best.iter().chain(certificate).max_by_key(|one| one.seq());
        if let Some(certificate) = known.cloned() {
            let message = PeerMessage::Stable(certificate.into_inner());
            self.answer(to, message);
        }
    }

    fn help_with_slots(&mut self, from: ReplicaId, status: &Status) {
        if status.view != self.view || !status.active {
            return;
        }
        let now = self.now.instant;
        let long_ago = Instant(now.0.saturating_sub(self.settings.status_interval.0));
        // Batches that are large may be on their way for longer.
        let usual =
            self.waits.usual_agreement().times(2).min(self.waits.patience.halved().halved());
        let rest = self.settings.status_interval.max(usual);
        let may_have_batches = self.is_primary() && self.peer(from).batches_due <= now;
        let Some(active) = self.active() else { return };
        let mut messages = Vec::new();
        let mut bytes = 0;
        for (seq, slot) in active.slots.range(status.executed.next()..) {
            if slot.since > long_ago {
                continue;
            }
            let index = usize::try_from(seq.since(status.executed) - 1).unwrap_or(usize::MAX);
            let has = status.slots.get(index).copied().unwrap_or(SlotStatus::Empty);
            let is_late = slot.since.plus(rest) <= now;
            if has == SlotStatus::Empty && may_have_batches && is_late && bytes <= BYTES_PER_FETCH {
                let batch = slot.digest().and_then(|digest| self.bodies.get(&digest));
                bytes += batch.map_or(0, Batch::size);
                messages.extend(self.proposal_message(slot));
            }
            if matches!(has, SlotStatus::Empty | SlotStatus::Proposed)
                && let Some(vote) = slot.prepares.of(self.id)
            {
                messages.push(PeerMessage::Prepare(Signed::clone(vote)));
            }
            if has != SlotStatus::Decided
                && let Some(vote) = slot.commits.of(self.id)
            {
                messages.push(PeerMessage::Commit(Signed::clone(vote)));
            }
        }
        if bytes > 0 {
            self.peer(from).batches_due = now.plus(rest);
        }
        for message in messages {
            self.answer(from, message);
        }
    }

    pub(super) fn proposal_message(&self, slot: &super::slot::Slot) -> Option<PeerMessage> {
        let proposal = slot.proposal.as_ref()?;
        let batch = self.bodies.get(&proposal.body.digest).cloned();
        let whole = batch.is_some() || proposal.body.digest == crate::message::batch::NULL;
        whole.then(|| PeerMessage::Propose(Signed::clone(proposal), batch))
    }

    // Batches by digest.

    /// Looks for a batch, first with those who should have it.
    pub(super) fn want(&mut self, digest: Digest, mut holders: Vec<ReplicaId>) {
        let most = MOST_WANTED_PER_NUMBER.saturating_mul(self.genesis.parameters.window);
        if self.has_body(digest)
            || self.wanted.contains_key(&digest)
            || self.wanted.len() as u64 >= most
        {
            return;
        }
        holders.extend(self.others());
        let mut seen = BTreeSet::from([self.id]);
        holders.retain(|holder| seen.insert(*holder));
        self.wanted.insert(digest, Wanted { holders, asked: 0, due: self.now.instant });
        self.tick_wanted();
    }

    pub(super) fn wanted_deadline(&self) -> Option<Instant> {
        self.wanted.values().map(|wanted| wanted.due).min()
    }

    pub(super) fn tick_wanted(&mut self) {
        let now = self.now.instant;
        let timeout = self.settings.fetch_timeout;
        let mut asked = BTreeMap::new();
        for (digest, wanted) in self.wanted.iter_mut().filter(|(_, wanted)| wanted.due <= now) {
            asked.insert(*digest, wanted.holders[wanted.asked % wanted.holders.len()]);
            wanted.asked += 1;
            wanted.due = now.plus(timeout);
        }
        for (digest, holder) in asked {
            let message = PeerMessage::Fetch(Fetch::Batch(digest));
            self.out.send_free(To::Peer(holder), message);
        }
    }

    pub(super) fn on_fetch_batch(&mut self, from: ReplicaId, digest: Digest) -> Result<(), Reject> {
        let batch = self.bodies.get(&digest).cloned().ok_or(Reject::NotHere)?;
        self.answer(from, PeerMessage::Batch(batch));
        Ok(())
    }

    // Decided entries.

    /// If others are further and nothing came since the last status, asks one of them,
    /// another each time, for what was decided.
    fn fetch_decided(&mut self) {
        let now = self.now.instant;
        if self.transfer.is_some() || self.fetching.as_ref().is_some_and(|one| one.due > now) {
            return;
        }
        let executed = self.executed();
        let ahead: Vec<ReplicaId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.executed() > executed)
            .map(|(replica, _)| *replica)
            .collect();
        let certified = self.checkpoints.known() > executed;
        let candidates = match ahead.is_empty() && certified {
            true => self.others().collect(),
            false => ahead,
        };
        let last = self.fetching.as_ref().map(|one| one.from);
        let next = candidates
            .iter()
            .find(|replica| last.is_some_and(|last| **replica > last))
            .or(candidates.first());
        if let Some(from) = next.copied() {
            self.fetch_decided_from(from);
        }
    }

    fn fetch_decided_from(&mut self, from: ReplicaId) {
        let start = self.executed().next();
        let due = self.now.instant.plus(self.settings.fetch_timeout);
        let before = self.fetching.take().filter(|fetching| fetching.start == start);
        let mut asked = before.map(|fetching| fetching.asked).unwrap_or_default();
        asked.insert(from);
        self.fetching = Some(Fetching { from, start, due, asked });
        self.out.send_free(To::Peer(from), PeerMessage::Fetch(Fetch::Decided(start)));
    }

    /// The entries asked for are executed: goes on with the next.
    pub(super) fn continue_fetching(&mut self) {
        let Some(fetching) = &self.fetching else { return };
        let from = fetching.from;
        let is_ahead = self.peers.get(&from).is_some_and(|peer| peer.executed() > self.executed());
        if self.executed().next().since(fetching.start) >= ENTRIES_PER_FETCH && is_ahead {
            self.fetch_decided_from(from);
        }
    }

    pub(super) fn on_fetch_decided(&mut self, from: ReplicaId, start: Seq) -> Result<(), Reject> {
        if start <= self.stable() {
            self.send_stable(from);
            return Ok(());
        }
        let mut messages = Vec::new();
        let mut bytes = 0;
        for seq in (start.0..start.plus(ENTRIES_PER_FETCH).0).map(Seq) {
            let Some(certificate) = self.decided.get(&seq) else { break };
            if !self.has_body(certificate.digest()) || bytes > BYTES_PER_FETCH {
                break;
            }
            let batch = self.bodies.get(&certificate.digest()).cloned();
            bytes += batch.as_ref().map_or(0, Batch::size);
            messages.push(PeerMessage::Decided(CommitCertificate::clone(certificate), batch));
        }
        if messages.is_empty() {
            return Err(Reject::NotHere);
        }
        for message in messages {
            self.answer(from, message);
        }
        Ok(())
    }

    /// A decided entry, whole. It proves itself, in whatever view this replica is.
    pub(super) fn on_decided(
        &mut self,
        certificate: Verified<CommitCertificate>,
        batch: Option<Batch>,
    ) -> Result<(), Reject> {
        let seq = certificate.seq();
        self.require_window(seq)?;
        for voter in certificate.voters() {
            self.require_life(voter, seq)?;
        }
        let known = self.decided.get(&seq).map(|one| one.digest());
        if seq <= self.executed() || known.is_some_and(|digest| self.has_body(digest)) {
            return Err(Reject::Duplicate);
        }
        if let Some(batch) = batch {
            self.store_body(batch);
        }
        match known {
            Some(_) => self.execute_ready(),
            None => self.decide(certificate),
        }
        Ok(())
    }

    // Views and certificates.

    /// Others are in a later view: asks one of them for its opening, now and then.
    pub(super) fn fetch_view(&mut self, view: View, from: ReplicaId) {
        if self.view_fetch_due <= self.now.instant {
            self.view_fetch_due = self.now.instant.plus(self.settings.fetch_timeout);
            self.out.send_free(To::Peer(from), PeerMessage::Fetch(Fetch::NewView(view)));
        }
    }

    pub(super) fn on_fetch_new_view(&mut self, from: ReplicaId, view: View) -> Result<(), Reject> {
        let known: Option<&Opening> = self.opening.as_ref();
        let message = known
            .filter(|opening| opening.new_view.body.view >= view)
            .and_then(|_| self.opening_message())
            .ok_or(Reject::NotHere)?;
        self.answer(from, message);
        Ok(())
    }

    pub(super) fn on_fetch_stable(&mut self, from: ReplicaId, above: Seq) -> Result<(), Reject> {
        if self.checkpoints.known() <= above {
            return Err(Reject::NotHere);
        }
        self.send_stable(from);
        Ok(())
    }

    /// A certificate from a peer. If it answers a question for entries that the peer has
    /// no more, the log leads no further: the state is fetched. That the next entry is
    /// known to be decided is no help without its body.
    pub(super) fn on_stable(
        &mut self,
        from: ReplicaId,
        certificate: Verified<crate::message::CheckpointCertificate>,
    ) -> Result<(), Reject> {
        let is_answer = self.fetching.as_ref().is_some_and(|one| one.asked.contains(&from));
        let is_news = self.learn_certificate(certificate);
        let best = self.checkpoints.best.clone();
        if let Some(best) = best
            && is_answer
            && self.transfer.is_none()
            && best.seq() > self.executed()
            && !self.has_next_entry()
        {
            self.begin_transfer(best);
            return Ok(());
        }
        match is_news {
            true => Ok(()),
            false => Err(Reject::OldCertificate),
        }
    }

    /// Whether the next entry is decided and its body here. Of an entry that the others
    /// have settled, nobody may have the body any more.
    fn has_next_entry(&self) -> bool {
        let next = self.decided.get(&self.executed().next());
        next.is_some_and(|certificate| self.has_body(certificate.digest()))
    }
}
