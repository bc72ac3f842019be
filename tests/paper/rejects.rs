//! Every cause for which something is not taken, provoked. The list is the match: a new
//! cause doesn't compile here until somebody says how it comes about.

use crate::clients::with_client_three_unlisted;
use crate::support::{Behind, Out, Solo, first_life, get, life, put};
use crate::world::parameters;
use quorate::message::{
    Batch, Checkpoint, ClientMessage, Commit, Evidence, Fetch, NewView, Parameters, PeerMessage,
    Prepare, Reject, StartAnswer, ViewChange,
};
use quorate::replica::{Settings, To};
use quorate::types::{Digest, Nonce, ReplicaId, RequestNumber, Seq, Timestamp, View};
use quorate::wire::{Blob, List};

macro_rules! provoked {
    ($($variant:ident => $how:expr),* $(,)?) => {
        const ALL: &[Reject] = &[$(Reject::$variant),*];

        fn provoke(reject: Reject) -> Option<Reject> {
            match reject {
                $(Reject::$variant => $how,)*
            }
        }
    };
}

provoked! {
    // What the verifier finds.
    Malformed => Solo::new(1).verifier.peer_bytes(&[255; 9]).err(),
    UnknownAuthor => unknown_author(),
    BadSignature => bad_signature(),
    WrongRole => prepare_of_the_primary(),
    OutOfRange => number_of_no_checkpoint(),
    TooLarge => bundle_too_long(),
    WrongDigest => body_of_another(),
    RepeatedItem => request_twice_in_a_batch(),
    BadCertificate => certificate_in_another_order(),
    BadViewChange => view_change_for_the_first_view(),
    BadNewView => new_view_without_quorum(),
    NoConflict => evidence_of_nothing(),
    // What the replica finds.
    NotFromAuthor => request_of_another(),
    FromSelf => own_vote(),
    OldView => vote_of_an_old_view(),
    FutureView => vote_of_a_later_view(),
    ChangingViews => vote_while_changing_views(),
    BelowWindow => vote_at_the_stable_checkpoint(),
    AboveWindow => vote_above_the_window(),
    Duplicate => vote_twice(),
    Conflict => second_proposal(),
    NotChosen => null_batch(),
    ForgedRequest => forged_request(),
    BadTime => time_far_off(),
    FillUpTooSoon => fill_ups_without_end(),
    WrongIncarnation => vote_of_another_life(),
    Unrequested => batch_not_asked_for(),
    WrongPart => part_of_another_state(),
    OverQuota => questions_without_end(),
    NotHere => unknown_batch(),
    NotReady => read_before_voting(),
    UnknownClient => request_of_an_unlisted_client(),
    BeyondWindow => number_far_beyond_the_window(),
    Acknowledged => request_executed_before(),
    WrongNonce => answer_without_question(),
    OldCertificate => certificate_twice(),
}

#[test]
fn every_cause_of_rejection_is_provoked() {
    for reject in ALL {
        assert_eq!(provoke(*reject), Some(*reject));
    }
}

/// What is rejected has no effect but the count.
#[test]
fn what_is_rejected_has_no_effect() {
    let mut solo = Solo::new(1);
    let digest = solo.batch(1).digest();
    let (held, log) = (solo.replica().held(), solo.disk.log.len());
    let outs: Vec<Out> = vec![
        solo.prepare_from(2, 0, 99, digest),
        solo.commit_from(2, 0, 99, digest),
        solo.checkpoint_from(2, 800, digest),
    ];
    for out in outs {
        assert!(out.reject().is_some());
        assert!(out.records.is_empty() && out.free.is_empty() && out.bound.is_empty());
    }
    assert_eq!(solo.replica().held(), held);
    assert_eq!(solo.disk.log.len(), log);
}

