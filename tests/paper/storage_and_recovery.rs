//! § Stable storage and recovery.

use crate::support::{Behind, Out, Solo, first_life, get, life, parts_asked, put};
use crate::world::{Disk, World, parameters, replica_key};
use quorate::message::{
    Batch, Checkpoint, ClientMessage, Commit, Fetch, Held, Item, NewView, Parameters, PeerMessage,
    PrePrepare, Prepare, Reject, Signed, SlotStatus, StartAnswer, Voter,
};
use quorate::replica::{
    Durable, Effects, Input, Notice, Now, Origin, Recalled, Record, Recovered, Replica, Settings,
    Standing, StartError, Suspicion, To,
};
use quorate::types::{Digest, Incarnation, Nonce, ReplicaId, RequestNumber, Seq, Span, View};
use quorate::wire::{Blob, List};

fn votes_of(out: &Out) -> usize {
    out.prepares().len()
        + out.commits().len()
        + out.checkpoints().len()
        + out.proposals().len()
        + out.wishes().len()
        + out.openings().len()
}

fn prepare(solo: &mut Solo, view: u64, seq: u64, batch: &Batch) -> Out {
    let mut out = solo.propose(view, seq, batch);
    for by in solo.backups(view) {
        out.extend(solo.prepare_from(by, view, seq, batch.digest()));
    }
    out
}

/// What a peer that has nothing is sent again.
fn sent_again(solo: &mut Solo, view: u64) -> Out {
    solo.now = solo.now.plus(solo.settings.status_interval);
    let mut status = solo.status(view, 0, 0);
    status.slots = List(vec![SlotStatus::Empty; 8]);
    solo.peer(2, PeerMessage::Status(status))
}

fn signed_votes(out: &Out) -> Vec<PeerMessage> {
    out.pick(|one| match one {
        PeerMessage::Prepare(_) | PeerMessage::Commit(_) | PeerMessage::Checkpoint(_) => {
            Some(one.clone())
        }
        _ => None,
    })
}

// Restart.

/// It comes back with its votes, and sends the very same bytes again.
#[test]
fn a_restarted_replica_sends_the_same_votes_again() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    let first = signed_votes(&prepare(&mut solo, 0, 1, &batch));
    assert_eq!(first.len(), 2);
    let mut out = solo.restart();
    assert_eq!(*solo.standing(), Standing::Voting);
    out.extend(sent_again(&mut solo, 0));
    let again = signed_votes(&out);
    assert!(first.iter().all(|one| again.contains(one)));
    assert!(again.iter().all(|one| first.contains(one)));
}

/// It never signs anything that conflicts with what it signed before the crash.
#[test]
fn a_restarted_replica_keeps_its_word() {
    let mut solo = Solo::new(1);
    let (batch, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &batch);
    let mut out = solo.restart();
    let refused = solo.propose(0, 1, &other);
    assert_eq!(refused.reject(), Some(Reject::Conflict));
    out.extend(refused);
    out.extend(solo.prepare_from(2, 0, 1, other.digest()));
    out.extend(solo.prepare_from(3, 0, 1, other.digest()));
    assert_eq!(votes_of(&out), 0);
    // The very same is welcome.
    solo.propose(0, 1, &batch);
    assert_eq!(solo.prepare_from(2, 0, 1, batch.digest()).commits().len(), 1);
}

/// The same for one that forgets nothing but had not synced: it may vote otherwise.
#[test]
fn what_was_never_on_disk_binds_nobody() {
    let mut solo = Solo::new(1);
    let (batch, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &batch);
    solo.disk = Disk::default();
    solo.restart();
    assert_eq!(solo.propose(0, 1, &other).prepares().len(), 1);
}

/// A restarted primary gives no number twice.
#[test]
fn a_restarted_primary_gives_no_number_twice() {
    let mut solo = Solo::new(0);
    let request = solo.write(0, 1);
    let first = solo.submit(&request).proposals();
    solo.restart();
    let other = solo.write(1, 1);
    let out = solo.submit(&other);
    assert!(out.proposals().iter().all(|(seq, _)| *seq > Seq(1)));
    let out = sent_again(&mut solo, 0);
    assert!(out.proposals().contains(&first[0]), "the same one again, with its batch");
}

/// It comes back in its view.
#[test]
fn a_restarted_replica_comes_back_in_its_view() {
    let mut solo = Solo::new(3);
    let digest = solo.batch(1).digest();
    let certificate = solo.prepared(0, 1, digest, &[1, 2]);
    solo.enter(1, vec![certificate]);
    let out = solo.restart();
    assert_eq!(solo.view(), 1);
    assert!(solo.replica().is_active());
    assert!(out.fetches().iter().any(|(_, one)| *one == Fetch::Batch(digest)));
    let other = solo.batch(5);
    assert_eq!(solo.propose(1, 1, &other).reject(), Some(Reject::Conflict));
}

/// Its own wish too, word for word, even if it has prepared nothing more since.
#[test]
fn a_restarted_replica_asks_for_the_same_view_in_the_same_words() {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    prepare(&mut solo, 0, 1, &batch);
    solo.wish_from(2, 1);
    let wish = solo.wish_from(1, 1).wishes();
    solo.decide(0, 1, &batch);
    solo.decide_up_to(8);
    solo.stabilise(8);
    let mut out = solo.restart();
    assert_eq!(solo.view(), 1);
    assert!(!solo.replica().is_active());
    out.extend(solo.status_from(2, 0, 0, 0));
    assert!(!out.wishes().is_empty());
    assert!(out.wishes().iter().all(|one| *one == wish[0]));
}

/// A new primary that opened a view opens it in no other way after a restart.
#[test]
fn a_restarted_primary_shows_the_same_opening() {
    let mut solo = Solo::new(1);
    solo.wish_from(0, 1);
    let opening = solo.wish_from(2, 1).openings();
    assert_eq!(opening.len(), 1);
    solo.restart();
    assert!(solo.replica().is_active());
    let mut out = solo.wish_from(3, 1);
    out.extend(solo.status_from(3, 0, 0, 0));
    assert_eq!(out.openings(), opening);
}

/// S1, S8: a crash within the write may leave the opening and cut off what it promises about
/// numbers. The log has that again before anything is said, since the opening goes from the
/// log with its view, and others may still show one of the proposals.
#[test]
fn what_an_opening_promises_is_in_the_log_though_a_crash_cut_it_off() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    solo.wish_from(0, 1);
    let opening = solo.wish_from(2, 1).openings().remove(0);
    assert_eq!(opening.body.pre_prepares.len(), 1);
    let is_promise = |record: &Record| matches!(record, Record::PrePrepare(proposal, None) if proposal.body.view == View(1));
    assert!(solo.disk.log.iter().any(is_promise));
    let end = solo.disk.log.iter().position(|record| matches!(record, Record::NewView(..)));
    solo.disk.log.truncate(end.expect("it is in the log") + 1);
    solo.restart();
    assert!(solo.disk.log.iter().any(is_promise));
}

/// A restarted replica votes for a checkpoint that was saved, in the same words.
#[test]
fn a_restarted_replica_votes_for_the_same_checkpoint() {
    let mut solo = Solo::new(1);
    let first = signed_votes(&solo.decide_up_to(8));
    let mut out = solo.restart();
    assert_eq!(solo.executed(), 8);
    out.extend(sent_again(&mut solo, 0));
    assert_eq!(signed_votes(&out), first);
}

/// A crash between saving and the vote: the vote comes after the restart.
#[test]
fn a_checkpoint_saved_and_not_voted_for_is_voted_for_after_a_restart() {
    let mut solo = Solo::new(1);
    solo.saves_at_once = false;
    let saves = solo.decide_up_to(8).saves;
    solo.disk.states.insert(saves[0].seq, saves[0].tree.clone());
    assert_eq!(solo.restart().checkpoints().len(), 1);
}

