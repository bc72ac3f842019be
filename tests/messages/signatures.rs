//! One verdict on every signature, and no key that could bring two (`P6`, `D2`, `B4`).
//!
//! The arithmetic has code for several processors, of which one is under test here: that which
//! this processor is given. `RUSTFLAGS='--cfg curve25519_dalek_backend="simd"' cargo test --test
//! messages signatures` takes that for AVX2, and `"serial"` that for all others.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use proptest::prelude::*;
use quorate::crypto::{
    BadKey, Check, Ed25519, Listed, PublicKey, Scheme, SecretKey, Signature, Signer,
};
use sha2::{Digest as _, Sha512};

/// A check, what it is made of, and what ZIP 215 says of it.
#[derive(Clone, Debug)]
struct Case {
    name: String,
    check: Check,
    is_good: bool,
}

fn scalar(seed: u64) -> Scalar {
    let hash: [u8; 64] = Sha512::digest(seed.to_le_bytes()).into();
    Scalar::from_bytes_mod_order_wide(&hash)
}

fn challenge(r: &[u8; 32], key: &[u8; 32], message: &[u8]) -> Scalar {
    let hash: [u8; 64] =
        Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize().into();
    Scalar::from_bytes_mod_order_wide(&hash)
}

fn bytes_of(point: EdwardsPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

fn check(key: [u8; 32], r: [u8; 32], s: [u8; 32], message: &[u8]) -> Check {
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r);
    signature[32..].copy_from_slice(&s);
    Check { key: PublicKey(key), statement: message.to_vec(), signature: Signature(signature) }
}

/// ZIP 215 word by word, on the side of the definition and not of speed.
fn zip_215(check: &Check) -> bool {
    let half = |from: usize| -> [u8; 32] {
        check.signature.0[from..from + 32].try_into().expect("half of a signature")
    };
    let (r_bytes, s_bytes) = (half(0), half(32));
    let Some(key) = CompressedEdwardsY(check.key.0).decompress() else { return false };
    let Some(r) = CompressedEdwardsY(r_bytes).decompress() else { return false };
    let Some(s) = Option::<Scalar>::from(Scalar::from_canonical_bytes(s_bytes)) else {
        return false;
    };
    let k = challenge(&r_bytes, &check.key.0, &check.statement);
    let eight = Scalar::from(8u8);
    let (left, right) = (B * s, r + key * k);
    ((left * eight) - (right * eight)).is_identity()
}

/// A signature made by hand: the key is `a·B` plus `key_torsion`, and `R` is `r·B` plus
/// `r_torsion`. It holds when multiplied by the cofactor.
fn crafted(seed: u64, key_torsion: EdwardsPoint, r_torsion: EdwardsPoint) -> (Check, Scalar) {
    let (secret, nonce) = (scalar(seed), scalar(seed ^ (1 << 40)));
    let key = bytes_of(B * secret + key_torsion);
    let r = bytes_of(B * nonce + r_torsion);
    let message = format!("message {seed}");
    let s = nonce + challenge(&r, &key, message.as_bytes()) * secret;
    (check(key, r, s.to_bytes(), message.as_bytes()), s)
}

/// Adds little-endian numbers; the sum must fit.
fn add(one: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    let mut sum = [0; 32];
    let mut carry = 0u16;
    for index in 0..32 {
        let place = u16::from(one[index]) + u16::from(other[index]) + carry;
        sum[index] = u8::try_from(place & 0xff).expect("masked");
        carry = place >> 8;
    }
    assert_eq!(carry, 0, "the sum does not fit");
    sum
}

/// `L`, the order of the base point.
fn order() -> [u8; 32] {
    add((-Scalar::ONE).to_bytes(), Scalar::ONE.to_bytes())
}

/// `p + offset` with a sign: the encodings of y that are not canonical.
fn beyond_p(offset: u8, sign: bool) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + offset;
    bytes[31] = if sign { 0xff } else { 0x7f };
    bytes
}

/// The eight points of small order: every encoding of them that decodes.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|point| bytes_of(*point)).collect();
    assert_eq!(encodings.len(), 8);
    // x is 0 for y = 1 and y = -1, and yet the sign may be set; y is 0 or 1 beyond p.
    let mut signed_one = bytes_of(EdwardsPoint::default());
    signed_one[31] |= 0x80;
    let mut signed_minus_one = beyond_p(0, true);
    signed_minus_one[0] = 0xec;
    encodings.extend([signed_one, signed_minus_one]);
    for sign in [false, true] {
        encodings.extend([beyond_p(0, sign), beyond_p(1, sign)]);
    }
    assert_eq!(encodings.len(), 14);
    encodings
}