/// Others' traffic in a higher view only makes a replica fetch its opening, and that not
/// for every message.
#[test]
fn traffic_in_a_higher_view_makes_a_replica_fetch_its_opening() {
    let mut solo = Solo::new(1);
    let digest = solo.batch(1).digest();
    let held = solo.replica().held();
    let out = solo.prepare_from(2, 1, 1, digest);
    assert_eq!(out.reject(), Some(Reject::FutureView));
    let asked = PeerMessage::Fetch(Fetch::NewView(View(1)));
    assert!(out.peers().iter().any(|(to, one)| *to == To::Peer(ReplicaId(2)) && **one == asked));
    let out = solo.commit_from(2, 3, 1, digest);
    assert_eq!(out.reject(), Some(Reject::FutureView));
    assert!(out.peers().is_empty());
    assert_eq!(solo.replica().held(), held);
}

fn unknown_author() -> Option<Reject> {
    let solo = Solo::new(1);
    let body =
        Commit { view: View(0), seq: Seq(1), digest: solo.batch(1).digest(), by: first_life(4) };
    solo.verify(PeerMessage::Commit(solo.sign(4, body)))
}

fn bad_signature() -> Option<Reject> {
    let solo = Solo::new(1);
    let body =
        Commit { view: View(0), seq: Seq(1), digest: solo.batch(1).digest(), by: first_life(3) };
    solo.verify(PeerMessage::Commit(solo.sign(2, body)))
}

fn prepare_of_the_primary() -> Option<Reject> {
    let solo = Solo::new(1);
    solo.verify(solo.prepare(0, 0, 1, solo.batch(1).digest()))
}

fn number_of_no_checkpoint() -> Option<Reject> {
    let solo = Solo::new(1);
    solo.verify(solo.checkpoint(2, 9, Digest::of(b"")))
}

fn bundle_too_long() -> Option<Reject> {
    let solo =
        Solo::with(4, 1, Parameters { bundle_operations: 2, ..parameters() }, Settings::default());
    let operation = put("a", "b");
    let request = solo.request(0, 1, 0, &[&operation, &operation, &operation]);
    solo.verify(PeerMessage::Relay(request))
}

fn body_of_another() -> Option<Reject> {
    let solo = Solo::new(1);
    let proposal = solo.pre_prepare(0, 1, solo.batch(1).digest());
    solo.verify(PeerMessage::Propose(proposal, Some(solo.batch(2))))
}

fn certificate_in_another_order() -> Option<Reject> {
    let solo = Solo::new(1);
    let certificate = solo.certified(8, Digest::of(b""));
    let mut bytes = quorate::wire::encode(&PeerMessage::Stable(certificate));
    // The first member's replica number becomes the last one's.
    let at = 4 + 8 + 32 + 8;
    bytes[at] = 3;
    solo.verifier.peer_bytes(&bytes).err()
}

fn view_change_for_the_first_view() -> Option<Reject> {
    let solo = Solo::new(1);
    let body =
        ViewChange { view: View(0), by: first_life(2), stable: None, prepared: List(vec![]) };
    solo.verify(PeerMessage::ViewChange(solo.sign(2, body)))
}

fn new_view_without_quorum() -> Option<Reject> {
    let solo = Solo::new(1);
    let opening = solo.opening(2, vec![solo.wish(0, 2), solo.wish(2, 2)]);
    solo.verify(PeerMessage::NewView(opening, None))
}

fn evidence_of_nothing() -> Option<Reject> {
    let solo = Solo::new(1);
    let one = solo.pre_prepare(0, 1, solo.batch(1).digest());
    solo.verify(PeerMessage::Evidence(Evidence::PrePrepare(one.clone(), one)))
}

fn request_of_another() -> Option<Reject> {
    let mut solo = Solo::new(1);
    let request = solo.write(0, 1);
    solo.client(1, ClientMessage::Request(request)).reject()
}

fn own_vote() -> Option<Reject> {
    let mut solo = Solo::new(1);
    let vote = solo.prepare(1, 0, 1, solo.batch(1).digest());
    solo.peer(2, vote).reject()
}

fn vote_of_an_old_view() -> Option<Reject> {
    let mut solo = Solo::new(3);
    solo.enter(1, Vec::new());
    let digest = solo.batch(1).digest();
    solo.prepare_from(2, 0, 1, digest).reject()
}

