//! Records of lies: how they are kept, checked and told.

use crate::crypto::Ed25519;
use crate::message::{Evidence, Verified, Verifier};
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
        Evidence::PrePrepare(one, other) => format!(
            "proposals for number {} of view {}: {} and {}",
            one.body.seq,
            one.body.view,
            one.body.digest.short(),
            other.body.digest.short()
        ),
        Evidence::Prepare(one, other) => format!(
            "prepares for number {} of view {}: {} and {}",
            one.body.seq,
            one.body.view,
            one.body.digest.short(),
            other.body.digest.short()
        ),
        Evidence::Commit(one, other) => format!(
            "commits for number {} of view {}: {} and {}",
            one.body.seq,
            one.body.view,
            one.body.digest.short(),
            other.body.digest.short()
        ),
        Evidence::Checkpoint(one, other) => format!(
            "states of checkpoint {}: {} and {}",
            one.body.seq,
            one.body.digest.short(),
            other.body.digest.short()
        ),
        Evidence::ViewChange(one, _) => format!("wishes for view {}", one.body.view),
        Evidence::NewView(one, _) => format!("openings of view {}", one.body.view),
    };
    format!("replica {replica} signed two {what}")
}
