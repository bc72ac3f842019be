//! A node: one replica with its log, its connections and its admin address, put together
//! and kept going.
//!
//! | file | its job |
//! | --- | --- |
//! | `owner` | the loop: one thread that owns the replica and its storage |
//! | `checking` | a thread beside it, for what takes longer |
//! | `inbox` | what waits for the loop, bounded and in turns |
//! | `connections` | reading and checking what others send |
//! | [`posts`] | what waits to be sent |
//! | [`outlet`] | from what the replica says to what is sent |
//! | [`lying`] | the same for nodes of the test cluster that lie |
//! | `watch`, `metrics` | what is seen of it |
//! | [`status`], `admin` | what operators see |
//! | `reception` | how many of them at a time, and for how long |
//! | [`inquiry`] | what clients may ask of it |
//! | `clock` | the time |
//!
//! Nothing here decides anything of the protocol, and nothing is global: several nodes can
//! live in one process.

mod admin;
mod checking;
mod clock;
mod connections;
mod inbox;
pub mod inquiry;
pub mod lying;
mod metrics;
pub mod outlet;
mod owner;
pub mod posts;
mod reception;
pub mod status;
mod watch;

#[cfg(test)]
mod tests;

pub use outlet::{Honest, Outlet};
pub use posts::Posts;
pub use status::Status;

use crate::config::{ConfigError, ReplicaConfig};
use crate::crypto::{Listed, SecretKey};
use crate::message::{Reject, Verifier};
use crate::net::{self, Directory, Endpoint, Identity};
use crate::replica::{Origin, Recalled, Recovered, Replica, Settings, StartError};
use crate::service::Service;
use crate::service::kv::KeyValue;
use crate::storage::{self, Storage, StorageError};
use crate::types::{Instant, Nonce, ReplicaId};
use checking::Checking;
use clock::Clock;
use connections::Hall;
use inbox::Inbox;
use metrics::Metrics;
use owner::{Arrival, Owner};
use status::Exhibit;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch as watched};
use tokio::task::JoinSet;
use watch::Watch;

/// All that makes one node.
pub struct Setup {
    /// The replica's number.
    pub id: ReplicaId,
    /// Its consensus key.
    pub signer: SecretKey,
    /// Its TLS key, as this replica.
    pub identity: Identity,
    /// Who takes part and where they are.
    pub directory: Arc<Directory>,
    /// What its connections may take.
    pub limits: net::Limits,
    /// Where it listens for replicas and clients.
    pub listen: SocketAddr,
    /// Where it listens for operators.
    pub admin: SocketAddr,
    /// Where its log and state are.
    pub data: PathBuf,
    /// How its log and state are kept.
    pub storage: storage::Options,
    /// Its own times.
    pub settings: Settings,
}

impl Setup {
    /// What a configuration says, with the keys that it names. Asks for this host's
    /// address, which may take a while.
    pub fn load(config: &ReplicaConfig) -> Result<Setup, ConfigError> {
        let keys = config.keys()?;
        Ok(Setup {
            id: config.id,
            signer: keys.signer,
            identity: keys.identity,
            directory: Arc::clone(&config.directory),
            limits: config.limits,
            listen: config.listen_address()?,
            admin: config.admin,
            data: config.data.clone(),
            storage: storage::Options {
                segment_bytes: config.storage.segment_bytes,
                ..storage::Options::default()
            },
            settings: config.settings,
        })
    }
}

/// What whoever starts a node may choose beside its configuration.
pub struct Options {
    /// What is replicated.
    pub service: Arc<dyn Service>,
    /// The operator's word that the disk was lost, or went back in time.
    pub recover: bool,
    /// How what the replica says gets out. Everything but [`Honest`] is for tests.
    pub outlet: Box<dyn Outlet>,
}

impl Default for Options {
    fn default() -> Options {
        Options { service: Arc::new(KeyValue), recover: false, outlet: Box::new(Honest) }
    }
}

/// Why a node does not start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Of what is on disk.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is no room to start, or none that may be written.
    #[error("{0}, then start the node again")]
    NoRoomToStart(StorageError),
    /// It was told to stop while there was no room.
    #[error(
        "stopped while there was no room for what it had to write, of which nothing was promised \
         to anybody: {0}, then start the node again"
    )]
    NoRoomToStop(StorageError),
    /// A record of the log is not what was written.
    #[error(
        "record {index} of the log is no message of this cluster ({reject:?}): it has rotted, or \
         belongs to another version; start the node once with 'quorate node --recover'"
    )]
    Record {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        reject: Reject,
    },
    /// The replica cannot start from what there is.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The TLS key is of no use.
    #[error(transparent)]
    Endpoint(#[from] net::endpoint::BadEndpoint),
    /// An address cannot be listened at.
    #[error(
        "cannot listen at {address} ({error}): is another process there, or is the address not this machine's?"
    )]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// In the system's words.
        error: std::io::Error,
    },
    /// The system gives no thread, or no randomness.
    #[error("the system gives no {what}: {why}")]
    System {
        /// What it does not give.
        what: &'static str,
        /// In its words.
        why: String,
    },
    /// Others hold signatures of this replica that its log lacks.
    #[error(
        "this replica's disk was lost or has gone back in time: others hold signatures of it that \
         its log lacks, so it must not vote again under them; start it once with \
         'quorate node --recover', and it comes back in a new life"
    )]
    RolledBack,
    /// A bug of ours.
    #[error(
        "this replica stopped at an error of the program itself, which the log tells above: report it with the log"
    )]
    Bug,
}