/// Compaction loses no promise: a view-change signed in the very step that moves the
/// stable checkpoint is still in the log.
#[test]
fn a_view_change_in_the_step_of_a_compaction_stays_in_the_log() {
    let parameters = Parameters { rotation: 1, ..parameters() };
    let mut solo = Solo::with(4, 3, parameters, Settings::default());
    solo.decide_up_to(8);
    let out = solo.stabilise(8);
    assert!(out.compaction.is_some());
    assert_eq!(out.wishes().len(), 1);
    let holds = |one: &Record| matches!(one, Record::ViewChange(one) if *one == out.wishes()[0]);
    assert!(solo.disk.log.iter().any(holds));
    solo.restart();
    assert_eq!(solo.view(), 1, "it remembers what it asked for");
}

/// Undecided numbers in the log are waited for as requests are.
#[test]
fn undecided_numbers_in_the_log_are_waited_for_after_a_restart() {
    for is_prepared in [false, true] {
        let mut solo = Solo::new(1);
        let batch = solo.batch(1);
        match is_prepared {
            true => prepare(&mut solo, 0, 1, &batch),
            false => solo.propose(0, 1, &batch),
        };
        solo.restart();
        let patience = solo.replica().patience();
        let out = solo.pass(patience);
        assert_eq!(out.suspicions(), [(1, Suspicion::NothingExecuted)], "{is_prepared}");
    }
}

/// Evidence is kept across restarts, once.
#[test]
fn evidence_survives_restarts_and_does_not_multiply() {
    let mut solo = Solo::new(1);
    let (one, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &one);
    solo.propose(0, 1, &other);
    for _ in 0..3 {
        let log = solo.disk.log.clone();
        let evidence = log.into_iter().filter(|one| matches!(one, Record::Evidence(_)));
        solo.disk.log.extend(evidence.take(1).collect::<Vec<_>>());
        solo.restart();
        assert_eq!(solo.replica().evidence().len(), 1);
    }
}

/// A record that rotted is refused: nothing starts from a guess.
#[test]
fn a_record_that_rotted_is_refused() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    prepare(&mut solo, 0, 1, &batch);
    for record in &solo.disk.log {
        assert!(Recalled::verify(&solo.verifier, record.clone()).is_ok());
    }
    let rotted = solo.disk.log.iter().find_map(|one| match one {
        Record::Prepare(vote) => {
            let mut vote = vote.clone();
            vote.body.digest.0[0] ^= 1;
            Some(Record::Prepare(vote))
        }
        _ => None,
    });
    let refused = Recalled::verify(&solo.verifier, rotted.expect("it has prepared")).err();
    assert_eq!(refused, Some(Reject::BadSignature));
}

fn start_error(solo: &Solo, state: Option<(Seq, quorate::service::Tree)>) -> Option<StartError> {
    let records = solo.disk.log.iter().cloned();
    let records =
        records.map(|one| Recalled::verify(&solo.verifier, one).expect("its own log")).collect();
    let origin = Origin {
        id: solo.id,
        genesis: std::sync::Arc::clone(&solo.genesis),
        settings: solo.settings,
        signer: Box::new(replica_key(solo.id.0)),
        service: std::sync::Arc::new(quorate::service::kv::KeyValue),
        nonce: Nonce(1),
        disk_was_lost: false,
    };
    let now = Now { instant: solo.now, wall: solo.wall() };
    let states = state.into_iter().collect();
    let recovered = Recovered { records, states, parts: Vec::new() };
    Replica::start(now, origin, recovered).err()
}

/// A saved state that is none, another's, or older than the log stands on is refused.
#[test]
fn a_state_that_does_not_fit_the_log_is_refused() {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let state = solo.disk.states[&Seq(8)].clone();
    assert!(start_error(&solo, Some((Seq(8), state.clone()))).is_none());
    assert!(matches!(
        start_error(&solo, Some((Seq(16), state))),
        Some(StartError::WrongState { expected: Seq(16), found: Seq(8) })
    ));
    assert!(matches!(
        start_error(&solo, None),
        Some(StartError::StateTooOld { stable: Seq(8), saved: Seq(0) })
    ));
    let nothing = quorate::service::Tree::new();
    assert!(matches!(start_error(&solo, Some((Seq(8), nothing))), Some(StartError::State(_))));
}

/// One sync serves everything that waits for it.
#[test]
fn effects_of_several_inputs_share_one_sync() {
    let mut solo = Solo::new(1);
    let batches = [solo.batch(1), solo.batch(2)];
    let now = Now { instant: solo.now, wall: solo.wall() };
    let messages = [solo.proposal(0, 1, &batches[0]), solo.proposal(0, 2, &batches[1])];
    let mut merged = Effects::default();
    for message in messages {
        let checked = solo.verifier.peer(message).expect("a good proposal");
        let input = Input::Peer { from: ReplicaId(0), message: Box::new(checked) };
        let verifier = solo.verifier.clone();
        merged.merge(solo.replica_mut().handle_checking(now, input, &verifier));
    }
    let parts = merged.into_parts();
    assert_eq!(parts.records.len(), 2);
    assert!(!parts.bound.is_empty());
    assert_eq!(parts.bound.release(&Durable::after_sync()).len(), 2);
}

/// All killed at once and started again lose nothing that a client was told.
#[test]
fn all_killed_at_once_lose_nothing_that_a_client_was_told() {
    let mut world = World::new(4);
    for number in 1..=13u64 {
        let request = world.request(0, number, number - 1, &[&put("a", &number.to_string())]);
        world.submit(&request, ReplicaId(0));
        world.deliver_all();
    }
    assert_eq!(world.replies(0, 13).len(), 4);
    let digest = world.digests()[0];
    for id in world.ids() {
        world.crash(id);
    }
    for id in world.ids() {
        world.start(id, false);
    }
    world.pass(Span::seconds(5));
    assert_eq!(world.executed(), [13; 4]);
    assert!(world.digests().iter().all(|one| *one == digest));
    assert_eq!(world.views(), [View(1); 4], "for what the primary may have forgotten");
}

// Every start.

fn starting(id: u16) -> Solo {
    let mut solo = Solo::before_start(4, id, parameters(), Settings::default());
    let _ = solo.start(false);
    solo
}

/// It asks the others, with a nonce, again and again.
#[test]
fn a_starting_replica_asks_the_others_with_a_nonce() {
    let mut solo = Solo::before_start(4, 1, parameters(), Settings::default());
    let mut out = solo.start(false);
    out.extend(solo.pass(Span::seconds(1)));
    let asked = out.pick(|one| match one {
        PeerMessage::StartQuery(nonce) => Some(*nonce),
        _ => None,
    });
    assert!(asked.len() >= 3);
    assert!(asked.iter().all(|nonce| *nonce == solo.nonce()));
}

/// It votes only after `Q` answers, its own included.
#[test]
fn a_starting_replica_votes_only_after_q_answers() {
    let mut solo = starting(1);
    let batch = solo.batch(1);
    let mut out = solo.propose(0, 1, &batch);
    out.extend(solo.prepare_from(2, 0, 1, batch.digest()));
    out.extend(solo.answer_start_from(0, Vec::new()));
    out.extend(solo.answer_start_from(0, Vec::new()));
    out.extend(solo.decide_up_to(8));
    out.extend(solo.wish_from(2, 1));
    assert_eq!(votes_of(&out), 0, "one other, twice, and itself");
    let out = solo.answer_start_from(3, Vec::new());
    assert_eq!(*solo.standing(), Standing::Voting);
    assert!(out.notices.contains(&Notice::MayVote));
    assert_eq!(out.prepares().len(), 1);
    assert_eq!(out.checkpoints().len(), 1);
}

