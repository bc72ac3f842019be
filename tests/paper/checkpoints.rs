//! § Checkpoints and garbage.

use crate::support::{Behind, Out, Solo, first_life, put};
use crate::world::parameters;
use quorate::message::{Batch, Evidence, Fetch, Item, Parameters, PeerMessage, Reject, Verified};
use quorate::replica::{Notice, Record, Settings, Suspicion};
use quorate::types::{Digest, Seq, Span, Timestamp};

fn unsaved(id: u16) -> Solo {
    let mut solo = Solo::new(id);
    solo.saves_at_once = false;
    solo
}

/// A vote leaves only once the state can be restored from its own disk.
#[test]
fn a_checkpoint_is_signed_only_once_the_state_is_on_disk() {
    let mut solo = unsaved(1);
    let out = solo.decide_up_to(8);
    assert!(out.checkpoints().is_empty());
    assert_eq!(out.saves.len(), 1);
    assert!(solo.pass(Span::seconds(3)).checkpoints().is_empty());
    let out = solo.saved(out.saves[0].clone());
    assert_eq!(out.checkpoints().len(), 1);
    assert_eq!(out.checkpoints()[0].digest, solo.replica().state().digest());
}

/// And the vote is recorded first.
#[test]
fn a_checkpoint_waits_for_the_sync_of_its_record() {
    let mut solo = unsaved(1);
    let saves = solo.decide_up_to(8).saves;
    let out = solo.saved(saves[0].clone());
    assert!(!out.leaks_promises());
    let vote = out.checkpoints()[0];
    assert!(
        out.records.iter().any(|one| matches!(one, Record::Checkpoint(one) if one.body == vote))
    );
}

/// At every multiple of `K`, and only there.
#[test]
fn a_checkpoint_is_taken_at_every_multiple_of_k() {
    let mut solo = Solo::new(1);
    let out = solo.decide_up_to(26);
    let numbers: Vec<u64> = out.checkpoints().iter().map(|vote| vote.seq.0).collect();
    assert_eq!(numbers, [8, 16, 24]);
    let vote = solo.checkpoint(2, 12, Digest::of(b""));
    assert_eq!(solo.verify(vote), Some(Reject::OutOfRange));
}

/// `Q` alike make it stable; one fewer does not.
#[test]
fn one_checkpoint_under_the_quorum_is_not_stable() {
    for replicas in [4, 5, 6, 7] {
        let mut solo = Solo::of(replicas, 1);
        solo.decide_up_to(8);
        let digest = solo.replica().state().digest();
        let others = solo.others();
        let needed = solo.quorum() - 1;
        for by in &others[..needed - 1] {
            solo.checkpoint_from(*by, 8, digest);
        }
        assert_eq!(solo.stable(), 0);
        let again = solo.checkpoint_from(others[0], 8, digest);
        assert_eq!(again.reject(), Some(Reject::Duplicate));
        assert_eq!(solo.stable(), 0);
        solo.checkpoint_from(others[needed - 1], 8, digest);
        assert_eq!(solo.stable(), 8, "{replicas}");
    }
}

/// Alike: another digest doesn't count, and is no evidence against anybody.
#[test]
fn differing_checkpoints_are_no_evidence_of_a_lie() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(8);
    let digest = solo.replica().state().digest();
    solo.checkpoint_from(0, 8, digest);
    let out = solo.checkpoint_from(2, 8, Digest::of(b"another"));
    assert!(out.evidence().is_empty());
    assert!(solo.replica().evidence().is_empty());
    assert_eq!(solo.stable(), 0);
    solo.checkpoint_from(3, 8, digest);
    assert_eq!(solo.stable(), 8);
}

/// It never signs a second digest for one number: whoever does is convicted.
#[test]
fn two_digests_of_one_replica_for_one_number_are_evidence() {
    let mut solo = Solo::new(1);
    solo.checkpoint_from(2, 8, Digest::of(b"one"));
    let out = solo.checkpoint_from(2, 8, Digest::of(b"other"));
    assert!(matches!(out.evidence()[..], [Evidence::Checkpoint(..)]));
}

