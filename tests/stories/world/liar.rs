//! What liars say: messages made up from true ones and signed with the liar's own key.
//! (A liar has one key. What others signed it can keep, repeat, cut up and put
//! together otherwise.)

use super::{Flight, World, replica_key};
use bincode::{Decode, Encode};
use quorate::crypto::{ClusterId, Signature};
use quorate::message::{
    Body, Checkpoint, Commit, Endorsement, NewView, PeerMessage, PrePrepare, Prepare, Signed,
    ViewChange, Voter, new_view,
};
use quorate::types::{Committee, Digest, ReplicaId, Seq, View};
use quorate::wire::{self, List};
use std::collections::BTreeMap;

/// The fields of a prepared certificate, to put any together.
#[derive(Clone, Encode, Decode)]
pub struct RawPrepared {
    pub proposal: Signed<PrePrepare>,
    pub prepares: List<Endorsement>,
}

#[derive(Encode)]
struct RawCheckpoint {
    seq: Seq,
    digest: Digest,
    checkpoints: List<Endorsement>,
}

/// One encoding read as another type of the same shape.
pub fn recast<T: Decode<()>>(value: &impl Encode) -> T {
    wire::decode(&wire::encode(value), wire::MOST_BYTES).expect("the same shape")
}

/// Changes a part of a state, so that it is not what its digest says.
pub fn spoil(message: &mut PeerMessage) {
    if let PeerMessage::Part(_, _, part) = message {
        let mut bytes = wire::encode(part);
        // From the end, the first place where another byte still makes a part.
        for at in (0..bytes.len()).rev() {
            bytes[at] ^= 1;
            if let Ok(other) = wire::decode(&bytes, wire::MOST_BYTES) {
                *part = other;
                return;
            }
            bytes[at] ^= 1;
        }
    }
}