/// 32 bytes that are no point.
fn not_a_point() -> [u8; 32] {
    (0u8..)
        .map(|first| {
            let mut bytes = [0; 32];
            bytes[0] = first;
            bytes
        })
        .find(|bytes| CompressedEdwardsY(*bytes).decompress().is_none())
        .expect("half of all y have no point")
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

/// The cases of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko, 2020), table 5,
/// in their order: message, key, signature; and the verdict by ZIP 215.
const TAMING: [(&str, &str, &str, bool); 12] = [
    (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a\
         0000000000000000000000000000000000000000000000000000000000000000",
        true,
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43\
         a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        true,
    ),
    (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa\
         8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
        true,
    ),
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f\
         87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
        true,
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512\
         5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
        true,
    ),
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7\
         e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
        true,
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e\
         547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
        false,
    ),
    (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942\
         7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
        false,
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
         03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
        false,
    ),
    (
        "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
         ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
        true,
    ),
    (
        "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc\
         a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        true,
    ),
    (
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc\
         a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
        true,
    ),
];

/// Signatures made by a key as every honest one is.
fn honest(seed: u64) -> Check {
    let key = SecretKey::from_seed(&scalar(seed).to_bytes());
    let statement = format!("honest {seed}").into_bytes();
    let signature = key.sign(&statement);
    Check { key: key.public(), statement, signature }
}

/// Every edge that is known, each with its verdict.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut case = |name: String, check: Check, is_good: bool| {
        cases.push(Case { name, check, is_good });
    };
    for (index, (message, key, signature, is_good)) in TAMING.into_iter().enumerate() {
        let key = PublicKey(hex(key).try_into().expect("32 bytes"));
        let signature = Signature(hex(signature).try_into().expect("64 bytes"));
        let check = Check { key, statement: hex(message), signature };
        case(format!("taming {index}"), check, is_good);
    }
    let small = small_order_encodings();
    for (key_index, key) in small.iter().enumerate() {
        for (r_index, r) in small.iter().enumerate() {
            let name = format!("small key {key_index} and R {r_index}, S = 0");
            case(name, check(*key, *r, [0; 32], b"anything"), true);
        }
        let name = format!("small key {key_index}, S = 1, R = 0·B");
        case(name, check(*key, small[0], Scalar::ONE.to_bytes(), b"anything"), false);
        let name = format!("small key {key_index}, S = 1, R = 1·B");
        case(name, check(*key, bytes_of(B), Scalar::ONE.to_bytes(), b"anything"), true);
    }
    for (index, torsion) in EIGHT_TORSION.into_iter().enumerate() {
        let none = EdwardsPoint::default();
        let seed = 100 + index as u64;
        case(format!("R + T{index}"), crafted(seed, none, torsion).0, true);
        case(format!("A + T{index}"), crafted(seed, torsion, none).0, true);
        case(format!("A + T{index} and R - T{index}"), crafted(seed, torsion, -torsion).0, true);
        let (mut wrong, s) = crafted(seed, torsion, torsion);
        wrong.signature.0[32..].copy_from_slice(&(s + Scalar::ONE).to_bytes());
        case(format!("A and R + T{index}, S + 1"), wrong, false);
    }
    for seed in 0..6 {
        let (good, s) = crafted(200 + seed, EdwardsPoint::default(), EdwardsPoint::default());
        case(format!("crafted {seed}"), good.clone(), true);
        let mut over = good.clone();
        over.signature.0[32..].copy_from_slice(&add(s.to_bytes(), order()));
        case(format!("S + L {seed}"), over, false);
        let mut high = good.clone();
        high.signature.0[63] |= 0x80;
        case(format!("S + 2^255 {seed}"), high, false);
        let mut lost = good.clone();
        lost.signature.0[..32].copy_from_slice(&not_a_point());
        case(format!("R is no point {seed}"), lost, false);
        let mut nobody = good.clone();
        nobody.key = PublicKey(not_a_point());
        case(format!("the key is no point {seed}"), nobody, false);
        let mut other = good;
        other.statement.push(0);
        case(format!("another statement {seed}"), other, false);
    }
    // Every y beyond p that has a point, as R of a signature whose hash covers it so.
    for offset in 0..19 {
        for sign in [false, true] {
            let r = beyond_p(offset, sign);
            if CompressedEdwardsY(r).decompress().is_some() {
                let key = honest(7).key.0;
                let name = format!("R = p + {offset}, {sign}");
                case(name, check(key, r, scalar(9).to_bytes(), b"anything"), false);
                let name = format!("key = p + {offset}, {sign}");
                let is_small = small.contains(&r);
                case(name, check(r, small[0], [0; 32], b"anything"), is_small);
            }
        }
    }
    // R of small order in every encoding, under a true key.
    for (index, r) in small.iter().enumerate() {
        let secret = scalar(300);
        let key = bytes_of(B * secret);
        let s = challenge(r, &key, b"small R") * secret;
        case(format!("small R {index}"), check(key, *r, s.to_bytes(), b"small R"), true);
    }
    for seed in 0..20 {
        case(format!("honest {seed}"), honest(seed), true);
    }
    cases
}

