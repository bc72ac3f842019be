//! Who is listed in a cluster: keys by number, and where the replicas are.

use crate::crypto::{BadKey, ClusterId, PublicKey};
use crate::message::genesis::{BadGenesis, CheckedGenesis, Genesis};
use crate::net::hello::Pieces;
use crate::types::{ClientId, ReplicaId};
use crate::wire;
use bincode::{Decode, Encode};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// One of the two kinds that may connect, with its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub enum Party {
    /// A replica.
    Replica(ReplicaId),
    /// A client.
    Client(ClientId),
}

impl fmt::Display for Party {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Replica(id) => write!(out, "replica {id}"),
            Party::Client(id) => write!(out, "client {id}"),
        }
    }
}

/// A listed replica, as far as connecting goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// `host:port`. No part of the cluster's name: it may change.
    pub address: String,
    /// The key that it shows in TLS.
    pub tls_key: PublicKey,
}

/// Why no directory can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDirectory {
    /// The genesis itself is no good.
    #[error(transparent)]
    Genesis(#[from] BadGenesis),
    /// A TLS key is not acceptable.
    #[error("the TLS key of {0} is refused: {1}")]
    Key(Party, BadKey),
    /// One key has two uses.
    #[error(
        "the key {0} is listed twice: each replica and client needs a TLS key of its own, and \
         one that is not its consensus key"
    )]
    KeyTwice(PublicKey),
    /// As many TLS keys are needed as there are members.
    #[error("the genesis lists other members than the directory")]
    Members,
}

/// Everybody who may connect, by key and by number.
#[derive(Clone, Debug)]
pub struct Directory {
    genesis: Arc<CheckedGenesis>,
    cluster: ClusterId,
    pieces: Pieces,
    replicas: Vec<Listed>,
    clients: Vec<PublicKey>,
    parties: BTreeMap<PublicKey, Party>,
}

impl Directory {
    /// The genesis' name: it covers the given name and all TLS keys, so that the
    /// cluster's identity does. Addresses are left out, since they may change.
    pub fn genesis_name(name: &str, replicas: &[PublicKey], clients: &[PublicKey]) -> Vec<u8> {
        let lists: [wire::List<PublicKey>; 2] = [replicas.to_vec().into(), clients.to_vec().into()];
        let [replicas, clients] = lists;
        wire::encode(&(wire::Blob::from(name), replicas, clients))
    }

    /// The directory of this genesis. The lists are in the order of numbers.
    pub fn new(
        name: &str,
        genesis: Genesis,
        replicas: Vec<Listed>,
        clients: Vec<PublicKey>,
    ) -> Result<Directory, BadDirectory> {
        let genesis = genesis.checked()?;
        let is_whole = replicas.len() == genesis.replicas.len();
        if !is_whole || clients.len() != genesis.clients.len() {
            return Err(BadDirectory::Members);
        }
        let mut parties = BTreeMap::new();
        let replica_keys = (0..).map(|id| Party::Replica(ReplicaId(id)));
        let replica_keys = replica_keys.zip(replicas.iter().map(|one| one.tls_key));
        let client_keys = (0..).map(|id| Party::Client(ClientId(id))).zip(clients.iter().copied());
        let signing: BTreeSet<PublicKey> =
            genesis.replicas.iter().chain(&genesis.clients).copied().collect();
        for (party, key) in replica_keys.chain(client_keys) {
            key.listed().map_err(|reason| BadDirectory::Key(party, reason))?;
            if signing.contains(&key) || parties.insert(key, party).is_some() {
                return Err(BadDirectory::KeyTwice(key));
            }
        }
        let tls_keys: Vec<PublicKey> = replicas.iter().map(|one| one.tls_key).collect();
        let pieces = Pieces::of(name, &genesis, &tls_keys, &clients);
        let cluster = genesis.cluster();
        Ok(Directory { genesis, cluster, pieces, replicas, clients, parties })
    }

    /// Who shows this key in TLS.
    pub fn party_of(&self, tls_key: &PublicKey) -> Option<Party> {
        self.parties.get(tls_key).copied()
    }

    /// The key that this party shows in TLS.
    pub fn key_of(&self, party: Party) -> Option<PublicKey> {
        match party {
            Party::Replica(id) => self.replicas.get(usize::from(id.0)).map(|one| one.tls_key),
            Party::Client(id) => {
                usize::try_from(id.0).ok().and_then(|index| self.clients.get(index)).copied()
            }
        }
    }

    /// Where a replica is: `host:port`.
    pub fn address_of(&self, replica: ReplicaId) -> Option<&str> {
        self.replicas.get(usize::from(replica.0)).map(|one| one.address.as_str())
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = &str> {
        self.replicas.iter().map(|one| one.address.as_str())
    }

    /// The cluster's name: what everything signed begins with.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Who takes part, and under which rules.
    pub fn genesis(&self) -> &Arc<CheckedGenesis> {
        &self.genesis
    }

    /// The parts of the cluster's name, to find out which of them differ.
    pub(crate) fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// The most bytes of one frame that this party may send.
    pub(crate) fn most_bytes_from(&self, party: Party) -> usize {
        /// What a request is wrapped in.
        const SLACK: u64 = 4 << 10;
        let parameters = &self.genesis.parameters;
        match party {
            Party::Replica(_) => wire::MOST_BYTES,
            Party::Client(_) => {
                let operations = parameters.bundle_operations.saturating_mul(16);
                let bytes = parameters.bundle_bytes.saturating_add(operations);
                let bytes = usize::try_from(bytes.saturating_add(SLACK)).unwrap_or(usize::MAX);
                bytes.min(wire::MOST_BYTES)
            }
        }
    }
}