/// A starting primary proposes nothing, and a starting backup asks for no view.
#[test]
fn a_starting_replica_neither_proposes_nor_asks_for_a_view() {
    for id in [0, 1] {
        let mut solo = starting(id);
        let request = solo.write(0, 1);
        let mut out = solo.submit(&request);
        out.extend(solo.pass(Span::seconds(10)));
        assert_eq!(votes_of(&out), 0);
    }
}

/// An answer to another question doesn't count.
#[test]
fn an_answer_with_another_nonce_does_not_count() {
    let mut solo = starting(1);
    for from in [0, 2, 3] {
        let answer = StartAnswer {
            nonce: Nonce(1),
            view: View(0),
            highest: None,
            stable: None,
            held: List(Vec::new()),
        };
        let out = solo.peer(from, PeerMessage::StartAnswer(Box::new(answer)));
        assert_eq!(out.reject(), Some(Reject::WrongNonce));
    }
    assert!(matches!(solo.standing(), Standing::Starting { .. }));
}

/// All answer at once, even those not yet allowed to vote.
#[test]
fn one_that_may_not_vote_yet_answers_others_at_once() {
    let mut solo = starting(1);
    let out = solo.peer(2, PeerMessage::StartQuery(Nonce(5)));
    let answers = out.pick(|one| match one {
        PeerMessage::StartAnswer(answer) => Some(answer.nonce),
        _ => None,
    });
    assert_eq!(answers, [Nonce(5)]);
}

/// The answer: the latest it holds of the asker's signatures, its stable checkpoint and
/// its highest certificate.
#[test]
fn an_answer_shows_the_askers_latest_signatures_and_the_highest_certificates() {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let batches = [solo.batch(9), solo.batch(10)];
    prepare(&mut solo, 0, 9, &batches[0]);
    prepare(&mut solo, 0, 10, &batches[1]);
    solo.commit_from(2, 0, 10, batches[1].digest());
    solo.commit_from(2, 0, 9, batches[0].digest());
    let wish = solo.wish(2, 4);
    solo.peer(2, PeerMessage::ViewChange(wish.clone()));
    let out = solo.peer(2, PeerMessage::StartQuery(Nonce(5)));
    let answers = out.pick(|one| match one {
        PeerMessage::StartAnswer(answer) => Some((**answer).clone()),
        _ => None,
    });
    let answer = &answers[0];
    assert_eq!(answer.stable.as_ref().map(|one| one.seq()), Some(Seq(8)));
    assert_eq!(answer.highest.as_ref().map(|one| one.seq()), Some(Seq(10)));
    let PeerMessage::Commit(latest) = solo.commit(2, 0, 10, batches[1].digest()) else {
        panic!("a commit")
    };
    let PeerMessage::Prepare(prepare) = solo.prepare(2, 0, 10, batches[1].digest()) else {
        panic!("a prepare")
    };
    assert!(answer.held.contains(&Held::Commit(latest)));
    assert!(answer.held.contains(&Held::Prepare(prepare)));
    assert!(answer.held.contains(&Held::ViewChange(wish)));
    assert_eq!(answer.held.len(), 3);
    assert_eq!(solo.verify(PeerMessage::StartAnswer(Box::new(answer.clone()))), None);
}

fn own(solo: &Solo, digest: Digest, view: u64, seq: u64) -> Vec<Held> {
    let (id, by) = (solo.id.0, first_life(solo.id.0));
    let (view, seq) = (View(view), Seq(seq));
    vec![
        Held::Prepare(solo.sign(id, Prepare { view, seq, digest, by })),
        Held::Commit(solo.sign(id, Commit { view, seq, digest, by })),
    ]
}

/// Whether a replica that has executed and made stable number 8 halts on this.
fn halts_on(held: impl Fn(&Solo) -> Held) -> bool {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let _ = solo.start(false);
    let held = held(&solo);
    let out = solo.answer_start_from(2, vec![held]);
    let halted = *solo.standing() == Standing::Halted;
    assert_eq!(halted, out.notices.contains(&Notice::RolledBack));
    halted
}

/// A signature of its own that its log lacks proves that the disk went back in time.
#[test]
fn a_signature_that_the_log_lacks_stops_the_replica() {
    let digest = Digest::of(b"once upon a time");
    assert!(halts_on(|solo| own(solo, digest, 0, 9).remove(0)), "a prepare");
    assert!(halts_on(|solo| own(solo, digest, 0, 9).remove(1)), "a commit");
    assert!(halts_on(|solo| Held::PrePrepare(
        solo.sign(1, PrePrepare { view: View(1), seq: Seq(9), digest, by: first_life(1) })
    )));
    assert!(halts_on(|solo| Held::Checkpoint(
        solo.sign(1, Checkpoint { seq: Seq(16), digest, by: first_life(1) })
    )));
    assert!(halts_on(|solo| Held::ViewChange(solo.wish(1, 1))));
    assert!(halts_on(|solo| {
        let wishes = [0, 2, 3].map(|by| solo.wish(by, 1)).to_vec();
        Held::NewView(solo.opening(1, wishes))
    }));
}

/// The log may end between a wish for a view and its opening.
#[test]
fn a_forgotten_opening_of_the_view_asked_for_last_stops_the_replica() {
    let mut solo = Solo::new(1);
    solo.submit(&solo.write(0, 1));
    solo.pass(solo.replica().patience());
    assert_eq!((solo.view(), solo.replica().is_active()), (1, false));
    let _ = solo.start(false);
    let wishes = [0, 1, 2].map(|by| solo.wish(by, 1)).to_vec();
    let opening = Held::NewView(solo.opening(1, wishes));
    solo.answer_start_from(2, vec![opening]);
    assert_eq!(*solo.standing(), Standing::Halted);
}

/// And one that the log has does not.
#[test]
fn an_opening_in_the_log_proves_nothing() {
    let mut solo = Solo::new(1);
    solo.wish_from(0, 1);
    let opening = solo.wish_from(2, 1).openings().remove(0);
    let _ = solo.start(false);
    solo.answer_start_from(2, vec![Held::NewView(opening)]);
    assert!(matches!(solo.standing(), Standing::Starting { .. }));
}

/// About a number above its stable checkpoint or a view above its own, and no other.
#[test]
fn what_is_settled_proves_nothing() {
    let digest = Digest::of(b"once upon a time");
    assert!(!halts_on(|solo| own(solo, digest, 0, 8).remove(0)));
    assert!(!halts_on(|solo| own(solo, digest, 0, 8).remove(1)));
    assert!(!halts_on(|solo| Held::Checkpoint(
        solo.sign(1, Checkpoint { seq: Seq(8), digest, by: first_life(1) })
    )));
}

/// What the log has proves nothing either.
#[test]
fn what_the_log_has_proves_nothing() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    prepare(&mut solo, 0, 1, &batch);
    let _ = solo.start(false);
    let held = own(&solo, batch.digest(), 0, 1);
    solo.answer_start_from(2, held);
    assert!(matches!(solo.standing(), Standing::Starting { .. }));
}

/// Nobody halts another by a signature of somebody else.
#[test]
fn anothers_signature_halts_nobody() {
    assert!(!halts_on(|solo| Held::ViewChange(solo.wish(2, 3))));
}

/// Its own checkpoint in a certificate that is above what its log has counts as well.
#[test]
fn its_own_signature_in_a_certificate_stops_it_too() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(8);
    let digest = solo.replica().state().digest();
    for by in [0, 2] {
        solo.checkpoint_from(by, 8, digest);
    }
    let certificate = solo.replica().stable_certificate().expect("it is stable").clone();
    solo.disk = Disk::default();
    let _ = solo.start(false);
    let answer = StartAnswer {
        nonce: solo.nonce(),
        view: View(0),
        highest: None,
        stable: Some(certificate.into_inner()),
        held: List(Vec::new()),
    };
    solo.peer(2, PeerMessage::StartAnswer(Box::new(answer)));
    assert_eq!(*solo.standing(), Standing::Halted);
}

