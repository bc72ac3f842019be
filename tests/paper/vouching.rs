//! § Optimisations, Vouching: who checks what clients signed, and who goes by the word of
//! others. In the view and at the numbers of these tests replica 1 has to check nothing
//! unless a test says otherwise.

use crate::support::{Out, Solo};
use crate::world::parameters;
use quorate::message::{Batch, Item, PeerMessage, Reject, SlotStatus};
use quorate::replica::{Record, Settings};
use quorate::types::{Digest, Span};

/// However little is in a batch, others may be left to check it; and nobody suspects the
/// primary meanwhile.
fn settings() -> Settings {
    let patience = Span::seconds(60);
    Settings { vouched_from: 1, patience, most_patience: patience, ..Settings::default() }
}

fn solo(replicas: u16, id: u16) -> Solo {
    Solo::with(replicas, id, parameters(), settings())
}

/// A batch that holds what no client signed.
fn forged(solo: &Solo) -> Batch {
    let mut request = solo.write(0, 1);
    request.signature.0[3] ^= 1;
    solo.batch_of(&[&solo.write(1, 1), &request])
}

fn prepared(out: &Out) -> usize {
    out.prepares().len()
}

fn patience() -> Span {
    settings().vouching_patience
}

/// Checking starts at once where it is a replica's turn. P5: what it finds forged it
/// refuses, and the place stays free.
#[test]
fn whoever_is_to_check_does_so_at_once() {
    for (id, seq) in [(1, 3), (2, 1), (3, 2), (1, 6)] {
        let mut solo = solo(4, id);
        let bad = forged(&solo);
        let out = solo.propose(0, seq, &bad);
        assert_eq!((out.reject(), prepared(&out)), (Some(Reject::ForgedRequest), 0));
        let batch = solo.batch(1);
        assert_eq!(prepared(&solo.propose(0, seq, &batch)), 1, "{id} at {seq}");
    }
}

/// Small batches are checked by everybody: that costs less than the wait.
#[test]
fn small_batches_everybody_checks_at_once() {
    let settings = Settings { vouched_from: 2, ..settings() };
    let mut solo = Solo::with(4, 1, parameters(), settings);
    let (one, two) = (solo.batch(1), solo.batch_of(&[&solo.write(0, 2), &solo.write(1, 2)]));
    assert_eq!(prepared(&solo.propose(0, 1, &one)), 1);
    assert_eq!(prepared(&solo.propose(0, 2, &two)), 0);
}

/// `W` others, the primary among them, are enough: then nothing is checked here. (That
/// they would vouch for a forgery takes more than `f` liars.)
#[test]
fn the_word_of_a_weak_quorum_is_enough_and_nothing_is_checked() {
    let mut solo = solo(7, 1);
    let batch = forged(&solo);
    assert_eq!(prepared(&solo.propose(0, 1, &batch)), 0);
    assert_eq!(prepared(&solo.prepare_from(2, 0, 1, batch.digest())), 0);
    assert_eq!(prepared(&solo.prepare_from(5, 0, 1, batch.digest())), 1);
}

/// The votes may be here before the body is.
#[test]
fn the_word_of_others_may_come_before_the_proposal() {
    let mut solo = solo(4, 1);
    let batch = forged(&solo);
    assert_eq!(prepared(&solo.prepare_from(3, 0, 1, batch.digest())), 0);
    assert_eq!(prepared(&solo.propose(0, 1, &batch)), 1);
}

/// One less is not enough, and whoever speaks twice, or of something else, speaks once, or
/// not at all.
#[test]
fn one_under_the_weak_quorum_is_not_enough() {
    let mut solo = solo(7, 1);
    let (batch, other) = (forged(&solo), solo.batch(5));
    solo.propose(0, 1, &batch);
    for _ in 0..2 {
        assert_eq!(prepared(&solo.prepare_from(2, 0, 1, batch.digest())), 0);
        assert_eq!(prepared(&solo.propose(0, 1, &batch)), 0);
    }
    for (by, seq, digest) in [(3, 1, other.digest()), (4, 2, batch.digest())] {
        assert_eq!(prepared(&solo.prepare_from(by, 0, seq, digest)), 0);
    }
    assert_eq!(prepared(&solo.prepare_from(6, 0, 1, batch.digest())), 1);
}

/// Who waits for nobody's word checks, after a while: if all waited, none would check.
#[test]
fn whoever_has_waited_long_enough_checks_all_the_same() {
    let mut solo = solo(4, 1);
    let batch = solo.batch(1);
    assert_eq!(prepared(&solo.propose(0, 1, &batch)), 0);
    assert_eq!(prepared(&solo.pass(Span(patience().0 - 1))), 0);
    assert_eq!(prepared(&solo.pass(Span(1))), 1);
}

/// P5: and refuses then what is forged.
#[test]
fn what_is_found_forged_late_is_refused() {
    let mut solo = solo(4, 1);
    let batch = forged(&solo);
    solo.propose(0, 1, &batch);
    let out = solo.pass(patience());
    assert_eq!((out.rejects(), prepared(&out)), (vec![Reject::ForgedRequest], 0));
    let good = solo.batch(1);
    // Nobody waits for the one that kept this replica waiting.
    assert_eq!(prepared(&solo.propose(0, 1, &good)), 1, "the place is free");
}

