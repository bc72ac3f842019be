//! What it costs to sign, and to check signatures: by the plain rule, of keys known
//! beforehand with tables of their multiples and without, alone and many at once. By the code
//! that this processor is given; by that of others, with
//! `RUSTFLAGS='--cfg curve25519_dalek_backend="simd"'` (AVX2) or `"serial"`.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quorate::crypto::{Check, Ed25519, Listed, PublicKey, Scheme, SecretKey, Signer};
use std::hint::black_box;

const REPLICAS: u8 = 4;

/// More than the processor's nearer caches hold: what else a node does between two votes.
const SOMETHING_ELSE: usize = 8 << 20;

/// Each signature by itself, however many there are.
struct OneByOne<'a>(&'a Listed);

impl Scheme for OneByOne<'_> {
    fn verify(&self, check: &Check) -> bool {
        self.0.verify(check)
    }
}

/// So many statements, as long as a commit's, signed by so many keys in turn.
fn signed(number: u8, keys: u8) -> Vec<Check> {
    let one = |number: u8| {
        let key = SecretKey::from_seed(&[number % keys + 1; 32]);
        let statement = vec![number; 120];
        let signature = key.sign(&statement);
        Check { key: key.public(), statement, signature }
    };
    (0..number).map(one).collect()
}

fn all(criterion: &mut Criterion) {
    let votes = signed(64, REPLICAS);
    let requests = signed(64, 64);
    let keys: Vec<PublicKey> = requests.iter().map(|check| check.key).collect();
    let replicas = &keys[..usize::from(REPLICAS)];
    let with_tables = Listed::with_tables(replicas, &[], true);
    let without = Listed::with_tables(replicas, &[], false);
    let of_clients = Listed::new(&[], &keys);
    let ways: [(&str, &dyn Scheme); 4] = [
        ("the plain rule", &Ed25519),
        ("tables", &with_tables),
        ("tables, one by one", &OneByOne(&with_tables)),
        ("no tables", &without),
    ];

    let signer = SecretKey::from_seed(&[1; 32]);
    let statement = &votes[0].statement;
    criterion.bench_function("sign", |bencher| bencher.iter(|| signer.sign(statement)));
    let mut memory = vec![0u8; SOMETHING_ELSE];
    let mut touch = || {
        memory.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
        black_box(&memory);
    };
    for number in [1, 2, 3, 4, 6, 8] {
        for (way, scheme) in ways {
            let mut some = votes.chunks_exact(number).cycle();
            let mut next = || some.next().expect("they never end");
            criterion.bench_function(&format!("{number} votes, {way}"), |bencher| {
                bencher.iter(|| assert!(scheme.verify_all(next())));
            });
            let cold = format!("{number} votes, {way}, after something else");
            criterion.bench_function(&cold, |bencher| {
                bencher.iter_batched(
                    || {
                        touch();
                        next()
                    },
                    |some| assert!(scheme.verify_all(some)),
                    BatchSize::PerIteration,
                );
            });
        }
    }
    for number in [1, 4, 16, 64] {
        let some = &requests[..number];
        criterion.bench_function(&format!("{number} requests, each of another key"), |bencher| {
            bencher.iter(|| assert!(of_clients.verify_all(some)));
        });
    }
    let of_one = signed(64, 1);
    criterion.bench_function("64 requests of one key", |bencher| {
        bencher.iter(|| assert!(of_clients.verify_all(&of_one)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).without_plots();
    targets = all
}
criterion_main!(benches);
