//! Liars among the backups: whom they vote for, how often, and in whose name.

use super::Liar;
use crate::message::{Commit, PeerMessage, Prepare, Signed, Voter};
use crate::types::{ReplicaId, Seq, View};

pub(super) fn mute_after_prepare(
    _: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Commit(_) => vec![],
        other => vec![other],
    }
}

/// For the true digest and for the one that all liars agreed on.
pub(super) fn double_vote(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = vec![message.clone()];
    match message {
        PeerMessage::Prepare(mut vote) => {
            vote.body.digest = liar.conspiracy().false_digest(vote.body.digest);
            told.push(PeerMessage::Prepare(liar.sign(vote.body)));
        }
        PeerMessage::Commit(mut vote) => {
            vote.body.digest = liar.conspiracy().false_digest(vote.body.digest);
            told.push(PeerMessage::Commit(liar.sign(vote.body)));
        }
        _ => {}
    }
    told
}

pub(super) fn shift_vote(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Prepare(mut vote) => {
            vote.body.seq = Seq(vote.body.seq.0.saturating_add(liar.random.below(3)));
            vote.body.view = View(vote.body.view.0 + liar.random.below(2));
            vec![PeerMessage::Prepare(liar.sign(vote.body))]
        }
        PeerMessage::Commit(mut vote) => {
            vote.body.seq = Seq(vote.body.seq.0.saturating_sub(liar.random.below(3)).max(1));
            vec![PeerMessage::Commit(liar.sign(vote.body))]
        }
        other => vec![other],
    }
}

/// One signature, shown where it was not made: in another view, as another kind, and
/// one made for another cluster.
pub(super) fn replay(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = vec![message.clone()];
    match message {
        PeerMessage::Prepare(vote) => {
            let Prepare { view, seq, digest, by } = vote.body;
            let signature = vote.signature;
            let commit = Commit { view, seq, digest, by };
            let later = Prepare { view: view.next(), seq, digest, by };
            told.push(PeerMessage::Commit(Signed { body: commit, signature }));
            told.push(PeerMessage::Prepare(Signed { body: later, signature }));
            told.push(PeerMessage::Commit(liar.sign_for_another_cluster(commit)));
        }
        PeerMessage::Commit(vote) => {
            let Commit { view, seq, digest, by } = vote.body;
            let signature = vote.signature;
            let later = Commit { view: view.next(), seq, digest, by };
            let prepare = Prepare { view, seq, digest, by };
            told.push(PeerMessage::Commit(Signed { body: later, signature }));
            told.push(PeerMessage::Prepare(Signed { body: prepare, signature }));
            told.push(PeerMessage::Prepare(liar.sign_for_another_cluster(prepare)));
        }
        _ => {}
    }
    told
}

/// The same vote again for everybody, under its own signature.
pub(super) fn forge(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = vec![message.clone()];
    let everybody: Vec<ReplicaId> = liar.committee.replicas().collect();
    for replica in everybody {
        match &message {
            PeerMessage::Prepare(vote) => {
                let by = Voter { replica, ..vote.body.by };
                told.push(PeerMessage::Prepare(liar.sign(Prepare { by, ..vote.body })));
            }
            PeerMessage::Commit(vote) => {
                let by = Voter { replica, ..vote.body.by };
                told.push(PeerMessage::Commit(liar.sign(Commit { by, ..vote.body })));
            }
            _ => {}
        }
    }
    told
}
