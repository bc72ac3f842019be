//! Where messages wait to be sent: an outbox for each peer's link, and one for each client
//! that is connected.

use crate::net::{Link, Outbox, Room};
use crate::types::{ClientId, ReplicaId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See the module's head.
pub struct Posts {
    links: BTreeMap<ReplicaId, Arc<Link>>,
    clients: Mutex<BTreeMap<ClientId, Arc<Outbox>>>,
}

impl Posts {
    /// Posts for these peers, and no client yet.
    pub(super) fn new(peers: impl IntoIterator<Item = ReplicaId>) -> Posts {
        let links = peers.into_iter().map(|peer| (peer, Arc::new(Link::new(peer)))).collect();
        Posts { links, clients: Mutex::default() }
    }

    /// Sends a frame to one peer.
    pub fn to_peer(&self, peer: ReplicaId, frame: Bytes) {
        if let Some(link) = self.links.get(&peer) {
            link.outbox().push(frame);
        }
    }

    /// Sends a frame to every peer.
    pub fn to_everyone(&self, frame: &Bytes) {
        self.links.values().for_each(|link| link.outbox().push(frame.clone()));
    }

    /// Sends a frame to a client, if it is connected.
    pub fn to_client(&self, client: ClientId, frame: Bytes) {
        let outbox = self.clients().get(&client).cloned();
        if let Some(outbox) = outbox {
            outbox.push(frame);
        }
    }

    /// Whether this client is connected.
    pub fn has_client(&self, client: ClientId) -> bool {
        self.clients().contains_key(&client)
    }

    /// The peers that there are links to.
    pub fn peers(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.links.keys().copied()
    }

    pub(super) fn links(&self) -> impl Iterator<Item = &Arc<Link>> {
        self.links.values()
    }

    /// A client is connected: what is sent to it from now on goes into a new outbox.
    pub(super) fn open(&self, client: ClientId) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new(Room::CLIENT));
        self.clients().insert(client, Arc::clone(&outbox));
        outbox
    }

    /// The connection that had this outbox has ended.
    pub(super) fn close(&self, client: ClientId, outbox: &Arc<Outbox>) {
        let mut clients = self.clients();
        if clients.get(&client).is_some_and(|current| Arc::ptr_eq(current, outbox)) {
            clients.remove(&client);
        }
    }

    pub(super) fn connected_clients(&self) -> usize {
        self.clients().len()
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<ClientId, Arc<Outbox>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
