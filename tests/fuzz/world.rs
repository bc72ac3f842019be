//! Four replicas in memory, one of which says what the fuzzer likes, and two clients, one
//! of which does. Signatures are modelled, and those of the two liars are whatever they
//! say; nobody can forge another's.

use quorate::crypto::{Check, Scheme};
use quorate::message::{
    CheckedGenesis, ClientMessage, Genesis, Parameters, PeerMessage, Request, Signed, ToClient,
    Verifier,
};
use quorate::replica::{
    Durable, Effects, Input, Now, Origin, Outgoing, Recovered, Replica, Settings, To,
};
use quorate::service::kv::{KeyValue, KvOperation};
use quorate::sim::model::{Model, ModelSigner, public_keys};
use quorate::types::{ClientId, Instant, Nonce, ReplicaId, RequestNumber, Span, Timestamp};
use quorate::wire;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const REPLICAS: usize = 4;

/// The replica that lies; it also runs, so that it has something to twist.
const LIAR: ReplicaId = ReplicaId(3);

const HONEST_CLIENT: usize = 4;
const LYING_CLIENT: usize = 5;
const KEYS: usize = 6;

/// The most messages that wait; more are lost.
const MOST_WAITING: usize = 4_096;

/// The most messages of the liar that are kept to be twisted.
const MOST_KEPT: usize = 64;

/// The most commands of one play, and the most deliveries after it.
const MOST_COMMANDS: usize = 2_000;

/// Liars sign as they like; all others are judged.
#[derive(Clone, Copy)]
pub struct Lenient;

impl Scheme for Lenient {
    fn verify(&self, check: &Check) -> bool {
        let keys = public_keys(KEYS);
        check.key == keys[usize::from(LIAR.0)]
            || check.key == keys[LYING_CLIENT]
            || Model.verify(check)
    }
}

/// See the module's head.
pub struct World {
    genesis: Arc<CheckedGenesis>,
    verifier: Verifier<Lenient>,
    replicas: Vec<Replica>,
    now: Instant,
    waiting: VecDeque<(ReplicaId, ReplicaId, PeerMessage)>,
    /// What the liar's own replica would have said.
    kept: Vec<PeerMessage>,
    next_request: u64,
    /// Everything said, for those who look for examples.
    pub said: Vec<PeerMessage>,
    pub answered: Vec<ToClient>,
    pub asked: Vec<ClientMessage>,
}

/// Takes commands out of the fuzzer's bytes.
struct Commands<'a>(&'a [u8]);

impl Commands<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes([self.byte()?, self.byte()?])))
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.number()?.min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(bytes.to_vec())
    }
}

impl World {
    pub fn new() -> World {
        let keys = public_keys(KEYS);
        let parameters = Parameters {
            checkpoint_interval: 4,
            window: 8,
            batch_items: 3,
            batch_bytes: 4_096,
            bundle_operations: 4,
            bundle_bytes: 512,
            client_window: 16,
            recovery_spacing: 1,
            ..Parameters::default()
        };
        let genesis = Genesis {
            name: b"fuzzed".to_vec().into(),
            replicas: keys[..REPLICAS].to_vec().into(),
            clients: keys[REPLICAS..].to_vec().into(),
            parameters,
        };
        let genesis = genesis.checked().expect("a good genesis");
        let verifier = Verifier::new(Arc::clone(&genesis), Lenient);
        let mut world = World {
            genesis,
            verifier,
            replicas: Vec::new(),
            now: Instant(1_000_000),
            waiting: VecDeque::new(),
            kept: Vec::new(),
            next_request: 1,
            said: Vec::new(),
            answered: Vec::new(),
            asked: Vec::new(),
        };
        let first: Vec<Effects> = (0..REPLICAS).map(|id| world.start(id)).collect();
        for (id, effects) in first.into_iter().enumerate() {
            world.carry_out(id, effects);
        }
        world.settle();
        world
    }

    fn start(&mut self, id: usize) -> Effects {
        let origin = Origin {
            id: ReplicaId(u16::try_from(id).expect("few")),
            genesis: Arc::clone(&self.genesis),
            settings: Settings::default(),
            signer: Box::new(ModelSigner(public_keys(KEYS)[id])),
            service: Arc::new(KeyValue),
            nonce: Nonce(id as u64 + 1),
            disk_was_lost: false,
        };
        let nothing = Recovered { records: Vec::new(), states: BTreeMap::new(), parts: Vec::new() };
        let (replica, effects) = Replica::start(self.time(), origin, nothing).expect("it starts");
        self.replicas.push(replica);
        effects
    }

    fn time(&self) -> Now {
        Now { instant: self.now, wall: Timestamp(1_700_000_000_000_000 + self.now.0) }
    }

    fn input(&mut self, id: usize, input: Input) {
        let now = self.time();
        let effects = self.replicas[id].handle_checking(now, input, &self.verifier);
        self.carry_out(id, effects);
    }

