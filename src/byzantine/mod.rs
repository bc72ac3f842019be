//! The malicious cast: replicas that lie.
//!
//! A liar is an honest replica whose outgoing messages pass through a [`Behaviour`] on
//! their way out. The behaviour may drop, change, hold back, repeat or invent messages,
//! and sign them with that replica's own key; the core has no hook for it. So whatever a
//! liar can do here, a replica with changed code could do.
//!
//! Liars of one cluster share a [`Conspiracy`]: their keys, and a plan. What all of them
//! together could do, any one of them can.

mod cast;

pub use cast::{Moods, cast};

use crate::crypto::{ClusterId, Signer};
use crate::message::{Body, CheckedPeer, PeerMessage, Signed, ToClient, Voter};
use crate::random::Random;
use crate::types::{ClientId, Committee, Digest, Instant, ReplicaId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the liars of one cluster share.
#[derive(Default)]
pub struct Conspiracy {
    /// The keys of all of them.
    keys: BTreeMap<ReplicaId, Box<dyn Signer>>,
    /// Which half of the replicas is told which thing.
    salt: u16,
}

impl Conspiracy {
    /// A conspiracy of nobody yet, with a plan drawn by chance.
    pub fn new(random: &mut Random) -> Conspiracy {
        let salt = u16::try_from(random.below(2)).unwrap_or(0);
        Conspiracy { keys: BTreeMap::new(), salt }
    }

    /// One more takes part, with its key.
    pub fn join(&mut self, id: ReplicaId, signer: Box<dyn Signer>) {
        self.keys.insert(id, signer);
    }

    /// All who take part.
    pub fn members(&self) -> impl Iterator<Item = ReplicaId> {
        self.keys.keys().copied()
    }

    /// Whether the other is in the half of the replicas that is told one thing; the
    /// rest is told another.
    pub fn favours(&self, other: ReplicaId) -> bool {
        (other.0 + self.salt).is_multiple_of(2)
    }

    /// The false digest that all of them tell in place of this one.
    pub fn false_digest(&self, digest: Digest) -> Digest {
        Digest::of(&digest.0)
    }
}

/// What a liar knows and can do.
pub struct Liar {
    /// Who it is.
    pub id: ReplicaId,
    /// Who takes part.
    pub committee: Committee,
    /// The cluster, for signing.
    pub cluster: ClusterId,
    /// Its own key.
    pub signer: Box<dyn Signer>,
    /// Its whims.
    pub random: Random,
    /// What it sent earlier, the latest last; at most [`MOST_REMEMBERED`].
    pub earlier: Vec<PeerMessage>,
    /// Who lies with it.
    pub conspiracy: Arc<Mutex<Conspiracy>>,
    /// The time, by its own clock.
    pub now: Instant,
    /// When whoever runs it calls [`Behaviour::on_time`] next.
    pub wakes_at: Instant,
}

/// How many of its own messages a liar remembers.
pub const MOST_REMEMBERED: usize = 64;

impl Liar {
    /// Signs whatever it likes, as itself.
    pub fn sign<T: Body>(&self, body: T) -> Signed<T> {
        Signed::sign(body, &self.cluster, self.signer.as_ref())
    }

    /// Signs in another cluster's name.
    pub fn sign_for_another_cluster<T: Body>(&self, body: T) -> Signed<T> {
        let other = ClusterId(Digest::of(&self.cluster.0.0));
        Signed::sign(body, &other, self.signer.as_ref())
    }

    /// Signs as another liar. None if that one takes no part.
    pub fn sign_as<T: Body>(&self, by: ReplicaId, body: T) -> Option<Signed<T>> {
        if by == self.id {
            return Some(self.sign(body));
        }
        let conspiracy = self.conspiracy();
        let signer = conspiracy.keys.get(&by)?;
        Some(Signed::sign(body, &self.cluster, signer.as_ref()))
    }

    /// The plan that it shares with the others.
    pub fn conspiracy(&self) -> MutexGuard<'_, Conspiracy> {
        self.conspiracy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All who lie, itself among them.
    pub fn conspirators(&self) -> Vec<ReplicaId> {
        let mut all: Vec<ReplicaId> = self.conspiracy().members().collect();
        if !all.contains(&self.id) {
            all.push(self.id);
        }
        all
    }

    /// Remembers what it sends.
    pub fn remember(&mut self, message: &PeerMessage) {
        if self.earlier.len() == MOST_REMEMBERED {
            self.earlier.remove(0);
        }
        self.earlier.push(message.clone());
    }

    /// Whether the other is in the half of the replicas that it tells one thing; the
    /// rest is told another.
    pub fn is_favoured(&self, other: ReplicaId) -> bool {
        self.conspiracy().favours(other)
    }

    /// The one replica that it tells what it keeps from the rest.
    pub fn confidant(&self) -> ReplicaId {
        let size = u16::try_from(self.committee.size()).unwrap_or(u16::MAX);
        ReplicaId((self.id.0 + 1) % size)
    }

    /// Whether a voter is this liar.
    pub fn is_me(&self, by: Voter) -> bool {
        by.replica == self.id
    }
}

/// What a liar's replica hears in place of this. Nobody shows it what it signed before: it
/// would take its own lies for a disk that went back in time, and end before it could tell
/// any others.
pub fn overheard(message: &mut CheckedPeer) {
    if let CheckedPeer::StartAnswer(answer) = message {
        (answer.highest, answer.stable) = (None, None);
        answer.held.clear();
    }
}

/// A way to lie.
pub trait Behaviour: Send {
    /// What goes out to one replica in place of what an honest one would send.
    fn tell(&mut self, liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage>;

    /// What goes out to a client in place of what an honest replica would send.
    fn tell_client(&mut self, _: &mut Liar, _: ClientId, message: ToClient) -> Vec<ToClient> {
        vec![message]
    }

    /// What was held back, and goes out now.
    fn on_time(&mut self, _: &mut Liar, _: Instant) -> Vec<(ReplicaId, PeerMessage)> {
        vec![]
    }

    /// When [`Behaviour::on_time`] is to be called.
    fn next(&self) -> Option<Instant> {
        None
    }
}

/// A behaviour as it is listed.
pub struct Role {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Makes one.
    pub play: fn() -> Box<dyn Behaviour>,
}

/// There is no such behaviour.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no behaviour {name:?}: choose one of {}", names().join(", "))]
pub struct UnknownBehaviour {
    /// What was asked for.
    pub name: String,
}

/// The behaviour of this name.
pub fn role(name: &str) -> Result<Role, UnknownBehaviour> {
    let found = cast().into_iter().find(|role| role.name == name);
    found.ok_or_else(|| UnknownBehaviour { name: name.to_owned() })
}

fn names() -> Vec<&'static str> {
    cast().iter().map(|role| role.name).collect()
}
