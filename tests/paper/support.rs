//! One real replica, and everybody else played by hand with their own keys.

#![allow(dead_code)]

use crate::world::{DAWN, Disk, client_key, genesis, parameters, replica_key};
use quorate::crypto::Ed25519;
use quorate::message::batch::NULL;
use quorate::message::{
    Batch, Body, CheckedClient, CheckedGenesis, Checkpoint, CheckpointCertificate, ClientMessage,
    Commit, CommitCertificate, Evidence, Fetch, Item, NewView, Parameters, PeerMessage, PrePrepare,
    Prepare, PreparedCertificate, Proposed, RecoveryRequest, Reject, Reply, Request, Signed,
    StartAnswer, Status, ToClient, Verified, Verifier, ViewChange, Voter, new_view,
};
use quorate::replica::{
    Compaction, Durable, Effects, Input, Notice, Now, Origin, Outgoing, Recalled, Record,
    Recovered, Replica, Save, Settings, Standing, Suspicion, To,
};
use quorate::service::kv::{KeyValue, KvOperation};
use quorate::types::{
    ClientId, Committee, Digest, Incarnation, Instant, Nonce, ReplicaId, RequestNumber, Seq, Span,
    Timestamp, View,
};
use quorate::wire::{self, Blob, List};
use std::sync::Arc;

/// What one input brought about.
#[derive(Default)]
pub struct Out {
    pub records: Vec<Record>,
    pub free: Vec<Outgoing>,
    pub bound: Vec<Outgoing>,
    pub saves: Vec<Save>,
    pub compaction: Option<Compaction>,
    pub notices: Vec<Notice>,
}

/// The replica under test, its disk and its clock.
pub struct Solo {
    pub id: ReplicaId,
    pub genesis: Arc<CheckedGenesis>,
    pub committee: Committee,
    pub verifier: Verifier<Ed25519>,
    pub settings: Settings,
    pub disk: Disk,
    pub now: Instant,
    pub wall_offset: i64,
    /// States are said to be on disk as soon as they are to be written.
    pub saves_at_once: bool,
    running: Option<Replica>,
    starts: u64,
}

pub fn put(key: &str, value: &str) -> Vec<u8> {
    KvOperation::Put { key: Blob::from(key), value: Blob::from(value) }.to_bytes()
}

pub fn get(key: &str) -> Vec<u8> {
    KvOperation::Get { key: Blob::from(key) }.to_bytes()
}

pub fn first_life(replica: u16) -> Voter {
    Voter { replica: ReplicaId(replica), incarnation: Incarnation::FIRST }
}

pub fn life(replica: u16, incarnation: u64) -> Voter {
    Voter { replica: ReplicaId(replica), incarnation: Incarnation(incarnation) }
}

impl Solo {
    /// One of four, started on an empty disk and voting.
    pub fn new(id: u16) -> Solo {
        Solo::of(4, id)
    }

    pub fn of(replicas: u16, id: u16) -> Solo {
        // Every replica's word is to be seen, and what is synced for it.
        let settings =
            Settings { spared_from: usize::MAX, reserved_votes: 0, ..Settings::default() };
        Solo::with(replicas, id, parameters(), settings)
    }

    pub fn with(replicas: u16, id: u16, parameters: Parameters, settings: Settings) -> Solo {
        let mut solo = Solo::before_start(replicas, id, parameters, settings);
        let _ = solo.start(false);
        solo.answer_start();
        assert_eq!(*solo.standing(), Standing::Voting);
        solo
    }

    pub fn before_start(
        replicas: u16,
        id: u16,
        parameters: Parameters,
        settings: Settings,
    ) -> Solo {
        // Small batches fill the pipeline here: what makes them wait has its own tests.
        let usual = Settings::default();
        let eager = if settings.eager == usual.eager { u64::MAX } else { settings.eager };
        let waits = settings.gathering != usual.gathering;
        let gathering = if waits { settings.gathering } else { Span(0) };
        let settings = Settings { eager, gathering, ..settings };
        let genesis = genesis(replicas, 4, parameters).checked().expect("a good genesis");
        let committee = genesis.committee();
        let verifier = Verifier::new(Arc::clone(&genesis), Ed25519);
        Solo {
            id: ReplicaId(id),
            genesis,
            committee,
            verifier,
            settings,
            disk: Disk::default(),
            now: Instant(1_000_000),
            wall_offset: 0,
            saves_at_once: true,
            running: None,
            starts: 0,
        }
    }

