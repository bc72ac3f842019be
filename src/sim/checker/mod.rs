//! The checker: every invariant, after every step, over everything sent, stored and
//! executed. It counts by its own arithmetic and shares no rule with what it checks.
//!
//! | file | its part |
//! | --- | --- |
//! | `mod` | what the world tells it, and who counts as honest |
//! | `ledger` | who signed what, and in which order it left |
//! | `certificates` | whether what is believed stands on enough signatures |
//! | `decisions` | that one thing is decided for each number, and what undoes a decision |
//! | `lives` | whether new lives of replicas begin, and old ones end, as they should |
//! | `disk` | whether a promise that leaves is on the disk |
//! | `patience` | whether primaries are left, and kept, as they should be |
//! | `replay` | the agreed history, executed once more by a simple model |
//! | `history` | whether the replicas' and clients' answers are those of that history |

mod certificates;
mod decisions;
mod disk;
mod history;
mod ledger;
mod lives;
mod patience;
mod replay;
mod reserved;
#[cfg(test)]
mod tests;

pub use disk::OnDisk;
pub use ledger::Word;

use super::history::Event;
use crate::client::Ticket;
use crate::crypto::{self, Check, ClusterId, PublicKey, Scheme};
use crate::message::batch::{ItemKey, NULL};
use crate::message::{
    Batch, Body, Evidence, Genesis, Item, PeerMessage, Request, Signed, Verified, Voter,
};
use crate::replica::effects::{Record, Suspicion};
use crate::replica::{Effects, Notice, Now, Outgoing, Replica, Standing};
use crate::types::{ClientId, Digest, Incarnation, Instant, ReplicaId, Seq, Span, Timestamp};
use crate::wire::{self, Blob};
use decisions::Deciders;
use history::Question;
use ledger::{Kind, Ledger, words_of};
use lives::Lives;
use patience::Patience;
use replay::{Account, Replay};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which invariant does not hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invariant {
    /// Two honest replicas decided, or executed, or became, something different.
    Agreement,
    /// Something was executed, or agreed to, that no listed client signed, or twice.
    Validity,
    /// An honest replica signed two bodies that conflict, or hid what it promised.
    Honesty,
    /// Something is believed that too few signed.
    Certificates,
    /// A promise left before it was on the disk.
    Durability,
    /// A view, a stable checkpoint or an execution went back.
    Monotony,
    /// The agreed time went back, or ahead of every honest clock.
    Time,
    /// Somebody believes what is not the agreed history.
    Clients,
    /// More memory than the bound, or a word beyond the window.
    Bounds,
    /// Somebody is not answered in time after everything healed.
    Progress,
    /// Evidence that names an honest replica, or proves nothing.
    FalseAccusation,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Invariant; 11] = [
        Invariant::Agreement,
        Invariant::Validity,
        Invariant::Honesty,
        Invariant::Certificates,
        Invariant::Durability,
        Invariant::Monotony,
        Invariant::Time,
        Invariant::Clients,
        Invariant::Bounds,
        Invariant::Progress,
        Invariant::FalseAccusation,
    ];
}

/// An invariant that does not hold, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.invariant, self.what)
    }
}

/// The numbers of a cluster, as the checker counts them.
struct Cluster {
    id: ClusterId,
    replicas: Vec<PublicKey>,
    clients: Vec<PublicKey>,
    window: u64,
    interval: u64,
    /// The fewest checkpoints between two lives of one replica.
    recovery_spacing: u64,
    batch_items: u64,
    client_window: u64,
    tolerance: u64,
}

impl Cluster {
    /// The most that may lie.
    fn faults(&self) -> usize {
        let mut faults = 0;
        while 3 * (faults + 1) < self.replicas.len() {
            faults += 1;
        }
        faults
    }

    /// The fewest of which any two sets share an honest member.
    fn quorum(&self) -> usize {
        let size = self.replicas.len();
        (0..=size).find(|quorum| 2 * quorum > size + self.faults()).unwrap_or(size)
    }

    /// Whose turn a view is.
    fn primary(&self, view: u64) -> ReplicaId {
        let index = view % self.replicas.len() as u64;
        ReplicaId(u16::try_from(index).unwrap_or(0))
    }
}

