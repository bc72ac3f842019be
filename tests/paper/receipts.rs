//! § Clients, receipts.

use crate::support::{Behind, Out, Solo, life, put};
use crate::world::{World, client_key, parameters};
use quorate::client::{self, Outcome, Session, Setup, Start, ToReplica, receipt};
use quorate::crypto::Ed25519;
use quorate::message::{
    Batch, ClientMessage, Item, Parameters, PeerMessage, Receipt, ReceiptCertificate, Reject,
    ReplyOutcome, Signed, ToClient,
};
use quorate::replica::{Settings, Standing};
use quorate::service::kv::KeyValue;
use quorate::types::{ClientId, Digest, Nonce, ReplicaId, RequestNumber, Seq, Span};
use quorate::wire::{self, Blob};
use std::sync::Arc;

fn ask(solo: &mut Solo, client: u32, number: u64) -> Out {
    solo.client(client, ClientMessage::Receipt(RequestNumber(number)))
}

fn receipt_of(solo: &mut Solo, client: u32, number: u64) -> Signed<Receipt> {
    let out = ask(solo, client, number);
    assert_eq!(out.reject(), None);
    match &out.to_clients()[..] {
        [(to, ToClient::Receipt(receipt))] => {
            assert_eq!(*to, ClientId(client));
            receipt.clone()
        }
        other => panic!("{other:?}"),
    }
}

fn is_not_ready(solo: &mut Solo, client: u32, number: u64) -> bool {
    let out = ask(solo, client, number);
    let told = (ClientId(client), ToClient::NotReady(RequestNumber(number)));
    out.reject() == Some(Reject::NotReady) && out.to_clients() == [told]
}

/// A receipt says what was executed, where, and with what result, and is signed.
#[test]
fn a_receipt_says_what_was_executed() {
    let mut solo = Solo::new(1);
    let request = solo.request(2, 1, 0, &[&put("a", "1"), &put("a", "2")]);
    let batch = solo.batch_of(&[&request]);
    let reply = solo.decide(0, 1, &batch).replies().remove(1);
    let ReplyOutcome::Executed(result) = reply.outcome else { panic!("it was executed") };
    let receipt = receipt_of(&mut solo, 2, 2);
    let expected = Receipt {
        client: ClientId(2),
        number: RequestNumber(2),
        seq: Seq(1),
        operation: Digest::of(&put("a", "2")),
        result: Digest::of(&result),
        by: life(1, 0),
    };
    assert_eq!(receipt.body, expected);
    assert!(solo.verifier.signed(receipt).is_ok());
}

/// `Q` replicas sign alike, and that is a certificate.
#[test]
fn the_receipts_of_a_quorum_are_a_certificate() {
    let mut receipts = Vec::new();
    for id in [1, 2, 3] {
        let mut solo = Solo::new(id);
        solo.decide_up_to(1);
        let receipt = receipt_of(&mut solo, 0, 1);
        receipts.push(solo.verifier.signed(receipt).expect("well signed"));
    }
    let solo = Solo::new(0);
    let said = receipts[0].body;
    let certificate = ReceiptCertificate::new(solo.committee, &said, &receipts);
    let certificate = certificate.expect("three alike").into_inner();
    assert!(solo.verifier.certificate(certificate).is_ok());
    assert!(ReceiptCertificate::new(solo.committee, &said, &receipts[1..]).is_none());
}

/// What is not executed here, or only on its way, is not signed.
#[test]
fn only_what_is_executed_has_a_receipt() {
    let mut solo = Solo::new(1);
    assert!(is_not_ready(&mut solo, 0, 1));
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    assert!(is_not_ready(&mut solo, 0, 1), "it is prepared");
    solo.commit_from(2, 0, 1, batch.digest());
    solo.commit_from(3, 0, 1, batch.digest());
    assert_eq!(receipt_of(&mut solo, 0, 1).body.seq, Seq(1));
    assert!(is_not_ready(&mut solo, 0, 2));
    assert!(is_not_ready(&mut solo, 0, 0));
    assert!(is_not_ready(&mut solo, 0, u64::MAX));
}

