//! Operations that are ordered: what is believed of them, and when they are sent again.

use super::*;

#[test]
fn one_more_alike_than_may_lie_is_believed_and_one_less_is_not() {
    for (replicas, faults) in [(4, 1), (5, 1), (6, 1), (7, 2), (10, 3)] {
        let mut story = Story::of(replicas, Start::New);
        let ticket = story.submit(&["a"]);
        story.all_hear(0..faults, &executed(1, 9, "a", "fine"));
        assert_eq!(story.outcomes(), []);
        story.all_hear([faults], &executed(1, 9, "a", "fine"));
        assert_eq!(story.only_outcome(), (ticket, Outcome::Done(vec![done(9, "fine")])));
    }
}

#[test]
fn the_view_is_no_part_of_what_must_be_alike() {
    let mut story = Story::new();
    story.submit(&["a"]);
    for view in 0..2 {
        let reply = Reply { view: View(view), ..executed(1, 9, "a", "fine") };
        story.all_hear([u16::try_from(view).expect("small")], &reply);
    }
    assert_eq!(story.only_outcome().1, Outcome::Done(vec![done(9, "fine")]));
}

/// K1
#[test]
fn a_second_word_that_differs_in_anything_else_is_not_alike() {
    let good = executed(1, 9, "a", "fine");
    let others = [
        executed(1, 8, "a", "fine"),
        executed(1, 9, "b", "fine"),
        executed(1, 9, "a", "fine!"),
        refused(1, 9, "a", NO_ROOM),
    ];
    for other in others {
        let mut story = Story::new();
        story.submit(&["a"]);
        story.all_hear([0], &good);
        story.all_hear([2], &other);
        assert_eq!(story.outcomes(), [], "{other:?}");
        story.all_hear([3], &good);
        assert_eq!(story.only_outcome().1, Outcome::Done(vec![done(9, "fine")]));
    }
}

/// K1
#[test]
fn liars_alike_are_never_believed() {
    for (replicas, faults) in [(4, 1), (7, 2), (10, 3)] {
        let mut story = Story::of(replicas, Start::New);
        story.submit(&["a"]);
        story.all_hear(0..faults, &executed(1, 9, "a", "a lie"));
        story.all_hear(0..faults, &executed(1, 9, "a", "a lie"));
        story.all_hear(faults..replicas, &executed(1, 9, "a", "fine"));
        assert_eq!(story.only_outcome().1, Outcome::Done(vec![done(9, "fine")]));
    }
}

/// K1
#[test]
fn a_replica_that_says_it_twice_is_counted_once() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let reply = executed(1, 9, "a", "fine");
    story.all_hear([1], &reply);
    assert_eq!(story.hear(1, ToClient::Reply(reply)), Err(Reject::Duplicate));
    assert_eq!(story.outcomes(), []);
}

/// K1
#[test]
fn a_replica_that_changes_its_word_counts_for_the_last_only() {
    let mut story = Story::new();
    story.submit(&["a"]);
    story.all_hear([0], &executed(1, 9, "a", "fine"));
    story.all_hear([0], &executed(1, 9, "a", "another"));
    story.all_hear([2], &executed(1, 9, "a", "fine"));
    assert_eq!(story.outcomes(), [], "the first has taken its word back");
    story.all_hear([3], &executed(1, 9, "a", "fine"));
    assert_eq!(story.only_outcome().1, Outcome::Done(vec![done(9, "fine")]));
}

#[test]
fn what_nobody_asked_for_is_refused() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let reply = executed(1, 9, "a", "fine");
    let of_another = Reply { client: ClientId(1), ..reply.clone() };
    assert_eq!(story.hear(0, ToClient::Reply(of_another)), Err(Reject::NotFromAuthor));
    let unknown = executed(2, 9, "a", "fine");
    assert_eq!(story.hear(0, ToClient::Reply(unknown)), Err(Reject::Unrequested));
    let large = executed(1, 9, "a", &"x".repeat(257));
    assert_eq!(story.hear(0, ToClient::Reply(large)), Err(Reject::TooLarge));
    assert_eq!(story.hear(4, ToClient::Reply(reply.clone())), Err(Reject::UnknownAuthor));
    story.all_hear(0..3, &reply);
    assert_eq!(story.hear(3, ToClient::Reply(reply)), Err(Reject::Acknowledged));
}

