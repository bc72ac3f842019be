//! Writes the corpus that fuzzing begins with: messages of every kind that replicas and
//! clients said in a short life, the files of a cluster, and a few plays.
//!
//!     cargo run --manifest-path tests/fuzz/Cargo.toml --example seeds

#[path = "../world.rs"]
#[expect(dead_code, reason = "plays are for the fuzzer")]
mod world;

use quorate::config::{InitOptions, init};
use quorate::message::ClientMessage;
use quorate::service::kv::KvOperation;
use quorate::types::{Nonce, RequestNumber};
use quorate::wire;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// How many examples of one kind.
const OF_A_KIND: usize = 2;

fn store(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a disk");
    fs::write(folder.join(name), bytes).expect("a disk");
}

/// The bytes of a value behind the number of its decoder.
fn decoded(kind: u8, bytes: &[u8]) -> Vec<u8> {
    [&[kind], bytes].concat()
}

fn store_kinds(decoder: u8, what: &str, values: impl Iterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let mut found: BTreeMap<u8, Vec<Vec<u8>>> = BTreeMap::new();
    for bytes in values {
        let some = found.entry(bytes[0]).or_default();
        if some.len() < OF_A_KIND && !some.contains(&bytes) {
            some.push(bytes);
        }
    }
    for (kind, some) in &found {
        for (number, bytes) in some.iter().enumerate() {
            store("decode", &format!("{what}-{kind}-{number}"), &decoded(decoder, bytes));
        }
    }
    found.into_values().flatten().collect()
}

/// A life with requests, checkpoints, a slow primary and lost messages.
const LIFE: &[u8] = &[
    3, 1, 1, 3, 2, 1, 2, 30, 1, 3, 3, 1, 3, 4, 1, 3, 5, 1, 2, 30, 1, 3, 6, 7, 7, 7, 7, 7, 7, 7, 7,
    1, 2, 100, 1, 2, 100, 1, 2, 250, 1, 2, 250, 1, 3, 7, 1, 3, 8, 1, 3, 9, 1, 2, 30, 1,
];

fn main() {
    let mut world = world::World::new();
    let life = [LIFE, LIFE, LIFE].concat();
    world.live(&life);
    let said = world.said.iter().map(wire::encode);
    let kinds = store_kinds(0, "peer", said);
    store_kinds(2, "answer", world.answered.iter().map(wire::encode));

    let get = KvOperation::Get { key: "key".into() };
    let put = KvOperation::Put { key: "key".into(), value: "value".into() };
    let asks = [
        ClientMessage::Read(RequestNumber(1), get.to_bytes().into()),
        ClientMessage::Prove(RequestNumber(2), get.to_bytes().into()),
        ClientMessage::Session(Nonce(3)),
    ];
    let asks = asks.iter().map(wire::encode).chain(world.asked.iter().map(wire::encode));
    let asks = store_kinds(1, "ask", asks);
    let list = KvOperation::list_prefix(b"k", 10);
    for (number, operation) in [get, put, list].iter().enumerate() {
        store("decode", &format!("operation-{number}"), &decoded(6, &operation.to_bytes()));
    }
    store("decode", "receipt", &decoded(8, b"quorate receipt"));
    store("decode", "proof", &decoded(11, b"quorate proof1"));
    let evidence = br#"quorate inquiry1[{"replica":3,"kind":"prepare","record":""}]"#;
    store("decode", "evidence", &decoded(12, evidence));

    // Plays: an honest life, and one in which all that was said comes from the liar too.
    store("live", "honest", LIFE);
    let mut liar = LIFE.to_vec();
    for bytes in kinds.iter().filter(|bytes| bytes.len() < 2_000) {
        liar.extend_from_slice(&[4, 0]);
        liar.extend_from_slice(&u16::try_from(bytes.len()).expect("short").to_le_bytes());
        liar.extend_from_slice(bytes);
    }
    for bytes in &asks {
        liar.extend_from_slice(&[6, 1]);
        liar.extend_from_slice(&u16::try_from(bytes.len()).expect("short").to_le_bytes());
        liar.extend_from_slice(bytes);
    }
    store("live", "liar", &[&liar, LIFE].concat());
    let twisted: Vec<u8> = (0..60u8)
        .flat_map(|which| [5, which % 3, which, 1, which, 0, which, 3, which, 1])
        .collect();
    store("live", "twisted", &[LIFE, &twisted, LIFE].concat());

    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("cluster");
    let layout = init(&InitOptions { directory, ..InitOptions::default() }).expect("a new folder");
    let file = |path: &PathBuf| fs::read(path).expect("it was just written");
    // Comments are no use here.
    let bare = |bytes: Vec<u8>| -> Vec<u8> {
        let text = String::from_utf8(bytes).expect("a text");
        let lines = text.lines().map(|line| line.trim_start_matches("# "));
        let lines = lines.filter(|line| line.contains(" = ") || line.starts_with('['));
        lines.flat_map(|line| format!("{line}\n").into_bytes()).collect()
    };
    store("config", "cluster", &decoded(0, &bare(file(&layout.cluster))));
    store("config", "replica", &decoded(1, &bare(file(&layout.replicas[0]))));
    store("config", "client", &decoded(2, &bare(file(&layout.clients[0]))));

    store("frames", "some", b"\x01\x03\x03\0\0\0one\0\0\0\0\x05\0\0\0after");
    store("frames", "large", b"\x07\x20\xff\xff\xff\xff");
    store("log", "flipped", &[0, 0, 20, 2, 1]);
    store("log", "cut", &[1, 3, 0, 3]);
    store("log", "zeros", &[2, 1, 0, 3, 0, 8]);
    store("log", "moved", &[1, 2, 0, 2, 64, 2, 255]);
    store("log", "missing", &[0, 5]);
}
