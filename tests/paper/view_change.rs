//! § View change.

use crate::support::{Behind, Out, Solo, first_life, put};
use crate::world::{World, parameters};
use quorate::message::batch::NULL;
use quorate::message::{
    Batch, Evidence, Fetch, Parameters, PeerMessage, Reject, Signed, SlotStatus, ViewChange,
};
use quorate::replica::{Notice, Record, Settings, Suspicion, To};
use quorate::types::{Digest, ReplicaId, Seq, Span, View};
use quorate::wire::List;

fn waiting(id: u16) -> Solo {
    let mut solo = Solo::new(id);
    let request = solo.write(3, 1);
    solo.submit(&request);
    solo
}

/// Asks for view 1 by itself, having waited in vain.
fn suspecting(id: u16) -> (Solo, Out) {
    let mut solo = waiting(id);
    let patience = solo.replica().patience();
    let out = solo.pass(patience);
    assert_eq!(solo.view(), 1);
    (solo, out)
}

fn by(wishes: &[Signed<ViewChange>]) -> Vec<u16> {
    wishes.iter().map(|one| one.body.by.replica.0).collect()
}

/// A number gone through by votes in this view, up to this replica's commit.
fn prepare(solo: &mut Solo, view: u64, seq: u64, batch: &Batch) -> Out {
    let mut out = solo.propose(view, seq, batch);
    for by in solo.backups(view) {
        out.extend(solo.prepare_from(by, view, seq, batch.digest()));
    }
    assert_eq!(out.commits().len(), 1);
    out
}

/// The wait expires if nothing executes for T, and not before.
#[test]
fn a_backup_asks_for_the_next_view_when_nothing_executes_for_t() {
    let mut solo = waiting(1);
    let patience = solo.replica().patience();
    assert!(solo.pass(Span(patience.0 - 1)).suspicions().is_empty());
    let out = solo.pass(Span(1));
    assert_eq!(out.suspicions(), [(1, Suspicion::NothingExecuted)]);
    assert_eq!(by(&out.wishes()), [1]);
    assert_eq!(out.wishes()[0].body.view, View(1));
}

/// A replica that waits for nothing suspects nobody.
#[test]
fn nobody_is_suspected_while_nothing_waits() {
    let mut solo = Solo::new(1);
    assert!(solo.pass(Span::seconds(100)).suspicions().is_empty());
}

/// The primary doesn't suspect itself.
#[test]
fn the_primary_does_not_suspect_itself() {
    let mut solo = waiting(0);
    assert!(solo.pass(Span::seconds(100)).suspicions().is_empty());
}

/// What executes in time, whoever's it is, begins the wait anew.
#[test]
fn the_wait_begins_anew_when_something_executes() {
    let mut solo = waiting(1);
    let patience = solo.replica().patience();
    solo.pass(Span(patience.0 - 1));
    let batch = solo.batch(1);
    solo.decide(0, 1, &batch);
    assert!(solo.pass(Span(patience.0 - 1)).suspicions().is_empty());
    assert_eq!(solo.pass(Span(1)).suspicions().len(), 1);
}

/// Or if, T after it became known, more than one fair round of other clients' bundles
/// has executed before it.
#[test]
fn a_client_that_is_passed_over_is_reason_enough() {
    let mut solo = waiting(1);
    let patience = solo.replica().patience();
    let step = Span(patience.0 / 8);
    let mut seq = 0;
    let mut serve = |solo: &mut Solo, client: u32| {
        seq += 1;
        let request = solo.request(client, seq, 0, &[&put("a", "b")]);
        let batch = solo.batch_of(&[&request]);
        solo.decide(0, seq, &batch)
    };
    // What may have been proposed before the primary knew it doesn't count.
    for _ in 0..8 {
        serve(&mut solo, 0);
        assert!(solo.pass(step).suspicions().is_empty());
    }
    // Nor does one fair round.
    for client in [0, 1, 2] {
        serve(&mut solo, client);
        assert!(solo.pass(step).suspicions().is_empty(), "client {client}");
    }
    serve(&mut solo, 2);
    assert_eq!(solo.tick().suspicions(), [(1, Suspicion::Unfair)]);
}

/// However unfair, nobody is suspected before T is over.
#[test]
fn nobody_is_unfair_before_t_is_over() {
    let mut solo = waiting(1);
    for seq in 1..=24 {
        let batch = solo.batch(seq);
        solo.decide(0, seq, &batch);
    }
    assert!(solo.tick().suspicions().is_empty());
}

/// Waits stand still while it holds a checkpoint's certificate above what it executed.
#[test]
fn waits_stand_still_while_a_checkpoint_is_ahead() {
    let mut solo = waiting(1);
    let certificate = solo.certified(8, Digest::of(b"somewhere"));
    solo.peer(2, PeerMessage::Stable(certificate));
    assert!(solo.pass(Span::seconds(50)).suspicions().is_empty());
}

