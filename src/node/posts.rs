//! Where messages wait to be sent: an outbox for each peer's link, and one for each client
//! that is connected.

use crate::net::{Link, Outbox, Room};
use crate::types::{ClientId, ReplicaId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// See the module's head.
pub struct Posts {
    links: BTreeMap<ReplicaId, Arc<Link>>,
    clients: Mutex<BTreeMap<ClientId, Desk>>,
    bytes_to_replicas: AtomicU64,
    bytes_to_clients: AtomicU64,
}

/// Where answers to one client wait.
struct Desk {
    outbox: Arc<Outbox>,
    /// Dropped when another connection takes this one's place.
    _place: oneshot::Sender<()>,
}

impl Posts {
    /// Posts for these peers, and no client yet.
    pub(super) fn new(peers: impl IntoIterator<Item = ReplicaId>) -> Posts {
        let links = peers.into_iter().map(|peer| (peer, Arc::new(Link::new(peer)))).collect();
        let (bytes_to_replicas, bytes_to_clients) = Default::default();
        Posts { links, clients: Mutex::default(), bytes_to_replicas, bytes_to_clients }
    }

    /// Sends a frame to one peer.
    pub fn to_peer(&self, peer: ReplicaId, frame: Bytes) {
        if let Some(link) = self.links.get(&peer) {
            self.bytes_to_replicas.fetch_add(frame.len() as u64, Ordering::Relaxed);
            link.outbox().push(frame);
        }
    }

    /// Sends a frame to every peer.
    pub fn to_everyone(&self, frame: &Bytes) {
        let bytes = frame.len() * self.links.len();
        self.bytes_to_replicas.fetch_add(bytes as u64, Ordering::Relaxed);
        self.links.values().for_each(|link| link.outbox().push(frame.clone()));
    }

    /// Sends a frame to a client, if it is connected.
    pub fn to_client(&self, client: ClientId, frame: Bytes) {
        let outbox = self.clients().get(&client).map(|desk| Arc::clone(&desk.outbox));
        if let Some(outbox) = outbox {
            self.bytes_to_clients.fetch_add(frame.len() as u64, Ordering::Relaxed);
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

    /// A client is connected: what is sent to it from now on goes into a new outbox. The
    /// connection before is told that its place is taken.
    pub(super) fn open(&self, client: ClientId) -> (Arc<Outbox>, oneshot::Receiver<()>) {
        let outbox = Arc::new(Outbox::new(Room::CLIENT));
        let (place, taken) = oneshot::channel();
        let desk = Desk { outbox: Arc::clone(&outbox), _place: place };
        self.clients().insert(client, desk);
        (outbox, taken)
    }

    /// The connection that had this outbox has ended.
    pub(super) fn close(&self, client: ClientId, outbox: &Arc<Outbox>) {
        let mut clients = self.clients();
        if clients.get(&client).is_some_and(|current| Arc::ptr_eq(&current.outbox, outbox)) {
            clients.remove(&client);
        }
    }

    /// How many bytes of frames were to be sent to whom, since the beginning.
    pub(super) fn posted(&self) -> [(&'static str, u64); 2] {
        [
            ("replicas", self.bytes_to_replicas.load(Ordering::Relaxed)),
            ("clients", self.bytes_to_clients.load(Ordering::Relaxed)),
        ]
    }

    pub(super) fn connected_clients(&self) -> usize {
        self.clients().len()
    }

    fn clients(&self) -> MutexGuard<'_, BTreeMap<ClientId, Desk>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