/// It says so and stops: whatever comes, it does nothing more.
#[test]
fn a_halted_replica_does_nothing_more() {
    let mut solo = starting(1);
    let wish = Held::ViewChange(solo.wish(1, 1));
    solo.answer_start_from(2, vec![wish]);
    assert_eq!(*solo.standing(), Standing::Halted);
    let batch = solo.batch(1);
    let mut out = solo.propose(0, 1, &batch);
    out.extend(solo.answer_start());
    out.extend(solo.decide_up_to(1));
    out.extend(solo.pass(Span::seconds(10)));
    assert!(out.peers().is_empty() && out.records.is_empty());
    assert_eq!(solo.executed(), 0);
}

/// An empty directory of a replica that others have heard is refused without the
/// operator's word.
#[test]
fn an_empty_directory_is_refused_without_the_operators_word() {
    let mut world = World::new(4);
    let request = world.request(0, 1, 0, &[&put("a", "1")]);
    world.submit(&request, ReplicaId(0));
    world.deliver_all();
    world.crash(ReplicaId(3));
    world.node_mut(ReplicaId(3)).disk = Disk::default();
    world.start(ReplicaId(3), false);
    world.pass(Span::seconds(3));
    assert_eq!(*world.replica(3).standing(), Standing::Halted);
}

/// However long the answers take, a replica that restarted in a view change keeps calm.
#[test]
fn a_replica_that_restarts_in_a_view_change_waits_for_answers_in_peace() {
    let mut solo = Solo::new(3);
    solo.wish_from(0, 1);
    solo.wish_from(2, 1);
    assert_eq!(solo.view(), 1);
    let _ = solo.start(false);
    solo.wish_from(0, 1);
    solo.wish_from(2, 1);
    let out = solo.pass(Span::seconds(30));
    assert!(out.suspicions().is_empty());
    assert_eq!(solo.view(), 1);
    solo.answer_start();
    let patience = solo.replica().patience();
    assert_eq!(solo.pass(patience).suspicions().len(), 1, "now its wait counts");
}

// Lost or rolled-back disks.

/// A replica whose disk was lost, by the operator's word.
fn recovering(id: u16) -> (Solo, Nonce, Out) {
    let mut solo = Solo::before_start(4, id, parameters(), Settings::default());
    let out = solo.start(true);
    let nonce = solo.nonce();
    assert!(matches!(solo.standing(), Standing::Recovering { .. }));
    (solo, nonce, out)
}

fn order_recovery(solo: &mut Solo, seq: u64, replica: u16, nonce: u64) -> Out {
    let batch = Batch::new(solo.wall(), vec![Item::Recovery(solo.recovery(replica, nonce))]);
    let voters: Vec<Voter> =
        (0..u16::try_from(solo.quorum()).expect("few")).map(first_life).collect();
    let certificate = solo.committed(0, seq, batch.digest(), &voters);
    let out = solo.peer(solo.others()[0], PeerMessage::Decided(certificate, Some(batch)));
    assert_eq!(solo.executed(), seq, "{:?}", out.rejects());
    out
}

/// Executes and makes stable up to a checkpoint; every vote in the certificates is of
/// somebody whose life does not change.
fn advance_to(solo: &mut Solo, seq: u64) -> Out {
    let mut out = Out::default();
    while solo.executed() < seq {
        let next = solo.executed() + 1;
        let batch = solo.batch(next);
        let by: Vec<Voter> =
            solo.others().into_iter().filter(|one| *one != 3).map(first_life).collect();
        let mut voters = by;
        if solo.id.0 != 3 {
            voters.push(first_life(solo.id.0));
        }
        let certificate = solo.committed(0, next, batch.digest(), &voters);
        out.extend(solo.peer(solo.others()[0], PeerMessage::Decided(certificate, Some(batch))));
        assert_eq!(solo.executed(), next, "{:?}", out.rejects());
        if next.is_multiple_of(8) {
            let digest = solo.disk.states[&Seq(next)].digest();
            for voter in &voters {
                if voter.replica != solo.id {
                    out.extend(solo.checkpoint_from(voter.replica.0, next, digest));
                }
            }
        }
    }
    out
}

fn reborn(out: &Out) -> Vec<(u16, u64)> {
    out.notices
        .iter()
        .filter_map(|one| match one {
            Notice::Reborn(replica, incarnation) => Some((replica.0, incarnation.0)),
            _ => None,
        })
        .collect()
}

/// At which number each replica's next life began, on the way to `last`.
fn births(solo: &mut Solo, last: u64) -> Vec<(u16, u64)> {
    let mut births = Vec::new();
    while solo.executed() < last {
        let next = solo.executed() + 1;
        let out = advance_to(solo, next);
        births.extend(reborn(&out).into_iter().map(|(replica, _)| (replica, next)));
    }
    births
}

/// It asks with its key and a fresh nonce, which is on disk before it asks.
#[test]
fn a_lost_disk_is_made_good_by_an_ordered_command_with_a_fresh_nonce() {
    let (solo, nonce, out) = recovering(3);
    assert!(out.records.contains(&Record::Recovering(nonce)));
    let asked = out.pick(|one| match one {
        PeerMessage::Recovery(recovery) => Some(recovery.clone()),
        _ => None,
    });
    assert_eq!(asked, [solo.recovery(3, nonce.0)]);
    assert!(!out.free.iter().any(|one| matches!(
        one,
        quorate::replica::Outgoing::Peer(_, message) if matches!(**message, PeerMessage::Recovery(_))
    )));
}

/// A restart in between keeps the nonce, and the standing.
#[test]
fn a_recovery_goes_on_after_a_restart_under_the_same_nonce() {
    let (mut solo, nonce, _) = recovering(3);
    let out = solo.start(false);
    assert!(matches!(solo.standing(), Standing::Recovering { nonce: one, .. } if *one == nonce));
    let asked = out.pick(|one| match one {
        PeerMessage::Recovery(recovery) => Some(recovery.body.nonce),
        _ => None,
    });
    assert_eq!(asked, [nonce]);
}

/// The command, executed at `r`, takes effect at the first checkpoint `a >= r + L`.
#[test]
fn a_recovery_takes_effect_at_the_first_checkpoint_a_window_later() {
    for (r, a) in [(1, 40), (8, 40), (9, 48)] {
        let mut solo = Solo::new(1);
        advance_to(&mut solo, r - 1);
        order_recovery(&mut solo, r, 3, 77);
        if r.is_multiple_of(8) {
            solo.stabilise(r);
        }
        assert_eq!(births(&mut solo, 56), [(3, a)], "executed at {r}");
    }
}

/// It neither votes nor answers before `a` is stable; it executes and serves catch-up.
#[test]
fn a_recovering_replica_executes_and_serves_but_does_not_vote_before_a_is_stable() {
    let (mut solo, nonce, _) = recovering(3);
    let batch = solo.batch(70);
    let mut out = solo.propose(0, 2, &batch);
    out.extend(order_recovery(&mut solo, 1, 3, nonce.0));
    out.extend(advance_to(&mut solo, 39));
    out.extend(solo.wish_from(0, 1));
    out.extend(solo.wish_from(1, 1));
    assert_eq!(votes_of(&out), 0);
    assert_eq!(solo.executed(), 39);
    assert_eq!(
        solo.peer(1, PeerMessage::Fetch(Fetch::Decided(Seq(33))))
            .pick(|one| matches!(one, PeerMessage::Decided(..)).then_some(()))
            .len(),
        7
    );
    // `a` executed, and not stable: still nothing.
    let next = solo.batch(40);
    let voters = [0, 1, 2].map(first_life);
    let certificate = solo.committed(0, 40, next.digest(), &voters);
    let out = solo.peer(0, PeerMessage::Decided(certificate, Some(next)));
    assert_eq!(reborn(&out), [(3, 1)]);
    assert_eq!(out.checkpoints().len(), 0);
    assert!(matches!(solo.standing(), Standing::Recovering { .. }));
    let digest = solo.disk.states[&Seq(40)].digest();
    let mut out = Out::default();
    for by in [0, 1, 2] {
        out.extend(solo.checkpoint_from(by, 40, digest));
    }
    assert_eq!(*solo.standing(), Standing::Voting);
    assert!(out.records.contains(&Record::Recovered(Incarnation(1))));
}

