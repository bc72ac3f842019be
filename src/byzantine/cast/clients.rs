//! Liars to clients.

use super::{Behaviour, Liar, forgery};
use crate::message::{PeerMessage, ReplyOutcome, ToClient};
use crate::service::Refusal;
use crate::service::tree::Proof;
use crate::types::{ClientId, ReplicaId, RequestNumber};
use crate::wire::Blob;

/// Tell clients what did not happen.
pub(super) struct Liars {
    are_alike: bool,
}

impl Liars {
    /// Each its own lie.
    pub(super) fn apart() -> Liars {
        Liars { are_alike: false }
    }

    /// All the same.
    pub(super) fn alike() -> Liars {
        Liars { are_alike: true }
    }

    fn lie(&self, liar: &Liar) -> Blob {
        match self.are_alike {
            true => Blob::from("the common lie"),
            false => Blob::from(format!("a lie of {:?}", liar.id).as_str()),
        }
    }
}

impl Behaviour for Liars {
    fn tell(&mut self, _: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        vec![message]
    }

    fn tell_client(&mut self, liar: &mut Liar, _: ClientId, message: ToClient) -> Vec<ToClient> {
        match message {
            ToClient::Reply(mut reply) => {
                reply.outcome = ReplyOutcome::Executed(self.lie(liar));
                vec![ToClient::Reply(reply)]
            }
            ToClient::ReadAnswer { number, operation, changed, .. } => {
                vec![ToClient::ReadAnswer { number, operation, result: self.lie(liar), changed }]
            }
            ToClient::Session { nonce, view, .. } => {
                let number = match liar.random.below(3) {
                    0 => 0,
                    1 => liar.random.below(200),
                    _ => u64::MAX - liar.random.below(2),
                };
                let (acknowledged, highest) = (RequestNumber(number / 2), RequestNumber(number));
                vec![ToClient::Session { nonce, acknowledged, highest, view }]
            }
            other => vec![other],
        }
    }
}

/// Shows proofs of other states, and of other keys, under a true certificate; and true
/// proofs under a certificate that is none.
#[derive(Default)]
pub(super) struct Prover {
    earlier: Vec<(Proof, Proof)>,
}

/// How many proofs are remembered.
const MOST_PROOFS: usize = 32;

impl Behaviour for Prover {
    fn tell(&mut self, _: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        vec![message]
    }

    fn tell_client(&mut self, liar: &mut Liar, _: ClientId, message: ToClient) -> Vec<ToClient> {
        let ToClient::Proved { number, certificate, proof, time } = message else {
            return vec![message];
        };
        let shown = (proof.clone(), time.clone());
        let told = match liar.random.below(3) {
            0 => {
                let other = forgery::spoil_checkpoint(liar, &certificate);
                other.map(|certificate| ToClient::Proved { number, certificate, proof, time })
            }
            choice => liar.random.pick(&self.earlier).cloned().map(|(earlier, earlier_time)| {
                let time = if choice == 1 { earlier_time } else { time };
                ToClient::Proved { number, certificate, proof: earlier, time }
            }),
        };
        if self.earlier.len() < MOST_PROOFS {
            self.earlier.push(shown);
        }
        told.into_iter().collect()
    }
}

/// Leaves clients without a word.
pub(super) struct Denier;

impl Behaviour for Denier {
    fn tell(&mut self, _: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        vec![message]
    }

    fn tell_client(&mut self, _: &mut Liar, _: ClientId, _: ToClient) -> Vec<ToClient> {
        vec![]
    }
}

/// Sends clients away: they are not listed, their numbers are used up, there is no room.
pub(super) struct Refuser;

impl Behaviour for Refuser {
    fn tell(&mut self, _: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        vec![message]
    }

    fn tell_client(&mut self, liar: &mut Liar, _: ClientId, message: ToClient) -> Vec<ToClient> {
        let refusals = [
            Refusal::Unlisted,
            Refusal::Acknowledged,
            Refusal::BeyondWindow { last: RequestNumber(1) },
            Refusal::TooMuchKept { bytes: 1, limit: 1 },
        ];
        let refusal = liar.random.pick(&refusals).copied().unwrap_or(Refusal::Unlisted);
        match message {
            ToClient::Reply(mut reply) if liar.random.in_thousand(500) => {
                reply.outcome = ReplyOutcome::Refused(refusal);
                vec![ToClient::Reply(reply)]
            }
            ToClient::Reply(reply) => vec![ToClient::Refused(reply.number, refusal)],
            ToClient::ReadAnswer { number, .. } => vec![ToClient::NotReady(number)],
            other => vec![other],
        }
    }
}