/// It never signs a second digest for one number, across a restart on another state.
#[test]
fn no_second_digest_is_signed_for_one_number_after_a_restart() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(8);
    // The state never became stable, and is lost; what comes then is another.
    solo.disk.states.clear();
    solo.restart();
    assert_eq!(solo.executed(), 0);
    let mut out = Out::default();
    for seq in 1..=8 {
        let batch = Batch::new(solo.wall(), vec![Item::Request(solo.write(2, seq))]);
        out.extend(solo.decide(0, seq, &batch));
    }
    assert_eq!(solo.executed(), 8);
    out.extend(solo.pass(Span::seconds(3)));
    assert!(out.checkpoints().is_empty());
}

/// `h` moves only when state and certificate are both there.
#[test]
fn the_log_goes_only_when_the_state_is_durable() {
    let mut solo = unsaved(1);
    let saves = solo.decide_up_to(8).saves;
    let digest = solo.replica().state().digest();
    let certificate = solo.certified(8, digest);
    let out = solo.peer(2, PeerMessage::Stable(certificate));
    assert_eq!(solo.stable(), 0);
    assert!(out.compaction.is_none());
    let out = solo.saved(saves[0].clone());
    assert_eq!(solo.stable(), 8);
    let compaction = out.compaction.expect("the log may go");
    assert_eq!(compaction.below, Seq(8));
    assert!(
        compaction.head.iter().any(|one| matches!(one, Record::Stable(one) if one.seq() == Seq(8)))
    );
}

/// `L >= 2K`.
#[test]
fn the_window_holds_two_checkpoint_intervals() {
    let with = |window| Parameters { checkpoint_interval: 8, window, ..parameters() };
    assert!(with(16).check().is_ok());
    assert!(with(15).check().is_err());
}

/// Checkpoints outside the window are refused at either end.
#[test]
fn checkpoints_outside_the_window_are_refused() {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let digest = Digest::of(b"");
    assert_eq!(solo.checkpoint_from(2, 8, digest).reject(), Some(Reject::BelowWindow));
    assert_eq!(solo.checkpoint_from(2, 40, digest).reject(), None);
    assert_eq!(solo.checkpoint_from(2, 48, digest).reject(), Some(Reject::AboveWindow));
}

/// What lies at or below `h` is forgotten.
#[test]
fn what_the_checkpoint_settles_is_forgotten() {
    let mut solo = Solo::new(1);
    let mut requests = Vec::new();
    for seq in 1..=9 {
        let batch = solo.batch(seq);
        solo.propose(0, seq, &batch);
        solo.prepare_from(2, 0, seq, batch.digest());
        solo.commit_from(2, 0, seq, batch.digest());
        solo.commit_from(3, 0, seq, batch.digest());
        requests.push(batch);
    }
    assert_eq!(solo.executed(), 9);
    solo.stabilise(8);
    let held = solo.replica().held();
    assert_eq!((held.slots, held.prepared, held.decided, held.bodies), (1, 1, 1, 1));
    let old = solo.disk.log.iter().filter_map(Record::seq).filter(|seq| seq.0 <= 8).count();
    assert_eq!(old, 0);
}

