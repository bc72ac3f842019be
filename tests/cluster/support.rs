//! A whole cluster in this process: real files, sockets and threads, each test its own.

use quorate::client::{Access, Client, KeyValueClient};
use quorate::cluster::{Processes, admin, ports};
use quorate::config::{self, ClientConfig, InitOptions, Layout, Ports, ReplicaConfig};
use quorate::message::Parameters;
use quorate::node::{Handle, Node, NodeError, Options, Setup};
use quorate::storage::{self, Storage};
use quorate::types::{Digest, ReplicaId, Seq, Span};
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Long enough for any machine that makes progress at all.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a test waits for comes, or the test says what did not.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// How often something that cannot be waited for is looked at.
pub const LOOK: Duration = Duration::from_millis(20);

/// Looks again and again until it is so.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !is_so().await {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
}

/// Parameters under which checkpoints come soon.
pub fn brisk() -> Parameters {
    Parameters { checkpoint_interval: 8, window: 32, recovery_spacing: 1, ..Parameters::default() }
}

/// Four replicas, some of which run.
pub struct Cluster {
    pub layout: Layout,
    pub nodes: Vec<Option<Handle>>,
    _folder: TempDir,
}

impl Cluster {
    /// The files of a cluster, of which no replica runs yet.
    pub fn files(parameters: Parameters) -> Cluster {
        Cluster::files_at(parameters, ports::free(4))
    }

    /// The same at these ports.
    pub fn files_at(parameters: Parameters, ports: Vec<(u16, u16)>) -> Cluster {
        let ports = Ports::Given(ports);
        Cluster::files_of(InitOptions { ports, parameters, ..InitOptions::default() })
    }

    /// The same with so many clients.
    pub fn with_clients(clients: u32) -> Cluster {
        let ports = Ports::Given(ports::free(4));
        Cluster::files_of(InitOptions { ports, clients, ..InitOptions::default() })
    }

    fn files_of(options: InitOptions) -> Cluster {
        let folder = tempfile::tempdir().expect("a folder");
        let options = InitOptions { directory: folder.path().join("cluster"), ..options };
        let layout = config::init(&options).expect("a new folder");
        Cluster { layout, nodes: (0..4).map(|_| None).collect(), _folder: folder }
    }

    /// A cluster of which all replicas run.
    pub async fn start(parameters: Parameters) -> Cluster {
        let mut cluster = Cluster::files(parameters);
        for id in 0..4 {
            cluster.up(id).await;
        }
        cluster
    }

    pub fn config(&self, id: usize) -> ReplicaConfig {
        ReplicaConfig::load(&self.layout.replicas[id]).expect("the file is good")
    }

    pub fn setup(&self, id: usize) -> Setup {
        Setup::load(&self.config(id)).expect("the keys are good")
    }

    pub async fn try_up(&mut self, id: usize, options: Options) -> Result<(), NodeError> {
        self.nodes[id] = Some(Node::start(self.setup(id), options).await?);
        Ok(())
    }

    pub async fn up(&mut self, id: usize) {
        self.try_up(id, Options::default()).await.expect("it starts");
    }

    /// Stops a replica in order.
    pub async fn down(&mut self, id: usize) {
        let node = self.nodes[id].take().expect("it runs");
        within("a node stops", node.stop()).await.expect("in order");
    }

    pub fn node(&self, id: usize) -> &Handle {
        self.nodes[id].as_ref().expect("it runs")
    }

    pub fn node_mut(&mut self, id: usize) -> &mut Handle {
        self.nodes[id].as_mut().expect("it runs")
    }

    pub fn access(&self, client: usize) -> Access {
        let config = ClientConfig::load(&self.layout.clients[client]).expect("the file is good");
        let mut access = Access::load(&config).expect("the keys are good");
        access.settings.timeout = Span::seconds(PATIENCE.as_secs());
        access
    }

    pub async fn client(&self, client: usize) -> KeyValueClient {
        connect(self.access(client)).await
    }

    /// A client whose patience ends soon.
    pub async fn hasty_client(&self, client: usize) -> KeyValueClient {
        let mut access = self.access(client);
        access.settings.timeout = Span::milliseconds(500);
        connect(access).await
    }

    /// Waits until every replica that runs has executed so much and votes.
    pub async fn settled(&self, executed: u64) {
        for node in self.nodes.iter().flatten() {
            let is_there =
                |status: &quorate::node::Status| status.is_voting() && status.executed >= executed;
            within("a replica catches up", node.wait_for(is_there)).await;
        }
    }
}

pub async fn connect(access: Access) -> KeyValueClient {
    KeyValueClient::new(Client::connect(access).await.expect("a good configuration"))
}

/// Replicas as processes, which are told to say what they know when a test of them fails.
pub struct Programs(pub Processes);

impl Deref for Programs {
    type Target = Processes;

    fn deref(&self) -> &Processes {
        &self.0
    }
}

impl DerefMut for Programs {
    fn deref_mut(&mut self) -> &mut Processes {
        &mut self.0
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for id in self.ids() {
            let status = admin::status(self.admin(id));
            println!("replica {id}, when the test failed: {status:?}");
            let log = fs::read_to_string(self.log(id)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            println!("{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// The replicas of these files as processes, none of which runs yet.
pub fn programs(cluster: &Cluster) -> Programs {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_quorate"));
    Programs(Processes::new(program, cluster.layout.clone()).expect("the files are good"))
}

/// Replaces something in a file that is there once.
pub fn edited(path: &Path, what: &str, by: &str) {
    let text = fs::read_to_string(path).expect("it is there");
    assert_eq!(text.matches(what).count(), 1, "{what} in {}", path.display());
    fs::write(path, text.replace(what, by)).expect("a disk");
}

/// Copies a folder and all that is in it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a disk");
    for entry in fs::read_dir(from).expect("it is there") {
        let path = entry.expect("a name").path();
        let target = to.join(path.file_name().expect("it has a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, target).expect("a disk")),
        }
    }
}

/// The states on the disk of a replica that does not run, by number.
pub fn states(cluster: &Cluster, id: usize) -> BTreeMap<Seq, Digest> {
    let config = cluster.config(id);
    let identity = storage::Identity {
        cluster: config.directory.cluster(),
        replica: ReplicaId(u16::try_from(id).expect("four")),
    };
    let options = storage::Options {
        segment_bytes: config.storage.segment_bytes,
        ..storage::Options::default()
    };
    let opened = Storage::open(&config.data, identity, options, |_| ());
    let (_, found) = opened.expect("it stopped in order");
    found.states.iter().map(|(seq, tree)| (*seq, tree.digest())).collect()
}
