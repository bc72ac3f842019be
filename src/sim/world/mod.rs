//! One simulated cluster: the very replicas, services and client sessions of the real
//! node, on a network, disks and clocks that one seed drives.

mod calamities;
mod clients;
mod network;
mod replicas;
mod verdict;

use crate::byzantine::{Behaviour, Liar, cast};
use crate::client::{self, HowRead, Outcome, Session, Ticket, ToReplica};
use crate::crypto::PublicKey;
use crate::message::{CheckedGenesis, ClientMessage, Genesis, PeerMessage, ToClient, Verifier};
use crate::replica::{
    Durable, Effects, Input, Notice, Now, Origin, Outgoing, Recalled, Recovered, Replica, Save,
    Standing, To, Unsynced,
};
use crate::service::kv::{KeyValue, KvOperation, KvResult};
use crate::sim::checker::{Checker, Violation};
use crate::sim::disk::Disk;
use crate::sim::history::{Action, Event};
use crate::sim::model::{Model, ModelSigner};
use crate::sim::plan::{CALM, Calamity, Plan, Weather};
use crate::sim::random::Random;
use crate::sim::{Coverage, Options, Report};
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
    genesis: Arc<CheckedGenesis>,
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
        let genesis = Genesis {
            name: b"simulated".to_vec().into(),
            replicas: all[..replicas].to_vec().into(),
            clients: all[replicas..].to_vec().into(),
            parameters: plan.parameters,
        };
        let genesis = genesis.checked().expect("plans are sound");
        let verifier = Verifier::new(Arc::clone(&genesis), Model);
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
        let session = Session::new(self.now, setup, settings, start, nonce);
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
}
