//! The genesis: who takes part, and the numbers all must agree on. The same on every
//! node; its digest names the cluster.

use crate::crypto::{BadKey, ClusterId, PublicKey};
use crate::types::{ClientId, Committee, Digest, ReplicaId, Span};
use crate::wire::{self, List};
use bincode::{Decode, Encode};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

/// The most clients that one cluster lists.
pub const MOST_CLIENTS: usize = 100_000;

/// The most bytes of a new view. Two fit in one message, as evidence, with some room.
const MOST_NEW_VIEW_BYTES: u64 = (wire::MOST_BYTES as u64 - (64 << 10)) / 2;

/// A signed proposal: view, number, digest, voter, signature.
const PROPOSAL_BYTES: u64 = 8 + 8 + 32 + 10 + 64;

/// A member of a certificate: voter, signature.
const ENDORSEMENT_BYTES: u64 = 10 + 64;

/// What every replica must hold alike for the protocol to work. Part of the genesis,
/// and so of the cluster's name. What may differ from node to node is not in here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Parameters {
    /// `K`: a checkpoint after so many numbers.
    pub checkpoint_interval: u64,
    /// `L`: numbers are given up to so many above the stable checkpoint.
    pub window: u64,
    /// The most items in one batch.
    pub batch_items: u64,
    /// The most bytes in one batch.
    pub batch_bytes: u64,
    /// The most operations in one bundle.
    pub bundle_operations: u64,
    /// The most bytes of one bundle's operations together.
    pub bundle_bytes: u64,
    /// How many numbers above the acknowledged ones a client may have outstanding.
    pub client_window: u64,
    /// The most bytes of results kept for a client until it acknowledges them.
    pub client_kept_bytes: u64,
    /// The most bytes of one operation's result.
    pub result_bytes: u64,
    /// How far a proposed time may lie from a backup's clock.
    pub time_tolerance: Span,
    /// A replica may recover once in so many checkpoints.
    pub recovery_spacing: u64,
    /// Rotate the primary after so many stable checkpoints in its view; 0 is never.
    pub rotation: u64,
}

impl Default for Parameters {
    fn default() -> Parameters {
        Parameters {
            checkpoint_interval: 128,
            window: 512,
            batch_items: 512,
            batch_bytes: 4 << 20,
            bundle_operations: 256,
            bundle_bytes: 2 << 20,
            client_window: 512,
            client_kept_bytes: 4 << 20,
            result_bytes: (1 << 20) + (64 << 10),
            time_tolerance: Span::seconds(10),
            recovery_spacing: 4,
            rotation: 0,
        }
    }
}

/// Why a genesis cannot start a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadGenesis {
    /// Too few or too many replicas.
    #[error("{0} replicas are listed; a cluster has 4 to 100")]
    Replicas(usize),
    /// Too many clients.
    #[error("{0} clients are listed; a cluster has at most {MOST_CLIENTS}")]
    Clients(usize),
    /// A replica's key is not acceptable.
    #[error("the key of replica {0} is refused: {1}")]
    ReplicaKey(ReplicaId, BadKey),
    /// A client's key is not acceptable.
    #[error("the key of client {0} is refused: {1}")]
    ClientKey(ClientId, BadKey),
    /// One key stands for two.
    #[error("the key {0} is listed twice; everybody needs a key of their own")]
    KeyTwice(PublicKey),
    /// The parameters contradict each other.
    #[error("{0}")]
    Parameters(&'static str),
}

/// Who takes part, and under which rules.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Genesis {
    /// Any bytes that tell this cluster from others of the same members.
    pub name: List<u8>,
    /// The replicas' keys, by their numbers.
    pub replicas: List<PublicKey>,
    /// The clients' keys, by their numbers.
    pub clients: List<PublicKey>,
    /// What all must hold alike.
    pub parameters: Parameters,
}

impl Genesis {
    /// The cluster's name: the digest of all this.
    pub fn cluster(&self) -> ClusterId {
        ClusterId(Digest::of_parts(&[b"quorate1 genesis", &wire::encode(self)]))
    }

    /// Checks everything that can be wrong with a genesis.
    pub fn check(&self) -> Result<Committee, BadGenesis> {
        let committee = self.check_members()?;
        self.check_keys()?;
        self.parameters.check()?;
        match self.parameters.most_new_view_bytes(committee) <= MOST_NEW_VIEW_BYTES {
            true => Ok(committee),
            false => Err(BadGenesis::Parameters(
                "a new view of so many replicas over so large a window could exceed what a \
                 message may have: choose a smaller window, or list fewer replicas",
            )),
        }
    }

    fn check_members(&self) -> Result<Committee, BadGenesis> {
        if self.clients.len() > MOST_CLIENTS {
            return Err(BadGenesis::Clients(self.clients.len()));
        }
        u16::try_from(self.replicas.len())
            .ok()
            .and_then(Committee::new)
            .ok_or(BadGenesis::Replicas(self.replicas.len()))
    }

    fn check_keys(&self) -> Result<(), BadGenesis> {
        for (id, key) in (0..).map(ReplicaId).zip(&self.replicas) {
            key.listed().map_err(|reason| BadGenesis::ReplicaKey(id, reason))?;
        }
        for (id, key) in (0..).map(ClientId).zip(&self.clients) {
            key.listed().map_err(|reason| BadGenesis::ClientKey(id, reason))?;
        }
        let mut seen = BTreeSet::new();
        match self.replicas.iter().chain(&self.clients).find(|key| !seen.insert(**key)) {
            Some(key) => Err(BadGenesis::KeyTwice(*key)),
            None => Ok(()),
        }
    }
}

