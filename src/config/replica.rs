//! `replica-N.toml`: what one replica needs beside the cluster's file.

use super::keys::{KeyError, KeyFiles, Keys};
use super::parse::{Kind, parse};
use super::text::{Time, table};
use super::{ClusterFile, ConfigError, beside, read, wrong};
use crate::net::{Directory, Limits, Party};
use crate::replica::Settings;
use crate::types::ReplicaId;
use serde::Deserialize;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// A replica's own configuration, with the cluster's beside it.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// The file itself.
    pub path: PathBuf,
    /// The cluster's file.
    pub cluster: ClusterFile,
    /// Who may connect, and where the replicas are.
    pub directory: Arc<Directory>,
    /// Which replica this is.
    pub id: ReplicaId,
    /// Where its keys are.
    pub key_files: KeyFiles,
    /// Where its log and state are.
    pub data: PathBuf,
    /// Where it listens, `host:port`; the listed address if nothing is said.
    pub listen: Option<String>,
    /// Where it listens for operators.
    pub admin: SocketAddr,
    /// What it writes to its log for people.
    pub log: Log,
    /// Its own times.
    pub settings: Settings,
    /// What its connections may take.
    pub limits: Limits,
    /// How its log and state are kept.
    pub storage: StorageSettings,
}

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// For people or for programs.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug` or `trace`; or a filter by module.
    pub level: String,
}

impl Default for Log {
    fn default() -> Log {
        Log { format: LogFormat::Text, level: "info".to_string() }
    }
}

impl Log {
    /// What of it is written. A filter takes a word that is no level for the name of a
    /// module, and then nothing at all is written: such words are refused.
    pub fn filter(&self) -> Result<EnvFilter, String> {
        let is_bare = |part: &&str| !part.contains(['=', '[', ']', '{', '}']);
        let is_level = |part: &str| !part.is_empty() && part.parse::<LevelFilter>().is_ok();
        let mut bare = self.level.split(',').map(str::trim).filter(is_bare);
        match bare.find(|part| !is_level(part)) {
            Some(word) => Err(self.not_understood(&format!("{word:?} is no level"))),
            None => EnvFilter::try_new(&self.level)
                .map_err(|error| self.not_understood(&error.to_string())),
        }
    }

