//! Certificates that are none. Their fields are closed to whoever did not count votes, so
//! a forger writes their bytes.

use super::Liar;
use crate::message::{
    Batch, Checkpoint, CheckpointCertificate, Commit, CommitCertificate, Endorsement, PeerMessage,
    PrePrepare, Prepare, PreparedCertificate, Signed, ViewChange, Voter,
};
use crate::types::{Digest, ReplicaId, Seq, Timestamp, View};
use crate::wire::{self, List};
use bincode::Encode;

/// The bytes of a prepared certificate.
#[derive(Encode)]
struct LoosePrepared {
    proposal: Signed<PrePrepare>,
    prepares: List<Endorsement>,
}

/// The bytes of a commit certificate.
#[derive(Encode)]
struct LooseCommit {
    view: View,
    seq: Seq,
    digest: Digest,
    commits: List<Endorsement>,
}

/// The bytes of a checkpoint certificate.
#[derive(Encode)]
struct LooseCheckpoint {
    seq: Seq,
    digest: Digest,
    checkpoints: List<Endorsement>,
}

/// A prepared certificate of whatever members.
pub(super) fn prepared(
    proposal: Signed<PrePrepare>,
    prepares: Vec<Endorsement>,
) -> Option<PreparedCertificate> {
    let loose = LoosePrepared { proposal, prepares: List(prepares) };
    wire::decode(&wire::encode(&loose), wire::MOST_BYTES).ok()
}

/// A commit certificate of whatever members.
pub(super) fn commit(
    (view, seq, digest): (View, Seq, Digest),
    commits: Vec<Endorsement>,
) -> Option<CommitCertificate> {
    let loose = LooseCommit { view, seq, digest, commits: List(commits) };
    wire::decode(&wire::encode(&loose), wire::MOST_BYTES).ok()
}

/// A checkpoint certificate of whatever members.
pub(super) fn checkpoint(
    (seq, digest): (Seq, Digest),
    checkpoints: Vec<Endorsement>,
) -> Option<CheckpointCertificate> {
    let loose = LooseCheckpoint { seq, digest, checkpoints: List(checkpoints) };
    wire::decode(&wire::encode(&loose), wire::MOST_BYTES).ok()
}

/// A certificate with its signatures bound to the next number, under a proposal of the
/// liar's own.
pub(super) fn moved(liar: &Liar, one: &PreparedCertificate) -> Option<PreparedCertificate> {
    let proposal = one.proposal().body;
    let by = Voter { replica: liar.id, ..proposal.by };
    let body = PrePrepare { seq: one.seq().next(), by, ..proposal };
    prepared(liar.sign(body), one.prepares().to_vec())
}

/// Members as they must not be: too few, one twice, one in another's place.
fn spoilt(liar: &mut Liar, members: &[Endorsement], own: Endorsement) -> Vec<Endorsement> {
    let mut members = members.to_vec();
    match liar.random.below(4) {
        0 => drop(members.pop()),
        1 => {
            if let Some(last) = members.pop() {
                members.pop();
                members.extend([last, last]);
            }
        }
        2 => members.reverse(),
        _ => {
            if let Some(member) = members.last_mut() {
                member.signature = own.signature;
            }
        }
    }
    members
}

/// The primary's own prepare in the place of a backup's: by a liar's key where the
/// primary lies too, else under the liar's.
fn with_the_primary(liar: &Liar, one: &PreparedCertificate) -> Vec<Endorsement> {
    let mut members = one.prepares().to_vec();
    let by = one.proposal().body.by;
    let vote: Prepare = one.prepare_of(&Endorsement { by, signature: one.proposal().signature });
    let signed = liar.sign_as(by.replica, vote).unwrap_or_else(|| liar.sign(vote));
    members.pop();
    members.push(Endorsement { by, signature: signed.signature });
    members.sort_by_key(|member| member.by.replica);
    members
}

