//! The protocol: one replica as a pure state machine.
//!
//! [`Replica::handle`] takes an input and the time, and answers with [`Effects`]: what
//! must be written, and what may be sent then. [`Replica::next_deadline`] says when it
//! wants to be called though nothing comes. There are no sockets, files, clocks, threads
//! or randomness here, and no iteration in an order that differs between two runs.
//!
//! | file | rules of |
//! | --- | --- |
//! | `ordering` | the normal case: proposals, prepares, commits, decisions, execution |
//! | `lacking` | proposals that others have agreed with and that are not here |
//! | `gathering` | when a batch is worth its votes |
//! | `vouching` | who checks what clients signed, and who waits for those who do |
//! | `checkpoints` | checkpoints, the window, collection, divergence |
//! | `views` | suspecting a primary, asking for a view, opening and entering one |
//! | `waits` | how long a backup waits and for what; the slow primary; rotation |
//! | `evidence` | records of lies, and what becomes of a primary that they convict |
//! | `catch_up` | status, retransmission, fetching what is missing |
//! | `transfer` | fetching a state that the log no longer leads to |
//! | `start` | coming back: from the log, and from a lost disk |
//! | `clients` | requests of clients |
//! | `reads` | reads, and from where on they are answered |
//! | `reserved` | which votes may leave before they are on the disk |
//! | `replies` | who tells a client what came of its operations |
//!
//! The parts that they stand on know nothing of these rules: `slot`, `tally`, `promises`,
//! `pool`, `turns`, `lives`, `executor`, `effects`, `settings`.

mod catch_up;
mod checkpoints;
mod clients;
pub mod effects;
mod evidence;
pub mod executor;
mod gathering;
mod lacking;
pub mod lives;
mod ordering;
pub mod pool;
pub mod promises;
mod reads;
mod replies;
mod reserved;
pub mod settings;
mod slot;
mod start;
pub mod tally;
mod transfer;
mod turns;
mod views;
mod vouching;
mod waits;

pub use effects::{
    Compaction, Durable, Effects, Input, Notice, Now, Outgoing, Parts, Recalled, Record, Save,
    Suspicion, To, Unsynced,
};
pub use evidence::MOST_EVIDENCE;
pub use settings::Settings;
pub use start::{Origin, Recovered, StartError};

use crate::crypto::Scheme;
use crate::message::{
    Batch, CheckedGenesis, CheckedPeer, CheckpointCertificate, CommitCertificate, Evidence, Fetch,
    NewView, PeerMessage, PreparedCertificate, Reject, Signed, Verified, Verifier, ViewChange,
    Voter,
};
use crate::types::{ClientId, Committee, Digest, Instant, Nonce, ReplicaId, Seq, View};
use catch_up::{Heard, Peer, Wanted};
use checkpoints::Checkpoints;
use executor::Executor;
use lacking::Search;
use pool::Pool;
use promises::Promises;
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use transfer::Transfer;
use turns::Turns;
use waits::Waits;

/// Whether this replica may vote, and if not, why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It has just started and asks the others what they know of it.
    Starting {
        /// Of the question.
        nonce: Nonce,
        /// Who has answered.
        answered: BTreeSet<ReplicaId>,
        /// When it asks again.
        ask_again: Instant,
    },
    /// Its disk was lost; it waits for its next incarnation.
    Recovering {
        /// Of the ordered command.
        nonce: Nonce,
        /// When it asks again.
        ask_again: Instant,
    },
    /// It takes part.
    Voting,
    /// Its disk went back in time. It does nothing more.
    Halted,
}

/// In which view the replica is, or which it wants.
enum Mode {
    /// It takes part in the view.
    Active(Active),
    /// It has asked for the view, and waits for its opening.
    Changing(Changing),
}

/// The state of the normal case. There is none in a view change.
struct Active {
    slots: BTreeMap<Seq, Slot>,
    /// The slots with a doubtful proposal, and maybe some that have none any more.
    doubts: BTreeSet<Seq>,
    /// The next number to propose, if this replica is the primary.
    next: Seq,
    /// Up to here only what the new view chose is acceptable.
    chosen_up_to: Seq,
    /// What its primary proposed in a life that it is not in.
    impostor: Option<PeerMessage>,
}

