//! § Bounds.

use crate::support::{Solo, first_life, life, put};
use crate::world::parameters;
use quorate::message::{
    Batch, Commit, Evidence, NewView, Parameters, PeerMessage, Reject, Signed, SlotStatus,
};
use quorate::replica::Settings;
use quorate::types::{Committee, Digest, ReplicaId, Seq, View};
use quorate::wire::List;

/// Quorum and weak quorum follow from `n` alone.
#[test]
fn quorums_follow_from_n() {
    let sizes = |n: u16| {
        let committee = Committee::new(n).expect("enough replicas");
        (committee.faults(), committee.weak_quorum(), committee.quorum())
    };
    assert_eq!(sizes(4), (1, 2, 3));
    assert_eq!(sizes(5), (1, 2, 4));
    assert_eq!(sizes(6), (1, 2, 4));
    assert_eq!(sizes(7), (2, 3, 5));
    assert_eq!(sizes(10), (3, 4, 7));
    assert!(Committee::new(3).is_none());
}

/// Whatever liars say about every number, view and digest, what is held is bounded.
#[test]
fn a_flood_of_votes_is_bounded_by_window_and_members() {
    let mut solo = Solo::new(3);
    let window = solo.genesis.parameters.window;
    for round in 0..5u8 {
        let digest = Digest::of(&[round]);
        for seq in 1..=window + 20 {
            for by in [1, 2] {
                solo.prepare_from(by, 0, seq, digest);
                solo.commit_from(by, 0, seq, digest);
                solo.commit_from(by, u64::from(round) + 1, seq, digest);
            }
        }
        for seq in 1..=12 {
            solo.checkpoint_from(1, seq * 8, digest);
        }
        for view in 1..20 {
            solo.wish_from(1, view + u64::from(round) * 20);
        }
    }
    let held = solo.replica().held();
    assert!(held.slots as u64 <= window);
    assert!(held.checkpoints as u64 <= 2 * 4 * window / 8);
    assert_eq!((held.wishes, held.prepared, held.decided, held.bodies), (1, 0, 0, 0));
    assert!(held.evidence <= quorate::replica::MOST_EVIDENCE);
    assert_eq!(held.promises, 0);
}

/// A third digest of one replica for one place is dropped: two convict it.
#[test]
fn a_third_vote_for_one_place_is_dropped() {
    let mut solo = Solo::new(3);
    for (index, expected) in [(0u8, None), (1, None), (2, Some(Reject::Duplicate))] {
        let out = solo.commit_from(1, 0, 1, Digest::of(&[index]));
        assert_eq!(out.reject(), expected);
    }
}

/// One record of evidence for each liar and kind is kept, and shown once.
#[test]
fn evidence_is_kept_and_shown_once() {
    let mut solo = Solo::new(3);
    let mut shown = 0;
    for seq in 1..=10 {
        solo.commit_from(1, 0, seq, Digest::of(b"one"));
        shown += solo.commit_from(1, 0, seq, Digest::of(b"other")).evidence().len();
    }
    assert_eq!((shown, solo.replica().evidence().len()), (1, 1));
}

/// Evidence that another shows is kept, and not shown on.
#[test]
fn evidence_from_another_is_kept() {
    let mut solo = Solo::new(3);
    let body = |digest| Commit { view: View(0), seq: Seq(1), digest, by: first_life(1) };
    let one: Signed<Commit> = solo.sign(1, body(Digest::of(b"one")));
    let other = solo.sign(1, body(Digest::of(b"other")));
    let evidence = Evidence::Commit(one, other);
    let out = solo.peer(2, PeerMessage::Evidence(evidence.clone()));
    assert_eq!((out.reject(), out.evidence().len()), (None, 0));
    assert_eq!(solo.replica().evidence().len(), 1);
    let out = solo.peer(2, PeerMessage::Evidence(evidence));
    assert_eq!(out.reject(), Some(Reject::Duplicate));
}

/// One record of each liar and kind is kept, though another may be of the life that begins
/// next, and whatever lives the liar makes up; and none that is so large that logs would be
/// full of them.
#[test]
fn evidence_is_bounded_in_number_and_in_bytes() {
    let mut solo = Solo::new(3);
    let show = |solo: &mut Solo, evidence| solo.peer(2, PeerMessage::Evidence(evidence)).reject();
    for incarnation in 0..3 {
        let by = life(1, incarnation);
        let body = |digest| Commit { view: View(0), seq: Seq(1), digest, by };
        let one: Signed<Commit> = solo.sign(1, body(Digest::of(b"one")));
        let other = solo.sign(1, body(Digest::of(b"other")));
        let expected = (incarnation > 1).then_some(Reject::Duplicate);
        assert_eq!(show(&mut solo, Evidence::Commit(one, other)), expected);
        assert_eq!(solo.replica().evidence().len(), 1);
    }
    let opening = |solo: &Solo, many| {
        let by = first_life(1);
        let proposal = solo.pre_prepare(1, 1, Digest::of(b"one"));
        let pre_prepares = vec![proposal; many].into();
        solo.sign(1, NewView { view: View(1), by, view_changes: vec![].into(), pre_prepares })
    };
    let pair = |one, other| Evidence::NewView(Box::new(one), Box::new(other));
    let large = pair(opening(&solo, 40_000), opening(&solo, 1));
    assert_eq!(show(&mut solo, large), Some(Reject::Duplicate));
    assert_eq!(solo.replica().evidence().len(), 1);
    let small = pair(opening(&solo, 1), opening(&solo, 2));
    assert_eq!(show(&mut solo, small), None);
    assert_eq!(solo.replica().evidence().len(), 2);
}

