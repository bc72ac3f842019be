//! The checker: every invariant, after every step, over everything sent, stored and
//! executed. It counts by its own arithmetic and shares no rule with what it checks.

use super::history::{self, Event};
use crate::message::{Batch, Evidence, Item, PeerMessage, Voter};
use crate::replica::{Notice, Replica};
use crate::types::{ClientId, Digest, Incarnation, ReplicaId, Seq};
use crate::wire::{self, Blob};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Which invariant does not hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invariant {
    /// Two honest replicas decided, or executed, or became, something different.
    Agreement,
    /// Something was executed that no listed client signed, or twice.
    Validity,
    /// An honest replica signed two bodies that conflict.
    Honesty,
    /// A decided entry without its certificate.
    Certificates,
    /// A view, a stable checkpoint or an execution went back.
    Monotony,
    /// A client believes what is not so.
    Clients,
    /// More memory than the bound.
    Bounds,
    /// Somebody is not answered in time after everything healed.
    Progress,
    /// An honest replica is named in evidence.
    FalseAccusation,
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

/// A place that an honest replica may sign about once: kind, incarnation, view, number.
type Place = (ReplicaId, u8, u64, u64, u64);

/// Everything seen so far.
pub struct Checker {
    replicas: usize,
    faults: usize,
    window: u64,
    interval: u64,
    clients: u64,
    client_window: u64,
    honest: BTreeSet<ReplicaId>,
    /// Replicas whose disks forgot something, with the first life that they are held to.
    excused: BTreeMap<ReplicaId, u64>,
    decided: BTreeMap<Seq, Digest>,
    /// Digests of whole states, by number.
    states: BTreeMap<Seq, Digest>,
    signed: BTreeMap<Place, Digest>,
    executed: BTreeMap<ReplicaId, Seq>,
    views: BTreeMap<ReplicaId, (u64, u64)>,
    batches: BTreeMap<Digest, Batch>,
    /// Requests that clients really made, by client and first number.
    asked: BTreeMap<(ClientId, u64), BTreeSet<Vec<Blob>>>,
    checked: BTreeSet<Digest>,
    /// What clients saw, by key.
    pub histories: BTreeMap<Blob, Vec<Event>>,
    /// The first violation found.
    pub violation: Option<Violation>,
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new(genesis: &crate::message::Genesis, honest: BTreeSet<ReplicaId>) -> Checker {
        let replicas = genesis.replicas.len();
        let mut faults = 0;
        while 3 * (faults + 1) < replicas {
            faults += 1;
        }
        Checker {
            replicas,
            faults,
            window: genesis.parameters.window,
            interval: genesis.parameters.checkpoint_interval,
            clients: genesis.clients.len() as u64,
            client_window: genesis.parameters.client_window,
            honest,
            excused: BTreeMap::new(),
            decided: BTreeMap::new(),
            states: BTreeMap::new(),
            signed: BTreeMap::new(),
            executed: BTreeMap::new(),
            views: BTreeMap::new(),
            batches: BTreeMap::new(),
            asked: BTreeMap::new(),
            checked: BTreeSet::new(),
            histories: BTreeMap::new(),
            violation: None,
        }
    }

    /// The fewest of which any two sets share an honest member, counted anew.
    fn quorum(&self) -> usize {
        (0..=self.replicas)
            .find(|size| 2 * size > self.replicas + self.faults)
            .unwrap_or(self.replicas)
    }

    fn fail(&mut self, invariant: Invariant, what: String) {
        self.violation.get_or_insert(Violation { invariant, what });
    }

    /// Stops holding a replica to what it says: its disk forgot something.
    pub fn excuse(&mut self, id: ReplicaId) {
        self.excused.insert(id, u64::MAX);
    }

    /// Holds a replica to what it says in this life and those after it: its recovery is
    /// done.
    pub fn absolve(&mut self, id: ReplicaId, incarnation: Incarnation) {
        self.excused.insert(id, incarnation.0);
    }

    /// Whether what this replica says in this life is held against it.
    fn is_held_to(&self, by: Voter) -> bool {
        let from = self.excused.get(&by.replica).copied().unwrap_or_default();
        self.honest.contains(&by.replica) && by.incarnation.0 >= from
    }

    /// A replica was started again: what it had executed since its last saved state it
    /// will execute again, and a view that it entered without a sync it enters again.
    /// What it *sent* before binds it all the same; see [`Checker::sends`].
    pub fn restarted(&mut self, id: ReplicaId, executed: Seq) {
        self.views.remove(&id);
        self.executed.insert(id, executed);
    }

    /// A client really asked for this.
    pub fn client_asks(&mut self, client: ClientId, first: u64, operations: Vec<Blob>) {
        self.asked.entry((client, first)).or_default().insert(operations);
    }

    /// A replica sends something to others.
    pub fn sends(&mut self, from: ReplicaId, message: &PeerMessage) {
        if let PeerMessage::Propose(_, Some(batch)) = message {
            self.batches.entry(batch.digest()).or_insert_with(|| batch.clone());
        }
        if !self.honest.contains(&from) {
            return;
        }
        // Kinds by numbers of the checker's own. Others' messages that it passes on are
        // not its word.
        let (kind, by, view, seq, digest) = match message {
            PeerMessage::Propose(one, _) => {
                (0, one.body.by, one.body.view.0, one.body.seq.0, one.body.digest)
            }
            PeerMessage::Prepare(one) => {
                (1, one.body.by, one.body.view.0, one.body.seq.0, one.body.digest)
            }
            PeerMessage::Commit(one) => {
                (2, one.body.by, one.body.view.0, one.body.seq.0, one.body.digest)
            }
            PeerMessage::Checkpoint(one) => (3, one.body.by, 0, one.body.seq.0, one.body.digest),
            PeerMessage::ViewChange(one) => {
                (4, one.body.by, one.body.view.0, 0, Digest::of(&wire::encode(&one.body)))
            }
            PeerMessage::NewView(one, _) => {
                for opened in &one.body.pre_prepares {
                    self.sends(from, &PeerMessage::Propose(opened.clone(), None));
                }
                (5, one.body.by, one.body.view.0, 0, Digest::of(&wire::encode(&one.body)))
            }
            _ => return,
        };
        if by.replica != from || !self.is_held_to(by) {
            return;
        }
        let place = (from, kind, by.incarnation.0, view, seq);
        let before = *self.signed.entry(place).or_insert(digest);
        if before != digest {
            self.fail(
                Invariant::Honesty,
                format!("{from:?} signed {before:?} and {digest:?} for {place:?}"),
            );
        }
    }

    /// Something that happened in a replica.
    pub fn notice(&mut self, id: ReplicaId, notice: &Notice) {
        if !self.honest.contains(&id) {
            return;
        }
        match notice {
            Notice::Decided(seq, digest, _) => self.decides(id, *seq, *digest),
            Notice::Executed(seq, digest) => {
                self.decides(id, *seq, *digest);
                self.executes(id, *seq, *digest);
            }
            Notice::Stable(seq, digest) => self.has_state(id, *seq, *digest),
            Notice::Evidence(evidence) => self.accuses(id, evidence),
            Notice::TransferDone(seq) => {
                self.executed.insert(id, *seq);
            }
            Notice::Diverged { seq, .. } => {
                self.fail(Invariant::Agreement, format!("{id:?} finds itself diverged at {seq:?}"));
            }
            Notice::RolledBack if self.excused.contains_key(&id) => {}
            Notice::RolledBack => {
                self.fail(Invariant::Honesty, format!("{id:?} finds its own disk rolled back"));
            }
            Notice::Rejected(..)
            | Notice::Suspects(..)
            | Notice::Entered(_)
            | Notice::TransferBegan(_)
            | Notice::MayVote
            | Notice::Reborn(..)
            | Notice::StartAnswers(..) => {}
        }
    }

    fn decides(&mut self, id: ReplicaId, seq: Seq, digest: Digest) {
        let before = *self.decided.entry(seq).or_insert(digest);
        if before != digest {
            let what = format!("{id:?} decides {digest:?} for {seq:?}, others {before:?}");
            self.fail(Invariant::Agreement, what);
        }
    }

    fn executes(&mut self, id: ReplicaId, seq: Seq, digest: Digest) {
        let before = self.executed.insert(id, seq).unwrap_or_default();
        if seq.0 != before.0 + 1 {
            let what = format!("{id:?} executes {seq:?} after {before:?}");
            self.fail(Invariant::Monotony, what);
        }
        if self.checked.insert(digest) {
            self.is_valid(digest);
        }
    }

    /// Everything in a batch was asked for by a listed client, in just these words.
    fn is_valid(&mut self, digest: Digest) {
        let Some(batch) = self.batches.get(&digest).cloned() else { return };
        for item in batch.items() {
            let Item::Request(request) = item else { continue };
            let body = &request.body;
            let known = self
                .asked
                .get(&(body.client, body.first.0))
                .is_some_and(|asked| asked.contains(&body.operations.0));
            if !known {
                let what = format!("{:?} never asked for {:?}", body.client, body.first);
                self.fail(Invariant::Validity, what);
            }
        }
    }

    /// A replica's whole state at a number.
    pub fn has_state(&mut self, id: ReplicaId, seq: Seq, digest: Digest) {
        if !self.honest.contains(&id) {
            return;
        }
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
    }

    /// A look at a replica after a step.
    pub fn look(&mut self, id: ReplicaId, replica: &Replica) {
        if !self.honest.contains(&id) {
            return;
        }
        let now = (replica.view().0, replica.stable().0);
        let before = self.views.insert(id, now).unwrap_or_default();
        if now.0 < before.0 || now.1 < before.1 {
            let what = format!("{id:?} goes back from view and checkpoint {before:?} to {now:?}");
            self.fail(Invariant::Monotony, what);
        }
        self.is_bounded(id, replica);
    }

    fn is_bounded(&mut self, id: ReplicaId, replica: &Replica) {
        let held = replica.held();
        let (n, window) = (self.replicas as u64, self.window);
        let checkpoints = window / self.interval + 3;
        let bounds = [
            ("slots", held.slots, window),
            ("prepared certificates", held.prepared, window),
            ("decided entries", held.decided, window),
            ("batches", held.bodies, 3 * window),
            ("view-changes", held.wishes, n),
            ("waiting items", held.waiting, 2 * self.client_window * self.clients + 2 * n),
            ("wanted batches", held.wanted, 2 * window),
            ("checkpoints", held.checkpoints, checkpoints + 2 * n * checkpoints),
            ("evidence", held.evidence, 64),
        ];
        for (what, count, bound) in bounds {
            if count as u64 > bound {
                let what = format!("{id:?} holds {count} {what}; the bound is {bound}");
                self.fail(Invariant::Bounds, what);
            }
        }
    }

    /// Something was decided with so few commits.
    pub fn certificate(&mut self, seq: Seq, members: usize) {
        if members < self.quorum() {
            let what = format!("{seq:?} is decided by {members}");
            self.fail(Invariant::Certificates, what);
        }
    }

    /// Somebody was not answered in time.
    pub fn no_progress(&mut self, what: String) {
        self.fail(Invariant::Progress, what);
    }

    /// A client was shown a certified state.
    pub fn client_has_state(&mut self, seq: Seq, digest: Digest) {
        let before = *self.states.entry(seq).or_insert(digest);
        if before != digest {
            let what = format!("a client was shown {digest:?} at {seq:?}, others {before:?}");
            self.fail(Invariant::Clients, what);
        }
    }

    /// A client accepted something impossible.
    pub fn client_fooled(&mut self, what: String) {
        self.fail(Invariant::Clients, what);
    }

    /// Whether what the clients saw could have happened in one order.
    pub fn judge_histories(&mut self) {
        let histories = std::mem::take(&mut self.histories);
        for (key, events) in &histories {
            if !history::is_linearizable(events) {
                let what = format!("the history of {key:?} is not linearizable: {events:?}");
                self.fail(Invariant::Clients, what);
            }
        }
        self.histories = histories;
    }
}
