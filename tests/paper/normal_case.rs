//! § Normal case.

use crate::support::{Out, Solo, first_life, put};
use crate::world::{World, parameters};
use quorate::message::batch::NULL;
use quorate::message::{
    Batch, Evidence, Fetch, Item, Parameters, PeerMessage, PrePrepare, Reject, ReplyOutcome, Signed,
};
use quorate::replica::{Record, Settings, To};
use quorate::types::{ReplicaId, RequestNumber, Seq, Span, Timestamp, View};

fn is_prepared_here(out: &Out) -> bool {
    out.prepares().len() == 1
}

/// 1: a backup that gets a request forwards it to the primary and starts waiting for it.
#[test]
fn a_backup_forwards_a_request_to_the_primary_and_waits_for_it() {
    let mut solo = Solo::new(1);
    let request = solo.write(0, 1);
    let out = solo.submit(&request);
    assert_eq!(out.relays(), [(To::Peer(ReplicaId(0)), request)]);
    assert_eq!(solo.replica().waits_for(), 1);
    assert_eq!(solo.replica().held().waiting, 1);
}

/// 2: the primary proposes a lone request at once; no timer delays it.
#[test]
fn the_primary_proposes_a_lone_request_at_once() {
    let mut solo = Solo::new(0);
    let request = solo.write(0, 1);
    let out = solo.submit(&request);
    let proposals = out.proposals();
    assert_eq!(proposals.len(), 1);
    assert_eq!(proposals[0].0, Seq(1));
    assert_eq!(proposals[0].1.items(), [Item::Request(request)]);
}

/// 2: at most the pipeline's depth is in flight; what comes then gathers in one batch.
#[test]
fn past_the_pipelines_depth_requests_gather() {
    let mut solo = Solo::new(0);
    let depth = solo.settings.pipeline;
    let mut out = Out::default();
    for number in 1..=depth + 3 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        out.extend(solo.submit(&request));
    }
    assert_eq!(out.proposals().len() as u64, depth);
    let batch = out.proposals()[0].1.clone();
    let out = solo.decide(0, 1, &batch);
    assert_eq!(out.executed(), [1]);
    let later = out.proposals();
    assert_eq!(later.len(), 1, "one place is free");
    assert_eq!(later[0].1.items().len(), 3, "and all three take it");
}

/// 2: and at most as many bytes as one batch may have, or little more.
#[test]
fn past_the_bytes_of_one_batch_requests_gather() {
    let parameters = Parameters { batch_bytes: 9_000, bundle_bytes: 2_000, ..parameters() };
    let mut solo = Solo::with(4, 0, parameters, Settings::default());
    let mut out = Out::default();
    for number in 1..=7 {
        let request = solo.request(0, number, 0, &[&put("a", &"b".repeat(1_900))]);
        out.extend(solo.submit(&request));
    }
    assert_eq!(out.proposals().len(), 5, "the fifth began below the bound");
    let batch = out.proposals()[0].1.clone();
    let out = solo.decide(0, 1, &batch);
    assert_eq!(out.proposals().len(), 1, "another place is free");
    assert_eq!(out.proposals()[0].1.items().len(), 2);
}

/// 2: beside the eager ones, a batch waits until there is enough for it.
#[test]
fn a_small_batch_waits_for_one_of_those_under_way() {
    let settings = Settings { pipeline: 8, eager: 1, ..Settings::default() };
    let mut solo = Solo::with(4, 0, parameters(), settings);
    let mut out = Out::default();
    for number in 1..=3 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        out.extend(solo.submit(&request));
    }
    assert_eq!(out.proposals().len(), 1, "the first goes at once, alone as it is");
    let first = out.proposals()[0].1.clone();
    let out = solo.decide(0, 1, &first);
    assert_eq!(out.proposals().len(), 1, "and when it is done, all that came since");
    assert_eq!(out.proposals()[0].1.items().len(), 2);
}

/// A primary that took so long to have one request decided, while two others came.
fn after_an_agreement(took: Span, gathering: Span) -> Solo {
    let settings = Settings { pipeline: 1, gathering, ..Settings::default() };
    let mut solo = Solo::with(4, 0, parameters(), settings);
    let (_, batch) = solo.submit(&solo.write(0, 1)).proposals()[0].clone();
    for other in 1..3 {
        assert!(solo.submit(&solo.write(other, 1)).proposals().is_empty());
    }
    solo.pass(took);
    assert!(solo.decide(0, 1, &batch).proposals().is_empty(), "who was served may ask again");
    solo
}