/// The verdict of every rule there is, which must be one: of keys that are not known
/// beforehand, and of those that are, with a table and without.
fn together(checks: &[Check]) -> bool {
    /// Tables take longer to make than to use, but batches are to be judged with them, too.
    const MOST_WITH_TABLES: usize = 12;
    let verdict = Ed25519.verify_all(checks);
    let mut keys: Vec<PublicKey> = checks.iter().map(|check| check.key).collect();
    keys.sort();
    keys.dedup();
    let without = Listed::with_tables(&keys, &[], false);
    assert_eq!(without.verify_all(checks), verdict, "no tables");
    if checks.len() <= MOST_WITH_TABLES {
        let tables = |replicas, clients| Listed::with_tables(replicas, clients, true);
        assert_eq!(tables(&keys, &[]).verify_all(checks), verdict, "keys of replicas");
        let (some, others) = keys.split_at(keys.len() / 2);
        assert_eq!(tables(some, others).verify_all(checks), verdict, "keys of both");
        assert_eq!(tables(some, &[]).verify_all(checks), verdict, "some keys");
    }
    verdict
}

/// The same of one.
fn alone(check: &Check) -> bool {
    let verdict = Ed25519.verify(check);
    for tables in [true, false] {
        let listed = Listed::with_tables(&[check.key], &[], tables);
        assert_eq!(listed.verify(check), verdict, "with tables: {tables}");
    }
    verdict
}

/// P6, D2
#[test]
fn every_known_edge_is_judged_by_zip_215_and_by_nothing_else() {
    let cases = cases();
    assert!(cases.len() > 250, "only {} cases", cases.len());
    for case in &cases {
        assert_eq!(zip_215(&case.check), case.is_good, "the definition on {}", case.name);
        assert_eq!(alone(&case.check), case.is_good, "alone: {}", case.name);
    }
}

/// P6
#[test]
fn alone_and_in_a_batch_the_verdict_is_one() {
    let cases = cases();
    for case in &cases {
        // On both sides of where a batch is judged as one: from two signatures on, from four by
        // the plain rule, from six where there are tables, or from twelve.
        for size in [1, 2, 3, 4, 5, 6, 12] {
            let batch = vec![case.check.clone(); size];
            assert_eq!(together(&batch), case.is_good, "{size} times {}", case.name);
        }
        let mut among_honest: Vec<Check> = (0..4).map(honest).collect();
        among_honest.insert(2, case.check.clone());
        assert_eq!(together(&among_honest), case.is_good, "among honest: {}", case.name);
    }
}

/// P6
#[test]
fn a_bad_signature_spoils_a_batch_of_any_size_at_any_position() {
    let (good, bad): (Vec<Case>, Vec<Case>) = cases().into_iter().partition(|case| case.is_good);
    let mut next_bad = bad.iter().cycle();
    for size in 1..=40usize {
        let mut batch: Vec<Check> = (0..size)
            .map(|index| good[(size * 17 + index * 7) % good.len()].check.clone())
            .collect();
        assert!(together(&batch), "{size} good ones");
        for position in [0, size / 3, size / 2, size - 1] {
            let case = next_bad.next().expect("they go round");
            let right = std::mem::replace(&mut batch[position], case.check.clone());
            assert!(!together(&batch), "{} at {position} of {size}", case.name);
            batch[position] = right;
        }
    }
}

/// From about a hundred signatures on, another algorithm adds up the batch.
#[test]
fn a_large_batch_is_judged_like_a_small_one() {
    let (good, bad): (Vec<Case>, Vec<Case>) = cases().into_iter().partition(|case| case.is_good);
    let mut batch: Vec<Check> = good.into_iter().map(|case| case.check).collect();
    assert!(batch.len() > 200);
    assert!(together(&batch));
    let middle = batch.len() / 2;
    batch[middle] = bad[0].check.clone();
    assert!(!together(&batch));
}

