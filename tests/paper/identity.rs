//! § Identity and signing, and what § Messages says of who signs what.

use crate::support::{Solo, first_life, life};
use crate::world::{genesis, parameters, replica_key};
use curve25519_dalek::constants::{ED25519_BASEPOINT_TABLE, EIGHT_TORSION};
use curve25519_dalek::scalar::Scalar;
use quorate::crypto::{
    BadKey, Check, Ed25519, PublicKey, Scheme, SecretKey, Signature, Signer, statement,
};
use quorate::message::genesis::BadGenesis;
use quorate::message::{Body, Checkpoint, Commit, Evidence, PeerMessage, Prepare, Reject, Signed};
use quorate::types::{Digest, ReplicaId, Seq, View};
use sha2::Digest as _;

/// A weak key is refused when it is loaded, by name.
#[test]
fn a_weak_key_is_refused_by_name() {
    let mut bad = genesis(4, 2, parameters());
    bad.replicas.0[2] = PublicKey(EIGHT_TORSION[1].compress().0);
    assert_eq!(bad.check(), Err(BadGenesis::ReplicaKey(ReplicaId(2), BadKey::SmallOrder)));
}

/// One with a component of small order too.
#[test]
fn a_key_with_torsion_is_refused_by_name() {
    let mut bad = genesis(4, 2, parameters());
    let encoded = curve25519_dalek::edwards::CompressedEdwardsY(replica_key(2).public().0);
    let mixed = encoded.decompress().expect("a key") + EIGHT_TORSION[1];
    bad.clients.0[1] = PublicKey(mixed.compress().0);
    let refused = bad.check().expect_err("it has torsion");
    assert!(matches!(refused, BadGenesis::ClientKey(_, BadKey::Torsion)));
    assert!(refused.to_string().contains("client 1"));
}

fn vote(digest: Digest) -> Commit {
    Commit { view: View(0), seq: Seq(1), digest, by: first_life(2) }
}

/// No signature serves in another cluster.
#[test]
fn a_signature_of_another_cluster_is_refused() {
    let solo = Solo::new(1);
    let other = genesis(4, 3, parameters()).cluster();
    assert_ne!(other, solo.genesis.cluster());
    let signed = Signed::sign(vote(Digest::of(b"")), &other, &replica_key(2));
    assert_eq!(solo.verify(PeerMessage::Commit(signed)), Some(Reject::BadSignature));
}

/// Nor for another kind of message with the very same fields.
#[test]
fn a_signature_of_another_kind_is_refused() {
    let solo = Solo::new(1);
    let digest = Digest::of(b"");
    let prepare = Prepare { view: View(0), seq: Seq(1), digest, by: first_life(2) };
    let signature = solo.sign(2, prepare).signature;
    let commit = Signed { body: vote(digest), signature };
    assert_eq!(solo.verify(PeerMessage::Commit(commit)), Some(Reject::BadSignature));
}

/// Nor for another version: the tag is part of what is signed.
#[test]
fn a_signature_of_another_version_is_refused() {
    let solo = Solo::new(1);
    let body = vote(Digest::of(b""));
    let mut tag = Commit::TAG;
    tag[7] = b'2';
    let signature = replica_key(2).sign(&statement(&tag, &solo.genesis.cluster(), &body));
    assert_eq!(
        solo.verify(PeerMessage::Commit(Signed { body, signature })),
        Some(Reject::BadSignature)
    );
}

/// A certificate's signatures are bound to number and digest (V4).
#[test]
fn true_signatures_bound_to_another_number_are_refused() {
    let solo = Solo::new(1);
    let bytes =
        quorate::wire::encode(&PeerMessage::Stable(solo.certified(8, Digest::of(b"state"))));
    assert!(solo.verifier.peer_bytes(&bytes).is_ok());
    let mut moved = bytes.clone();
    moved[4] = 16;
    assert_eq!(solo.verifier.peer_bytes(&moved).err(), Some(Reject::BadSignature));
    let mut other = bytes;
    other[4 + 8] ^= 1;
    assert_eq!(solo.verifier.peer_bytes(&other).err(), Some(Reject::BadSignature));
}

/// Decoding refuses trailing bytes.
#[test]
fn trailing_bytes_are_refused() {
    let solo = Solo::new(1);
    let mut bytes = quorate::wire::encode(&solo.commit(2, 0, 1, Digest::of(b"")));
    assert!(solo.verifier.peer_bytes(&bytes).is_ok());
    bytes.push(0);
    assert_eq!(solo.verifier.peer_bytes(&bytes).err(), Some(Reject::Malformed));
}

