//! A small world for stories: replicas, disks and a network that do what they are told,
//! one step at a time. Everything is real (signatures, encoding, the replica itself)
//! but the wires, the disks and the clock.

pub mod liar;
pub mod show;
pub mod story;

use quorate::crypto::{Ed25519, SecretKey};
use quorate::message::{
    Batch, CheckedClient, CheckedGenesis, ClientMessage, Genesis, Parameters, PeerMessage, Reject,
    Request, Signed, ToClient, Verifier,
};
use quorate::replica::{
    Durable, Effects, Input, Notice, Now, Origin, Outgoing, Recalled, Record, Recovered, Replica,
    Save, Settings, StartError, To,
};
use quorate::service::tree::{Part, Path};
use quorate::service::{Service, Tree, kv::KeyValue};
use quorate::types::{ClientId, Digest, Instant, Nonce, ReplicaId, Seq, Span, Timestamp};
use quorate::wire;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Where the wall clock stands when a story begins.
pub const DAWN: Timestamp = Timestamp(1_700_000_000_000_000);

/// One message on its way between replicas.
#[derive(Clone, Debug)]
pub struct Flight {
    pub from: ReplicaId,
    pub to: ReplicaId,
    pub message: PeerMessage,
    /// Made up by a story, not sent by the replica itself.
    pub crafted: bool,
}

/// Which messages are meant. What is not said may be anything.
#[derive(Clone, Debug, Default)]
pub struct Pick {
    pub kinds: Vec<String>,
    pub from: Vec<ReplicaId>,
    pub to: Vec<ReplicaId>,
    pub seq: Option<Seq>,
}

impl Pick {
    pub fn fits(&self, flight: &Flight) -> bool {
        let is_among = |list: &[ReplicaId], one| list.is_empty() || list.contains(&one);
        let kind = show::kind(&flight.message);
        (self.kinds.is_empty() || self.kinds.iter().any(|one| one == kind))
            && is_among(&self.from, flight.from)
            && is_among(&self.to, flight.to)
            && self.seq.is_none_or(|seq| show::seq(&flight.message) == Some(seq))
    }
}

/// What the network does to messages when they would arrive.
pub enum Rule {
    /// It loses them.
    Lose(Pick),
    /// It keeps them until it is told to let them go.
    Hold(Pick),
    /// It carries messages only within these groups.
    Cut(Vec<Vec<ReplicaId>>),
}

/// What a replica's disk holds.
#[derive(Clone, Default)]
pub struct Disk {
    pub log: Vec<Record>,
    pub states: BTreeMap<Seq, Tree>,
    pub parts: Vec<(Path, Part)>,
}

impl Disk {
    /// Writes a state. What followed from a wrong one goes.
    fn save(&mut self, save: &Save) {
        drop(self.states.split_off(&save.seq));
        self.states.insert(save.seq, save.tree.clone());
    }
}

/// One replica, running or not.
pub struct Node {
    pub replica: Option<Replica>,
    pub disk: Disk,
    /// Everything that ever happened, over all lives.
    pub past: Vec<Notice>,
    /// How much of that had happened when its disk was lost or put back.
    pub forgot: usize,
    /// Added to the world's clocks.
    pub wall_offset: i64,
    /// States are written, but not said to be, while this is set.
    pub holds_saves: bool,
    pub held_saves: Vec<Save>,
    starts: u64,
}

pub struct World {
    pub genesis: Arc<CheckedGenesis>,
    pub verifier: Verifier<Ed25519>,
    pub settings: Settings,
    pub service: Arc<dyn Service>,
    pub nodes: Vec<Node>,
    pub network: VecDeque<Flight>,
    pub to_clients: Vec<(ReplicaId, ClientId, ToClient)>,
    /// What the network does to messages, and what it holds.
    pub rules: Vec<Rule>,
    pub held: Vec<Flight>,
    /// What liars keep to themselves of what they would send if they were honest.
    pub mutes: Vec<Pick>,
    /// Liars that change the parts of states that they send.
    pub spoilers: BTreeSet<ReplicaId>,
    /// Everything that was ever sent.
    pub history: Vec<Flight>,
    /// What the batches that were ever seen hold.
    pub batches: BTreeMap<Digest, Batch>,
    /// What happened since somebody last looked, in its order.
    pub events: Vec<(ReplicaId, Notice)>,
    pub now: Instant,
}

pub fn replica_key(id: u16) -> SecretKey {
    SecretKey::from_seed(&[id as u8 + 1; 32])
}

pub fn client_key(id: u32) -> SecretKey {
    SecretKey::from_seed(&[id as u8 + 101; 32])
}

pub fn parameters() -> Parameters {
    Parameters { checkpoint_interval: 8, window: 32, ..Parameters::default() }
}