    // The replica, its clock and its disk.

    pub fn replica(&self) -> &Replica {
        self.running.as_ref().expect("it runs")
    }

    pub fn replica_mut(&mut self) -> &mut Replica {
        self.running.as_mut().expect("it runs")
    }

    pub fn standing(&self) -> &Standing {
        self.replica().standing()
    }

    pub fn executed(&self) -> u64 {
        self.replica().executed().0
    }

    pub fn stable(&self) -> u64 {
        self.replica().stable().0
    }

    pub fn view(&self) -> u64 {
        self.replica().view().0
    }

    pub fn quorum(&self) -> usize {
        self.committee.quorum()
    }

    pub fn others(&self) -> Vec<u16> {
        self.committee.replicas().map(|one| one.0).filter(|one| *one != self.id.0).collect()
    }

    pub fn primary(&self, view: u64) -> u16 {
        self.committee.primary(View(view)).0
    }

    /// Replicas other than this one and the view's primary.
    pub fn backups(&self, view: u64) -> Vec<u16> {
        self.others().into_iter().filter(|one| *one != self.primary(view)).collect()
    }

    pub fn wall(&self) -> Timestamp {
        Timestamp((DAWN.0 + self.now.0).saturating_add_signed(self.wall_offset))
    }

    pub fn nonce(&self) -> Nonce {
        Nonce(7_000 + self.starts)
    }

    /// Starts from the disk. The others have not answered yet.
    pub fn start(&mut self, disk_was_lost: bool) -> Out {
        self.starts += 1;
        let records = self.disk.log.iter().cloned();
        let records = records
            .map(|one| Recalled::verify(&self.verifier, one).expect("its own log"))
            .collect();
        let states = self.disk.states.clone();
        let recovered = Recovered { records, states, parts: self.disk.parts.clone() };
        let origin = Origin {
            id: self.id,
            genesis: Arc::clone(&self.genesis),
            settings: self.settings,
            signer: Box::new(replica_key(self.id.0)),
            service: Arc::new(KeyValue),
            nonce: self.nonce(),
            disk_was_lost,
        };
        let now = Now { instant: self.now, wall: self.wall() };
        let (replica, effects) = Replica::start(now, origin, recovered).expect("it starts");
        self.running = Some(replica);
        self.carry_out(effects)
    }

    /// Stops at once and starts again; `Q` others have nothing to say.
    pub fn restart(&mut self) -> Out {
        let mut out = self.start(false);
        out.extend(self.answer_start());
        out
    }

    /// Whether a batch is within the limits and everything in it well signed.
    pub fn is_genuine(&self, batch: &Batch) -> bool {
        match self.verifier.proposed(batch.clone()) {
            Proposed::Unchecked(batch) => self.verifier.check(batch).verdict.is_ok(),
            Proposed::Null | Proposed::Unfit(..) => false,
        }
    }

    pub fn input(&mut self, input: Input) -> Out {
        let now = Now { instant: self.now, wall: self.wall() };
        let running = self.running.as_mut().expect("it runs");
        let effects = running.handle_checking(now, input, &self.verifier);
        self.carry_out(effects)
    }

    fn carry_out(&mut self, effects: Effects) -> Out {
        let parts = effects.into_parts();
        self.disk.log.extend(parts.records.iter().cloned());
        if let Some(compaction) = &parts.compaction {
            let above = |record: &Record| record.seq().is_some_and(|seq| seq > compaction.below);
            let kept: Vec<Record> = self.disk.log.drain(..).filter(above).collect();
            self.disk.log = compaction.head.clone();
            self.disk.log.extend(kept);
            self.disk.states = self.disk.states.split_off(&compaction.below);
        }
        self.disk.parts.extend(parts.parts.into_iter().map(|(_, path, part)| (path, part)));
        let mut out = Out {
            records: parts.records,
            free: parts.free,
            bound: parts.bound.release(&Durable::after_sync()),
            saves: parts.saves,
            compaction: parts.compaction,
            notices: parts.notices,
        };
        if self.saves_at_once {
            for save in out.saves.clone() {
                out.extend(self.saved(save));
            }
        }
        out
    }