/// A vote that arrives by another's connection is judged by its own signature alone.
#[test]
fn a_vote_that_another_relays_counts() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    let vote = solo.prepare(2, 0, 1, batch.digest());
    assert_eq!(solo.peer(3, vote).commits().len(), 1);
}

/// Evidence is judged within one incarnation.
#[test]
fn two_lives_of_one_replica_are_no_evidence() {
    let solo = Solo::new(1);
    let one = Checkpoint { seq: Seq(8), digest: Digest::of(b"1"), by: life(2, 0) };
    let other = Checkpoint { seq: Seq(8), digest: Digest::of(b"2"), by: life(2, 1) };
    let evidence = Evidence::Checkpoint(solo.sign(2, one), solo.sign(2, other));
    assert_eq!(solo.verify(PeerMessage::Evidence(evidence)), Some(Reject::NoConflict));
    let other = Checkpoint { by: life(2, 0), ..other };
    let evidence = Evidence::Checkpoint(solo.sign(2, one), solo.sign(2, other));
    assert_eq!(solo.verify(PeerMessage::Evidence(evidence)), None);
}

/// Evidence needs both signatures: nobody is convicted by what another signed.
#[test]
fn evidence_with_a_forged_half_is_refused() {
    let solo = Solo::new(1);
    let one = Checkpoint { seq: Seq(8), digest: Digest::of(b"1"), by: first_life(2) };
    let other = Checkpoint { digest: Digest::of(b"2"), ..one };
    let evidence = Evidence::Checkpoint(solo.sign(2, one), solo.sign(3, other));
    assert_eq!(solo.verify(PeerMessage::Evidence(evidence)), Some(Reject::BadSignature));
}

const SEED: [u8; 32] = [9; 32];

/// A signature over `message` whose `R` has these bytes and the discrete logarithm `r`,
/// but for what the cofactor clears.
fn crafted(r_bytes: [u8; 32], r: Scalar, message: &[u8]) -> Signature {
    let secret = ed25519_dalek::SigningKey::from_bytes(&SEED).to_scalar();
    let key = SecretKey::from_seed(&SEED).public();
    let mut hash = sha2::Sha512::new();
    hash.update(r_bytes);
    hash.update(key.0);
    hash.update(message);
    let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r_bytes);
    bytes[32..].copy_from_slice((r + k * secret).as_bytes());
    Signature(bytes)
}

/// The verdict alone, and as one of many.
fn verdicts(signature: Signature, message: &[u8]) -> (bool, bool) {
    let key = SecretKey::from_seed(&SEED);
    let one = Check { key: key.public(), statement: message.to_vec(), signature };
    let mut many: Vec<Check> = (0..8u8)
        .map(|index| {
            let statement = vec![index; 5];
            let signature = key.sign(&statement);
            Check { key: key.public(), statement, signature }
        })
        .collect();
    assert!(Ed25519.verify_all(&many));
    many.insert(3, one.clone());
    (Ed25519.verify(&one), Ed25519.verify_all(&many))
}

/// All honest replicas give one verdict: torsion in `R`.
#[test]
fn torsion_in_r_gets_one_verdict_alone_and_among_many() {
    let r = Scalar::from(77u64);
    for torsion in EIGHT_TORSION {
        let point = ED25519_BASEPOINT_TABLE * &r + torsion;
        assert_eq!(verdicts(crafted(point.compress().0, r, b"m"), b"m"), (true, true));
    }
}

/// Small-order `R`, canonical and not.
#[test]
fn a_small_order_r_gets_one_verdict_however_it_is_encoded() {
    let canonical = EIGHT_TORSION[0].compress().0;
    let mut other = [0xff; 32];
    // The field's order and 1: the identity again.
    other[0] = 0xee;
    other[31] = 0x7f;
    for bytes in [canonical, other] {
        assert_eq!(verdicts(crafted(bytes, Scalar::ZERO, b"m"), b"m"), (true, true));
    }
}

/// Non-canonical `S`, and signatures that are simply wrong.
#[test]
fn a_non_canonical_s_is_refused_alone_and_among_many() {
    let r = Scalar::from(77u64);
    let point = (ED25519_BASEPOINT_TABLE * &r).compress().0;
    let good = crafted(point, r, b"m");
    assert_eq!(verdicts(good, b"m"), (true, true));
    assert_eq!(verdicts(good, b"n"), (false, false));
    /// The group's order.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut larger = good;
    let mut carry = 0u16;
    for (byte, add) in larger.0[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(verdicts(larger, b"m"), (false, false));
}
