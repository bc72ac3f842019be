//! Liars in the primary's place: what they propose, to whom, and when.

use super::{Behaviour, HeldBack, Liar};
use crate::message::{Batch, Commit, Item, PeerMessage, PrePrepare, Prepare, Signed, Voter};
use crate::types::{ClientId, Digest, Instant, ReplicaId, Seq, Span, Timestamp, View};
use crate::wire::{Blob, List};

/// A proposal of the liar's own, with its batch.
fn own<'a>(liar: &Liar, message: &'a PeerMessage) -> Option<(&'a PrePrepare, &'a Batch)> {
    match message {
        PeerMessage::Propose(proposal, Some(batch)) if liar.is_me(proposal.body.by) => {
            Some((&proposal.body, batch))
        }
        _ => None,
    }
}

/// The same place given to another batch.
fn propose(liar: &Liar, body: &PrePrepare, batch: Batch) -> PeerMessage {
    let body = PrePrepare { digest: batch.digest(), ..*body };
    PeerMessage::Propose(liar.sign(body), Some(batch))
}

/// The same requests at a later time.
fn other_batch(batch: &Batch) -> Batch {
    Batch::new(Timestamp(batch.time().0.saturating_add(1)), batch.items().to_vec())
}

pub(super) fn equivocate(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match own(liar, &message) {
        Some((body, batch)) if !liar.is_favoured(to) => {
            vec![propose(liar, body, other_batch(batch))]
        }
        _ => vec![message],
    }
}

/// Whoever is told again may be told otherwise.
pub(super) fn waver(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let is_other = liar.random.in_thousand(400);
    match own(liar, &message) {
        Some((body, batch)) if is_other => vec![propose(liar, body, other_batch(batch))],
        _ => vec![message],
    }
}

/// Each half gets a proposal of its own, and with it the votes of every liar for it.
pub(super) fn equivocate_together(
    liar: &mut Liar,
    to: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    let (body, told) = match (own(liar, &message), &message) {
        (Some((body, batch)), _) if !liar.is_favoured(to) => {
            let other = other_batch(batch);
            let body = PrePrepare { digest: other.digest(), ..*body };
            (body, propose(liar, &body, other))
        }
        (Some((body, _)), _) => (*body, message.clone()),
        // What a liar votes by itself would give away which half it is in.
        (None, PeerMessage::Prepare(_) | PeerMessage::Commit(_)) if !liar.is_favoured(to) => {
            return vec![];
        }
        (None, _) => return vec![message],
    };
    let mut all = vec![told];
    for member in liar.conspirators() {
        all.extend(votes_of(liar, member, &body));
    }
    all
}

fn votes_of(liar: &Liar, member: ReplicaId, body: &PrePrepare) -> Vec<PeerMessage> {
    let PrePrepare { view, seq, digest, by } = *body;
    let voter = Voter { replica: member, ..by };
    let prepare = (member != by.replica)
        .then(|| liar.sign_as(member, Prepare { view, seq, digest, by: voter }))
        .flatten();
    let commit = liar.sign_as(member, Commit { view, seq, digest, by: voter });
    let prepare = prepare.map(PeerMessage::Prepare);
    prepare.into_iter().chain(commit.map(PeerMessage::Commit)).collect()
}

/// With its own prepare, which must not count beside the proposal.
pub(super) fn support_itself(
    liar: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    let Some((body, _)) = own(liar, &message) else { return vec![message] };
    let PrePrepare { view, seq, digest, by } = *body;
    let prepare = PeerMessage::Prepare(liar.sign(Prepare { view, seq, digest, by }));
    let commit = PeerMessage::Commit(liar.sign(Commit { view, seq, digest, by }));
    vec![prepare.clone(), message, prepare, commit.clone(), commit]
}

pub(super) fn wrong_digest(
    liar: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Propose(proposal, batch) if liar.is_me(proposal.body.by) => {
            let digest = Digest::of(&proposal.body.digest.0);
            vec![PeerMessage::Propose(liar.sign(PrePrepare { digest, ..proposal.body }), batch)]
        }
        other => vec![other],
    }
}

/// The same batch, but that its first request is one that its client never signed.
fn forged(batch: &Batch) -> Option<Batch> {
    let mut items = batch.items().to_vec();
    match items.first_mut()? {
        Item::Request(request) => request.body.operations = List(vec![Blob::from("a forgery")]),
        Item::Recovery(_) => return None,
    }
    Some(Batch::new(batch.time(), items))
}

pub(super) fn forged_request(
    liar: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    let Some((body, batch)) = own(liar, &message) else { return vec![message] };
    forged(batch).map_or_else(|| vec![message.clone()], |batch| vec![propose(liar, body, batch)])
}

/// With the votes of every liar, who all say that they have checked it. Some of the others
/// are told the truth beside it, before or after.
pub(super) fn forge_together(
    liar: &mut Liar,
    to: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    let Some((body, batch)) = own(liar, &message) else { return vec![message] };
    let Some(forged) = forged(batch) else { return vec![message] };
    let lie = PrePrepare { digest: forged.digest(), ..*body };
    let members = liar.conspirators();
    let votes = members.into_iter().flat_map(|member| votes_of(liar, member, &lie));
    let mut all: Vec<PeerMessage> = votes.collect();
    all.insert(0, propose(liar, body, forged));
    match liar.random.below(4) {
        _ if liar.is_favoured(to) => {}
        0 => all.push(message),
        1 => all.insert(0, message),
        _ => {}
    }
    all
}

