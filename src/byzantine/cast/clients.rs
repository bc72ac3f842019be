//! Liars to clients.

use super::{Behaviour, Liar};
use crate::message::{PeerMessage, ReplyOutcome, ToClient};
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
                let (acknowledged, highest) = (RequestNumber(0), RequestNumber(0));
                vec![ToClient::Session { nonce, acknowledged, highest, view }]
            }
            other => vec![other],
        }
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