/// 2: those who were served are waited for, with those who waited meanwhile.
#[test]
fn a_batch_waits_for_as_many_as_there_were() {
    let mut solo = after_an_agreement(Span::milliseconds(5), Span::seconds(1));
    let proposals = solo.submit(&solo.write(0, 2)).proposals();
    assert_eq!(proposals.len(), 1);
    assert_eq!(proposals[0].1.items().len(), 3);
}

/// 2: but not for longer than agreement takes, and not for longer than is set.
#[test]
fn a_batch_waits_for_company_no_longer_than_for_agreement() {
    for (took, set, waits) in [(5, 1_000, 5), (50, 20, 20)] {
        let mut solo = after_an_agreement(Span::milliseconds(took), Span::milliseconds(set));
        assert!(solo.pass(Span::milliseconds(waits - 1)).proposals().is_empty());
        let proposals = solo.pass(Span::milliseconds(1)).proposals();
        assert_eq!(proposals.len(), 1, "of {took}, at most {set}");
        assert_eq!(proposals[0].1.items().len(), 2, "nobody else came");
    }
}

/// 2: nothing delays whoever asks alone.
#[test]
fn a_lone_request_waits_for_nobody() {
    let settings = Settings { gathering: Span::seconds(1), ..Settings::default() };
    let mut solo = Solo::with(4, 0, parameters(), settings);
    for number in 1..10 {
        let proposals = solo.submit(&solo.write(0, number)).proposals();
        solo.pass(Span::milliseconds(5));
        solo.decide(0, number, &proposals[0].1);
    }
}

/// 2: up to the batch's limits in count.
#[test]
fn a_batch_holds_no_more_items_than_its_limit() {
    let parameters = Parameters { batch_items: 2, ..parameters() };
    let settings = Settings { pipeline: 1, ..Settings::default() };
    let mut solo = Solo::with(4, 0, parameters, settings);
    let mut out = Out::default();
    for number in 1..=6 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        out.extend(solo.submit(&request));
    }
    let first = out.proposals()[0].1.clone();
    let out = solo.decide(0, 1, &first);
    assert_eq!(out.proposals()[0].1.items().len(), 2);
}

/// 2: and in bytes.
#[test]
fn a_batch_holds_no_more_bytes_than_its_limit() {
    let parameters = Parameters {
        batch_bytes: 4_000,
        bundle_bytes: 3_000,
        bundle_operations: 4,
        ..parameters()
    };
    let settings = Settings { pipeline: 1, ..Settings::default() };
    let mut solo = Solo::with(4, 0, parameters, settings);
    let large = put("a", &"x".repeat(1_500));
    let mut out = Out::default();
    for number in 1..=6 {
        let request = solo.request(0, number, 0, &[&large]);
        out.extend(solo.submit(&request));
    }
    let first = out.proposals()[0].1.clone();
    let out = solo.decide(0, 1, &first);
    let batch = &out.proposals()[0].1;
    assert!(batch.size() <= 4_000);
    assert_eq!(batch.items().len(), 2);
    assert!(solo.is_genuine(batch));
}

/// 2: picks fairly, so that no client's flood keeps another waiting.
#[test]
fn a_clients_flood_keeps_no_other_client_waiting() {
    let parameters = Parameters { batch_items: 4, ..parameters() };
    let settings = Settings { pipeline: 1, ..Settings::default() };
    let mut solo = Solo::with(4, 0, parameters, settings);
    let mut out = Out::default();
    for number in 1..=30 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        out.extend(solo.submit(&request));
    }
    let late = solo.write(1, 1);
    out.extend(solo.submit(&late));
    let first = out.proposals()[0].1.clone();
    let out = solo.decide(0, 1, &first);
    assert!(out.proposals()[0].1.items().contains(&Item::Request(late)));
}

/// 2: numbers are given only up to `h + L`.
#[test]
fn the_primary_never_goes_past_the_window() {
    let parameters = Parameters { checkpoint_interval: 8, window: 16, ..parameters() };
    let settings = Settings { pipeline: 64, ..Settings::default() };
    let mut solo = Solo::with(4, 0, parameters, settings);
    let mut out = Out::default();
    for number in 1..=20 {
        let request = solo.request(0, number, 0, &[&put("a", "b")]);
        out.extend(solo.submit(&request));
    }
    assert_eq!(out.proposals().iter().map(|one| one.0.0).max(), Some(16));
}