fn vote_of_a_later_view() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let digest = solo.batch(1).digest();
    solo.commit_from(2, 1, 1, digest).reject()
}

fn vote_while_changing_views() -> Option<Reject> {
    let mut solo = Solo::new(3);
    solo.wish_from(1, 1);
    solo.wish_from(2, 1);
    let digest = solo.batch(1).digest();
    solo.commit_from(2, 1, 1, digest).reject()
}

fn vote_at_the_stable_checkpoint() -> Option<Reject> {
    let mut solo = Solo::new(3);
    solo.advance_to(8);
    let digest = solo.batch(1).digest();
    solo.commit_from(2, 0, 8, digest).reject()
}

fn vote_above_the_window() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let digest = solo.batch(1).digest();
    solo.commit_from(2, 0, 33, digest).reject()
}

fn vote_twice() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let digest = solo.batch(1).digest();
    solo.commit_from(2, 0, 32, digest);
    solo.commit_from(2, 0, 32, digest).reject()
}

fn second_proposal() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let (one, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &one);
    solo.propose(0, 1, &other).reject()
}

fn null_batch() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let proposal = solo.pre_prepare(0, 1, Solo::null());
    solo.peer(0, PeerMessage::Propose(proposal, None)).reject()
}

fn forged_request() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let mut request = solo.write(0, 1);
    request.signature.0[0] ^= 1;
    let batch = solo.batch_of(&[&request]);
    solo.propose(0, 1, &batch).reject()
}

fn request_twice_in_a_batch() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let request = solo.write(0, 1);
    let batch = solo.batch_of(&[&request, &request]);
    solo.propose(0, 1, &batch).reject()
}

fn time_far_off() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let batch = Batch::new(Timestamp(1), solo.batch(1).items().to_vec());
    solo.propose(0, 1, &batch).reject()
}

fn fill_ups_without_end() -> Option<Reject> {
    let mut solo = Solo::new(3);
    (1..=32).find_map(|seq| {
        let batch = Batch::new(Timestamp(solo.wall().0 + seq), Vec::new());
        solo.propose(0, seq, &batch).reject()
    })
}

fn vote_of_another_life() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let body =
        Prepare { view: View(0), seq: Seq(1), digest: solo.batch(1).digest(), by: life(2, 1) };
    let vote = solo.sign(2, body);
    solo.peer(2, PeerMessage::Prepare(vote)).reject()
}

fn batch_not_asked_for() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    solo.peer(2, PeerMessage::Batch(batch)).reject()
}

fn part_of_another_state() -> Option<Reject> {
    let mut behind = Behind::new(3);
    let (from, path) = behind.asked[0].clone();
    let genesis = behind.solo.replica().state().tree().clone();
    let part = genesis.part(&path, 1 << 10).expect("every tree has a root");
    behind.solo.peer(from, PeerMessage::Part(Seq(behind.target), path, part)).reject()
}

fn questions_without_end() -> Option<Reject> {
    let mut solo = Solo::new(3);
    solo.advance_to(8);
    (0..2_000).find_map(|_| solo.peer(2, PeerMessage::Fetch(Fetch::Stable(Seq(0)))).reject())
}

fn unknown_batch() -> Option<Reject> {
    let mut solo = Solo::new(3);
    solo.peer(2, PeerMessage::Fetch(Fetch::Batch(Digest::of(b"?")))).reject()
}

fn read_before_voting() -> Option<Reject> {
    let mut solo = Solo::before_start(4, 3, parameters(), Settings::default());
    let _ = solo.start(false);
    solo.client(0, ClientMessage::Read(RequestNumber(1), Blob::from(get("a")))).reject()
}

fn request_of_an_unlisted_client() -> Option<Reject> {
    let mut solo = with_client_three_unlisted(1);
    let request = solo.write(3, 1);
    solo.submit(&request).reject()
}

fn number_far_beyond_the_window() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let number = 2 * solo.genesis.parameters.client_window + 1;
    let request = solo.request(0, number, 0, &[&put("a", "b")]);
    solo.submit(&request).reject()
}