/// Every second batch holds its items twice; the others bring those of the one before.
#[derive(Default)]
pub(super) struct Doubler {
    before: Vec<Item>,
    told: Option<(View, Seq, Batch)>,
}

impl Behaviour for Doubler {
    fn tell(&mut self, liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        let Some((body, batch)) = own(liar, &message) else { return vec![message] };
        let place = (body.view, body.seq);
        let told = match &self.told {
            Some((view, seq, told)) if (*view, *seq) == place => told.clone(),
            _ => {
                let own_items = batch.items().to_vec();
                let more = if body.seq.0.is_multiple_of(2) { &own_items } else { &self.before };
                let items = own_items.iter().chain(more).cloned().collect();
                let doubled = Batch::new(batch.time(), items);
                self.before = own_items;
                self.told = Some((place.0, place.1, doubled.clone()));
                doubled
            }
        };
        vec![propose(liar, body, told)]
    }
}

pub(super) fn jump(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Propose(proposal, batch) if liar.is_me(proposal.body.by) => {
            // As far for everybody, or they would not agree on anything.
            let seq = proposal.body.seq.plus(1 + u64::from(proposal.body.digest.0[0] % 12));
            vec![PeerMessage::Propose(liar.sign(PrePrepare { seq, ..proposal.body }), batch)]
        }
        other => vec![other],
    }
}

pub(super) fn withhold(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match &message {
        PeerMessage::Propose(..) | PeerMessage::Batch(_) | PeerMessage::Decided(..)
            if to != liar.confidant() =>
        {
            vec![]
        }
        _ => vec![message],
    }
}

pub(super) fn censor(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let Some((body, batch)) = own(liar, &message) else { return vec![message] };
    let is_censored = |item: &&Item| match item {
        Item::Request(request) => request.body.client == ClientId(0),
        Item::Recovery(_) => false,
    };
    let kept = batch.items().iter().filter(|item| !is_censored(item)).cloned().collect();
    vec![propose(liar, body, Batch::new(batch.time(), kept))]
}

pub(super) fn lie_about_time(
    liar: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    let Some((body, batch)) = own(liar, &message) else { return vec![message] };
    // The same lie to everybody, or they would not agree on anything.
    let [kind, draw @ ..] = batch.digest().0;
    let furthest = match kind % 3 {
        0 => 2 * 3_600_000_000,
        1 => 10_000_000,
        _ => 1_000_000,
    };
    let draw = draw.iter().take(7).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let time = batch.time().0.saturating_add(draw % (2 * furthest));
    let time = time.saturating_sub(furthest);
    vec![propose(liar, body, Batch::new(Timestamp(time), batch.items().to_vec()))]
}

/// Proposes what the true primary did, in its own name and as if in a view of its own.
pub(super) fn usurp(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let PeerMessage::Prepare(vote) = &message else { return vec![message] };
    let Prepare { view, seq, digest, by } = vote.body;
    let batch = liar.earlier.iter().find_map(|one| match one {
        PeerMessage::Propose(_, Some(batch)) | PeerMessage::Batch(batch) => Some(batch.clone()),
        _ => None,
    });
    let batch = batch.unwrap_or_else(|| Batch::new(Timestamp(0), vec![]));
    let ahead = View(view.0 + liar.random.below(liar.committee.size() as u64));
    let own = PrePrepare { view: ahead, seq, digest: batch.digest(), by };
    let theirs = Signed {
        body: PrePrepare {
            view,
            seq,
            digest,
            by: Voter { replica: liar.committee.primary(view), ..by },
        },
        signature: vote.signature,
    };
    vec![
        PeerMessage::Propose(liar.sign(own), Some(batch.clone())),
        PeerMessage::Propose(theirs, Some(batch)),
        message,
    ]
}

/// Holds back its proposals. Longer and longer while nobody minds, and less after each
/// time that it was replaced.
pub(super) struct Slow {
    delay: Span,
    /// The highest view that it was asked to leave.
    left: View,
    held: HeldBack,
}

impl Default for Slow {
    fn default() -> Slow {
        Slow { delay: Span::milliseconds(120), left: View(0), held: HeldBack::default() }
    }
}

/// It never holds back longer: a longer wait is a silent primary's.
const LONGEST_DELAY: Span = Span::seconds(5);

impl Behaviour for Slow {
    fn tell(&mut self, liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        match &message {
            PeerMessage::ViewChange(wish) if liar.is_me(wish.body.by) => {
                if wish.body.view > self.left {
                    self.left = wish.body.view;
                    self.delay = Span(self.delay.0 / 2 + 10_000);
                }
                vec![message]
            }
            PeerMessage::Propose(proposal, _) if liar.is_me(proposal.body.by) => {
                let due = liar.now.plus(self.delay);
                self.delay = Span(self.delay.0 + self.delay.0 / 32).min(LONGEST_DELAY);
                self.held.hold(due, to, message)
            }
            _ => vec![message],
        }
    }

    fn on_time(&mut self, _: &mut Liar, now: Instant) -> Vec<(ReplicaId, PeerMessage)> {
        self.held.due(now)
    }

    fn next(&self) -> Option<Instant> {
        self.held.next()
    }
}
