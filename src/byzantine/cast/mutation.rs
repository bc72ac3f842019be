//! Every message with one field off by a little, and signed again: each kind, each
//! field, in turn.

use super::forgery;
use super::{Behaviour, Liar};
use crate::message::batch::NULL;
use crate::message::{
    Batch, Body, CheckpointCertificate, CommitCertificate, Endorsement, Evidence, Fetch, NewView,
    PeerMessage, PrePrepare, PreparedCertificate, Signed, StartAnswer, Status, ViewChange, Voter,
};
use crate::types::{Digest, ReplicaId, Seq, Timestamp, View};
use crate::wire::{self, List};
use std::collections::BTreeMap;

/// What a body with a number, a digest and a voter may become.
macro_rules! place_variants {
    ($body:expr) => {{
        let body = $body;
        let mut all = Vec::new();
        for seq in around(body.seq.0) {
            let mut other = body;
            other.seq = Seq(seq);
            all.push(other);
        }
        for digest in [Digest::of(&body.digest.0), NULL] {
            let mut other = body;
            other.digest = digest;
            all.push(other);
        }
        for by in voters(body.by) {
            let mut other = body;
            other.by = by;
            all.push(other);
        }
        all
    }};
}

/// The same of one with a view.
macro_rules! vote_variants {
    ($body:expr) => {{
        let body = $body;
        let mut all = place_variants!(body);
        for view in around(body.view.0) {
            let mut other = body;
            other.view = View(view);
            all.push(other);
        }
        all
    }};
}

/// Of a thousand messages, so many are changed.
const CHANGED: u64 = 150;

/// And of those, so many are told to everybody alike: some lies are believed by all or none.
const ALIKE: u64 = 500;

/// Remembers, for each kind of message, which change comes next.
#[derive(Default)]
pub(super) struct Mutator {
    turns: BTreeMap<u8, usize>,
    /// What everybody is told in place of a message.
    told: Option<(PeerMessage, PeerMessage)>,
}

impl Behaviour for Mutator {
    fn tell(&mut self, liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        if let Some((_, other)) = self.told.as_ref().filter(|(truth, _)| *truth == message) {
            return vec![other.clone()];
        }
        if !liar.random.in_thousand(CHANGED) {
            return vec![message];
        }
        // Canonical bytes begin with the kind.
        let kind = wire::encode(&message).first().copied().unwrap_or(0);
        let mut variants = variants(liar, &message);
        if variants.is_empty() {
            return vec![message];
        }
        let turn = self.turns.entry(kind).or_default();
        let index = *turn % variants.len();
        *turn += 1;
        let other = variants.swap_remove(index);
        self.told = liar.random.in_thousand(ALIKE).then(|| (message, other.clone()));
        vec![other]
    }
}

