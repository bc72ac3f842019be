//! One simulated cluster: the very replicas, services and client sessions of the real
//! node, on a network, disks and clocks that one seed drives.

use super::checker::{Checker, Violation};
use super::disk::Disk;
use super::history::{Action, Event};
use super::model::{Model, ModelSigner};
use super::plan::{CALM, Calamity, Plan, Weather};
use super::random::Random;
use super::{Coverage, Options, Report};
use crate::byzantine::{Behaviour, Liar, cast};
use crate::client::{self, HowRead, Outcome, Session, Ticket, ToReplica};
use crate::crypto::PublicKey;
use crate::message::{ClientMessage, Genesis, PeerMessage, ToClient, Verifier};
use crate::replica::{
    Durable, Effects, Input, Notice, Now, Origin, Outgoing, Recalled, Recovered, Replica, Save,
    Standing, To, Unsynced,
};
use crate::service::kv::{KeyValue, KvOperation, KvResult};
use crate::types::{ClientId, Digest, Instant, Nonce, ReplicaId, Span, Timestamp};
use crate::wire::Blob;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

/// Where all wall clocks begin.
const DAWN: u64 = 1_700_000_000_000_000;

/// A simulated world ends after so many events, whatever happens.
const MOST_STEPS: u64 = 400_000;

/// After the healing every honest client must be answered within this.
const GRACE: Span = Span::seconds(150);

/// What is going to happen.
enum Happening {
    Arrives { from: ReplicaId, to: ReplicaId, message: PeerMessage },
    Asks { client: usize, to: ReplicaId, message: ClientMessage },
    Answers { from: ReplicaId, client: usize, message: ToClient },
    Wakes { id: ReplicaId },
    ClientWakes { client: usize },
    Synced { id: ReplicaId, life: u64 },
    Saved { id: ReplicaId, life: u64, save: Save },
    Befalls { calamity: Calamity },
    Heals,
}

struct Node {
    replica: Option<Replica>,
    disk: Disk,
    liar: Option<(Liar, Box<dyn Behaviour>)>,
    /// Counts starts: what was under way before a crash never ends.
    life: u64,
    /// Sends that wait for a sync, with the length of log that they need.
    unsynced: VecDeque<(usize, Unsynced)>,
    syncing: Option<usize>,
    paused_until: Instant,
    clock_offset: i64,
    slow_disk: bool,
    wakes_at: Instant,
}

struct Client {
    session: Session<Model>,
    random: Random,
    left: u64,
    pending: BTreeMap<Ticket, (Blob, Action, Instant)>,
    answered: u64,
    wakes_at: Instant,
}

/// A simulated cluster and everything around it.
pub struct World {
    plan: Plan,
    genesis: Arc<Genesis>,
    verifier: Verifier<Model>,
    random: Random,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    order: u64,
    now: Instant,
    weather: Weather,
    island: BTreeSet<ReplicaId>,
    cut: BTreeSet<(ReplicaId, ReplicaId)>,
    dam_until: Instant,
    healed: bool,
    checker: Checker,
    coverage: Coverage,
    messages: u64,
    steps: u64,
    digest: Digest,
    trace: Option<Vec<String>>,
    story: VecDeque<String>,
}

/// How many of the last events a failure tells.
const STORY: usize = 60;

/// Real keys are used as modelled keys' names: a genesis must list points of the curve.
fn keys(count: usize) -> Vec<PublicKey> {
    use std::sync::OnceLock;
    static KEYS: OnceLock<Vec<PublicKey>> = OnceLock::new();
    let all = KEYS.get_or_init(|| {
        (0..32u8)
            .map(|seed| crate::crypto::SecretKey::from_seed(&[seed + 1; 32]).public())
            .collect()
    });
    all[..count].to_vec()
}

