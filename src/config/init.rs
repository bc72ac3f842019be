//! Writes all the files of a new cluster, with new keys.

use super::cluster::{ClientEntry, ReplicaEntry, is_host};
use super::{ClusterFile, ConfigError, KeyError, keys, template};
use crate::crypto::{ClusterId, PublicKey, SecretKey};
use crate::message::genesis::Parameters;
use crate::types::{LEAST_REPLICAS, MOST_REPLICAS};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a new cluster should be like.
#[derive(Clone, Debug)]
pub struct InitOptions {
    /// Where its files go. Made if it is not there.
    pub directory: PathBuf,
    /// Tells it from others, for people.
    pub name: String,
    /// How many replicas.
    pub replicas: u16,
    /// How many clients.
    pub clients: u32,
    /// The host of all replicas; addresses may be changed afterwards.
    pub host: String,
    /// Where they listen.
    pub ports: Ports,
    /// What all must hold alike.
    pub parameters: Parameters,
}

/// Where replicas listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ports {
    /// Replica `i` at this port and `i`, and for operators a hundred above.
    From(u16),
    /// At these, in the order of numbers: for replicas and clients, and for operators.
    Given(Vec<(u16, u16)>),
}

/// The folder of the files that say who takes part and how.
pub(crate) const CONFIG: &str = "config";

/// The folder of the private keys, beside it.
const KEYS: &str = "keys";

/// Operators' ports are so far above the others.
const ADMIN_ABOVE: u16 = MOST_REPLICAS;

impl Default for InitOptions {
    fn default() -> InitOptions {
        InitOptions {
            directory: PathBuf::from("quorate-demo"),
            name: "demo".to_string(),
            replicas: LEAST_REPLICAS,
            clients: 2,
            host: "127.0.0.1".to_string(),
            ports: Ports::From(7100),
            parameters: Parameters::default(),
        }
    }
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The folder of it all.
    pub directory: PathBuf,
    /// The cluster's identity.
    pub id: ClusterId,
    /// The cluster's file.
    pub cluster: PathBuf,
    /// Each replica's.
    pub replicas: Vec<PathBuf>,
    /// Each client's.
    pub clients: Vec<PathBuf>,
}

