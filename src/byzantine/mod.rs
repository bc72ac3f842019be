//! The malicious cast: replicas that lie.
//!
//! A liar is an honest replica whose outgoing messages pass through a [`Behaviour`] on
//! their way out. The behaviour may drop, change, repeat or invent messages, and sign
//! them with that replica's own key; it has no other key, and the core has no hook for
//! it. So whatever a liar can do here, a replica with changed code could do.

mod cast;

pub use cast::cast;

use crate::crypto::{ClusterId, Signer};
use crate::message::{Body, PeerMessage, Signed, ToClient};
use crate::sim::random::Random;
use crate::types::{ClientId, Committee, ReplicaId};

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
}

/// How many of its own messages a liar remembers.
pub const MOST_REMEMBERED: usize = 64;

impl Liar {
    /// Signs whatever it likes, as itself.
    pub fn sign<T: Body>(&self, body: T) -> Signed<T> {
        Signed::sign(body, &self.cluster, self.signer.as_ref())
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
        (other.0 + self.id.0).is_multiple_of(2)
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
