//! Signatures that cost nothing, for simulations only.
//!
//! A modelled signature is a keyed checksum. Whoever has the checking rule could forge
//! one; the simulated liars have only their own [`ModelSigner`]. A node can't use this:
//! its verifier's type names the real rule.

use crate::crypto::{Check, Ed25519, PublicKey, Scheme, SecretKey, Signature, Signer};
use std::sync::OnceLock;

fn checksum(key: &[u8; 32], statement: &[u8]) -> Signature {
    let mut lanes = [0x9e37_79b9_7f4a_7c15u64, 0xc2b2_ae3d_27d4_eb4f];
    let mut mix = |word: u64| {
        lanes[0] = (lanes[0] ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
        lanes[1] = (lanes[1].wrapping_add(word)).wrapping_mul(0xc4ce_b9fe_1a85_ec53) ^ lanes[0];
    };
    for chunk in key.chunks(8).chain(statement.chunks(8)) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(u64::from_le_bytes(word));
    }
    mix(statement.len() as u64);
    let mut bytes = [0; 64];
    bytes[..8].copy_from_slice(&lanes[0].to_le_bytes());
    bytes[8..16].copy_from_slice(&lanes[1].to_le_bytes());
    Signature(bytes)
}

/// Signs with a modelled key.
#[derive(Clone, Copy)]
pub struct ModelSigner(pub PublicKey);

impl Signer for ModelSigner {
    fn sign(&self, statement: &[u8]) -> Signature {
        checksum(&self.0.0, statement)
    }
}

/// The rule for modelled signatures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Model;

impl Scheme for Model {
    fn verify(&self, check: &Check) -> bool {
        checksum(&check.key.0, &check.statement) == check.signature
    }
}

/// The rule that a simulated world judges signatures by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Signatures {
    /// They cost nothing.
    #[default]
    Modelled,
    /// They are the node's own.
    Real,
}

/// How many keys there are.
pub const MOST_KEYS: usize = 64;

fn seed(index: usize) -> [u8; 32] {
    [u8::try_from(index + 1).expect("fewer keys than a byte counts"); 32]
}

/// So many keys. Real keys are modelled keys' names too: a genesis lists points of the
/// curve.
pub fn public_keys(count: usize) -> Vec<PublicKey> {
    static KEYS: OnceLock<Vec<PublicKey>> = OnceLock::new();
    let all = KEYS.get_or_init(|| {
        (0..MOST_KEYS).map(|index| SecretKey::from_seed(&seed(index)).public()).collect()
    });
    all[..count].to_vec()
}

impl Signatures {
    /// Who signs with the key of this index.
    pub fn signer(self, index: usize) -> Box<dyn Signer> {
        match self {
            Signatures::Modelled => Box::new(ModelSigner(public_keys(index + 1)[index])),
            Signatures::Real => Box::new(SecretKey::from_seed(&seed(index))),
        }
    }
}

impl Scheme for Signatures {
    fn verify(&self, check: &Check) -> bool {
        match self {
            Signatures::Modelled => Model.verify(check),
            Signatures::Real => Ed25519.verify(check),
        }
    }

    fn verify_all(&self, checks: &[Check]) -> bool {
        match self {
            Signatures::Modelled => Model.verify_all(checks),
            Signatures::Real => Ed25519.verify_all(checks),
        }
    }
}