/// What is seen of a replica from outside.
#[derive(Clone, Copy, Debug, Default)]
struct Glimpse {
    view: u64,
    stable: u64,
    executed: u64,
    held: crate::replica::Held,
    wall: Timestamp,
    instant: Instant,
    /// A start needs all that the log holds of views that were left.
    votes: bool,
    /// It takes part in its view, and holds something that is to be ordered.
    waits: bool,
    patience: Span,
}

/// Everything seen so far.
pub struct Checker {
    cluster: Cluster,
    scheme: Box<dyn Scheme>,
    /// Who runs the protocol's own code.
    honest: BTreeSet<ReplicaId>,
    /// Who may sign anything.
    faulty: BTreeSet<ReplicaId>,
    /// Replicas whose disks forgot something, with the first life that they are held to.
    excused: BTreeMap<ReplicaId, u64>,
    ledger: Ledger,
    lives: Lives,
    patience: Patience,
    /// The view and number up to which each has reserved its votes.
    reserved: BTreeMap<ReplicaId, (u64, u64)>,
    /// The highest checkpoint that was found to be signed by enough.
    surely_stable: u64,
    decided: BTreeMap<Seq, Digest>,
    /// Whether a primary stays in office though evidence convicts it.
    bears_convicts: bool,
    /// What is decided for good, though somebody may find it decided in later views again.
    settled: BTreeSet<Seq>,
    /// Who found what decided, as long as it may turn out not to be.
    deciders: BTreeMap<Seq, Deciders>,
    /// Digests of whole states, by number.
    states: BTreeMap<Seq, Digest>,
    executed: BTreeMap<ReplicaId, Seq>,
    /// The highest number that each ever executed, whatever it forgot since.
    ever_executed: BTreeMap<ReplicaId, u64>,
    /// What must be executed by whoever answers a question that reached it.
    owed: BTreeMap<(ReplicaId, Question), Vec<u64>>,
    /// Who has answered each starting replica in its present life.
    answered: BTreeMap<ReplicaId, BTreeSet<ReplicaId>>,
    /// The evidence that each showed others: it was on its disk then.
    evidence: BTreeMap<ReplicaId, Vec<Evidence>>,
    glimpses: BTreeMap<ReplicaId, Glimpse>,
    latest_clock: Timestamp,
    batches: BTreeMap<Digest, Batch>,
    /// What clients really signed, by whom and digest.
    asked: BTreeSet<(ClientId, Digest)>,
    /// Recoveries that honest replicas really asked for.
    recoveries: BTreeSet<Digest>,
    /// Operations that clients read with, by their digests.
    queries: BTreeMap<Digest, Blob>,
    /// What each ticket of a client stands for, and the highest number of which any
    /// client had learned when it was asked for.
    tickets: BTreeMap<(ClientId, Ticket), (Vec<Blob>, u64)>,
    /// The highest number of which a client has learned.
    learned: u64,
    /// What honest replicas signed of operations that were executed.
    receipts: BTreeSet<(ReplicaId, ClientId, u64, u64, Digest, Digest)>,
    judged: BTreeSet<Digest>,
    replay: Replay,
    /// What clients saw, by key.
    pub histories: BTreeMap<Blob, Vec<Event>>,
    /// The first violation found.
    pub violation: Option<Violation>,
}

impl Checker {
    /// A checker that has seen nothing, which judges signatures by this rule.
    pub fn new(genesis: &Genesis, honest: BTreeSet<ReplicaId>, scheme: Box<dyn Scheme>) -> Checker {
        let parameters = &genesis.parameters;
        let cluster = Cluster {
            id: genesis.cluster(),
            replicas: genesis.replicas.to_vec(),
            clients: genesis.clients.to_vec(),
            window: parameters.window,
            interval: parameters.checkpoint_interval,
            recovery_spacing: parameters.recovery_spacing,
            batch_items: parameters.batch_items,
            client_window: parameters.client_window,
            tolerance: parameters.time_tolerance.0,
        };
        let all = (0u16..).map(ReplicaId).take(genesis.replicas.len());
        Checker {
            faulty: all.filter(|id| !honest.contains(id)).collect(),
            cluster,
            scheme,
            honest,
            excused: BTreeMap::new(),
            ledger: Ledger::default(),
            lives: Lives::default(),
            patience: Patience::default(),
            reserved: BTreeMap::new(),
            surely_stable: 0,
            decided: BTreeMap::new(),
            settled: BTreeSet::new(),
            bears_convicts: false,
            deciders: BTreeMap::new(),
            states: BTreeMap::new(),
            executed: BTreeMap::new(),
            ever_executed: BTreeMap::new(),
            owed: BTreeMap::new(),
            answered: BTreeMap::new(),
            evidence: BTreeMap::new(),
            glimpses: BTreeMap::new(),
            latest_clock: Timestamp(0),
            batches: BTreeMap::new(),
            asked: BTreeSet::new(),
            recoveries: BTreeSet::new(),
            queries: BTreeMap::new(),
            tickets: BTreeMap::new(),
            learned: 0,
            receipts: BTreeSet::new(),
            judged: BTreeSet::new(),
            replay: Replay::new(genesis),
            histories: BTreeMap::new(),
            violation: None,
        }
    }