/// Adds the group's order to a signature's scalar: the same scalar, written otherwise.
/// Some verifiers take it, and some do not.
pub fn stretch(signature: &mut Signature) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (byte, order) in signature.0[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

/// A message's claims that a liar can set as it likes.
pub struct Claim {
    pub liar: ReplicaId,
    /// In whose name.
    pub named: ReplicaId,
    pub life: quorate::types::Incarnation,
    /// For another cluster of the same members.
    pub foreign: bool,
    /// The signature of another message of the one named.
    pub stolen: Option<Signature>,
}

impl Claim {
    pub fn by(&self) -> Voter {
        Voter { replica: self.named, incarnation: self.life }
    }
}

impl World {
    /// Signs as the claim says.
    pub fn sign<T: Body>(&self, claim: &Claim, body: T) -> Signed<T> {
        let cluster = match claim.foreign {
            true => ClusterId(Digest::of(b"another cluster")),
            false => self.genesis.cluster(),
        };
        match claim.stolen {
            Some(signature) => Signed { body, signature },
            None => Signed::sign(body, &cluster, &replica_key(claim.liar.0)),
        }
    }

    pub fn craft(&mut self, from: ReplicaId, to: &[ReplicaId], message: &PeerMessage) {
        for to in to.iter().copied().filter(|to| *to != from) {
            self.launch(Flight { from, to, message: message.clone(), crafted: true });
        }
    }

    fn committee(&self) -> Committee {
        Committee::new(self.nodes.len() as u16).expect("a committee")
    }

    /// The signature under the latest message of a kind that a replica sent.
    pub fn signature_of(&self, author: ReplicaId, kind: &str) -> Option<Signature> {
        self.history.iter().rev().find_map(|flight| match &flight.message {
            PeerMessage::Propose(one, _) if kind == "pre-prepare" => {
                (one.body.by.replica == author).then_some(one.signature)
            }
            PeerMessage::Prepare(one) if kind == "prepare" => {
                (one.body.by.replica == author).then_some(one.signature)
            }
            PeerMessage::Commit(one) if kind == "commit" => {
                (one.body.by.replica == author).then_some(one.signature)
            }
            _ => None,
        })
    }

    /// What truly was prepared at a number, in the highest view: pieced together from
    /// what was sent, with as few prepares as there are, at most `Q-1`.
    pub fn prepared(&self, seq: Seq, digest: Option<Digest>) -> Option<RawPrepared> {
        let mut best: Option<RawPrepared> = None;
        let mut proposals: Vec<Signed<PrePrepare>> = Vec::new();
        for flight in &self.history {
            match &flight.message {
                PeerMessage::Propose(one, _) => proposals.push(one.clone()),
                PeerMessage::NewView(one, _) => proposals.extend(one.body.pre_prepares.0.clone()),
                _ => {}
            }
        }
        for proposal in proposals {
            if proposal.body.seq != seq || digest.is_some_and(|one| one != proposal.body.digest) {
                continue;
            }
            let prepares = self.endorsements(&proposal.body);
            let prepares = prepares.take(self.committee().quorum() - 1);
            let raw = RawPrepared { prepares: prepares.collect(), proposal };
            let rank = |one: &RawPrepared| (one.prepares.len(), one.proposal.body.view);
            if best.as_ref().is_none_or(|best| rank(best) <= rank(&raw)) {
                best = Some(raw);
            }
        }
        best
    }

    fn endorsements(&self, proposal: &PrePrepare) -> impl Iterator<Item = Endorsement> + use<> {
        let mut found = BTreeMap::new();
        for flight in &self.history {
            if let PeerMessage::Prepare(vote) = &flight.message
                && (vote.body.view, vote.body.seq) == (proposal.view, proposal.seq)
                && vote.body.digest == proposal.digest
            {
                let endorsement = Endorsement { by: vote.body.by, signature: vote.signature };
                found.insert(vote.body.by.replica, endorsement);
            }
        }
        found.into_values()
    }

    /// The prepared certificate that a liar shows for a number: `true`, or which way it
    /// is false.
    pub fn shown(&self, claim: &Claim, seq: Seq, how: &str, other: Option<Digest>) -> RawPrepared {
        let mut raw = match how {
            "of" => self.prepared(seq, other),
            _ => self.prepared(seq, None),
        }
        .expect("something was proposed there");
        let body = raw.proposal.body;
        let own = |by: ReplicaId| {
            let by = Voter { replica: by, incarnation: claim.life };
            let vote = Prepare { view: body.view, seq: body.seq, digest: body.digest, by };
            Endorsement { by, signature: self.sign(claim, vote).signature }
        };
        match how {
            "true" | "of" => {}
            "few" => drop(raw.prepares.0.pop()),
            "doubled" => {
                let first = raw.prepares[0];
                raw.prepares.0.iter_mut().for_each(|one| *one = first);
            }
            "primary" => raw.prepares.0[0] = own(claim.liar),
            "forged" => {
                let names: Vec<ReplicaId> = raw.prepares.iter().map(|one| one.by.replica).collect();
                raw.prepares = names.into_iter().map(own).collect();
            }
            "moved" => raw.proposal.body.seq = seq.next(),
            "other" => raw.proposal.body.digest = other.expect("which batch"),
            how => panic!("no certificate is false that way: {how}"),
        }
        raw
    }

    /// A certificate of a stable checkpoint that only its maker signed.
    pub fn forged_checkpoint<T: Decode<()>>(&self, claim: &Claim, seq: Seq) -> T {
        let digest = Digest::of(b"a state that nobody has");
        let names = (0..self.committee().quorum() as u16).map(ReplicaId);
        let checkpoints = names
            .map(|replica| {
                let by = Voter { replica, incarnation: claim.life };
                let signature = self.sign(claim, Checkpoint { seq, digest, by }).signature;
                Endorsement { by, signature }
            })
            .collect();
        recast(&RawCheckpoint { seq, digest, checkpoints })
    }

    /// The latest view-changes for a view that these replicas sent.
    pub fn wishes(&self, view: View, from: &[ReplicaId]) -> Vec<Signed<ViewChange>> {
        let latest = |sender: &ReplicaId| {
            self.history.iter().rev().find_map(|flight| match &flight.message {
                PeerMessage::ViewChange(one) => {
                    let fits = one.body.by.replica == *sender && one.body.view == view;
                    fits.then(|| one.clone())
                }
                _ => None,
            })
        };
        from.iter().filter_map(latest).collect()
    }

    /// A new view made of these view-changes, and wrong in some way.
    pub fn opening(
        &self,
        claim: &Claim,
        view: View,
        mut wishes: Vec<Signed<ViewChange>>,
        how: &str,
        other: Option<Digest>,
    ) -> Signed<NewView> {
        wishes.sort_by_key(|one| one.body.by.replica);
        let mut chosen = new_view::decide(wishes.iter().map(|one| &one.body)).chosen;
        match how {
            "right" => {}
            "few" => drop(wishes.pop()),
            "doubled" => {
                let first = wishes[0].clone();
                wishes.pop();
                wishes.insert(0, first);
            }
            "null" => chosen.iter_mut().for_each(|(_, digest)| *digest = Digest([0; 32])),
            "short" => drop(chosen.pop()),
            "other" => chosen[0].1 = other.expect("which batch"),
            "more" => {
                let next = chosen.last().map_or(Seq(1), |(seq, _)| seq.next());
                chosen.push((next, other.expect("which batch")));
            }
            how => panic!("no new view is wrong that way: {how}"),
        }
        let by = claim.by();
        let propose = |(seq, digest)| self.sign(claim, PrePrepare { view, seq, digest, by });
        let pre_prepares = chosen.into_iter().map(propose).collect();
        self.sign(claim, NewView { view, by, view_changes: wishes.into(), pre_prepares })
    }

    pub fn cast(
        &self,
        claim: &Claim,
        kind: &str,
        view: View,
        seq: Seq,
        digest: Digest,
    ) -> PeerMessage {
        let by = claim.by();
        match kind {
            "prepare" => PeerMessage::Prepare(self.sign(claim, Prepare { view, seq, digest, by })),
            "commit" => PeerMessage::Commit(self.sign(claim, Commit { view, seq, digest, by })),
            kind => panic!("no vote is called {kind}"),
        }
    }
}
