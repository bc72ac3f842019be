//! Checking many messages at once: the signatures of all of them are judged together, which
//! costs less than half of judging each alone, and by the same rule.
//!
//! Decoding and all rules but the signatures come first, for each message by itself
//! ([`Verifier::peer_unjudged`], [`Verifier::client_unjudged`]); that may run anywhere. What
//! comes of it cannot be opened but by [`Verifier::judge_all`].

use super::reject::Reject;
use super::travel::{CheckedClient, CheckedPeer};
use super::verify::Verifier;
use crate::crypto::{Check, Scheme};
use bytes::Bytes;
use std::sync::{Mutex, PoisonError};

/// Something received, with everything checked that needs no state.
#[derive(Clone, Debug)]
pub enum Received {
    /// From a replica.
    Peer(Box<CheckedPeer>),
    /// From a client.
    Client(CheckedClient),
}

/// Something received that is as it should be if its signatures are good.
pub struct Unjudged {
    assumed: Received,
    checks: Vec<Check>,
    /// It is checked again, from the beginning, should one of them not be.
    frame: Bytes,
}

/// A rule that finds every signature good, and keeps what it was asked. Nothing that it
/// passed is of any worth before what it kept is judged.
#[derive(Default)]
struct Gathering(Mutex<Vec<Check>>);

impl Gathering {
    fn gathered(&self) -> Vec<Check> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Scheme for &Gathering {
    fn verify(&self, check: &Check) -> bool {
        self.verify_all(std::slice::from_ref(check))
    }

    fn verify_all(&self, checks: &[Check]) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(checks);
        true
    }
}

impl<S: Scheme> Verifier<S> {
    /// Decodes what a peer sent, and checks all but its signatures.
    pub fn peer_unjudged(&self, frame: Bytes) -> Result<Unjudged, Reject> {
        self.unjudged(frame, |gathering, bytes| {
            gathering.peer_bytes(bytes).map(|message| Received::Peer(Box::new(message)))
        })
    }

    /// Decodes what a client sent, and checks all but its signatures.
    pub fn client_unjudged(&self, frame: Bytes) -> Result<Unjudged, Reject> {
        self.unjudged(frame, |gathering, bytes| gathering.client_bytes(bytes).map(Received::Client))
    }

    fn unjudged(
        &self,
        frame: Bytes,
        check: impl FnOnce(Verifier<&Gathering>, &[u8]) -> Result<Received, Reject>,
    ) -> Result<Unjudged, Reject> {
        let gathering = Gathering::default();
        let assumed = check(self.judging_by(&gathering), &frame)?;
        Ok(Unjudged { assumed, checks: gathering.gathered(), frame })
    }

    /// Judges the signatures of all of these together, and each by itself only if one of
    /// them is not good. The verdicts are those of [`Verifier::peer_bytes`] and
    /// [`Verifier::client_bytes`].
    pub fn judge_all(&self, mut messages: Vec<Unjudged>) -> Vec<Result<Received, Reject>> {
        let checks: Vec<Check> =
            messages.iter_mut().flat_map(|one| std::mem::take(&mut one.checks)).collect();
        let are_good = self.are_good(&checks);
        let judged = |message: Unjudged| match are_good {
            true => Ok(message.assumed),
            false => self.again(message),
        };
        messages.into_iter().map(judged).collect()
    }

    /// Which of a message's signatures is not good decides what is still to be used of it.
    fn again(&self, message: Unjudged) -> Result<Received, Reject> {
        let frame = &message.frame;
        Ok(match message.assumed {
            Received::Peer(_) => Received::Peer(Box::new(self.peer_bytes(frame)?)),
            Received::Client(_) => Received::Client(self.client_bytes(frame)?),
        })
    }
}

impl Received {
    /// Whether it is a request that a replica passes on.
    pub fn is_relay(&self) -> bool {
        matches!(self, Received::Peer(peer) if matches!(**peer, CheckedPeer::Relay(_)))
    }
}

impl Unjudged {
    /// Whether it is a request that a replica passes on.
    pub fn is_relay(&self) -> bool {
        self.assumed.is_relay()
    }
}