/// 2: only the primary proposes, and not while it changes views.
#[test]
fn whoever_changes_views_proposes_nothing() {
    let mut solo = Solo::new(0);
    solo.wish_from(1, 1);
    solo.wish_from(2, 1);
    assert!(!solo.replica().is_active());
    let request = solo.write(0, 1);
    assert!(solo.submit(&request).proposals().is_empty());
}

/// 2: a backup proposes nothing.
#[test]
fn a_backup_proposes_nothing() {
    let mut solo = Solo::new(2);
    let request = solo.write(0, 1);
    assert!(solo.submit(&request).proposals().is_empty());
}

/// 3: what is acceptable is prepared.
#[test]
fn a_good_proposal_is_prepared() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    let out = solo.propose(0, 1, &batch);
    let prepares = out.prepares();
    assert_eq!(prepares.len(), 1);
    let vote = prepares[0];
    assert_eq!((vote.view, vote.seq, vote.digest), (View(0), Seq(1), batch.digest()));
    assert_eq!(vote.by, first_life(1));
}

/// 3: the signature must be the primary's.
#[test]
fn a_proposal_of_another_than_the_primary_is_refused() {
    let solo = Solo::new(1);
    let batch = solo.batch(1);
    let body = PrePrepare { view: View(0), seq: Seq(1), digest: batch.digest(), by: first_life(2) };
    let proposal = solo.sign(2, body);
    assert_eq!(
        solo.verify(PeerMessage::Propose(proposal, Some(batch.clone()))),
        Some(Reject::WrongRole)
    );
    let forged =
        PrePrepare { view: View(0), seq: Seq(1), digest: batch.digest(), by: first_life(0) };
    let forged = solo.sign(2, forged);
    assert_eq!(solo.verify(PeerMessage::Propose(forged, Some(batch))), Some(Reject::BadSignature));
}

/// 3: in view `v`, no other.
#[test]
fn a_proposal_for_another_view_is_refused() {
    let mut solo = Solo::new(2);
    let batch = solo.batch(1);
    assert_eq!(solo.propose(1, 1, &batch).reject(), Some(Reject::FutureView));
    solo.enter(1, Vec::new());
    assert_eq!(solo.propose(0, 1, &batch).reject(), Some(Reject::OldView));
    assert!(is_prepared_here(&solo.propose(1, 1, &batch)));
}

/// 3: and not changing views.
#[test]
fn no_proposal_is_accepted_while_changing_views() {
    let mut solo = Solo::new(3);
    solo.wish_from(1, 1);
    solo.wish_from(2, 1);
    assert_eq!(solo.view(), 1);
    let batch = solo.batch(1);
    let out = solo.propose(1, 1, &batch);
    assert_eq!(out.reject(), Some(Reject::ChangingViews));
    assert!(out.prepares().is_empty());
}

/// 3: `h < s <= h+L`: one at each edge, one past it.
#[test]
fn the_window_begins_above_the_stable_checkpoint_and_ends_after_l() {
    let mut solo = Solo::new(1);
    solo.advance_to(8);
    let batch = solo.batch(99);
    assert_eq!(solo.propose(0, 8, &batch).reject(), Some(Reject::BelowWindow));
    assert!(is_prepared_here(&solo.propose(0, 9, &batch)));
    let other = solo.batch(98);
    assert!(is_prepared_here(&solo.propose(0, 40, &other)));
    assert_eq!(solo.propose(0, 41, &other).reject(), Some(Reject::AboveWindow));
}

/// 3: no second digest for one `(v, s)`; the two are evidence, kept and shown.
#[test]
fn a_second_digest_for_one_number_is_evidence() {
    let mut solo = Solo::new(1);
    let (one, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &one);
    let out = solo.propose(0, 1, &other);
    assert_eq!(out.reject(), Some(Reject::Conflict));
    assert!(out.prepares().is_empty());
    assert!(matches!(out.evidence()[..], [Evidence::PrePrepare(..)]));
    assert!(out.records.iter().any(|one| matches!(one, Record::Evidence(_))));
    assert_eq!(solo.replica().evidence().len(), 1);
    assert_eq!(solo.replica().evidence()[0].accused(), first_life(0));
    assert!(solo.verifier.evidence(out.evidence()[0].clone()).is_ok(), "it proves itself");
}