/// What was ordered and refused has none: it had no effect.
#[test]
fn what_was_refused_has_no_receipt() {
    let mut solo = Solo::new(1);
    let beyond = solo.genesis.parameters.client_window + 1;
    let request = solo.request(0, beyond, 0, &[&put("a", "b")]);
    let batch = solo.batch_of(&[&request]);
    solo.decide(0, 1, &batch);
    assert!(is_not_ready(&mut solo, 0, beyond));
}

/// A client gets receipts of its own operations, and of nobody else's.
#[test]
fn a_receipt_is_for_the_client_whose_operation_it_was() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(1);
    assert!(is_not_ready(&mut solo, 1, 1));
    assert!(is_not_ready(&mut solo, 99, 1), "nobody");
}

/// What is acknowledged is kept no more, so nobody can sign it.
#[test]
fn what_is_acknowledged_has_no_receipt_any_more() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(2);
    assert!(is_not_ready(&mut solo, 0, 1));
    assert_eq!(receipt_of(&mut solo, 0, 2).body.seq, Seq(2));
}

/// Whichever was executed under the number is what is signed, whatever is asked for since.
#[test]
fn of_two_requests_with_one_number_the_one_executed_has_the_receipt() {
    let mut solo = Solo::new(1);
    let one = solo.request(0, 1, 0, &[&put("a", "one")]);
    let other = solo.request(0, 1, 0, &[&put("a", "other")]);
    let first = solo.batch_of(&[&one]);
    solo.decide(0, 1, &first);
    let receipt = receipt_of(&mut solo, 0, 1).body;
    let second = solo.batch_of(&[&other]);
    solo.decide(0, 2, &second);
    assert_eq!(receipt_of(&mut solo, 0, 1).body, receipt);
    assert_eq!(receipt.operation, Digest::of(&put("a", "one")));
}

/// A replica that may not vote signs no receipt either.
#[test]
fn one_that_has_just_started_signs_none() {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let before = receipt_of(&mut solo, 0, 8).body;
    let _ = solo.start(false);
    assert!(is_not_ready(&mut solo, 0, 8));
    solo.answer_start();
    assert_eq!(receipt_of(&mut solo, 0, 8).body, before, "the same after a restart");
}

/// One that recovers signs none before its new life, and then in it.
#[test]
fn one_that_recovers_signs_in_its_new_life() {
    let mut solo = Solo::before_start(4, 3, parameters(), Settings::default());
    let _ = solo.start(true);
    let nonce = solo.nonce().0;
    let recovery = Batch::new(solo.wall(), vec![Item::Recovery(solo.recovery(3, nonce))]);
    solo.decide(0, 1, &recovery);
    solo.advance_to(32);
    solo.decide_up_to(40);
    assert!(is_not_ready(&mut solo, 0, 40));
    solo.stabilise(40);
    assert_eq!(*solo.standing(), Standing::Voting);
    assert_eq!(receipt_of(&mut solo, 0, 40).body.by, life(3, 1));
}

/// One that knows its state to be wrong signs nothing of it.
#[test]
fn one_that_has_diverged_signs_none() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(8);
    assert_eq!(receipt_of(&mut solo, 0, 8).body.seq, Seq(8));
    let certificate = solo.certified(8, Digest::of(b"another state"));
    solo.peer(2, PeerMessage::Stable(certificate));
    assert!(solo.replica().is_diverged());
    assert!(is_not_ready(&mut solo, 0, 8));
}

/// A replica that skipped a request by state transfer can still sign for it.
#[test]
fn receipts_travel_with_the_state() {
    let mut behind = Behind::new(1);
    assert!(is_not_ready(&mut behind.solo, 0, 40));
    behind.finish();
    let own = receipt_of(&mut behind.solo, 0, 40).body;
    assert!(own.is_alike(&receipt_of(&mut behind.donor, 0, 40).body));
}