/// K2
#[test]
fn a_request_goes_to_the_primary_then_to_all_at_growing_intervals() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let (to, first) = story.requests().remove(0);
    assert_eq!(to, ToReplica::One(ReplicaId(0)));
    let mut spans = Vec::new();
    for _ in 0..5 {
        spans.push(story.wait_for_deadline().0);
        assert_eq!(story.requests(), [(ToReplica::All, first.clone())], "the same again");
    }
    assert_eq!(spans, [100, 200, 400, 400, 400]);
}

const LARGE: usize = 64 << 10;

/// One operation of this size after the other, each answered so long after it was asked for
/// last.
fn answered_after(took: Span, asks: usize, bytes: usize) -> Story {
    let settings = Settings { most_retry: Span(4_000), ..SETTINGS };
    let mut story = Story::with_bundles(1 << 20, settings);
    let operation = "a".repeat(bytes);
    for number in 1..=40 {
        story.submit(&[&operation]);
        for _ in 1..asks {
            story.wait_for_deadline();
        }
        story.wait(took);
        story.all_hear(0..3, &executed(number, number, &operation, "fine"));
        assert_eq!(story.outcomes().len(), 1);
    }
    story.requests();
    story
}

/// When all are asked for one more.
fn asks_all_after(mut story: Story, operation: &str) -> u64 {
    story.submit(&[operation]);
    story.wait_for_deadline().0
}

/// To ask all for what waits its turn makes everything wait longer. What is small and what is
/// large take different times.
#[test]
fn where_outcomes_take_long_all_are_asked_later() {
    for (bytes, other) in [(LARGE, 1), (1, LARGE)] {
        let next = "b".repeat(bytes);
        let pause = |took| asks_all_after(answered_after(Span(took), 1, bytes), &next);
        assert_eq!(pause(40), 100, "no sooner than is set");
        assert!((170..=180).contains(&pause(90)), "twice what they take");
        let other = "b".repeat(other);
        assert_eq!(asks_all_after(answered_after(Span(90), 1, bytes), &other), 100);
    }
}

/// What was slow once has no more time for it later.
#[test]
fn where_outcomes_come_soon_again_all_are_asked_as_soon_as_before() {
    let mut story = answered_after(Span(90), 1, 1);
    for number in 41..=80 {
        story.submit(&["b"]);
        story.wait(Span(1));
        story.all_hear(0..3, &executed(number, number, "b", "fine"));
    }
    assert_eq!(asks_all_after(story, "b"), 100);
}

/// Backups that never hear of a request cannot tell that the primary is late with it.
#[test]
fn whoever_waits_long_shows_all_a_request_now_and_then() {
    let shown = |took, bytes| {
        let mut story = answered_after(Span(took), 1, bytes);
        (41..=80)
            .filter(|number| {
                story.submit(&[&"b".repeat(bytes)]);
                let (to, _) = story.requests().remove(0);
                story.wait(Span(took));
                story.all_hear(0..3, &executed(*number, *number, &"b".repeat(bytes), "fine"));
                to == ToReplica::All
            })
            .count()
    };
    assert_eq!(shown(10, 1), 0, "outcomes come soon");
    assert_eq!(shown(50, 1), 10, "one in twice the time after which all are asked");
    assert_eq!(shown(50, LARGE), 0, "what is large weighs");
}