impl World {
    /// The world of a seed.
    pub fn new(options: &Options) -> World {
        let mut random = Random::new(options.seed);
        let roles = cast();
        let behaviour = options
            .behaviour
            .as_ref()
            .and_then(|name| roles.iter().position(|role| role.name == name.as_str()));
        let plan = Plan::new(&mut random, options.replicas, behaviour, roles.len());
        let replicas = usize::from(plan.replicas);
        let clients = usize::try_from(plan.clients).unwrap_or(1);
        let all = keys(replicas + clients);
        let genesis = Arc::new(Genesis {
            name: b"simulated".to_vec().into(),
            replicas: all[..replicas].to_vec().into(),
            clients: all[replicas..].to_vec().into(),
            parameters: plan.parameters,
        });
        let verifier = Verifier::new(Arc::clone(&genesis), Model).expect("plans are sound");
        let lying: BTreeMap<ReplicaId, usize> = plan.liars.iter().copied().collect();
        let honest =
            (0..plan.replicas).map(ReplicaId).filter(|id| !lying.contains_key(id)).collect();
        let checker = Checker::new(&genesis, honest);
        let mut world = World {
            verifier,
            checker,
            weather: plan.weather,
            nodes: Vec::new(),
            clients: Vec::new(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            order: 0,
            now: Instant(0),
            island: BTreeSet::new(),
            cut: BTreeSet::new(),
            dam_until: Instant(0),
            healed: false,
            coverage: Coverage::default(),
            messages: 0,
            steps: 0,
            digest: Digest::default(),
            trace: options.trace.then(Vec::new),
            story: VecDeque::new(),
            genesis,
            plan,
            random,
        };
        for id in (0..world.plan.replicas).map(ReplicaId) {
            let liar = lying.get(&id).map(|role| {
                world.coverage.count(&format!("behaviour {}", roles[*role].name));
                (world.liar(id), (roles[*role].play)())
            });
            world.nodes.push(Node {
                replica: None,
                disk: Disk::default(),
                liar,
                life: 0,
                unsynced: VecDeque::new(),
                syncing: None,
                paused_until: Instant(0),
                clock_offset: 0,
                slow_disk: false,
                wakes_at: Instant(u64::MAX),
            });
        }
        for id in (0..world.plan.replicas).map(ReplicaId) {
            world.start(id, false);
        }
        for client in 0..world.plan.clients {
            world.add_client(ClientId(client));
        }
        for (at, calamity) in world.plan.calamities.clone() {
            world.plan_at(at, Happening::Befalls { calamity });
        }
        world.plan_at(world.plan.healed, Happening::Heals);
        world
    }

    fn liar(&mut self, id: ReplicaId) -> Liar {
        Liar {
            id,
            committee: crate::types::Committee::new(self.plan.replicas).expect("plans are sound"),
            cluster: self.genesis.cluster(),
            signer: Box::new(ModelSigner(self.genesis.replicas[usize::from(id.0)])),
            random: self.random.fork(),
            earlier: Vec::new(),
        }
    }

    fn add_client(&mut self, id: ClientId) {
        let index = usize::try_from(id.0).unwrap_or(0);
        let setup = client::Setup {
            client: id,
            signer: Box::new(ModelSigner(self.genesis.clients[index])),
            genesis: Arc::clone(&self.genesis),
            service: Arc::new(KeyValue),
            scheme: Model,
        };
        let settings = client::Settings {
            retry: Span::milliseconds(self.random.between(50, 500)),
            most_retry: Span::seconds(2),
            timeout: Span::seconds(100_000),
            ..client::Settings::default()
        };
        let nonce = Nonce(self.random.any());
        let start = client::Start::New;
        let session =
            Session::new(self.now, setup, settings, start, nonce).expect("a good genesis");
        self.clients.push(Client {
            session,
            random: self.random.fork(),
            left: self.plan.operations,
            pending: BTreeMap::new(),
            answered: 0,
            wakes_at: Instant(u64::MAX),
        });
        let at = Instant(self.random.below(500_000));
        self.plan_at(at, Happening::ClientWakes { client: index });
    }

    /// Runs until everybody is served, or something is wrong.
    pub fn run(mut self, options: &Options) -> Report {
        let most = options.steps.unwrap_or(MOST_STEPS);
        while self.checker.violation.is_none() && self.steps < most {
            let Some(Reverse((at, order))) = self.queue.pop() else { break };
            let Some(happening) = self.happenings.remove(&order) else { continue };
            self.now = self.now.max(at);
            self.steps += 1;
            self.happen(happening);
            if self.healed && self.is_everybody_served() && self.is_settled() {
                break;
            }
            if self.healed && self.now > self.plan.healed.plus(GRACE) {
                let missing = self.describe_missing();
                self.checker.no_progress(missing);
            }
        }
        let is_over = self.is_everybody_served() && self.is_settled();
        if options.steps.is_none() && !is_over {
            let missing = self.describe_missing();
            self.checker.no_progress(missing);
        }
        self.finish(options)
    }

    fn is_everybody_served(&self) -> bool {
        self.clients.iter().all(|client| client.left == 0 && client.pending.is_empty())
    }

    /// All honest replicas stand at the same place and may vote. One that suspected the
    /// primary alone may wait in its view change until others join it: it has promised
    /// not to vote in the old view, and an idle cluster gives nobody a reason to.
    fn is_settled(&self) -> bool {
        let mut honest = self.nodes.iter().filter(|node| node.liar.is_none());
        let place = |node: &Node| {
            let replica = node.replica.as_ref()?;
            (*replica.standing() == Standing::Voting).then(|| replica.executed())
        };
        let Some(first) = honest.next().and_then(place) else { return false };
        honest.all(|node| place(node) == Some(first))
    }

    fn describe_missing(&self) -> String {
        let replicas: Vec<String> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(id, node)| match &node.replica {
                Some(replica) => format!(
                    "r{id}{}: {:?} active={} executed {:?} stable {:?} {:?}{} {:?} waits {:?}",
                    if node.liar.is_some() { " (liar)" } else { "" },
                    replica.view(),
                    replica.is_active(),
                    replica.executed(),
                    replica.stable(),
                    replica.standing(),
                    if replica.is_in_transfer() { " in transfer" } else { "" },
                    replica.held(),
                    replica.patience(),
                ),
                None => format!("r{id}: down"),
            })
            .collect();
        let clients: Vec<String> = self
            .clients
            .iter()
            .map(|client| format!("{} left, {:?} pending", client.left, client.pending.keys()))
            .collect();
        format!(
            "not settled {GRACE:?} after healing\n  {}\n  clients: {clients:?}",
            replicas.join("\n  ")
        )
    }

