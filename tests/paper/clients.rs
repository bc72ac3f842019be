//! § Clients.

use crate::support::{Behind, Out, Solo, get, put};
use crate::world::{World, parameters};
use quorate::message::{
    ClientMessage, Item, Parameters, PeerMessage, Reject, ReplyOutcome, ToClient,
};
use quorate::replica::Settings;
use quorate::service::kv::{KeyValue, KvResult};
use quorate::service::{Refusal, State};
use quorate::types::{ClientId, Digest, Nonce, ReplicaId, RequestNumber, Seq, Span, View};
use quorate::wire::Blob;
use std::sync::Arc;

/// A replica restored at number 8 from a state in which client 3 is off the list.
pub fn with_client_three_unlisted(id: u16) -> Solo {
    let mut solo = Solo::with(4, id, parameters(), Settings::default());
    solo.advance_to(8);
    let tree = solo.disk.states[&Seq(8)].clone();
    let mut state = State::from_tree(Arc::new(KeyValue), tree).expect("its own state");
    state.unlist_client(ClientId(3), Seq(8));
    let mut other = Solo::before_start(4, id, parameters(), Settings::default());
    other.disk.states.insert(Seq(8), state.tree().clone());
    let _ = other.start(false);
    let _ = other.answer_start();
    assert_eq!(other.executed(), 8);
    other
}

fn numbers(out: &Out) -> Vec<u64> {
    out.replies().iter().map(|reply| reply.number.0).collect()
}

/// A request executed already is not executed again; the kept reply is sent.
#[test]
fn the_kept_reply_is_sent_again() {
    let mut solo = Solo::new(1);
    let request = solo.write(0, 1);
    let batch = solo.batch_of(&[&request]);
    let first = solo.decide(0, 1, &batch).replies();
    let out = solo.submit(&request);
    assert_eq!(out.reject(), Some(Reject::Acknowledged));
    assert_eq!(out.replies(), first);
    assert_eq!(solo.replica().held().waiting, 0);
    assert!(out.relays().is_empty());
}

/// One at or below what is acknowledged is neither executed nor answered.
#[test]
fn what_is_acknowledged_is_neither_executed_nor_kept() {
    let mut solo = Solo::new(1);
    let (one, two) = (solo.write(0, 1), solo.write(0, 2));
    let batch = solo.batch_of(&[&one, &two]);
    solo.decide(0, 1, &batch);
    assert_eq!(solo.replica().state().floor(ClientId(0)), RequestNumber(1));
    assert!(solo.submit(&one).replies().is_empty());
    let again = solo.batch_of(&[&solo.request(0, 1, 0, &[&put("k0", "other")])]);
    let out = solo.decide(0, 2, &again);
    assert_eq!(out.executed(), [2]);
    assert!(out.replies().is_empty());
}

/// The window per client is bounded, and above it there is a clear error; what may only
/// seem to be above it, since this replica may lag, is parked.
#[test]
fn a_number_beyond_the_window_is_parked_and_far_beyond_it_refused() {
    let mut solo = Solo::new(1);
    let window = solo.genesis.parameters.client_window;
    for number in [window, window + 1, 2 * window] {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        let out = solo.submit(&request);
        assert_eq!((out.reject(), out.to_clients().len()), (None, 0), "{number}");
    }
    let request = solo.request(0, 2 * window + 1, 0, &[&put("a", "b")]);
    let out = solo.submit(&request);
    assert_eq!(out.reject(), Some(Reject::BeyondWindow));
    let refused = ToClient::Refused(
        RequestNumber(2 * window + 1),
        Refusal::BeyondWindow { last: RequestNumber(window) },
    );
    assert_eq!(out.to_clients(), [(ClientId(0), refused)]);
}

/// At execution the window is exact: the last number is executed, the next refused.
#[test]
fn at_execution_the_window_is_exact() {
    let mut solo = Solo::new(1);
    let window = solo.genesis.parameters.client_window;
    let last = solo.request(0, window, 0, &[&put("a", "1")]);
    let past = solo.request(0, window + 1, 0, &[&put("a", "2")]);
    let batch = solo.batch_of(&[&last, &past]);
    let replies = solo.decide(0, 1, &batch).replies();
    assert!(matches!(replies[0].outcome, ReplyOutcome::Executed(_)));
    assert!(matches!(replies[1].outcome, ReplyOutcome::Refused(Refusal::BeyondWindow { .. })));
}