/// A replica whose digest differs from a stable one says so, stops executing and voting
/// on checkpoints, and replaces its state by transfer.
#[test]
fn a_replica_that_has_diverged_stops_and_repairs_itself() {
    let mut donor = Solo::new(2);
    donor.advance_to(8);
    let mut solo = Solo::new(1);
    solo.decide_up_to(7);
    let odd = Batch::new(solo.wall(), vec![Item::Request(solo.write(2, 1))]);
    solo.decide(0, 8, &odd);
    let certified = donor.disk.states[&Seq(8)].digest();
    let own = solo.replica().state().digest();
    assert_ne!(certified, own);
    let certificate = solo.certified(8, certified);
    let mut out = solo.peer(2, PeerMessage::Stable(certificate));
    assert!(out.notices.contains(&Notice::Diverged { seq: Seq(8), certified, own }));
    assert!(solo.replica().is_diverged());
    assert!(solo.replica().is_in_transfer());
    assert_eq!(solo.stable(), 0);
    // It neither executes nor votes on checkpoints.
    let mut stopped = Out::default();
    for seq in 9..=16 {
        let batch = solo.batch(seq);
        stopped.extend(solo.decide(0, seq, &batch));
    }
    assert!(stopped.executed().is_empty());
    assert!(stopped.checkpoints().is_empty());
    // It fetches the true state, goes on, and votes again.
    let mut asked = crate::support::parts_asked(&out);
    while let Some((from, path)) = asked.pop() {
        let part = donor.disk.states[&Seq(8)].part(&path, 1 << 18).expect("it has it");
        let one = solo.peer(from, PeerMessage::Part(Seq(8), path, part));
        asked.extend(crate::support::parts_asked(&one));
        out.extend(one);
    }
    assert!(!solo.replica().is_diverged());
    assert_eq!(solo.stable(), 8);
    assert_eq!(solo.executed(), 16);
    assert_eq!(out.checkpoints().iter().map(|vote| vote.seq.0).collect::<Vec<_>>(), [16]);
}

/// Two replicas with the same history have the same digest; one that fetched the state
/// has it too: nothing of a local layout is in it.
#[test]
fn the_digest_holds_nothing_local() {
    let mut one = Solo::new(1);
    let mut other = Solo::new(2);
    one.advance_to(8);
    other.saves_at_once = false;
    other.decide_up_to(8);
    assert_eq!(one.replica().state().digest(), other.replica().state().digest());
    let mut behind = Behind::new(3);
    behind.finish();
    assert_eq!(behind.solo.replica().state().digest(), behind.donor.disk.states[&Seq(40)].digest());
}

/// The digest at the checkpoint after these batches.
fn digest_after(batches: impl Fn(&Solo, u64) -> Batch) -> Digest {
    let mut solo = Solo::new(1);
    for seq in 1..=8 {
        let batch = batches(&solo, seq);
        solo.decide(0, seq, &batch);
    }
    solo.disk.states[&Seq(8)].digest()
}

/// The digest covers data, sessions, agreed time, the chain of batches, and what is
/// pending: each changes it alone.
#[test]
fn the_digest_covers_data_sessions_time_chain_and_what_is_pending() {
    let base = 1_700_000_000_000_000;
    let plain = |solo: &Solo, seq: u64| solo.request(0, seq, seq - 1, &[&put("a", "b")]);
    let with = |solo: &Solo, seq: u64, time: u64| {
        Batch::new(Timestamp(base + time), vec![Item::Request(plain(solo, seq))])
    };
    let all = [
        digest_after(|solo, seq| with(solo, seq, 9)),
        digest_after(|solo, seq| with(solo, seq, if seq == 8 { 10 } else { 9 })),
        // The same at the end, on another way there.
        digest_after(|solo, seq| with(solo, seq, if seq == 3 { 8 } else { 9 })),
        // Another value.
        digest_after(|solo, seq| match seq {
            8 => Batch::new(
                Timestamp(base + 9),
                vec![Item::Request(solo.request(0, 8, 7, &[&put("a", "c")]))],
            ),
            _ => with(solo, seq, 9),
        }),
        // Less acknowledged.
        digest_after(|solo, seq| match seq {
            8 => Batch::new(
                Timestamp(base + 9),
                vec![Item::Request(solo.request(0, 8, 6, &[&put("a", "b")]))],
            ),
            _ => with(solo, seq, 9),
        }),
        // A recovery that is pending, and one with another nonce.
        digest_after(|solo, seq| match seq {
            8 => Batch::new(Timestamp(base + 9), vec![Item::Recovery(solo.recovery(3, 1))]),
            _ => with(solo, seq, 9),
        }),
        digest_after(|solo, seq| match seq {
            8 => Batch::new(Timestamp(base + 9), vec![Item::Recovery(solo.recovery(3, 2))]),
            _ => with(solo, seq, 9),
        }),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(!all[..index].contains(one), "{index}");
    }
}