/// A genesis in which nothing is wrong: checked once, and then believed wherever it is
/// handed to. The way to one is [`Genesis::checked`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedGenesis {
    genesis: Genesis,
    committee: Committee,
    cluster: ClusterId,
}

impl Genesis {
    /// Checks it, for everybody that needs a checked one.
    pub fn checked(self) -> Result<Arc<CheckedGenesis>, BadGenesis> {
        let committee = self.check()?;
        let cluster = self.cluster();
        Ok(Arc::new(CheckedGenesis { genesis: self, committee, cluster }))
    }
}

impl CheckedGenesis {
    /// Who takes part.
    pub fn committee(&self) -> Committee {
        self.committee
    }

    /// The cluster's name, as it was computed once.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }
}

impl Deref for CheckedGenesis {
    type Target = Genesis;
    fn deref(&self) -> &Genesis {
        &self.genesis
    }
}

impl Parameters {
    /// More bytes than the largest bundle takes, alone in a batch.
    fn most_request_bytes(&self) -> u64 {
        let operations = self.bundle_operations.saturating_mul(16);
        self.bundle_bytes.saturating_add(operations).saturating_add(256)
    }

    /// The bytes of the largest new view: `Q` view-changes, each with a prepared
    /// certificate for every number of the window, and as many proposals.
    fn most_new_view_bytes(&self, committee: Committee) -> u64 {
        let quorum = committee.quorum() as u64;
        let prepared = PROPOSAL_BYTES + 8 + (quorum - 1) * ENDORSEMENT_BYTES;
        let stable = 8 + 32 + 8 + quorum * ENDORSEMENT_BYTES;
        let window = |bytes: u64| self.window.saturating_mul(bytes);
        let view_change = window(prepared).saturating_add(8 + 10 + 1 + stable + 8 + 64);
        let view_changes = quorum.saturating_mul(view_change);
        view_changes.saturating_add(window(PROPOSAL_BYTES)).saturating_add(8 + 10 + 8 + 8 + 64)
    }

    /// Checks that the numbers fit together.
    pub fn check(&self) -> Result<(), BadGenesis> {
        let rules = [
            (self.checkpoint_interval >= 1, "the checkpoint interval must be at least 1"),
            (self.checkpoint_interval <= 1 << 16, "the checkpoint interval must be at most 65536"),
            (
                self.window >= self.checkpoint_interval.saturating_mul(2),
                "the window must hold at least two checkpoint intervals",
            ),
            (self.window <= 1 << 18, "the window must be at most 262144"),
            (self.batch_items >= 1, "a batch must hold at least one item"),
            (self.bundle_operations >= 1, "a bundle must hold at least one operation"),
            (
                self.bundle_operations <= self.client_window,
                "the largest bundle must fit in a client's window",
            ),
            (
                self.most_request_bytes() <= self.batch_bytes,
                "the largest bundle must fit in a batch",
            ),
            (self.batch_bytes <= 32 << 20, "a batch must be at most 32 MiB"),
            (self.bundle_bytes >= 1, "a bundle must hold at least one byte"),
            (self.result_bytes >= 1, "a result must hold at least one byte"),
            (self.result_bytes <= 32 << 20, "a result must be at most 32 MiB"),
            (
                self.result_bytes <= self.client_kept_bytes,
                "a client's kept results must have room for the largest result",
            ),
            (
                self.time_tolerance.0 >= 1,
                "clocks are never alike: the time tolerance must not be 0",
            ),
            (self.recovery_spacing >= 1, "recoveries must be at least one checkpoint apart"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, complaint)) => Err(BadGenesis::Parameters(complaint)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D3: a file that somebody typed is refused, whatever is in it, and not stumbled over.
    #[test]
    fn absurd_parameters_are_refused_and_not_counted_with() {
        let absurd: [fn(&mut Parameters); 8] = [
            |parameters| parameters.checkpoint_interval = u64::MAX,
            |parameters| parameters.window = u64::MAX,
            |parameters| parameters.bundle_bytes = u64::MAX,
            |parameters| {
                parameters.bundle_operations = u64::MAX;
                parameters.client_window = u64::MAX;
            },
            |parameters| parameters.batch_bytes = u64::MAX,
            |parameters| parameters.result_bytes = u64::MAX,
            |parameters| parameters.checkpoint_interval = 0,
            |parameters| parameters.time_tolerance = Span::ZERO,
        ];
        assert_eq!(Parameters::default().check(), Ok(()));
        for spoil in absurd {
            let mut parameters = Parameters::default();
            spoil(&mut parameters);
            assert!(matches!(parameters.check(), Err(BadGenesis::Parameters(_))), "{parameters:?}");
        }
    }

    fn fits(replicas: u16, window: u64) -> bool {
        let committee = Committee::new(replicas).expect("a committee");
        let parameters = Parameters { window, ..Parameters::default() };
        parameters.most_new_view_bytes(committee) <= MOST_NEW_VIEW_BYTES
    }

    #[test]
    fn a_cluster_whose_new_view_no_message_can_hold_is_refused() {
        assert!(fits(4, 512));
        assert!(fits(31, 512));
        assert!(!fits(100, 512));
        assert!(fits(100, 64));
        assert!(!fits(4, 1 << 18));
        let (mut low, mut high) = (512, 1 << 18);
        while low + 1 < high {
            let middle = (low + high) / 2;
            *(if fits(4, middle) { &mut low } else { &mut high }) = middle;
        }
        assert!(low > 20_000, "four replicas can afford a window of {low}");
    }
}