/// Two different requests with one number: whichever is ordered first wins, everywhere.
#[test]
fn of_two_requests_with_one_number_the_first_ordered_wins_everywhere() {
    let mut world = World::new(4);
    let one = world.request(0, 1, 0, &[&put("a", "one")]);
    let other = world.request(0, 1, 0, &[&put("a", "other")]);
    for id in 0..4 {
        let request = if id % 2 == 0 { &one } else { &other };
        world.submit(request, ReplicaId(id));
    }
    world.pass(Span::seconds(10));
    let replies = world.replies(0, 1);
    assert!(replies.len() >= 4);
    let said = |message: &ToClient| match message {
        ToClient::Reply(reply) => (reply.seq, reply.operation, reply.outcome.clone()),
        other => panic!("{other:?}"),
    };
    assert!(replies.windows(2).all(|pair| said(pair[0].1) == said(pair[1].1)));
    assert!(world.views().iter().all(|view| view.0 == 0), "a lying client moves no view");
    assert!(world.ids().all(|id| world.replica(id.0).held().waiting == 0));
}

/// A place belongs to (client, number), not to the bytes.
#[test]
fn a_wait_ends_when_its_number_executes_whatever_the_bytes() {
    let mut solo = Solo::new(1);
    let one = solo.request(0, 1, 0, &[&put("a", "one")]);
    let other = solo.request(0, 1, 0, &[&put("a", "other")]);
    solo.submit(&one);
    assert_eq!(solo.submit(&other).reject(), Some(Reject::Duplicate));
    assert_eq!(solo.replica().held().waiting, 1);
    let batch = solo.batch_of(&[&other]);
    solo.decide(0, 1, &batch);
    assert_eq!(solo.replica().held().waiting, 0);
    assert!(solo.pass(Span::seconds(30)).suspicions().is_empty());
}

/// When a number falls below the acknowledged floor, every wait for it ends.
#[test]
fn a_wait_ends_when_its_number_falls_below_the_floor() {
    let mut solo = Solo::new(1);
    for number in 1..=3 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        solo.submit(&request);
    }
    let later = solo.request(0, 9, 8, &[&put("a", "c")]);
    let batch = solo.batch_of(&[&later]);
    solo.decide(0, 1, &batch);
    assert_eq!(solo.replica().held().waiting, 0);
}

/// What fails at execution has no effect, and its wait ends.
#[test]
fn the_wait_for_what_is_refused_at_execution_ends() {
    let mut solo = Solo::new(1);
    let window = solo.genesis.parameters.client_window;
    let request = solo.request(0, window + 1, 0, &[&put("a", "b")]);
    solo.submit(&request);
    assert_eq!(solo.replica().held().waiting, 1);
    let batch = solo.batch_of(&[&request]);
    solo.decide(0, 1, &batch);
    assert_eq!(solo.replica().held().waiting, 0);
    assert!(solo.pass(Span::seconds(30)).suspicions().is_empty());
}

/// Bundles may overlap on retry: each operation goes by its own number.
#[test]
fn bundles_that_overlap_execute_each_number_once() {
    let mut solo = Solo::new(1);
    let first = solo.request(0, 1, 0, &[&put("a", "1"), &put("a", "2")]);
    let retry = solo.request(0, 2, 0, &[&put("a", "two"), &put("a", "3")]);
    let one = solo.batch_of(&[&first]);
    let out = solo.decide(0, 1, &one);
    assert_eq!(numbers(&out), [1, 2]);
    solo.submit(&retry);
    assert_eq!(solo.replica().held().waiting, 1, "number 3 is open");
    let two = solo.batch_of(&[&retry]);
    let out = solo.decide(0, 2, &two);
    let replies = out.replies();
    assert_eq!(numbers(&out), [2, 3]);
    assert_eq!((replies[0].seq, replies[1].seq), (Seq(1), Seq(2)));
    assert_eq!(replies[0].operation, Digest::of(&put("a", "2")));
}

/// The operations of one bundle execute in order, without others between.
#[test]
fn a_bundle_executes_in_order_without_others_between() {
    let mut solo = Solo::new(1);
    let bundle = solo.request(0, 1, 0, &[&put("a", "1"), &get("a"), &put("a", "2"), &get("a")]);
    let other = solo.request(1, 1, 0, &[&put("a", "x")]);
    let batch = solo.batch_of(&[&bundle, &other]);
    let replies = solo.decide(0, 1, &batch).replies();
    let got = |index: usize| match &replies[index].outcome {
        ReplyOutcome::Executed(result) => KvResult::from_bytes(result).expect("a result"),
        other => panic!("{other:?}"),
    };
    let value = |result: KvResult| match result {
        KvResult::Got { found: Some(found) } => found.value,
        other => panic!("{other:?}"),
    };
    assert_eq!((value(got(1)), value(got(3))), (Blob::from("1"), Blob::from("2")));
    assert_eq!(replies[4].client, ClientId(1));
}

/// Acknowledged-up-to is below the request's first number.
#[test]
fn a_request_that_acknowledges_itself_is_refused() {
    let solo = Solo::new(1);
    let request = solo.request(0, 3, 3, &[&put("a", "b")]);
    assert_eq!(solo.verify(PeerMessage::Relay(request)), Some(Reject::OutOfRange));
    let request = solo.request(0, 3, 2, &[&put("a", "b")]);
    assert_eq!(solo.verify(PeerMessage::Relay(request)), None);
}

