//! Proved reads: an answer that needs nobody's word (§ Reads).
//!
//! One replica shows the content of the keys that the answer stands on, with a proof
//! against the digest of a state, and the certificate of a checkpoint with that digest:
//! `Q` replicas signed it, so an honest one had that state. The answer is then computed
//! here. How old it is, the same proof says: the checkpoint's number is in the
//! certificate, and the agreed time in the protocol's own entry of the state.

use crate::crypto::Scheme;
use crate::message::{CheckpointCertificate, Reject, Verified, Verifier};
use crate::replica::executor::{Agreed, PROTOCOL};
use crate::service::state::system_key;
use crate::service::tree::{Proof, ProofError};
use crate::service::{KeyRange, Service, answer_from_proof, data};
use crate::types::{ClientId, Seq, Timestamp};
use crate::wire::{self, Blob, Malformed};
use bincode::{Decode, Encode};

/// An answer with all that proves it, to be shown to others.
#[derive(Clone, PartialEq, Debug)]
pub struct Proved {
    /// The result, as computed from what was proved.
    pub result: Blob,
    /// The agreed time of the checkpoint.
    pub time: Timestamp,
    /// The certificate of the checkpoint.
    pub certificate: Verified<CheckpointCertificate>,
    /// The content of the keys that the result stands on.
    pub content: Proof,
    /// The content of the protocol's own entry.
    pub protocol: Proof,
}

impl Proved {
    /// The number of the checkpoint.
    pub fn seq(&self) -> Seq {
        self.certificate.seq()
    }
}

/// What the bytes of every kept proof begin with, and the version of what follows.
const HEAD: &[u8; 14] = b"quorate proof1";

/// An answer with its proof, to be kept and shown. Nothing in it is known to be true before
/// [`Kept::prove`] has judged it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Kept {
    /// Who asked: a service may answer one client otherwise than another.
    pub client: ClientId,
    /// What was asked.
    pub operation: Blob,
    /// The certificate of the checkpoint.
    pub certificate: CheckpointCertificate,
    /// The content of the keys that the result stands on.
    pub content: Proof,
    /// The content of the protocol's own entry.
    pub protocol: Proof,
}

impl Kept {
    /// What is to be kept of an answer to this client's operation.
    pub fn of(client: ClientId, operation: Blob, proved: &Proved) -> Kept {
        let Proved { certificate, content, protocol, .. } = proved.clone();
        Kept { client, operation, certificate: certificate.into_inner(), content, protocol }
    }

    /// The bytes of it as it is kept in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        wire::encode_into(self, &mut bytes);
        bytes
    }

    /// What these bytes are, if they begin as a kept proof does.
    pub fn from_bytes(bytes: &[u8]) -> Option<Result<Kept, Malformed>> {
        Some(wire::decode(bytes.strip_prefix(HEAD)?, wire::MOST_BYTES))
    }

    /// Checks it, and computes what it proves.
    pub fn prove<S: Scheme>(
        self,
        verifier: &Verifier<S>,
        service: &dyn Service,
    ) -> Result<Proved, NotProved> {
        let shown = (self.certificate, self.content, self.protocol);
        prove(verifier, service, self.client, &self.operation, shown)
    }
}

/// Why something proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotProved {
    /// The service can't prove answers to this operation.
    #[error("the service has no proof for this operation")]
    NoSuchProof,
    /// The certificate is none.
    #[error("the certificate of the checkpoint is not good: {0:?}")]
    Certificate(Reject),
    /// What the keys hold is not shown.
    #[error("the content is not proved: {0}")]
    Content(ProofError),
    /// When that was is not shown.
    #[error("the agreed time is not proved: {0}")]
    Time(ProofError),
    /// What is proved is no record of the protocol.
    #[error("the state holds no record of the protocol: it is another version's")]
    NoRecord,
}

/// What a replica shows: the certificate, the content of the keys asked for, and the
/// content of the protocol's own entry.
pub type Shown = (CheckpointCertificate, Proof, Proof);

/// Checks an answer to an operation, and computes what it proves.
pub fn prove<S: Scheme>(
    verifier: &Verifier<S>,
    service: &dyn Service,
    client: ClientId,
    operation: &[u8],
    (certificate, content, protocol): Shown,
) -> Result<Proved, NotProved> {
    let range = service.proof_range(operation).ok_or(NotProved::NoSuchProof)?;
    let certificate = verifier.certificate(certificate).map_err(NotProved::Certificate)?;
    let root = certificate.digest();
    let entries = content.verify(root, &data::data_range(&range)).map_err(NotProved::Content)?;
    let record = KeyRange::single(&system_key(PROTOCOL));
    let record = protocol.verify(root, &record).map_err(NotProved::Time)?;
    let (_, record, _) = record.first().ok_or(NotProved::NoRecord)?;
    let agreed: Agreed = wire::decode(record, wire::MOST_BYTES).map_err(|_| NotProved::NoRecord)?;
    let result = answer_from_proof(service, client, operation, entries).into();
    Ok(Proved { result, time: agreed.time, certificate, content, protocol })
}