/// The configuration is in it: parameters that differ give other digests.
#[test]
fn the_digest_covers_the_configuration() {
    let after = |parameters: Parameters| {
        let mut solo = Solo::with(4, 1, parameters, Settings::default());
        solo.decide_up_to(8);
        assert_eq!(solo.replica().agreed().parameters, parameters);
        solo.replica().state().digest()
    };
    let one = after(parameters());
    assert_eq!(one, after(parameters()));
    assert_ne!(one, after(Parameters { client_window: 511, ..parameters() }));
}

fn with_a_recovery_pending(id: u16) -> Solo {
    let mut solo = Solo::new(id);
    let batch = Batch::new(solo.wall(), vec![Item::Recovery(solo.recovery(3, 1))]);
    solo.decide(0, 1, &batch);
    solo
}

/// While something waits for a checkpoint, the primary proposes fill-ups at a bounded
/// rate.
#[test]
fn the_primary_proposes_fill_ups_at_a_bounded_rate_while_a_recovery_waits() {
    let mut solo = with_a_recovery_pending(0);
    let interval = solo.settings.fill_up_interval;
    let out = solo.pass(Span(interval.0 * 4));
    let proposals = out.proposals();
    assert!((3..=5).contains(&proposals.len()), "{}", proposals.len());
    assert!(proposals.iter().all(|(_, batch)| batch.is_fill_up()));
}

/// Backups wait for that as for a request.
#[test]
fn backups_wait_for_numbers_that_must_not_stand_still() {
    let mut solo = with_a_recovery_pending(1);
    let patience = solo.replica().patience();
    assert!(solo.pass(Span(patience.0 - 1)).suspicions().is_empty());
    assert_eq!(solo.pass(Span(1)).suspicions(), [(1, Suspicion::NothingExecuted)]);
}

/// And tell what they lack as often: a proposal that they missed is sent again before they
/// suspect whoever proposed it.
#[test]
fn who_waits_for_numbers_is_not_idle() {
    let mut solo = with_a_recovery_pending(1);
    let (patience, interval) = (solo.replica().patience(), solo.settings.status_interval);
    let statuses = (1..patience.0 / interval.0).filter(|_| {
        let out = solo.pass(interval);
        out.peers().iter().any(|(_, one)| matches!(one, PeerMessage::Status(_)))
    });
    assert_eq!(statuses.count() as u64, patience.0 / interval.0 - 1);
}

/// An idle cluster that owes nothing is silent but for status.
#[test]
fn an_idle_replica_is_silent_but_for_status() {
    for id in [0, 1] {
        let mut solo = Solo::new(id);
        solo.advance_to(8);
        solo.pass(Span::seconds(1));
        let out = solo.pass(Span::seconds(20));
        assert!(!out.peers().is_empty());
        assert!(out.peers().iter().all(|(_, one)| matches!(one, PeerMessage::Status(_))));
        assert!(out.records.is_empty());
    }
}

/// The certificate of the stable checkpoint is there, and verifies.
#[test]
fn every_stable_checkpoint_has_its_certificate() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(8);
    let digest = solo.replica().state().digest();
    for by in [0, 2] {
        solo.checkpoint_from(by, 8, digest);
    }
    let certificate = solo.replica().stable_certificate().cloned().map(Verified::into_inner);
    let certificate = certificate.expect("it is stable");
    assert_eq!(certificate.voters().count(), solo.quorum());
    assert!(certificate.voters().any(|voter| voter == first_life(1)), "its own among them");
    assert!(solo.verifier.certificate(certificate).is_ok());
}

/// Whoever asks for a certificate above a number gets one, if there is one.
#[test]
fn a_stable_checkpoint_is_told_to_whoever_asks() {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::Stable(Seq(7))));
    assert_eq!(out.pick(|one| matches!(one, PeerMessage::Stable(_)).then_some(())).len(), 1);
    let out = solo.peer(2, PeerMessage::Fetch(Fetch::Stable(Seq(8))));
    assert_eq!(out.reject(), Some(Reject::NotHere));
}