fn recovered() -> Solo {
    let (mut solo, nonce, _) = recovering(3);
    order_recovery(&mut solo, 1, 3, nonce.0);
    advance_to(&mut solo, 40);
    assert_eq!(*solo.standing(), Standing::Voting);
    solo
}

/// About numbers above `a` it speaks in its new life.
#[test]
fn a_recovered_replica_speaks_in_its_new_life() {
    let mut solo = recovered();
    let batch = solo.batch(41);
    let out = prepare(&mut solo, 0, 41, &batch);
    assert_eq!(out.prepares()[0].by, life(3, 1));
    assert_eq!(out.commits()[0].by, life(3, 1));
    solo.wish_from(1, 1);
    assert_eq!(solo.wish_from(2, 1).wishes()[0].body.by, life(3, 1));
}

/// Once done, it is done: a restart asks the others and votes again.
#[test]
fn a_recovery_that_is_done_stays_done_after_a_restart() {
    let mut solo = recovered();
    for _ in 0..2 {
        let _ = solo.start(false);
        assert!(
            matches!(solo.standing(), Standing::Starting { nonce, .. } if *nonce == solo.nonce()),
            "{:?}",
            solo.standing()
        );
        solo.answer_start();
        assert_eq!(*solo.standing(), Standing::Voting);
    }
}

/// Only the effect of the command with its own nonce counts.
#[test]
fn an_earlier_recoverys_command_is_not_its_own() {
    let (mut solo, nonce, _) = recovering(3);
    order_recovery(&mut solo, 1, 3, nonce.0 + 1_000);
    let out = advance_to(&mut solo, 48);
    assert_eq!(reborn(&out), [(3, 1)]);
    assert_eq!(solo.stable(), 48);
    assert!(matches!(solo.standing(), Standing::Recovering { .. }));
    assert_eq!(votes_of(&out), 0);
}

/// About numbers above `a` only the new life counts; up to it the old one.
#[test]
fn above_a_only_the_new_life_counts_and_up_to_it_the_old() {
    let mut solo = Solo::new(1);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 16);
    let digest = solo.batch(1).digest();
    let mut verdict = |by: Voter, seq: u64| {
        let body = Commit { view: View(0), seq: Seq(seq), digest, by };
        let vote = solo.sign(3, body);
        solo.peer(3, PeerMessage::Commit(vote)).reject()
    };
    assert_eq!(verdict(life(3, 0), 40), None);
    assert_eq!(verdict(life(3, 1), 40), Some(Reject::WrongIncarnation));
    assert_eq!(verdict(life(3, 0), 41), Some(Reject::WrongIncarnation));
    assert_eq!(verdict(life(3, 1), 41), None);
    assert_eq!(verdict(life(3, 2), 42), Some(Reject::WrongIncarnation));
}

fn propose_in(solo: &mut Solo, view: u64, seq: u64, incarnation: u64) -> (PeerMessage, Out) {
    let batch = solo.batch(seq);
    propose_batch_in(solo, view, seq, incarnation, batch)
}

fn propose_batch_in(
    solo: &mut Solo,
    view: u64,
    seq: u64,
    incarnation: u64,
    batch: Batch,
) -> (PeerMessage, Out) {
    let primary = solo.primary(view);
    let by = life(primary, incarnation);
    let body = PrePrepare { view: View(view), seq: Seq(seq), digest: batch.digest(), by };
    let message = PeerMessage::Propose(solo.sign(primary, body), Some(batch));
    let mut out = solo.peer(primary, message.clone());
    out.extend(solo.tick());
    (message, out)
}

/// A primary knows in which of its lives it proposes. One that pretends to another is left at
/// once, and what it signed goes to the others, who judge it alike.
#[test]
fn a_primary_that_proposes_in_another_life_is_left_at_once() {
    let mut solo = Solo::new(1);
    let (message, out) = propose_in(&mut solo, 0, 1, 1);
    assert_eq!(out.reject(), Some(Reject::WrongIncarnation));
    assert!(out.peers().contains(&(To::Everyone, &message)), "{:?}", out.peers());
    assert_eq!(out.suspicions(), [(1, Suspicion::OtherLife)]);
}

/// Whoever turns out to be there still is shown it again; what is large, only so.
#[test]
fn who_is_still_in_the_view_of_another_life_is_shown_why_others_left() {
    for is_large in [false, true] {
        let mut solo = Solo::new(1);
        let batch = if is_large { solo.huge_batch(1) } else { solo.batch(1) };
        let (message, out) = propose_batch_in(&mut solo, 0, 1, 1, batch);
        assert_eq!(out.peers().contains(&(To::Everyone, &message)), !is_large);
        assert_eq!(out.suspicions(), [(1, Suspicion::OtherLife)]);
        let shown = |out: &Out| out.peers().contains(&(To::Peer(ReplicaId(2)), &message));
        assert!(shown(&solo.status_from(2, 0, 0, 0)));
        assert!(!shown(&solo.status_from(2, 1, 0, 0)), "it has left, too");
    }
}

/// Where a life begins within the window, each number has its own.
#[test]
fn a_primary_whose_life_begins_anew_is_left_only_for_the_wrong_one() {
    let mut solo = Solo::new(1);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 16);
    solo.enter(3, Vec::new());
    for (seq, incarnation) in [(40, 0), (41, 1)] {
        let (_, out) = propose_in(&mut solo, 3, seq, incarnation);
        assert_eq!((out.reject(), out.suspicions()), (None, vec![]), "{seq}");
    }
    let (_, out) = propose_in(&mut solo, 3, 42, 0);
    assert_eq!(out.suspicions(), [(4, Suspicion::OtherLife)]);
}

/// What an opening chose is signed anew by whoever opens, perhaps in a life that began above.
#[test]
fn in_which_life_it_proposes_again_what_was_chosen_is_held_against_nobody() {
    let mut solo = Solo::new(3);
    let prepared = solo.prepared(0, 2, solo.batch(2).digest(), &[1, 2]);
    solo.enter(1, vec![prepared]);
    let (_, out) = propose_in(&mut solo, 1, 2, 1);
    assert_eq!(out.reject(), Some(Reject::WrongIncarnation));
    assert_eq!(out.suspicions(), []);
}

/// That the words stand in the log, as in a view's opening, makes them count no more after a
/// restart than before it.
#[test]
fn a_restart_brings_no_word_of_an_old_life_back() {
    let mut solo = Solo::new(1);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 32);
    let digest = solo.batch(41).digest();
    let certificate = solo.prepared(0, 41, digest, &[2, 3]);
    solo.enter(3, vec![certificate]);
    advance_to(&mut solo, 40);
    let prepares = |out: &Out| out.prepares().iter().filter(|one| one.seq == Seq(41)).count();
    assert_eq!(solo.view(), 3);
    let mut told = sent_again(&mut solo, 3);
    told.extend(solo.restart());
    assert_eq!(solo.view(), 3);
    assert!(solo.replica().is_active());
    told.extend(sent_again(&mut solo, 3));
    let batch = solo.batch(41);
    told.extend(solo.peer(0, PeerMessage::Batch(batch)));
    assert_eq!(prepares(&told), 0, "the proposal of 41 is by the primary's old life");
    let heard = solo.replica().voices().any(|(by, seq)| by == life(3, 0) && seq == Some(Seq(41)));
    assert!(!heard);
}

