//! Keys, signatures, and the one rule by which a signature is judged.
//!
//! # One verdict everywhere
//!
//! Honest replicas must agree on every signature, whether they checked it alone or in
//! a batch: otherwise one crafted signature in a batch splits them. Two decisions give
//! that.
//!
//! - **Keys** are checked when they are loaded ([`PublicKey::listed`]): canonical, on
//!   the curve, not of small order, and free of torsion. So no listed key has two
//!   encodings or a component that only some equations see.
//! - **Signatures** are judged by ZIP 215, and by nothing else: `S` must be canonical,
//!   `R` must decompress (in whatever encoding), and the equation is checked
//!   *multiplied by the cofactor*, `[8][S]B = [8]R + [8][k]A`, with `k` taken over the
//!   bytes received. Alone and in a batch are then the same condition: a batch is a
//!   random linear combination of cofactored equations, in which torsion vanishes from
//!   every term, so it holds when each holds and, but for a chance of 2^-128, only
//!   then. The checks without cofactor that other calls of these libraries make differ
//!   from one another on crafted `R`, which is why this module uses none of them.
//!
//! The coefficients of the combination come from a hash of all that is checked. Nobody
//! can choose signatures after seeing them, and verification needs no randomness. (In which
//! order the library hands them out may differ between two runs; no verdict depends on it
//! but by that chance.)

mod listed;
mod multiples;

pub use listed::Listed;

use crate::types::Digest;
use crate::wire;
use aws_lc_rs::signature::Ed25519KeyPair;
use bincode::{Decode, Encode};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, KeypairBytes};
use std::convert::Infallible;
use std::fmt;
use zeroize::Zeroizing;

/// An Ed25519 public key as it is listed and as it travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct PublicKey(pub [u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl std::str::FromStr for PublicKey {
    type Err = NotHex;

    /// The key with these 64 hexadecimal digits; [`PublicKey::listed`] judges it.
    fn from_str(text: &str) -> Result<PublicKey, NotHex> {
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() == 64).ok_or(NotHex)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(PublicKey(bytes))
    }
}

/// A text is not a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is written as 64 hexadecimal digits")]
pub struct NotHex;

/// Why a public key is not accepted into a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// No point of the curve has this encoding.
    #[error("the key is not a point of the curve")]
    NotAPoint,
    /// The point has another encoding, the canonical one.
    #[error("the key is not canonically encoded")]
    NotCanonical,
    /// One of the eight points that make any signature look true.
    #[error("the key is of small order, so that anybody could sign for it")]
    SmallOrder,
    /// A component of small order is mixed in, so verifiers may differ on it.
    #[error("the key is not free of torsion, so that verifiers could differ on its signatures")]
    Torsion,
}

impl PublicKey {
    /// Checks that this key may be listed in a cluster.
    pub fn listed(self) -> Result<PublicKey, BadKey> {
        let encoded = curve25519_dalek::edwards::CompressedEdwardsY(self.0);
        let point = encoded.decompress().ok_or(BadKey::NotAPoint)?;
        if point.compress() != encoded {
            return Err(BadKey::NotCanonical);
        }
        if point.is_small_order() {
            return Err(BadKey::SmallOrder);
        }
        if !point.is_torsion_free() {
            return Err(BadKey::Torsion);
        }
        Ok(self)
    }
}

/// An Ed25519 signature as it travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Signature(pub [u8; 64]);

impl fmt::Debug for Signature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "sig:{:02x}{:02x}", self.0[0], self.0[1])
    }
}

/// Names a cluster: the digest of its genesis. Part of everything that is signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Encode, Decode)]
pub struct ClusterId(pub Digest);

/// Names the kind of a signed body and the protocol's version. Of fixed length, so
/// that no tag continues into what follows it.
pub type Tag = [u8; 16];

/// The bytes that a signature is taken over: `tag || cluster || canonical body`.
pub fn statement<T: Encode>(tag: &Tag, cluster: &ClusterId, body: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(tag);
    bytes.extend_from_slice(&cluster.0.0);
    wire::encode_into(body, &mut bytes);
    bytes
}

/// Signs statements with one key.
pub trait Signer: Send {
    /// The signature over these bytes. The same bytes always give the same signature.
    fn sign(&self, statement: &[u8]) -> Signature;
}

/// One signature to be judged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Check {
    /// Whose signature it claims to be.
    pub key: PublicKey,
    /// What was signed.
    pub statement: Vec<u8>,
    /// The signature itself.
    pub signature: Signature,
}

