//! A small world for stories: replicas, disks and a network that do what they are told,
//! one step at a time. Everything is real (signatures, encoding, the replica itself)
//! but the wires, the disks and the clock.

#![allow(dead_code)]

use quorate::crypto::{Ed25519, SecretKey};
use quorate::message::{
    CheckedClient, CheckedGenesis, ClientMessage, Genesis, Parameters, PeerMessage, Reject,
    Request, Signed, ToClient, Verifier,
};
use quorate::replica::{
    Durable, Effects, Input, Notice, Now, Origin, Outgoing, Recalled, Record, Recovered, Replica,
    Save, Settings, To,
};
use quorate::service::tree::{Part, Path};
use quorate::service::{Service, Tree, kv::KeyValue};
use quorate::types::{
    ClientId, Digest, Instant, Nonce, ReplicaId, RequestNumber, Seq, Span, Timestamp, View,
};
use quorate::wire::{self, Blob};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Where the wall clock stands when a story begins.
pub const DAWN: Timestamp = Timestamp(1_700_000_000_000_000);

/// One message on its way between replicas.
#[derive(Clone, Debug)]
pub struct Flight {
    pub from: ReplicaId,
    pub to: ReplicaId,
    pub message: PeerMessage,
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
    pub notices: Vec<Notice>,
    /// Added to the world's clocks.
    pub wall_offset: i64,
    /// States are written, but not said to be, while this is set.
    pub holds_saves: bool,
    pub held_saves: Vec<Save>,
    /// What the log may forget stays in it while this is set.
    pub keeps_whole_log: bool,
    starts: u64,
}

/// Whether a link loses a message.
pub type Filter = Box<dyn Fn(&Flight) -> bool>;

/// What becomes of a message on its way.
pub type Alteration = Box<dyn Fn(&mut Flight)>;

pub struct World {
    pub genesis: Arc<CheckedGenesis>,
    pub verifier: Verifier<Ed25519>,
    pub settings: Settings,
    pub service: Arc<dyn Service>,
    pub nodes: Vec<Node>,
    pub network: VecDeque<Flight>,
    pub to_clients: Vec<(ReplicaId, ClientId, ToClient)>,
    /// Links that lose what is sent: by a rule on the flight.
    pub filters: Vec<(String, Filter)>,
    /// Everything on its way is altered so.
    pub alters: Option<Alteration>,
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
    pub fn new(replicas: u16) -> World {
        World::with(replicas, parameters(), Settings::default())
    }

    pub fn with(replicas: u16, parameters: Parameters, settings: Settings) -> World {
        // Every replica's word is to be seen.
        let settings = Settings { eager: u64::MAX, spared_from: usize::MAX, ..settings };
        let genesis = genesis(replicas, 4, parameters).checked().expect("a good genesis");
        let verifier = Verifier::new(Arc::clone(&genesis), Ed25519);
        let mut world = World {
            genesis,
            verifier,
            settings,
            service: Arc::new(KeyValue),
            nodes: Vec::new(),
            network: VecDeque::new(),
            to_clients: Vec::new(),
            filters: Vec::new(),
            alters: None,
            now: Instant(1_000_000),
        };
        for _ in 0..replicas {
            world.nodes.push(Node {
                replica: None,
                disk: Disk::default(),
                notices: Vec::new(),
                wall_offset: 0,
                holds_saves: false,
                held_saves: Vec::new(),
                keeps_whole_log: false,
                starts: 0,
            });
        }
        for id in 0..replicas {
            world.start(ReplicaId(id), false);
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

    pub fn replica(&self, id: u16) -> &Replica {
        self.nodes[usize::from(id)].replica.as_ref().expect("it runs")
    }

    pub fn ids(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        (0..self.nodes.len() as u16).map(ReplicaId)
    }

    /// Starts a replica from its disk.
    pub fn start(&mut self, id: ReplicaId, disk_was_lost: bool) {
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
        let (replica, effects) = Replica::start(now, origin, recovered).expect("it starts");
        self.node_mut(id).replica = Some(replica);
        self.carry_out(id, effects);
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
        node.notices.extend(parts.notices);
        if let Some(compaction) = parts.compaction.filter(|_| !node.keeps_whole_log) {
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
                    self.network.push_back(Flight { from, to, message: (*message).clone() });
                }
            }
            Outgoing::Peer(To::Peer(to), message) => {
                self.network.push_back(Flight { from, to, message: *message });
            }
            Outgoing::Client(client, message) => self.to_clients.push((from, client, message)),
            Outgoing::Reserved(view, up_to) => self.input(from, Input::Reserved(view, up_to)),
        }
    }

    /// Delivers one message: over the wire's encoding, through the verifier.
    pub fn deliver(&mut self, mut flight: Flight) {
        if let Some(alter) = &self.alters {
            alter(&mut flight);
        }
        if self.filters.iter().any(|(_, loses)| loses(&flight)) {
            return;
        }
        self.deliver_certainly(flight);
    }

    pub fn deliver_certainly(&mut self, flight: Flight) {
        let Flight { from, to, message } = flight;
        let bytes = wire::encode(&message);
        match self.verifier.peer_bytes(&bytes) {
            Ok(message) => {
                self.input(to, Input::Peer { from, message: Box::new(message) });
            }
            Err(reject) => {
                self.node_mut(to).notices.push(Notice::Rejected(Some(from), reject));
            }
        }
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

    pub fn submit(&mut self, request: &Signed<Request>, to: ReplicaId) {
        let checked = self.verifier.client(ClientMessage::Request(request.clone()));
        match checked {
            Ok(message) => self.client_input(request.body.client, to, message),
            Err(reject) => self.node_mut(to).notices.push(Notice::Rejected(None, reject)),
        }
    }

    pub fn client_input(&mut self, from: ClientId, to: ReplicaId, message: CheckedClient) {
        self.input(to, Input::Client { from, message });
    }

    /// What replicas told a client about a number.
    pub fn replies(&self, client: u32, number: u64) -> Vec<(ReplicaId, &ToClient)> {
        self.to_clients
            .iter()
            .filter(|(_, to, message)| {
                *to == ClientId(client)
                    && matches!(message, ToClient::Reply(reply) if reply.number.0 == number)
            })
            .map(|(from, _, message)| (*from, message))
            .collect()
    }

    pub fn executed(&self) -> Vec<u64> {
        self.nodes
            .iter()
            .map(|node| node.replica.as_ref().map_or(0, |replica| replica.executed().0))
            .collect()
    }

    pub fn digests(&self) -> Vec<Option<Digest>> {
        self.nodes
            .iter()
            .map(|node| node.replica.as_ref().map(|replica| replica.state().digest()))
            .collect()
    }

    pub fn views(&self) -> Vec<View> {
        self.nodes.iter().filter_map(|node| node.replica.as_ref().map(Replica::view)).collect()
    }

    pub fn rejects(&self, id: u16) -> Vec<Reject> {
        self.nodes[usize::from(id)]
            .notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Rejected(_, reject) => Some(*reject),
                _ => None,
            })
            .collect()
    }
}