pub fn genesis(replicas: u16, clients: u32, parameters: Parameters) -> Genesis {
    Genesis {
        name: b"a story".to_vec().into(),
        replicas: (0..replicas).map(|id| replica_key(id).public()).collect(),
        clients: (0..clients).map(|id| client_key(id).public()).collect(),
        parameters,
    }
}

impl World {
    /// A cluster of replicas that have just started and may vote.
    pub fn new(replicas: u16, clients: u32, parameters: Parameters, settings: Settings) -> World {
        let genesis = genesis(replicas, clients, parameters).checked().expect("a good genesis");
        let verifier = Verifier::new(Arc::clone(&genesis), Ed25519);
        let mut world = World {
            genesis,
            verifier,
            settings,
            service: Arc::new(KeyValue),
            nodes: Vec::new(),
            network: VecDeque::new(),
            to_clients: Vec::new(),
            rules: Vec::new(),
            held: Vec::new(),
            mutes: Vec::new(),
            spoilers: BTreeSet::new(),
            history: Vec::new(),
            batches: BTreeMap::new(),
            events: Vec::new(),
            now: Instant(1_000_000),
        };
        for _ in 0..replicas {
            world.nodes.push(Node {
                replica: None,
                disk: Disk::default(),
                past: Vec::new(),
                forgot: 0,
                wall_offset: 0,
                holds_saves: false,
                held_saves: Vec::new(),
                starts: 0,
            });
        }
        for id in 0..replicas {
            world.start(ReplicaId(id), false).expect("a new replica starts");
        }
        world.deliver_all();
        world
    }

    pub fn now_at(&self, id: ReplicaId) -> Now {
        let wall = DAWN.0 + self.now.0;
        let wall = wall.saturating_add_signed(self.node(id).wall_offset);
        Now { instant: self.now, wall: Timestamp(wall) }
    }

    pub fn node(&self, id: ReplicaId) -> &Node {
        &self.nodes[usize::from(id.0)]
    }

    pub fn node_mut(&mut self, id: ReplicaId) -> &mut Node {
        &mut self.nodes[usize::from(id.0)]
    }

