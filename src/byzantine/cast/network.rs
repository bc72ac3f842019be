//! Liars about nothing in particular: what they send is too little, too much, or noise.

use super::Liar;
use crate::message::{Fetch, PeerMessage, Prepare, SlotStatus, Status, Voter};
use crate::service::tree::Path;
use crate::types::{Digest, Incarnation, Nonce, ReplicaId, Seq, View};
use crate::wire;

pub(super) fn silent(_: &mut Liar, _: ReplicaId, _: PeerMessage) -> Vec<PeerMessage> {
    vec![]
}

pub(super) fn selective(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    if liar.is_favoured(to) { vec![message] } else { vec![] }
}

pub(super) fn repeat(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = vec![message.clone(), message.clone(), message];
    told.extend(liar.random.pick(&liar.earlier).cloned());
    told
}

pub(super) fn flood(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    if !matches!(message, PeerMessage::Status(_)) {
        return vec![message];
    }
    let mut told = vec![message];
    for _ in 0..20 {
        let seq = Seq(liar.random.below(50));
        told.push(PeerMessage::Fetch(any_fetch(liar, seq)));
        told.push(PeerMessage::StartQuery(Nonce(seq.0)));
    }
    told
}

fn any_fetch(liar: &mut Liar, seq: Seq) -> Fetch {
    match liar.random.below(6) {
        0 => Fetch::Decided(seq),
        1 => Fetch::Stable(seq),
        2 => Fetch::Part(seq, Path::root(), None, u32::MAX),
        3 => Fetch::Batch(Digest::of(&seq.0.to_le_bytes())),
        4 => Fetch::Proposal(View(seq.0 / 8), seq),
        _ => Fetch::NewView(View(seq.0)),
    }
}

pub(super) fn swap(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match liar.random.in_thousand(100) {
        true => vec![liar.random.pick(&liar.earlier).cloned().unwrap_or(message)],
        false => vec![message],
    }
}

/// Of random content, or with bytes changed: what decodes arrives.
pub(super) fn garble(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = vec![message.clone()];
    if liar.random.in_thousand(300) {
        told.extend(with_bytes_changed(liar, &message));
    }
    if liar.random.in_thousand(100) {
        told.push(noise(liar));
    }
    told
}

fn with_bytes_changed(liar: &mut Liar, message: &PeerMessage) -> Option<PeerMessage> {
    let mut bytes = wire::encode(message);
    for _ in 0..liar.random.between(1, 3) {
        let index = usize::try_from(liar.random.below(bytes.len() as u64)).unwrap_or(0);
        let bit = liar.random.below(8);
        if let Some(byte) = bytes.get_mut(index) {
            *byte ^= 1 << bit;
        }
    }
    wire::decode(&bytes, wire::MOST_BYTES).ok()
}

fn any_digest(liar: &mut Liar) -> Digest {
    Digest::of(&liar.random.any().to_le_bytes())
}

/// A number that is small, large, or at an edge.
fn any_number(liar: &mut Liar) -> u64 {
    match liar.random.below(4) {
        0 => liar.random.below(40),
        1 => u64::MAX - liar.random.below(3),
        2 => u64::MAX / 2 - 1 + liar.random.below(3),
        _ => liar.random.any(),
    }
}

fn noise(liar: &mut Liar) -> PeerMessage {
    let (view, seq) = (View(any_number(liar)), Seq(any_number(liar)));
    let digest = any_digest(liar);
    match liar.random.below(8) {
        0 => PeerMessage::Fetch(any_fetch(liar, seq)),
        1 => PeerMessage::NoState(seq),
        2 => PeerMessage::StartQuery(Nonce(seq.0)),
        3 => PeerMessage::Fetch(Fetch::NewView(view)),
        4 => {
            let count = liar.random.below(64);
            let kinds = [
                SlotStatus::Empty,
                SlotStatus::Proposed,
                SlotStatus::Prepared,
                SlotStatus::Decided,
            ];
            let slots = (0..count)
                .map(|_| *liar.random.pick(&kinds).unwrap_or(&SlotStatus::Empty))
                .collect();
            let executed = Seq(any_number(liar));
            let view_changes = (0..count / 8).map(|id| ReplicaId(id as u16)).collect();
            PeerMessage::Status(Status {
                view,
                active: liar.random.in_thousand(500),
                stable: seq,
                executed,
                slots,
                view_changes,
            })
        }
        _ => {
            let replica = ReplicaId(u16::try_from(liar.random.below(12)).unwrap_or(0));
            let by = Voter { replica, incarnation: Incarnation(liar.random.below(3)) };
            PeerMessage::Prepare(liar.sign(Prepare { view, seq, digest, by }))
        }
    }
}
