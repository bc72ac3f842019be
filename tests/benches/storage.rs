//! What the disk costs: making records durable, writing a state of a million keys (of 32
//! bytes, with values of 100) and what changed in it, and starting from it. Give a
//! directory on the disk to be measured; else it is one for temporary files.
#![allow(missing_docs)]

use hdrhistogram::Histogram;
use quorate::crypto::{ClusterId, Signature};
use quorate::message::{Prepare, Signed, Voter};
use quorate::replica::{Compaction, Record, Save};
use quorate::service::Tree;
use quorate::storage::{Found, Identity, Options, Storage};
use quorate::types::{Digest, Incarnation, ReplicaId, Seq, View};
use quorate::wire::Blob;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

const KEYS: u64 = 1_000_000;
const CHANGES: u64 = 10_000;
const SYNCS: u64 = 2_000;

fn vote(seq: u64) -> Record {
    let by = Voter { replica: ReplicaId(0), incarnation: Incarnation(0) };
    let body = Prepare { view: View(0), seq: Seq(seq), digest: Digest::default(), by };
    Record::Prepare(Signed { body, signature: Signature([1; 64]) })
}

fn open(directory: &Path) -> (Storage, Found, Receiver<(Seq, Digest)>) {
    let identity = Identity { cluster: ClusterId(Digest::default()), replica: ReplicaId(0) };
    let (tell, told) = mpsc::channel();
    let on_saved = move |saved: Result<_, _>| {
        tell.send(saved.expect("a disk that works")).expect("somebody waits for it");
    };
    let (storage, found) = Storage::open(directory, identity, Options::default(), on_saved)
        .unwrap_or_else(|error| panic!("{error}"));
    (storage, found, told)
}

fn put(tree: &mut Tree, number: u64, seq: u64) {
    let value = Blob::from(vec![(number + seq) as u8; 100]);
    tree.put(&Digest::of(&number.to_le_bytes()).0, value, Seq(seq));
}

fn syncs(storage: &mut Storage, name: &str, records: u64) {
    let mut times = Histogram::<u64>::new(3).expect("three digits are few enough");
    for seq in 0..SYNCS {
        let batch: Vec<Record> = (0..records).map(|_| vote(seq)).collect();
        let began = Instant::now();
        storage.append(None, &batch).expect("taken");
        storage.sync().expect("a disk that works");
        times.record(began.elapsed().as_micros() as u64).expect("not for ever");
    }
    let at = |quantile| times.value_at_quantile(quantile);
    println!("{name}: median {} us, p99 {} us, most {} us", at(0.5), at(0.99), times.max());
}

fn save(storage: &mut Storage, told: &Receiver<(Seq, Digest)>, name: &str, seq: u64, tree: &Tree) {
    let (digest, tree) = (tree.digest(), tree.clone());
    let began = Instant::now();
    storage.save(Save { seq: Seq(seq), digest, tree });
    assert_eq!(told.recv().expect("it is saved"), (Seq(seq), digest));
    println!("{name}: {:?}", began.elapsed());
}

fn main() {
    let given = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let temporary = match given {
        Some(directory) => tempfile::tempdir_in(directory),
        None => tempfile::tempdir(),
    };
    let directory = temporary.expect("a directory that can be written to");
    let (mut storage, _, told) = open(directory.path());
    syncs(&mut storage, "one record a sync", 1);
    syncs(&mut storage, "a hundred records a sync", 100);
    let mut tree = Tree::new();
    (0..KEYS).for_each(|number| put(&mut tree, number, 1));
    save(&mut storage, &told, "a state of a million keys", 100, &tree);
    for number in 0..CHANGES {
        put(&mut tree, number * 97 % KEYS, 101);
    }
    save(&mut storage, &told, "ten thousand changes to it", 200, &tree);
    let compaction = Compaction { below: Seq(100), head: Vec::new() };
    storage.append(Some(compaction), &[]).expect("taken");
    storage.sync().expect("a disk that works");
    drop(storage);
    let (_, found, _) = open(directory.path());
    assert_eq!(found.states[&Seq(200)].digest(), tree.digest());
    println!("opening with both states: {:?}", found.took);
}
