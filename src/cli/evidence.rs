//! Records of lies: how they are kept, checked and told.

use crate::crypto::Ed25519;
use crate::message::{Evidence, Verified, Verifier};
use crate::types::Digest;
use crate::wire;

/// The record that these hexadecimal digits are, checked.
pub(super) fn opened(
    hex: &str,
    verifier: &Verifier<Ed25519>,
) -> Result<Verified<Evidence>, String> {
    let bytes = unhex(hex).ok_or("a record is not written in hexadecimal digits")?;
    let record = wire::decode(&bytes, wire::MOST_BYTES)
        .map_err(|error| format!("a record cannot be read: {error}"))?;
    verifier.evidence(record).map_err(|reject| format!("a record proves nothing: {reject:?}"))
}

/// The bytes of hexadecimal digits.
pub(super) fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Who signed which two things that conflict.
pub(super) fn in_words(evidence: &Evidence) -> String {
    let replica = evidence.accused().replica;
    let what = match evidence {
        Evidence::PrePrepare(one, other) => {
            let (seq, view) = (one.body.seq, one.body.view);
            let digests = both(one.body.digest, other.body.digest);
            format!("proposals for number {seq} of view {view}: {digests}")
        }
        Evidence::Prepare(one, other) => {
            let (seq, view) = (one.body.seq, one.body.view);
            let digests = both(one.body.digest, other.body.digest);
            format!("prepares for number {seq} of view {view}: {digests}")
        }
        Evidence::Commit(one, other) => {
            let (seq, view) = (one.body.seq, one.body.view);
            let digests = both(one.body.digest, other.body.digest);
            format!("commits for number {seq} of view {view}: {digests}")
        }
        Evidence::Checkpoint(one, other) => {
            let digests = both(one.body.digest, other.body.digest);
            format!("states of checkpoint {}: {digests}", one.body.seq)
        }
        Evidence::ViewChange(one, _) => format!("different wishes for view {}", one.body.view),
        Evidence::NewView(one, _) => format!("different openings of view {}", one.body.view),
    };
    format!("replica {replica} signed two {what}")
}

/// Two digests in an order of their own: who found them in which order says nothing.
fn both(one: Digest, other: Digest) -> String {
    format!("{} and {}", one.min(other).short(), one.max(other).short())
}