/// Two wrong signatures whose errors cancel when they are only added up.
#[test]
fn errors_that_cancel_each_other_are_found() {
    let none = EdwardsPoint::default();
    let ((mut one, s), (mut other, t)) = (crafted(1, none, none), crafted(2, none, none));
    one.signature.0[32..].copy_from_slice(&(s + Scalar::ONE).to_bytes());
    other.signature.0[32..].copy_from_slice(&(t - Scalar::ONE).to_bytes());
    let mut batch = vec![one, other];
    assert!(!together(&batch));
    batch.extend((0..6).map(honest));
    assert!(!together(&batch));
    // The same under one key, whose terms are summed before they are multiplied.
    let key = SecretKey::from_seed(&[7; 32]);
    let signed = |statement: &[u8], shift: Scalar| {
        let mut signature = key.sign(statement);
        let s: [u8; 32] = signature.0[32..].try_into().expect("half of a signature");
        let s = Scalar::from_bytes_mod_order(s) + shift;
        signature.0[32..].copy_from_slice(&s.to_bytes());
        Check { key: key.public(), statement: statement.to_vec(), signature }
    };
    let good = |index: u8| (vec![index], Scalar::ZERO);
    let parts = [good(0), good(1), (vec![2], Scalar::ONE), (vec![3], -Scalar::ONE), good(4)];
    let batch: Vec<Check> = parts.iter().map(|(text, shift)| signed(text, *shift)).collect();
    assert!(!together(&batch));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// P6
    #[test]
    fn any_mixture_gets_the_verdict_of_its_members(
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..=40),
        spoil in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let (good, bad): (Vec<Case>, Vec<Case>) =
            cases().into_iter().partition(|case| case.is_good);
        let mut batch: Vec<Check> = picks.iter().map(|pick| pick.get(&good).check.clone()).collect();
        if let Some((position, which)) = &spoil {
            let position = position.index(batch.len());
            batch[position] = which.get(&bad).check.clone();
        }
        let alone = batch.iter().all(alone);
        prop_assert_eq!(alone, spoil.is_none());
        prop_assert_eq!(together(&batch), alone);
        // The same batch has the same verdict, and so has the same in another order.
        prop_assert_eq!(together(&batch), alone);
        batch.reverse();
        prop_assert_eq!(together(&batch), alone);
    }
}

/// P6: the key is asked for by name before anybody lists it.
#[test]
fn a_key_on_which_verifiers_could_differ_is_refused_by_name() {
    for (index, key) in small_order_encodings().into_iter().enumerate() {
        let expected = if index < 8 { BadKey::SmallOrder } else { BadKey::NotCanonical };
        assert_eq!(PublicKey(key).listed(), Err(expected), "small order, encoding {index}");
    }
    for (index, torsion) in EIGHT_TORSION.into_iter().enumerate() {
        let mixed = PublicKey(bytes_of(B * scalar(5) + torsion));
        let expected = if index == 0 { Ok(mixed) } else { Err(BadKey::Torsion) };
        assert_eq!(mixed.listed(), expected, "torsion {index}");
    }
    let mut found = 0;
    for offset in 0..19 {
        for sign in [false, true] {
            let key = PublicKey(beyond_p(offset, sign));
            let is_point = CompressedEdwardsY(key.0).decompress().is_some();
            let expected = if is_point { BadKey::NotCanonical } else { BadKey::NotAPoint };
            assert_eq!(key.listed(), Err(expected), "p + {offset}");
            found += usize::from(is_point);
        }
    }
    assert!(found > 10, "only {found} encodings beyond p are points");
    assert_eq!(PublicKey(not_a_point()).listed(), Err(BadKey::NotAPoint));
    for seed in 0..50 {
        let key = honest(seed).key;
        assert_eq!(key.listed(), Ok(key));
    }
}

proptest! {
    /// Two libraries have the same key and leave nothing to choice.
    #[test]
    fn a_signature_has_the_bytes_that_any_library_gives_it(seed: [u8; 32], statement: Vec<u8>) {
        use ed25519_dalek::Signer as _;
        let (key, other) = (SecretKey::from_seed(&seed), ed25519_dalek::SigningKey::from_bytes(&seed));
        prop_assert_eq!(key.public().0, other.verifying_key().to_bytes());
        prop_assert_eq!(key.sign(&statement).0, other.sign(&statement).to_bytes());
    }
}