/// What is remembered has a bound after a restart too: an opening in the log leaves the views
/// below it, whether or not this replica asked for it.
#[test]
fn a_restart_forgets_what_was_said_in_views_that_an_opening_left() {
    let mut solo = Solo::new(1);
    for seq in 1..=8 {
        let batch = solo.batch(seq);
        solo.propose(0, seq, &batch);
    }
    assert_eq!(solo.replica().held().promises, 8, "its prepares");
    let opening = solo.opening(2, [0, 2, 3].map(|by| solo.wish(by, 2)).to_vec());
    solo.peer(2, PeerMessage::NewView(opening, None));
    assert_eq!((solo.view(), solo.replica().held().promises), (2, 0));
    solo.restart();
    assert_eq!(*solo.standing(), Standing::Voting);
    assert_eq!((solo.view(), solo.replica().held().promises), (2, 0));
}

/// A view-change of the old life is void for whoever has executed `a`.
#[test]
fn a_view_change_of_the_old_life_is_void_after_a() {
    let mut solo = Solo::new(1);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 39);
    assert_eq!(solo.wish_from(3, 1).reject(), None, "before `a` it counts");
    assert_eq!(solo.replica().held().wishes, 1);
    advance_to(&mut solo, 40);
    assert_eq!(solo.replica().held().wishes, 0, "and is forgotten then");
    assert_eq!(solo.wish_from(3, 2).reject(), Some(Reject::WrongIncarnation));
    let wish = solo.wish_with(life(3, 1), 2, None, Vec::new());
    assert_eq!(solo.peer(3, PeerMessage::ViewChange(wish)).reject(), None);
}

/// Inside a NewView too, unless a commit certificate of that view for a number up to
/// `a`, of `Q` others, shows that the view was opened in time.
#[test]
fn a_new_view_on_a_voided_view_change_needs_a_commit_certificate_of_its_view() {
    let verdict = |shown: Option<(u64, u64, [u16; 3])>| {
        let mut solo = Solo::new(1);
        order_recovery(&mut solo, 1, 3, 77);
        advance_to(&mut solo, 40);
        let opening: Signed<NewView> =
            solo.opening(2, [0, 2, 3].map(|by| solo.wish(by, 2)).to_vec());
        let digest = solo.batch(1).digest();
        let shown = shown
            .map(|(view, seq, voters)| solo.committed(view, seq, digest, &voters.map(first_life)));
        let out = solo.peer(2, PeerMessage::NewView(opening, shown));
        assert_eq!(out.reject().is_none(), solo.view() == 2);
        out.reject()
    };
    let refused = Some(Reject::WrongIncarnation);
    assert_eq!(verdict(None), refused);
    assert_eq!(verdict(Some((2, 40, [0, 1, 2]))), None);
    assert_eq!(verdict(Some((2, 41, [0, 1, 2]))), refused, "above `a`");
    assert_eq!(verdict(Some((1, 40, [0, 1, 2]))), refused, "of another view");
    assert_eq!(verdict(Some((2, 40, [0, 2, 3]))), refused, "with the recovered one");
}

/// Whoever has such a certificate shows it beside the opening.
#[test]
fn an_opening_that_became_void_is_shown_with_its_proof() {
    let mut solo = Solo::new(1);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 32);
    let stable = solo.replica().stable_certificate().cloned().expect("stable").into_inner();
    let wishes =
        [0, 2, 3].map(|by| solo.wish_with(first_life(by), 2, Some(stable.clone()), Vec::new()));
    let opening = solo.opening(2, wishes.to_vec());
    solo.peer(2, PeerMessage::NewView(opening.clone(), None));
    assert_eq!(solo.view(), 2);
    for seq in 33..=40 {
        let batch = solo.batch(seq);
        solo.propose(2, seq, &batch);
        solo.prepare_from(0, 2, seq, batch.digest());
        for by in [0, 2] {
            solo.commit_from(by, 2, seq, batch.digest());
        }
    }
    assert_eq!(solo.executed(), 40);
    let out = solo.status_from(0, 0, 0, 40);
    let shown = out.pick(|one| match one {
        PeerMessage::NewView(one, shown) => Some((one.clone(), shown.clone())),
        _ => None,
    });
    assert_eq!(shown[0].0, opening);
    let proof = shown[0].1.as_ref().expect("with its proof");
    assert_eq!((proof.view(), proof.seq() <= Seq(40)), (View(2), true));
    assert!(proof.voters().all(|voter| voter.replica != ReplicaId(3)));
}

/// At most `f` recoveries at a time; others queue.
#[test]
fn at_most_f_recoveries_are_under_way_at_a_time() {
    let mut solo = Solo::of(7, 1);
    for (seq, replica) in [(1, 4), (2, 5), (3, 6)] {
        order_recovery(&mut solo, seq, replica, 77);
    }
    let births = births_of_seven(&mut solo, 80);
    assert_eq!(births, [(4, 40), (5, 40), (6, 72)]);
}

fn births_of_seven(solo: &mut Solo, last: u64) -> Vec<(u16, u64)> {
    let mut births = Vec::new();
    while solo.executed() < last {
        let next = solo.executed() + 1;
        let batch = solo.batch(next);
        let alive: Vec<u16> = (0..7).collect();
        let speaks = |replica: u16, seq: u64, births: &[(u16, u64)]| {
            births.iter().all(|(one, at)| *one != replica || seq <= *at)
        };
        let voters: Vec<Voter> = alive
            .iter()
            .filter(|one| **one < 4 || speaks(**one, next, &births))
            .filter(|one| !(4..7).contains(*one) || next <= 40)
            .map(|one| first_life(*one))
            .collect();
        let mut voters = voters;
        if voters.len() < 5 {
            voters.push(life(4, 1));
        }
        let certificate = solo.committed(0, next, batch.digest(), &voters);
        let out = solo.peer(0, PeerMessage::Decided(certificate, Some(batch)));
        assert_eq!(solo.executed(), next, "{:?}", out.rejects());
        births.extend(reborn(&out).into_iter().map(|(replica, _)| (replica, next)));
        if next.is_multiple_of(8) {
            let digest = solo.disk.states[&Seq(next)].digest();
            for voter in voters {
                if voter.replica != solo.id {
                    let body = Checkpoint { seq: Seq(next), digest, by: voter };
                    let vote = solo.sign(voter.replica.0, body);
                    solo.peer(voter.replica.0, PeerMessage::Checkpoint(vote));
                }
            }
            assert_eq!(solo.stable(), next);
        }
    }
    births
}

/// One per replica in a fixed number of checkpoints; incarnations only rise.
#[test]
fn recoveries_of_one_replica_keep_their_distance() {
    let mut solo = Solo::new(1);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 40);
    order_recovery(&mut solo, 41, 3, 78);
    // Its turn comes four checkpoints after the first took effect: at 72.
    assert_eq!(births(&mut solo, 112), [(3, 104)]);
}

/// The same command, ordered again, has no effect.
#[test]
fn a_recovery_command_is_carried_out_once() {
    let mut solo = Solo::new(1);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 80);
    order_recovery(&mut solo, 81, 3, 77);
    assert_eq!(births(&mut solo, 144), []);
    let recovery = solo.recovery(3, 77);
    let out = solo.peer(3, PeerMessage::Recovery(recovery));
    assert_eq!(out.reject(), Some(Reject::Duplicate));
}

