//! The bytes of every message, kept in files: what is signed, sent and stored must not
//! change by accident. One value, one file, 32 bytes to a line.
//!
//! `QUORATE_REWRITE=1 cargo test --test messages golden` writes the files anew; the
//! difference is then for a reviewer to read.

use crate::samples::{self, Samples};
use crate::support::digest;
use quorate::message::{Batch, Body};
use quorate::types::Timestamp;
use quorate::wire::{self, Wire};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[derive(Default)]
struct Vectors(BTreeMap<String, Vec<u8>>);

impl Vectors {
    /// Adds a value, which must come back from its bytes.
    fn add<T: Wire + PartialEq + Debug>(&mut self, name: &str, value: &T) {
        let bytes = wire::encode(value);
        let again: T = wire::decode(&bytes, wire::MOST_BYTES).expect(name);
        assert_eq!(again, *value, "{name}");
        assert_eq!(self.0.insert(name.to_owned(), bytes), None, "{name} is there twice");
    }

    /// Adds one value for every variant of an enum.
    fn add_all<T: Wire + PartialEq + Debug>(
        &mut self,
        names: &[&str],
        name_of: fn(&T) -> &'static str,
        values: Vec<T>,
    ) {
        let named: Vec<&str> = values.iter().map(name_of).collect();
        assert_eq!(named, names, "every variant has one value, in their order");
        for value in values {
            self.add(name_of(&value), &value);
        }
    }
}

fn vectors() -> BTreeMap<String, Vec<u8>> {
    use samples::*;
    let samples = Samples::new();
    let mut vectors = Vectors::default();
    vectors.add_all(PEER, name_of_peer, samples.peer_messages());
    vectors.add_all(CLIENT, name_of_client, samples.client_messages());
    vectors.add_all(TO_CLIENT, name_of_to_client, samples.to_client());
    vectors.add_all(FETCH, name_of_fetch, samples.fetches());
    vectors.add_all(HELD, name_of_held, samples.held());
    vectors.add_all(SLOT, name_of_slot, samples.slots());
    vectors.add_all(OUTCOME, name_of_outcome, samples.outcomes());
    vectors.add_all(REFUSAL, name_of_refusal, samples.refusals());
    vectors.add_all(RECORD, name_of_record, samples.records());
    vectors.add_all(ITEM, name_of_item, samples.items());
    vectors.add_all(EVIDENCE, name_of_evidence, samples.evidence());
    vectors.add("genesis", &samples.genesis());
    vectors.add("cluster-id", &samples.genesis().cluster());
    vectors.add("batch", &samples.batch());
    vectors.add("batch-digest", &samples.batch().digest());
    vectors.add("batch-fill-up", &Batch::new(Timestamp(77), vec![]));
    vectors.add("certificate-prepared", &samples.prepared());
    vectors.add("certificate-commit", &samples.cluster.committed(2, 9, digest("batch")));
    vectors.add("certificate-checkpoint", &samples.stable());
    vectors.add("certificate-receipt", &samples.cluster.receipted(9, digest("done")));
    vectors.add("part", &samples.part());
    vectors.add("proof", &samples.proof());
    vectors.add("small", &samples.small());
    vectors.0
}

fn to_text(bytes: &[u8]) -> String {
    let line = |chunk: &[u8]| -> String {
        chunk.iter().map(|byte| format!("{byte:02x}")).chain(["\n".to_owned()]).collect()
    };
    bytes.chunks(32).map(line).collect()
}

/// D2, S17
#[test]
fn the_bytes_of_every_message_are_those_on_file() {
    let vectors = vectors();
    if std::env::var("QUORATE_REWRITE").is_ok_and(|value| value == "1") {
        rewrite(&vectors);
    }
    let mut complaints = Vec::new();
    for (name, bytes) in &vectors {
        match fs::read_to_string(directory().join(format!("{name}.hex"))) {
            Err(error) => complaints.push(format!("{name}.hex: {error}")),
            Ok(text) if text != to_text(bytes) => complaints.push(format!("{name}.hex differs")),
            Ok(_) => {}
        }
    }
    for file in files() {
        let is_known = file.strip_suffix(".hex").is_some_and(|name| vectors.contains_key(name));
        if !is_known {
            complaints.push(format!("{file} belongs to no message"));
        }
    }
    assert!(
        complaints.is_empty(),
        "{}\nA change of bytes breaks every log and every peer of another version. If it is \
         meant, run the test with QUORATE_REWRITE=1 and commit the files.",
        complaints.join("\n")
    );
}

fn files() -> Vec<String> {
    let entries = fs::read_dir(directory()).expect("the directory of golden files");
    entries
        .map(|entry| entry.expect("a readable directory").file_name().to_string_lossy().into())
        .collect()
}

fn rewrite(vectors: &BTreeMap<String, Vec<u8>>) {
    fs::create_dir_all(directory()).expect("a place for the files");
    for file in files() {
        fs::remove_file(directory().join(file)).expect("removing an old file");
    }
    for (name, bytes) in vectors {
        let file = directory().join(format!("{name}.hex"));
        fs::write(file, to_text(bytes)).expect("writing a new file");
    }
}

/// Every sample is a true message: what is on file passes the verifier.
#[test]
fn every_message_on_file_is_accepted() {
    let samples = Samples::new();
    let verifier = &samples.cluster.verifier;
    for message in samples.peer_messages() {
        let name = samples::name_of_peer(&message);
        if let Err(reject) = verifier.peer_bytes(&wire::encode(&message)) {
            panic!("{name}: {reject:?}");
        }
    }
    for message in samples.client_messages() {
        let name = samples::name_of_client(&message);
        if let Err(reject) = verifier.client_bytes(&wire::encode(&message)) {
            panic!("{name}: {reject:?}");
        }
    }
    for evidence in samples.evidence() {
        let name = samples::name_of_evidence(&evidence);
        assert!(verifier.evidence(evidence).is_ok(), "{name}");
    }
    for record in samples.records() {
        let name = samples::name_of_record(&record);
        let recalled = quorate::replica::Recalled::verify(verifier, record);
        assert!(recalled.is_ok(), "{name}: {recalled:?}");
    }
}

/// The tags are part of every signed byte string, and so of every signature on file.
#[test]
fn the_tags_are_those_of_version_one() {
    use quorate::message::{
        Checkpoint, Commit, NewView, PrePrepare, Prepare, Receipt, RecoveryRequest, Request,
        ViewChange,
    };
    assert_eq!(&Request::TAG, b"quorate1 request");
    assert_eq!(&RecoveryRequest::TAG, b"quorate1 recover");
    assert_eq!(&PrePrepare::TAG, b"quorate1 propose");
    assert_eq!(&Prepare::TAG, b"quorate1 prepare");
    assert_eq!(&Commit::TAG, b"quorate1 commit_");
    assert_eq!(&Checkpoint::TAG, b"quorate1 checkpt");
    assert_eq!(&ViewChange::TAG, b"quorate1 viewchg");
    assert_eq!(&NewView::TAG, b"quorate1 newview");
    assert_eq!(&Receipt::TAG, b"quorate1 receipt");
}