/// A primary that acts only when all were asked, or always just before, is not given ever
/// more time for it.
#[test]
fn whoever_acts_late_gains_little_time() {
    let large = "b".repeat(LARGE);
    assert_eq!(asks_all_after(answered_after(Span(1), 2, LARGE), &large), 100);
    let mut story = answered_after(Span(90), 1, LARGE);
    let mut pause = 0;
    for number in 41..=80 {
        story.submit(&[&large]);
        let due = story.session.next_deadline().expect("it is asked for").since(story.now);
        pause = due.0;
        story.wait(Span(pause - 1));
        story.all_hear(0..3, &executed(number, number, &large, "fine"));
    }
    assert_eq!(pause, 400);
}

#[test]
fn nothing_is_asked_again_once_it_is_answered() {
    let mut story = Story::new();
    story.submit(&["a"]);
    story.all_hear(0..3, &executed(1, 9, "a", "fine"));
    assert_eq!(story.session.next_deadline(), None);
}

/// A session that soon asks those who have not replied.
fn impatient() -> Story {
    Story::with(4, Start::New, Settings { reply_patience: Span(20), ..SETTINGS })
}

/// K11: replicas that can be spared reply only when asked. They are, and nobody else, once one
/// has told of it and another has not.
#[test]
fn whoever_has_not_told_is_asked_soon_after_one_has() {
    let mut story = impatient();
    story.submit(&["a"]);
    let (_, request) = story.requests().remove(0);
    let reply = executed(1, 9, "a", "fine");
    story.wait(Span(10));
    story.all_hear([2], &reply);
    assert_eq!(story.wait_for_deadline(), Span(20));
    let asked = [0, 1, 3].map(|one| (ToReplica::One(ReplicaId(one)), request.clone()));
    assert_eq!(story.requests(), asked);
    assert_eq!(story.wait_for_deadline(), Span(70), "then all are, at the usual time");
    assert_eq!(story.requests(), [(ToReplica::All, request)]);
    story.all_hear([3], &reply);
    assert_eq!(story.only_outcome().1, Outcome::Done(vec![done(9, "fine")]));
    assert_eq!(story.session.next_deadline(), None);
}

/// K11: replicas that have too much to do are not given more.
#[test]
fn the_rest_has_as_long_as_the_first_took() {
    let mut story = impatient();
    story.submit(&["a"]);
    story.requests();
    story.wait(Span(40));
    story.all_hear([2], &executed(1, 9, "a", "fine"));
    assert_eq!(story.wait_for_deadline(), Span(40));
    assert_eq!(story.requests().len(), 3);
}

/// K1, K11: nor does it use up the question, nor make one with what nobody asked for.
#[test]
fn the_rest_is_asked_once_more_when_one_more_has_told() {
    let mut story = impatient();
    story.submit(&["a"]);
    let (_, request) = story.requests().remove(0);
    story.all_hear([1], &executed(1, 9, "not a", "a lie"));
    assert_eq!(story.session.next_deadline(), Some(story.now.plus(SETTINGS.retry)));
    story.all_hear([3], &executed(1, 9, "a", "a lie"));
    assert_eq!(story.wait_for_deadline(), Span(20));
    assert_eq!(story.requests().len(), 2);
    story.wait(Span(10));
    story.all_hear([3], &executed(1, 10, "a", "another"));
    story.all_hear([0], &executed(1, 9, "a", "fine"));
    assert_eq!(story.wait_for_deadline(), Span(30));
    assert_eq!(story.requests(), [(ToReplica::One(ReplicaId(2)), request)]);
}

/// K1, K11: a liar that tells of it at once makes nobody ask the others before they can know.
#[test]
fn the_rest_has_as_long_as_outcomes_take() {
    let mut story = impatient();
    for number in 1..=40 {
        story.submit(&["a"]);
        story.wait(Span(40));
        story.all_hear([0, 2], &executed(number, number, "a", "fine"));
    }
    story.requests();
    story.submit(&["a"]);
    story.requests();
    story.all_hear([3], &executed(41, 9, "a", "a lie"));
    let patience = story.wait_for_deadline().0;
    assert!((70..=80).contains(&patience), "{patience}");
    assert_eq!(story.requests().len(), 3);
}

