//! A receipt: what proves to others that an operation was executed (§ Clients).
//!
//! It holds the client's signed request, the result in full, and the signatures of `Q`
//! replicas that say the same of it. Whoever has the genesis checks it offline, years
//! later, and needs to trust nobody: of those `Q`, at most `f` lie.
//!
//! It proves that this client asked for the operation, and that it was executed under
//! its number, at this place in the one order, with this result. It proves neither when
//! that was nor that nothing came after it; and a result may well say that the service
//! refused the operation.

use crate::crypto::Scheme;
use crate::message::{ReceiptCertificate, Reject, Request, Signed, Verifier, Voter};
use crate::types::{ClientId, Digest, RequestNumber, Seq};
use crate::wire::{self, Blob, Malformed};
use bincode::{Decode, Encode};

/// What the bytes of every receipt begin with.
const HEAD: &[u8; 15] = b"quorate receipt";

/// The version of the format, which follows.
const VERSION: u8 = b'1';

/// A receipt, to be kept and shown. Nothing in it is known to be true before
/// [`verify`] has judged it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Receipt {
    /// The bundle in which the client asked for the operation.
    pub request: Signed<Request>,
    /// The operation's result, in the service's own encoding.
    pub result: Blob,
    /// Who says that it was executed, and where in the order.
    pub certificate: ReceiptCertificate,
}

impl Receipt {
    /// The operation that it is for, if the request has one under that number.
    pub fn operation(&self) -> Option<&Blob> {
        operation(&self.request.body, self.certificate.number())
    }

    /// The bytes of a receipt as it is kept in a file, or sent to others.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        bytes.push(VERSION);
        wire::encode_into(self, &mut bytes);
        bytes
    }

    /// The receipt that these bytes are.
    pub fn from_bytes(bytes: &[u8]) -> Result<Receipt, NotAReceipt> {
        let (version, content) =
            bytes.strip_prefix(HEAD).and_then(<[u8]>::split_first).ok_or(NotAReceipt::NoHead)?;
        if *version != VERSION {
            return Err(NotAReceipt::OtherVersion);
        }
        wire::decode(content, wire::MOST_BYTES).map_err(NotAReceipt::Malformed)
    }
}

/// The operation of a request that has this number.
fn operation(request: &Request, number: RequestNumber) -> Option<&Blob> {
    let index = number.0.checked_sub(request.first.0)?;
    request.operations.get(usize::try_from(index).ok()?)
}

/// Why bytes are no receipt.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAReceipt {
    /// They begin as something else.
    #[error("this does not begin as a receipt does: is it the right file?")]
    NoHead,
    /// They begin as a receipt of another version.
    #[error(
        "this receipt has another version of the format: check it with the version that made it"
    )]
    OtherVersion,
    /// What follows is not what a receipt holds.
    #[error("this begins as a receipt, and is none: was it cut off or changed? ({0})")]
    Malformed(Malformed),
}

/// What a receipt proves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proven {
    /// Who asked for the operation.
    pub client: ClientId,
    /// The number that the client gave to it.
    pub number: RequestNumber,
    /// The entry of the agreed order that executed it.
    pub seq: Seq,
    /// The operation.
    pub operation: Blob,
    /// Its result.
    pub result: Blob,
    /// The replicas that say so, each in one of its lives.
    pub voters: Vec<Voter>,
}

/// Why a receipt proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotProven {
    /// The client didn't ask for it.
    #[error(
        "the request is not a listed client's ({0:?}): \
         is the receipt of another cluster, or was it changed?"
    )]
    Request(Reject),
    /// The replicas didn't say it.
    #[error(
        "the replicas' signatures are not good ({0:?}): \
         is the receipt of another cluster, or was it changed?"
    )]
    Certificate(Reject),
    /// The replicas speak of another client than the request's.
    #[error("the request is of client {asked}, and the signatures are about client {said}")]
    OtherClient {
        /// Whose request it is.
        asked: ClientId,
        /// Whose operation was executed.
        said: ClientId,
    },
    /// The replicas speak of a number that the request has no operation for.
    #[error("the signatures are about number {0}, which the request does not have")]
    OtherNumber(RequestNumber),
    /// The replicas speak of another operation.
    #[error("the operation that was executed under number {0} is not the one in the request")]
    OtherOperation(RequestNumber),
    /// The replicas speak of another result.
    #[error(
        "the result is not the one that the replicas signed: it was changed, or belongs elsewhere"
    )]
    OtherResult,
}

/// Checks everything that a receipt claims, with nothing but what the verifier was made
/// of: the genesis.
pub fn verify<S: Scheme>(verifier: &Verifier<S>, receipt: &Receipt) -> Result<Proven, NotProven> {
    let Receipt { request, result, certificate } = receipt;
    let request = verifier.request(request.clone()).map_err(NotProven::Request)?;
    let certificate = verifier.certificate(certificate.clone()).map_err(NotProven::Certificate)?;
    let (asked, said) = (request.body.client, certificate.client());
    if asked != said {
        return Err(NotProven::OtherClient { asked, said });
    }
    let number = certificate.number();
    let operation = operation(&request.body, number).ok_or(NotProven::OtherNumber(number))?;
    if Digest::of(operation) != certificate.operation() {
        return Err(NotProven::OtherOperation(number));
    }
    if Digest::of(result) != certificate.result() {
        return Err(NotProven::OtherResult);
    }
    Ok(Proven {
        client: said,
        number,
        seq: certificate.seq(),
        operation: operation.clone(),
        result: result.clone(),
        voters: certificate.voters().collect(),
    })
}
