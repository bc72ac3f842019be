//! Liars about the state: its digest, and its parts.

use super::{Behaviour, Liar};
use crate::message::PeerMessage;
use crate::service::Tree;
use crate::service::tree::{Part, Path};
use crate::types::{Digest, ReplicaId, Seq};
use crate::wire::Blob;
use std::collections::BTreeMap;

pub(super) fn lie(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Checkpoint(mut vote) => {
            vote.body.digest = Digest::of(&to.0.to_le_bytes());
            vec![PeerMessage::Checkpoint(liar.sign(vote.body))]
        }
        other => vec![other],
    }
}

pub(super) fn lie_alike(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Checkpoint(mut vote) => {
            vote.body.digest = liar.conspiracy().false_digest(vote.body.digest);
            vec![PeerMessage::Checkpoint(liar.sign(vote.body))]
        }
        other => vec![other],
    }
}

pub(super) fn withhold(_: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Checkpoint(_) | PeerMessage::Stable(_) => vec![],
        other => vec![other],
    }
}

/// A part of another state.
fn poisoned(salt: u64) -> Option<Part> {
    let mut tree = Tree::new();
    tree.put(&salt.to_be_bytes(), Blob::from("poison"), Seq(1));
    tree.part(&Path::root(), 1 << 16)
}

pub(super) fn poison(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Part(seq, path, _) => {
            let part = poisoned(liar.random.any());
            part.map(|part| PeerMessage::Part(seq, path, part)).into_iter().collect()
        }
        other => vec![other],
    }
}

/// Parts as they were when they were first asked for, under whatever number is asked for
/// now.
#[derive(Default)]
pub(super) struct Ager {
    first: BTreeMap<Path, Part>,
}

/// How many parts of an old state are remembered.
const MOST_OLD_PARTS: usize = 256;

impl Behaviour for Ager {
    fn tell(&mut self, _: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        match message {
            PeerMessage::Part(seq, path, part) => {
                if self.first.len() < MOST_OLD_PARTS {
                    self.first.entry(path.clone()).or_insert_with(|| part.clone());
                }
                let part = self.first.get(&path).cloned().unwrap_or(part);
                vec![PeerMessage::Part(seq, path, part)]
            }
            other => vec![other],
        }
    }
}

pub(super) fn flood(_: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Part(seq, path, _) => {
            let endless = (0..30).filter_map(poisoned);
            endless.map(|part| PeerMessage::Part(seq, path.clone(), part)).collect()
        }
        other => vec![other],
    }
}

pub(super) fn deny(_: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Part(seq, ..) => vec![PeerMessage::NoState(seq)],
        PeerMessage::Decided(..) | PeerMessage::Batch(_) => vec![],
        PeerMessage::Status(mut status) => {
            status.stable = status.stable.plus(1_000);
            status.executed = status.executed.plus(1_000);
            vec![PeerMessage::Status(status)]
        }
        other => vec![other],
    }
}