/// That something was refused is told by everybody unasked. What was executed after all has
/// yet to be told by those who told that.
#[test]
fn nobody_is_asked_for_refusals_but_who_refused_is_asked_for_results() {
    let mut story = impatient();
    story.submit(&["a"]);
    let (_, request) = story.requests().remove(0);
    let refusal = Refusal::BeyondWindow { last: RequestNumber(0) };
    story.all_hear([1], &refused(1, 8, "a", refusal));
    assert_eq!(story.session.next_deadline(), Some(story.now.plus(SETTINGS.retry)));
    story.all_hear([0], &executed(1, 9, "a", "fine"));
    assert_eq!(story.wait_for_deadline(), Span(20));
    let asked = [1, 2, 3].map(|one| (ToReplica::One(ReplicaId(one)), request.clone()));
    assert_eq!(story.requests(), asked);
}

#[test]
fn a_bundle_is_done_when_each_of_its_operations_is() {
    let mut story = Story::new();
    let ticket = story.submit(&["a", "b"]);
    assert_eq!(ticket, submitted(1, 2));
    story.all_hear(0..3, &executed(2, 9, "b", "second"));
    assert_eq!(story.outcomes(), []);
    assert_eq!(story.session.acknowledged(), RequestNumber(0));
    story.all_hear(1..4, &executed(1, 9, "a", "first"));
    let both = vec![done(9, "first"), done(9, "second")];
    assert_eq!(story.only_outcome(), (ticket, Outcome::Done(both)));
    assert_eq!(story.session.acknowledged(), RequestNumber(2));
}

#[test]
fn the_next_request_acknowledges_what_is_answered_without_a_gap() {
    let mut story = Story::new();
    for operation in ["a", "b", "c"] {
        story.submit(&[operation]);
    }
    story.all_hear(0..3, &executed(1, 1, "a", ""));
    story.all_hear(0..3, &executed(3, 2, "c", ""));
    story.requests();
    story.submit(&["d"]);
    let (_, request) = story.requests().remove(0);
    assert_eq!((request.first, request.acknowledged), (RequestNumber(4), RequestNumber(1)));
}

#[test]
fn requests_are_signed_by_the_client_for_this_cluster() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let verifier =
        crate::message::Verifier::new(genesis(4).checked().expect("a good genesis"), Ed25519);
    let (_, message) = story.session.take_outgoing().remove(0);
    assert!(verifier.client(message).is_ok());
}

/// K9
#[test]
fn time_that_runs_out_leaves_the_outcome_unknown_until_it_is_told_late() {
    let mut story = Story::new();
    let ticket = story.submit(&["a"]);
    story.all_hear([0], &executed(1, 9, "a", "fine"));
    story.wait(SETTINGS.timeout);
    assert_eq!(story.only_outcome(), (ticket, Outcome::Unknown { declined: None }));
    assert_eq!(story.session.acknowledged(), RequestNumber(0), "it is open still");
    story.requests();
    story.wait(SETTINGS.most_retry);
    assert_eq!(story.requests().len(), 1, "it is still asked for");
    assert_eq!(story.outcomes(), [], "unknown is said once");
    story.all_hear([3], &executed(1, 9, "a", "fine"));
    assert_eq!(story.only_outcome(), (ticket, Outcome::Done(vec![done(9, "fine")])));
    assert_eq!(story.session.acknowledged(), RequestNumber(1));
}

/// K9
#[test]
fn what_is_abandoned_is_acknowledged_and_never_reported() {
    let mut story = Story::new();
    let ticket = story.submit(&["a"]);
    story.wait(SETTINGS.timeout);
    story.outcomes();
    assert!(story.session.abandon(story.now, ticket));
    assert!(!story.session.abandon(story.now, ticket));
    let late = executed(1, 9, "a", "fine");
    assert_eq!(story.hear(0, ToClient::Reply(late)), Err(Reject::Acknowledged));
    assert_eq!(story.session.next_deadline(), None);
    story.requests();
    story.submit(&["b"]);
    assert_eq!(story.requests()[0].1.acknowledged, RequestNumber(1));
}

