//! § Optimisations, Reserved votes: which votes may leave before they are on the disk, and
//! what a replica says of those that it may have forgotten.

use crate::support::{Out, Solo, first_life};
use crate::world::parameters;
use quorate::message::{Commit, Held, PeerMessage, Prepare};
use quorate::replica::{Input, Notice, Outgoing, Record, Settings, Standing, Suspicion};
use quorate::types::{Digest, Seq, View};

const AHEAD: u64 = 4;

fn solo(id: u16) -> Solo {
    let settings = Settings { reserved_votes: AHEAD, ..Settings::default() };
    Solo::with(4, id, parameters(), settings)
}

fn is_vote(outgoing: &Outgoing) -> bool {
    let Outgoing::Peer(_, message) = outgoing else { return false };
    matches!(**message, PeerMessage::Prepare(_) | PeerMessage::Propose(..))
}

/// How many proposals and prepares leave at once, and how many wait for a sync.
fn votes(out: &Out) -> (usize, usize) {
    let count = |of: &[Outgoing]| of.iter().filter(|one| is_vote(one)).count();
    (count(&out.free), count(&out.bound))
}

fn reserved(out: &Out) -> Option<(View, Seq)> {
    out.records.iter().find_map(|record| match record {
        Record::Reserved(view, up_to) => Some((*view, *up_to)),
        _ => None,
    })
}

/// What the host does once it has synced.
fn is_durable(solo: &mut Solo, out: &Out) {
    let (view, up_to) = reserved(out).expect("a range is reserved");
    assert!(out.bound.contains(&Outgoing::Reserved(view, up_to)));
    solo.input(Input::Reserved(view, up_to));
}

fn propose(solo: &mut Solo, seq: u64) -> (Digest, Out) {
    let batch = solo.batch(seq);
    (batch.digest(), solo.propose(0, seq, &batch))
}

/// A backup that has prepared number 1 and reserved what follows, and then loses what it
/// says of number 2 in a crash.
fn with_a_lost_vote() -> (Solo, Digest) {
    let mut solo = solo(1);
    let (_, out) = propose(&mut solo, 1);
    is_durable(&mut solo, &out);
    let (digest, out) = propose(&mut solo, 2);
    assert_eq!(votes(&out), (1, 0));
    let is_lost = |record: &Record| record.seq() == Some(Seq(2));
    solo.disk.log.retain(|record| !is_lost(record));
    (solo, digest)
}

#[test]
fn a_vote_leaves_at_once_only_where_the_disk_holds_that_it_may() {
    let mut solo = solo(1);
    let (_, first) = propose(&mut solo, 1);
    assert_eq!(votes(&first), (0, 1), "nothing was reserved");
    assert_eq!(reserved(&first), Some((View(0), Seq(1 + AHEAD))));
    let (_, out) = propose(&mut solo, 2);
    assert_eq!(votes(&out), (0, 1), "the disk does not hold it yet");
    is_durable(&mut solo, &first);
    let (_, out) = propose(&mut solo, 3);
    assert_eq!(votes(&out), (1, 0));
    assert!(out.records.iter().any(|record| matches!(record, Record::Prepare(_))));
    let (_, out) = propose(&mut solo, 6);
    assert_eq!(votes(&out), (0, 1), "that is beyond the range");
}

#[test]
fn a_primary_proposes_at_once_what_it_has_reserved() {
    let mut solo = solo(0);
    let out = solo.submit(&solo.write(0, 1));
    assert_eq!(votes(&out), (0, 1));
    is_durable(&mut solo, &out);
    let out = solo.submit(&solo.write(1, 1));
    assert_eq!(votes(&out), (1, 0));
}

/// In another view nothing is reserved: the disk may not even hold that it was entered.
#[test]
fn a_range_is_of_one_view() {
    let mut solo = solo(2);
    let (_, out) = propose(&mut solo, 1);
    is_durable(&mut solo, &out);
    solo.enter(1, Vec::new());
    let batch = solo.batch(2);
    let out = solo.propose(1, 1, &batch);
    assert_eq!(votes(&out), (0, 1));
    assert_eq!(reserved(&out), Some((View(1), Seq(1 + AHEAD))));
}

/// A commit waits for its prepared certificate, whatever is reserved.
#[test]
fn a_commit_is_never_reserved() {
    let mut solo = solo(1);
    let (digest, out) = propose(&mut solo, 1);
    is_durable(&mut solo, &out);
    let out = solo.prepare_from(2, 0, 1, digest);
    let is_commit = |one: &Outgoing| matches!(one, Outgoing::Peer(_, message) if matches!(**message, PeerMessage::Commit(_)));
    assert!(out.bound.iter().any(is_commit));
    assert!(!out.free.iter().any(is_commit));
}