fn spoil_prepared(liar: &mut Liar, one: &PreparedCertificate) -> Option<PreparedCertificate> {
    let by = Voter { replica: liar.id, ..one.proposal().body.by };
    let body =
        Prepare { by, ..one.prepare_of(&Endorsement { by, signature: one.proposal().signature }) };
    let own = Endorsement { by, signature: liar.sign(body).signature };
    let members = match liar.random.below(3) {
        0 => with_the_primary(liar, one),
        _ => spoilt(liar, one.prepares(), own),
    };
    prepared(one.proposal().clone(), members)
}

/// Every certificate that it shows is spoilt, one way or another.
pub(super) fn forge_certificates(
    liar: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    match message {
        PeerMessage::ViewChange(wish) if liar.is_me(wish.body.by) => {
            let mut body: ViewChange = wish.body;
            if let Some(last) = body.prepared.0.pop() {
                body.prepared.0.extend(spoil_prepared(liar, &last));
            } else if let Some(stable) = body.stable.take() {
                body.stable = spoil_checkpoint(liar, &stable);
            }
            vec![PeerMessage::ViewChange(liar.sign(body))]
        }
        PeerMessage::Decided(one, batch) => {
            let (view, seq, digest) = (one.view(), one.seq(), one.digest());
            let by = Voter { replica: liar.id, incarnation: Default::default() };
            let own = liar.sign(Commit { view, seq, digest, by });
            let own = Endorsement { by, signature: own.signature };
            let members = spoilt(liar, one.commits(), own);
            let forged = commit((view, seq, digest), members);
            forged.map(|forged| PeerMessage::Decided(forged, batch)).into_iter().collect()
        }
        PeerMessage::Stable(one) => {
            spoil_checkpoint(liar, &one).map(PeerMessage::Stable).into_iter().collect()
        }
        PeerMessage::Checkpoint(vote) => {
            // One vote is no certificate, whatever it is called.
            let body = vote.body;
            let alone = Endorsement { by: body.by, signature: vote.signature };
            let own = checkpoint((body.seq, body.digest), vec![alone; liar.committee.quorum()]);
            // And it signed nothing of this at all.
            let digest = liar.conspiracy().false_digest(body.digest);
            let false_one = checkpoint((body.seq, digest), invented(liar, alone));
            let ahead = checkpoint((body.seq.plus(1_000), digest), invented(liar, alone));
            let forged = [own, false_one, ahead].into_iter().flatten().map(PeerMessage::Stable);
            forged.chain([PeerMessage::Checkpoint(vote)]).collect()
        }
        PeerMessage::Commit(vote) => {
            let Commit { view, seq, by, .. } = vote.body;
            let batch = Batch::new(Timestamp(seq.0), vec![]);
            let alone = Endorsement { by, signature: vote.signature };
            let forged = commit((view, seq, batch.digest()), invented(liar, alone));
            let forged = forged.map(|forged| PeerMessage::Decided(forged, Some(batch)));
            forged.into_iter().chain([PeerMessage::Commit(vote)]).collect()
        }
        PeerMessage::StartAnswer(mut answer) => {
            let highest = answer.highest.take();
            answer.highest = highest.and_then(|one| spoil_prepared(liar, &one));
            let stable = answer.stable.take();
            answer.stable = stable.and_then(|one| spoil_checkpoint(liar, &one));
            vec![PeerMessage::StartAnswer(answer)]
        }
        other => vec![other],
    }
}

/// A quorum's worth of members in their order, all under one signature.
fn invented(liar: &Liar, one: Endorsement) -> Vec<Endorsement> {
    let members = liar.committee.replicas().take(liar.committee.quorum());
    members.map(|replica| Endorsement { by: Voter { replica, ..one.by }, ..one }).collect()
}

/// A checkpoint certificate with its members spoilt.
pub(super) fn spoil_checkpoint(
    liar: &mut Liar,
    one: &CheckpointCertificate,
) -> Option<CheckpointCertificate> {
    let (seq, digest) = (one.seq(), one.digest());
    let by = Voter { replica: liar.id, incarnation: Default::default() };
    let own = liar.sign(Checkpoint { seq, digest, by });
    let own = Endorsement { by, signature: own.signature };
    let members = spoilt(liar, one.checkpoints(), own);
    checkpoint((seq, digest), members)
}