/// The same statement has one signature, so that a restart sends the same bytes again.
#[test]
fn signing_twice_gives_the_same_signature() {
    let key = SecretKey::from_seed(&[3; 32]);
    assert_eq!(key.sign(b"promise"), key.sign(b"promise"));
    assert_ne!(key.sign(b"promise"), key.sign(b"promises"));
}

mod domains {
    //! A signature counts for one kind of body in one cluster.

    use super::*;
    use crate::support::{Cluster, digest, parameters, request_body, voter};
    use quorate::crypto::{ClusterId, Tag, statement};
    use quorate::message::{
        Body, Checkpoint, Commit, NewView, Parameters, PrePrepare, Prepare, RecoveryRequest,
        Request, Signed, ViewChange,
    };
    use quorate::types::{Digest, Nonce, ReplicaId, Seq, View};
    use quorate::wire::{self, List};

    struct Kind {
        tag: Tag,
        key: PublicKey,
        body: Vec<u8>,
        signature: Signature,
    }

    fn kind<T: Body>(cluster: &Cluster, body: T) -> Kind {
        let Signed { body, signature } = cluster.sign(body);
        let key = crate::support::key_of(body.author()).public();
        Kind { tag: T::TAG, key, body: wire::encode(&body), signature }
    }

    fn kinds(cluster: &Cluster) -> [Kind; 8] {
        let (view, seq, digest, by) = (View(2), Seq(8), digest("batch"), voter(2));
        [
            kind::<Request>(cluster, request_body(0, 1, 0, &["put"])),
            kind(cluster, RecoveryRequest { replica: ReplicaId(2), nonce: Nonce(7) }),
            kind(cluster, PrePrepare { view, seq, digest, by }),
            kind(cluster, Prepare { view, seq, digest, by }),
            kind(cluster, Commit { view, seq, digest, by }),
            kind(cluster, Checkpoint { seq, digest, by }),
            kind(cluster, ViewChange { view, by, stable: None, prepared: List::default() }),
            kind(
                cluster,
                NewView { view, by, view_changes: List::default(), pre_prepares: List::default() },
            ),
        ]
    }

    /// The statement written out by hand.
    fn statement_by_hand(tag: &Tag, cluster: ClusterId, body: &[u8]) -> Vec<u8> {
        [tag.as_slice(), &cluster.0.0, body].concat()
    }

    /// B4
    #[test]
    fn a_signature_for_one_kind_never_counts_for_another() {
        let cluster = Cluster::of(4);
        let kinds = kinds(&cluster);
        for (signed_index, signed) in kinds.iter().enumerate() {
            for (claimed_index, claimed) in kinds.iter().enumerate() {
                for body in [&signed.body, &claimed.body] {
                    let statement = statement_by_hand(&claimed.tag, cluster.id, body);
                    let Kind { key, signature, .. } = *signed;
                    let is_same = signed_index == claimed_index;
                    let verdict = Ed25519.verify(&Check { key, statement, signature });
                    assert_eq!(verdict, is_same, "{signed_index} as {claimed_index}");
                }
            }
        }
    }

    #[test]
    fn the_bodies_of_some_kinds_have_the_same_bytes_and_only_the_tag_tells_them_apart() {
        let kinds = kinds(&Cluster::of(4));
        assert_eq!(kinds[2].body, kinds[3].body);
        assert_eq!(kinds[3].body, kinds[4].body);
        let mut tags: Vec<Tag> = kinds.iter().map(|kind| kind.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 8);
    }

    /// B4
    #[test]
    fn a_signature_for_one_cluster_never_counts_in_another() {
        let here = Cluster::of(4);
        // The same members with the same keys: only one parameter differs.
        let there = Cluster::with(4, Parameters { rotation: 1, ..parameters() });
        assert_eq!(here.genesis.replicas, there.genesis.replicas);
        assert_ne!(here.id, there.id);
        for kind in kinds(&here) {
            for (id, expected) in [(here.id, true), (there.id, false)] {
                let statement = statement_by_hand(&kind.tag, id, &kind.body);
                let check = Check { key: kind.key, statement, signature: kind.signature };
                assert_eq!(Ed25519.verify(&check), expected);
            }
        }
    }

    #[test]
    fn a_statement_is_tag_and_cluster_and_body_and_nothing_else() {
        let id = ClusterId(Digest([9; 32]));
        let body = request_body(1, 2, 1, &["get"]);
        let expected = statement_by_hand(b"quorate1 request", id, &wire::encode(&body));
        assert_eq!(statement(&Request::TAG, &id, &body), expected);
    }
}