/// 3: a second digest is evidence too where the first waits for others to vouch for it.
#[test]
fn a_second_digest_beside_a_doubtful_one_is_evidence() {
    let mut solo = Solo::new(1);
    let doubtful = Batch::new(Timestamp(9), vec![Item::Request(solo.write(0, 1))]);
    assert_eq!(solo.propose(0, 1, &doubtful).reject(), Some(Reject::BadTime));
    let again = solo.propose(0, 1, &doubtful);
    assert!(again.evidence().is_empty(), "the same again is no lie");
    let other = solo.batch(2);
    let out = solo.propose(0, 1, &other);
    assert!(matches!(out.evidence()[..], [Evidence::PrePrepare(..)]));
}

/// 3: the same proposal again is nothing new.
#[test]
fn the_same_proposal_again_is_counted_as_a_duplicate() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    let out = solo.propose(0, 1, &batch);
    assert_eq!(out.reject(), Some(Reject::Duplicate));
    assert!(out.prepares().is_empty());
}

/// 3: the batch hashes to the digest.
#[test]
fn a_batch_that_does_not_hash_to_the_digest_is_refused() {
    let solo = Solo::new(1);
    let (one, other) = (solo.batch(1), solo.batch(2));
    let proposal = solo.pre_prepare(0, 1, one.digest());
    assert_eq!(
        solo.verify(PeerMessage::Propose(proposal.clone(), Some(other))),
        Some(Reject::WrongDigest)
    );
    assert_eq!(solo.verify(PeerMessage::Propose(proposal, None)), Some(Reject::WrongDigest));
}

/// 3: within limits, no request twice, every request well signed.
#[test]
fn a_batch_that_breaks_the_rules_is_not_prepared() {
    let parameters = Parameters { batch_items: 3, ..parameters() };
    let mut solo = Solo::with(4, 1, parameters, Settings::default());
    let good = solo.write(0, 1);
    let mut forged = solo.write(1, 1);
    forged.signature.0[3] ^= 1;
    let stolen = Signed { body: solo.write(2, 1).body, signature: good.signature };
    let three = [solo.write(1, 2), solo.write(1, 3), solo.write(1, 4)];
    let bad = [
        (solo.batch_of(&[&good, &good]), Reject::RepeatedItem),
        (solo.batch_of(&[&good, &forged]), Reject::ForgedRequest),
        (solo.batch_of(&[&good, &stolen]), Reject::ForgedRequest),
        (solo.batch_of(&[&good, &three[0], &three[1], &three[2]]), Reject::TooLarge),
    ];
    for (seq, (batch, cause)) in (1..).zip(&bad) {
        let out = solo.propose(0, seq, batch);
        assert_eq!(out.reject(), Some(*cause), "{seq}");
        assert!(out.prepares().is_empty());
    }
    let batch = solo.batch_of(&[&good, &three[0], &three[1]]);
    assert!(is_prepared_here(&solo.propose(0, 1, &batch)), "the place was not taken");
}

/// 3: what was executed already, or is in flight elsewhere, is no reason to refuse.
#[test]
fn a_request_already_executed_or_in_flight_is_no_reason_to_refuse() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.decide(0, 1, &batch);
    solo.now = solo.now.plus(Span::milliseconds(1));
    let again = solo.batch(1);
    assert_ne!(batch.digest(), again.digest());
    assert!(is_prepared_here(&solo.propose(0, 2, &again)));
    assert!(is_prepared_here(&solo.propose(0, 3, &again)));
}

/// 5: each operation exactly once.
#[test]
fn an_operation_ordered_twice_executes_once() {
    let mut solo = Solo::new(1);
    let request = solo.request(0, 1, 0, &[&put("a", "1")]);
    let one = solo.batch_of(&[&request]);
    let first = solo.decide(0, 1, &one);
    solo.now = solo.now.plus(Span::milliseconds(1));
    let two = solo.batch_of(&[&request]);
    let before = solo.replica().state().digest();
    let second = solo.decide(0, 2, &two);
    assert_eq!(solo.executed(), 2);
    assert_eq!(solo.replica().state().digest(), before);
    let (first, second) = (first.replies(), second.replies());
    assert_eq!(first[0].seq, Seq(1));
    assert_eq!(second[0].seq, Seq(1), "the kept reply, of the entry that executed it");
    assert_eq!(first[0].outcome, second[0].outcome);
}