    /// The state is on disk.
    pub fn saved(&mut self, save: Save) -> Out {
        // What followed from a wrong one goes.
        drop(self.disk.states.split_off(&save.seq));
        self.disk.states.insert(save.seq, save.tree);
        self.input(Input::Saved(save.seq, save.digest))
    }

    pub fn tick(&mut self) -> Out {
        self.input(Input::Tick)
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass(&mut self, span: Span) -> Out {
        let end = self.now.plus(span);
        let mut out = Out::default();
        let mut steps = 0;
        while self.replica().next_deadline() <= end {
            steps += 1;
            assert!(steps < 5_000, "a deadline is due and stays due");
            self.now = Instant(self.replica().next_deadline().0.max(self.now.0 + 1));
            out.extend(self.tick());
        }
        self.now = end.max(self.now);
        out
    }

    // What others send.

    /// A peer's message, over the wire's bytes and through the verifier.
    pub fn peer(&mut self, from: u16, message: PeerMessage) -> Out {
        let checked = self.verifier.peer_bytes(&wire::encode(&message));
        let message = Box::new(checked.expect("well formed and well signed"));
        self.input(Input::Peer { from: ReplicaId(from), message })
    }

    /// What the verifier says to a message.
    pub fn verify(&self, message: PeerMessage) -> Option<Reject> {
        self.verifier.peer_bytes(&wire::encode(&message)).err()
    }

    /// Enough others answer that they know nothing.
    pub fn answer_start(&mut self) -> Out {
        let mut out = Out::default();
        for from in self.others().into_iter().take(self.quorum() - 1) {
            out.extend(self.answer_start_from(from, Vec::new()));
        }
        out
    }

    pub fn answer_start_from(&mut self, from: u16, held: Vec<quorate::message::Held>) -> Out {
        let answer = StartAnswer {
            nonce: self.nonce(),
            view: View(0),
            highest: None,
            stable: None,
            held: List(held),
        };
        self.peer(from, PeerMessage::StartAnswer(Box::new(answer)))
    }

    pub fn client(&mut self, from: u32, message: ClientMessage) -> Out {
        let checked = self.verifier.client_bytes(&wire::encode(&message));
        self.checked_client(from, checked.expect("well formed and well signed"))
    }

    pub fn checked_client(&mut self, from: u32, message: CheckedClient) -> Out {
        self.input(Input::Client { from: ClientId(from), message })
    }

    pub fn submit(&mut self, request: &Signed<Request>) -> Out {
        self.client(request.body.client.0, ClientMessage::Request(request.clone()))
    }

    // Signing for others.

    pub fn sign<T: Body>(&self, by: u16, body: T) -> Signed<T> {
        Signed::sign(body, &self.genesis.cluster(), &replica_key(by))
    }

    fn verified<T: Body>(&self, by: u16, body: T) -> Verified<Signed<T>> {
        Verified::sign(body, &self.genesis.cluster(), &replica_key(by))
    }

    pub fn request(
        &self,
        client: u32,
        first: u64,
        acknowledged: u64,
        operations: &[&[u8]],
    ) -> Signed<Request> {
        let body = Request {
            client: ClientId(client),
            first: RequestNumber(first),
            acknowledged: RequestNumber(acknowledged),
            operations: operations.iter().map(|one| Blob::from(*one)).collect(),
        };
        Signed::sign(body, &self.genesis.cluster(), &client_key(client))
    }

    /// A request with one write.
    pub fn write(&self, client: u32, number: u64) -> Signed<Request> {
        self.request(
            client,
            number,
            number - 1,
            &[&put(&format!("k{client}"), &number.to_string())],
        )
    }

    pub fn batch_of(&self, requests: &[&Signed<Request>]) -> Batch {
        let items = requests.iter().map(|one| Item::Request((*one).clone())).collect();
        Batch::new(self.wall(), items)
    }

    /// A batch with one write of client 0.
    pub fn batch(&self, number: u64) -> Batch {
        self.batch_of(&[&self.write(0, number)])
    }

    /// A batch with one large write of client 0 under a key of its own.
    pub fn large_batch(&self, number: u64) -> Batch {
        let operation = put(&format!("large {number}"), &"x".repeat(40_000));
        self.batch_of(&[&self.request(0, number, number - 1, &[&operation])])
    }

    /// One that is so large that it should not travel twice.
    pub fn huge_batch(&self, number: u64) -> Batch {
        let operation = put(&format!("huge {number}"), &"x".repeat(100_000));
        self.batch_of(&[&self.request(0, number, number - 1, &[&operation])])
    }

    pub fn pre_prepare(&self, view: u64, seq: u64, digest: Digest) -> Signed<PrePrepare> {
        let by = self.primary(view);
        self.sign(by, PrePrepare { view: View(view), seq: Seq(seq), digest, by: first_life(by) })
    }

    /// The primary's proposal, with its batch.
    pub fn proposal(&self, view: u64, seq: u64, batch: &Batch) -> PeerMessage {
        PeerMessage::Propose(self.pre_prepare(view, seq, batch.digest()), Some(batch.clone()))
    }

    pub fn propose(&mut self, view: u64, seq: u64, batch: &Batch) -> Out {
        let message = self.proposal(view, seq, batch);
        self.peer(self.primary(view), message)
    }

    pub fn prepare(&self, by: u16, view: u64, seq: u64, digest: Digest) -> PeerMessage {
        let body = Prepare { view: View(view), seq: Seq(seq), digest, by: first_life(by) };
        PeerMessage::Prepare(self.sign(by, body))
    }

    pub fn prepare_from(&mut self, by: u16, view: u64, seq: u64, digest: Digest) -> Out {
        let message = self.prepare(by, view, seq, digest);
        self.peer(by, message)
    }

    pub fn commit(&self, by: u16, view: u64, seq: u64, digest: Digest) -> PeerMessage {
        let body = Commit { view: View(view), seq: Seq(seq), digest, by: first_life(by) };
        PeerMessage::Commit(self.sign(by, body))
    }

    pub fn commit_from(&mut self, by: u16, view: u64, seq: u64, digest: Digest) -> Out {
        let message = self.commit(by, view, seq, digest);
        self.peer(by, message)
    }

    pub fn checkpoint(&self, by: u16, seq: u64, digest: Digest) -> PeerMessage {
        PeerMessage::Checkpoint(
            self.sign(by, Checkpoint { seq: Seq(seq), digest, by: first_life(by) }),
        )
    }

    pub fn checkpoint_from(&mut self, by: u16, seq: u64, digest: Digest) -> Out {
        let message = self.checkpoint(by, seq, digest);
        self.peer(by, message)
    }

    pub fn prepared(
        &self,
        view: u64,
        seq: u64,
        digest: Digest,
        backups: &[u16],
    ) -> PreparedCertificate {
        let (view, seq) = (View(view), Seq(seq));
        let primary = self.committee.primary(view).0;
        let body = PrePrepare { view, seq, digest, by: first_life(primary) };
        let proposal = self.verified(primary, body);
        let votes: Vec<_> = backups
            .iter()
            .map(|by| self.verified(*by, Prepare { view, seq, digest, by: first_life(*by) }))
            .collect();
        let certificate = PreparedCertificate::new(self.committee, &proposal, &votes);
        certificate.expect("enough prepares").into_inner()
    }

    pub fn committed(
        &self,
        view: u64,
        seq: u64,
        digest: Digest,
        voters: &[Voter],
    ) -> CommitCertificate {
        let (view, seq) = (View(view), Seq(seq));
        let votes: Vec<_> = voters
            .iter()
            .map(|by| self.verified(by.replica.0, Commit { view, seq, digest, by: *by }))
            .collect();
        let certificate = CommitCertificate::new(self.committee, view, seq, digest, &votes);
        certificate.expect("enough commits").into_inner()
    }

    /// A decided entry, by `Q` of the others.
    pub fn decided(&self, view: u64, seq: u64, batch: &Batch) -> PeerMessage {
        let voters: Vec<Voter> =
            self.others().into_iter().take(self.quorum()).map(first_life).collect();
        let certificate = self.committed(view, seq, batch.digest(), &voters);
        PeerMessage::Decided(certificate, Some(batch.clone()))
    }

    pub fn decide(&mut self, view: u64, seq: u64, batch: &Batch) -> Out {
        let message = self.decided(view, seq, batch);
        self.peer(self.others()[0], message)
    }

    /// Decides one write of client 0 for each number up to this one.
    pub fn decide_up_to(&mut self, last: u64) -> Out {
        let mut out = Out::default();
        for seq in self.executed() + 1..=last {
            let batch = self.batch(seq);
            out.extend(self.decide(0, seq, &batch));
        }
        out
    }

    pub fn certified(&self, seq: u64, digest: Digest) -> CheckpointCertificate {
        let seq = Seq(seq);
        let votes: Vec<_> = self
            .others()
            .into_iter()
            .map(|by| self.verified(by, Checkpoint { seq, digest, by: first_life(by) }))
            .collect();
        let certificate = CheckpointCertificate::new(self.committee, seq, digest, &votes);
        certificate.expect("enough checkpoints").into_inner()
    }

    /// `Q` others have the same state as this replica: `h` moves.
    pub fn stabilise(&mut self, seq: u64) -> Out {
        let digest = self.disk.states[&Seq(seq)].digest();
        let certificate = self.certified(seq, digest);
        self.peer(self.others()[0], PeerMessage::Stable(certificate))
    }

    /// Executes up to this checkpoint, and makes it stable.
    pub fn advance_to(&mut self, seq: u64) -> Out {
        let mut out = Out::default();
        let interval = self.genesis.parameters.checkpoint_interval;
        while self.executed() < seq {
            let next = (self.executed() / interval + 1) * interval;
            out.extend(self.decide_up_to(next));
            out.extend(self.stabilise(next));
        }
        assert_eq!(self.stable(), seq);
        out
    }

    pub fn wish(&self, by: u16, view: u64) -> Signed<ViewChange> {
        self.wish_with(first_life(by), view, None, Vec::new())
    }

    pub fn wish_with(
        &self,
        by: Voter,
        view: u64,
        stable: Option<CheckpointCertificate>,
        prepared: Vec<PreparedCertificate>,
    ) -> Signed<ViewChange> {
        let body = ViewChange { view: View(view), by, stable, prepared: List(prepared) };
        self.sign(by.replica.0, body)
    }

    pub fn wish_from(&mut self, by: u16, view: u64) -> Out {
        let wish = self.wish(by, view);
        self.peer(by, PeerMessage::ViewChange(wish))
    }

    /// What the view's primary makes of these view-changes.
    pub fn opening(&self, view: u64, mut wishes: Vec<Signed<ViewChange>>) -> Signed<NewView> {
        wishes.sort_by_key(|one| one.body.by.replica);
        let by = self.primary(view);
        let outcome = new_view::decide(wishes.iter().map(|one| &one.body));
        let pre_prepares = outcome
            .chosen
            .iter()
            .map(|(seq, digest)| self.pre_prepare(view, seq.0, *digest))
            .collect();
        let body = NewView {
            view: View(view),
            by: first_life(by),
            view_changes: List(wishes),
            pre_prepares,
        };
        self.sign(by, body)
    }

    /// Enters a view that others opened, with these prepared certificates in it.
    pub fn enter(&mut self, view: u64, prepared: Vec<PreparedCertificate>) -> Out {
        let stable = self.replica().stable_certificate().cloned().map(Verified::into_inner);
        let mut wishes: Vec<_> = self
            .others()
            .into_iter()
            .take(self.quorum())
            .map(|by| self.wish_with(first_life(by), view, stable.clone(), Vec::new()))
            .collect();
        let by = wishes[0].body.by;
        wishes[0] = self.wish_with(by, view, stable, prepared);
        let opening = self.opening(view, wishes);
        self.peer(self.primary(view), PeerMessage::NewView(opening, None))
    }

    pub fn recovery(&self, replica: u16, nonce: u64) -> Signed<RecoveryRequest> {
        self.sign(replica, RecoveryRequest { replica: ReplicaId(replica), nonce: Nonce(nonce) })
    }

    pub fn status(&self, view: u64, stable: u64, executed: u64) -> Status {
        Status {
            view: View(view),
            active: true,
            stable: Seq(stable),
            executed: Seq(executed),
            slots: List::default(),
            view_changes: List::default(),
        }
    }

    /// Another replica tells its status: it is active, and has nothing undecided.
    /// A status, once this replica answers one of that peer again.
    pub fn hear_status(&mut self, by: u16, status: quorate::message::Status) -> Out {
        self.now = self.now.plus(self.settings.status_interval.halved());
        self.peer(by, PeerMessage::Status(status))
    }

    pub fn status_from(&mut self, by: u16, view: u64, stable: u64, executed: u64) -> Out {
        let status = self.status(view, stable, executed);
        self.hear_status(by, status)
    }

    pub fn null() -> Digest {
        NULL
    }
}

impl Out {
    pub fn extend(&mut self, later: Out) {
        self.records.extend(later.records);
        self.free.extend(later.free);
        self.bound.extend(later.bound);
        self.saves.extend(later.saves);
        self.compaction = later.compaction.or(self.compaction.take());
        self.notices.extend(later.notices);
    }