/// What the loop shows to whoever asks.
pub(crate) struct Shared {
    cluster: String,
    status: watched::Sender<Arc<Status>>,
    evidence: Mutex<Arc<Vec<Exhibit>>>,
}

impl Shared {
    fn cluster(&self) -> String {
        self.cluster.clone()
    }

    fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    fn show(&self, status: Status) {
        self.status.send_replace(Arc::new(status));
    }

    fn evidence(&self) -> Arc<Vec<Exhibit>> {
        Arc::clone(&self.evidence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn show_evidence(&self, exhibits: Vec<Exhibit>) {
        *self.evidence.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(exhibits);
    }
}

/// A way to start nodes.
pub struct Node;

/// A node that runs. Dropped without [`Handle::stop`], it stops as soon as it can, and
/// nobody learns how that went.
pub struct Handle {
    id: ReplicaId,
    address: SocketAddr,
    admin: SocketAddr,
    shared: Arc<Shared>,
    inbox: Arc<Inbox<Arrival>>,
    /// None once it was told how the loop ended.
    ended: Option<oneshot::Receiver<Result<(), NodeError>>>,
    tasks: JoinSet<()>,
    /// Resolves when nobody listens any more.
    closed: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Node {
    /// Starts a node on the current runtime, from what is on its disk. Its connections
    /// and its admin address are there when this returns; whether it serves clients yet,
    /// its status says.
    pub async fn start(setup: Setup, options: Options) -> Result<Handle, NodeError> {
        let Setup { id, listen, admin, .. } = setup;
        let directory = setup.directory;
        let genesis = Arc::clone(directory.genesis());
        let committee = genesis.committee();
        let cluster = directory.cluster();
        let rule = Listed::new(&genesis.replicas, &genesis.clients);
        let verifier = Arc::new(Verifier::new(Arc::clone(&genesis), rule));
        let endpoint = Endpoint::new(Arc::clone(&directory), setup.identity, setup.limits)?;
        let refused = |address| move |error| NodeError::Listen { address, error };
        let mut acceptor = endpoint.listen(listen).await.map_err(refused(listen))?;
        let address = acceptor.local_addr();
        let closed = Box::pin(acceptor.closed());
        let listener = TcpListener::bind(admin).await.map_err(refused(admin))?;
        let admin = listener.local_addr().map_err(refused(admin))?;

        let inbox = Arc::new(Inbox::new());
        let (storage, recovered) = {
            let place = Place { id, cluster, data: setup.data, options: setup.storage };
            let inbox = Arc::clone(&inbox);
            let (verifier, recover) = (Arc::clone(&verifier), options.recover);
            tokio::task::spawn_blocking(move || open(place, &verifier, recover, inbox))
                .await
                .map_err(|_| NodeError::Bug)??
        };
        let clock = Clock::begin();
        let nonce = getrandom::u64()
            .map_err(|error| NodeError::System { what: "randomness", why: error.to_string() })?;
        let origin = Origin {
            id,
            genesis,
            settings: setup.settings,
            signer: Box::new(setup.signer),
            service: options.service,
            nonce: Nonce(nonce),
            disk_was_lost: options.recover,
        };
        let (replica, first) = Replica::start(clock.now(), origin, recovered)?;

        let posts = Arc::new(Posts::new(committee.replicas().filter(|peer| *peer != id)));
        let metrics = Arc::new(Metrics::new());
        let primary = committee.primary(replica.view()).0;
        let status = Status::of(&replica, cluster.0.to_string(), primary);
        let exhibits = replica.evidence().iter().map(|one| status::exhibit(one)).collect();
        let shared = Arc::new(Shared {
            cluster: cluster.0.to_string(),
            status: watched::Sender::new(Arc::new(status)),
            evidence: Mutex::new(Arc::new(exhibits)),
        });
        let malicious = options.outlet.confession().map(|confession| confession.behaviour);
        let owner = Owner {
            replica,
            committee,
            storage,
            outlet: options.outlet,
            posts: Arc::clone(&posts),
            inbox: Arc::clone(&inbox),
            clock,
            metrics: Arc::clone(&metrics),
            watch: Watch::new(Arc::clone(&metrics)),
            shared: Arc::clone(&shared),
            publish_due: Instant(0),
            checking: Checking::start(
                format!("checks {id}"),
                Arc::clone(&verifier),
                Arc::clone(&inbox),
            )
            .map_err(no_thread)?,
            unsaved: None,
            verifier: Arc::clone(&verifier),
            suspects: BTreeSet::new(),
        };
        let (over, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("replica {id}"))
            .spawn(move || {
                // Nobody listens any more if the handle was dropped.
                let _ = over.send(owner.run(first));
            })
            .map_err(no_thread)?;

        let mut tasks = JoinSet::new();
        for link in posts.links() {
            let (link, endpoint) = (Arc::clone(link), endpoint.clone());
            tasks.spawn(async move { link.keep(&endpoint, None).await });
        }
        let hall = Hall {
            verifier,
            inbox: Arc::clone(&inbox),
            posts: Arc::clone(&posts),
            metrics: Arc::clone(&metrics),
            shared: Arc::clone(&shared),
        };
        tasks.spawn(connections::welcome(acceptor, hall));
        let depth = Arc::clone(&inbox);
        let pages = admin::Pages {
            shared: Arc::clone(&shared),
            metrics,
            posts,
            depth: Box::new(move || depth.depth()),
            refusals: Box::new(move || endpoint.refusals()),
            quorum: committee.quorum(),
        };
        tasks.spawn(admin::serve(listener, pages));
        tracing::info!(replica = id.0, %address, %admin, "started");
        if let Some(behaviour) = malicious {
            tracing::warn!(
                replica = id.0,
                behaviour,
                "THIS REPLICA LIES ON PURPOSE: for tests only"
            );
        }
        Ok(Handle { id, address, admin, shared, inbox, ended: Some(ended), tasks, closed })
    }
}

fn no_thread(error: std::io::Error) -> NodeError {
    NodeError::System { what: "thread", why: error.to_string() }
}

/// Whose data, and where.
struct Place {
    id: ReplicaId,
    cluster: crate::crypto::ClusterId,
    data: PathBuf,
    options: storage::Options,
}

/// Opens the storage, and verifies again what its log holds.
fn open(
    place: Place,
    verifier: &Verifier<Listed>,
    recover: bool,
    inbox: Arc<Inbox<Arrival>>,
) -> Result<(Storage, Recovered), NodeError> {
    let Place { id, cluster, data, options } = place;
    let identity = storage::Identity { cluster, replica: id };
    let on_saved = move |saved| inbox.put_urgent(Arrival::Saved(saved));
    let opened = match recover {
        true => Storage::recover(&data, identity, options, on_saved),
        false => Storage::open(&data, identity, options, on_saved),
    };
    let (storage, found) = opened.map_err(|error| match error.is_full() {
        true => NodeError::NoRoomToStart(error),
        false => NodeError::Storage(error),
    })?;
    tracing::info!(
        records = found.records.len(),
        state = found.states.keys().next_back().map(|seq| seq.0),
        is_new = found.is_new,
        cut_bytes = found.cut_bytes,
        took_ms = found.took.as_millis(),
        "opened the data directory"
    );
    if !found.rotten.is_empty() {
        tracing::warn!(states = ?found.rotten, "saved states have rotted, and others are used");
    }
    let recall = |(index, record)| {
        Recalled::verify(verifier, record).map_err(|reject| NodeError::Record { index, reject })
    };
    let records = found.records.into_iter().enumerate().map(recall).collect::<Result<_, _>>()?;
    Ok((storage, Recovered { records, states: found.states, parts: found.parts }))
}

impl Handle {
    /// The replica's number.
    pub fn id(&self) -> ReplicaId {
        self.id
    }

    /// Where it listens for replicas and clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for operators.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    /// What it was like, less than a second ago.
    pub fn status(&self) -> Arc<Status> {
        self.shared.status()
    }

    /// Waits until its status is as wanted, however long that takes.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Status) -> bool) -> Arc<Status> {
        let mut statuses = self.shared.status.subscribe();
        let found = statuses.wait_for(|status| wanted(status)).await;
        Arc::clone(&found.expect("whoever tells the status is held by this handle"))
    }

    /// Waits until the node ends by itself, which it does only for an error. What is left of
    /// it then, [`Handle::stop`] ends.
    pub async fn ended(&mut self) -> NodeError {
        let Some(ended) = &mut self.ended else { return NodeError::Bug };
        let error = tokio::select! {
            ended = ended => match ended {
                Ok(Err(error)) => error,
                Ok(Ok(())) | Err(_) => NodeError::Bug,
            },
            // They go on as long as the node does: a node of which a part is gone is worth
            // less than one that is started again.
            Some(_) = self.tasks.join_next() => return NodeError::Bug,
        };
        self.ended = None;
        error
    }

    /// Stops in order: what came in is handled and written, and what that answers is
    /// given to the connections. Its addresses are free then.
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.inbox.close();
        let ended = match self.ended.take() {
            Some(ended) => ended.await.unwrap_or(Err(NodeError::Bug)),
            None => Ok(()),
        };
        self.tasks.shutdown().await;
        self.closed.as_mut().await;
        ended
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inbox.close();
    }
}