/// And while it is in transfer.
#[test]
fn waits_stand_still_in_transfer() {
    let mut behind = Behind::new(1);
    let request = behind.solo.write(3, 1);
    behind.solo.submit(&request);
    assert!(behind.solo.pass(Span::seconds(50)).suspicions().is_empty());
    assert_eq!(behind.solo.replica().held().waiting, 1);
}

/// And while a decided entry waits for what `W` others have executed.
#[test]
fn waits_stand_still_while_others_have_executed_more() {
    let mut solo = waiting(1);
    let batch = solo.batch(2);
    solo.decide(0, 2, &batch);
    solo.status_from(2, 0, 0, 2);
    solo.status_from(3, 0, 0, 2);
    assert!(solo.pass(Span::seconds(50)).suspicions().is_empty());
}

/// But not for a gap that nobody could have executed: that is the primary's fault.
#[test]
fn a_gap_that_nobody_has_executed_is_the_primarys_fault() {
    let mut solo = waiting(1);
    let batch = solo.batch(2);
    solo.decide(0, 2, &batch);
    solo.status_from(2, 0, 0, 2);
    assert_eq!(solo.pass(Span::seconds(2)).suspicions(), [(1, Suspicion::NothingExecuted)]);
}

/// It passes the request on until it executes.
#[test]
fn a_request_is_passed_on_until_it_executes() {
    let settings = Settings { patience: Span::seconds(60), ..Settings::default() };
    let mut solo = Solo::with(4, 1, parameters(), settings);
    let request = solo.write(0, 1);
    solo.submit(&request);
    let out = solo.pass(Span::seconds(3));
    assert!(out.relays().len() >= 3);
    assert!(out.relays().iter().all(|one| *one == (To::Peer(ReplicaId(0)), request.clone())));
    let batch = solo.batch_of(&[&request]);
    solo.decide(0, 1, &batch);
    assert!(solo.pass(Span::seconds(3)).relays().is_empty());
}

/// A proposal that isn't decided is waited for like a request.
#[test]
fn what_is_proposed_and_not_decided_is_waited_for() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    assert_eq!(solo.pass(Span::seconds(2)).suspicions(), [(1, Suspicion::NothingExecuted)]);
}

/// The view-change is on disk before it is sent.
#[test]
fn a_view_change_waits_for_the_sync_of_its_record() {
    let (_, out) = suspecting(1);
    assert!(!out.leaks_promises());
    let wish = &out.wishes()[0];
    assert!(out.records.iter().any(|one| matches!(one, Record::ViewChange(one) if one == wish)));
}

/// From then on it signs no prepare or commit at or below the view it left.
#[test]
fn whoever_has_asked_for_a_view_votes_no_more_in_the_one_before() {
    let mut solo = Solo::new(1);
    let (batch, next) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &batch);
    solo.pass(Span::seconds(2));
    assert_eq!(solo.view(), 1);
    let mut out = solo.prepare_from(2, 0, 1, batch.digest());
    assert_eq!(out.reject(), Some(Reject::OldView));
    out.extend(solo.propose(0, 2, &next));
    assert!(out.prepares().is_empty() && out.commits().is_empty());
}

/// Nor after a restart.
#[test]
fn nor_after_a_restart() {
    let (mut solo, _) = suspecting(2);
    solo.restart();
    let batch = solo.batch(1);
    let out = solo.propose(0, 1, &batch);
    assert_eq!(out.reject(), Some(Reject::OldView));
    assert!(out.prepares().is_empty());
}

/// It still signs checkpoints and takes whole commit certificates.
#[test]
fn whoever_changes_views_still_executes_and_signs_checkpoints() {
    let (mut solo, _) = suspecting(1);
    let out = solo.decide_up_to(8);
    assert_eq!(out.executed().len(), 8);
    assert_eq!(out.checkpoints().len(), 1);
    assert!(!solo.replica().is_active());
}

/// It sends its view-change again, the same bytes, until the view is open.
#[test]
fn a_view_change_is_sent_again_until_the_view_opens() {
    let (mut solo, out) = suspecting(3);
    let wish = out.wishes()[0].clone();
    assert_eq!(solo.status_from(2, 0, 0, 0).wishes(), std::slice::from_ref(&wish));
    assert_eq!(solo.status_from(2, 0, 0, 0).wishes(), [wish]);
    let mut has_it = solo.status(1, 0, 0);
    has_it.active = false;
    has_it.view_changes = List(vec![ReplicaId(3)]);
    assert!(solo.hear_status(2, has_it).wishes().is_empty(), "it has it");
    solo.enter(1, Vec::new());
    assert!(solo.status_from(2, 0, 0, 0).wishes().is_empty());
}