/// Everything that a message may be changed into.
fn variants(liar: &Liar, message: &PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Propose(proposal, batch) => {
            let mut all = resigned(liar, proposal_variants(&proposal.body), |one| {
                PeerMessage::Propose(one, batch.clone())
            });
            all.push(PeerMessage::Propose(proposal.clone(), None));
            for other in batch.iter().flat_map(batch_variants) {
                let body = PrePrepare { digest: other.digest(), ..proposal.body };
                all.push(PeerMessage::Propose(proposal.clone(), Some(other.clone())));
                all.push(PeerMessage::Propose(liar.sign(body), Some(other)));
            }
            all
        }
        PeerMessage::Prepare(vote) => {
            resigned(liar, vote_variants!(vote.body), PeerMessage::Prepare)
        }
        PeerMessage::Commit(vote) => resigned(liar, vote_variants!(vote.body), PeerMessage::Commit),
        PeerMessage::Checkpoint(vote) => {
            resigned(liar, place_variants!(vote.body), PeerMessage::Checkpoint)
        }
        PeerMessage::ViewChange(wish) => {
            resigned(liar, wish_variants(&wish.body), PeerMessage::ViewChange)
        }
        PeerMessage::NewView(opening, shown) => {
            let bodies = opening_variants(liar, &opening.body);
            let mut all = resigned(liar, bodies, |one| PeerMessage::NewView(one, shown.clone()));
            all.push(PeerMessage::NewView(opening.clone(), None));
            all
        }
        PeerMessage::Stable(one) => {
            stable_variants(one).into_iter().map(PeerMessage::Stable).collect()
        }
        PeerMessage::Decided(one, batch) => {
            let decided = commit_variants(one).into_iter();
            let mut all: Vec<_> =
                decided.map(|one| PeerMessage::Decided(one, batch.clone())).collect();
            all.push(PeerMessage::Decided(one.clone(), None));
            for other in batch.iter().flat_map(batch_variants) {
                all.push(PeerMessage::Decided(one.clone(), Some(other)));
            }
            all
        }
        PeerMessage::Status(status) => {
            status_variants(status).into_iter().map(PeerMessage::Status).collect()
        }
        PeerMessage::Fetch(fetch) => {
            fetch_variants(fetch).into_iter().map(PeerMessage::Fetch).collect()
        }
        PeerMessage::Batch(batch) => {
            batch_variants(batch).into_iter().map(PeerMessage::Batch).collect()
        }
        PeerMessage::Part(seq, path, part) => around(seq.0)
            .into_iter()
            .map(|seq| PeerMessage::Part(Seq(seq), path.clone(), part.clone()))
            .collect(),
        PeerMessage::NoState(seq) => {
            around(seq.0).into_iter().map(|seq| PeerMessage::NoState(Seq(seq))).collect()
        }
        PeerMessage::StartQuery(nonce) => around(nonce.0)
            .into_iter()
            .map(|nonce| PeerMessage::StartQuery(crate::types::Nonce(nonce)))
            .collect(),
        PeerMessage::StartAnswer(answer) => answer_variants(answer)
            .into_iter()
            .map(|answer| PeerMessage::StartAnswer(Box::new(answer)))
            .collect(),
        PeerMessage::Relay(request) => {
            let mut all = Vec::new();
            for first in around(request.body.first.0) {
                let mut other = request.clone();
                other.body.first.0 = first;
                all.push(PeerMessage::Relay(other));
            }
            for operations in lists(&request.body.operations) {
                let mut other = request.clone();
                other.body.operations = List(operations);
                all.push(PeerMessage::Relay(other));
            }
            all
        }
        PeerMessage::Recovery(recovery) => {
            let mut bodies = Vec::new();
            for nonce in around(recovery.body.nonce.0) {
                let mut body = recovery.body;
                body.nonce.0 = nonce;
                bodies.push(body);
            }
            bodies.push(crate::message::RecoveryRequest {
                replica: next_replica(recovery.body.replica),
                ..recovery.body
            });
            resigned(liar, bodies, PeerMessage::Recovery)
        }
        PeerMessage::Evidence(evidence) => {
            evidence_variants(evidence).into_iter().map(PeerMessage::Evidence).collect()
        }
    }
}

/// Each of these under the liar's own signature, and the first under a stranger's.
fn resigned<T: Body>(
    liar: &Liar,
    bodies: Vec<T>,
    wrap: impl Fn(Signed<T>) -> PeerMessage,
) -> Vec<PeerMessage> {
    let stranger = bodies.first().map(|body| liar.sign_for_another_cluster(body.clone()));
    let signed = bodies.into_iter().map(|body| liar.sign(body));
    signed.chain(stranger).map(wrap).collect()
}

/// The numbers beside one.
fn around(number: u64) -> [u64; 2] {
    [number.saturating_add(1), number.saturating_sub(1)]
}

fn next_replica(id: ReplicaId) -> ReplicaId {
    ReplicaId(id.0.saturating_add(1))
}

fn voters(by: Voter) -> [Voter; 2] {
    let replica = next_replica(by.replica);
    [Voter { replica, ..by }, Voter { incarnation: by.incarnation.next(), ..by }]
}

/// A list with one element dropped, doubled, or in another's place.
fn lists<T: Clone>(list: &[T]) -> Vec<Vec<T>> {
    let Some((first, rest)) = list.split_first() else { return vec![] };
    let without_last = list[..list.len() - 1].to_vec();
    let doubled = std::iter::once(first.clone()).chain(list.iter().cloned()).collect();
    let mut all = vec![rest.to_vec(), without_last, doubled];
    if list.len() > 1 {
        let mut swapped = list.to_vec();
        swapped.swap(0, 1);
        all.push(swapped);
        let mut replaced = list.to_vec();
        replaced[0] = list[1].clone();
        all.push(replaced);
    }
    all
}

fn proposal_variants(body: &PrePrepare) -> Vec<PrePrepare> {
    vote_variants!(*body)
}

