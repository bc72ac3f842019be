//! The files that a node and a client are started with.
//!
//! - `cluster.toml` lists who takes part, with their public keys and addresses, and the
//!   numbers that all must hold alike. It is public, and the same file everywhere
//!   ([`ClusterFile`]). Its digest, without the addresses, is the cluster's identity: a
//!   replica may move, and the cluster stays what it is.
//! - `replica-N.toml` and `client-N.toml` are one party's own: where its keys and data
//!   are, and how long it waits ([`ReplicaConfig`], [`ClientConfig`]).
//! - Private keys are files of their own ([`keys`]).
//!
//! Paths in a file are relative to the file. Unknown entries are refused, since they are
//! most often misspelt ones. [`init()`] writes all of a new cluster's files.

pub mod client;
pub mod cluster;
pub mod init;
pub mod keys;
mod parse;
pub(crate) mod regular;
pub mod replica;
mod template;
pub mod text;

#[cfg(test)]
mod tests;

pub use client::ClientConfig;
pub use cluster::ClusterFile;
pub use init::{InitError, InitOptions, Layout, Ports, init};
pub use keys::{KeyError, KeyFiles, Keys};
pub use replica::{Log, LogFormat, ReplicaConfig, StorageSettings};

use crate::net::directory::BadDirectory;
use parse::Kind;
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with a file, or with what it names.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error(
        "{path} cannot be read ({error}): name one of a cluster's files; 'quorate init' writes \
         new ones"
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is not TOML, or has entries that are not known, or not of the right kind.
    #[error(
        "{path} is not understood{}: {what}; the files that 'quorate init' writes show every \
         setting",
        line.map_or_else(String::new, |line| format!(" at line {line}"))
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, if at any one place.
        line: Option<usize>,
        /// What.
        what: String,
    },
    /// It is a good file of another kind, or begins to be one.
    #[error(
        "{path} is the file of a {found}, and that of a {wanted} is needed here: name that one"
    )]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// It is understood, and wrong.
    #[error("{path}: {what}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The members or parameters make no cluster.
    #[error("{path} describes no cluster: {error}")]
    Cluster {
        /// The file.
        path: PathBuf,
        /// Why.
        error: BadDirectory,
    },
    /// A private key is missing, or not to be trusted.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Larger files are no configuration: 100,000 clients take less.
const MOST_BYTES: u64 = 64 << 20;

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |error| ConfigError::Read { path: path.to_path_buf(), error };
    let bytes = regular::read(path, MOST_BYTES).map_err(failed)?;
    String::from_utf8(bytes)
        .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "it is no text")))
}

fn wrong(path: &Path, what: String) -> ConfigError {
    ConfigError::Wrong { path: path.to_path_buf(), what }
}

/// A path as it stands in a file: relative to that file.
fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// Any of the three files.
pub enum AnyFile {
    /// A cluster's.
    Cluster(Box<ClusterFile>),
    /// A replica's.
    Replica(Box<ReplicaConfig>),
    /// A client's.
    Client(Box<ClientConfig>),
}

impl AnyFile {
    /// Loads a file of whichever kind it is.
    pub fn load(path: &Path) -> Result<AnyFile, ConfigError> {
        let text = read(path)?;
        match Kind::of(path, &text)? {
            Kind::Cluster => Ok(AnyFile::Cluster(Box::new(ClusterFile::parse(path, &text)?))),
            Kind::Replica => Ok(AnyFile::Replica(Box::new(ReplicaConfig::load(path)?))),
            Kind::Client => Ok(AnyFile::Client(Box::new(ClientConfig::load(path)?))),
        }
    }
}