impl Active {
    fn new(slots: BTreeMap<Seq, Slot>, chosen_up_to: Seq) -> Active {
        let doubts = slots.iter().filter(|(_, slot)| slot.doubtful.is_some());
        let doubts = doubts.map(|(seq, _)| *seq).collect();
        Active { slots, doubts, next: chosen_up_to.next(), chosen_up_to, impostor: None }
    }
}

#[derive(Default)]
struct Changing {
    /// When this replica gives up on the view; set once a quorum has asked for it.
    gives_up: Option<Instant>,
    /// Since when the new primary lacks the body of something it must propose.
    lacking_since: Option<Instant>,
    /// What the primary of the view that was left proposed in a life that it is not in.
    impostor: Option<PeerMessage>,
}

/// A view as it was opened.
#[derive(Clone)]
struct Opening {
    new_view: Verified<Signed<NewView>>,
    shown: Option<Verified<CommitCertificate>>,
}

impl Opening {
    /// The highest number that it speaks of.
    fn chosen_up_to(&self) -> Seq {
        let stable = || self.new_view.stable().map_or(Seq::GENESIS, |one| one.seq());
        self.new_view.body.pre_prepares.last().map_or_else(stable, |proposal| proposal.body.seq)
    }
}

/// One replica.
pub struct Replica {
    id: ReplicaId,
    genesis: Arc<CheckedGenesis>,
    committee: Committee,
    settings: Settings,
    standing: Standing,
    promises: Promises,
    executor: Executor,
    view: View,
    mode: Mode,
    /// Of the view entered last; none for the first view.
    opening: Option<Opening>,
    /// For each number above the stable checkpoint, the prepared certificate of the
    /// highest view this replica ever had.
    prepared: BTreeMap<Seq, Verified<PreparedCertificate>>,
    /// Decided entries above the stable checkpoint.
    decided: BTreeMap<Seq, Verified<CommitCertificate>>,
    /// Up to here none of them lacked when one came last.
    decided_through: Seq,
    /// The batches of all these, and of what is accepted in the slots: nothing that is
    /// unchecked, for whatever is in here may be proposed again.
    bodies: BTreeMap<Digest, Batch>,
    checkpoints: Checkpoints,
    /// Each replica's wish for the highest view, this one's included.
    wishes: BTreeMap<ReplicaId, Verified<Signed<ViewChange>>>,
    /// Commit certificates that show a view's opening though a view-change in it is
    /// void by now, by the replica whose view-change that is.
    shown: BTreeMap<ReplicaId, Verified<CommitCertificate>>,
    pool: Pool,
    /// Who was served lately, while this replica watches the primary.
    turns: Turns,
    waits: Waits,
    peers: BTreeMap<ReplicaId, Peer>,
    heard: BTreeMap<ReplicaId, Heard>,
    wanted: BTreeMap<Digest, Wanted>,
    search: Search,
    transfer: Option<Transfer>,
    /// Parts of a state that a restart found on disk.
    kept_parts: Vec<(crate::service::tree::Path, crate::service::tree::Part)>,
    evidence: Vec<Verified<Evidence>>,
    bears_convicts: bool,
    status_due: Instant,
    /// The opening of a later view is asked for no sooner than this.
    view_fetch_due: Instant,
    gathering: gathering::Gathering,
    fill_up_due: Instant,
    fill_ups_accepted: waits::Allowance,
    /// Who kept this replica waiting for its word on a batch, and until when nobody waits
    /// for it; at most one entry for each other.
    unreliable: BTreeMap<ReplicaId, Instant>,
    fetching: Option<catch_up::Fetching>,
    reserved: reserved::Reserved,
    /// Which clients asked this backup itself, and until when it replies to them at once
    /// for that; at most one entry for each listed client.
    asked_by: BTreeMap<ClientId, Instant>,
    /// At most one entry for each client that ever had an operation executed.
    receipts_signed: BTreeMap<ClientId, clients::ReceiptsSigned>,
    reads: reads::Reads,
    now: Now,
    /// A checkpoint that became stable in this step.
    compact_below: Option<Seq>,
    out: Effects,
}