fn batch_variants(batch: &Batch) -> Vec<Batch> {
    let times = around(batch.time().0).into_iter();
    let at_other_times = times.map(|time| Batch::new(Timestamp(time), batch.items().to_vec()));
    let of_other_items =
        lists(batch.items()).into_iter().map(|items| Batch::new(batch.time(), items));
    at_other_times.chain(of_other_items).collect()
}

fn prepared_variants(one: &PreparedCertificate) -> Vec<PreparedCertificate> {
    let by_members = member_variants(one.prepares())
        .into_iter()
        .filter_map(|members| forgery::prepared(one.proposal().clone(), members));
    let by_proposal = proposal_variants(&one.proposal().body).into_iter().filter_map(|body| {
        let signature = one.proposal().signature;
        forgery::prepared(Signed { body, signature }, one.prepares().to_vec())
    });
    by_members.chain(by_proposal).collect()
}

fn member_variants(members: &[Endorsement]) -> Vec<Vec<Endorsement>> {
    let mut all = lists(members);
    for by in members.first().into_iter().flat_map(|first| voters(first.by)) {
        let mut other = members.to_vec();
        other[0].by = by;
        all.push(other);
    }
    all
}

fn commit_variants(one: &CommitCertificate) -> Vec<CommitCertificate> {
    let place = (one.view(), one.seq(), one.digest());
    let mut all: Vec<_> = member_variants(one.commits())
        .into_iter()
        .filter_map(|members| forgery::commit(place, members))
        .collect();
    for seq in around(one.seq().0) {
        all.extend(forgery::commit((place.0, Seq(seq), place.2), one.commits().to_vec()));
    }
    for view in around(one.view().0) {
        all.extend(forgery::commit((View(view), place.1, place.2), one.commits().to_vec()));
    }
    all.extend(forgery::commit((place.0, place.1, NULL), one.commits().to_vec()));
    all
}

fn stable_variants(one: &CheckpointCertificate) -> Vec<CheckpointCertificate> {
    let mut all: Vec<_> = member_variants(one.checkpoints())
        .into_iter()
        .filter_map(|members| forgery::checkpoint((one.seq(), one.digest()), members))
        .collect();
    for seq in around(one.seq().0) {
        all.extend(forgery::checkpoint((Seq(seq), one.digest()), one.checkpoints().to_vec()));
    }
    all.extend(forgery::checkpoint((one.seq(), NULL), one.checkpoints().to_vec()));
    all
}

fn wish_variants(body: &ViewChange) -> Vec<ViewChange> {
    let views = around(body.view.0).into_iter();
    let mut all: Vec<_> =
        views.map(|view| ViewChange { view: View(view), ..body.clone() }).collect();
    all.extend(voters(body.by).map(|by| ViewChange { by, ..body.clone() }));
    all.push(ViewChange { stable: None, ..body.clone() });
    for stable in body.stable.iter().flat_map(stable_variants) {
        all.push(ViewChange { stable: Some(stable), ..body.clone() });
    }
    for prepared in lists(&body.prepared) {
        all.push(ViewChange { prepared: List(prepared), ..body.clone() });
    }
    for other in body.prepared.first().into_iter().flat_map(prepared_variants) {
        let mut prepared = body.prepared.clone();
        prepared.0[0] = other;
        all.push(ViewChange { prepared, ..body.clone() });
    }
    all
}

fn opening_variants(liar: &Liar, body: &NewView) -> Vec<NewView> {
    let views = around(body.view.0).into_iter();
    let mut all: Vec<_> = views.map(|view| NewView { view: View(view), ..body.clone() }).collect();
    all.extend(voters(body.by).map(|by| NewView { by, ..body.clone() }));
    for wishes in lists(&body.view_changes) {
        all.push(NewView { view_changes: List(wishes), ..body.clone() });
    }
    for proposals in lists(&body.pre_prepares) {
        all.push(NewView { pre_prepares: List(proposals), ..body.clone() });
    }
    if let Some(first) = body.pre_prepares.first() {
        for other in proposal_variants(&first.body) {
            let mut pre_prepares = body.pre_prepares.clone();
            pre_prepares.0[0] = liar.sign(other);
            all.push(NewView { pre_prepares, ..body.clone() });
        }
    }
    // Another's wish, changed under its old signature.
    if let Some(first) = body.view_changes.first() {
        for other in wish_variants(&first.body) {
            let mut view_changes = body.view_changes.clone();
            view_changes.0[0] = Signed { body: other, signature: first.signature };
            all.push(NewView { view_changes, ..body.clone() });
        }
    }
    all
}