    fn carry_out(&mut self, id: usize, effects: Effects) {
        let parts = effects.into_parts();
        let bound = parts.bound.release(&Durable::after_sync());
        for outgoing in parts.free.into_iter().chain(bound) {
            match outgoing {
                Outgoing::Client(_, message) => self.answered.push(message),
                Outgoing::Peer(to, message) => self.send(id, to, *message),
                Outgoing::Reserved(view, up_to) => self.input(id, Input::Reserved(view, up_to)),
            }
        }
        for save in parts.saves {
            self.input(id, Input::Saved(save.seq, save.digest));
        }
    }

    fn send(&mut self, id: usize, to: To, message: PeerMessage) {
        let from = ReplicaId(u16::try_from(id).expect("few"));
        if from == LIAR {
            if self.kept.len() == MOST_KEPT {
                self.kept.remove(0);
            }
            self.kept.push(message.clone());
        }
        self.said.push(message.clone());
        let others = (0..REPLICAS).map(|id| ReplicaId(id as u16)).filter(|other| *other != from);
        for other in others {
            let is_meant = match to {
                To::Everyone => true,
                To::Peer(peer) => peer == other,
            };
            if is_meant && self.waiting.len() < MOST_WAITING {
                self.waiting.push_back((from, other, message.clone()));
            }
        }
    }

    /// What arrives goes the whole way: encoded, decoded, verified, handled.
    fn arrives(&mut self, from: ReplicaId, to: usize, bytes: &[u8]) {
        if let Ok(message) = self.verifier.peer_bytes(bytes) {
            self.input(to, Input::Peer { from, message: Box::new(message) });
        }
    }

    fn deliver(&mut self) {
        if let Some((from, to, message)) = self.waiting.pop_front() {
            self.arrives(from, usize::from(to.0), &wire::encode(&message));
        }
    }

    fn pass(&mut self, span: Span) {
        self.now = self.now.plus(span);
        for id in 0..REPLICAS {
            if self.replicas[id].next_deadline() <= self.now {
                self.input(id, Input::Tick);
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..MOST_COMMANDS {
            if self.waiting.is_empty() {
                return;
            }
            self.deliver();
        }
    }

    /// The honest client asks all replicas for something.
    fn ask(&mut self, value: u8) {
        let operation = KvOperation::Put {
            key: [value % 4].as_slice().into(),
            value: [value].as_slice().into(),
        };
        let request = Request {
            client: ClientId(0),
            first: RequestNumber(self.next_request),
            acknowledged: RequestNumber(self.next_request - 1),
            operations: vec![operation.to_bytes().into()].into(),
        };
        self.next_request += 1;
        let signer = ModelSigner(public_keys(KEYS)[HONEST_CLIENT]);
        let request = Signed::sign(request, &self.genesis.cluster(), &signer);
        let message = ClientMessage::Request(request);
        let bytes = wire::encode(&message);
        self.asked.push(message);
        (0..REPLICAS).for_each(|id| self.client_says(0, id, &bytes));
    }

    fn client_says(&mut self, client: u32, to: usize, bytes: &[u8]) {
        if let Ok(message) = self.verifier.client_bytes(bytes) {
            self.input(to, Input::Client { from: ClientId(client), message });
        }
    }

    /// One command; none when the bytes are used up.
    fn command(&mut self, commands: &mut Commands<'_>) -> Option<()> {
        match commands.byte()? % 8 {
            0 => self.deliver(),
            1 => self.settle(),
            2 => {
                let tens = u64::from(commands.byte()?);
                self.pass(Span::milliseconds(10 * tens));
            }
            3 => {
                let value = commands.byte()?;
                self.ask(value);
            }
            4 => {
                let to = usize::from(commands.byte()?) % 3;
                let bytes = commands.bytes()?;
                self.arrives(LIAR, to, &bytes);
            }
            5 => {
                // Something it said, with some bytes changed.
                let (to, which) = (usize::from(commands.byte()?) % 3, commands.byte()?);
                if self.kept.is_empty() {
                    return Some(());
                }
                let mut bytes = wire::encode(&self.kept[usize::from(which) % self.kept.len()]);
                for _ in 0..commands.byte()? % 4 {
                    let (at, value) = (commands.number()? % bytes.len(), commands.byte()?);
                    bytes[at] = value;
                }
                self.arrives(LIAR, to, &bytes);
            }
            6 => {
                let to = usize::from(commands.byte()?) % 3;
                let bytes = commands.bytes()?;
                self.client_says(1, to, &bytes);
            }
            _ => {
                // Lost on its way.
                self.waiting.pop_front();
            }
        }
        Some(())
    }

    /// Does what the bytes say.
    pub fn live(&mut self, data: &[u8]) {
        let mut commands = Commands(data);
        for _ in 0..MOST_COMMANDS {
            if self.command(&mut commands).is_none() {
                break;
            }
        }
    }

    /// Does what the bytes say, and looks whether the honest agree.
    pub fn play(mut self, data: &[u8]) {
        self.live(data);
        for _ in 0..4 {
            self.settle();
            self.pass(Span::milliseconds(300));
        }
        let honest = &self.replicas[..3];
        for (one, other) in honest.iter().zip(&honest[1..]) {
            if one.executed() == other.executed() {
                let (one, other) = (one.state().digest(), other.state().digest());
                assert_eq!(one, other, "two states at one number");
            }
        }
    }
}