/// The timer for the NewView starts when `Q`, itself among them, have asked for this
/// view or a higher one.
#[test]
fn the_timer_for_the_opening_starts_with_q_that_ask() {
    let (mut solo, _) = suspecting(3);
    assert!(solo.pass(Span::seconds(100)).suspicions().is_empty(), "alone");
    solo.wish_from(0, 1);
    assert!(solo.pass(Span::seconds(100)).suspicions().is_empty(), "two of three");
    solo.wish_from(2, 7);
    let patience = solo.replica().patience();
    assert!(solo.pass(Span(patience.0 - 1)).suspicions().is_empty());
    assert_eq!(solo.pass(Span(1)).suspicions(), [(2, Suspicion::NewViewLate)]);
}

/// `Q` others without itself start no timer: it joins them first.
#[test]
fn with_w_others_it_joins_before_any_timer_starts() {
    let mut solo = Solo::new(3);
    solo.wish_from(1, 1);
    let out = solo.wish_from(2, 1);
    assert_eq!(out.suspicions(), [(1, Suspicion::Joined)]);
    let patience = solo.replica().patience();
    assert_eq!(solo.pass(patience).suspicions(), [(2, Suspicion::NewViewLate)]);
}

/// Expiry doubles the wait, up to a cap; all waits use the current value.
#[test]
fn the_wait_doubles_with_each_view_that_fails_up_to_the_cap() {
    let settings = Settings { most_patience: Span::seconds(7), ..Settings::default() };
    let mut solo = Solo::with(7, 6, parameters(), settings);
    let ask = |solo: &mut Solo, view: u64| {
        for by in 0..4 {
            solo.wish_from(by, view);
        }
    };
    ask(&mut solo, 1);
    let mut waits = vec![solo.replica().patience()];
    for view in 2..=5 {
        let out = solo.pass(solo.replica().patience());
        assert_eq!(out.suspicions(), [(view, Suspicion::NewViewLate)]);
        waits.push(solo.replica().patience());
        ask(&mut solo, view);
    }
    for pair in waits.windows(2) {
        assert_eq!(pair[1], pair[0].times(2).min(Span::seconds(7)));
    }
    assert_eq!(waits.last(), Some(&Span::seconds(7)));
    // The wait for a request is the same one.
    solo.enter(7, Vec::new());
    let request = solo.write(0, 1);
    solo.submit(&request);
    assert!(solo.pass(Span(Span::seconds(7).0 - 1)).suspicions().is_empty());
    assert_eq!(solo.pass(Span(1)).suspicions().len(), 1);
}

/// Only the execution of requests that were waited for shrinks it, step by step.
#[test]
fn the_wait_shrinks_step_by_step_as_awaited_requests_execute() {
    let mut solo = Solo::new(3);
    for view in 1..=3 {
        solo.wish_from(1, view);
        solo.wish_from(2, view);
    }
    solo.enter(4, Vec::new());
    let long = solo.replica().patience();
    assert!(long > solo.settings.patience.times(4));
    solo.pass(long);
    // Not waited for.
    let batch = solo.batch_of(&[&solo.write(1, 1)]);
    solo.decide(4, 1, &batch);
    assert_eq!(solo.replica().patience(), long);
    // Two at once are one step.
    for number in 1..=2 {
        let request = solo.write(0, number);
        solo.submit(&request);
        let batch = solo.batch_of(&[&request]);
        solo.decide(4, number + 1, &batch);
        assert_eq!(solo.replica().patience(), long.halved());
    }
    for number in 3..=10 {
        solo.pass(solo.replica().patience());
        let request = solo.write(0, number);
        solo.submit(&request);
        let batch = solo.batch_of(&[&request]);
        solo.decide(4, number + 1, &batch);
    }
    assert_eq!(solo.replica().patience(), solo.settings.patience, "and no further");
}

/// On view-changes of `W` others it joins the smallest, at once.
#[test]
fn on_w_view_changes_it_joins_the_smallest() {
    let mut solo = Solo::new(3);
    assert!(solo.wish_from(2, 9).suspicions().is_empty());
    let out = solo.wish_from(1, 5);
    assert_eq!(out.suspicions(), [(5, Suspicion::Joined)]);
    assert_eq!(out.wishes()[0].body.view, View(5));
    let mut solo = Solo::of(7, 6);
    solo.wish_from(3, 4);
    assert!(solo.wish_from(1, 4).suspicions().is_empty(), "two are one under W");
    assert_eq!(solo.wish_from(2, 8).suspicions(), [(4, Suspicion::Joined)]);
}

/// One faulty replica alone moves nobody, whatever it asks for, but from a view of its own.
#[test]
fn one_backup_alone_moves_nobody() {
    let mut solo = Solo::new(3);
    for view in (1..50).chain([1_000_000]) {
        assert!(solo.wish_from(1, view).suspicions().is_empty());
    }
    assert_eq!(solo.view(), 0);
    assert_eq!(solo.replica().held().wishes, 1);
    assert!(solo.pass(Span::seconds(100)).suspicions().is_empty());
}

/// Kept per sender is its highest, however far off.
#[test]
fn kept_of_each_sender_is_its_highest_view_change() {
    let mut solo = Solo::new(3);
    assert_eq!(solo.wish_from(0, 1_000_000).reject(), None);
    assert_eq!(solo.wish_from(0, 2).reject(), Some(Reject::OldView));
    assert_eq!(solo.wish_from(0, 1_000_000).reject(), Some(Reject::Duplicate));
    assert_eq!(solo.wish_from(1, 3).suspicions(), [(3, Suspicion::Joined)]);
}