fn request_executed_before() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let request = solo.write(0, 1);
    let batch = solo.batch_of(&[&request]);
    solo.decide(0, 1, &batch);
    solo.submit(&request).reject()
}

fn answer_without_question() -> Option<Reject> {
    let mut solo = Solo::new(3);
    let answer = StartAnswer {
        nonce: Nonce(1),
        view: View(0),
        highest: None,
        stable: None,
        held: List(Vec::new()),
    };
    solo.peer(2, PeerMessage::StartAnswer(Box::new(answer))).reject()
}

fn certificate_twice() -> Option<Reject> {
    let mut solo = Solo::new(3);
    solo.advance_to(8);
    solo.stabilise(8).reject()
}

/// The verifier's other rules, each broken by one.
#[test]
fn new_views_and_view_changes_that_break_a_rule_are_refused() {
    let solo = Solo::of(7, 6);
    let digest = solo.batch(1).digest();
    let wishes: Vec<_> = (0..5).map(|by| solo.wish(by, 2)).collect();
    let check = |opening: NewView| {
        let by = opening.by.replica.0;
        solo.verify(PeerMessage::NewView(solo.sign(by, opening), None))
    };
    let good = solo.opening(2, wishes.clone()).body;
    assert_eq!(check(good.clone()), None);
    let mut doubled = good.clone();
    doubled.view_changes.0[1] = doubled.view_changes[0].clone();
    assert_eq!(check(doubled), Some(Reject::BadNewView));
    let mut mixed = good.clone();
    mixed.view_changes.0[1] = solo.wish(1, 3);
    assert_eq!(check(mixed), Some(Reject::BadNewView));
    let mut superfluous = good.clone();
    superfluous.pre_prepares = List(vec![solo.pre_prepare(2, 1, digest)]);
    assert_eq!(check(superfluous), Some(Reject::BadNewView));
    let mut of_another = good;
    of_another.by = first_life(3);
    assert_eq!(check(of_another), Some(Reject::WrongRole));
    // A certificate of the view asked for, or a later one, comes too late for it.
    let late = solo.prepared(2, 1, digest, &[0, 1, 3, 4]);
    let wish = solo.wish_with(first_life(1), 2, None, vec![late]);
    assert_eq!(solo.verify(PeerMessage::ViewChange(wish)), Some(Reject::BadViewChange));
    // Beyond the window above its stable checkpoint.
    let beyond = solo.prepared(0, 33, digest, &[1, 2, 3, 4]);
    let wish = solo.wish_with(first_life(1), 2, None, vec![beyond]);
    assert_eq!(solo.verify(PeerMessage::ViewChange(wish)), Some(Reject::BadViewChange));
    let last = solo.prepared(0, 32, digest, &[1, 2, 3, 4]);
    let wish = solo.wish_with(first_life(1), 2, None, vec![last.clone()]);
    assert_eq!(solo.verify(PeerMessage::ViewChange(wish)), None);
    // The same number twice.
    let wish = solo.wish_with(first_life(1), 2, None, vec![last.clone(), last]);
    assert_eq!(solo.verify(PeerMessage::ViewChange(wish)), Some(Reject::BadViewChange));
    // A checkpoint of a replica that is not listed is nobody's.
    let body = Checkpoint { seq: Seq(8), digest, by: first_life(7) };
    let vote = solo.sign(7, body);
    assert_eq!(solo.verify(PeerMessage::Checkpoint(vote)), Some(Reject::UnknownAuthor));
}

/// What a peer may ask for is counted by time: an idle replica, whose statuses are few,
/// answers no less.
#[test]
fn a_quota_is_renewed_in_each_status_interval() {
    let mut solo = Solo::new(3);
    solo.advance_to(8);
    let ask = |solo: &mut Solo| solo.peer(2, PeerMessage::Fetch(Fetch::Stable(Seq(0)))).reject();
    while ask(&mut solo).is_none() {}
    solo.now = solo.now.plus(solo.settings.status_interval);
    assert_eq!(ask(&mut solo), None);
}
