//! `client-N.toml`: what one client needs beside the cluster's file.

use super::keys::{KeyError, KeyFiles, Keys};
use super::parse::{Kind, parse};
use super::text::{Time, table};
use super::{ClusterFile, ConfigError, beside, read, wrong};
use crate::client::Settings;
use crate::net::{Directory, Party};
use crate::types::ClientId;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A client's own configuration, with the cluster's beside it.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The file itself.
    pub path: PathBuf,
    /// The cluster's file.
    pub cluster: ClusterFile,
    /// Where the replicas are, and their keys.
    pub directory: Arc<Directory>,
    /// Which client this is.
    pub id: ClientId,
    /// Where its keys are.
    pub key_files: KeyFiles,
    /// Where it remembers which numbers it has used.
    pub session: PathBuf,
    /// Its own times.
    pub settings: Settings,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawClient {
    cluster: PathBuf,
    id: u32,
    key: PathBuf,
    tls_key: PathBuf,
    #[serde(default)]
    insecure_key_permissions: bool,
    session: PathBuf,
    #[serde(default)]
    settings: RawSettings,
}

table!(RawSettings of Settings {
    retry: Time,
    most_retry: Time,
    reply_patience: Time,
    timeout: Time,
    read_patience: Time,
    proof_patience: Time,
});

impl ClientConfig {
    /// Loads the file and the cluster's, and checks that they fit. Keys are loaded
    /// apart, by [`ClientConfig::keys`].
    pub fn load(path: &Path) -> Result<ClientConfig, ConfigError> {
        let raw: RawClient = parse(Kind::Client, path, &read(path)?)?;
        let cluster_path = beside(path, &raw.cluster);
        let cluster = ClusterFile::load(&cluster_path)?;
        let directory = Arc::new(cluster.directory_of(&cluster_path)?);
        let id = ClientId(raw.id);
        if directory.key_of(Party::Client(id)).is_none() {
            let listed = cluster.clients.len();
            return Err(wrong(
                path,
                format!(
                    "there is no client {id} among the {listed} that {} lists: correct the id, \
                     or name the right cluster file",
                    cluster_path.display()
                ),
            ));
        }
        let settings: Settings = raw.settings.into();
        let times = [settings.retry, settings.timeout, settings.read_patience];
        let patiences = [settings.proof_patience, settings.reply_patience];
        if times.iter().chain(&patiences).any(|time| time.0 == 0) {
            return Err(wrong(path, "no time in [settings] may be 0".to_string()));
        }
        if settings.most_retry < settings.retry {
            let what = "settings.most_retry must not be less than settings.retry";
            return Err(wrong(path, what.to_string()));
        }
        Ok(ClientConfig {
            path: path.to_path_buf(),
            cluster,
            directory,
            id,
            key_files: KeyFiles {
                key: beside(path, &raw.key),
                tls_key: beside(path, &raw.tls_key),
                trust_permissions: raw.insecure_key_permissions,
            },
            session: beside(path, &raw.session),
            settings,
        })
    }

    /// This client, as a party of connections.
    pub fn party(&self) -> Party {
        Party::Client(self.id)
    }

    /// Loads the private keys, and checks that they are this client's.
    pub fn keys(&self) -> Result<Keys, KeyError> {
        self.key_files.load(&self.directory, self.party())
    }
}