/// Why nothing was written, or not all.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// Never written over.
    #[error("{0} exists already, and nothing is written over: choose another --dir")]
    Exists(PathBuf),
    /// Ports run out.
    #[error("there are not enough ports for {0} replicas: choose a lower --base-port")]
    Ports(u16),
    /// No replica could be found there.
    #[error("--host {0:?} is no host: write a name such as node.example, or an address")]
    Host(String),
    /// Can't be written.
    #[error(
        "{path} cannot be written ({error}): choose a --dir where there is room, and the right to \
         make files"
    )]
    Write {
        /// What.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A key can't be written.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// No keys without it.
    #[error("the system gives no randomness ({0}), so no keys can be made")]
    Randomness(getrandom::Error),
    /// The options make no cluster.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A party's two new keys, and the beginning of its files' names.
struct Made {
    stem: String,
    key: SecretKey,
    tls_key: SecretKey,
}

impl Made {
    fn new(stem: String) -> Result<Made, InitError> {
        let key = keys::generate().map_err(InitError::Randomness)?;
        let tls_key = keys::generate().map_err(InitError::Randomness)?;
        Ok(Made { stem, key, tls_key })
    }

    fn public(&self) -> (PublicKey, PublicKey) {
        (self.key.public(), self.tls_key.public())
    }

    fn paths(&self, directory: &Path) -> [PathBuf; 3] {
        paths(directory, &self.stem)
    }

    /// Writes its files, and gives back the path of the configuration.
    fn store(&self, directory: &Path, text: &str) -> Result<PathBuf, InitError> {
        let [config, key, tls_key] = self.paths(directory);
        keys::store(&key, &self.key)?;
        keys::store(&tls_key, &self.tls_key)?;
        write_new(&config, text)?;
        Ok(config)
    }
}

/// Where a party's configuration and two keys are.
pub(super) fn paths(directory: &Path, stem: &str) -> [PathBuf; 3] {
    let keys = directory.join(KEYS);
    let config = directory.join(CONFIG).join(format!("{stem}.toml"));
    [config, keys.join(format!("{stem}.key")), keys.join(format!("{stem}-tls.key"))]
}

/// Makes keys, and writes the files of a cluster, its replicas and its clients. Nothing
/// is written if any of the files is there already, or if the options make no cluster.
pub fn init(options: &InitOptions) -> Result<Layout, InitError> {
    if !is_host(&options.host) {
        return Err(InitError::Host(options.host.clone()));
    }
    let ports = options.all_ports()?;
    let replicas = (0..options.replicas).map(|id| Made::new(format!("replica-{id}")));
    let replicas: Vec<Made> = replicas.collect::<Result<_, _>>()?;
    let clients = (0..options.clients).map(|id| Made::new(format!("client-{id}")));
    let clients: Vec<Made> = clients.collect::<Result<_, _>>()?;

    let cluster = options.directory.join(CONFIG).join("cluster.toml");
    let text = template::cluster(&options.listing(&replicas, &clients, &ports));
    let parsed = ClusterFile::parse(&cluster, &text)?;

    let directory = &options.directory;
    let all = replicas.iter().chain(&clients).flat_map(|made| made.paths(directory));
    if let Some(there) = [cluster.clone()].into_iter().chain(all).find(|path| path.exists()) {
        return Err(InitError::Exists(there));
    }
    let failed = |path: PathBuf| |error| InitError::Write { path, error };
    let (configs, folder) = (directory.join(CONFIG), directory.join(KEYS));
    fs::create_dir_all(&configs).map_err(failed(configs))?;
    keys::make_folder(&folder).map_err(failed(folder.clone()))?;
    // One that was there before may be open to others.
    keys::require_private_folder(&folder)?;
    write_new(&cluster, &text)?;
    let mut layout = Layout {
        directory: directory.clone(),
        id: parsed.id(),
        cluster,
        replicas: Vec::new(),
        clients: Vec::new(),
    };
    for ((id, made), (_, admin)) in (0..).zip(&replicas).zip(&ports) {
        layout.replicas.push(made.store(directory, &template::replica(id, *admin))?);
    }
    for (id, made) in (0..).zip(&clients) {
        layout.clients.push(made.store(directory, &template::client(id))?);
    }
    Ok(layout)
}

impl InitOptions {
    fn all_ports(&self) -> Result<Vec<(u16, u16)>, InitError> {
        let too_few = || InitError::Ports(self.replicas);
        match &self.ports {
            Ports::Given(ports) if ports.len() == usize::from(self.replicas) => Ok(ports.clone()),
            Ports::Given(_) => Err(too_few()),
            Ports::From(base) => (0..self.replicas)
                .map(|id| {
                    let port = base.checked_add(id).ok_or_else(too_few)?;
                    let admin = port.checked_add(ADMIN_ABOVE).ok_or_else(too_few)?;
                    Ok((port, admin))
                })
                .collect(),
        }
    }

    fn listing(&self, replicas: &[Made], clients: &[Made], ports: &[(u16, u16)]) -> ClusterFile {
        let replica = |(made, (port, _)): (&Made, &(u16, u16))| {
            let (key, tls_key) = made.public();
            ReplicaEntry { address: format!("{}:{port}", self.host), key, tls_key }
        };
        let client = |made: &Made| {
            let (key, tls_key) = made.public();
            ClientEntry { name: Some(made.stem.clone()), key, tls_key }
        };
        ClusterFile {
            name: self.name.clone(),
            parameters: self.parameters,
            replicas: replicas.iter().zip(ports).map(replica).collect(),
            clients: clients.iter().map(client).collect(),
        }
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), InitError> {
    let written = || -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(path.to_path_buf()),
        _ => InitError::Write { path: path.to_path_buf(), error },
    })
}