/// K3
#[test]
fn another_operation_under_the_number_is_told_as_such() {
    let mut story = Story::new();
    let ticket = story.submit(&["a", "b"]);
    story.all_hear(0..3, &executed(1, 9, "a", "fine"));
    story.all_hear(0..3, &executed(2, 7, "not b", "other"));
    let superseded = Fate::Superseded { executed: Digest::of(b"not b"), done: done(7, "other") };
    let fates = vec![Fate::Done(done(9, "fine")), superseded];
    let number = RequestNumber(2);
    assert_eq!(story.only_outcome(), (ticket, Outcome::Superseded { number, fates }));
}

/// K1, K3
#[test]
fn liars_can_not_say_that_another_operation_was_executed() {
    let mut story = Story::new();
    story.submit(&["a"]);
    story.all_hear([0], &executed(1, 9, "not a", "other"));
    story.all_hear([2], &executed(1, 9, "a", "fine"));
    assert_eq!(story.outcomes(), []);
    story.all_hear([3], &executed(1, 9, "a", "fine"));
    assert_eq!(story.only_outcome().1, Outcome::Done(vec![done(9, "fine")]));
}

#[test]
fn a_refusal_that_stays_is_told_with_its_reason() {
    let mut story = Story::new();
    let ticket = story.submit(&["a", "b"]);
    let reason = Refusal::AcknowledgesTooFar { limit: RequestNumber(7) };
    story.all_hear(0..3, &refused(1, 9, "a", reason));
    assert_eq!(story.outcomes(), []);
    story.all_hear(0..3, &refused(2, 9, "b", reason));
    let fates = vec![Fate::Refused(reason); 2];
    assert_eq!(story.only_outcome(), (ticket, Outcome::Refused { reason, fates }));
}

/// K3
#[test]
fn that_something_else_was_refused_under_the_number_says_nothing() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let reason = Refusal::AcknowledgesTooFar { limit: RequestNumber(7) };
    story.all_hear(0..3, &refused(1, 9, "not a", reason));
    assert_eq!(story.outcomes(), []);
}

/// A new number could execute it twice: the signed request of the old one is still
/// there.
#[test]
fn what_had_no_room_is_signed_again_under_its_own_number() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let ticket = story.submit(&["b", "c"]);
    story.requests();
    story.all_hear(0..3, &executed(2, 5, "b", "second"));
    story.all_hear(0..3, &refused(3, 5, "c", NO_ROOM));
    assert_eq!(story.requests(), [], "there is no more room than there was");
    story.all_hear(0..3, &executed(1, 4, "a", "first"));
    story.outcomes();
    let (to, again) = story.requests().remove(0);
    assert_eq!(to, ToReplica::All);
    assert_eq!((again.first, again.acknowledged), (RequestNumber(3), RequestNumber(2)));
    assert_eq!(again.operations, List(vec![Blob::from("c")]));
    story.all_hear(0..3, &executed(3, 8, "c", "third"));
    let both = vec![done(5, "second"), done(8, "third")];
    assert_eq!(story.only_outcome(), (ticket, Outcome::Done(both)));
}

/// K9
#[test]
fn what_had_no_room_until_time_ran_out_says_why() {
    let mut story = Story::new();
    story.submit(&["a"]);
    story.all_hear(0..3, &refused(1, 5, "a", NO_ROOM));
    story.wait(SETTINGS.timeout);
    assert_eq!(story.only_outcome().1, Outcome::Unknown { declined: Some(NO_ROOM) });
}