/// Two different view-changes of one replica for one view are evidence.
#[test]
fn two_view_changes_for_one_view_are_evidence() {
    let mut solo = Solo::new(3);
    solo.wish_from(0, 1);
    let digest = solo.batch(1).digest();
    let certificate = solo.prepared(0, 1, digest, &[1, 2]);
    let other = solo.wish_with(first_life(0), 1, None, vec![certificate]);
    let out = solo.peer(0, PeerMessage::ViewChange(other));
    assert_eq!(out.reject(), Some(Reject::Conflict));
    assert!(matches!(out.evidence()[..], [Evidence::ViewChange(..)]));
}

/// A view-change carries the stable checkpoint's certificate and, for each number above
/// it that it ever prepared, the certificate of the highest view.
#[test]
fn a_view_change_carries_what_was_prepared_in_the_highest_view() {
    let mut solo = Solo::new(3);
    solo.advance_to(8);
    let batches = [solo.batch(9), solo.batch(10)];
    prepare(&mut solo, 0, 9, &batches[0]);
    prepare(&mut solo, 0, 10, &batches[1]);
    let certificates = vec![
        solo.prepared(0, 9, batches[0].digest(), &[1, 2]),
        solo.prepared(0, 10, batches[1].digest(), &[1, 2]),
    ];
    solo.enter(1, certificates);
    // Only the first is prepared again in view 1.
    let mut out = solo.prepare_from(0, 1, 9, batches[0].digest());
    out.extend(solo.prepare_from(2, 1, 9, batches[0].digest()));
    assert_eq!(out.commits().len(), 1);
    solo.restart();
    assert_eq!(solo.view(), 1);
    solo.wish_from(0, 2);
    let out = solo.wish_from(1, 2);
    let wish = &out.wishes()[0].body;
    assert_eq!(wish.stable_seq(), Seq(8));
    let shown: Vec<_> = wish.prepared.iter().map(|one| (one.seq(), one.view())).collect();
    assert_eq!(shown, [(Seq(9), View(1)), (Seq(10), View(0))]);
    assert_eq!(solo.verify(PeerMessage::ViewChange(out.wishes()[0].clone())), None);
}

/// Every batch that a view-change certifies is on disk when it leaves.
#[test]
fn every_batch_that_a_view_change_certifies_is_on_disk() {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    prepare(&mut solo, 0, 1, &batch);
    solo.wish_from(2, 1);
    let out = solo.wish_from(1, 1);
    for certificate in &out.wishes()[0].body.prepared {
        let holds = |one: &Record| match one {
            Record::PrePrepare(_, body) | Record::Prepared(_, body) => {
                body.as_ref().is_some_and(|one| one.digest() == certificate.digest())
            }
            _ => false,
        };
        assert!(solo.disk.log.iter().any(holds));
    }
    assert_eq!(out.wishes()[0].body.prepared.len(), 1);
}

/// What is only proposed is not carried.
#[test]
fn what_was_not_prepared_is_not_carried() {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.wish_from(2, 1);
    let out = solo.wish_from(1, 1);
    assert!(out.wishes()[0].body.prepared.is_empty());
}

/// The new primary opens with `Q` view-changes, its own among them; with one fewer not.
#[test]
fn the_new_primary_opens_with_q_view_changes_its_own_among_them() {
    for replicas in [4, 5, 6, 7] {
        let mut solo = Solo::of(replicas, 1);
        let others = solo.others();
        let mut out = Out::default();
        for from in &others[..solo.quorum() - 2] {
            out.extend(solo.wish_from(*from, 1));
        }
        if replicas == 4 {
            // One other alone moves nobody; this replica has its own reason.
            let request = solo.write(0, 1);
            solo.submit(&request);
            out.extend(solo.pass(Span::seconds(1)));
        }
        assert_eq!(solo.view(), 1);
        assert!(out.openings().is_empty(), "{replicas}");
        let out = solo.wish_from(others[solo.quorum() - 2], 1);
        let opening = &out.openings()[0];
        assert_eq!(opening.body.view_changes.len(), solo.quorum());
        assert!(by(&opening.body.view_changes).contains(&1));
        assert!(solo.replica().is_active());
        assert!(out.notices.contains(&Notice::Entered(View(1))));
    }
}

/// View-changes for other views don't count for this one.
#[test]
fn only_view_changes_for_this_very_view_open_it() {
    let (mut solo, _) = suspecting(1);
    solo.wish_from(0, 5);
    let out = solo.wish_from(2, 1);
    assert!(out.openings().is_empty());
    assert_eq!(solo.wish_from(3, 1).openings().len(), 1);
}