impl Replica {
    /// Handles one input. What it rejects has no effect but a notice.
    pub fn handle(&mut self, now: Now, input: Input) -> Effects {
        self.now = Now { instant: now.instant.max(self.now.instant), wall: now.wall };
        if self.standing != Standing::Halted {
            let (from, outcome) = match input {
                Input::Peer { from, message } => (Some(from), self.on_peer(from, *message)),
                Input::Client { from, message } => (None, self.on_client(from, message)),
                Input::Saved(seq, digest) => {
                    self.on_saved(seq, digest);
                    (None, Ok(()))
                }
                Input::Reserved(view, up_to) => {
                    self.on_reserved(view, up_to);
                    (None, Ok(()))
                }
                Input::Stops => {
                    self.give_back();
                    (None, Ok(()))
                }
                Input::Checked(checked) => self.on_checked(checked),
                Input::Tick => {
                    self.on_tick();
                    (None, Ok(()))
                }
            };
            if let Err(reject) = outcome {
                self.out.notice(Notice::Rejected(from, reject));
            }
        }
        self.answer_kept_questions();
        self.permit_compaction();
        std::mem::take(&mut self.out)
    }

    /// The same, for whoever checks batches at once and on the same thread.
    pub fn handle_checking<S: Scheme>(
        &mut self,
        now: Now,
        input: Input,
        verifier: &Verifier<S>,
    ) -> Effects {
        let mut effects = self.handle(now, input);
        loop {
            let checks = effects.take_checks();
            if checks.is_empty() {
                return effects;
            }
            for checked in verifier.check_all(checks) {
                effects.merge(self.handle(now, Input::Checked(checked)));
            }
        }
    }

    fn on_peer(&mut self, from: ReplicaId, message: CheckedPeer) -> Result<(), Reject> {
        if from == self.id || !self.committee.has(from) {
            return Err(Reject::FromSelf);
        }
        match message {
            CheckedPeer::Relay(request) => self.on_relay(request),
            CheckedPeer::Recovery(recovery) => self.on_recovery(recovery),
            CheckedPeer::Propose(proposal, batch) => self.on_pre_prepare(from, proposal, batch),
            CheckedPeer::Prepare(vote) => self.on_prepare(vote),
            CheckedPeer::Commit(vote) => self.on_commit(vote),
            CheckedPeer::Checkpoint(vote) => self.on_checkpoint(vote),
            CheckedPeer::ViewChange(wish) => self.on_view_change(wish),
            CheckedPeer::NewView(new_view, shown) => self.on_new_view(new_view, shown),
            CheckedPeer::Stable(certificate) => self.on_stable(from, certificate),
            CheckedPeer::Status(status) => self.on_status(from, status),
            CheckedPeer::Fetch(fetch) => self.on_fetch(from, fetch),
            CheckedPeer::Batch(batch) => self.on_batch(batch),
            CheckedPeer::Decided(certificate, batch) => self.on_decided(certificate, batch),
            CheckedPeer::Part(seq, path, part) => self.on_part(from, seq, path, part),
            CheckedPeer::NoState(seq) => self.on_no_state(from, seq),
            CheckedPeer::StartQuery(nonce) => self.on_start_query(from, nonce),
            CheckedPeer::StartAnswer(answer) => self.on_start_answer(from, *answer),
            CheckedPeer::Evidence(evidence) => self.on_evidence(evidence),
        }
    }

