//! A way out that lies: for the test cluster, and never for an operator's node.
//!
//! It tells every replica and client what a [`Behaviour`] of the malicious cast makes of
//! what the honest replica behind it says.

use super::outlet::Outlet;
use super::posts::Posts;
use crate::byzantine::{Behaviour, Liar};
use crate::message::{PeerMessage, ToClient};
use crate::replica::To;
use crate::types::{ClientId, Instant, ReplicaId};
use crate::wire;
use bytes::Bytes;

/// See the module's head.
pub struct Lying {
    liar: Liar,
    behaviour: Box<dyn Behaviour>,
}

impl Lying {
    /// This liar, lying so.
    pub fn new(liar: Liar, behaviour: Box<dyn Behaviour>) -> Lying {
        Lying { liar, behaviour }
    }

    fn tell(&mut self, posts: &Posts, to: ReplicaId, message: PeerMessage) {
        self.liar.remember(&message);
        for told in self.behaviour.tell(&mut self.liar, to, message) {
            posts.to_peer(to, Bytes::from(wire::encode(&told)));
        }
    }
}

impl Outlet for Lying {
    fn tell_peers(&mut self, posts: &Posts, to: To, message: PeerMessage) {
        match to {
            To::Peer(peer) => self.tell(posts, peer, message),
            To::Everyone => posts.peers().for_each(|peer| self.tell(posts, peer, message.clone())),
        }
    }

    fn tell_client(&mut self, posts: &Posts, to: ClientId, message: ToClient) {
        for told in self.behaviour.tell_client(&mut self.liar, to, message) {
            posts.to_client(to, Bytes::from(wire::encode(&told)));
        }
    }

    fn next(&self) -> Option<Instant> {
        self.behaviour.next()
    }

    fn on_time(&mut self, posts: &Posts, now: Instant) {
        self.liar.now = now;
        if self.behaviour.next().is_some_and(|due| due <= now) {
            for (to, told) in self.behaviour.on_time(&mut self.liar, now) {
                posts.to_peer(to, Bytes::from(wire::encode(&told)));
            }
        }
    }
}