/// 3: whether a client is listed is judged at execution: the entry is prepared and
/// decided, has no effect, and the wait ends.
#[test]
fn whether_a_client_is_listed_is_judged_at_execution() {
    let mut solo = crate::clients::with_client_three_unlisted(1);
    let request = solo.write(3, 1);
    let batch = solo.batch_of(&[&request]);
    assert!(is_prepared_here(&solo.propose(0, 9, &batch)));
    let data_before = solo.replica().state().highest(quorate::types::ClientId(3));
    let out = solo.decide(0, 9, &batch);
    assert_eq!(out.executed(), [9]);
    assert!(matches!(out.replies()[0].outcome, ReplyOutcome::Refused(_)));
    assert_eq!(solo.replica().state().highest(quorate::types::ClientId(3)), data_before);
    assert_eq!(data_before, RequestNumber(0));
}

/// 3: an entry chosen by a NewView is exempt: a body with a badly signed request is
/// taken when it hashes to what was chosen.
#[test]
fn a_chosen_entry_needs_only_hash_to_its_digest() {
    let mut solo = Solo::new(3);
    let mut forged = solo.write(0, 1);
    forged.signature.0[3] ^= 1;
    let batch = solo.batch_of(&[&forged]);
    let certificate = solo.prepared(0, 1, batch.digest(), &[1, 2]);
    let out = solo.enter(1, vec![certificate]);
    assert!(out.prepares().is_empty(), "it has no body yet");
    assert!(!out.fetches().is_empty());
    let out = solo.peer(2, PeerMessage::Batch(batch.clone()));
    assert_eq!(out.prepares()[0].digest, batch.digest());
}

/// 3: and its time may be whatever it is.
#[test]
fn a_chosen_entrys_time_is_not_judged() {
    let mut solo = Solo::new(3);
    let batch = Batch::new(Timestamp(5), vec![Item::Request(solo.write(0, 1))]);
    let certificate = solo.prepared(0, 1, batch.digest(), &[1, 2]);
    solo.enter(1, vec![certificate]);
    let out = solo.peer(2, PeerMessage::Batch(batch.clone()));
    assert_eq!(out.prepares()[0].digest, batch.digest());
}

/// 3: the time is within the tolerated distance of its own clock.
#[test]
fn a_time_beyond_the_tolerance_is_refused_on_either_side() {
    let mut solo = Solo::new(1);
    let tolerance = solo.genesis.parameters.time_tolerance.0;
    let wall = solo.wall().0;
    let at = |solo: &Solo, time: u64, number: u64| {
        Batch::new(Timestamp(time), vec![Item::Request(solo.write(0, number))])
    };
    let (early, late) = (at(&solo, wall - tolerance, 1), at(&solo, wall + tolerance, 2));
    assert!(is_prepared_here(&solo.propose(0, 1, &early)));
    assert!(is_prepared_here(&solo.propose(0, 2, &late)));
    let (early, late) = (at(&solo, wall - tolerance - 1, 3), at(&solo, wall + tolerance + 1, 4));
    assert_eq!(solo.propose(0, 3, &early).reject(), Some(Reject::BadTime));
    assert_eq!(solo.propose(0, 4, &late).reject(), Some(Reject::BadTime));
}

/// 3: or `W` others, the primary's pre-prepare among them, vouch for it.
#[test]
fn a_time_for_which_w_others_vouch_is_accepted() {
    let mut solo = Solo::of(7, 1);
    let batch = Batch::new(Timestamp(9), vec![Item::Request(solo.write(0, 1))]);
    assert_eq!(solo.propose(0, 1, &batch).reject(), Some(Reject::BadTime));
    let out = solo.prepare_from(2, 0, 1, batch.digest());
    assert!(out.prepares().is_empty(), "two are one too few of three");
    let other = solo.batch(5).digest();
    assert!(solo.prepare_from(3, 0, 1, other).prepares().is_empty(), "another digest");
    assert!(is_prepared_here(&solo.prepare_from(4, 0, 1, batch.digest())));
}

