//! Coming back (§ Stable storage and recovery): a new replica, one that restarts with
//! its log, one whose disk was lost or went back in time.

use super::checkpoints::{Checkpoints, Own};
use super::executor::{Executor, NotAState};
use super::lacking::Search;
use super::pool::Pool;
use super::promises::{Kind, Place, Promises, identity};
use super::reads::Reads;
use super::reserved::Reserved;
use super::slot::Slot;
use super::turns::Turns;
use super::waits::{Allowance, Waits};
use super::{
    Active, Changing, Effects, Mode, Notice, Now, Opening, Recalled, Record, Replica, Settings,
    Standing, To,
};
use crate::crypto::Signer;
use crate::message::{
    Batch, CheckedGenesis, CheckedStart, CheckpointCertificate, Held, Item, PeerMessage,
    PreparedCertificate, RecoveryRequest, Reject, Signed, StartAnswer, Verified, Voter,
};
use crate::service::tree::{Part, Path};
use crate::service::{Service, Tree};
use crate::types::{Digest, Instant, Nonce, ReplicaId, Seq, View};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a replica starts from, beside its log.
pub struct Origin {
    /// Its number.
    pub id: ReplicaId,
    /// Who takes part, and under which rules.
    pub genesis: Arc<CheckedGenesis>,
    /// Its own settings.
    pub settings: Settings,
    /// Its key.
    pub signer: Box<dyn Signer>,
    /// What is replicated.
    pub service: Arc<dyn Service>,
    /// Drawn at random for this start.
    pub nonce: Nonce,
    /// The operator's word that the disk was lost, or went back in time.
    pub disk_was_lost: bool,
}

/// What was found on disk.
#[derive(Default)]
pub struct Recovered {
    /// The log, in its order, verified again.
    pub records: Vec<Recalled>,
    /// The states that were saved, from the stable checkpoint on: the latest to go on
    /// from, all of them to serve those who fetch one.
    pub states: BTreeMap<Seq, Tree>,
    /// Parts of a state that was being fetched.
    pub parts: Vec<(Path, Part)>,
}

/// Why a replica cannot start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The replica is not listed.
    #[error("replica {0} is not listed in the genesis")]
    NotListed(ReplicaId),
    /// The saved state is none.
    #[error("the saved state cannot be used: {0}")]
    State(#[from] NotAState),
    /// The saved state is not that of its number.
    #[error("the saved state is that of number {found}, and is filed under {expected}")]
    WrongState {
        /// The number it was saved under.
        expected: Seq,
        /// The number it is of.
        found: Seq,
    },
    /// The log promises more than the saved state can answer for.
    #[error("the log's stable checkpoint is {stable}, and the saved state is only that of {saved}")]
    StateTooOld {
        /// The stable checkpoint of the log.
        stable: Seq,
        /// The number of the saved state.
        saved: Seq,
    },
}

/// Whoever has so many batches' worth waiting gets no more places.
const MOST_WAITING_BATCHES: u64 = 4;