/// A client that asks without end gets as many as its window has numbers in the time of
/// one status, and takes nobody else's.
#[test]
fn a_clients_questions_are_bounded() {
    let parameters = Parameters { client_window: 20, bundle_operations: 4, ..parameters() };
    let mut solo = Solo::with(4, 1, parameters, Settings::default());
    let both = solo.batch_of(&[&solo.write(0, 1), &solo.write(1, 1)]);
    solo.decide(0, 1, &both);
    for _ in 0..20 {
        receipt_of(&mut solo, 0, 1);
    }
    for _ in 0..3 {
        let out = ask(&mut solo, 0, 1);
        assert_eq!((out.reject(), out.to_clients()), (Some(Reject::OverQuota), vec![]));
    }
    receipt_of(&mut solo, 1, 1);
    solo.now = solo.now.plus(solo.settings.status_interval);
    receipt_of(&mut solo, 0, 1);
}

/// One turn of a client's session: what it sends arrives, and what is told comes back,
/// over the wire's bytes.
fn turn(world: &mut World, session: &mut Session<Ed25519>) {
    let me = ClientId(0);
    for (to, message) in session.take_outgoing() {
        let bytes = wire::encode(&message);
        for id in world.ids().filter(|id| to == ToReplica::All || to == ToReplica::One(*id)) {
            let checked = world.verifier.client_bytes(&bytes).expect("a session's message");
            world.client_input(me, id, checked);
        }
    }
    world.pass(Span::milliseconds(50));
    for (from, to, message) in std::mem::take(&mut world.to_clients) {
        assert_eq!(to, me);
        let message: ToClient =
            wire::decode(&wire::encode(&message), wire::MOST_BYTES).expect("it was encoded");
        let _ = session.on_message(world.now, from, message);
    }
    session.on_tick(world.now);
}

/// A client and a cluster, of which one replica is down and one was; the bytes of the
/// receipts alone convince whoever has the genesis.
#[test]
fn a_clients_receipts_convince_others() {
    let mut world = World::new(4);
    world.crash(ReplicaId(3));
    let setup = Setup {
        client: ClientId(0),
        signer: Box::new(client_key(0)),
        genesis: Arc::clone(&world.genesis),
        service: Arc::new(KeyValue),
        scheme: Ed25519,
    };
    let settings = client::Settings::default();
    let mut session = Session::new(world.now, setup, settings, Start::New, Nonce(1));
    let mut kept = Vec::new();
    for round in 0..40 {
        if round == 20 {
            world.start(ReplicaId(3), false);
            world.crash(ReplicaId(2));
        }
        let key = format!("key {round}");
        let operations: Vec<Blob> = vec![put(&key, "1").into(), put(&key, "2").into()];
        session.submit_with_receipts(world.now, operations).expect("within the limits");
        let outcome = (0..1_000).find_map(|_| {
            turn(&mut world, &mut session);
            session.take_outcomes().pop()
        });
        match outcome {
            Some((_, Outcome::Receipted { receipts: Ok(receipts), .. })) => kept.push(receipts),
            other => panic!("round {round}: {other:?}"),
        }
    }
    let mut last = Seq::GENESIS;
    for (round, receipts) in kept.iter().enumerate() {
        for (one, value) in receipts.iter().zip(["1", "2"]) {
            let read = client::Receipt::from_bytes(&one.to_bytes()).expect("it was written");
            let proven = receipt::verify(&world.verifier, &read).expect("it is true");
            assert_eq!(&*proven.operation, put(&format!("key {round}"), value));
            assert!(proven.seq >= last);
            last = proven.seq;
        }
    }
    assert!(last.0 >= 40, "far enough that the state was transferred");
}
