//! The same rule as [`Ed25519`], faster for keys that are known beforehand.
//!
//! Decompressing a key costs a fifth of a check or more, and is done once here. For the replicas'
//! keys, of which there are few and whose votes come one at a time, a table of multiples is
//! made, with which one check costs about half; but not where points are multiplied with AVX-512:
//! that takes as long as with a table in the processor's cache. The way makes no difference but in
//! time: a test holds the verdicts of all of them beside each other, crafted signatures included.

use super::multiples::{Multiples, Sum};
use super::{Check, Coefficients, Ed25519, PublicKey, Scheme, Signature};
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// From so many signatures on, a batch is no dearer than one by one without a table
/// (`cargo bench --bench checks`).
const LEAST_BATCH: usize = 2;

/// The bytes of a coefficient: half of a scalar's, so that it is found by chance once in
/// 2^128.
const COEFFICIENT_BYTES: usize = 16;

/// A key, and what was computed from it.
struct Known {
    point: EdwardsPoint,
    /// Only where it is used often, for its size.
    table: Option<Multiples>,
}

/// Those of the point that all signatures have in common.
static OF_BASE: LazyLock<Multiples> = LazyLock::new(|| Multiples::of(&ED25519_BASEPOINT_POINT));

/// What points are multiplied with, which the library finds out in the same way. Were that
/// another, only time would be lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Multiplied {
    /// One product after the other.
    Singly,
    WithAvx2,
    /// By the code that `.cargo/config.toml` asks for.
    WithAvx512,
}

/// See the module's head.
pub struct Listed {
    keys: BTreeMap<PublicKey, Known>,
    /// From so many signatures on, a batch is no dearer than one by one with a table.
    least_batch_with_tables: usize,
}

/// A signature taken apart, with the hash that it is about.
struct Parts {
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
}

impl Parts {
    /// Nothing if `R` is no point or `S` not canonical.
    fn of(check: &Check) -> Option<Parts> {
        let Signature(bytes) = &check.signature;
        let (r_bytes, s_bytes) = bytes.split_first_chunk::<32>()?;
        let s = Scalar::from_canonical_bytes(s_bytes.try_into().ok()?);
        let hash = Sha512::new()
            .chain_update(r_bytes)
            .chain_update(check.key.0)
            .chain_update(&check.statement)
            .finalize();
        Some(Parts {
            r: CompressedEdwardsY(*r_bytes).decompress()?,
            s: Option::from(s)?,
            k: Scalar::from_bytes_mod_order_wide(&hash.into()),
        })
    }
}

impl Listed {
    /// With these keys known: those of replicas, and those of clients. Of other keys, it
    /// judges as [`Ed25519`] does, and as fast.
    pub fn new(replicas: &[PublicKey], clients: &[PublicKey]) -> Listed {
        Listed::with_tables(replicas, clients, Multiplied::here() != Multiplied::WithAvx512)
    }

    /// The same, whatever the processor is: with tables for replicas' keys, or without.
    pub fn with_tables(replicas: &[PublicKey], clients: &[PublicKey], tables: bool) -> Listed {
        let known = |key: &PublicKey, is_often: bool| {
            let point = CompressedEdwardsY(key.0).decompress()?;
            let table = (is_often && tables).then(|| Multiples::of(&point));
            Some((*key, Known { point, table }))
        };
        let replicas = replicas.iter().filter_map(|key| known(key, true));
        let clients = clients.iter().filter_map(|key| known(key, false));
        Listed {
            keys: clients.chain(replicas).collect(),
            least_batch_with_tables: match Multiplied::here() {
                // By the number of additions; the others were measured.
                Multiplied::Singly => 12,
                Multiplied::WithAvx2 | Multiplied::WithAvx512 => 6,
            },
        }
    }

    fn has_table(&self, check: &Check) -> bool {
        self.keys.get(&check.key).is_some_and(|known| known.table.is_some())
    }

    /// `[8][S]B = [8]R + [8][k]A`.
    fn verify_alone(known: &Known, check: &Check) -> bool {
        let Some(Parts { r, s, k }) = Parts::of(check) else { return false };
        let sum = match &known.table {
            Some(table) => Sum::new().add(&OF_BASE, &s).subtract(table, &k).total(),
            None => EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &-known.point, &s),
        };
        (sum - r).mul_by_cofactor().is_identity()
    }

    /// The sum of all equations, each times a coefficient of its own.
    fn verify_together(&self, checks: &[Check]) -> bool {
        let mut coefficients = Coefficients::over(checks);
        let mut of_base = Scalar::ZERO;
        let mut of_keys: BTreeMap<PublicKey, Scalar> = BTreeMap::new();
        let mut scalars = Vec::with_capacity(2 * checks.len() + 1);
        let mut points = Vec::with_capacity(2 * checks.len() + 1);
        for check in checks {
            let Some(Parts { r, s, k }) = Parts::of(check) else { return false };
            let coefficient = coefficients.next();
            of_base -= coefficient * s;
            *of_keys.entry(check.key).or_insert(Scalar::ZERO) += coefficient * k;
            scalars.push(coefficient);
            points.push(r);
        }
        for (key, scalar) in of_keys {
            let Some(known) = self.keys.get(&key) else { return false };
            scalars.push(scalar);
            points.push(known.point);
        }
        scalars.push(of_base);
        points.push(ED25519_BASEPOINT_POINT);
        EdwardsPoint::vartime_multiscalar_mul(scalars, points).mul_by_cofactor().is_identity()
    }
}

impl Multiplied {
    fn here() -> Multiplied {
        #[cfg(target_arch = "x86_64")]
        {
            // Built for such processors alone, the library needs not be asked for it.
            let has_code = cfg!(any(
                curve25519_dalek_backend = "avx512",
                all(target_feature = "avx512ifma", target_feature = "avx512vl"),
            ));
            let has_both =
                is_x86_feature_detected!("avx512ifma") && is_x86_feature_detected!("avx512vl");
            if has_code && has_both {
                return Multiplied::WithAvx512;
            }
            if is_x86_feature_detected!("avx2") {
                return Multiplied::WithAvx2;
            }
        }
        Multiplied::Singly
    }
}

impl Coefficients {
    fn next(&mut self) -> Scalar {
        let mut bytes = [0; 32];
        bytes[..COEFFICIENT_BYTES].copy_from_slice(&self.block()[..COEFFICIENT_BYTES]);
        Scalar::from_bytes_mod_order(bytes)
    }
}

impl Scheme for Listed {
    fn verify(&self, check: &Check) -> bool {
        match self.keys.get(&check.key) {
            Some(known) => Listed::verify_alone(known, check),
            None => Ed25519.verify(check),
        }
    }

    fn verify_all(&self, checks: &[Check]) -> bool {
        if !checks.iter().all(|check| self.keys.contains_key(&check.key)) {
            return Ed25519.verify_all(checks);
        }
        let without = checks.iter().filter(|check| !self.has_table(check)).count();
        match checks.len() >= self.least_batch_with_tables || without >= LEAST_BATCH {
            true => self.verify_together(checks),
            false => checks.iter().all(|check| self.verify(check)),
        }
    }
}