/// NewView is on disk before it is sent and before any vote in the view.
#[test]
fn a_new_view_waits_for_the_sync_of_its_record() {
    let (mut solo, _) = suspecting(1);
    solo.wish_from(0, 1);
    let out = solo.wish_from(2, 1);
    assert!(!out.leaks_promises());
    let opening = &out.openings()[0];
    assert!(out.records.iter().any(|one| matches!(one, Record::NewView(one, _) if one == opening)));
    assert_eq!(solo.verify(PeerMessage::NewView(opening.clone(), None)), None);
}

/// From min-s to max-s: the digest of the highest view's certificate, or null.
#[test]
fn between_min_s_and_max_s_the_highest_view_decides_and_gaps_are_null() {
    let mut solo = Solo::new(2);
    let (old, new, third) = (solo.batch(1), solo.batch(2), solo.batch(3));
    let in_view_0 = solo.prepared(0, 2, old.digest(), &[1, 3]);
    let in_view_1 = solo.prepared(1, 2, new.digest(), &[0, 3]);
    let later = solo.prepared(0, 4, third.digest(), &[1, 3]);
    let one = solo.wish_with(first_life(0), 2, None, vec![in_view_0, later]);
    let other = solo.wish_with(first_life(1), 2, None, vec![in_view_1]);
    solo.peer(0, PeerMessage::ViewChange(one));
    solo.peer(1, PeerMessage::ViewChange(other));
    assert_eq!(solo.view(), 2);
    let mut out = solo.peer(0, PeerMessage::Batch(new.clone()));
    assert!(out.openings().is_empty(), "not before it holds every chosen body");
    out.extend(solo.peer(0, PeerMessage::Batch(third.clone())));
    let chosen: Vec<_> = out.openings()[0]
        .body
        .pre_prepares
        .iter()
        .map(|one| (one.body.seq, one.body.digest))
        .collect();
    let expected =
        [(Seq(1), NULL), (Seq(2), new.digest()), (Seq(3), NULL), (Seq(4), third.digest())];
    assert_eq!(chosen, expected);
}

/// min-s is the highest stable checkpoint among them; nothing below is chosen.
#[test]
fn min_s_is_the_highest_stable_checkpoint_shown() {
    let mut solo = Solo::new(1);
    let mut donor = Solo::new(2);
    donor.advance_to(8);
    let certificate = solo.certified(8, donor.disk.states[&Seq(8)].digest());
    let low = solo.prepared(0, 3, solo.batch(3).digest(), &[2, 3]);
    let one = solo.wish_with(first_life(0), 1, None, vec![low]);
    let other = solo.wish_with(first_life(2), 1, Some(certificate), Vec::new());
    solo.peer(0, PeerMessage::ViewChange(one));
    let out = solo.peer(2, PeerMessage::ViewChange(other));
    assert!(out.openings()[0].body.pre_prepares.is_empty());
}

/// If a body cannot be had in time it takes another replica's view-change instead.
#[test]
fn a_view_change_whose_body_is_withheld_is_left_out() {
    let mut solo = Solo::new(1);
    let withheld = solo.prepared(0, 1, Digest::of(b"nobody has it"), &[2, 3]);
    let one = solo.wish_with(first_life(0), 1, None, vec![withheld]);
    let mut out = solo.peer(0, PeerMessage::ViewChange(one));
    out.extend(solo.wish_from(2, 1));
    out.extend(solo.wish_from(3, 1));
    assert!(out.openings().is_empty());
    assert!(!out.fetches().is_empty(), "it looks for it first");
    let out = solo.pass(solo.replica().patience());
    assert_eq!(by(&out.openings()[0].body.view_changes), [1, 2, 3]);
    assert!(out.openings()[0].body.pre_prepares.is_empty());
    assert_eq!(solo.view(), 1);
}

/// All install at most one NewView per view; a second is evidence.
#[test]
fn at_most_one_new_view_is_installed_in_a_view() {
    let mut solo = Solo::new(3);
    let digest = solo.batch(1).digest();
    solo.enter(1, Vec::new());
    let certificate = solo.prepared(0, 1, digest, &[1, 2]);
    let out = solo.enter(1, vec![certificate]);
    assert_eq!(out.reject(), Some(Reject::OldView));
    assert!(matches!(out.evidence()[..], [Evidence::NewView(..)]));
    assert_eq!(solo.replica().held().slots, 0);
}

/// NewView is recorded before any vote in that view.
#[test]
fn the_record_of_a_new_view_goes_before_any_vote_in_it() {
    let mut solo = Solo::new(3);
    let certificate = solo.prepared(0, 2, solo.batch(1).digest(), &[1, 2]);
    let out = solo.enter(1, vec![certificate]);
    assert_eq!(out.prepares()[0].digest, NULL, "number 1 is null, and has no body to wait for");
    let at = |which: fn(&Record) -> bool| out.records.iter().position(which);
    let opened = at(|one| matches!(one, Record::NewView(..)));
    let voted = at(|one| matches!(one, Record::Prepare(_)));
    assert!(opened.is_some() && opened < voted);
    assert!(!out.leaks_promises());
}