/// The command is waited for under (replica, nonce).
#[test]
fn a_recovery_command_is_waited_for() {
    let mut solo = Solo::new(1);
    let recovery = solo.recovery(3, 77);
    assert_eq!(solo.peer(3, PeerMessage::Recovery(recovery.clone())).reject(), None);
    let again = solo.peer(2, PeerMessage::Recovery(recovery.clone()));
    assert_eq!(again.reject(), Some(Reject::Duplicate));
    assert_eq!(solo.replica().held().waiting, 1);
    let mut out = solo.pass(Span::milliseconds(900));
    let passed_on = |(to, one): &(To, &PeerMessage)| {
        *to == To::Peer(ReplicaId(0)) && **one == PeerMessage::Recovery(recovery.clone())
    };
    assert!(out.peers().iter().any(passed_on));
    out.extend(solo.pass(Span::seconds(1)));
    assert_eq!(out.suspicions(), [(1, Suspicion::NothingExecuted)]);
}

/// And proposed by the primary like a request.
#[test]
fn a_recovery_command_is_proposed() {
    let mut solo = Solo::new(0);
    let recovery = solo.recovery(3, 77);
    let out = solo.peer(3, PeerMessage::Recovery(recovery.clone()));
    assert_eq!(out.proposals()[0].1.items(), [Item::Recovery(recovery)]);
}

/// A replica with an intact log that executes an old command of its own takes on the
/// new life at `a`, and keeps its votes.
#[test]
fn an_intact_replica_takes_on_the_new_life_at_a_and_keeps_its_votes() {
    let mut solo = Solo::new(3);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 32);
    let (below, above) = (solo.batch(38), solo.batch(41));
    let out = prepare(&mut solo, 0, 38, &below);
    assert_eq!(out.commits()[0].by, life(3, 0));
    let out = prepare(&mut solo, 0, 41, &above);
    assert_eq!(out.commits()[0].by, life(3, 1));
    advance_to(&mut solo, 40);
    assert_eq!(*solo.standing(), Standing::Voting);
    assert_eq!(solo.replica().held().prepared, 1);
    // What it promised about 41 it keeps.
    let other = solo.batch(99);
    assert_eq!(solo.propose(0, 41, &other).reject(), Some(Reject::Conflict));
    solo.wish_from(1, 1);
    let wish = solo.wish_from(2, 1).wishes().remove(0);
    assert_eq!(wish.body.by, life(3, 1));
    assert_eq!(wish.body.prepared.len(), 1);
}

/// One that is changing views when its new life begins asks again, in the new life.
#[test]
fn a_new_life_that_begins_in_a_view_change_asks_again() {
    let mut solo = Solo::new(3);
    order_recovery(&mut solo, 1, 3, 77);
    advance_to(&mut solo, 39);
    solo.wish_from(1, 1);
    assert_eq!(solo.wish_from(2, 1).wishes()[0].body.by, life(3, 0));
    let mut out = advance_to(&mut solo, 40);
    out.extend(solo.status_from(0, 0, 0, 0));
    let asked: Vec<Voter> = out.wishes().iter().map(|one| one.body.by).collect();
    assert!(asked.contains(&life(3, 1)), "{asked:?}");
}

/// The whole way, in a cluster: the wiped replica comes back and votes.
#[test]
fn a_wiped_replica_recovers_in_a_running_cluster() {
    let mut world = World::new(4);
    for number in 1..=13u64 {
        let request = world.request(0, number, number - 1, &[&put("a", &number.to_string())]);
        world.submit(&request, ReplicaId(0));
        world.deliver_all();
    }
    world.crash(ReplicaId(3));
    world.node_mut(ReplicaId(3)).disk = Disk::default();
    world.start(ReplicaId(3), true);
    world.pass(Span::seconds(10));
    assert_eq!(*world.replica(3).standing(), Standing::Voting);
    assert_eq!(world.views(), [View(0); 4]);
    // It is needed now, and is there.
    world.crash(ReplicaId(2));
    let request = world.request(0, 14, 13, &[&put("a", "14")]);
    world.submit(&request, ReplicaId(0));
    world.deliver_all();
    assert_eq!(world.replies(0, 14).len(), 3);
}

// Catch-up.

/// Within the log: decided entries with their commit certificates.
#[test]
fn within_the_log_entries_are_served_with_their_certificates() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(5);
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::Decided(Seq(3))));
    let served = out.pick(|one| match one {
        PeerMessage::Decided(certificate, Some(_)) => Some(certificate.seq()),
        _ => None,
    });
    assert_eq!(served, [Seq(3), Seq(4), Seq(5)]);
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::Decided(Seq(6))));
    assert_eq!(out.reject(), Some(Reject::NotHere));
}

/// Below it: the stable checkpoint's certificate, and then its state.
#[test]
fn below_the_log_the_certificate_is_served() {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::Decided(Seq(3))));
    assert_eq!(out.pick(|one| matches!(one, PeerMessage::Stable(_)).then_some(())).len(), 1);
    let path = quorate::service::tree::Path::root();
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::Part(Seq(8), path.clone(), None, 1 << 18)));
    assert_eq!(out.pick(|one| matches!(one, PeerMessage::Part(..)).then_some(())).len(), 1);
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::Part(Seq(16), path, None, 1 << 18)));
    assert_eq!(out.pick(|one| matches!(one, PeerMessage::NoState(_)).then_some(())).len(), 1);
}

/// One that is left behind fetches what was decided, and executes it.
#[test]
fn one_that_is_behind_asks_for_what_was_decided() {
    let mut solo = Solo::new(1);
    solo.status_from(2, 0, 0, 3);
    let out = solo.pass(Span::seconds(1));
    assert!(out.fetches().contains(&(To::Peer(ReplicaId(2)), Fetch::Decided(Seq(1)))));
    assert_eq!(solo.decide_up_to(3).executed(), [1, 2, 3]);
}

/// A state fetched part by part becomes its own; it is stable and voted for once it is
/// on disk.
#[test]
fn a_fetched_state_becomes_its_own() {
    let mut behind = Behind::new(1);
    let out = behind.finish();
    assert!(out.notices.contains(&Notice::TransferDone(Seq(40))));
    assert_eq!((behind.solo.executed(), behind.solo.stable()), (40, 40));
    let batch = behind.solo.batch(41);
    assert_eq!(behind.solo.decide(0, 41, &batch).executed(), [41]);
}

/// The others go on while it fetches, further than its window: what it has fetched is stable
/// all the same. Else it might follow them for ever.
#[test]
fn a_fetched_state_is_stable_though_a_later_one_is_certified() {
    let mut behind = Behind::new(1);
    let later = behind.solo.certified(80, Digest::of(b"later"));
    let from = behind.solo.others()[0];
    behind.solo.peer(from, PeerMessage::Stable(later));
    let mut out = Out::default();
    while !out.notices.contains(&Notice::TransferDone(Seq(40))) {
        let (from, path) = behind.asked.pop().expect("parts are asked for");
        let part = behind.part(&path);
        let one = behind.solo.peer(from, part);
        behind.asked.extend(parts_asked(&one));
        out.extend(one);
    }
    assert_eq!((behind.solo.executed(), behind.solo.stable()), (40, 40));
}

/// A wrong part is refused on arrival and fetched elsewhere.
#[test]
fn a_wrong_part_is_fetched_elsewhere() {
    let mut behind = Behind::new(1);
    let (from, path) = behind.asked.remove(0);
    let wrong = behind.solo.replica().state().tree().part(&path, 1 << 10).expect("a root");
    let out = behind.solo.peer(from, PeerMessage::Part(Seq(40), path.clone(), wrong));
    assert_eq!(out.reject(), Some(Reject::WrongPart));
    let again = parts_asked(&out);
    assert!(again.iter().any(|(to, one)| *one == path && *to != from), "{again:?}");
    behind.asked.extend(again);
    behind.finish();
    assert_eq!(behind.solo.executed(), 40);
}