/// The refusal of a repeated request may arrive before the reply to the first.
#[test]
fn that_it_was_executed_outweighs_a_later_refusal() {
    let mut story = Story::new();
    story.submit(&["a"]);
    for replica in 0..2 {
        story.all_hear([replica], &executed(1, 5, "a", "fine"));
        if replica == 0 {
            let late = ToClient::Reply(refused(1, 9, "a", Refusal::Unlisted));
            assert_eq!(story.hear(replica, late), Err(Reject::Duplicate));
        }
    }
    assert_eq!(story.only_outcome().1, Outcome::Done(vec![done(5, "fine")]));
}

/// K7, K9
#[test]
fn not_being_listed_ends_the_wait_and_is_no_outcome() {
    let mut story = Story::new();
    let ticket = story.submit(&["a"]);
    story.all_hear(0..3, &refused(1, 9, "a", Refusal::Unlisted));
    let unknown = Outcome::Unknown { declined: Some(Refusal::Unlisted) };
    assert_eq!(story.only_outcome(), (ticket, unknown));
    story.all_hear(0..3, &executed(1, 5, "a", "fine"));
    assert_eq!(story.only_outcome(), (ticket, Outcome::Done(vec![done(5, "fine")])));
}

/// K7
#[test]
fn hints_of_a_quorum_end_the_wait_and_those_of_fewer_do_not() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let hint = ToClient::Refused(RequestNumber(1), Refusal::Unlisted);
    for replica in 0..2 {
        assert_eq!(story.hear(replica, hint.clone()), Ok(()));
        assert_eq!(story.hear(replica, hint.clone()), Err(Reject::Duplicate));
    }
    let other = Refusal::BeyondWindow { last: RequestNumber(7) };
    assert_eq!(story.hear(2, ToClient::Refused(RequestNumber(1), other)), Ok(()));
    assert_eq!(story.outcomes(), []);
    assert_eq!(story.hear(2, hint), Ok(()));
    let unknown = Outcome::Unknown { declined: Some(Refusal::Unlisted) };
    assert_eq!(story.only_outcome().1, unknown);
}

#[test]
fn the_hint_of_a_replica_that_has_answered_since_counts_no_more() {
    let mut story = Story::new();
    story.submit(&["a"]);
    let hint = ToClient::Refused(RequestNumber(1), Refusal::Unlisted);
    let _ = story.hear(0, hint.clone());
    story.all_hear([0], &executed(1, 9, "a", "fine"));
    let _ = story.hear(1, hint.clone());
    let _ = story.hear(2, hint);
    assert_eq!(story.outcomes(), []);
}

#[test]
fn hints_about_what_was_not_sent_are_refused() {
    let mut story = Story::new();
    let hint = |number| ToClient::Refused(RequestNumber(number), Refusal::Unlisted);
    assert_eq!(story.hear(0, hint(1)), Err(Reject::Unrequested));
    story.submit(&["a", "b"]);
    assert_eq!(story.hear(0, hint(0)), Err(Reject::Unrequested));
    assert_eq!(story.hear(0, hint(3)), Err(Reject::Unrequested));
    assert_eq!(story.hear(0, hint(2)), Ok(()));
}

#[test]
fn requests_follow_the_primary() {
    let mut story = Story::new();
    story.submit(&["a"]);
    for replica in 0..3 {
        let reply = Reply { view: View(6), ..executed(1, 9, "a", "fine") };
        story.all_hear([replica], &reply);
    }
    story.requests();
    story.submit(&["b"]);
    assert_eq!(story.requests()[0].0, ToReplica::One(ReplicaId(2)));
}

/// K1
#[test]
fn a_lying_replica_can_not_move_the_guess_at_the_primary() {
    let mut story = Story::new();
    story.submit(&["a"]);
    for view in [1, 6, u64::MAX] {
        let reply = Reply { view: View(view), ..executed(1, view, "a", "fine") };
        story.all_hear([3], &reply);
    }
    assert_eq!(story.session.primary(), ReplicaId(0));
}
