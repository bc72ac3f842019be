//! Liars about others: what they ask for, and what they did.

use super::{Behaviour, Liar};
use crate::message::{
    Batch, Evidence, Item, PeerMessage, PrePrepare, Prepare, RecoveryRequest, Signed, Voter,
};
use crate::types::{Digest, Nonce, ReplicaId};
use crate::wire::{Blob, List};

/// Somebody else, whoever it is.
fn another(liar: &mut Liar) -> ReplicaId {
    let size = u16::try_from(liar.committee.size()).unwrap_or(u16::MAX);
    let step = liar.random.between(1, u64::from(size) - 1);
    ReplicaId((liar.id.0 + u16::try_from(step).unwrap_or(1)) % size)
}

/// Asks for new lives of its own that it doesn't need, some of them again, and under its
/// own key for those of others: in passing, and as primary in its batches.
#[derive(Default)]
pub(super) struct Reviver {
    asked: Vec<Nonce>,
}

/// How many of its own commands it remembers.
const MOST_ASKED: usize = 8;

impl Reviver {
    fn own(&mut self, liar: &mut Liar) -> Signed<RecoveryRequest> {
        let again = liar.random.pick(&self.asked).copied();
        let nonce = match again.filter(|_| liar.random.in_thousand(300)) {
            Some(nonce) => nonce,
            None => Nonce(liar.random.any()),
        };
        if self.asked.len() < MOST_ASKED {
            self.asked.push(nonce);
        }
        liar.sign(RecoveryRequest { replica: liar.id, nonce })
    }

    fn forged(liar: &mut Liar) -> Signed<RecoveryRequest> {
        let body = RecoveryRequest { replica: another(liar), nonce: Nonce(liar.random.any()) };
        liar.sign(body)
    }
}

impl Behaviour for Reviver {
    fn tell(&mut self, liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        match &message {
            PeerMessage::Status(_) if liar.random.in_thousand(300) => {
                let (own, forged) = (self.own(liar), Reviver::forged(liar));
                vec![PeerMessage::Recovery(own), PeerMessage::Recovery(forged), message]
            }
            PeerMessage::Propose(proposal, Some(batch))
                if liar.is_me(proposal.body.by) && liar.random.in_thousand(100) =>
            {
                let forged = Item::Recovery(Reviver::forged(liar));
                let batch = Batch::new(batch.time(), vec![forged]);
                let body = PrePrepare { digest: batch.digest(), ..proposal.body };
                vec![PeerMessage::Propose(liar.sign(body), Some(batch))]
            }
            _ => vec![message],
        }
    }
}

/// Passes on requests that their clients never signed, beside those that they did.
pub(super) fn misquote(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match &message {
        PeerMessage::Relay(request) if liar.random.in_thousand(500) => {
            let mut other = request.clone();
            other.body.operations = List(vec![Blob::from("a misquotation")]);
            vec![PeerMessage::Relay(other), message]
        }
        _ => vec![message],
    }
}

/// Shows evidence against others: of what they never signed, and of what is no conflict.
pub(super) fn slander(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = Vec::new();
    match &message {
        // Its own words, put into another's mouth.
        PeerMessage::Prepare(vote) if liar.random.in_thousand(100) => {
            let by = Voter { replica: another(liar), ..vote.body.by };
            let one = liar.sign(Prepare { by, ..vote.body });
            let digest = Digest::of(&vote.body.digest.0);
            let other = liar.sign(Prepare { digest, by, ..vote.body });
            told.push(PeerMessage::Evidence(Evidence::Prepare(one, other)));
        }
        // Others' true words, about two places or in two views.
        PeerMessage::ViewChange(wish) => {
            let certificates = &wish.body.prepared;
            let mut proposals: Vec<&Signed<PrePrepare>> =
                certificates.iter().map(|one| one.proposal()).collect();
            let earlier = liar.earlier.iter().filter_map(|one| match one {
                PeerMessage::ViewChange(wish) => Some(&wish.body.prepared),
                _ => None,
            });
            proposals.extend(earlier.flat_map(|list| list.iter()).map(|one| one.proposal()));
            for one in &proposals {
                let others = proposals
                    .iter()
                    .filter(|other| other.body.by == one.body.by && other.body != one.body);
                let pairs = others.map(|other| ((*one).clone(), (*other).clone()));
                told.extend(
                    pairs.take(1).map(|(one, other)| {
                        PeerMessage::Evidence(Evidence::PrePrepare(one, other))
                    }),
                );
            }
            told.truncate(4);
        }
        _ => {}
    }
    told.push(message);
    told
}