/// Up to max-s the chosen digest is the only acceptable one.
#[test]
fn up_to_max_s_nothing_but_what_was_chosen_is_acceptable() {
    let mut solo = Solo::new(3);
    solo.advance_to(8);
    let certificate = solo.prepared(0, 10, solo.batch(10).digest(), &[1, 2]);
    solo.enter(1, vec![certificate]);
    let other = solo.batch(77);
    for seq in [9, 10] {
        let out = solo.propose(1, seq, &other);
        assert_eq!(out.reject(), Some(Reject::Conflict), "{seq}");
        assert!(out.prepares().is_empty());
    }
    assert_eq!(solo.propose(1, 11, &other).prepares().len(), 1);
}

/// What is chosen goes through prepare and commit again; what was executed already is
/// not executed again, but its votes are sent.
#[test]
fn executed_entries_are_voted_for_again_and_not_executed_again() {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    prepare(&mut solo, 0, 1, &batch);
    solo.commit_from(0, 0, 1, batch.digest());
    solo.commit_from(1, 0, 1, batch.digest());
    assert_eq!(solo.executed(), 1);
    let certificate = solo.prepared(0, 1, batch.digest(), &[1, 2]);
    let mut out = solo.enter(1, vec![certificate]);
    assert_eq!(out.prepares().len(), 1);
    out.extend(solo.prepare_from(0, 1, 1, batch.digest()));
    out.extend(solo.commit_from(0, 1, 1, batch.digest()));
    out.extend(solo.commit_from(1, 1, 1, batch.digest()));
    assert_eq!(out.commits().len(), 1);
    assert!(out.executed().is_empty());
    assert_eq!(solo.executed(), 1);
}

/// A batch that is lacking is fetched from those that prepared it.
#[test]
fn a_lacking_batch_is_fetched_from_those_that_prepared_it() {
    let mut solo = Solo::of(7, 6);
    let digest = solo.batch(1).digest();
    let certificate = solo.prepared(0, 1, digest, &[2, 3, 4, 5]);
    let mut out = solo.enter(1, vec![certificate]);
    out.extend(solo.pass(solo.settings.fetch_timeout.times(4)));
    let asked: Vec<_> = out
        .fetches()
        .into_iter()
        .filter(|(_, one)| *one == Fetch::Batch(digest))
        .map(|one| one.0)
        .collect();
    let holders = [0, 2, 3, 4, 5].map(|id| To::Peer(ReplicaId(id)));
    assert_eq!(asked[0], holders[0]);
    assert!(asked.len() >= 4 && asked.iter().take(5).all(|one| holders.contains(one)), "{asked:?}");
}

/// One that is below min-s fetches state, and meanwhile is in the view.
#[test]
fn one_below_min_s_looks_for_the_state() {
    let mut solo = Solo::new(3);
    let certificate = solo.certified(40, Digest::of(b"far ahead"));
    let wishes =
        [0, 1, 2].map(|by| solo.wish_with(first_life(by), 1, Some(certificate.clone()), vec![]));
    let opening = solo.opening(1, wishes.to_vec());
    solo.peer(1, PeerMessage::NewView(opening, None));
    assert_eq!(solo.view(), 1);
    let out = solo.pass(Span::seconds(1));
    assert!(out.fetches().iter().any(|(_, one)| *one == Fetch::Decided(Seq(1))));
    assert!(out.suspicions().is_empty());
    let out = solo.peer(0, PeerMessage::Stable(certificate.clone()));
    let _ = out;
    let mut begun = solo.replica().is_in_transfer();
    for from in [1, 2] {
        solo.peer(from, PeerMessage::Stable(certificate.clone()));
        begun |= solo.replica().is_in_transfer();
    }
    assert!(begun);
}

/// Requests that were waiting go to the new primary; their timers start anew.
#[test]
fn waiting_requests_go_to_the_new_primary_with_a_new_timer() {
    let mut solo = waiting(3);
    let patience = solo.replica().patience();
    solo.pass(Span(patience.0 - 1));
    let out = solo.enter(1, Vec::new());
    assert_eq!(out.relays().len(), 1);
    assert_eq!(out.relays()[0].0, To::Peer(ReplicaId(1)));
    let patience = solo.replica().patience();
    assert!(solo.pass(Span(patience.0 - 1)).suspicions().is_empty());
    assert_eq!(solo.pass(Span(1)).suspicions(), [(2, Suspicion::NothingExecuted)]);
}

/// What was proposed and not decided waits on, and goes to the new primary too.
#[test]
fn what_was_proposed_and_not_decided_waits_on_in_the_next_view() {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    let out = solo.enter(1, Vec::new());
    assert_eq!(out.relays(), [(To::Peer(ReplicaId(1)), solo.write(0, 1))]);
}