fn most_waiting_bytes(genesis: &CheckedGenesis) -> usize {
    let bytes = genesis.parameters.batch_bytes.saturating_mul(MOST_WAITING_BATCHES);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl Replica {
    /// Starts a replica from what was found on disk. What it sends first is in the
    /// effects.
    pub fn start(
        now: Now,
        origin: Origin,
        recovered: Recovered,
    ) -> Result<(Replica, Effects), StartError> {
        let committee = origin.genesis.committee();
        if !committee.has(origin.id) {
            return Err(StartError::NotListed(origin.id));
        }
        let executor = match recovered.states.last_key_value() {
            None => Executor::genesis(&origin.genesis, committee, origin.service),
            Some((seq, tree)) => {
                let executor = Executor::restore(committee, origin.service, tree.clone())?;
                let found = executor.executed();
                if found != *seq {
                    return Err(StartError::WrongState { expected: *seq, found });
                }
                executor
            }
        };
        let cluster = origin.genesis.cluster();
        let mut replica = Replica {
            id: origin.id,
            committee,
            settings: origin.settings,
            standing: Standing::Starting {
                nonce: origin.nonce,
                answered: BTreeSet::from([origin.id]),
                ask_again: now.instant,
            },
            promises: Promises::new(cluster, origin.signer),
            executor,
            view: View::FIRST,
            mode: Mode::Active(Active::new(BTreeMap::new(), Seq::GENESIS)),
            opening: None,
            prepared: BTreeMap::new(),
            decided: BTreeMap::new(),
            decided_through: Seq::GENESIS,
            bodies: BTreeMap::new(),
            checkpoints: Checkpoints::default(),
            wishes: BTreeMap::new(),
            shown: BTreeMap::new(),
            pool: Pool::new(most_waiting_bytes(&origin.genesis)),
            turns: Turns::default(),
            waits: Waits::new(&origin.settings, now.instant),
            peers: BTreeMap::new(),
            heard: BTreeMap::new(),
            wanted: BTreeMap::new(),
            search: Search::default(),
            transfer: None,
            kept_parts: recovered.parts,
            evidence: Vec::new(),
            bears_convicts: false,
            status_due: now.instant,
            view_fetch_due: now.instant,
            gathering: Default::default(),
            fill_up_due: now.instant,
            fill_ups_accepted: Allowance::default(),
            unreliable: BTreeMap::new(),
            asked_by: BTreeMap::new(),
            receipts_signed: BTreeMap::new(),
            reserved: Reserved::default(),
            fetching: None,
            reads: Reads::default(),
            now,
            compact_below: None,
            out: Effects::default(),
            genesis: origin.genesis,
        };
        replica.recall(recovered.records, recovered.states)?;
        if origin.disk_was_lost {
            replica.begin_recovery(origin.nonce);
        }
        // It may have been done when the log ended just before it could say so.
        replica.finish_recovery();
        replica.on_tick();
        replica.permit_compaction();
        let effects = std::mem::take(&mut replica.out);
        Ok((replica, effects))
    }

    // Recalling the log.

    /// Takes on every promise that the log remembers, and what they stand on.
    fn recall(
        &mut self,
        records: Vec<Recalled>,
        states: BTreeMap<Seq, Tree>,
    ) -> Result<(), StartError> {
        let starting = self.standing.clone();
        for record in records {
            self.recall_one(record, starting.clone());
        }
        let saved = self.executed();
        let stable = self.stable();
        if stable > saved {
            return Err(StartError::StateTooOld { stable, saved });
        }
        for (seq, tree) in states {
            let digest = tree.digest();
            self.checkpoints.own.insert(seq, Own { digest, tree, saved: true });
        }
        self.forget_settled();
        // The log is in the order of writing: it has words that others have outlived by now.
        self.forget_former_lives();
        self.abstain_from_what_is_lost();
        let prepared = self.highest_open().unwrap_or_default();
        self.answer_reads_from(self.entered(), prepared.max(self.chosen_by_opening()));
        self.note_what_is_owed();
        self.compare_with_certificate();
        // A crash may have left the opening in the log, and not what goes with it.
        if let Some(opening) = self.opening.clone() {
            self.record_own_proposals(&opening.new_view.body);
        }
        Ok(())
    }

    /// A state that rotted on disk is not the one that its certificate is of.
    fn compare_with_certificate(&mut self) {
        let Some(certificate) = self.checkpoints.certificate.clone() else { return };
        let own = self.checkpoints.own.get(&certificate.seq()).map(|own| own.digest);
        if let Some(own) = own.filter(|own| *own != certificate.digest()) {
            self.on_divergence(&certificate, own);
        }
    }

    /// One record. `starting` is how this start began, before anything was recalled.
    fn recall_one(&mut self, record: Recalled, starting: Standing) {
        match record {
            Recalled::PrePrepare(proposal, batch) => {
                let (view, seq, digest) =
                    (proposal.body.view, proposal.body.seq, proposal.body.digest);
                self.promises.remember(Place { kind: Kind::PrePrepare, view, seq }, digest);
                self.recall_body(batch);
                if let Some(active) = self.active_in(view) {
                    active.next = active.next.max(seq.next());
                    self.recall_slot(seq).proposal = Some(proposal);
                }
            }
            Recalled::Prepare(vote) => {
                let (view, seq, digest) = (vote.body.view, vote.body.seq, vote.body.digest);
                self.promises.remember(Place { kind: Kind::Prepare, view, seq }, digest);
                if self.active_in(view).is_some() {
                    // The log may repeat itself after a compaction.
                    let _ = self.recall_slot(seq).prepares.count(vote);
                }
            }
            Recalled::Prepared(certificate, batch) => self.recall_prepared(certificate, batch),
            Recalled::Checkpoint(vote) => {
                let (seq, digest) = (vote.body.seq, vote.body.digest);
                let place = Place { kind: Kind::Checkpoint, view: View::FIRST, seq };
                self.promises.remember(place, digest);
                let _ = self.checkpoints.votes.entry(seq).or_default().count(vote);
            }
            Recalled::Stable(certificate) => self.recall_stable(certificate),
            Recalled::ViewChange(wish) => {
                let view = wish.body.view;
                let place = Place { kind: Kind::ViewChange, view, seq: Seq::GENESIS };
                self.promises.remember(place, identity(&wish.body));
                if view > self.view {
                    self.view = view;
                    self.mode = Mode::Changing(Changing::default());
                    self.wishes.insert(self.id, wish);
                }
            }
            Recalled::NewView(new_view, shown) => self.recall_new_view(Opening { new_view, shown }),
            // The log may repeat itself after a compaction.
            Recalled::Evidence(evidence) if self.evidence.contains(&evidence) => {}
            Recalled::Evidence(evidence) => self.keep_evidence(evidence),
            Recalled::Recovering(nonce) => {
                self.standing = Standing::Recovering { nonce, ask_again: self.now.instant };
            }
            Recalled::Recovered(_) => self.standing = starting,
            Recalled::Reserved(view, up_to) => self.recall_reserved(view, up_to),
        }
    }

    fn active_in(&mut self, view: View) -> Option<&mut Active> {
        (self.view == view).then(|| self.active_mut()).flatten()
    }

    /// A number that the log speaks of and that is not decided: it is waited for like any
    /// that was proposed.
    fn recall_slot(&mut self, seq: Seq) -> &mut Slot {
        let now = self.now.instant;
        let slot = self.slot_mut(seq);
        slot.accepted = Some(now);
        slot
    }

    fn recall_body(&mut self, batch: Option<Batch>) {
        if let Some(batch) = batch {
            self.bodies.insert(batch.digest(), batch);
        }
    }

    /// A prepared certificate in the log is a commit cast.
    fn recall_prepared(
        &mut self,
        certificate: Verified<PreparedCertificate>,
        batch: Option<Batch>,
    ) {
        let (view, seq, digest) = (certificate.view(), certificate.seq(), certificate.digest());
        self.promises.remember(Place { kind: Kind::Commit, view, seq }, digest);
        self.recall_body(batch);
        if self.active_in(view).is_some() {
            let slot = self.recall_slot(seq);
            slot.proposal = Some(certificate.verified_proposal());
            for vote in certificate.verified_prepares() {
                let _ = slot.prepares.count(vote);
            }
        }
        let is_higher = self.prepared.get(&seq).is_none_or(|one| one.view() < view);
        if is_higher {
            self.prepared.insert(seq, certificate);
        }
    }

    fn recall_stable(&mut self, certificate: Verified<CheckpointCertificate>) {
        if certificate.seq() > self.checkpoints.stable {
            self.checkpoints.stable = certificate.seq();
            self.checkpoints.certificate = Some(certificate.clone());
            self.checkpoints.best = Some(certificate);
        }
    }

    fn recall_new_view(&mut self, opening: Opening) {
        let body = &opening.new_view.body;
        let view = body.view;
        if body.by.replica == self.id {
            let place = Place { kind: Kind::NewView, view, seq: Seq::GENESIS };
            self.promises.remember(place, identity(body));
            for proposal in &body.pre_prepares {
                let (seq, digest) = (proposal.body.seq, proposal.body.digest);
                self.promises.remember(Place { kind: Kind::PrePrepare, view, seq }, digest);
            }
        }
        if view < self.view || (view == self.view && self.is_active()) {
            return;
        }
        let last = opening.chosen_up_to();
        let now = self.now.instant;
        let slots = opening
            .new_view
            .proposals()
            .map(|proposal| {
                let mut slot = Slot::new(now);
                let seq = proposal.body.seq;
                slot.proposal = Some(proposal);
                slot.accepted = Some(now);
                (seq, slot)
            })
            .collect();
        self.view = view;
        self.promises.enter(view);
        self.wishes.remove(&self.id);
        self.mode = Mode::Active(Active::new(slots, last));
        self.opening = Some(opening);
    }

    /// Drops what the log still has and the stable checkpoint has settled. What is left
    /// is waited for from now on.
    fn forget_settled(&mut self) {
        let stable = self.stable();
        let (end, now) = (self.window_end(), self.now.instant);
        self.prepared.retain(|seq, _| *seq > stable);
        self.checkpoints.votes.retain(|seq, _| *seq > stable);
        if let Some(active) = self.active_mut() {
            active.slots.retain(|seq, _| *seq > stable && *seq <= end);
            active.slots.values_mut().for_each(|slot| slot.accepted = Some(now));
            active.next = active.next.max(stable.next());
        }
        self.promises.forget(stable, self.view);
    }

    /// The highest number for which there is a prepared certificate that the opening of
    /// the view entered last did not leave out.
    fn highest_open(&self) -> Option<Seq> {
        let mut prepared = self.prepared.iter().rev();
        let open = prepared.find(|(seq, one)| !self.is_left_out(one.view(), **seq));
        open.map(|(seq, _)| *seq)
    }

    /// The view that was entered last. Who asks for another has not left it for that.
    pub(super) fn entered(&self) -> View {
        self.opening.as_ref().map_or(View::FIRST, |opening| opening.new_view.body.view)
    }

    /// The highest number that the opening of the view entered last speaks of.
    fn chosen_by_opening(&self) -> Seq {
        self.opening.as_ref().map_or(Seq::GENESIS, Opening::chosen_up_to)
    }

    // Every start: asking what is known of this replica.

    pub(super) fn start_deadline(&self) -> Option<Instant> {
        match self.standing {
            Standing::Starting { ask_again, .. } | Standing::Recovering { ask_again, .. } => {
                Some(ask_again)
            }
            Standing::Voting | Standing::Halted => None,
        }
    }

    /// Asks, again and again until enough have answered.
    pub(super) fn tick_start(&mut self) {
        let now = self.now.instant;
        let next = now.plus(self.settings.status_interval);
        let message = match &mut self.standing {
            Standing::Starting { nonce, ask_again, .. } if *ask_again <= now => {
                *ask_again = next;
                PeerMessage::StartQuery(*nonce)
            }
            Standing::Recovering { nonce, ask_again } if *ask_again <= now => {
                *ask_again = next;
                let body = RecoveryRequest { replica: self.id, nonce: *nonce };
                if self.executor.lives().knows(self.id, *nonce) {
                    return;
                }
                PeerMessage::Recovery(self.promises.sign_freely(body).into_inner())
            }
            _ => return,
        };
        self.out.send(To::Everyone, message);
    }

    /// A starting replica asks; everybody answers at once, whatever their own standing.
    pub(super) fn on_start_query(&mut self, from: ReplicaId, nonce: Nonce) -> Result<(), Reject> {
        self.charge(from)?;
        let held = self.heard.get(&from).map(|heard| {
            let mut held = Vec::new();
            held.extend(heard.pre_prepare.clone().map(|one| Held::PrePrepare(one.into_inner())));
            held.extend(heard.prepare.clone().map(|one| Held::Prepare(one.into_inner())));
            held.extend(heard.commit.clone().map(|one| Held::Commit(one.into_inner())));
            held.extend(heard.checkpoint.clone().map(|one| Held::Checkpoint(one.into_inner())));
            held.extend(heard.view_change.clone().map(|one| Held::ViewChange(one.into_inner())));
            held.extend(heard.new_view.clone().map(|one| Held::NewView(one.into_inner())));
            held
        });
        let highest = self.highest_open().and_then(|seq| self.prepared.get(&seq)).cloned();
        let answer = StartAnswer {
            nonce,
            view: self.entered(),
            highest: highest.map(Verified::into_inner),
            stable: self.checkpoints.certificate.clone().map(Verified::into_inner),
            held: held.unwrap_or_default().into(),
        };
        self.answer(from, PeerMessage::StartAnswer(Box::new(answer)));
        Ok(())
    }

    /// What another knows of this replica.
    pub(super) fn on_start_answer(
        &mut self,
        from: ReplicaId,
        answer: CheckedStart,
    ) -> Result<(), Reject> {
        match &self.standing {
            Standing::Starting { nonce, .. } if *nonce == answer.nonce => {}
            _ => return Err(Reject::WrongNonce),
        }
        if self.is_contradicted(&answer) {
            self.standing = Standing::Halted;
            self.out.notice(Notice::RolledBack);
            return Ok(());
        }
        let needed = self.committee.quorum();
        let Standing::Starting { answered, .. } = &mut self.standing else { return Ok(()) };
        // Each is asked once from where on reads are answered: it could name any view.
        let is_first = answered.insert(from);
        let have = answered.len();
        self.out.notice(Notice::StartAnswers(have, needed));
        if let Some(certificate) = answer.highest.filter(|_| is_first) {
            self.answer_reads_from(certificate.view(), certificate.seq());
        }
        if let Some(certificate) = answer.stable {
            if is_first {
                self.answer_reads_from(answer.view, certificate.seq());
            }
            self.learn_certificate(certificate);
        }
        if have >= needed {
            self.begin_voting();
        }
        Ok(())
    }

    pub(super) fn is_recovering(&self) -> bool {
        matches!(self.standing, Standing::Recovering { .. })
    }

    fn begin_voting(&mut self) {
        self.standing = Standing::Voting;
        self.promises.forget_views_left();
        self.out.notice(Notice::MayVote);
        self.waits.start_anew(self.now.instant);
        self.vote_for_checkpoints();
        self.advance_all();
        self.execute_ready();
        self.want_missing();
        self.renew_wish();
        self.give_up_what_is_lost();
        self.consider_wishes();
        self.propose();
    }

    /// Bodies that recalled proposals lack, as the primary's own null or chosen ones.
    fn want_missing(&mut self) {
        let Some(active) = self.active() else { return };
        let lacking: Vec<Digest> = active
            .slots
            .values()
            .filter_map(Slot::digest)
            .filter(|digest| !self.has_body(*digest))
            .collect();
        for digest in lacking {
            self.want(digest, Vec::new());
        }
    }

    // Whether the disk has gone back in time.

    /// Whether the answer holds a signature of this replica that its log lacks.
    fn is_contradicted(&self, answer: &CheckedStart) -> bool {
        let is_stable_by_this = answer.stable.as_ref().is_some_and(|certificate| {
            certificate.checkpoints().iter().any(|member| {
                let place =
                    Place { kind: Kind::Checkpoint, view: View::FIRST, seq: certificate.seq() };
                self.is_forgotten(member.by, place, certificate.digest())
            })
        });
        let is_prepared_by_this = answer.highest.as_ref().is_some_and(|certificate| {
            let (view, seq) = (certificate.view(), certificate.seq());
            let primary = self.committee.primary(view);
            certificate.voters().any(|voter| {
                let kind = match voter.replica == primary {
                    true => Kind::PrePrepare,
                    false => Kind::Prepare,
                };
                self.is_forgotten(voter, Place { kind, view, seq }, certificate.digest())
            })
        });
        is_stable_by_this
            || is_prepared_by_this
            || answer.held.iter().any(|held| self.is_held_forgotten(held))
    }

    fn is_held_forgotten(&self, held: &Held) -> bool {
        let about_views = |kind, view| Place { kind, view, seq: Seq::GENESIS };
        match held {
            Held::PrePrepare(signed) => {
                let body = &signed.body;
                let place = Place { kind: Kind::PrePrepare, view: body.view, seq: body.seq };
                self.is_forgotten(body.by, place, body.digest)
            }
            Held::Prepare(signed) => {
                let body = &signed.body;
                let place = Place { kind: Kind::Prepare, view: body.view, seq: body.seq };
                self.is_forgotten(body.by, place, body.digest)
            }
            Held::Commit(signed) => {
                let body = &signed.body;
                let place = Place { kind: Kind::Commit, view: body.view, seq: body.seq };
                self.is_forgotten(body.by, place, body.digest)
            }
            Held::Checkpoint(signed) => {
                let body = &signed.body;
                let place = Place { kind: Kind::Checkpoint, view: View::FIRST, seq: body.seq };
                self.is_forgotten(body.by, place, body.digest)
            }
            Held::ViewChange(signed) => {
                let place = about_views(Kind::ViewChange, signed.body.view);
                self.is_forgotten(signed.body.by, place, identity(&signed.body))
            }
            Held::NewView(signed) => {
                let place = about_views(Kind::NewView, signed.body.view);
                self.is_forgotten(signed.body.by, place, identity(&signed.body))
            }
        }
    }

    /// Whether this is a promise of this replica in its current life, about what is not
    /// settled yet, that its log doesn't have.
    fn is_forgotten(&self, by: Voter, place: Place, digest: Digest) -> bool {
        let is_own = by.replica == self.id;
        let current = match place.kind {
            Kind::ViewChange | Kind::NewView => self.executor.lives().current(self.id),
            _ => self.executor.lives().incarnation_about(self.id, place.seq),
        };
        let unsettled = match place.kind {
            Kind::ViewChange => place.view > self.view,
            // The wish for this view may be all that the log has of it.
            Kind::NewView => place.view >= self.view,
            // A crash may have lost it where that is reserved, in this view or one before.
            Kind::PrePrepare | Kind::Prepare if self.may_be_lost(place.view, place.seq) => false,
            _ => place.seq > self.stable(),
        };
        is_own
            && by.incarnation >= current
            && unsettled
            && self.promises.made(place) != Some(digest)
    }

    // A lost disk.

    /// Asks for the next incarnation. Until it has taken effect this replica executes
    /// and serves catch-up, and neither votes nor answers reads.
    fn begin_recovery(&mut self, nonce: Nonce) {
        self.standing = Standing::Recovering { nonce, ask_again: self.now.instant };
        self.out.record(Record::Recovering(nonce));
    }

    /// Another replica asks for its next incarnation: an item to be ordered.
    pub(super) fn on_recovery(
        &mut self,
        recovery: Verified<Signed<RecoveryRequest>>,
    ) -> Result<(), Reject> {
        let body = recovery.body;
        if self.is_recovery_known(body.replica, body.nonce) {
            return Err(Reject::Duplicate);
        }
        let item = Item::Recovery(recovery.into_inner());
        self.take_item(item)
    }

    /// Once the effect of its own command is stable, a recovering replica votes again.
    pub(super) fn finish_recovery(&mut self) {
        let Standing::Recovering { nonce, .. } = self.standing else { return };
        let effect = self.executor.lives().effect_of(self.id, nonce);
        let Some(began) = effect.filter(|began| *began <= self.stable()) else { return };
        self.out.record(Record::Recovered(self.executor.lives().current(self.id)));
        self.answer_reads_from(self.entered(), began);
        self.begin_voting();
    }
}
