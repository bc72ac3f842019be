//! What it costs to sign, and to check signatures: by the plain rule, of keys known
//! beforehand with tables of their multiples and without, and many at once.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quorate::crypto::{Check, Ed25519, Listed, Scheme, SecretKey, Signer};
use std::hint::black_box;

const REPLICAS: u8 = 4;

/// More than the processor's nearer caches hold: what else a node does between two votes.
const SOMETHING_ELSE: usize = 8 << 20;

fn key(id: u8) -> SecretKey {
    SecretKey::from_seed(&[id + 1; 32])
}

/// Votes of all replicas in turn, as long as a commit's statement.
fn votes(number: u8) -> Vec<Check> {
    let vote = |number: u8| {
        let key = key(number % REPLICAS);
        let statement = vec![number; 120];
        let signature = key.sign(&statement);
        Check { key: key.public(), statement, signature }
    };
    (0..number).map(vote).collect()
}

fn all(criterion: &mut Criterion) {
    let keys: Vec<_> = (0..REPLICAS).map(|id| key(id).public()).collect();
    let with_tables = Listed::with_tables(&keys, &[], true);
    let without = Listed::with_tables(&keys, &[], false);
    let checks = votes(64);
    let signer = key(0);
    criterion.bench_function("sign", |bencher| bencher.iter(|| signer.sign(&checks[0].statement)));
    let ways: [(&str, &dyn Scheme); 3] =
        [("the plain rule", &Ed25519), ("tables", &with_tables), ("no tables", &without)];
    for (way, scheme) in ways {
        let mut votes = checks.iter().cycle();
        criterion.bench_function(&format!("check, {way}"), |bencher| {
            bencher.iter(|| assert!(scheme.verify(votes.next().expect("they never end"))));
        });
    }
    let mut memory = vec![0u8; SOMETHING_ELSE];
    for (way, scheme) in ways {
        for number in [1, 2, 3, 4, 6] {
            let mut votes = checks.chunks_exact(number).cycle();
            criterion.bench_function(
                &format!("check {number} after something else, {way}"),
                |bencher| {
                    bencher.iter_batched(
                        || {
                            memory
                                .iter_mut()
                                .step_by(64)
                                .for_each(|byte| *byte = byte.wrapping_add(1));
                            votes.next().expect("they never end")
                        },
                        |votes| assert!(scheme.verify_all(votes)),
                        BatchSize::PerIteration,
                    );
                },
            );
        }
    }
    black_box(&memory);
    for number in [2, 3, 4, 6, 8, 16, 64] {
        let some = &checks[..number];
        for (way, scheme) in ways {
            criterion.bench_function(&format!("check {number}, {way}"), |bencher| {
                bencher.iter(|| assert!(scheme.verify_all(some)));
            });
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50).without_plots();
    targets = all
}
criterion_main!(benches);