    fn on_fetch(&mut self, from: ReplicaId, fetch: Fetch) -> Result<(), Reject> {
        self.charge(from)?;
        match fetch {
            Fetch::Batch(digest) => self.on_fetch_batch(from, digest),
            Fetch::Proposal(view, seq) => self.on_fetch_proposal(from, view, seq),
            Fetch::Decided(seq) => self.on_fetch_decided(from, seq),
            Fetch::NewView(view) => self.on_fetch_new_view(from, view),
            Fetch::Part(seq, path, since, bytes) => {
                self.on_fetch_part(from, seq, &path, since, bytes)
            }
            Fetch::Stable(seq) => self.on_fetch_stable(from, seq),
        }
    }

    /// Everything that time brings about.
    fn on_tick(&mut self) {
        self.tick_start();
        self.tick_status();
        self.tick_wanted();
        self.tick_lacking();
        self.tick_transfer();
        self.tick_vouching();
        self.tick_convictions();
        self.tick_waits();
        self.tick_opening();
        self.propose();
    }

    /// When this replica wants an [`Input::Tick`], if nothing else comes.
    pub fn next_deadline(&self) -> Instant {
        if self.standing == Standing::Halted {
            return Instant(u64::MAX);
        }
        let deadlines = [
            Some(self.status_due),
            self.start_deadline(),
            self.wanted_deadline(),
            self.lacking_deadline(),
            self.transfer_deadline(),
            self.vouching_deadline(),
            self.conviction_deadline(),
            self.wait_deadline(),
            self.opening_deadline(),
            self.fill_up_deadline(),
            self.gathering_deadline(),
            self.questions_deadline(),
        ];
        deadlines.into_iter().flatten().min().expect("the status is always due some time")
    }

    // What others may look at.

    /// When it asks for the next view, unless something comes before; never, if it waits for
    /// nothing, or for others without end.
    pub fn suspects_at(&self) -> Option<Instant> {
        self.wait_deadline().into_iter().chain(self.opening_deadline()).min()
    }

    /// This replica's number.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// The view it is in, or asks for.
    pub fn view(&self) -> View {
        self.view
    }

    /// Whether it takes part in its view, or waits for its opening.
    pub fn is_active(&self) -> bool {
        matches!(self.mode, Mode::Active(_))
    }

    /// Whether it may vote, and if not, why.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The stable checkpoint.
    pub fn stable(&self) -> Seq {
        self.checkpoints.stable
    }

    /// The last number executed.
    pub fn executed(&self) -> Seq {
        self.executor.executed()
    }

    /// The replicated state, as far as it is executed.
    pub fn state(&self) -> &crate::service::State {
        self.executor.state()
    }

    /// What the protocol itself has agreed on.
    pub fn agreed(&self) -> &executor::Agreed {
        self.executor.agreed()
    }

    /// Who was caught lying, and by what.
    pub fn evidence(&self) -> &[Verified<Evidence>] {
        &self.evidence
    }

    /// The certificate of the stable checkpoint.
    pub fn stable_certificate(&self) -> Option<&Verified<CheckpointCertificate>> {
        self.checkpoints.certificate.as_ref()
    }

    /// How long it waits at present before it suspects the primary.
    pub fn patience(&self) -> crate::types::Span {
        self.waits.patience
    }

    /// Whether it is fetching a state.
    pub fn is_in_transfer(&self) -> bool {
        self.transfer.is_some()
    }

    /// Whether it found its own state to be wrong and has not replaced it yet.
    pub fn is_diverged(&self) -> bool {
        self.checkpoints.diverged
    }

    /// What is held in memory, by the bounds that it must stay under.
    pub fn held(&self) -> Held {
        let slots = match &self.mode {
            Mode::Active(active) => active.slots.len(),
            Mode::Changing(_) => 0,
        };
        Held {
            slots,
            prepared: self.prepared.len(),
            decided: self.decided.len(),
            bodies: self.bodies.len(),
            promises: self.promises.held(),
            wishes: self.wishes.len(),
            waiting: self.pool.held(),
            wanted: self.wanted.len() + self.search.len(),
            checkpoints: self.checkpoints.held(),
            evidence: self.evidence.len(),
            questions: self.reads.held(),
        }
    }