/// 3: fill-ups are accepted at a bounded rate.
#[test]
fn fill_ups_are_accepted_at_a_bounded_rate() {
    let mut solo = Solo::new(1);
    let mut accepted = 0;
    let mut refused = 0;
    for seq in 1..=30 {
        let fill_up = Batch::new(Timestamp(solo.wall().0 + seq), Vec::new());
        match solo.propose(0, seq, &fill_up).reject() {
            None => accepted += 1,
            Some(Reject::FillUpTooSoon) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(accepted > 0 && refused > 0, "{accepted} {refused}");
    solo.now = solo.now.plus(solo.settings.fill_up_interval);
    let fill_up = Batch::new(solo.wall(), Vec::new());
    assert_eq!(solo.propose(0, 31, &fill_up).reject(), None);
}

/// 3, messages: a null batch fills gaps of a NewView only.
#[test]
fn a_null_batch_outside_a_new_view_is_refused() {
    let mut solo = Solo::new(1);
    let proposal = solo.pre_prepare(0, 1, NULL);
    let out = solo.peer(0, PeerMessage::Propose(proposal, None));
    assert_eq!(out.reject(), Some(Reject::NotChosen));
    assert!(out.prepares().is_empty());
}

/// Nothing is sent that promises before it is on disk: the prepare waits for the sync
/// that its record goes with.
#[test]
fn a_prepare_waits_for_the_sync_of_its_record() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    let out = solo.propose(0, 1, &batch);
    assert!(is_prepared_here(&out));
    assert!(!out.leaks_promises());
    let recorded = out.records.iter().any(|one| match one {
        Record::Prepare(vote) => vote.body == out.prepares()[0],
        _ => false,
    });
    assert!(recorded, "in the same effects");
}

/// The same for a proposal: its record holds the batch too.
#[test]
fn a_proposal_waits_for_the_sync_of_its_record() {
    let mut solo = Solo::new(0);
    let request = solo.write(0, 1);
    let out = solo.submit(&request);
    assert!(!out.leaks_promises());
    let (_, batch) = &out.proposals()[0];
    let recorded = out.records.iter().any(|one| match one {
        Record::PrePrepare(proposal, body) => {
            proposal.body.digest == batch.digest() && body.as_ref() == Some(batch)
        }
        _ => false,
    });
    assert!(recorded);
}

/// 4: prepared is the pre-prepare and `Q-1` prepares; one fewer is not.
#[test]
fn one_prepare_under_the_quorum_commits_nothing() {
    for (replicas, needed_of_others) in [(4, 1), (5, 2), (6, 2), (7, 3)] {
        let mut solo = Solo::of(replicas, 1);
        assert_eq!(solo.quorum() - 2, needed_of_others, "the primary and itself beside these");
        let batch = solo.batch(1);
        solo.propose(0, 1, &batch);
        let backups = solo.backups(0);
        for by in &backups[..needed_of_others - 1] {
            assert!(solo.prepare_from(*by, 0, 1, batch.digest()).commits().is_empty());
        }
        let out = solo.prepare_from(backups[needed_of_others - 1], 0, 1, batch.digest());
        assert_eq!(out.commits().len(), 1, "{replicas}");
    }
}

/// 4: for the primary itself too, whose own word counts once.
#[test]
fn the_primary_needs_as_many_prepares_as_anybody() {
    let mut solo = Solo::new(0);
    let request = solo.write(0, 1);
    let batch = solo.submit(&request).proposals()[0].1.clone();
    assert!(solo.prepare_from(1, 0, 1, batch.digest()).commits().is_empty());
    assert_eq!(solo.prepare_from(2, 0, 1, batch.digest()).commits().len(), 1);
}

/// 4: a vote counts once, however often it comes.
#[test]
fn a_prepare_that_comes_twice_counts_once() {
    let mut solo = Solo::new(0);
    let request = solo.write(0, 1);
    let batch = solo.submit(&request).proposals()[0].1.clone();
    solo.prepare_from(1, 0, 1, batch.digest());
    let out = solo.prepare_from(1, 0, 1, batch.digest());
    assert_eq!(out.reject(), Some(Reject::Duplicate));
    assert!(out.commits().is_empty());
}

/// 4: prepares of another digest, view or number don't count.
#[test]
fn only_matching_prepares_count() {
    let mut solo = Solo::of(7, 1);
    let (batch, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    solo.prepare_from(3, 0, 1, batch.digest());
    assert!(solo.prepare_from(4, 0, 1, other.digest()).commits().is_empty());
    assert!(solo.prepare_from(4, 0, 2, batch.digest()).commits().is_empty());
    let out = solo.prepare_from(5, 1, 1, batch.digest());
    assert_eq!(out.reject(), Some(Reject::FutureView));
    assert!(out.commits().is_empty());
    assert_eq!(solo.prepare_from(6, 0, 1, batch.digest()).commits().len(), 1);
}

/// 4: none of the prepares is from that view's primary.
#[test]
fn a_prepare_of_the_primary_is_refused() {
    let solo = Solo::new(1);
    let vote = solo.prepare(0, 0, 1, solo.batch(1).digest());
    assert_eq!(solo.verify(vote), Some(Reject::WrongRole));
}

/// 4: a prepare that comes before the proposal counts once that is there.
#[test]
fn a_prepare_before_the_proposal_counts() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    assert!(solo.prepare_from(2, 0, 1, batch.digest()).commits().is_empty());
    assert_eq!(solo.propose(0, 1, &batch).commits().len(), 1);
}

/// 4, storage: the prepared certificate and the batch are recorded with the commit.
#[test]
fn a_commit_waits_for_the_sync_of_certificate_and_batch() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    let out = solo.prepare_from(2, 0, 1, batch.digest());
    assert_eq!(out.commits().len(), 1);
    assert!(!out.leaks_promises());
    let recorded = out.records.iter().any(|one| match one {
        Record::Prepared(certificate, body) => {
            certificate.digest() == batch.digest() && body.as_ref() == Some(&batch)
        }
        _ => false,
    });
    assert!(recorded);
}

