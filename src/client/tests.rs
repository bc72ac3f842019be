//! Stories of a session among honest and lying replicas.

mod numbers;
mod ordered;
mod proofs;
mod random;
mod reads;
mod receipts;

use super::*;
use crate::crypto::{Ed25519, PublicKey, SecretKey};
use crate::message::{
    ClientMessage, Genesis, Parameters, Reject, Reply, ReplyOutcome, Request, ToClient,
};
use crate::service::Refusal;
use crate::service::kv::KeyValue;
use crate::types::{ClientId, Digest, Instant, Nonce, ReplicaId, RequestNumber, Seq, Span, View};
use crate::wire::{Blob, List};
use std::sync::Arc;

const ME: ClientId = ClientId(0);
const NONCE: Nonce = Nonce(u64::MAX);

/// The first read's number: reads are numbered on from the nonce.
const READ: RequestNumber = RequestNumber(NONCE.0);

const WINDOW: u64 = 8;
const BUNDLE: u64 = 4;
const BUNDLE_BYTES: u64 = 64;
const RESULT_BYTES: u64 = 256;

const SETTINGS: Settings = Settings {
    retry: Span(100),
    most_retry: Span(400),
    reply_patience: Span(1_000),
    timeout: Span(10_000),
    read_patience: Span(50),
    proof_patience: Span(70),
};

/// What a replica has nothing to say against for now.
const NO_ROOM: Refusal = Refusal::TooMuchKept { bytes: 7, limit: 7 };

fn replica_key(number: u16) -> SecretKey {
    SecretKey::from_seed(&[u8::try_from(number).expect("few replicas"); 32])
}

fn client_key() -> SecretKey {
    SecretKey::from_seed(&[200; 32])
}

fn genesis(replicas: u16) -> Genesis {
    let parameters = Parameters {
        client_window: WINDOW,
        bundle_operations: BUNDLE,
        bundle_bytes: BUNDLE_BYTES,
        result_bytes: RESULT_BYTES,
        client_kept_bytes: 4 * RESULT_BYTES,
        ..Parameters::default()
    };
    Genesis {
        name: List(b"story".to_vec()),
        replicas: (0..replicas).map(|one| replica_key(one).public()).collect(),
        clients: [client_key().public()].into_iter().collect::<List<PublicKey>>(),
        parameters,
    }
}

/// A session, and the clock that it is told.
struct Story {
    session: Session<Ed25519>,
    now: Instant,
}

impl Story {
    fn of(replicas: u16, start: Start) -> Story {
        Story::with(replicas, start, SETTINGS)
    }

    fn with(replicas: u16, start: Start, settings: Settings) -> Story {
        Story::within(genesis(replicas), start, settings)
    }

    fn within(genesis: Genesis, start: Start, settings: Settings) -> Story {
        let setup = Setup {
            client: ME,
            signer: Box::new(client_key()),
            genesis: genesis.checked().expect("a good genesis"),
            service: Arc::new(KeyValue),
            scheme: Ed25519,
        };
        let now = Instant(1_000);
        let session = Session::new(now, setup, settings, start, NONCE);
        Story { session, now }
    }

    /// Four replicas whose bundles may have so many bytes.
    fn with_bundles(bytes: u64, settings: Settings) -> Story {
        let mut genesis = genesis(4);
        genesis.parameters.bundle_bytes = bytes;
        Story::within(genesis, Start::New, settings)
    }

    /// Four replicas, of which one may lie.
    fn new() -> Story {
        Story::of(4, Start::New)
    }

    fn submit(&mut self, operations: &[&str]) -> Ticket {
        self.try_submit(operations).expect("within the limits")
    }

    fn try_submit(&mut self, operations: &[&str]) -> Result<Ticket, SubmitError> {
        let operations = operations.iter().map(|one| Blob::from(*one)).collect();
        self.session.submit(self.now, operations)
    }

    fn read(&mut self, operation: &str) -> Ticket {
        self.session.read(self.now, operation.into()).expect("within the limits")
    }

    fn hear(&mut self, replica: u16, message: ToClient) -> Result<(), Reject> {
        self.session.on_message(self.now, ReplicaId(replica), message)
    }

    /// These replicas tell the same of an operation.
    fn all_hear(&mut self, replicas: impl IntoIterator<Item = u16>, reply: &Reply) {
        for replica in replicas {
            let _ = self.hear(replica, ToClient::Reply(reply.clone()));
        }
    }

    fn wait(&mut self, span: Span) {
        self.now = self.now.plus(span);
        self.session.on_tick(self.now);
    }

    /// Goes on to the next deadline.
    fn wait_for_deadline(&mut self) -> Span {
        let next = self.session.next_deadline().expect("something is waited for");
        let span = next.since(self.now);
        self.wait(span);
        span
    }

    fn outcomes(&mut self) -> Vec<(Ticket, Outcome)> {
        self.session.take_outcomes()
    }

    fn only_outcome(&mut self) -> (Ticket, Outcome) {
        let mut outcomes = self.outcomes();
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        outcomes.remove(0)
    }

    /// The requests to be sent, with whom they go to.
    fn requests(&mut self) -> Vec<(ToReplica, Request)> {
        let outgoing = self.session.take_outgoing();
        let requests = outgoing.into_iter().filter_map(|(to, message)| match message {
            ClientMessage::Request(request) => Some((to, request.body)),
            ClientMessage::Read(..)
            | ClientMessage::Prove(..)
            | ClientMessage::Session(_)
            | ClientMessage::Receipt(_) => None,
        });
        requests.collect()
    }
}

fn executed(number: u64, seq: u64, operation: &str, result: &str) -> Reply {
    Reply {
        client: ME,
        number: RequestNumber(number),
        view: View(0),
        seq: Seq(seq),
        operation: Digest::of(operation.as_bytes()),
        outcome: ReplyOutcome::Executed(result.into()),
    }
}

fn refused(number: u64, seq: u64, operation: &str, refusal: Refusal) -> Reply {
    Reply { outcome: ReplyOutcome::Refused(refusal), ..executed(number, seq, operation, "") }
}

fn done(seq: u64, result: &str) -> Done {
    Done { seq: Seq(seq), result: result.into() }
}

fn submitted(first: u64, last: u64) -> Ticket {
    Ticket::Submitted(RequestNumber(first), RequestNumber(last))
}