/// Bodies are bounded: what nobody asked for is not kept.
#[test]
fn bodies_that_nobody_asked_for_are_not_kept() {
    let mut solo = Solo::new(3);
    for number in 1..=100 {
        let batch = solo.batch(number);
        solo.peer(1, PeerMessage::Batch(batch));
    }
    assert_eq!(solo.replica().held().bodies, 0);
}

/// Of unknown ids: dropped.
#[test]
fn messages_of_unknown_ids_are_dropped() {
    let mut solo = Solo::new(3);
    assert_eq!(solo.verify(solo.status_message()), None);
    let from_nobody = quorate::replica::Input::Peer {
        from: ReplicaId(9),
        message: Box::new(
            solo.verifier.peer(solo.status_message()).expect("a status is well formed"),
        ),
    };
    assert_eq!(solo.input(from_nobody).reject(), Some(Reject::FromSelf));
}

/// Too large: dropped.
#[test]
fn what_is_too_large_is_dropped() {
    let parameters = Parameters { bundle_bytes: 1_000, ..parameters() };
    let solo = Solo::with(4, 3, parameters, Settings::default());
    let request = solo.request(0, 1, 0, &[&[0; 1_001]]);
    assert_eq!(solo.verify(PeerMessage::Relay(request)), Some(Reject::TooLarge));
    let request = solo.request(0, 1, 0, &[&[0; 1_000]]);
    assert_eq!(solo.verify(PeerMessage::Relay(request)), None);
    let mut status = solo.status(0, 0, 0);
    status.slots = List(vec![SlotStatus::Empty; 33]);
    assert_eq!(solo.verify(PeerMessage::Status(status)), Some(Reject::TooLarge));
}

/// Numbers and views near the end of the integer are refused before anybody counts on.
#[test]
fn numbers_and_views_near_the_end_are_refused() {
    let solo = Solo::new(3);
    let digest = Digest::of(b"");
    let refused = Some(Reject::OutOfRange);
    assert_eq!(solo.verify(solo.commit(1, u64::MAX, 1, digest)), refused);
    assert_eq!(solo.verify(solo.commit(1, 0, u64::MAX, digest)), refused);
    assert_eq!(solo.verify(solo.commit(1, 0, 0, digest)), refused, "genesis");
    let wish = solo.wish(1, u64::MAX);
    assert_eq!(solo.verify(PeerMessage::ViewChange(wish)), refused);
    let mut status = solo.status(0, 0, u64::MAX);
    status.slots = List(vec![SlotStatus::Empty]);
    assert_eq!(solo.verify(PeerMessage::Status(status)), refused);
}

/// A faulty primary's proposals fill at most the window, and each body once.
#[test]
fn a_primarys_proposals_are_bounded_by_the_window() {
    let mut solo = Solo::new(3);
    for seq in 1..=60 {
        let batch = solo.batch(seq);
        solo.propose(0, seq, &batch);
        let doubtful = Batch::new(quorate::types::Timestamp(seq), Vec::new());
        solo.propose(0, seq, &doubtful);
    }
    let held = solo.replica().held();
    assert_eq!((held.slots, held.bodies, held.promises), (32, 32, 32));
}

/// Requests relayed by a replica are bounded like those of the clients themselves.
#[test]
fn relayed_requests_are_bounded_by_the_clients_windows() {
    let parameters = Parameters { client_window: 20, bundle_operations: 4, ..parameters() };
    let mut solo = Solo::with(4, 3, parameters, Settings::default());
    for number in 1..=200 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        let out = solo.peer(1, PeerMessage::Relay(request));
        assert_eq!(out.reject().is_none(), number <= 40);
    }
    assert_eq!(solo.replica().held().waiting, 40);
}

/// Recoveries of one replica that wait are bounded, whatever nonces it signs.
#[test]
fn waiting_recoveries_are_bounded() {
    let mut solo = Solo::new(3);
    for nonce in 1..=50 {
        let recovery = solo.recovery(1, nonce);
        solo.peer(1, PeerMessage::Recovery(recovery));
    }
    assert_eq!(solo.replica().held().waiting, 2);
}
