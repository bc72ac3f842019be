//! Stories about the disk, and a disk that fails, loses and fills up as told.

use super::*;
use crate::crypto::Signature;
use crate::message::{Prepare, Signed, Voter};
use crate::types::{Incarnation, Nonce, View};
use tempfile::TempDir;

mod damage;
mod directory;
mod model;
mod room;
mod shaky;
mod states;
mod writing;

fn own() -> Identity {
    Identity { cluster: ClusterId(Digest([7; 32])), replica: ReplicaId(2) }
}

fn options(segment_bytes: u64) -> Options {
    Options { segment_bytes, cache_bytes: 1 << 20 }
}

/// A record about a number.
fn vote(seq: u64) -> Record {
    let by = Voter { replica: own().replica, incarnation: Incarnation(0) };
    let body = Prepare { view: View(seq / 10), seq: Seq(seq), digest: Digest([seq as u8; 32]), by };
    Record::Prepare(Signed { body, signature: Signature([0xab; 64]) })
}

/// A record about no number.
fn note(number: u64) -> Record {
    Record::Recovering(Nonce(number))
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("room for a few small files")
}