/// A replica that was away enters a view by its NewView alone.
#[test]
fn a_replica_that_was_away_enters_a_view_by_its_new_view_alone() {
    let mut solo = Solo::new(3);
    solo.enter(6, Vec::new());
    assert_eq!(solo.view(), 6);
    assert!(solo.replica().is_active());
    let batch = solo.batch(1);
    assert_eq!(solo.propose(6, 1, &batch).prepares().len(), 1);
}

/// And by nothing else: others' traffic in a higher view changes nothing.
#[test]
fn traffic_in_a_higher_view_moves_nobody() {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    solo.propose(1, 1, &batch);
    for by in [0, 1, 2] {
        solo.commit_from(by, 1, 1, batch.digest());
        solo.status_from(by, 1, 0, 0);
    }
    assert_eq!(solo.view(), 0);
    assert_eq!(solo.executed(), 0);
    let before = solo.propose(0, 1, &batch);
    assert_eq!(before.prepares().len(), 1, "it still takes part in its own");
}

/// Views never go back.
#[test]
fn views_never_go_back() {
    let mut solo = Solo::new(3);
    solo.enter(6, Vec::new());
    assert_eq!(solo.enter(5, Vec::new()).reject(), Some(Reject::OldView));
    assert_eq!(solo.wish_from(0, 6).reject(), Some(Reject::OldView));
    assert_eq!(solo.view(), 6);
    solo.restart();
    assert_eq!(solo.view(), 6);
}

/// One that is in the view shows whoever isn't how it was opened.
#[test]
fn the_opening_is_shown_to_whoever_is_in_an_earlier_view() {
    let mut solo = Solo::new(3);
    solo.enter(1, Vec::new());
    assert_eq!(solo.status_from(2, 0, 0, 0).openings().len(), 1);
    assert_eq!(solo.status_from(2, 1, 0, 0).openings().len(), 0);
    assert_eq!(solo.peer(2, PeerMessage::Fetch(Fetch::NewView(View(1)))).openings().len(), 1);
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::NewView(View(2))));
    assert_eq!(out.reject(), Some(Reject::NotHere));
}

fn slots(solo: &Solo, states: &[SlotStatus]) -> quorate::message::Status {
    let mut status = solo.status(0, 0, 0);
    status.slots = List(states.to_vec());
    status
}

/// Retransmission: its own current votes that the peer lacks, and no others.
#[test]
fn a_backup_sends_again_its_own_votes_that_the_peer_lacks() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    prepare(&mut solo, 0, 1, &batch);
    solo.now = solo.now.plus(solo.settings.status_interval);
    let sent = |solo: &mut Solo, state: SlotStatus| {
        let message = slots(solo, &[state]);
        let out = solo.hear_status(2, message);
        assert!(out.proposals().is_empty());
        assert!(out.peers().iter().all(|(to, _)| *to == To::Peer(ReplicaId(2))));
        (out.prepares().len(), out.commits().len())
    };
    assert_eq!(sent(&mut solo, SlotStatus::Empty), (1, 1));
    assert_eq!(sent(&mut solo, SlotStatus::Proposed), (1, 1));
    assert_eq!(sent(&mut solo, SlotStatus::Prepared), (0, 1));
    assert_eq!(sent(&mut solo, SlotStatus::Decided), (0, 0));
}

/// The primary sends its proposal again, with its batch.
#[test]
fn the_primary_sends_its_proposal_again_to_whoever_lacks_it() {
    let mut solo = Solo::new(0);
    let request = solo.write(0, 1);
    let first = solo.submit(&request).proposals();
    solo.now = solo.now.plus(solo.settings.status_interval);
    let message = slots(&solo, &[]);
    assert_eq!(solo.hear_status(2, message).proposals(), first);
    let message = slots(&solo, &[SlotStatus::Proposed]);
    assert!(solo.hear_status(2, message).proposals().is_empty());
}

/// But a batch only after twice the time that agreement takes: where that is long, it may be on
/// its way, and to send it again would make it longer.
#[test]
fn batches_are_sent_again_more_rarely_where_agreement_takes_long() {
    let mut solo = Solo::new(0);
    let (_, batch) = solo.submit(&solo.write(0, 1)).proposals()[0].clone();
    solo.pass(Span::milliseconds(120));
    solo.decide(0, 1, &batch);
    solo.submit(&solo.write(0, 2));
    let mut lacking = slots(&solo, &[]);
    lacking.executed = Seq(1);
    let again: Vec<usize> =
        (0..10).map(|_| solo.hear_status(2, lacking.clone()).proposals().len()).collect();
    assert_eq!(again, [0, 0, 1, 0, 0, 1, 0, 0, 1, 0], "statuses come every 100 ms");
}

/// Nothing is sent again to one that is in another view, or in none.
#[test]
fn votes_are_sent_again_only_within_the_view() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    prepare(&mut solo, 0, 1, &batch);
    solo.now = solo.now.plus(solo.settings.status_interval);
    let mut changing = solo.status(0, 0, 0);
    changing.active = false;
    assert!(solo.hear_status(2, changing).prepares().is_empty());
    assert!(solo.status_from(2, 3, 0, 0).prepares().is_empty());
}

