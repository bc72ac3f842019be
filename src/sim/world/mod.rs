//! One simulated cluster: the very replicas, services and client sessions of the real
//! node, on a network, disks and clocks that one seed drives.
//!
//! | file | what it plays |
//! | --- | --- |
//! | `replicas` | the processes: starting, stopping, and doing what a replica wants done |
//! | `disks` | syncing, saving, cleaning up |
//! | `network` | what is lost, doubled, held up, delivered |
//! | `clients`, `hostile` | who asks, honestly or not |
//! | `calamities` | what befalls, and the healing |
//! | `operator` | who starts again what has stopped |
//! | `verdict` | whether all came to rest as it should |

mod calamities;
mod clients;
mod disks;
mod hostile;
mod network;
mod operator;
mod replicas;
mod verdict;

use self::clients::Client;
use self::hostile::Hostile;
use self::network::{Flight, Links};
use self::replicas::Node;
use crate::byzantine::{Conspiracy, Liar, Moods, Role, cast};
use crate::message::{
    CheckedGenesis, ClientMessage, Genesis, Reject, ToClient, Unchecked, Verifier,
};
use crate::replica::Save;
use crate::sim::checker::Checker;
use crate::sim::model::{Signatures, public_keys};
use crate::sim::plan::{Calamity, Plan};
use crate::sim::random::Random;
use crate::sim::{Coverage, Options, Report};
use crate::types::{Digest, Instant, ReplicaId, Span, View};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// A simulated world ends after so many events, whatever happens.
const MOST_STEPS: u64 = 2_000_000;

/// After the healing every honest client must be answered within this,
const GRACE: Span = Span::seconds(150);

/// and the time of so many of the longest delays.
const GRACE_DELAYS: u64 = 1_000;

/// How many of the last events a failure tells.
const STORY: usize = 60;

/// Sets what a run draws apart from what its plan was drawn from.
const RUNNING: u64 = 0x7275_6e6e_696e_6721;

/// Where a process runs. Twins sit in two seats, and are one replica.
type Seat = usize;

/// What is going to happen.
enum Happening {
    Arrives { from: ReplicaId, to: Seat, flight: Rc<Flight> },
    Asks { client: usize, to: Seat, message: Rc<ClientMessage> },
    Answers { from: ReplicaId, client: usize, message: Box<ToClient> },
    Wakes { seat: Seat },
    LiarWakes { seat: Seat },
    ClientWakes { client: usize },
    ClientAsks { client: usize },
    HostileActs { hostile: usize },
    Synced { seat: Seat, life: u64 },
    Written { seat: Seat, life: u64, save: Box<Save> },
    Saved { seat: Seat, life: u64, saved: Box<(crate::types::Seq, Digest)> },
    Reserved { seat: Seat, life: u64, view: View, up_to: crate::types::Seq },
    Checked { seat: Seat, life: u64, batch: Box<Unchecked> },
    Cleans { seat: Seat, life: u64 },
    CarriesOut { seat: Seat, life: u64 },
    Operates { seat: Seat, life: u64, recover: bool },
    HasRoom { seat: Seat },
    Turns { island: u16, every: Span, until: Instant },
    TwinsTurn,
    Befalls { calamity: Box<Calamity> },
    Heals,
}