/// The primary's log has the batch with its proposal, so not again.
#[test]
fn the_primarys_log_has_every_batch_that_it_commits_to() {
    let mut solo = Solo::new(0);
    let request = solo.write(0, 1);
    let batch = solo.submit(&request).proposals()[0].1.clone();
    solo.prepare_from(1, 0, 1, batch.digest());
    solo.prepare_from(2, 0, 1, batch.digest());
    let holds = |one: &Record| match one {
        Record::PrePrepare(_, body) | Record::Prepared(_, body) => body.as_ref() == Some(&batch),
        _ => false,
    };
    assert!(solo.disk.log.iter().any(holds));
}

/// 4: `Q` commits and prepared decide; one fewer does not.
#[test]
fn one_commit_under_the_quorum_decides_nothing() {
    for replicas in [4, 5, 6, 7] {
        let mut solo = Solo::of(replicas, 1);
        let batch = solo.batch(1);
        solo.propose(0, 1, &batch);
        let backups = solo.backups(0);
        for by in &backups {
            solo.prepare_from(*by, 0, 1, batch.digest());
        }
        let needed = solo.quorum() - 1;
        for by in &backups[..needed - 1] {
            assert!(solo.commit_from(*by, 0, 1, batch.digest()).decided().is_empty());
        }
        let out = solo.commit_from(0, 0, 1, batch.digest());
        assert_eq!(out.decided(), [1], "{replicas}");
        assert_eq!(out.executed(), [1]);
    }
}

/// 4: a commit that comes twice counts once.
#[test]
fn a_commit_that_comes_twice_counts_once() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    solo.commit_from(2, 0, 1, batch.digest());
    let out = solo.commit_from(2, 0, 1, batch.digest());
    assert_eq!(out.reject(), Some(Reject::Duplicate));
    assert_eq!(solo.executed(), 0);
}

/// 4: commits for another digest don't count, and two of one replica are evidence.
#[test]
fn two_commits_of_one_replica_are_evidence_and_decide_nothing_wrong() {
    let mut solo = Solo::new(1);
    let (batch, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    solo.commit_from(2, 0, 1, other.digest());
    let out = solo.commit_from(2, 0, 1, batch.digest());
    assert!(matches!(out.evidence()[..], [Evidence::Commit(..)]));
    assert_eq!(solo.executed(), 0, "two are not three");
    assert_eq!(solo.commit_from(3, 0, 1, batch.digest()).decided(), [1]);
}

/// Two prepares of one replica are evidence.
#[test]
fn two_prepares_of_one_replica_are_evidence() {
    let mut solo = Solo::new(1);
    let (batch, other) = (solo.batch(1), solo.batch(2));
    solo.prepare_from(2, 0, 1, batch.digest());
    let out = solo.prepare_from(2, 0, 1, other.digest());
    assert!(matches!(out.evidence()[..], [Evidence::Prepare(..)]));
    assert!(out.evidence()[0].is_conflict());
}

/// 4: or a commit certificate received whole, without having prepared.
#[test]
fn a_commit_certificate_received_whole_decides() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    let out = solo.decide(0, 1, &batch);
    assert_eq!((out.decided(), out.executed()), (vec![1], vec![1]));
    assert!(out.commits().is_empty());
}

/// 4: the body of what `Q` committed to may have to be fetched before it is executed.
#[test]
fn what_is_decided_without_its_body_is_fetched_and_then_executed() {
    let mut solo = Solo::new(3);
    let batch = solo.batch(1);
    let mut out = Out::default();
    for by in [0, 1, 2] {
        out.extend(solo.commit_from(by, 0, 1, batch.digest()));
    }
    assert_eq!((out.decided(), out.executed()), (vec![1], vec![]));
    assert!(!out.fetches().is_empty());
    assert_eq!(solo.peer(2, PeerMessage::Batch(batch)).executed(), [1]);
}

