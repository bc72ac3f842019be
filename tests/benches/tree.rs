//! What the state tree costs with a million keys of 32 bytes and values of 100: changes,
//! digests, proofs, parts and memory, and the same with ten thousand keys beside it.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use quorate::service::tree::{Assembly, KeyRange, Path, Tree};
use quorate::types::{Digest, Seq};
use quorate::wire::{self, Blob};
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const KEY_BYTES: usize = 32;
const VALUE_BYTES: usize = 100;
const MANY: u64 = 1_000_000;
const FEW: u64 = 10_000;
const CHANGES: u64 = 10_000;

fn key(number: u64) -> [u8; KEY_BYTES] {
    Digest::of(&number.to_le_bytes()).0
}

fn value(number: u64) -> Blob {
    Blob::from(vec![number.to_le_bytes()[0]; VALUE_BYTES])
}

fn grown(keys: u64) -> Tree {
    let mut tree = Tree::new();
    (0..keys).for_each(|number| drop(tree.put(&key(number), value(number), Seq(1))));
    tree.digest();
    tree
}

/// Writes `count` of the keys, spread over all, anew.
fn change(tree: &mut Tree, keys: u64, count: u64, stamp: u64) {
    for number in 0..count {
        let number = (number * (keys / count) + stamp) % keys;
        tree.put(&key(number), value(number + stamp), Seq(stamp));
    }
}

/// The bytes of memory that the process has in use.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells a process its size");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of status");
    let kilobytes = line.split_whitespace().nth(1).expect("the number after the name");
    kilobytes.parse::<u64>().expect("a number") * 1024
}

fn memory() -> Tree {
    let before = resident_bytes();
    let tree = grown(MANY);
    let each = (resident_bytes() - before) / MANY;
    let payload = (KEY_BYTES + VALUE_BYTES) as u64;
    println!("memory: {each} bytes per key, {} above the payload", each - payload);
    tree
}

fn digests(criterion: &mut Criterion, name: &str, tree: &mut Tree, keys: u64, count: u64) {
    let mut stamp = 1;
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                stamp += 1;
                change(tree, keys, count, stamp);
                let start = Instant::now();
                black_box(tree.digest());
                spent += start.elapsed();
            }
            spent
        });
    });
}

/// What a replica pays from one checkpoint to the next: changes beside the last snapshot, the
/// digest, and the end of that snapshot.
fn checkpoints(criterion: &mut Criterion, name: &str, tree: &mut Tree, keys: u64, count: u64) {
    let mut stamp = 1 << 20;
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| {
            stamp += 1;
            let snapshot = tree.clone();
            change(tree, keys, count, stamp);
            black_box(tree.digest());
            drop(snapshot);
        });
    });
}

fn puts(criterion: &mut Criterion, tree: &Tree) {
    let (mut tree, mut number) = (tree.clone(), 0);
    // Another holds the old nodes: this is what a replica pays between two checkpoints.
    criterion.bench_function("put, beside a snapshot", |bencher| {
        bencher.iter_batched(
            || {
                number += 7919;
                (key(number % MANY), value(number), Seq(number))
            },
            |(key, value, stamp)| tree.put(&key, value, stamp),
            BatchSize::LargeInput,
        );
    });
}

fn puts_in_place(criterion: &mut Criterion, tree: &mut Tree) {
    let mut number = 0;
    criterion.bench_function("put, in place", |bencher| {
        bencher.iter_batched(
            || {
                number += 7919;
                (key(number % MANY), value(number), Seq(number))
            },
            |(key, value, stamp)| tree.put(&key, value, stamp),
            BatchSize::LargeInput,
        );
    });
    let mut new = MANY;
    criterion.bench_function("put, a new key", |bencher| {
        bencher.iter_batched(
            || {
                new += 1;
                (key(new), value(new), Seq(new))
            },
            |(key, value, stamp)| tree.put(&key, value, stamp),
            BatchSize::LargeInput,
        );
    });
    (MANY + 1..=new).for_each(|number| drop(tree.remove(&key(number), Seq(new))));
}

fn proofs(criterion: &mut Criterion, tree: &Tree) {
    let root = tree.digest();
    let mut number = 0;
    let mut next = || {
        number += 7919;
        KeyRange::single(&key(number % MANY))
    };
    let bytes = wire::encode(&tree.prove(&next())).len();
    println!("proof of one key: {bytes} bytes");
    criterion.bench_function("prove one key", |bencher| {
        bencher.iter_batched(&mut next, |range| tree.prove(&range), BatchSize::LargeInput);
    });
    criterion.bench_function("check a proof of one key", |bencher| {
        bencher.iter_batched(
            || {
                let range = next();
                (tree.prove(&range), range)
            },
            |(proof, range)| proof.verify(root, &range).expect("an honest proof"),
            BatchSize::SmallInput,
        );
    });
}

/// What a replica fetches that fell behind by some changes, or that has nothing.
fn transfers(tree: &Tree) {
    tree.digest();
    let start = Instant::now();
    let part = tree.part(&Path::root(), 256 << 10).expect("the root is there");
    println!("the first part: {} bytes in {:?}", part.encoded_bytes(), start.elapsed());
    for changed in [1, 100, 10_000, MANY] {
        let (mut base, mut target) = (tree.clone(), tree.clone());
        match changed {
            MANY => base = Tree::new(),
            count => change(&mut target, MANY, count, 1 << 40),
        }
        let wanted = target.digest();
        let start = Instant::now();
        let mut assembly = Assembly::later(wanted, base);
        while !assembly.is_complete() {
            for (path, _) in assembly.wanted(64) {
                let (since, bytes) = assembly.question(&path, 256 << 10);
                let part = target.part_since(&path, since, bytes);
                assembly.accept(&path, part.expect("it is there")).expect("it is right");
            }
        }
        let progress = assembly.progress();
        let finished = assembly.finish().expect("it is complete");
        println!(
            "transfer, {changed} changed: {} parts, {} bytes, {:?}, {} entries",
            progress.parts,
            progress.bytes,
            start.elapsed(),
            finished.len(),
        );
    }
}

fn all(criterion: &mut Criterion) {
    let mut tree = memory();
    let mut small = grown(FEW);
    puts_in_place(criterion, &mut tree);
    digests(criterion, "digest, 10,000 of 10,000 changed", &mut small, FEW, CHANGES);
    digests(criterion, "digest, 100 of 10,000 changed", &mut small, FEW, 100);
    digests(criterion, "digest, 10,000 of 1,000,000 changed", &mut tree, MANY, CHANGES);
    checkpoints(criterion, "a checkpoint, 2,000 of 10,000 changed", &mut small, FEW, 2_000);
    checkpoints(criterion, "a checkpoint, 2,000 of 1,000,000 changed", &mut tree, MANY, 2_000);
    proofs(criterion, &tree);
    puts(criterion, &tree);
    transfers(&tree);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).without_plots();
    targets = all
}
criterion_main!(benches);
