//! A node: one replica with its log, its connections and its admin address, put together
//! and kept going.
//!
//! | file | its job |
//! | --- | --- |
//! | `start` | putting it together, on the thread that it lives on |
//! | `owner` | the loop that owns the replica and its storage |
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
//! # One thread
//!
//! The replica, its log and its connections share one thread, so that a message goes from
//! a socket to the replica, and what it answers to the sockets, without waiting for another
//! thread to be woken: on a busy machine that takes longer than all the rest. While the log
//! is synced nothing else is done; what comes meanwhile is handled together afterwards.
//! Other threads judge large messages, write states, and answer operators. Where there are
//! processors for it, whoever connects to the node is served by the runtime that it was
//! started on.
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
mod start;
pub mod status;
mod watch;

#[cfg(test)]
mod tests;

pub use outlet::{Honest, Outlet};
pub use posts::Posts;
pub use status::Status;

use crate::config::{ConfigError, ReplicaConfig};
use crate::crypto::SecretKey;
use crate::message::Reject;
use crate::net::{self, Directory, Identity};
use crate::replica::{Settings, StartError};
use crate::service::Service;
use crate::service::kv::KeyValue;
use crate::storage::{self, StorageError};
use crate::types::ReplicaId;
use inbox::Inbox;
use owner::Arrival;
use start::Outside;
use status::Exhibit;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch as watched};
use tokio::task::JoinSet;

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

/// Who serves those that connect to a node.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Served {
    /// The runtime that it was started on, if there are processors for it, and its own
    /// thread else.
    #[default]
    ByProcessors,
    /// Its own thread.
    ByThread,
    /// The runtime that it was started on.
    ByRuntime,
}

/// What whoever starts a node may choose beside its configuration.
pub struct Options {
    /// What is replicated.
    pub service: Arc<dyn Service>,
    /// The operator's word that the disk was lost, or went back in time.
    pub recover: bool,
    /// How what the replica says gets out. Everything but [`Honest`] is for tests.
    pub outlet: Box<dyn Outlet>,
    /// Who serves those that connect.
    pub served: Served,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            service: Arc::new(KeyValue),
            recover: false,
            outlet: Box::new(Honest),
            served: Served::default(),
        }
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
        "stopped while there was no room for what it had to write; it is bound by nothing that is \
         lost with that: {0}, then start the node again"
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
        "cannot listen at {address} ({error}): this replica runs already, another process has the \
         port, or the address is not this machine's; it is `listen` or `admin` in the replica's file"
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
        "this replica's disk was lost or has gone back in time, or it runs twice: others hold \
         signatures of it that its log lacks, so it must not vote again under them; see to it that \
         no other process runs with its keys, then start it once with 'quorate node --recover', \
         and it comes back in a new life"
    )]
    RolledBack,
    /// A bug of ours.
    #[error(
        "this replica stopped at an error of the program itself, which the log tells above: report it with the log"
    )]
    Bug,
}

/// A status, and when it was one.
#[derive(Clone)]
struct Shown {
    status: Arc<Status>,
    at: Instant,
}

impl Shown {
    fn now(status: Status) -> Shown {
        Shown { status: Arc::new(status), at: Instant::now() }
    }
}

/// What the loop shows to whoever asks.
pub(crate) struct Shared {
    cluster: String,
    status: watched::Sender<Shown>,
    evidence: Mutex<Arc<Vec<Exhibit>>>,
}

impl Shared {
    fn cluster(&self) -> String {
        self.cluster.clone()
    }

    /// As it is now, if nothing has happened since it was shown.
    fn status(&self) -> Arc<Status> {
        let Shown { status, at } = self.status.borrow().clone();
        let passed = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Arc::new(status.after(passed))
    }

    fn show(&self, status: Status) {
        self.status.send_replace(Shown::now(status));
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
    /// Starts a node from what is on its disk. Its connections and its admin address are
    /// there when this returns; whether it serves clients yet, its status says.
    ///
    /// It lives on a thread of its own; what does not belong there, on the current runtime.
    pub async fn start(setup: Setup, options: Options) -> Result<Handle, NodeError> {
        let address = setup.admin;
        let listener = TcpListener::bind(address).await;
        let admin = listener.map_err(|error| NodeError::Listen { address, error })?;
        let outside = Outside { runtime: tokio::runtime::Handle::current(), admin };
        let (report, begun) = oneshot::channel();
        std::thread::Builder::new()
            .name(format!("replica {}", setup.id))
            .spawn(move || start::live(setup, options, outside, report))
            .map_err(start::no_thread)?;
        begun.await.unwrap_or(Err(NodeError::Bug))
    }
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

    /// What it was like after its last steps, less than a second ago while it takes some.
    pub fn status(&self) -> Arc<Status> {
        self.shared.status()
    }

    /// Waits until its status is as wanted, however long that takes.
    pub async fn wait_for(&self, mut wanted: impl FnMut(&Status) -> bool) -> Arc<Status> {
        let mut statuses = self.shared.status.subscribe();
        let found = statuses.wait_for(|shown| wanted(&shown.status)).await;
        Arc::clone(&found.expect("whoever tells the status is held by this handle").status)
    }

    /// Waits until the node ends by itself, which it does only for an error. What is left of
    /// it then, [`Handle::stop`] ends.
    pub async fn ended(&mut self) -> NodeError {
        let Some(ended) = &mut self.ended else { return NodeError::Bug };
        let error = tokio::select! {
            ended = &mut *ended => match ended {
                Ok(Err(error)) => error,
                Ok(Ok(())) | Err(_) => NodeError::Bug,
            },
            // They go on as long as the node does: a node of which a part is gone is worth
            // less than one that is started again.
            Some(_) = self.tasks.join_next() => match ended.try_recv() {
                Ok(Err(error)) => error,
                Ok(Ok(())) | Err(_) => return NodeError::Bug,
            },
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
