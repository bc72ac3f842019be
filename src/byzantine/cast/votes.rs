//! Liars among the backups: whom they vote for, how often, and in whose name.

use super::Liar;
use crate::message::{
    Checkpoint, Commit, PeerMessage, PrePrepare, Prepare, Signed, ViewChange, Voter,
};
use crate::types::{Incarnation, ReplicaId, Seq, View};

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

pub(super) fn hurry(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let PeerMessage::Prepare(vote) = &message else { return vec![message] };
    let Prepare { view, seq, digest, by } = vote.body;
    let commit = liar.sign(Commit { view, seq, digest, by });
    vec![PeerMessage::Commit(commit), message]
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

/// In the name of the life before, and of the one after.
pub(super) fn other_lives(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let other = |by: Voter| match by.incarnation == Incarnation::FIRST {
        true => Voter { incarnation: by.incarnation.next(), ..by },
        false => Voter { incarnation: Incarnation(by.incarnation.0 - 1), ..by },
    };
    let told = match &message {
        PeerMessage::Propose(one, batch) if liar.is_me(one.body.by) => {
            let body = PrePrepare { by: other(one.body.by), ..one.body };
            PeerMessage::Propose(liar.sign(body), batch.clone())
        }
        PeerMessage::Prepare(vote) => {
            PeerMessage::Prepare(liar.sign(Prepare { by: other(vote.body.by), ..vote.body }))
        }
        PeerMessage::Commit(vote) => {
            PeerMessage::Commit(liar.sign(Commit { by: other(vote.body.by), ..vote.body }))
        }
        PeerMessage::Checkpoint(vote) => {
            PeerMessage::Checkpoint(liar.sign(Checkpoint { by: other(vote.body.by), ..vote.body }))
        }
        PeerMessage::ViewChange(wish) if liar.is_me(wish.body.by) => {
            let by = other(wish.body.by);
            PeerMessage::ViewChange(liar.sign(ViewChange { by, ..wish.body.clone() }))
        }
        _ => return vec![message],
    };
    match liar.random.in_thousand(500) {
        true => vec![told],
        false => vec![told, message],
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
