//! `cluster.toml`: who takes part, where, and under which rules.

use super::parse::{Kind, parse};
use super::text::{Time, table};
use super::{ConfigError, read, wrong};
use crate::crypto::{ClusterId, PublicKey};
use crate::message::genesis::{Genesis, Parameters};
use crate::net::{Directory, Listed};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A cluster's file. The lists are in the order of numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterFile {
    /// Tells this cluster from others, for people.
    pub name: String,
    /// What all must hold alike.
    pub parameters: Parameters,
    /// The replicas.
    pub replicas: Vec<ReplicaEntry>,
    /// The clients.
    pub clients: Vec<ClientEntry>,
}

/// A replica as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplicaEntry {
    /// `host:port`.
    pub address: String,
    /// The key that its votes are signed with.
    pub key: PublicKey,
    /// The key that it shows in TLS.
    pub tls_key: PublicKey,
}

/// A client as it is listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientEntry {
    /// For people.
    pub name: Option<String>,
    /// The key that its requests are signed with.
    pub key: PublicKey,
    /// The key that it shows in TLS.
    pub tls_key: PublicKey,
}

/// The longest name, in bytes.
const MOST_NAME_BYTES: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCluster {
    name: String,
    #[serde(default)]
    parameters: RawParameters,
    replica: Vec<RawReplica>,
    #[serde(default)]
    client: Vec<RawClient>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReplica {
    id: u16,
    address: String,
    key: String,
    tls_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClient {
    id: u32,
    name: Option<String>,
    key: String,
    tls_key: String,
}

table!(RawParameters of Parameters {
    checkpoint_interval: u64,
    window: u64,
    batch_items: u64,
    batch_bytes: u64,
    bundle_operations: u64,
    bundle_bytes: u64,
    client_window: u64,
    client_kept_bytes: u64,
    result_bytes: u64,
    time_tolerance: Time,
    recovery_spacing: u64,
    rotation: u64,
});

impl ClusterFile {
    /// Loads and checks the file.
    pub fn load(path: &Path) -> Result<ClusterFile, ConfigError> {
        ClusterFile::parse(path, &read(path)?)
    }

    /// Checks the text of the file at this path.
    pub fn parse(path: &Path, text: &str) -> Result<ClusterFile, ConfigError> {
        let raw: RawCluster = parse(Kind::Cluster, path, text)?;
        let file = raw.checked().map_err(|what| wrong(path, what))?;
        file.directory_of(path)?;
        Ok(file)
    }

    /// What the protocol knows of all this. Its digest is the cluster's identity: it
    /// covers the name, all keys and all parameters, and no address.
    pub fn genesis(&self) -> Genesis {
        let replica_keys: Vec<PublicKey> = self.replicas.iter().map(|one| one.tls_key).collect();
        let client_keys: Vec<PublicKey> = self.clients.iter().map(|one| one.tls_key).collect();
        Genesis {
            name: Directory::genesis_name(&self.name, &replica_keys, &client_keys).into(),
            replicas: self.replicas.iter().map(|one| one.key).collect(),
            clients: self.clients.iter().map(|one| one.key).collect(),
            parameters: self.parameters,
        }
    }

    /// The cluster's identity.
    pub fn id(&self) -> ClusterId {
        self.genesis().cluster()
    }

    /// Who may connect, and where the replicas are.
    pub fn directory(&self) -> Result<Directory, crate::net::directory::BadDirectory> {
        let listed =
            |one: &ReplicaEntry| Listed { address: one.address.clone(), tls_key: one.tls_key };
        Directory::new(
            &self.name,
            self.genesis(),
            self.replicas.iter().map(listed).collect(),
            self.clients.iter().map(|one| one.tls_key).collect(),
        )
    }

    /// Who may connect, and where the replicas are. The path is named in errors.
    pub fn directory_of(&self, path: &Path) -> Result<Directory, ConfigError> {
        self.directory().map_err(|error| ConfigError::Cluster { path: path.to_path_buf(), error })
    }
}

impl RawCluster {
    fn checked(self) -> Result<ClusterFile, String> {
        if self.name.is_empty() || self.name.len() > MOST_NAME_BYTES {
            return Err(format!("the name must have 1 to {MOST_NAME_BYTES} bytes"));
        }
        require_numbered("replica", self.replica.iter().map(|one| u64::from(one.id)))?;
        require_numbered("client", self.client.iter().map(|one| u64::from(one.id)))?;
        require_apart(&self.replica)?;
        let replicas = self.replica.into_iter().map(RawReplica::checked);
        let clients = self.client.into_iter().map(RawClient::checked);
        Ok(ClusterFile {
            name: self.name,
            parameters: self.parameters.into(),
            replicas: replicas.collect::<Result<_, _>>()?,
            clients: clients.collect::<Result<_, _>>()?,
        })
    }
}

/// Numbers are written, so that nobody has to count, and in order, so that nobody errs.
fn require_numbered(what: &str, ids: impl Iterator<Item = u64>) -> Result<(), String> {
    match (0..).zip(ids).find(|(expected, id)| expected != id) {
        None => Ok(()),
        Some((expected, id)) => Err(format!(
            "{what} {id} stands where {what} {expected} should: number them 0, 1, 2 and so on, \
             in this order"
        )),
    }
}

/// Two replicas at one address are one that is there, and one that nobody finds.
fn require_apart(replicas: &[RawReplica]) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for replica in replicas {
        let address = replica.address.to_ascii_lowercase();
        if let Some(other) = seen.insert(address, replica.id) {
            return Err(format!(
                "replica {} has the address of replica {other}, {}: give each its own",
                replica.id, replica.address
            ));
        }
    }
    Ok(())
}

impl RawReplica {
    fn checked(self) -> Result<ReplicaEntry, String> {
        let whose = format!("replica {}", self.id);
        require_address(&self.address).map_err(|what| format!("{whose}: {what}"))?;
        let key = key(&whose, "key", &self.key)?;
        let tls_key = key_of_tls(&whose, &self.tls_key)?;
        Ok(ReplicaEntry { address: self.address, key, tls_key })
    }
}

impl RawClient {
    fn checked(self) -> Result<ClientEntry, String> {
        let whose = format!("client {}", self.id);
        let key = key(&whose, "key", &self.key)?;
        let tls_key = key_of_tls(&whose, &self.tls_key)?;
        Ok(ClientEntry { name: self.name, key, tls_key })
    }
}

fn key(whose: &str, which: &str, text: &str) -> Result<PublicKey, String> {
    text.parse().map_err(|error| format!("{whose}, {which}: {error}"))
}

fn key_of_tls(whose: &str, text: &str) -> Result<PublicKey, String> {
    key(whose, "tls_key", text)
}

/// `host:port`, as far as that can be seen without asking for the host.
fn require_address(address: &str) -> Result<(), String> {
    let parts = address.rsplit_once(':');
    let is_good = parts.is_some_and(|(host, port)| {
        is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    match is_good {
        true => Ok(()),
        false => Err(format!("{address:?} is no address: write \"host:port\"")),
    }
}

/// Whether this may be a host's name, or its address in numbers.
pub(super) fn is_host(host: &str) -> bool {
    let may_be_there = |c: char| c.is_ascii_alphanumeric() || "-._:[]%".contains(c);
    !host.is_empty() && host.chars().all(may_be_there)
}
