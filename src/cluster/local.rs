//! A cluster in this process: real nodes with real files, sockets and threads, on ports of
//! this machine's own, in a folder that is removed at the end.

use super::folder::{Folder, chance};
use super::ports;
use crate::byzantine::{Conspiracy, UnknownBehaviour, role};
use crate::client::{Access, Client, ConnectError, KeyValueClient};
use crate::config::{
    self, ClientConfig, ConfigError, InitError, InitOptions, Layout, Ports, ReplicaConfig,
};
use crate::message::Parameters;
use crate::node::lying::Lying;
use crate::node::{Handle, Node, NodeError, Options, Setup, Status};
use crate::random::Random;
use crate::service::Service;
use crate::service::kv::KeyValue;
use crate::types::{Committee, ReplicaId};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often other ports are tried if somebody was faster.
const ATTEMPTS: usize = 8;

/// How long the honest replicas may take until they serve clients.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a cluster does not start, or does not do what it is told.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A behaviour that nobody knows.
    #[error(transparent)]
    Behaviour(#[from] UnknownBehaviour),
    /// There is no replica or client of that number.
    #[error("the cluster has no {kind} {id}: they are numbered from 0, and there are {count}")]
    Unknown {
        /// `replica` or `client`.
        kind: &'static str,
        /// The number.
        id: usize,
        /// How many there are.
        count: usize,
    },
    /// Its files cannot be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// Its files are no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A node does not start, or did not end well.
    #[error("replica {id}: {error}")]
    Node {
        /// Which one.
        id: u16,
        /// What it says.
        error: NodeError,
    },
    /// A client does not begin.
    #[error(transparent)]
    Client(#[from] ConnectError),
    /// Nowhere to put its files.
    #[error("there is no room for its files ({0})")]
    Folder(#[from] io::Error),
    /// The honest replicas do not come to serve clients.
    #[error("replica {id} does not serve clients within {PATIENCE:?}: {}", why.join("; "))]
    NotReady {
        /// Which one.
        id: u16,
        /// What stands in the way.
        why: Vec<String>,
    },
}

/// What a cluster is to be like.
pub struct Builder {
    replicas: u16,
    clients: u32,
    liars: BTreeMap<u16, String>,
    parameters: Parameters,
    service: Arc<dyn Service>,
}

impl Builder {
    /// So many replicas, in place of 4.
    pub fn replicas(mut self, replicas: u16) -> Builder {
        self.replicas = replicas;
        self
    }

    /// So many clients, in place of 4.
    pub fn clients(mut self, clients: u32) -> Builder {
        self.clients = clients;
        self
    }

    /// This replica lies in this way, each time it starts. The names are those of
    /// [`crate::byzantine::cast`]. All who lie conspire.
    pub fn byzantine(mut self, id: u16, behaviour: &str) -> Builder {
        self.liars.insert(id, behaviour.to_owned());
        self
    }

    /// What all hold alike.
    pub fn parameters(mut self, parameters: Parameters) -> Builder {
        self.parameters = parameters;
        self
    }

    /// What is replicated, in place of the key-value service.
    pub fn service(mut self, service: Arc<dyn Service>) -> Builder {
        self.service = service;
        self
    }

    /// Starts all replicas on the current runtime, and waits until the honest ones serve
    /// clients.
    pub async fn start(self) -> Result<Cluster, ClusterError> {
        for behaviour in self.liars.values() {
            role(behaviour)?;
        }
        let mut attempts = 1;
        loop {
            let mut cluster = self.files()?;
            match cluster.start_all().await {
                Ok(()) => return Ok(cluster),
                Err(ClusterError::Node { error: NodeError::Listen { .. }, .. })
                    if attempts < ATTEMPTS =>
                {
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn files(&self) -> Result<Cluster, ClusterError> {
        let folder = Folder::new()?;
        let options = InitOptions {
            directory: folder.path().to_path_buf(),
            replicas: self.replicas,
            clients: self.clients,
            ports: Ports::Given(ports::free(usize::from(self.replicas))),
            parameters: self.parameters,
            ..InitOptions::default()
        };
        let layout = config::init(&options)?;
        if let Some(id) = self.liars.keys().find(|id| **id >= self.replicas) {
            let (id, count) = (usize::from(*id), layout.replicas.len());
            return Err(ClusterError::Unknown { kind: "replica", id, count });
        }
        let salt = chance()?;
        Ok(Cluster {
            layout,
            liars: self.liars.clone(),
            service: Arc::clone(&self.service),
            conspiracy: Arc::new(Mutex::new(Conspiracy::new(&mut Random::new(salt)))),
            nodes: BTreeMap::new(),
            next_client: AtomicUsize::new(0),
            _folder: folder,
        })
    }
}

/// See the module's head. Dropped without [`Cluster::shutdown`], its nodes stop as soon as
/// they can.
pub struct Cluster {
    nodes: BTreeMap<u16, Handle>,
    layout: Layout,
    liars: BTreeMap<u16, String>,
    service: Arc<dyn Service>,
    conspiracy: Arc<Mutex<Conspiracy>>,
    next_client: AtomicUsize,
    _folder: Folder,
}

impl Cluster {
    /// A cluster of four honest replicas, unless more is said.
    pub fn builder() -> Builder {
        Builder {
            replicas: crate::types::LEAST_REPLICAS,
            clients: 4,
            liars: BTreeMap::new(),
            parameters: Parameters::default(),
            service: Arc::new(KeyValue),
        }
    }

    /// Its files.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A client of the key-value service. Each call gives another of the listed clients,
    /// and in the end the first again: two of one identity at once wait for each other.
    pub async fn key_value(&self) -> Result<KeyValueClient, ClusterError> {
        Ok(KeyValueClient::new(self.client().await?))
    }

    /// A client of whatever is replicated, see [`Cluster::key_value`].
    pub async fn client(&self) -> Result<Client, ClusterError> {
        let turn = self.next_client.fetch_add(1, Ordering::Relaxed);
        let access = self.access(turn % self.layout.clients.len().max(1))?;
        Ok(Client::connect(access).await?)
    }

    /// What a client connects with, to be changed before it does.
    pub fn access(&self, client: usize) -> Result<Access, ClusterError> {
        let count = self.layout.clients.len();
        let unknown = ClusterError::Unknown { kind: "client", id: client, count };
        let path = self.layout.clients.get(client).ok_or(unknown)?;
        let mut access = Access::load(&ClientConfig::load(path)?)?;
        access.service = Arc::clone(&self.service);
        Ok(access)
    }

    /// Starts a replica, unless it runs.
    pub async fn start(&mut self, id: u16) -> Result<(), ClusterError> {
        if self.nodes.contains_key(&id) {
            return Ok(());
        }
        let count = self.layout.replicas.len();
        let unknown = ClusterError::Unknown { kind: "replica", id: usize::from(id), count };
        let path = self.layout.replicas.get(usize::from(id)).ok_or(unknown)?;
        let config = ReplicaConfig::load(path)?;
        let mut options = Options { service: Arc::clone(&self.service), ..Options::default() };
        if let Some(behaviour) = self.liars.get(&id) {
            options.outlet = Box::new(self.lying(behaviour, &config)?);
        }
        let started = Node::start(Setup::load(&config)?, options).await;
        let node = started.map_err(|error| ClusterError::Node { id, error })?;
        self.nodes.insert(id, node);
        Ok(())
    }

    /// Stops a replica in order, if it runs.
    pub async fn stop(&mut self, id: u16) -> Result<(), ClusterError> {
        match self.nodes.remove(&id) {
            None => Ok(()),
            Some(node) => node.stop().await.map_err(|error| ClusterError::Node { id, error }),
        }
    }

    /// The node of a replica, if it runs.
    pub fn node(&self, id: u16) -> Option<&Handle> {
        self.nodes.get(&id)
    }

    /// What a replica was like, less than a second ago, if it runs.
    pub fn status(&self, id: u16) -> Option<Arc<Status>> {
        self.nodes.get(&id).map(Handle::status)
    }

    /// Stops all replicas in order, and removes the files.
    pub async fn shutdown(mut self) -> Result<(), ClusterError> {
        let running: Vec<u16> = self.nodes.keys().copied().collect();
        for id in running {
            self.stop(id).await?;
        }
        Ok(())
    }

    async fn start_all(&mut self) -> Result<(), ClusterError> {
        let ids = 0..u16::try_from(self.layout.replicas.len()).unwrap_or(u16::MAX);
        for id in ids.clone() {
            self.start(id).await?;
        }
        for id in ids.filter(|id| !self.liars.contains_key(id)) {
            self.wait_ready(id).await?;
        }
        Ok(())
    }

    /// Waits until a replica serves clients.
    pub async fn wait_ready(&self, id: u16) -> Result<(), ClusterError> {
        let Some(node) = self.nodes.get(&id) else {
            return Err(ClusterError::NotReady { id, why: vec!["it does not run".to_owned()] });
        };
        let size = u16::try_from(self.layout.replicas.len()).unwrap_or(u16::MAX);
        let quorum = Committee::new(size).map_or(usize::from(size), |committee| committee.quorum());
        let is_ready = |status: &Status| status.obstacles(quorum).is_empty();
        match tokio::time::timeout(PATIENCE, node.wait_for(is_ready)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ClusterError::NotReady { id, why: node.status().obstacles(quorum) }),
        }
    }

    fn lying(&self, behaviour: &str, config: &ReplicaConfig) -> Result<Lying, ClusterError> {
        // One key for itself, and one for those it conspires with.
        let (signer, shared) = (signer(config)?, signer(config)?);
        let mut conspiracy = self.conspiracy.lock().unwrap_or_else(PoisonError::into_inner);
        conspiracy.join(ReplicaId(config.id.0), shared);
        drop(conspiracy);
        let role = role(behaviour)?;
        let conspiracy = Arc::clone(&self.conspiracy);
        Ok(Lying::new(&role, config.id, &config.directory, signer, conspiracy))
    }
}

fn signer(config: &ReplicaConfig) -> Result<Box<dyn crate::crypto::Signer>, ClusterError> {
    Ok(Box::new(config.keys().map_err(ConfigError::from)?.signer))
}