/// Nothing is said again that may have been said otherwise; what the log has is.
#[test]
fn who_may_have_forgotten_a_vote_casts_no_other() {
    let (mut solo, _) = with_a_lost_vote();
    solo.restart();
    for seq in 2..=1 + AHEAD {
        let other = solo.batch(40 + seq);
        assert_eq!(solo.propose(0, seq, &other).prepares(), [], "{seq}");
    }
    let beyond = solo.batch(50);
    assert_eq!(solo.propose(0, 2 + AHEAD, &beyond).prepares().len(), 1);
    let status = solo.status(0, 0, 0);
    solo.pass(solo.settings.status_interval);
    let told = solo.hear_status(2, status).prepares();
    assert!(told.iter().any(|vote| vote.seq == Seq(1)), "{told:?}");
    assert!(told.iter().all(|vote| vote.seq != Seq(2)), "{told:?}");
}

/// It may commit there: nobody can have prepared anything else in that view.
#[test]
fn who_may_have_forgotten_a_vote_commits_to_what_others_prepared() {
    let (mut solo, digest) = with_a_lost_vote();
    solo.restart();
    let batch = solo.batch(2);
    solo.propose(0, 2, &batch);
    solo.prepare_from(2, 0, 2, digest);
    assert_eq!(solo.prepare_from(3, 0, 2, digest).commits().len(), 1);
}

/// In the next view it votes for everything again.
#[test]
fn another_view_begins_with_nothing_forgotten() {
    let (mut solo, _) = with_a_lost_vote();
    solo.restart();
    solo.enter(2, Vec::new());
    let batch = solo.batch(7);
    assert_eq!(solo.propose(2, 1, &batch).prepares().len(), 1);
}

/// A primary that may not propose what comes next leaves its view at once, and others follow
/// it without waiting.
#[test]
fn a_primary_that_may_have_forgotten_a_proposal_abdicates() {
    let mut primary = solo(0);
    let out = primary.submit(&primary.write(0, 1));
    is_durable(&mut primary, &out);
    let out = primary.restart();
    assert_eq!(out.suspicions(), [(1, Suspicion::Abdicates)]);

    let mut backup = solo(2);
    let out = backup.wish_from(0, 1);
    assert_eq!(out.suspicions(), [(1, Suspicion::PrimaryLeft)]);
    let senders: Vec<u16> = out.wishes().iter().map(|one| one.body.by.replica.0).collect();
    assert_eq!(senders, [0, 2], "the others are shown why");
    let mut other = solo(2);
    assert_eq!(other.wish_from(3, 1).suspicions(), [], "one backup alone moves nobody");
}

/// A process that ends in good order gives back what it has not used: all that it said is in
/// the log, and its next start votes, and proposes, as if there had been no end.
#[test]
fn who_ends_in_good_order_forgets_nothing() {
    let mut primary = solo(0);
    let out = primary.submit(&primary.write(0, 1));
    is_durable(&mut primary, &out);
    let out = primary.input(Input::Stops);
    assert_eq!(reserved(&out), Some((View(0), Seq(1))));
    let out = primary.restart();
    assert_eq!(out.suspicions(), []);
    assert_eq!(primary.submit(&primary.write(1, 1)).proposals().len(), 1);

    let mut backup = solo(1);
    let (_, out) = propose(&mut backup, 1);
    is_durable(&mut backup, &out);
    backup.input(Input::Stops);
    backup.restart();
    assert_eq!(propose(&mut backup, 2).1.prepares().len(), 1);
}

/// A vote that a crash may have lost says nothing about the disk; a commit does.
#[test]
fn only_what_cannot_be_lost_proves_that_the_disk_went_back() {
    let by = first_life(1);
    let (view, seq) = (View(0), Seq(2));
    let (mut solo, digest) = with_a_lost_vote();
    let _ = solo.start(false);
    let vote = Held::Prepare(solo.sign(1, Prepare { view, seq, digest, by }));
    let out = solo.answer_start_from(2, vec![vote]);
    assert!(!out.notices.contains(&Notice::RolledBack));
    let commit = Held::Commit(solo.sign(1, Commit { view, seq, digest, by }));
    solo.answer_start_from(3, vec![commit]);
    assert_eq!(*solo.standing(), Standing::Halted);

    let (mut solo, digest) = with_a_lost_vote();
    let _ = solo.start(false);
    let seq = Seq(2 + AHEAD);
    let beyond = Held::Prepare(solo.sign(1, Prepare { view, seq, digest, by }));
    solo.answer_start_from(2, vec![beyond]);
    assert_eq!(*solo.standing(), Standing::Halted);
}

/// A log that begins anew says what is reserved.
#[test]
fn a_compaction_keeps_what_is_reserved() {
    let mut solo = solo(1);
    let interval = solo.genesis.parameters.checkpoint_interval;
    solo.decide_up_to(interval - 1);
    let (_, out) = propose(&mut solo, interval + 1);
    let range = reserved(&out).expect("a range is reserved");
    let batch = solo.batch(interval);
    solo.decide(0, interval, &batch);
    let out = solo.stabilise(interval);
    let head = out.compaction.expect("the log begins anew").head;
    assert!(head.contains(&Record::Reserved(range.0, range.1)), "{head:?}");
}