/// B5: whoever kept this replica waiting is not waited for again soon.
#[test]
fn whoever_was_waited_for_in_vain_is_not_waited_for_again_soon() {
    let mut solo = solo(4, 1);
    let batches: Vec<Batch> = (1..=4).map(|number| solo.batch(number)).collect();
    solo.propose(0, 1, &batches[0]);
    solo.pass(patience());
    // The second backup is to check at 1, 4 and so on, the third at 2.
    assert_eq!(prepared(&solo.propose(0, 2, &batches[1])), 0);
    assert_eq!(prepared(&solo.propose(0, 4, &batches[2])), 1);
    solo.pass(patience().times(70));
    assert_eq!(prepared(&solo.propose(0, 7, &batches[3])), 0);
}

/// Nobody has to check a batch whose time only others can vouch for.
#[test]
fn the_word_of_others_is_for_the_time_too() {
    let mut solo = solo(4, 1);
    solo.wall_offset = 3_600_000_000;
    let batch = solo.batch(1);
    solo.wall_offset = 0;
    let out = solo.propose(0, 1, &batch);
    assert_eq!((out.reject(), prepared(&out)), (Some(Reject::BadTime), 0));
    let out = solo.pass(patience());
    assert_eq!((out.rejects(), prepared(&out)), (vec![], 0), "nothing is gained by a check");
    assert_eq!(prepared(&solo.prepare_from(3, 0, 1, batch.digest())), 1);
}

/// An entry that is decided was checked by somebody honest: it is executed, and its body
/// need not be fetched.
#[test]
fn what_is_decided_is_executed_unchecked() {
    let mut solo = solo(4, 1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    for by in [0, 2, 3] {
        solo.commit_from(by, 0, 1, batch.digest());
    }
    assert_eq!(solo.executed(), 1);
}

/// An honest primary proposes only what it checked: what it left unchecked in the view
/// before is not among it.
#[test]
fn what_was_left_unchecked_is_not_proposed_in_the_next_view() {
    let mut solo = solo(4, 1);
    let batch = forged(&solo);
    solo.propose(0, 1, &batch);
    let mut out = Out::default();
    for by in [2, 3] {
        out.extend(solo.wish_from(by, 1));
    }
    out.extend(solo.pass(Span::seconds(1)));
    assert_eq!((solo.view(), solo.replica().is_active()), (1, true), "it leads");
    let items = out.proposals().into_iter().flat_map(|(_, batch)| batch.items().to_vec());
    assert_eq!(items.collect::<Vec<Item>>(), []);
    assert_eq!(solo.replica().waits_for(), 0);
}

/// In the new view, what its opening chose is exempt; what comes after is unchecked again.
#[test]
fn what_a_view_chose_is_prepared_unchecked() {
    let mut solo = solo(4, 1);
    let (chosen, later) = (solo.batch(1), solo.batch(2));
    let certificate = solo.prepared(0, 1, chosen.digest(), &[2, 3]);
    solo.enter(2, vec![certificate]);
    assert_eq!(prepared(&solo.propose(2, 1, &chosen)), 1);
    // Of the backups 0, 1 and 3 of this view, the last is to check number 2.
    assert_eq!(prepared(&solo.propose(2, 2, &later)), 0);
    assert_eq!(prepared(&solo.prepare_from(3, 2, 2, later.digest())), 1);
}

/// A restart forgets what was unchecked, and checks nothing off.
#[test]
fn a_restart_makes_nothing_genuine() {
    let mut solo = solo(7, 1);
    let batch = forged(&solo);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    let out = solo.restart();
    assert_eq!(prepared(&out), 0);
    assert_eq!(prepared(&solo.propose(0, 1, &batch)), 0);
    assert_eq!(prepared(&solo.prepare_from(2, 0, 1, batch.digest())), 0);
    let out = solo.pass(patience());
    assert_eq!((out.reject(), prepared(&out)), (Some(Reject::ForgedRequest), 0));
}

/// Its own vote, read back from the log, is not the word of another.
#[test]
fn ones_own_vote_vouches_for_nothing() {
    // Longer than it takes until it tells its status.
    let patience = Span::seconds(5);
    let settings = Settings { vouching_patience: patience, ..settings() };
    let mut solo = Solo::with(7, 1, parameters(), settings);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.pass(patience);
    assert!(solo.disk.log.iter().any(|one| matches!(one, Record::Prepare(_))));
    solo.restart();
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    assert_eq!(first_slot(&mut solo), SlotStatus::Empty);
    solo.prepare_from(3, 0, 1, batch.digest());
    assert_eq!(first_slot(&mut solo), SlotStatus::Proposed);
}

/// What this replica says of number 1.
fn first_slot(solo: &mut Solo) -> SlotStatus {
    let out = solo.pass(settings().status_interval);
    let mut statuses = out.peers().into_iter().filter_map(|(_, message)| match message {
        PeerMessage::Status(status) => Some(status.slots[0]),
        _ => None,
    });
    statuses.next_back().expect("it tells its status")
}

/// P1, P5: while one batch is being checked or waited for, another for the same number is
/// evidence, and takes nobody's word over.
#[test]
fn the_word_for_one_batch_is_none_for_another() {
    let mut solo = solo(4, 1);
    let (one, other) = (forged(&solo), solo.batch(1));
    solo.propose(0, 1, &one);
    let out = solo.prepare_from(2, 0, 1, other.digest());
    assert_eq!(prepared(&out), 0);
    let out = solo.propose(0, 1, &other);
    assert_eq!(out.evidence().len(), 1);
    let digests: Vec<Digest> = out.prepares().iter().map(|vote| vote.digest).collect();
    assert_eq!(digests, [other.digest()]);
}