    fn not_understood(&self, why: &str) -> String {
        format!(
            "log.level {:?} is not understood ({why}): write error, warn, info, debug or trace, or \
             a level and others for single modules, such as \"info,quorate::net=debug\"",
            self.level
        )
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one object a line.
    Json,
}

/// How the log and the state are kept on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StorageSettings {
    /// The size of one file of the log. One more is always made ahead.
    pub segment_bytes: u64,
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings { segment_bytes: 16 << 20 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReplica {
    cluster: PathBuf,
    id: u16,
    key: PathBuf,
    tls_key: PathBuf,
    #[serde(default)]
    insecure_key_permissions: bool,
    data: PathBuf,
    listen: Option<String>,
    admin: SocketAddr,
    #[serde(default)]
    log: RawLog,
    #[serde(default)]
    settings: RawSettings,
    #[serde(default)]
    limits: RawLimits,
    #[serde(default)]
    storage: RawStorage,
}

table!(RawLog of Log { format: LogFormat, level: String });

table!(RawSettings of Settings {
    patience: Time,
    most_patience: Time,
    status_interval: Time,
    fetch_timeout: Time,
    pipeline: u64,
    eager: u64,
    gathering: Time,
    vouched_from: usize,
    vouching_patience: Time,
    spared_from: usize,
    reserved_votes: u64,
    replies_for: Time,
    fill_up_interval: Time,
    slow_factor: u64,
    slow_floor: Time,
});

table!(RawLimits of Limits {
    handshake: Time,
    handshakes: usize,
    handshakes_per_address: usize,
    client_connections: usize,
    connections_per_client: usize,
    replica_rate: u32,
    client_rate: u32,
    replica_silence: Time,
    client_keepalive: Time,
    progress: Time,
});

table!(RawStorage of StorageSettings { segment_bytes: u64 });

impl ReplicaConfig {
    /// Loads the file and the cluster's, and checks that they fit. Keys are loaded
    /// apart, by [`ReplicaConfig::keys`].
    pub fn load(path: &Path) -> Result<ReplicaConfig, ConfigError> {
        let raw: RawReplica = parse(Kind::Replica, path, &read(path)?)?;
        let cluster_path = beside(path, &raw.cluster);
        let cluster = ClusterFile::load(&cluster_path)?;
        let directory = Arc::new(cluster.directory_of(&cluster_path)?);
        let id = ReplicaId(raw.id);
        if directory.address_of(id).is_none() {
            let listed = cluster.replicas.len();
            return Err(wrong(
                path,
                format!(
                    "there is no replica {id} among the {listed} that {} lists: correct the id, \
                     or name the right cluster file",
                    cluster_path.display()
                ),
            ));
        }
        let config = ReplicaConfig {
            path: path.to_path_buf(),
            cluster,
            directory,
            id,
            key_files: KeyFiles {
                key: beside(path, &raw.key),
                tls_key: beside(path, &raw.tls_key),
                trust_permissions: raw.insecure_key_permissions,
            },
            data: beside(path, &raw.data),
            listen: raw.listen,
            admin: raw.admin,
            log: raw.log.into(),
            settings: raw.settings.into(),
            limits: raw.limits.into(),
            storage: raw.storage.into(),
        };
        config.check().map_err(|what| wrong(path, what))?;
        Ok(config)
    }

    /// Settings that would stop the node, keep everybody out of it, or make it spin.
    fn check(&self) -> Result<(), String> {
        self.log.filter()?;
        self.require_own_data()?;
        let settings = &self.settings;
        let never_zero = [
            ("settings.patience", settings.patience.0),
            ("settings.status_interval", settings.status_interval.0),
            ("settings.fetch_timeout", settings.fetch_timeout.0),
            ("settings.fill_up_interval", settings.fill_up_interval.0),
            ("settings.pipeline", settings.pipeline),
            ("settings.eager", settings.eager),
            ("settings.vouching_patience", settings.vouching_patience.0),
            ("settings.slow_factor", settings.slow_factor),
            ("settings.slow_floor", settings.slow_floor.0),
            ("limits.handshakes", self.limits.handshakes as u64),
            ("limits.handshakes_per_address", self.limits.handshakes_per_address as u64),
            ("limits.client_connections", self.limits.client_connections as u64),
            ("limits.connections_per_client", self.limits.connections_per_client as u64),
            ("limits.client_rate", u64::from(self.limits.client_rate)),
            ("limits.replica_rate", u64::from(self.limits.replica_rate)),
            ("limits.handshake", self.limits.handshake.as_micros() as u64),
            ("limits.progress", self.limits.progress.as_micros() as u64),
        ];
        if let Some((name, _)) = never_zero.iter().find(|(_, value)| *value == 0) {
            return Err(format!(
                "{name} must not be 0, or the node would not serve: write a larger one, or leave \
                 it out for the default"
            ));
        }
        // TCP counts these in whole seconds.
        if self.limits.client_keepalive.as_secs() < 3 {
            return Err("limits.client_keepalive must be at least 3s".to_string());
        }
        if settings.most_patience < settings.patience {
            return Err("settings.most_patience must not be less than settings.patience".into());
        }
        if self.limits.replica_silence
            < std::time::Duration::from(Time::from(settings.status_interval)) * 4
        {
            return Err("limits.replica_silence must be at least four times \
                        settings.status_interval, or silence says nothing"
                .into());
        }
        match (1 << 16..=1 << 32).contains(&self.storage.segment_bytes) {
            true => Ok(()),
            false => Err("storage.segment_bytes must be from 65536 to 4294967296".into()),
        }
    }

    /// Data among the keys or the configuration would be carried with them, and could be
    /// taken for theirs.
    fn require_own_data(&self) -> Result<(), String> {
        let KeyFiles { key, tls_key, .. } = &self.key_files;
        let data = place(&self.data);
        let files = [(key, "keys"), (tls_key, "keys"), (&self.path, "configuration")];
        let taken = files.into_iter().find(|(file, _)| {
            let folder = file.parent().unwrap_or(Path::new(""));
            data.starts_with(place(folder))
        });
        match taken {
            Some((_, whose)) => Err(format!(
                "data, {}, is in the folder of the {whose}: name a folder of its own, such as \
                 \"../data/replica-{}\"",
                data.display(),
                self.id
            )),
            None => Ok(()),
        }
    }

    /// This replica, as a party of connections.
    pub fn party(&self) -> Party {
        Party::Replica(self.id)
    }

    /// Loads the private keys, and checks that they are this replica's.
    pub fn keys(&self) -> Result<Keys, KeyError> {
        self.key_files.load(&self.directory, self.party())
    }

    /// Where to listen: what the file says, or the listed address. Asks for the host's
    /// address, which may take a while.
    pub fn listen_address(&self) -> Result<SocketAddr, ConfigError> {
        let listed = self.directory.address_of(self.id).unwrap_or_default();
        let address = self.listen.as_deref().unwrap_or(listed);
        let found = address.to_socket_addrs().map(|mut found| found.next());
        match found {
            Ok(Some(found)) if is_one_place(found, self.admin) => Err(wrong(
                &self.path,
                format!(
                    "it would listen at {found} for replicas and clients, and at admin, {}, for \
                     operators: give admin another port",
                    self.admin
                ),
            )),
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(wrong(&self.path, format!("{address:?} has no address"))),
            Err(error) => Err(wrong(
                &self.path,
                format!(
                    "{address:?} cannot be listened at ({error}): set listen = \"0.0.0.0:PORT\", or \
                     correct the address in the cluster file"
                ),
            )),
        }
    }
}

/// Whether nobody can listen at both.
fn is_one_place(one: SocketAddr, other: SocketAddr) -> bool {
    let is_everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_everywhere || one.ip() == other.ip())
}

/// Where a path leads, links followed as far as there is anything.
fn place(path: &Path) -> PathBuf {
    let path = Path::new(".").join(path);
    let path = std::path::absolute(&path).unwrap_or(path);
    let there = path.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    let Some((there, real)) = there else { return path };
    let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
    rest.components().fold(real, |mut place, part| {
        match part {
            Component::ParentDir => drop(place.pop()),
            part => place.push(part),
        }
        place
    })
}