    /// Whose words count here at present: those about a number, and those about views.
    pub fn voices(&self) -> impl Iterator<Item = (Voter, Option<Seq>)> {
        let slots = self.active().into_iter().flat_map(|active| &active.slots);
        let votes = slots.flat_map(|(seq, slot)| {
            // What is prepared was proposed by who counted then.
            let is_prepared = self.prepared.get(seq).is_some_and(|one| one.view() == self.view);
            let proposal = slot.proposal.as_ref().filter(|_| !is_prepared);
            let proposer = proposal.map(|proposal| proposal.body.by);
            let voters = slot.prepares.voters().chain(slot.commits.voters());
            proposer.into_iter().chain(voters).map(|by| (by, Some(*seq)))
        });
        let checkpoints = self.checkpoints.votes.iter();
        let checkpoints =
            checkpoints.flat_map(|(seq, votes)| votes.voters().map(|by| (by, Some(*seq))));
        let wishes = self.wishes.values().map(|wish| (wish.body.by, None));
        votes.chain(checkpoints).chain(wishes)
    }

    // Small things that every file needs.

    /// Whether this replica may sign votes.
    fn may_vote(&self) -> bool {
        self.standing == Standing::Voting
    }

    /// The primary of the current view.
    fn primary(&self) -> ReplicaId {
        self.committee.primary(self.view)
    }

    fn is_primary(&self) -> bool {
        self.primary() == self.id
    }

    /// This replica, as it must speak about a number.
    fn voter_about(&self, seq: Seq) -> Voter {
        let incarnation = self.executor.lives().incarnation_about(self.id, seq);
        Voter { replica: self.id, incarnation }
    }

    /// This replica, as it must speak about views.
    fn voter_about_views(&self) -> Voter {
        Voter { replica: self.id, incarnation: self.executor.lives().current(self.id) }
    }

    /// The end of the window.
    fn window_end(&self) -> Seq {
        self.stable().plus(self.genesis.parameters.window)
    }

    fn require_window(&self, seq: Seq) -> Result<(), Reject> {
        if seq <= self.stable() {
            return Err(Reject::BelowWindow);
        }
        match seq <= self.window_end() {
            true => Ok(()),
            false => Err(Reject::AboveWindow),
        }
    }

    fn require_life(&self, voter: Voter, seq: Seq) -> Result<(), Reject> {
        match self.executor.lives().counts(voter, seq) {
            true => Ok(()),
            false => Err(Reject::WrongIncarnation),
        }
    }

    /// A vote or proposal counts only in the view this replica takes part in.
    /// Of a later view nothing is believed but its opening, which `by` must have.
    fn require_active_view(&mut self, view: View, by: ReplicaId) -> Result<(), Reject> {
        if view < self.view {
            return Err(Reject::OldView);
        }
        if view > self.view {
            self.fetch_view(view, by);
            return Err(Reject::FutureView);
        }
        match self.mode {
            Mode::Active(_) => Ok(()),
            Mode::Changing(_) => Err(Reject::ChangingViews),
        }
    }

    fn others(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        let id = self.id;
        self.committee.replicas().filter(move |replica| *replica != id)
    }
}

/// How much a replica holds, by kind; each has a bound that follows from `n`, the
/// window, the clients and the configured sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Held {
    /// Numbers of the current view; at most the window.
    pub slots: usize,
    /// Prepared certificates; at most the window.
    pub prepared: usize,
    /// Decided entries; at most the window.
    pub decided: usize,
    /// Batches; at most three for each number of the window.
    pub bodies: usize,
    /// Promises remembered.
    pub promises: usize,
    /// View-changes; at most one for each replica.
    pub wishes: usize,
    /// Requests that wait; at most four windows for each client.
    pub waiting: usize,
    /// Batches asked for; at most two for each number of the window, and one proposal.
    pub wanted: usize,
    /// Checkpoints of this replica and votes about them.
    pub checkpoints: usize,
    /// Records of evidence.
    pub evidence: usize,
    /// Reads, and questions of clients that lost count, that wait for what is under way;
    /// bounded for each client and in all.
    pub questions: usize,
}