/// Something at its time; what was planned first happens first.
struct Planned {
    at: Instant,
    order: u64,
    happening: Happening,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest: a heap gives that first.
impl Ord for Planned {
    fn cmp(&self, other: &Planned) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// A simulated cluster and everything around it.
pub struct World {
    plan: Plan,
    genesis: Arc<CheckedGenesis>,
    verifier: Verifier<Signatures>,
    nodes: Vec<Node>,
    clients: Vec<Client>,
    hostile: Vec<Hostile>,
    links: Links,
    queue: BinaryHeap<Planned>,
    order: u64,
    now: Instant,
    healed: bool,
    checker: Checker,
    conspiracy: Arc<Mutex<Conspiracy>>,
    coverage: Coverage,
    rejects: BTreeMap<Reject, u64>,
    messages: u64,
    steps: u64,
    digest: Digest,
    trace: Option<Vec<String>>,
    story: VecDeque<String>,
}

impl World {
    /// The world of a plan.
    pub fn new(plan: Plan, options: &Options) -> World {
        let mut random = Random::new(options.seed ^ RUNNING);
        let genesis = genesis(&plan);
        let unreliable: BTreeSet<ReplicaId> =
            plan.liars.iter().map(|(id, _)| *id).chain(plan.twins).collect();
        let honest = (0..plan.replicas).map(ReplicaId).filter(|id| !unreliable.contains(id));
        let mut world = World {
            verifier: Verifier::new(Arc::clone(&genesis), plan.signatures),
            checker: Checker::new(&genesis, honest.collect(), Box::new(plan.signatures)),
            links: Links::new(random.fork(), &plan),
            conspiracy: Arc::new(Mutex::new(Conspiracy::new(&mut random))),
            nodes: Vec::new(),
            clients: Vec::new(),
            hostile: Vec::new(),
            queue: BinaryHeap::new(),
            order: 0,
            now: Instant(0),
            healed: false,
            coverage: Coverage::default(),
            rejects: BTreeMap::new(),
            messages: 0,
            steps: 0,
            digest: Digest::default(),
            trace: options.trace.then(Vec::new),
            story: VecDeque::new(),
            genesis,
            plan,
        };
        if world.plan.bears_convicts {
            world.checker.bear_convicts();
        }
        world.people(&mut random);
        for (at, calamity) in world.plan.calamities.clone() {
            world.plan_at(at, Happening::Befalls { calamity: Box::new(calamity) });
        }
        world.plan_at(world.plan.healed, Happening::Heals);
        world
    }

    /// Replicas, then clients; each with whims of its own.
    fn people(&mut self, random: &mut Random) {
        self.coverage.count(&format!("signatures {:?}", self.plan.signatures));
        for id in (0..self.plan.replicas).map(ReplicaId) {
            let (liar, own) = (self.liar(id, random.fork()), random.fork());
            self.nodes.push(Node::new(id, liar, own));
        }
        if let Some(id) = self.plan.twins {
            self.coverage.count("behaviour twins");
            self.nodes.push(Node::new(id, None, random.fork()));
            self.plan_at(Instant(0), Happening::TwinsTurn);
        }
        for seat in 0..self.nodes.len() {
            self.start(seat, false);
        }
        for client in 0..self.plan.clients {
            self.add_client(usize::try_from(client).unwrap_or(0), random.fork());
        }
        for (nth, hostility) in self.plan.hostile.clone().into_iter().enumerate() {
            self.coverage.count(&format!("hostile client {hostility:?}"));
            self.add_hostile(nth, hostility, random.fork());
        }
    }

    fn liar(&mut self, id: ReplicaId, whims: Random) -> Option<replicas::Lying> {
        let names: Vec<&str> = self.plan.parts_of(id).collect();
        if names.is_empty() {
            return None;
        }
        let roles: Vec<Role> =
            cast().into_iter().filter(|role| names.contains(&role.name)).collect();
        for role in &roles {
            self.coverage.count(&format!("behaviour {}", role.name));
        }
        let parts = roles.iter().map(|role| (role.play)()).collect();
        let liar = Liar {
            id,
            committee: self.genesis.committee(),
            cluster: self.genesis.cluster(),
            signer: self.plan.signatures.signer(usize::from(id.0)),
            random: whims,
            earlier: Vec::new(),
            conspiracy: Arc::clone(&self.conspiracy),
            now: Instant(0),
            wakes_at: Instant(0),
        };
        let signer = self.plan.signatures.signer(usize::from(id.0));
        liar.conspiracy().join(id, signer);
        Some((liar, Box::new(Moods::new(parts, self.plan.mood))))
    }