    /// Why the input was refused, if it was.
    pub fn reject(&self) -> Option<Reject> {
        self.rejects().first().copied()
    }

    pub fn rejects(&self) -> Vec<Reject> {
        self.notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Rejected(_, reject) => Some(*reject),
                _ => None,
            })
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = &Outgoing> {
        self.free.iter().chain(&self.bound)
    }

    /// Everything for other replicas.
    pub fn peers(&self) -> Vec<(To, &PeerMessage)> {
        self.all()
            .filter_map(|one| match one {
                Outgoing::Peer(to, message) => Some((*to, &**message)),
                Outgoing::Client(..) | Outgoing::Reserved(..) => None,
            })
            .collect()
    }

    pub fn prepares(&self) -> Vec<Prepare> {
        self.pick(|one| match one {
            PeerMessage::Prepare(vote) => Some(vote.body),
            _ => None,
        })
    }

    pub fn commits(&self) -> Vec<Commit> {
        self.pick(|one| match one {
            PeerMessage::Commit(vote) => Some(vote.body),
            _ => None,
        })
    }

    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        self.pick(|one| match one {
            PeerMessage::Checkpoint(vote) => Some(vote.body),
            _ => None,
        })
    }

    pub fn proposals(&self) -> Vec<(Seq, Batch)> {
        self.pick(|one| match one {
            PeerMessage::Propose(proposal, Some(batch)) => Some((proposal.body.seq, batch.clone())),
            _ => None,
        })
    }

    pub fn wishes(&self) -> Vec<Signed<ViewChange>> {
        self.pick(|one| match one {
            PeerMessage::ViewChange(wish) => Some(wish.clone()),
            _ => None,
        })
    }

    pub fn openings(&self) -> Vec<Signed<NewView>> {
        self.pick(|one| match one {
            PeerMessage::NewView(opening, _) => Some(opening.clone()),
            _ => None,
        })
    }

    pub fn evidence(&self) -> Vec<Evidence> {
        self.pick(|one| match one {
            PeerMessage::Evidence(evidence) => Some(evidence.clone()),
            _ => None,
        })
    }

    pub fn relays(&self) -> Vec<(To, Signed<Request>)> {
        self.peers()
            .into_iter()
            .filter_map(|(to, message)| match message {
                PeerMessage::Relay(request) => Some((to, request.clone())),
                _ => None,
            })
            .collect()
    }

    pub fn fetches(&self) -> Vec<(To, Fetch)> {
        self.peers()
            .into_iter()
            .filter_map(|(to, message)| match message {
                PeerMessage::Fetch(fetch) => Some((to, fetch.clone())),
                _ => None,
            })
            .collect()
    }

    pub fn pick<T>(&self, which: impl Fn(&PeerMessage) -> Option<T>) -> Vec<T> {
        self.peers().into_iter().filter_map(|(_, message)| which(message)).collect()
    }

    pub fn to_clients(&self) -> Vec<(ClientId, ToClient)> {
        self.all()
            .filter_map(|one| match one {
                Outgoing::Client(client, message) => Some((*client, message.clone())),
                Outgoing::Peer(..) | Outgoing::Reserved(..) => None,
            })
            .collect()
    }

    pub fn replies(&self) -> Vec<Reply> {
        self.to_clients()
            .into_iter()
            .filter_map(|(_, message)| match message {
                ToClient::Reply(reply) => Some(reply),
                _ => None,
            })
            .collect()
    }

    pub fn suspicions(&self) -> Vec<(u64, Suspicion)> {
        self.notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Suspects { asked: view, why, .. } => Some((view.0, *why)),
                _ => None,
            })
            .collect()
    }

    pub fn executed(&self) -> Vec<u64> {
        self.notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Executed(seq, _) => Some(seq.0),
                _ => None,
            })
            .collect()
    }

    pub fn decided(&self) -> Vec<u64> {
        self.notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Decided(seq, ..) => Some(seq.0),
                _ => None,
            })
            .collect()
    }

    /// Whether anything signed as a vote leaves before the sync.
    pub fn leaks_promises(&self) -> bool {
        self.free.iter().any(|one| match one {
            Outgoing::Peer(_, message) => matches!(
                **message,
                PeerMessage::Propose(..)
                    | PeerMessage::Prepare(_)
                    | PeerMessage::Commit(_)
                    | PeerMessage::Checkpoint(_)
                    | PeerMessage::ViewChange(_)
                    | PeerMessage::NewView(..)
            ),
            Outgoing::Client(..) | Outgoing::Reserved(..) => true,
        })
    }
}