    /// An invariant does not hold. The first is kept.
    pub fn fail(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    fn require(&mut self, invariant: Invariant, outcome: Result<(), String>) {
        if let Err(what) = outcome {
            self.fail(invariant, what);
        }
    }

    // Who counts.

    /// In this world a primary stays in office though evidence convicts it.
    pub fn bear_convicts(&mut self) {
        self.bears_convicts = true;
    }

    /// Stops holding a replica to what it says: its disk forgot something.
    pub fn excuse(&mut self, id: ReplicaId) {
        self.excused.insert(id, u64::MAX);
        self.evidence.remove(&id);
    }

    /// Holds a replica to what it says in this life and those after it: its recovery is
    /// done.
    pub fn absolve(&mut self, id: ReplicaId, incarnation: Incarnation) {
        self.excused.insert(id, incarnation.0);
        self.evidence.remove(&id);
        // What it executed while it recovered it told nobody.
        let executed = self.executed.get(&id).map_or(0, |seq| seq.0);
        self.ever_executed.insert(id, executed);
    }

    /// Whether this replica's disk may have forgotten something that no recovery has made
    /// good since.
    fn is_forgetful(&self, id: ReplicaId) -> bool {
        self.excused.get(&id) == Some(&u64::MAX)
    }

    /// Whether what this replica says in this life is held against it.
    fn is_held_to(&self, by: Voter) -> bool {
        let from = self.excused.get(&by.replica).copied().unwrap_or_default();
        self.honest.contains(&by.replica) && by.incarnation.0 >= from
    }

    /// A replica was started again: what it had executed since its last saved state it
    /// will execute again, and a view that it entered without a sync it enters again.
    /// What it *sent* before binds it all the same; see [`Checker::sends`].
    pub fn restarted(
        &mut self,
        id: ReplicaId,
        executed: Seq,
        voices: impl Iterator<Item = (Voter, Option<Seq>)>,
    ) {
        self.glimpses.remove(&id);
        self.answered.remove(&id);
        self.patience.forget(id);
        self.executed.insert(id, executed);
        if self.honest.contains(&id) {
            self.hears_the_living(id, executed.0, voices);
        }
    }

    /// A start does not know what was synced before.
    pub fn has_lost(&mut self, id: ReplicaId, what: &str) {
        self.fail(Invariant::Durability, format!("{id:?} has forgotten {what}"));
    }

    // What clients do.

    /// A client really signed this request.
    pub fn client_asks(&mut self, request: &Request) {
        self.asked.insert((request.client, Digest::of(&wire::encode(request))));
    }

    /// A client wants these operations done, or this one read, and got a ticket for it. If it
    /// may sign under a number that an earlier life of it has used, what it is told may be of
    /// then.
    pub fn client_wants(
        &mut self,
        client: ClientId,
        ticket: Ticket,
        operations: Vec<Blob>,
        collides: bool,
    ) {
        for operation in &operations {
            self.queries.insert(Digest::of(operation), operation.clone());
        }
        let known = if collides { 0 } else { self.learned };
        self.tickets.insert((client, ticket), (operations, known));
    }

    // What replicas do.

    /// What a replica does in one step: what it signs, records and answers.
    pub fn acts(&mut self, id: ReplicaId, replica: &Replica, effects: &Effects) {
        if self.honest.contains(&id) {
            self.writes_its_votes(id, effects.messages(), effects.records());
            // By what was reserved before this step.
            self.abdicates(id, effects.notices());
        }
        self.signs(id, effects.messages());
        if self.honest.contains(&id) {
            let executed = replica.executed().0;
            for outgoing in effects.messages() {
                if let Outgoing::Client(client, message) = outgoing {
                    self.answers(id, executed, *client, message);
                    if let Some(question) = Question::answered(*client, message) {
                        let votes = *replica.standing() == Standing::Voting;
                        self.may_answer_reads(id, executed, votes);
                        self.has_what_it_owed(id, executed, question);
                    }
                }
            }
            for record in effects.records() {
                self.records(id, record);
                match record {
                    Record::Recovering(nonce) => self.recovers(id, *nonce),
                    Record::Recovered(_) => self.recovered(id, replica.stable().0),
                    Record::Prepared(certificate, _) => self.counts_the_living(id, certificate),
                    Record::NewView(opening, _) => self.is_wanted_by_the_living(id, &opening.body),
                    Record::Reserved(view, up_to) => self.reserves(id, replica, *view, *up_to),
                    _ => {}
                }
            }
            effects.notices().iter().for_each(|notice| self.notice(id, notice));
            self.has_reborn(id, executed, effects.notices());
            let begins = |one: &Notice| matches!(one, Notice::Reborn(..) | Notice::TransferDone(_));
            if effects.notices().iter().any(begins) {
                self.hears_the_living(id, executed, replica.voices());
            }
            let recovers = |record: &Record| matches!(record, Record::Recovered(_));
            let votes = effects.notices().contains(&Notice::MayVote);
            if votes && !effects.records().iter().any(recovers) {
                self.votes_after_enough_answers(id);
            }
        }
    }

    fn signs<'a>(&mut self, id: ReplicaId, outgoing: impl Iterator<Item = &'a Outgoing>) {
        for one in outgoing {
            let Outgoing::Peer(_, message) = one else { continue };
            if let PeerMessage::Recovery(recovery) = &**message
                && recovery.body.replica == id
            {
                self.recoveries.insert(Digest::of(&wire::encode(&recovery.body)));
            }
            for word in words_of(message) {
                if word.by.replica == id {
                    self.ledger.spoken(&word);
                    self.is_within_the_window(&word);
                }
            }
            self.learn(message);
        }
    }