/// 5: strictly in order.
#[test]
fn entries_execute_strictly_in_order() {
    let mut solo = Solo::new(1);
    let batches = [solo.batch(1), solo.batch(2), solo.batch(3)];
    assert!(solo.decide(0, 3, &batches[2]).executed().is_empty());
    assert!(solo.decide(0, 2, &batches[1]).executed().is_empty());
    assert_eq!(solo.decide(0, 1, &batches[0]).executed(), [1, 2, 3]);
}

/// 5: the agreed time is the greater of the batch's and the previous entry's.
#[test]
fn the_agreed_time_never_goes_back() {
    let mut solo = Solo::new(1);
    let at = |solo: &Solo, time: u64, number: u64| {
        Batch::new(Timestamp(time), vec![Item::Request(solo.write(0, number))])
    };
    for (seq, time, agreed) in [(1, 700, 700), (2, 300, 700), (3, 701, 701)] {
        let batch = at(&solo, time, seq);
        solo.decide(0, seq, &batch);
        assert_eq!(solo.replica().agreed().time, Timestamp(agreed));
    }
}

/// 5: the reply goes to the client, once what it tells is settled.
#[test]
fn the_reply_goes_to_the_client_and_waits_for_the_sync() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    let out = solo.commit_from(2, 0, 1, batch.digest());
    assert!(out.replies().is_empty(), "not before it is decided");
    let out = solo.commit_from(3, 0, 1, batch.digest());
    let replies = out.replies();
    assert_eq!(replies.len(), 1);
    assert_eq!((replies[0].number, replies[0].seq), (RequestNumber(1), Seq(1)));
    assert!(!out.leaks_promises());
}

/// 6: `Q` replicas report alike: operation digest, result and seq.
#[test]
fn all_replicas_report_alike() {
    let mut world = World::new(4);
    let request = world.request(0, 1, 0, &[&put("a", "1")]);
    world.submit(&request, ReplicaId(0));
    world.deliver_all();
    let replies = world.replies(0, 1);
    assert_eq!(replies.len(), 4);
    assert!(replies.windows(2).all(|pair| pair[0].1 == pair[1].1));
}

/// P1: an equivocating primary's two digests are shown to whoever has the other.
#[test]
fn whoever_was_told_something_else_is_shown_the_proposal() {
    let mut solo = Solo::new(1);
    let (batch, other) = (solo.batch(1), solo.batch(2));
    solo.propose(0, 1, &batch);
    let out = solo.prepare_from(2, 0, 1, other.digest());
    let shown: Vec<_> = out
        .peers()
        .into_iter()
        .filter(|(to, one)| {
            *to == To::Peer(ReplicaId(2)) && matches!(one, PeerMessage::Propose(..))
        })
        .collect();
    assert_eq!(shown.len(), 1);
}

/// Which proposals are asked for while time passes.
fn proposals_asked(solo: &mut Solo, span: Span) -> Vec<u64> {
    let out = solo.pass(span);
    let asked = out.fetches().into_iter().filter_map(|(_, fetch)| match fetch {
        Fetch::Proposal(_, seq) => Some(seq.0),
        _ => None,
    });
    asked.collect()
}

/// 3: others may lack the vote of a replica that has only their certificate. But nobody needs
/// it for ever, and what is large does not come again for it.
#[test]
fn a_proposal_is_asked_for_a_few_times_once_it_is_decided() {
    for (is_large, times) in [(false, 3), (true, 0)] {
        let mut solo = Solo::new(1);
        let batch = if is_large { solo.huge_batch(1) } else { solo.batch(1) };
        for by in [0, 2, 3] {
            solo.commit_from(by, 0, 1, batch.digest());
        }
        solo.peer(2, PeerMessage::Batch(batch));
        assert_eq!(solo.executed(), 1);
        assert_eq!(proposals_asked(&mut solo, Span::seconds(60)).len(), times);
    }
}

/// 3: nor of what others have long left behind.
#[test]
fn a_decided_proposal_far_behind_is_not_asked_for() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.commit_from(2, 0, 1, batch.digest());
    solo.decide_up_to(20);
    assert_eq!(proposals_asked(&mut solo, Span::seconds(60)), [0; 0]);
}