/// Checkpoints above `h` are sent again, and the certificate to whoever is below.
#[test]
fn checkpoints_are_sent_again() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(8);
    let vote = solo.status_from(2, 0, 0, 8).checkpoints();
    assert_eq!(vote.iter().map(|one| one.seq.0).collect::<Vec<_>>(), [8]);
    solo.stabilise(8);
    let out = solo.status_from(2, 0, 0, 8);
    assert!(out.checkpoints().is_empty());
    assert_eq!(out.pick(|one| matches!(one, PeerMessage::Stable(_)).then_some(())).len(), 1);
    let out = solo.status_from(2, 0, 8, 8);
    assert!(out.peers().is_empty());
}

/// Rotation: an orderly one every R stable checkpoints.
#[test]
fn the_primary_rotates_after_r_stable_checkpoints() {
    let parameters = Parameters { rotation: 2, ..parameters() };
    let mut solo = Solo::with(4, 3, parameters, Settings::default());
    assert!(solo.advance_to(8).suspicions().is_empty());
    solo.decide_up_to(16);
    let out = solo.stabilise(16);
    assert_eq!(out.suspicions(), [(1, Suspicion::Rotation)]);
    assert_eq!(out.wishes()[0].body.stable_seq(), Seq(16));
}

/// A primary that orders far slower than it could is treated as failed; the test
/// loosens each time it fires.
#[test]
fn a_primary_that_orders_far_slower_than_it_could_is_replaced() {
    let settings = Settings { patience: Span::seconds(60), ..Settings::default() };
    let mut solo = Solo::with(4, 3, parameters(), settings);
    let round = |solo: &mut Solo, view: u64, delay: Span| {
        let number = solo.executed() + 1;
        let request = solo.write(0, number);
        solo.submit(&request);
        let mut out = solo.pass(delay);
        let batch = solo.batch_of(&[&request]);
        out.extend(prepare(solo, view, number, &batch));
        for by in solo.others().into_iter().take(2) {
            out.extend(solo.commit_from(by, view, number, batch.digest()));
        }
        assert_eq!(solo.executed(), number);
        if number.is_multiple_of(8) {
            out.extend(solo.stabilise(number));
        }
        out.extend(solo.tick());
        out.suspicions()
    };
    for _ in 0..20 {
        assert!(round(&mut solo, 0, Span::milliseconds(90)).is_empty(), "within the floor");
    }
    let delay = Span::milliseconds(150);
    let fired = (0..40).find_map(|_| round(&mut solo, 0, delay).first().copied());
    assert_eq!(fired, Some((1, Suspicion::Slow)));
    solo.enter(1, Vec::new());
    for _ in 0..40 {
        assert!(round(&mut solo, 1, delay).is_empty(), "twice as much is allowed now");
    }
}

fn write(world: &mut World, number: u64, to: ReplicaId) {
    let request = world.request(0, number, number - 1, &[&put("a", &number.to_string())]);
    world.submit(&request, to);
}

/// Nothing decided is lost: what one replica alone has executed survives the change.
#[test]
fn what_was_decided_survives_a_view_change() {
    let mut world = World::new(4);
    write(&mut world, 1, ReplicaId(0));
    world.deliver_all();
    // Number 2 is decided at replica 2 alone: commits reach nobody else.
    world.filters.push((
        "commits reach replica 2 alone".into(),
        Box::new(|flight| {
            matches!(flight.message, PeerMessage::Commit(_)) && flight.to != ReplicaId(2)
        }),
    ));
    write(&mut world, 2, ReplicaId(0));
    world.deliver_all();
    assert_eq!(world.executed(), [1, 1, 2, 1]);
    world.filters.clear();
    world.crash(ReplicaId(0));
    world.crash(ReplicaId(2));
    let disk = world.node(ReplicaId(2)).disk.clone();
    world.node_mut(ReplicaId(2)).disk = disk;
    world.start(ReplicaId(2), false);
    world.pass(Span::seconds(30));
    for id in [1, 2, 3] {
        assert_eq!(world.executed()[id], 2);
    }
    let replies = world.replies(0, 2);
    assert!(replies.len() >= 3);
}

/// An old primary that heals while the cluster is idle learns the view from status.
#[test]
fn one_that_slept_through_a_view_change_learns_the_view_from_status() {
    let mut world = World::new(4);
    world.filters.push((
        "replica 0 is cut off".into(),
        Box::new(|flight| flight.to == ReplicaId(0) || flight.from == ReplicaId(0)),
    ));
    for id in [1, 2, 3] {
        write(&mut world, 1, ReplicaId(id));
    }
    world.pass(Span::seconds(5));
    assert_eq!(world.replica(1).view(), View(1));
    world.filters.clear();
    let two_periods = world.settings.status_interval.times(10);
    world.pass(two_periods);
    assert_eq!(world.views(), [View(1); 4]);
    assert_eq!(world.executed(), [1; 4]);
}