    pub fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.nodes.len() as u16).map(ReplicaId)
    }

    /// Starts a replica from its disk.
    pub fn start(&mut self, id: ReplicaId, disk_was_lost: bool) -> Result<(), StartError> {
        let now = self.now_at(id);
        let verifier = self.verifier.clone();
        let (genesis, settings) = (Arc::clone(&self.genesis), self.settings);
        let service = Arc::clone(&self.service);
        let node = self.node_mut(id);
        node.starts += 1;
        let nonce = Nonce(u64::from(id.0) << 32 | node.starts);
        let records = node
            .disk
            .log
            .iter()
            .map(|record| Recalled::verify(&verifier, record.clone()).expect("its own log"))
            .collect();
        let states = node.disk.states.clone();
        let recovered = Recovered { records, states, parts: node.disk.parts.clone() };
        let signer = Box::new(replica_key(id.0));
        let origin = Origin { id, genesis, settings, signer, service, nonce, disk_was_lost };
        let (replica, effects) = Replica::start(now, origin, recovered)?;
        self.node_mut(id).replica = Some(replica);
        self.carry_out(id, effects);
        Ok(())
    }

    /// Stops a replica at once. Its disk stays.
    pub fn crash(&mut self, id: ReplicaId) {
        let node = self.node_mut(id);
        node.replica = None;
        node.held_saves.clear();
    }

    /// Hands an input to a replica and carries out what it answers.
    pub fn input(&mut self, id: ReplicaId, input: Input) {
        let (now, verifier) = (self.now_at(id), self.verifier.clone());
        let Some(replica) = self.node_mut(id).replica.as_mut() else { return };
        let effects = replica.handle_checking(now, input, &verifier);
        self.carry_out(id, effects);
    }

    /// Writes, syncs, sends: in this order.
    fn carry_out(&mut self, id: ReplicaId, effects: Effects) {
        let parts = effects.into_parts();
        let node = self.node_mut(id);
        node.past.extend(parts.notices.iter().cloned());
        self.events.extend(parts.notices.into_iter().map(|notice| (id, notice)));
        let node = self.node_mut(id);
        if let Some(compaction) = parts.compaction {
            let below = compaction.below;
            let mut log = compaction.head;
            log.extend(
                node.disk
                    .log
                    .drain(..)
                    .filter(|record| record.seq().is_some_and(|seq| seq > below)),
            );
            node.disk.log = log;
            node.disk.states = node.disk.states.split_off(&below);
            node.disk.parts.clear();
        }
        node.disk.log.extend(parts.records);
        node.disk.parts.extend(parts.parts.into_iter().map(|(_, path, part)| (path, part)));
        let bound = parts.bound.release(&Durable::after_sync());
        for outgoing in parts.free.into_iter().chain(bound) {
            self.send(id, outgoing);
        }
        for save in parts.saves {
            if self.node(id).holds_saves {
                self.node_mut(id).held_saves.push(save);
            } else {
                self.node_mut(id).disk.save(&save);
                self.input(id, Input::Saved(save.seq, save.digest));
            }
        }
    }

    pub fn release_saves(&mut self, id: ReplicaId) {
        self.node_mut(id).holds_saves = false;
        for save in std::mem::take(&mut self.node_mut(id).held_saves) {
            self.node_mut(id).disk.save(&save);
            self.input(id, Input::Saved(save.seq, save.digest));
        }
    }

    fn send(&mut self, from: ReplicaId, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Peer(To::Everyone, message) => {
                for to in self.ids().filter(|to| *to != from) {
                    self.launch(Flight { from, to, message: (*message).clone(), crafted: false });
                }
            }
            Outgoing::Peer(To::Peer(to), message) => {
                self.launch(Flight { from, to, message: *message, crafted: false });
            }
            Outgoing::Client(client, message) => self.to_clients.push((from, client, message)),
            Outgoing::Reserved(view, up_to) => self.input(from, Input::Reserved(view, up_to)),
        }
    }

    /// Puts a message on its way.
    pub fn launch(&mut self, mut flight: Flight) {
        if !flight.crafted && self.mutes.iter().any(|mute| mute.fits(&flight)) {
            return;
        }
        if self.spoilers.contains(&flight.from) {
            liar::spoil(&mut flight.message);
        }
        if let Some(batch) = show::batches(&flight.message) {
            self.batches.insert(batch.digest(), batch.clone());
        }
        self.history.push(flight.clone());
        self.network.push_back(flight);
    }

    /// Delivers one message, if the network's rules let it through.
    pub fn deliver(&mut self, flight: Flight) {
        let mut rules = self.rules.iter();
        let rule = rules.find(|rule| match rule {
            Rule::Lose(pick) | Rule::Hold(pick) => pick.fits(&flight),
            Rule::Cut(groups) => !groups
                .iter()
                .any(|group| group.contains(&flight.from) && group.contains(&flight.to)),
        });
        match rule {
            None => self.deliver_certainly(flight),
            Some(Rule::Hold(_)) => self.held.push(flight),
            Some(Rule::Lose(_) | Rule::Cut(_)) => {}
        }
    }

    /// Over the wire's encoding, through the verifier.
    pub fn deliver_certainly(&mut self, flight: Flight) {
        let Flight { from, to, message, .. } = flight;
        if self.node(to).replica.is_none() {
            return;
        }
        let bytes = wire::encode(&message);
        match self.verifier.peer_bytes(&bytes) {
            Ok(message) => {
                self.input(to, Input::Peer { from, message: Box::new(message) });
            }
            Err(reject) => {
                self.reject(to, Some(from), reject);
            }
        }
    }

    fn reject(&mut self, by: ReplicaId, from: Option<ReplicaId>, reject: Reject) {
        let notice = Notice::Rejected(from, reject);
        self.node_mut(by).past.push(notice.clone());
        self.events.push((by, notice));
    }

    /// Delivers everything that is on its way, and what comes of it.
    pub fn deliver_all(&mut self) {
        let mut steps = 0;
        while let Some(flight) = self.network.pop_front() {
            self.deliver(flight);
            steps += 1;
            assert!(steps < 200_000, "the network never falls silent");
        }
    }

    /// Lets time pass, with every deadline on the way, delivering everything.
    pub fn pass(&mut self, span: Span) {
        let end = self.now.plus(span);
        self.deliver_all();
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < 20_000, "some deadline is due and stays due");
            let next = self.nodes.iter().filter_map(|node| node.replica.as_ref());
            let next = next.map(Replica::next_deadline).min().unwrap_or(end);
            if next > end {
                break;
            }
            // A deadline that is due and stays due would stop the clock.
            self.now = Instant(next.0.max(self.now.0 + 1));
            for id in self.ids() {
                let due = self.node(id).replica.as_ref().map(Replica::next_deadline);
                if due.is_some_and(|due| due <= self.now) {
                    self.input(id, Input::Tick);
                }
            }
            self.deliver_all();
        }
        self.now = end.max(self.now);
    }

    // Clients, as simple as can be.

    pub fn submit(&mut self, request: &Signed<Request>, to: ReplicaId) {
        let checked = self.verifier.client(ClientMessage::Request(request.clone()));
        match checked {
            Ok(message) => self.client_input(request.body.client, to, message),
            Err(reject) => self.reject(to, None, reject),
        }
    }

    pub fn client_input(&mut self, from: ClientId, to: ReplicaId, message: CheckedClient) {
        self.input(to, Input::Client { from, message });
    }
}