    fn finish(mut self, options: &Options) -> Report {
        if self.checker.violation.is_none() {
            let honest = self.nodes.iter().enumerate().filter(|(_, node)| node.liar.is_none());
            let states: Vec<(ReplicaId, crate::types::Seq, Digest)> = honest
                .filter_map(|(id, node)| {
                    let replica = node.replica.as_ref()?;
                    let id = ReplicaId(u16::try_from(id).ok()?);
                    Some((id, replica.executed(), replica.state().digest()))
                })
                .collect();
            let mut same: BTreeMap<u64, Digest> = BTreeMap::new();
            for (id, seq, digest) in states {
                if *same.entry(seq.0).or_insert(digest) != digest {
                    self.checker.violation = Some(Violation {
                        invariant: super::checker::Invariant::Agreement,
                        what: format!("{id:?} ends with another state at {seq:?}"),
                    });
                }
            }
        }
        // What was never answered may have happened at any time, or never.
        for client in &mut self.clients {
            for (key, action, asked) in std::mem::take(&mut client.pending).into_values() {
                let event = Event { action, asked, answered: None };
                self.checker.histories.entry(key).or_default().push(event);
            }
        }
        self.checker.judge_histories();
        Report {
            seed: options.seed,
            steps: self.steps,
            messages: self.messages,
            requests: self.clients.iter().map(|client| client.answered).sum(),
            simulated: Span(self.now.0),
            coverage: self.coverage,
            digest: self.digest,
            violation: self.checker.violation,
            story: self.story.into_iter().collect(),
            trace: self.trace.unwrap_or_default(),
            plan: self.plan,
        }
    }