/// A part that was not asked for, or is of another checkpoint, is not taken.
#[test]
fn a_part_that_nobody_asked_for_is_refused() {
    let mut behind = Behind::new(1);
    let (from, path) = behind.asked[0].clone();
    let PeerMessage::Part(_, path, part) = behind.part(&path) else { panic!("a part") };
    let older = PeerMessage::Part(Seq(32), path.clone(), part.clone());
    assert_eq!(behind.solo.peer(from, older).reject(), Some(Reject::Unrequested));
    let right = PeerMessage::Part(Seq(40), path, part);
    assert_eq!(behind.solo.peer(from, right.clone()).reject(), None);
    assert_eq!(behind.solo.peer(from, right).reject(), Some(Reject::Unrequested), "again");
}

/// A source that does not answer is passed over after a while.
#[test]
fn a_silent_source_is_passed_over() {
    let mut behind = Behind::new(1);
    let (from, path) = behind.asked[0].clone();
    let out = behind.solo.pass(behind.solo.settings.fetch_timeout.times(2));
    assert!(parts_asked(&out).iter().any(|(to, one)| *one == path && *to != from));
}

/// Old state is never fetched: nothing goes below what is executed.
#[test]
fn a_certificate_of_an_older_state_is_no_news() {
    let mut solo = Solo::new(1);
    solo.advance_to(16);
    let old = solo.certified(8, Digest::of(b"old"));
    let out = solo.peer(2, PeerMessage::Stable(old));
    assert_eq!(out.reject(), Some(Reject::OldCertificate));
    assert!(!solo.replica().is_in_transfer());
    assert_eq!(solo.executed(), 16);
}

/// Progress survives a restart: what was fetched is on disk and isn't fetched again.
#[test]
fn parts_that_were_fetched_survive_a_restart() {
    let mut behind = Behind::new(1);
    let (from, root) = behind.asked.remove(0);
    let part = behind.part(&root);
    let asked = parts_asked(&behind.solo.peer(from, part));
    assert!(asked.len() > 1, "the state is more than one part");
    let (from, path) = asked[0].clone();
    let part = behind.part(&path);
    behind.solo.peer(from, part);
    assert!(behind.solo.replica().is_in_transfer());
    behind.solo.restart();
    let source = behind.solo.others()[0];
    behind.solo.status_from(source, 0, 40, 40);
    behind.solo.pass(Span::seconds(2));
    let out = behind.solo.peer(source, PeerMessage::Stable(behind.certificate.clone()));
    assert!(out.notices.contains(&Notice::TransferBegan(Seq(40))));
    let asked = parts_asked(&out);
    assert!(!asked.is_empty());
    assert!(!asked.iter().any(|(_, one)| *one == root || *one == path));
    behind.asked = asked;
    behind.finish();
    assert_eq!(behind.solo.executed(), 40);
}

/// Parts are fetched from several replicas at once.
#[test]
fn parts_are_fetched_from_several_replicas_at_once() {
    let mut behind = Behind::new(1);
    let (from, root) = behind.asked.remove(0);
    let part = behind.part(&root);
    let asked = parts_asked(&behind.solo.peer(from, part));
    let sources: std::collections::BTreeSet<u16> = asked.iter().map(|(to, _)| *to).collect();
    assert!(sources.len() > 1, "{asked:?}");
}

/// Only the parts that differ are fetched.
#[test]
fn only_the_parts_that_differ_are_fetched() {
    let mut whole = Behind::new(1);
    let all = whole.finish();
    let mut part = Behind::with_a_start(1, 32);
    let some = part.finish();
    assert!(parts_asked(&some).len() < parts_asked(&all).len());
}

/// A decided entry outside the window, or with a life that does not count, is refused.
#[test]
fn decided_entries_are_judged_by_window_and_lives() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    assert_eq!(solo.decide(0, 33, &batch).reject(), Some(Reject::AboveWindow));
    let voters = [life(0, 0), life(2, 1), life(3, 0)];
    let certificate = solo.committed(0, 1, batch.digest(), &voters);
    let out = solo.peer(2, PeerMessage::Decided(certificate, Some(batch.clone())));
    assert_eq!(out.reject(), Some(Reject::WrongIncarnation));
    solo.decide(0, 1, &batch);
    assert_eq!(solo.decide(0, 1, &batch).reject(), Some(Reject::Duplicate));
}

/// The entries up to max-s that lay above the window when the view was entered are
/// voted for once the window has moved there.
#[test]
fn what_was_chosen_above_the_window_is_voted_for_when_the_window_gets_there() {
    let mut solo = Solo::new(3);
    solo.decide_up_to(8);
    let digest = solo.disk.states[&Seq(8)].digest();
    let certificate = solo.certified(8, digest);
    solo.saves_at_once = false;
    let batch = solo.batch(36);
    let prepared = solo.prepared(0, 36, batch.digest(), &[1, 2]);
    // This replica's `h` is 0 still: it has not saved its state.
    let mut behind = Solo::new(3);
    behind.saves_at_once = false;
    let saves = behind.decide_up_to(8).saves;
    let one = behind.wish_with(first_life(0), 1, Some(certificate.clone()), vec![prepared]);
    let mut wishes = vec![one];
    wishes.extend(
        [1, 2].map(|by| behind.wish_with(first_life(by), 1, Some(certificate.clone()), vec![])),
    );
    let opening = behind.opening(1, wishes);
    let mut out = behind.peer(1, PeerMessage::NewView(opening, None));
    assert_eq!(behind.stable(), 0);
    out.extend(behind.saved(saves[0].clone()));
    assert_eq!(behind.stable(), 8);
    out.extend(behind.peer(0, PeerMessage::Batch(batch)));
    let voted: Vec<u64> = out.prepares().iter().map(|vote| vote.seq.0).collect();
    assert!(voted.contains(&33) && voted.contains(&36), "{voted:?}");
}

/// K8, S10b: an opening that rests on the word of an old life chooses what that one knew of. In
/// its new life it may have voted since, and what it voted for may have been decided and told:
/// that the opening lacks it means nothing to who reads.
#[test]
fn what_an_opening_of_an_old_life_left_out_is_waited_for_by_who_reads() {
    for restarts in [false, true] {
        for (incarnation, is_answered) in [(0, false), (1, true)] {
            let mut solo = Solo::new(1);
            order_recovery(&mut solo, 1, 3, 77);
            advance_to(&mut solo, 39);
            // 41 is above `a` = 40: committed to in view 0, with the new life of 3.
            let digest = solo.batch(41).digest();
            solo.propose(0, 41, &solo.batch(41));
            let body = Prepare { view: View(0), seq: Seq(41), digest, by: life(3, 1) };
            let out = solo.peer(3, PeerMessage::Prepare(solo.sign(3, body)));
            assert_eq!(out.commits().len(), 1);
            let stable = solo.replica().stable_certificate().cloned().expect("some").into_inner();
            let wishes = [first_life(0), first_life(2), life(3, incarnation)]
                .map(|by| solo.wish_with(by, 2, Some(stable.clone()), Vec::new()));
            let opening = solo.opening(2, wishes.to_vec());
            assert_eq!(solo.peer(2, PeerMessage::NewView(opening, None)).reject(), None);
            assert_eq!(solo.view(), 2);
            if restarts {
                solo.restart();
                for seq in 33..=39 {
                    let batch = solo.batch(seq);
                    let by = [0, 1, 2].map(first_life);
                    let certificate = solo.committed(0, seq, batch.digest(), &by);
                    solo.peer(0, PeerMessage::Decided(certificate, Some(batch)));
                }
            }
            advance_to(&mut solo, 40);
            assert_eq!(solo.executed(), 40);
            let read = ClientMessage::Read(RequestNumber(1), Blob::from(get("k0")));
            let out = solo.client(0, read);
            assert_eq!(!out.to_clients().is_empty(), is_answered, "{restarts} {incarnation}");
        }
    }
}