/// A replica that is behind what a certificate shows, and fetches the state of it.
pub struct Behind {
    pub solo: Solo,
    /// One that has that state.
    pub donor: Solo,
    pub target: u64,
    pub certificate: CheckpointCertificate,
    /// What it asked for: of whom, and which part.
    pub asked: Vec<(u16, quorate::service::tree::Path)>,
}

impl Behind {
    pub fn new(id: u16) -> Behind {
        Behind::with_a_start(id, 0)
    }

    /// The same, but it has executed up to here like everybody else.
    pub fn with_a_start(id: u16, up_to: u64) -> Behind {
        let mut solo = Solo::new(id);
        let mut donor = Solo::new((id + 1) % 4);
        for seq in 1..=40 {
            let batch = donor.large_batch(seq);
            donor.decide(0, seq, &batch);
            if seq <= up_to {
                solo.decide(0, seq, &batch);
            }
            if seq.is_multiple_of(8) {
                donor.stabilise(seq);
            }
        }
        let target = 40;
        let digest = donor.disk.states[&Seq(target)].digest();
        let certificate = solo.certified(target, digest);
        let from = solo.others()[0];
        solo.status_from(from, 0, target, target);
        solo.pass(Span::seconds(2));
        let out = solo.peer(from, PeerMessage::Stable(certificate.clone()));
        assert!(solo.replica().is_in_transfer(), "{:?}", out.notices);
        let asked = parts_asked(&out);
        Behind { solo, donor, target, certificate, asked }
    }

    /// The true part.
    pub fn part(&self, path: &quorate::service::tree::Path) -> PeerMessage {
        let tree = &self.donor.disk.states[&Seq(self.target)];
        let part = tree.part(path, 256 << 10).expect("the donor has it");
        PeerMessage::Part(Seq(self.target), path.clone(), part)
    }

    /// Answers every question truly until the state is whole.
    pub fn finish(&mut self) -> Out {
        let mut out = Out::default();
        while let Some((from, path)) = self.asked.pop() {
            let part = self.part(&path);
            let one = self.solo.peer(from, part);
            self.asked.extend(parts_asked(&one));
            out.extend(one);
        }
        assert!(!self.solo.replica().is_in_transfer());
        out
    }
}

pub fn parts_asked(out: &Out) -> Vec<(u16, quorate::service::tree::Path)> {
    out.fetches()
        .into_iter()
        .filter_map(|(to, fetch)| match (to, fetch) {
            (To::Peer(peer), Fetch::Part(_, path, ..)) => Some((peer.0, path)),
            _ => None,
        })
        .collect()
}

impl Solo {
    /// A status like any other.
    pub fn status_message(&self) -> PeerMessage {
        PeerMessage::Status(self.status(0, 0, 0))
    }
}