    fn is_within_the_window(&mut self, word: &Word) {
        if !self.honest.contains(&word.by.replica) || word.seq <= self.cluster.window {
            return;
        }
        // The highest that was found so far only rises.
        if word.seq <= self.surely_stable.saturating_add(self.cluster.window) {
            return;
        }
        let stable = self.ledger.highest_stable(|speakers| self.is_believable(speakers));
        self.surely_stable = stable;
        if word.seq > stable.saturating_add(self.cluster.window) {
            let what =
                format!("{word:?} is beyond the window of any checkpoint; s{stable} is the last");
            self.fail(Invariant::Bounds, what);
        }
    }

    /// Bodies are known from any wire, whoever sends them.
    pub fn learn(&mut self, message: &PeerMessage) {
        if let PeerMessage::Propose(_, Some(batch))
        | PeerMessage::Batch(batch)
        | PeerMessage::Decided(_, Some(batch)) = message
        {
            self.batches.entry(batch.digest()).or_insert_with(|| batch.clone());
        }
    }

    /// An honest replica's message leaves it, with this on its disk.
    pub fn sends<'a>(
        &mut self,
        from: ReplicaId,
        message: &PeerMessage,
        on_disk: impl FnOnce() -> OnDisk<'a>,
    ) {
        if !self.honest.contains(&from) {
            return;
        }
        let mut words = words_of(message);
        words.retain(|word| word.by.replica == from && self.is_held_to(word.by));
        let on_disk = (!words.is_empty()).then(on_disk);
        for (word, on_disk) in words.iter().zip(on_disk.iter().cycle()) {
            let outcome = self.ledger.leaves(word);
            let is_new = *outcome.as_ref().unwrap_or(&true);
            self.require(Invariant::Honesty, outcome.map(drop));
            self.require(Invariant::Durability, on_disk.covers(word, is_new));
            let log = on_disk.is_cut(self.cluster.interval, self.cluster.window);
            self.require(Invariant::Bounds, log.map_err(|why| format!("{from:?}: {why}")));
            if matches!(word.kind, Kind::Propose | Kind::Prepare) {
                self.is_valid(from, word.digest);
            }
        }
        match message {
            PeerMessage::ViewChange(wish) if !words.is_empty() => {
                let outcome = self.ledger.hides_nothing(&wish.body);
                self.require(Invariant::Honesty, outcome);
            }
            PeerMessage::Decided(certificate, _) => {
                let claim = ledger::commit_claim(certificate);
                self.stands(from, &claim, self.cluster.quorum());
            }
            PeerMessage::Stable(certificate) => {
                let claim = ledger::checkpoint_claim(certificate);
                self.stands(from, &claim, self.cluster.quorum());
            }
            PeerMessage::Evidence(evidence) if !self.is_forgetful(from) => {
                self.evidence.entry(from).or_default().push(evidence.clone());
            }
            _ => {}
        }
    }

    fn notice(&mut self, id: ReplicaId, notice: &Notice) {
        match notice {
            Notice::Decided(seq, digest, view) => {
                self.decides_in(id, view.0, *seq, *digest);
                self.is_decided_by_enough(id, view.0, seq.0, *digest);
            }
            Notice::Executed(seq, digest) => {
                self.decides(id, *seq, *digest);
                self.executes(id, *seq, *digest);
            }
            Notice::Stable(seq, digest) => {
                self.has_state(id, *seq, *digest);
                self.is_stable_by_enough(id, seq.0, *digest);
            }
            Notice::Entered(view) => {
                self.is_wanted_by_enough(id, view.0);
                self.enters(id, view.0);
            }
            Notice::Evidence(evidence) => self.accuses(id, evidence),
            Notice::TransferDone(seq) => {
                self.executed.insert(id, *seq);
                self.has_executed(id, seq.0);
            }
            Notice::Diverged { seq, .. } => {
                self.fail(Invariant::Agreement, format!("{id:?} finds itself diverged at {seq:?}"));
            }
            Notice::RolledBack if self.excused.contains_key(&id) => {}
            Notice::RolledBack => {
                self.fail(Invariant::Honesty, format!("{id:?} finds its own disk rolled back"));
            }
            Notice::Suspects { left, asked, why } => {
                match why {
                    Suspicion::Joined => self.is_joined_by_honest(id, left.0, asked.0),
                    Suspicion::PrimaryLeft => self.follows_its_primary(id, left.0, asked.0),
                    _ => {}
                }
                self.passes_over(id, left.0, asked.0, *why);
                self.is_left(id, left.0, *why);
            }
            Notice::Rejected(..)
            | Notice::TransferBegan(_)
            | Notice::MayVote
            | Notice::Reborn(..)
            | Notice::StartAnswers(..) => {}
        }
    }

    fn executes(&mut self, id: ReplicaId, seq: Seq, digest: Digest) {
        let before = self.executed.insert(id, seq).unwrap_or_default();
        if seq.0 != before.0 + 1 {
            let what = format!("{id:?} executes {seq:?} after {before:?}");
            self.fail(Invariant::Monotony, what);
        }
        self.has_executed(id, seq.0);
        self.is_valid(id, digest);
        while self.replay.executed() < seq.0 {
            let next = Seq(self.replay.executed() + 1);
            let Some(digest) = self.decided.get(&next).copied() else { return };
            let batch = self.batches.get(&digest);
            self.replay.execute(digest, batch);
        }
    }

    fn has_executed(&mut self, id: ReplicaId, seq: u64) {
        let ever = self.ever_executed.entry(id).or_default();
        *ever = seq.max(*ever);
    }

    /// Everything in a batch that an honest replica takes was signed by whom it names,
    /// each item once and within the limits.
    fn is_valid(&mut self, id: ReplicaId, digest: Digest) {
        if digest == NULL || !self.judged.insert(digest) {
            return;
        }
        let outcome = match self.batches.get(&digest) {
            Some(batch) => self.judge(batch),
            None => Err("nobody ever sent its body".to_string()),
        };
        let outcome = outcome.map_err(|why| format!("{id:?} takes {digest:?}: {why}"));
        self.require(Invariant::Validity, outcome);
    }

    fn judge(&self, batch: &Batch) -> Result<(), String> {
        let mut keys = BTreeSet::new();
        if batch.items().len() as u64 > self.cluster.batch_items {
            return Err(format!("{} items", batch.items().len()));
        }
        for item in batch.items() {
            if !keys.insert(item.key()) {
                return Err(format!("{:?} is in it twice", item.key()));
            }
            match item {
                Item::Request(request) => self.judge_request(request)?,
                Item::Recovery(recovery) => {
                    let replica = recovery.body.replica;
                    let digest = Digest::of(&wire::encode(&recovery.body));
                    let key = self.cluster.replicas.get(usize::from(replica.0)).copied();
                    let asked = self.faulty.contains(&replica) || self.recoveries.contains(&digest);
                    if !asked || !self.is_signed(key, recovery) {
                        return Err(format!("{:?} was never asked for", item.key()));
                    }
                }
            }
        }
        Ok(())
    }

    fn judge_request(&self, request: &Signed<Request>) -> Result<(), String> {
        let client = request.body.client;
        let key = usize::try_from(client.0).ok();
        let key = key.and_then(|index| self.cluster.clients.get(index)).copied();
        let digest = Digest::of(&wire::encode(&request.body));
        if self.asked.contains(&(client, digest)) && self.is_signed(key, request) {
            return Ok(());
        }
        let key = ItemKey::Request(client, request.body.first);
        Err(format!("{client:?} never signed this {key:?}"))
    }

    /// Whether a signature is that of this key.
    fn is_signed<T: Body>(&self, key: Option<PublicKey>, signed: &Signed<T>) -> bool {
        let statement = crypto::statement(&T::TAG, &self.cluster.id, &signed.body);
        let signature = signed.signature;
        key.is_some_and(|key| self.scheme.verify(&Check { key, statement, signature }))
    }

    /// A replica's whole state at a number.
    fn has_state(&mut self, id: ReplicaId, seq: Seq, digest: Digest) {
        let before = *self.states.entry(seq).or_insert(digest);
        if before != digest {
            let what = format!("{id:?} has state {digest:?} at {seq:?}, others {before:?}");
            self.fail(Invariant::Agreement, what);
        }
    }

    fn accuses(&mut self, id: ReplicaId, evidence: &Evidence) {
        let accused = evidence.accused();
        if self.is_held_to(accused) {
            let what = format!("{id:?} holds evidence against {accused:?}, who is honest");
            self.fail(Invariant::FalseAccusation, what);
        }
        if !self.convicts(evidence) {
            let what = format!("{id:?} holds evidence that proves nothing: {evidence:?}");
            self.fail(Invariant::FalseAccusation, what);
        }
    }

    /// Whether a record convicts, judged as a third party would: from the record and the
    /// listed keys alone.
    fn convicts(&self, evidence: &Evidence) -> bool {
        let place = |by: Voter, view: u64, seq: u64, digest: Digest| (by, view, seq, digest);
        macro_rules! pair {
            ($one:expr, $other:expr, $body:ident => $place:expr) => {{
                let of = |$body: &_| $place;
                let (first, second) = (of(&$one.body), of(&$other.body));
                let key = self.cluster.replicas.get(usize::from(first.0.replica.0)).copied();
                let is_signed = self.is_signed(key, $one) && self.is_signed(key, $other);
                let is_one_place = (first.0, first.1, first.2) == (second.0, second.1, second.2);
                is_signed && is_one_place && first.3 != second.3
            }};
        }
        use crate::message::{Checkpoint, Commit, NewView, PrePrepare, Prepare, ViewChange};
        match evidence {
            Evidence::PrePrepare(one, other) => pair!(one, other, body => {
                let body: &PrePrepare = body;
                place(body.by, body.view.0, body.seq.0, body.digest)
            }),
            Evidence::Prepare(one, other) => pair!(one, other, body => {
                let body: &Prepare = body;
                place(body.by, body.view.0, body.seq.0, body.digest)
            }),
            Evidence::Commit(one, other) => pair!(one, other, body => {
                let body: &Commit = body;
                place(body.by, body.view.0, body.seq.0, body.digest)
            }),
            Evidence::Checkpoint(one, other) => pair!(one, other, body => {
                let body: &Checkpoint = body;
                place(body.by, 0, body.seq.0, body.digest)
            }),
            Evidence::ViewChange(one, other) => pair!(one, other, body => {
                let body: &ViewChange = body;
                place(body.by, body.view.0, 0, Digest::of(&wire::encode(body)))
            }),
            Evidence::NewView(one, other) => pair!(one, other, body => {
                let body: &NewView = body;
                place(body.by, body.view.0, 0, Digest::of(&wire::encode(body)))
            }),
        }
    }

    /// A look at a replica after a step.
    pub fn look(&mut self, id: ReplicaId, replica: &Replica, now: Now) {
        if !self.honest.contains(&id) {
            return;
        }
        let (held, votes) = (replica.held(), *replica.standing() == Standing::Voting);
        let takes_part = votes && replica.is_active() && !replica.is_in_transfer();
        let glimpse = Glimpse {
            view: replica.view().0,
            stable: replica.stable().0,
            executed: replica.executed().0,
            held,
            wall: now.wall,
            instant: now.instant,
            votes,
            waits: takes_part && held.waiting > 0,
            patience: replica.patience(),
        };
        if !self.glimpses.contains_key(&id) {
            self.remembers_evidence(id, replica.evidence());
        }
        let before = self.glimpse(id, glimpse);
        self.is_patient(id, &glimpse);
        if before.executed != glimpse.executed {
            self.compare(id, glimpse.executed, &account_of(replica, self.cluster.clients.len()));
            if glimpse.executed.is_multiple_of(self.cluster.interval) {
                self.compare_content(id, replica);
            }
        }
    }

    /// What a replica showed to others it still has after a start.
    fn remembers_evidence(&mut self, id: ReplicaId, held: &[Verified<Evidence>]) {
        let shown = self.evidence.get(&id).into_iter().flatten();
        // One of a later life takes the place of another.
        let is_held = |one: &Evidence| {
            held.iter().any(|held| {
                **held == *one
                    || std::mem::discriminant::<Evidence>(held) == std::mem::discriminant(one)
                        && held.accused().replica == one.accused().replica
                        && held.accused().incarnation > one.accused().incarnation
            })
        };
        if let Some(lost) = shown.into_iter().find(|one| !is_held(one)) {
            let what = format!("{id:?} starts without the evidence that it has shown: {lost:?}");
            self.fail(Invariant::Durability, what);
        }
    }

    fn glimpse(&mut self, id: ReplicaId, now: Glimpse) -> Glimpse {
        self.latest_clock = self.latest_clock.max(now.wall);
        let before = self.glimpses.insert(id, now).unwrap_or_default();
        if now.view < before.view || now.stable < before.stable || now.executed < before.executed {
            let what = format!("{id:?} goes back from {before:?} to {now:?}");
            self.fail(Invariant::Monotony, what);
        }
        self.is_bounded(id, &now);
        before
    }

    fn is_bounded(&mut self, id: ReplicaId, now: &Glimpse) {
        let held = &now.held;
        let promises = if now.votes { held.promises } else { 0 };
        let (n, window) = (self.cluster.replicas.len() as u64, self.cluster.window);
        let clients = self.cluster.clients.len() as u64;
        let checkpoints = window / self.cluster.interval + 3;
        let bounds = [
            ("slots", held.slots, window),
            ("prepared certificates", held.prepared, window),
            ("decided entries", held.decided, window),
            ("batches", held.bodies, 3 * window),
            ("promises", promises, 4 * window + 2),
            ("view-changes", held.wishes, n),
            ("waiting items", held.waiting, 4 * self.cluster.client_window * clients + 2 * n),
            ("what is asked for", held.wanted, 3 * window),
            ("checkpoints", held.checkpoints, 2 * checkpoints + 2 * n * checkpoints),
            ("evidence", held.evidence, 64),
            ("questions", held.questions, 1_024 * clients),
        ];
        for (what, count, bound) in bounds {
            if count as u64 > bound {
                let what = format!("{id:?} holds {count} {what}; the bound is {bound}");
                self.fail(Invariant::Bounds, what);
            }
        }
    }

    /// Somebody was not answered in time.
    pub fn no_progress(&mut self, what: String) {
        self.fail(Invariant::Progress, what);
    }
}

/// Where a replica stands in the agreed history.
fn account_of(replica: &Replica, clients: usize) -> Account {
    let (agreed, state) = (replica.agreed(), replica.state());
    let clients = (0u32..).map(ClientId).take(clients);
    Account {
        time: agreed.time,
        chain: agreed.chain,
        sessions: clients.map(|id| (state.floor(id).0, state.highest(id).0)).collect(),
    }
}