    /// Runs until everybody is served, or something is wrong.
    pub fn run(mut self, options: &Options) -> Report {
        let most = options.steps.unwrap_or(MOST_STEPS);
        while self.checker.violation.is_none() && self.steps < most {
            let Some(Planned { at, happening, .. }) = self.queue.pop() else { break };
            self.now = self.now.max(at);
            self.steps += 1;
            self.happen(happening);
            if self.is_over() {
                break;
            }
            if self.healed && self.now > self.plan.healed.plus(self.grace()) {
                let missing = self.describe_missing();
                self.checker.no_progress(missing);
            }
        }
        if options.steps.is_none() && !self.is_over() {
            let missing = self.describe_missing();
            self.checker.no_progress(missing);
        }
        self.finish(options)
    }

    /// How long after the healing all must be answered and settled.
    fn grace(&self) -> Span {
        Span(GRACE.0 + self.plan.calm.most_delay.times(GRACE_DELAYS).0)
    }

    fn plan_at(&mut self, at: Instant, happening: Happening) {
        self.order += 1;
        self.queue.push(Planned { at, order: self.order, happening });
    }

    fn plan_after(&mut self, span: Span, happening: Happening) {
        self.plan_at(self.now.plus(span), happening);
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{:>10.3} {}", self.now.0 as f64 / 1e6, line());
        self.digest = Digest::of_parts(&[&self.digest.0, line.as_bytes()]);
        if let Some(trace) = &mut self.trace {
            trace.push(line.clone());
        }
        if self.story.len() == STORY {
            self.story.pop_front();
        }
        self.story.push_back(line);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives { from, to, flight } => self.arrives(from, to, flight),
            Happening::Asks { client, to, message } => self.asks(client, to, message),
            Happening::Answers { from, client, message } => self.answers(from, client, *message),
            Happening::Wakes { seat } => self.wakes(seat),
            Happening::LiarWakes { seat } => self.liar_wakes(seat),
            Happening::ClientWakes { client } => self.client_wakes(client),
            Happening::ClientAsks { client } => self.client_asks(client),
            Happening::HostileActs { hostile } => self.hostile_acts(hostile),
            Happening::Synced { seat, life } => self.synced(seat, life),
            Happening::Written { seat, life, save } => self.written(seat, life, *save),
            Happening::Saved { seat, life, saved } => self.saved(seat, life, *saved),
            Happening::Reserved { seat, life, view, up_to } => {
                self.reserved(seat, life, view, up_to);
            }
            Happening::Checked { seat, life, batch } => self.checked(seat, life, *batch),
            Happening::Cleans { seat, life } => self.cleans(seat, life),
            Happening::CarriesOut { seat, life } => self.carries_out(seat, life),
            Happening::Operates { seat, life, recover } => self.operates(seat, life, recover),
            Happening::HasRoom { seat } => self.has_room(seat),
            Happening::Turns { island, every, until } => self.turns(island, every, until),
            Happening::TwinsTurn => self.twins_turn(),
            Happening::Befalls { calamity } => {
                if !self.healed {
                    self.befalls(&calamity);
                }
            }
            Happening::Heals => self.heal(),
        }
    }

    /// The replicas, without the second of twins.
    fn replicas(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.plan.replicas).map(ReplicaId)
    }
}

fn genesis(plan: &Plan) -> Arc<CheckedGenesis> {
    let replicas = usize::from(plan.replicas);
    let clients = usize::try_from(plan.clients).unwrap_or(1) + plan.hostile.len();
    let all = public_keys(replicas + clients);
    let genesis = Genesis {
        name: b"simulated".to_vec().into(),
        replicas: all[..replicas].to_vec().into(),
        clients: all[replicas..].to_vec().into(),
        parameters: plan.parameters,
    };
    genesis.checked().expect("plans are sound")
}