/// It is applied at execution only, even if every operation is a duplicate.
#[test]
fn what_is_acknowledged_counts_at_execution_only_and_of_duplicates_too() {
    let mut solo = Solo::new(1);
    let batch = solo.batch_of(&[
        &solo.request(0, 1, 0, &[&put("a", "1")]),
        &solo.request(0, 2, 0, &[&put("a", "2")]),
    ]);
    solo.decide(0, 1, &batch);
    let duplicate = solo.request(0, 2, 1, &[&put("a", "2")]);
    solo.submit(&duplicate);
    assert_eq!(solo.replica().state().floor(ClientId(0)), RequestNumber(0));
    let batch = solo.batch_of(&[&duplicate]);
    solo.decide(0, 2, &batch);
    assert_eq!(solo.replica().state().floor(ClientId(0)), RequestNumber(1));
    assert!(solo.replica().state().kept(ClientId(0), RequestNumber(1)).is_none());
}

/// The largest legal bundle always fits in a batch.
#[test]
fn the_largest_legal_bundle_fits_in_a_batch() {
    let parameters = Parameters {
        bundle_operations: 4,
        bundle_bytes: 4_000,
        batch_bytes: 4_000 + 16 * 4 + 256,
        ..parameters()
    };
    assert!(Parameters { bundle_bytes: 4_001, ..parameters }.check().is_err());
    let mut solo = Solo::with(4, 0, parameters, Settings::default());
    let one = vec![b'x'; 1_000];
    let request = solo.request(0, 1, 0, &[&one, &one, &one, &one]);
    let out = solo.submit(&request);
    let batch = out.proposals()[0].1.clone();
    assert_eq!(batch.items(), [Item::Request(request)]);
    assert!(solo.is_genuine(&batch));
}

/// No global limit drops a listed client's request: all windows together have room.
#[test]
fn every_client_has_room_for_its_window_at_the_same_time() {
    let parameters = Parameters { client_window: 20, bundle_operations: 4, ..parameters() };
    let mut solo = Solo::with(4, 1, parameters, Settings::default());
    for client in 0..4 {
        for number in 1..=20 {
            let request = solo.request(client, number, 0, &[&put("a", "b")]);
            assert_eq!(solo.submit(&request).reject(), None);
        }
    }
    assert_eq!(solo.replica().held().waiting, 80);
}

/// A client's flood is bounded, and takes nobody else's place.
#[test]
fn a_clients_flood_is_bounded() {
    let parameters = Parameters { client_window: 20, bundle_operations: 4, ..parameters() };
    let mut solo = Solo::with(4, 1, parameters, Settings::default());
    for number in 1..=200 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        solo.submit(&request);
    }
    assert_eq!(solo.replica().held().waiting, 40);
    let request = solo.write(1, 1);
    assert_eq!(solo.submit(&request).reject(), None);
}

/// A client that lost its counter learns it from its session.
#[test]
fn a_client_learns_its_counter_from_its_session() {
    let mut solo = Solo::new(1);
    let batch = solo.batch_of(&[&solo.request(2, 7, 4, &[&put("a", "1"), &put("a", "2")])]);
    solo.decide(0, 1, &batch);
    let out = solo.client(2, ClientMessage::Session(Nonce(3)));
    let session = ToClient::Session {
        nonce: Nonce(3),
        acknowledged: RequestNumber(4),
        highest: RequestNumber(8),
        view: View(0),
    };
    assert_eq!(out.to_clients(), [(ClientId(2), session)]);
}

/// A request for a client that is not listed any more is refused with the reason.
#[test]
fn a_client_that_is_not_listed_is_told_so() {
    let mut solo = with_client_three_unlisted(1);
    let request = solo.write(3, 1);
    let out = solo.submit(&request);
    assert_eq!(
        out.to_clients(),
        [(ClientId(3), ToClient::Refused(RequestNumber(1), Refusal::Unlisted))]
    );
    assert_eq!(solo.replica().held().waiting, 0);
}

/// A number near the end of numbers harms that client alone (K4).
#[test]
fn numbers_near_the_end_are_refused() {
    let solo = Solo::new(1);
    let request = solo.request(0, u64::MAX, 0, &[&put("a", "b"), &put("a", "c")]);
    assert_eq!(solo.verify(PeerMessage::Relay(request)), Some(Reject::OutOfRange));
}

/// A replica that skipped a request by state transfer can still answer for it.
#[test]
fn the_session_table_travels_with_the_state() {
    let mut behind = Behind::new(1);
    behind.finish();
    let request = behind.solo.write(0, 40);
    let out = behind.solo.submit(&request);
    assert_eq!(numbers(&out), [40]);
}