    // Happenings.

    fn plan_at(&mut self, at: Instant, happening: Happening) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order)));
        self.happenings.insert(self.order, happening);
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:>10.3} {}", self.now.0 as f64 / 1e6, line());
        self.digest = Digest::of_parts(&[&self.digest.0, line.as_bytes()]);
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story.push_back(line.clone());
        if let Some(trace) = &mut self.trace {
            trace.push(line);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { from, to, message } => self.arrives(from, to, message),
            Happening::Asks { client, to, message } => self.asks(client, to, message),
            Happening::Answers { from, client, message } => {
                let now = self.now;
                // What a session doesn't take has no effect.
                let _ = self.clients[client].session.on_message(now, from, message);
                self.after_client(client);
            }
            Happening::Wakes { id } => self.wakes(id),
            Happening::ClientWakes { client } => {
                let now = self.now;
                self.clients[client].session.on_tick(now);
                self.maybe_ask(client);
                self.after_client(client);
            }
            Happening::Synced { id, life } => self.synced(id, life),
            Happening::Saved { id, life, save } => {
                if self.node(id).life == life {
                    let (seq, digest) = (save.seq, save.digest);
                    self.node_mut(id).disk.save(save);
                    self.input(id, Input::Saved(seq, digest));
                }
            }
            Happening::Befalls { calamity } => {
                if !self.healed {
                    self.befalls(calamity);
                }
            }
            Happening::Heals => self.heal(),
        }
    }

    fn node(&self, id: ReplicaId) -> &Node {
        &self.nodes[usize::from(id.0)]
    }

    fn node_mut(&mut self, id: ReplicaId) -> &mut Node {
        &mut self.nodes[usize::from(id.0)]
    }

    // Replicas.

    fn start(&mut self, id: ReplicaId, disk_was_lost: bool) {
        let nonce = Nonce(self.random.any());
        let now = self.now_of(id);
        let verifier = self.verifier.clone();
        let genesis = Arc::clone(&self.genesis);
        let settings = self.plan.settings;
        let signer = Box::new(ModelSigner(genesis.replicas[usize::from(id.0)]));
        let node = self.node_mut(id);
        node.life += 1;
        node.unsynced.clear();
        node.syncing = None;
        node.wakes_at = Instant(u64::MAX);
        let records = node.disk.log.iter().map(|record| {
            Recalled::verify(&verifier, record.clone()).expect("a replica's own log verifies")
        });
        let records = records.collect();
        let states = node.disk.states.clone();
        let parts = node.disk.parts.clone();
        let executed = states.keys().next_back().copied().unwrap_or_default();
        let recovered = Recovered { records, states, parts };
        let service = Arc::new(KeyValue);
        let origin = Origin { id, genesis, settings, signer, service, nonce, disk_was_lost };
        let (replica, effects) =
            Replica::start(now, origin, recovered).expect("a replica starts from its own disk");
        self.node_mut(id).replica = Some(replica);
        self.checker.restarted(id, executed);
        self.tell(|| format!("{id:?} starts{}", if disk_was_lost { " to recover" } else { "" }));
        self.carry_out(id, effects);
    }

    fn crash(&mut self, id: ReplicaId) {
        let surviving = usize::try_from(self.random.below(4)).unwrap_or(0);
        let node = self.node_mut(id);
        if node.replica.take().is_none() {
            return;
        }
        node.life += 1;
        node.disk.crash(surviving);
        node.unsynced.clear();
        node.syncing = None;
        self.tell(|| format!("{id:?} crashes"));
    }

    fn now_of(&self, id: ReplicaId) -> Now {
        let wall = DAWN + self.now.0;
        let offset = self.nodes.get(usize::from(id.0)).map_or(0, |node| node.clock_offset);
        Now { instant: self.now, wall: Timestamp(wall.saturating_add_signed(offset)) }
    }

    fn input(&mut self, id: ReplicaId, input: Input) {
        let now = self.now_of(id);
        let node = self.node_mut(id);
        let Some(replica) = &mut node.replica else { return };
        let effects = replica.handle(now, input);
        self.carry_out(id, effects);
    }

    fn carry_out(&mut self, id: ReplicaId, effects: Effects) {
        let parts = effects.into_parts();
        for notice in &parts.notices {
            self.note(id, notice);
        }
        let node = self.node_mut(id);
        if let Some(compaction) = parts.compaction {
            node.disk.compact(compaction);
        }
        node.disk.append(parts.records);
        node.disk.parts.extend(parts.parts.into_iter().map(|(_, path, part)| (path, part)));
        let (needs, life, slow) = (node.disk.log.len(), node.life, node.slow_disk);
        if !parts.bound.is_empty() {
            node.unsynced.push_back((needs, parts.bound));
            self.begin_sync(id);
        }
        for outgoing in parts.free {
            self.send(id, outgoing);
        }
        for save in parts.saves {
            let delay = if slow { 200_000 } else { 20_000 };
            let at = self.now.plus(Span(self.random.between(100, delay)));
            self.plan_at(at, Happening::Saved { id, life, save });
        }
        if let Some(replica) = &self.nodes[usize::from(id.0)].replica {
            let wakes_at = replica.next_deadline().max(Instant(self.now.0 + 1));
            self.checker.look(id, replica);
            let planned = self.node(id).wakes_at;
            if wakes_at < planned || planned <= self.now {
                self.node_mut(id).wakes_at = wakes_at;
                self.plan_at(wakes_at, Happening::Wakes { id });
            }
        }
    }

    fn note(&mut self, id: ReplicaId, notice: &Notice) {
        self.checker.notice(id, notice);
        let honest = self.node(id).liar.is_none();
        match notice {
            Notice::Rejected(_, reject) if honest => {
                self.coverage.count(&format!("reject {reject:?}"));
            }
            Notice::Rejected(..) | Notice::StartAnswers(..) | Notice::Decided(..) => {}
            other => {
                let kind = format!("{other:?}");
                let kind = kind.split(['(', ' ']).next().unwrap_or("").to_string();
                let kind = match other {
                    Notice::Suspects(_, why) => format!("suspects {why:?}"),
                    Notice::Evidence(_) => "evidence".to_string(),
                    _ => kind,
                };
                self.coverage.count(&format!("event {kind}"));
                if let Notice::Evidence(evidence) = other {
                    let accused = evidence.accused();
                    self.tell(|| format!("{id:?} has evidence against {accused:?}"));
                } else {
                    let what = format!("{other:?}");
                    self.tell(|| format!("{id:?} {what}"));
                }
            }
        }
    }

    fn begin_sync(&mut self, id: ReplicaId) {
        let delay = match self.node(id).slow_disk {
            true => self.random.between(5_000, 40_000),
            false => self.random.between(50, 2_000),
        };
        let at = self.now.plus(Span(delay));
        let node = self.node_mut(id);
        if node.syncing.is_some() || node.unsynced.is_empty() {
            return;
        }
        node.syncing = Some(node.disk.log.len());
        let life = node.life;
        self.plan_at(at, Happening::Synced { id, life });
    }

    fn synced(&mut self, id: ReplicaId, life: u64) {
        let node = self.node_mut(id);
        if node.life != life {
            return;
        }
        let Some(up_to) = node.syncing.take() else { return };
        node.disk.sync(up_to);
        let durable = Durable::after_sync();
        let mut released = Vec::new();
        // A compaction may have shortened the log since: then all of it is durable.
        let length = node.disk.log.len();
        while let Some((needs, _)) = node.unsynced.front() {
            if *needs > up_to && *needs <= length && node.disk.durable < *needs {
                break;
            }
            if let Some((_, bound)) = node.unsynced.pop_front() {
                released.extend(bound.release(&durable));
            }
        }
        for outgoing in released {
            self.send(id, outgoing);
        }
        self.begin_sync(id);
    }

    fn wakes(&mut self, id: ReplicaId) {
        let paused = self.node(id).paused_until;
        if paused > self.now {
            self.node_mut(id).wakes_at = paused;
            self.plan_at(paused, Happening::Wakes { id });
            return;
        }
        let due = self.node(id).replica.as_ref().map(Replica::next_deadline);
        self.node_mut(id).wakes_at = Instant(u64::MAX);
        match due {
            Some(due) if due <= self.now => self.input(id, Input::Tick),
            Some(due) => {
                self.node_mut(id).wakes_at = due;
                self.plan_at(due, Happening::Wakes { id });
            }
            None => {}
        }
    }

    // The network.

    fn send(&mut self, from: ReplicaId, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Peer(to, message) => {
                let everyone = (0..self.plan.replicas).map(ReplicaId).filter(|to| *to != from);
                let recipients: Vec<ReplicaId> = match to {
                    To::Everyone => everyone.collect(),
                    To::Peer(one) => vec![one],
                };
                for to in recipients {
                    self.send_one(from, to, (*message).clone());
                }
            }
            Outgoing::Client(client, message) => self.send_client(from, client, message),
        }
    }

    fn send_one(&mut self, from: ReplicaId, to: ReplicaId, message: PeerMessage) {
        self.checker.sends(from, &message);
        let told = match &mut self.node_mut(from).liar {
            None => vec![message],
            Some((liar, behaviour)) => {
                liar.remember(&message);
                behaviour.tell(liar, to, message)
            }
        };
        for message in told {
            self.checker_learns(&message);
            self.fly(from, to, message);
        }
    }

    /// Bodies that only a liar proposed are known to the checker too.
    fn checker_learns(&mut self, message: &PeerMessage) {
        if let PeerMessage::Decided(certificate, _) = message {
            self.checker.certificate(certificate.seq(), certificate.commits().len());
        }
    }

    fn fly(&mut self, from: ReplicaId, to: ReplicaId, message: PeerMessage) {
        let apart = self.island.contains(&from) != self.island.contains(&to);
        if apart || self.cut.contains(&(from, to)) || self.random.in_thousand(self.weather.lost) {
            return;
        }
        let copies = 1 + u64::from(self.random.in_thousand(self.weather.doubled));
        for _ in 0..copies {
            let at = self.arrival();
            self.plan_at(at, Happening::Arrives { from, to, message: message.clone() });
        }
        if self.random.in_thousand(self.weather.replayed) {
            let at = self.now.plus(Span::milliseconds(self.random.between(500, 5_000)));
            self.coverage.count("fault replayed message");
            self.plan_at(at, Happening::Arrives { from, to, message });
        }
    }

    fn arrival(&mut self) -> Instant {
        let delay = Span(self.random.between(100, self.weather.most_delay.0.max(101)));
        self.now.plus(delay).max(self.dam_until)
    }

    fn arrives(&mut self, from: ReplicaId, to: ReplicaId, message: PeerMessage) {
        if self.node(to).paused_until > self.now {
            let at = self.node(to).paused_until;
            self.plan_at(at, Happening::Arrives { from, to, message });
            return;
        }
        if self.node(to).replica.is_none() {
            return;
        }
        self.messages += 1;
        match self.verifier.peer(message) {
            Ok(message) => self.input(to, Input::Peer { from, message: Box::new(message) }),
            Err(reject) => self.note(to, &Notice::Rejected(Some(from), reject)),
        }
    }

    // Clients.

    fn asks(&mut self, client: usize, to: ReplicaId, message: ClientMessage) {
        if self.node(to).replica.is_none() || self.node(to).paused_until > self.now {
            return;
        }
        self.messages += 1;
        let from = ClientId(u32::try_from(client).unwrap_or(0));
        match self.verifier.client(message) {
            Ok(message) => self.input(to, Input::Client { from, message }),
            Err(reject) => self.note(to, &Notice::Rejected(None, reject)),
        }
    }

    fn send_client(&mut self, from: ReplicaId, to: ClientId, message: ToClient) {
        let told = match &mut self.node_mut(from).liar {
            None => vec![message],
            Some((liar, behaviour)) => behaviour.tell_client(liar, to, message),
        };
        let client = usize::try_from(to.0).unwrap_or(0);
        for message in told {
            if client < self.clients.len() && !self.random.in_thousand(self.weather.lost) {
                let at = self.arrival();
                self.plan_at(at, Happening::Answers { from, client, message });
            }
        }
    }

    /// A client with nothing on its way asks for something more.
    fn maybe_ask(&mut self, index: usize) {
        let keys = self.plan.keys;
        let now = self.now;
        let client = &mut self.clients[index];
        if client.left == 0 || client.pending.len() >= 3 {
            return;
        }
        let key = Blob::from(format!("key{}", client.random.below(keys)).as_str());
        let value = Blob::from(format!("c{index} {}", client.left).as_str());
        let get = KvOperation::Get { key: key.clone() };
        let (operation, action) = match client.random.below(6) {
            0 | 1 => {
                (KvOperation::Put { key: key.clone(), value: value.clone() }, Action::Put(value))
            }
            2 => (KvOperation::Delete { key: key.clone() }, Action::Delete),
            3 => {
                let other = client.left + 1 + client.random.below(3);
                let expected = client
                    .random
                    .in_thousand(500)
                    .then(|| Blob::from(format!("c{index} {other}").as_str()));
                let action = Action::CompareAndSet(expected.clone(), value.clone(), None);
                (KvOperation::CompareAndSet { key: key.clone(), expected, value }, action)
            }
            _ => (get.clone(), Action::Get(None)),
        };
        let bytes = Blob::from(operation.to_bytes());
        let quorum_read = operation == get && client.random.in_thousand(700);
        let asked = match quorum_read {
            true => client.session.read(now, bytes.clone()),
            false => client.session.submit(now, vec![bytes.clone()]),
        };
        if let Ok(ticket) = asked {
            client.left -= 1;
            client.pending.insert(ticket, (key, action, now));
        }
        let pause = Span::milliseconds(client.random.below(300));
        self.plan_at(now.plus(pause), Happening::ClientWakes { client: index });
    }

    fn after_client(&mut self, index: usize) {
        let now = self.now;
        let outcomes = self.clients[index].session.take_outcomes();
        let had_some = !outcomes.is_empty();
        for (ticket, outcome) in outcomes {
            self.learn_outcome(index, ticket, outcome);
        }
        let id = ClientId(u32::try_from(index).unwrap_or(0));
        for (to, message) in self.clients[index].session.take_outgoing() {
            if let ClientMessage::Request(request) = &message {
                let body = &request.body;
                self.checker.client_asks(id, body.first.0, body.operations.0.clone());
            }
            let recipients: Vec<ReplicaId> = match to {
                ToReplica::One(one) => vec![one],
                ToReplica::All => (0..self.plan.replicas).map(ReplicaId).collect(),
            };
            for to in recipients {
                if !self.random.in_thousand(self.weather.lost) {
                    let at = self.arrival();
                    self.plan_at(
                        at,
                        Happening::Asks { client: index, to, message: message.clone() },
                    );
                }
            }
        }
        if had_some && self.clients[index].left > 0 {
            self.plan_at(now.plus(Span(1_000)), Happening::ClientWakes { client: index });
        }
        if let Some(due) = self.clients[index].session.next_deadline() {
            let due = due.max(Instant(now.0 + 1));
            let client = &mut self.clients[index];
            if due < client.wakes_at || client.wakes_at <= now {
                client.wakes_at = due;
                self.plan_at(due, Happening::ClientWakes { client: index });
            }
        }
    }

    fn learn_outcome(&mut self, index: usize, ticket: Ticket, outcome: Outcome) {
        let Some((key, action, asked)) = self.clients[index].pending.remove(&ticket) else {
            return;
        };
        let result = match outcome {
            Outcome::Done(done) => done.into_iter().next().map(|done| done.result),
            Outcome::Read(answer) => {
                let how = match answer.how {
                    HowRead::Quorum { .. } => "read by quorum",
                    HowRead::Ordered { .. } => "read ordered",
                    HowRead::Proved(_) => "read proved",
                };
                self.coverage.count(how);
                Some(answer.result)
            }
            other => {
                self.checker.client_fooled(format!("c{index} {ticket:?} got {other:?}"));
                None
            }
        };
        let seen = result.and_then(|bytes| KvResult::from_bytes(&bytes).ok());
        let action = match (action, seen) {
            (Action::Get(_), Some(KvResult::Got { found })) => {
                Action::Get(Some(found.map(|found| found.value)))
            }
            (Action::CompareAndSet(expected, value, _), Some(KvResult::Set { .. })) => {
                Action::CompareAndSet(expected, value, Some(true))
            }
            (Action::CompareAndSet(expected, value, _), Some(KvResult::Mismatch { .. })) => {
                Action::CompareAndSet(expected, value, Some(false))
            }
            (put @ Action::Put(_), Some(KvResult::Put { .. })) => put,
            (Action::Delete, Some(KvResult::Deleted { .. })) => Action::Delete,
            (action, seen) => {
                self.checker
                    .client_fooled(format!("c{index} asked {action:?} and was told {seen:?}"));
                action
            }
        };
        self.clients[index].answered += 1;
        self.tell(|| format!("c{index} learns {action:?} of {key:?}"));
        let event = Event { action, asked, answered: Some(self.now) };
        self.checker.histories.entry(key).or_default().push(event);
    }

    // Calamities.

    fn befalls(&mut self, calamity: Calamity) {
        let name = format!("{calamity:?}");
        let name = name.split('(').next().unwrap_or("").to_string();
        self.coverage.count(&format!("fault {name}"));
        self.tell(|| format!("** {calamity:?}"));
        match calamity {
            Calamity::Crash(id) => self.crash(id),
            Calamity::Restart(id) => {
                if self.node(id).replica.is_none() {
                    self.start(id, false);
                }
            }
            Calamity::Wipe(id) => {
                self.crash(id);
                self.node_mut(id).disk = Disk::default();
                self.checker.forgive(id);
                self.start(id, true);
            }
            Calamity::Pause(id, span) => {
                let until = self.now.plus(span);
                self.node_mut(id).paused_until = until;
            }
            Calamity::Partition(island) => self.island = island.into_iter().collect(),
            Calamity::OneWay(from, to) => {
                self.cut.insert((from, to));
            }
            Calamity::Dam(span) => self.dam_until = self.now.plus(span),
            Calamity::Mend => {
                self.island.clear();
                self.cut.clear();
            }
            Calamity::ClockJump(id, jump) => self.node_mut(id).clock_offset += jump,
            Calamity::SlowDisk(id) => self.node_mut(id).slow_disk = true,
            Calamity::Blackout => {
                for id in (0..self.plan.replicas).map(ReplicaId) {
                    self.crash(id);
                }
                for id in (0..self.plan.replicas).map(ReplicaId) {
                    self.start(id, false);
                }
            }
        }
    }

    fn heal(&mut self) {
        self.healed = true;
        self.weather = CALM;
        self.island.clear();
        self.cut.clear();
        self.tell(|| "** everything heals but the liars".to_string());
        for id in (0..self.plan.replicas).map(ReplicaId) {
            self.node_mut(id).clock_offset = 0;
            self.node_mut(id).slow_disk = false;
            if self.node(id).replica.is_none() {
                self.start(id, false);
            }
        }
    }
}
