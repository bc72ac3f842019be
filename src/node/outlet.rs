//! The way out: what the replica says, encoded once and put where it waits to be sent.
//!
//! An honest node says to everybody what its replica says. An [`Outlet`] is a trait only so
//! that the test cluster can have nodes that lie; nothing that an operator writes into a
//! file or on a command line chooses another than [`Honest`].

use super::posts::Posts;
use crate::message::{CheckedPeer, PeerMessage, ToClient};
use crate::replica::To;
use crate::types::{ClientId, Instant};
use crate::wire;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Between the replica and the connections.
pub trait Outlet: Send {
    /// Says something to replicas.
    fn tell_peers(&mut self, posts: &Posts, to: To, message: PeerMessage);

    /// Says something to a client.
    fn tell_client(&mut self, posts: &Posts, to: ClientId, message: ToClient);

    /// Changes what the replica is about to hear of another; an honest one never does.
    fn hear(&mut self, _message: &mut CheckedPeer) {}

    /// When [`Outlet::on_time`] has something to say though the replica has not; an honest
    /// one never has.
    fn next(&self) -> Option<Instant> {
        None
    }

    /// Says what it is time for. Called in every step, so that it knows the time.
    fn on_time(&mut self, _posts: &Posts, _now: Instant) {}

    /// What it says of itself if it is not honest.
    fn confession(&self) -> Option<Confession> {
        None
    }
}

/// What an outlet that lies says of itself, to operators.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Confession {
    /// The name of what it does.
    pub behaviour: String,
    /// How often it said something else than its replica.
    pub count: u64,
    /// The latest of what it said so, in words.
    pub lies: Vec<String>,
}

/// Passes on what it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Outlet for Honest {
    fn tell_peers(&mut self, posts: &Posts, to: To, message: PeerMessage) {
        let frame = Bytes::from(wire::encode(&message));
        match to {
            To::Everyone => posts.to_everyone(&frame),
            To::Peer(peer) => posts.to_peer(peer, frame),
        }
    }

    fn tell_client(&mut self, posts: &Posts, to: ClientId, message: ToClient) {
        if posts.has_client(to) {
            posts.to_client(to, Bytes::from(wire::encode(&message)));
        }
    }
}
