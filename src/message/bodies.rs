//! What replicas and clients sign.
//!
//! Every body names its author and, where a replica is the author, the incarnation in
//! which it speaks: conflict is judged within one incarnation only.

use super::certificate::{CheckpointCertificate, PreparedCertificate};
use crate::crypto::{self, ClusterId, Signature, Signer, Tag};
use crate::types::{ClientId, Digest, Incarnation, Nonce, ReplicaId, RequestNumber, Seq, View};
use crate::wire::{Blob, List, Wire};
use bincode::{Decode, Encode};

/// Who signs a body.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum Author {
    /// A replica of the cluster.
    Replica(ReplicaId),
    /// A listed client.
    Client(ClientId),
}

/// Something that is signed: a kind, an author and canonical bytes.
pub trait Body: Wire + Clone {
    /// The kind and the protocol's version, part of what is signed.
    const TAG: Tag;

    /// Whose key must have signed.
    fn author(&self) -> Author;
}

/// A body and a signature over it. Nothing is known of the signature yet.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Signed<T> {
    /// What was signed.
    pub body: T,
    /// By the body's author, if it is good.
    pub signature: Signature,
}

impl<T: Body> Signed<T> {
    /// Signs a body.
    pub fn sign(body: T, cluster: &ClusterId, signer: &dyn Signer) -> Signed<T> {
        let signature = signer.sign(&crypto::statement(&T::TAG, cluster, &body));
        Signed { body, signature }
    }
}

/// A replica in one of its incarnations: whoever casts a vote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Voter {
    /// The replica.
    pub replica: ReplicaId,
    /// Which of its lives it speaks in.
    pub incarnation: Incarnation,
}

/// A client's operations, numbered on from the first, under one signature.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Request {
    /// Who asks.
    pub client: ClientId,
    /// The number of the first operation.
    pub first: RequestNumber,
    /// The client has all the replies up to this number, and needs none of them again.
    pub acknowledged: RequestNumber,
    /// The operations; only the service knows what they mean.
    pub operations: List<Blob>,
}

impl Request {
    /// The number of the last operation. None if there is no operation or its number
    /// would lie past the end of numbers.
    pub fn last(&self) -> Option<RequestNumber> {
        let count = u64::try_from(self.operations.len()).ok()?;
        self.first.checked_plus(count.checked_sub(1)?)
    }
}

/// A replica that lost its disk asks for its next incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct RecoveryRequest {
    /// The replica that lost its disk.
    pub replica: ReplicaId,
    /// Drawn anew for this recovery; only the command with this nonce ends it.
    pub nonce: Nonce,
}

/// The primary gives a number to a batch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct PrePrepare {
    /// The view whose primary proposes.
    pub view: View,
    /// The number given.
    pub seq: Seq,
    /// The digest of the batch, or [`super::batch::NULL`].
    pub digest: Digest,
    /// The primary.
    pub by: Voter,
}

/// A backup agrees with the proposal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Prepare {
    /// The view of the proposal.
    pub view: View,
    /// The number proposed.
    pub seq: Seq,
    /// The digest proposed.
    pub digest: Digest,
    /// The backup.
    pub by: Voter,
}

/// A replica holds a prepared certificate, on its disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Commit {
    /// The view in which it was prepared.
    pub view: View,
    /// The number.
    pub seq: Seq,
    /// The digest.
    pub digest: Digest,
    /// The replica.
    pub by: Voter,
}

/// A replica's state after executing everything up to `seq`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Checkpoint {
    /// The last number executed.
    pub seq: Seq,
    /// The digest of the whole state.
    pub digest: Digest,
    /// The replica.
    pub by: Voter,
}

/// A replica wants to enter a view, and shows what it must not forget.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct ViewChange {
    /// The view wanted.
    pub view: View,
    /// The replica.
    pub by: Voter,
    /// Its stable checkpoint; none while that is the genesis.
    pub stable: Option<CheckpointCertificate>,
    /// For each number above it that the replica ever prepared, the certificate of the
    /// highest view, in the order of numbers.
    pub prepared: List<PreparedCertificate>,
}

impl ViewChange {
    /// The number of the stable checkpoint.
    pub fn stable_seq(&self) -> Seq {
        self.stable.as_ref().map_or(Seq::GENESIS, CheckpointCertificate::seq)
    }
}

/// The primary of a new view shows why the view exists and what it starts with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct NewView {
    /// The view.
    pub view: View,
    /// Its primary.
    pub by: Voter,
    /// A quorum of view-changes, in the order of replicas.
    pub view_changes: List<Signed<ViewChange>>,
    /// What follows from them, in the order of numbers.
    pub pre_prepares: List<Signed<PrePrepare>>,
}

/// A replica has executed an operation, and says so to whoever may be shown it. Not a
/// vote: nothing in the protocol waits for one, and none can become untrue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Receipt {
    /// Whose operation.
    pub client: ClientId,
    /// Its number.
    pub number: RequestNumber,
    /// The entry of the agreed order that executed it.
    pub seq: Seq,
    /// The digest of the operation.
    pub operation: Digest,
    /// The digest of the result.
    pub result: Digest,
    /// The replica.
    pub by: Voter,
}

impl Receipt {
    /// Whether the other says the same, whoever says it.
    pub fn is_alike(&self, other: &Receipt) -> bool {
        Receipt { by: self.by, ..*other } == *self
    }
}

macro_rules! body {
    ($type:ty, $tag:literal, $self:ident => $author:expr) => {
        impl Body for $type {
            const TAG: Tag = *$tag;

            fn author(&$self) -> Author {
                $author
            }
        }
    };
}

body!(Request, b"quorate1 request", self => Author::Client(self.client));
body!(RecoveryRequest, b"quorate1 recover", self => Author::Replica(self.replica));
body!(PrePrepare, b"quorate1 propose", self => Author::Replica(self.by.replica));
body!(Prepare, b"quorate1 prepare", self => Author::Replica(self.by.replica));
body!(Commit, b"quorate1 commit_", self => Author::Replica(self.by.replica));
body!(Checkpoint, b"quorate1 checkpt", self => Author::Replica(self.by.replica));
body!(ViewChange, b"quorate1 viewchg", self => Author::Replica(self.by.replica));
body!(NewView, b"quorate1 newview", self => Author::Replica(self.by.replica));
body!(Receipt, b"quorate1 receipt", self => Author::Replica(self.by.replica));