/// A rule by which signatures are judged. The node's is [`Listed`], always: it names
/// that type, so that a simulation's cheaper rule can't get into it.
pub trait Scheme: Send + Sync {
    /// Judges one signature.
    fn verify(&self, check: &Check) -> bool;

    /// Judges many at once: true if every one of them is good. The verdict is the
    /// same as that of [`Scheme::verify`] on each.
    fn verify_all(&self, checks: &[Check]) -> bool {
        checks.iter().all(|check| self.verify(check))
    }
}

/// Ed25519 judged by ZIP 215; see the module's head.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ed25519;

/// From so many signatures on, a batch is cheaper than one by one.
const LEAST_BATCH: usize = 4;

impl Scheme for Ed25519 {
    fn verify(&self, check: &Check) -> bool {
        ed25519_zebra::VerificationKey::try_from(check.key.0).is_ok_and(|key| {
            let signature = ed25519_zebra::Signature::from_bytes(&check.signature.0);
            key.verify(&signature, &check.statement).is_ok()
        })
    }

    fn verify_all(&self, checks: &[Check]) -> bool {
        if checks.len() < LEAST_BATCH {
            return checks.iter().all(|check| self.verify(check));
        }
        let mut batch = ed25519_zebra::batch::Verifier::new();
        for check in checks {
            let key = ed25519_zebra::VerificationKeyBytes::from(check.key.0);
            let signature = ed25519_zebra::Signature::from_bytes(&check.signature.0);
            batch.queue((key, signature, check.statement.as_slice()));
        }
        batch.verify(Coefficients::over(checks)).is_ok()
    }
}

/// The coefficients of a batch: a stream of SHA-256 over everything in the batch.
struct Coefficients {
    seed: Digest,
    blocks: u64,
}

impl Coefficients {
    fn over(checks: &[Check]) -> Coefficients {
        let mut parts: Vec<Digest> = Vec::with_capacity(checks.len());
        for check in checks {
            parts.push(Digest::of_parts(&[&check.key.0, &check.signature.0, &check.statement]));
        }
        let joined: Vec<&[u8]> = parts.iter().map(|part| part.0.as_slice()).collect();
        Coefficients { seed: Digest::of_parts(&joined), blocks: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        self.blocks += 1;
        Digest::of_parts(&[&self.seed.0, &self.blocks.to_le_bytes()]).0
    }
}

impl rand_core::TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            chunk.copy_from_slice(&self.block()[..chunk.len()]);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Coefficients {}

/// A private Ed25519 key. Wiped from memory when dropped, never printed.
pub struct SecretKey {
    key: ed25519_dalek::SigningKey,
    /// The same key. The library that TLS brings along takes half as long to sign, on common
    /// processors, with the same bytes: Ed25519 leaves nothing to choice.
    signer: Ed25519KeyPair,
}

impl SecretKey {
    /// The key with this seed, which must come from a good source of randomness.
    pub fn from_seed(seed: &[u8; 32]) -> SecretKey {
        SecretKey::of(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    fn of(key: ed25519_dalek::SigningKey) -> SecretKey {
        let public = key.verifying_key();
        let signer = Ed25519KeyPair::from_seed_and_public_key(key.as_bytes(), public.as_bytes());
        SecretKey { key, signer: signer.expect("both libraries make the same key of a seed") }
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.key.verifying_key().to_bytes())
    }

    /// The private key as PKCS#8 in PEM, which openssl reads too.
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.pkcs8().to_pkcs8_pem(LineEnding::LF).expect("a key of 32 bytes has an encoding")
    }

    /// The private key as PKCS#8 in DER.
    pub fn to_der(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8().to_pkcs8_der().expect("a key of 32 bytes has an encoding").to_bytes()
    }

    /// The private key in this PEM.
    pub fn from_pem(pem: &str) -> Result<SecretKey, NotAKey> {
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map(SecretKey::of).map_err(|_| NotAKey)
    }

    /// Without the public half, which not every reader knows at that place.
    fn pkcs8(&self) -> KeypairBytes {
        KeypairBytes { secret_key: self.key.to_bytes(), public_key: None }
    }
}

/// What was read is no private Ed25519 key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds no private Ed25519 key as PKCS#8 in PEM")]
pub struct NotAKey;

impl Signer for SecretKey {
    fn sign(&self, statement: &[u8]) -> Signature {
        let signature = self.signer.sign(statement);
        Signature(signature.as_ref().try_into().expect("a signature has 64 bytes"))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SecretKey(of {:?})", self.public())
    }
}