fn status_variants(status: &Status) -> Vec<Status> {
    let mut all = Vec::new();
    for seq in around(status.executed.0).into_iter().chain([status.executed.0 + 1_000]) {
        all.push(Status { executed: Seq(seq), ..status.clone() });
    }
    for seq in around(status.stable.0).into_iter().chain([0]) {
        all.push(Status { stable: Seq(seq), ..status.clone() });
    }
    for view in around(status.view.0) {
        all.push(Status { view: View(view), ..status.clone() });
    }
    all.push(Status { active: !status.active, ..status.clone() });
    for slots in lists(&status.slots) {
        all.push(Status { slots: List(slots), ..status.clone() });
    }
    for view_changes in lists(&status.view_changes) {
        all.push(Status { view_changes: List(view_changes), ..status.clone() });
    }
    all
}

fn fetch_variants(fetch: &Fetch) -> Vec<Fetch> {
    let seqs = |seq: Seq| around(seq.0).map(Seq);
    match fetch {
        Fetch::Batch(digest) => vec![Fetch::Batch(Digest::of(&digest.0)), Fetch::Batch(NULL)],
        Fetch::Decided(seq) => seqs(*seq).map(Fetch::Decided).to_vec(),
        Fetch::Stable(seq) => seqs(*seq).map(Fetch::Stable).to_vec(),
        Fetch::NewView(view) => around(view.0).map(|view| Fetch::NewView(View(view))).to_vec(),
        Fetch::Proposal(view, seq) => {
            let views = around(view.0).map(|view| Fetch::Proposal(View(view), *seq));
            views.into_iter().chain(seqs(*seq).map(|seq| Fetch::Proposal(*view, seq))).collect()
        }
        Fetch::Part(seq, path, since, bytes) => {
            let part = |seq, since, bytes| Fetch::Part(seq, path.clone(), since, bytes);
            let mut all = seqs(*seq).map(|seq| part(seq, *since, *bytes)).to_vec();
            all.extend([0, u32::MAX].map(|bytes| part(*seq, *since, bytes)));
            all.extend(
                [None, Some(Seq(0)), Some(Seq(u64::MAX))].map(|since| part(*seq, since, *bytes)),
            );
            all
        }
    }
}

fn answer_variants(answer: &StartAnswer) -> Vec<StartAnswer> {
    let mut all = Vec::new();
    for nonce in around(answer.nonce.0) {
        all.push(StartAnswer { nonce: crate::types::Nonce(nonce), ..answer.clone() });
    }
    for view in around(answer.view.0) {
        all.push(StartAnswer { view: View(view), ..answer.clone() });
    }
    all.push(StartAnswer { highest: None, ..answer.clone() });
    all.push(StartAnswer { stable: None, ..answer.clone() });
    for highest in answer.highest.iter().flat_map(prepared_variants) {
        all.push(StartAnswer { highest: Some(highest), ..answer.clone() });
    }
    for stable in answer.stable.iter().flat_map(stable_variants) {
        all.push(StartAnswer { stable: Some(stable), ..answer.clone() });
    }
    for held in lists(&answer.held) {
        all.push(StartAnswer { held: List(held), ..answer.clone() });
    }
    all
}

/// The same record turned round, and records of one thing twice.
fn evidence_variants(evidence: &Evidence) -> Vec<Evidence> {
    macro_rules! turn {
        ($kind:ident, $one:expr, $other:expr) => {
            vec![
                Evidence::$kind($other.clone(), $one.clone()),
                Evidence::$kind($one.clone(), $one.clone()),
            ]
        };
    }
    match evidence {
        Evidence::PrePrepare(one, other) => turn!(PrePrepare, one, other),
        Evidence::Prepare(one, other) => turn!(Prepare, one, other),
        Evidence::Commit(one, other) => turn!(Commit, one, other),
        Evidence::Checkpoint(one, other) => turn!(Checkpoint, one, other),
        Evidence::ViewChange(one, other) => turn!(ViewChange, one, other),
        Evidence::NewView(one, other) => turn!(NewView, one, other),
    }
}
