//! Limits, the window, and numbers that were lost or end.

use super::*;
use crate::service::{self, Limits, Moment, RequestRef, State};
use crate::types::Timestamp;

fn fill(story: &mut Story) {
    for _ in 0..WINDOW {
        story.submit(&["a"]);
    }
    assert_eq!(story.requests().len() as u64, WINDOW);
}

#[test]
fn what_is_over_a_limit_is_refused_before_it_is_signed() {
    let mut story = Story::new();
    assert_eq!(story.try_submit(&[]), Err(SubmitError::Empty));
    assert_eq!(
        story.try_submit(&["a"; 5]),
        Err(SubmitError::TooManyOperations { operations: 5, limit: BUNDLE })
    );
    let large = "x".repeat(33);
    assert_eq!(
        story.try_submit(&[&large, &large]),
        Err(SubmitError::TooManyBytes { bytes: 66, limit: BUNDLE_BYTES })
    );
    assert_eq!(
        story.session.read(story.now, "x".repeat(65).as_str().into()),
        Err(SubmitError::TooManyBytes { bytes: 65, limit: BUNDLE_BYTES })
    );
    assert_eq!(story.submit(&[&large[1..], &large[1..]]), submitted(1, 2), "exactly the limit");
}

#[test]
fn what_is_beyond_the_window_waits_until_it_moves() {
    let mut story = Story::new();
    fill(&mut story);
    story.submit(&["b"]);
    assert_eq!(story.requests(), []);
    story.all_hear(0..3, &executed(2, 1, "a", ""));
    assert_eq!(story.requests(), [], "the first one is open still");
    story.all_hear(0..3, &executed(1, 1, "a", ""));
    let (to, request) = story.requests().remove(0);
    assert_eq!(to, ToReplica::One(ReplicaId(0)));
    assert_eq!((request.first.0, request.acknowledged.0), (WINDOW + 1, 2));
}

#[test]
fn what_comes_later_does_not_overtake_what_waits() {
    let mut story = Story::new();
    for _ in 0..WINDOW - 1 {
        story.submit(&["a"]);
    }
    story.requests();
    story.submit(&["b", "b"]);
    story.submit(&["c"]);
    assert_eq!(story.requests(), [], "only the last would fit");
    story.all_hear(0..3, &executed(1, 1, "a", ""));
    assert_eq!(story.requests().len(), 1);
    story.all_hear(0..3, &executed(2, 1, "a", ""));
    assert_eq!(story.requests().len(), 1);
}

#[test]
fn more_than_may_wait_is_refused_with_the_number_that_holds_it_up() {
    let mut story = Story::new();
    fill(&mut story);
    for _ in 0..MOST_WAITING_OPERATIONS / BUNDLE {
        story.submit(&["b"; 4]);
    }
    let full = SubmitError::QueueFull {
        waiting: MOST_WAITING_OPERATIONS,
        limit: MOST_WAITING_OPERATIONS,
        oldest: RequestNumber(1),
    };
    assert_eq!(story.try_submit(&["c"]), Err(full));
    story.all_hear(0..3, &executed(1, 1, "a", ""));
    assert_eq!(story.try_submit(&["c"]).expect_err("four don't fit in one"), {
        let oldest = RequestNumber(2);
        let (waiting, limit) = (MOST_WAITING_OPERATIONS, MOST_WAITING_OPERATIONS);
        SubmitError::QueueFull { waiting, limit, oldest }
    });
    for number in 2..=4 {
        story.all_hear(0..3, &executed(number, 1, "a", ""));
    }
    story.submit(&["c"]);
}

#[test]
fn what_waited_in_vain_had_no_effect() {
    let mut story = Story::new();
    fill(&mut story);
    let ticket = story.submit(&["b"]);
    story.wait(SETTINGS.timeout);
    let outcomes = story.outcomes();
    assert_eq!(outcomes.len() as u64, WINDOW + 1);
    assert_eq!(outcomes.last(), Some(&(ticket, Outcome::NotSent)));
    for number in 1..=WINDOW {
        story.all_hear(0..3, &executed(number, 1, "a", ""));
    }
    assert_eq!(story.session.acknowledged(), RequestNumber(WINDOW + 1), "its number is skipped");
    assert!(story.requests().iter().all(|(_, request)| request.first.0 <= WINDOW));
}

/// The state refuses a request that acknowledges more than a window above what was
/// executed.
#[test]
fn a_client_that_abandons_everything_acknowledges_no_more_than_the_state_takes() {
    let mut story = Story::new();
    for _ in 0..2 * WINDOW {
        let ticket = story.submit(&["a"]);
        assert!(story.session.abandon(story.now, ticket));
    }
    let sent = story.requests();
    assert_eq!(sent.len() as u64, 2 * WINDOW);
    assert!(sent.iter().all(|(_, request)| request.acknowledged.0 <= WINDOW));
    assert_eq!(story.session.acknowledged(), RequestNumber(WINDOW));
    story.submit(&["b"]);
    assert_eq!(story.requests(), [], "two windows above what was executed, it waits");
}

#[test]
fn outcomes_that_nobody_takes_stop_the_session() {
    let mut story = Story::new();
    for number in 1..=MOST_OUTCOMES as u64 {
        story.submit(&["a"]);
        story.all_hear(0..3, &executed(number, number, "a", ""));
        story.session.take_outgoing();
    }
    assert_eq!(story.try_submit(&["a"]), Err(SubmitError::OutcomesNotTaken(MOST_OUTCOMES)));
    story.outcomes();
    story.submit(&["a"]);
}

#[test]
fn messages_that_nobody_takes_are_dropped_like_a_networks() {
    let mut story = Story::new();
    story.submit(&["a"]);
    for _ in 0..2 * MOST_OUTGOING {
        story.now = story.now.plus(SETTINGS.most_retry);
        story.session.on_tick(story.now);
    }
    assert_eq!(story.session.take_outgoing().len(), MOST_OUTGOING);
}

/// K4
#[test]
fn numbers_that_end_are_refused_without_overflow() {
    let used = RequestNumber(u64::MAX - 2);
    let mut story = Story::of(4, Start::Continue { used, executed: used });
    assert_eq!(story.try_submit(&["a"; 3]), Err(SubmitError::NumbersEnd));
    let ticket = story.submit(&["a", "b"]);
    assert_eq!(ticket, submitted(u64::MAX - 1, u64::MAX));
    assert_eq!(story.requests().len(), 1);
    assert_eq!(story.try_submit(&["c"]), Err(SubmitError::NumbersEnd));
    story.all_hear(0..3, &executed(u64::MAX - 1, 1, "a", ""));
    story.all_hear(0..3, &executed(u64::MAX, 1, "b", ""));
    assert_eq!(story.only_outcome().0, ticket);
    assert_eq!(story.session.acknowledged(), RequestNumber(u64::MAX));
    assert_eq!(story.try_submit(&["c"]), Err(SubmitError::NumbersEnd));
    assert_eq!(story.hear(0, ToClient::Refused(used, Refusal::Unlisted)), Err(Reject::Unrequested));
}

/// K4
#[test]
fn a_read_that_can_not_be_ordered_for_want_of_numbers_says_so() {
    let used = RequestNumber(u64::MAX);
    let mut story = Story::of(4, Start::Continue { used, executed: used });
    let ticket = story.read("a");
    story.wait(SETTINGS.first_answer_patience());
    assert_eq!(story.only_outcome(), (ticket, Outcome::Unread(Unread::NumbersEnd)));
}

#[test]
fn a_client_that_kept_its_numbers_goes_on_after_them() {
    let mut story = Story::new();
    story.submit(&["a", "b"]);
    story.all_hear(0..3, &executed(1, 1, "a", ""));
    let kept = story.session.to_continue();
    let mut story = Story::of(4, kept);
    assert_eq!(story.submit(&["c"]), submitted(3, 3));
    assert_eq!(story.requests()[0].1.acknowledged, RequestNumber(2), "the open one is given up");
}

fn session(acknowledged: u64, highest: u64) -> ToClient {
    let (acknowledged, highest) = (RequestNumber(acknowledged), RequestNumber(highest));
    ToClient::Session { nonce: NONCE, acknowledged, highest, view: View(1) }
}

#[test]
fn a_client_that_lost_its_numbers_asks_before_it_signs() {
    let mut story = Story::of(4, Start::Lost);
    assert_eq!(story.try_submit(&["a"]), Err(SubmitError::Resuming));
    let asked = (ToReplica::All, ClientMessage::Session(NONCE));
    assert_eq!(story.session.take_outgoing(), std::slice::from_ref(&asked));
    let spans: Vec<u64> = (0..4).map(|_| story.wait_for_deadline().0).collect();
    assert_eq!(spans, [100, 200, 400, 400]);
    assert_eq!(story.session.take_outgoing(), vec![asked; 4]);
    for replica in 0..2 {
        assert_eq!(story.hear(replica, session(3, 5)), Ok(()));
    }
    assert!(!story.session.is_ready());
    assert_eq!(story.hear(2, session(3, 5)), Ok(()));
    assert!(story.session.is_ready());
    assert_eq!(story.hear(3, session(3, 5)), Err(Reject::Unrequested));
    assert_eq!(story.submit(&["a"]), submitted(5 + WINDOW + 1, 5 + WINDOW + 1));
    let (to, request) = story.requests().remove(0);
    assert_eq!(to, ToReplica::One(ReplicaId(1)), "the answers told the view");
    assert_eq!(request.acknowledged, RequestNumber(5 + WINDOW));
}

#[test]
fn a_number_that_is_known_to_be_used_is_not_used_again() {
    let begun_above = |used: u64| {
        let mut story = Story::of(4, Start::Lost);
        story.session.begin_above(RequestNumber(used));
        for replica in 0..3 {
            assert_eq!(story.hear(replica, session(3, 5)), Ok(()));
        }
        story.submit(&["a"; BUNDLE as usize]);
        let request = story.requests().remove(0).1;
        (request.first.0, request.acknowledged.0)
    };
    let acknowledged = 5 + WINDOW;
    assert_eq!(begun_above(4), (acknowledged + 1, acknowledged));
    assert_eq!(begun_above(acknowledged + 3), (acknowledged + 4, acknowledged));
    let last = acknowledged + WINDOW - BUNDLE;
    assert_eq!(begun_above(last), (last + 1, acknowledged));
    assert_eq!(begun_above(last + 1), (acknowledged + 1, acknowledged), "the state takes no more");
}

#[test]
fn a_session_that_has_not_learned_its_numbers_has_none_to_go_on_from() {
    let story = Story::of(4, Start::Lost);
    assert_eq!(story.session.to_continue(), Start::Lost);
}

/// The state itself judges what sessions sign.
#[test]
fn the_state_takes_what_is_signed_after_numbers_were_lost_or_given_up() {
    let limits = Limits { window: WINDOW, bundle_operations: BUNDLE, ..Limits::default() };
    let mut state = State::genesis(Arc::new(KeyValue), limits, [ME]);
    let mut execute = |request: &Request| {
        let moment = Moment { seq: Seq(1), time: Timestamp(1) };
        let Request { client, first, acknowledged, operations } = request;
        let (client, first, acknowledged) = (*client, *first, *acknowledged);
        let request = RequestRef { client, first, acknowledged, operations };
        let became = state.execute(&moment, request);
        assert!(
            became.iter().all(|one| matches!(one.outcome, service::Outcome::Executed(_))),
            "{became:?}"
        );
        (state.floor(client).0, state.highest(client).0)
    };
    let mut earlier = Story::new();
    for _ in 0..2 * WINDOW - BUNDLE {
        let given_up = earlier.submit(&["a"]);
        assert!(earlier.session.abandon(earlier.now, given_up));
    }
    earlier.requests();
    earlier.submit(&["a"; 4]);
    let (floor, highest) = execute(&earlier.requests()[0].1);
    assert_eq!((floor, highest), (WINDOW, 2 * WINDOW), "as far as the state takes numbers");
    let mut later = Story::of(4, Start::Lost);
    for replica in 0..3 {
        assert_eq!(later.hear(replica, session(floor, highest)), Ok(()));
    }
    later.submit(&["b"; 4]);
    let (floor, highest) = execute(&later.requests()[0].1);
    assert_eq!((floor, highest), (3 * WINDOW, 3 * WINDOW + 4));
}

/// K1, K4
#[test]
fn a_liar_can_not_use_up_the_numbers_of_a_client_that_lost_them() {
    let mut story = Story::of(4, Start::Lost);
    for (replica, highest) in [(0, u64::MAX), (1, 5), (2, 5)] {
        assert_eq!(story.hear(replica, session(0, highest)), Ok(()));
    }
    assert!(!story.session.is_ready());
    assert_eq!(story.hear(3, session(0, 5)), Ok(()));
    assert_eq!(story.submit(&["a"]), submitted(5 + WINDOW + 1, 5 + WINDOW + 1));
}

#[test]
fn an_answer_to_an_earlier_life_is_refused() {
    let mut story = Story::of(4, Start::Lost);
    let ToClient::Session { acknowledged, highest, view, .. } = session(1, 1) else {
        panic!("it is one");
    };
    let old = ToClient::Session { nonce: Nonce(1), acknowledged, highest, view };
    assert_eq!(story.hear(0, old), Err(Reject::WrongNonce));
}

#[test]
fn reads_do_not_wait_for_lost_numbers_unless_they_must_be_ordered() {
    let mut story = Story::of(4, Start::Lost);
    let ticket = story.read("get");
    story.wait(SETTINGS.first_answer_patience());
    assert_eq!(story.requests(), []);
    for replica in 0..3 {
        assert_eq!(story.hear(replica, session(0, 0)), Ok(()));
    }
    let (_, request) = story.requests().remove(0);
    assert_eq!(request.first, RequestNumber(WINDOW + 1));
    story.all_hear(0..3, &executed(WINDOW + 1, 4, "get", "x"));
    let answer = Answer { result: "x".into(), how: HowRead::Ordered { seq: Seq(4) } };
    assert_eq!(story.only_outcome(), (ticket, Outcome::Read(answer)));
}

#[test]
fn a_read_whose_numbers_are_never_learned_ends_with_its_time() {
    let mut story = Story::of(4, Start::Lost);
    let ticket = story.read("get");
    story.wait(SETTINGS.first_answer_patience());
    story.wait(SETTINGS.timeout);
    assert_eq!(story.only_outcome(), (ticket, Outcome::Unread(Unread::TimedOut)));
}

/// K2, K3: what is acknowledged already, though this session waits for it, another session
/// has gone past. Nothing comes of these numbers any more: it asks for others.
#[test]
fn a_session_that_was_passed_asks_for_other_numbers() {
    let mut story = Story::new();
    let (first, second) = (story.submit(&["a", "b"]), story.submit(&["c"]));
    story.session.take_outgoing();
    let passed = |number| ToClient::Refused(RequestNumber(number), Refusal::Acknowledged);
    for replica in 0..2 {
        assert_eq!(story.hear(replica, passed(1)), Ok(()));
    }
    assert!(story.session.is_ready(), "two may lie, or be told of an old copy");
    assert_eq!(story.hear(2, passed(1)), Ok(()));
    let declined = Some(Refusal::Acknowledged);
    let unknown = || Outcome::Unknown { declined };
    assert_eq!(story.outcomes(), [(first, unknown()), (second, unknown())]);
    assert_eq!(story.try_submit(&["d"]), Err(SubmitError::Resuming));
    let nonce = Nonce(NONCE.0.wrapping_add(1));
    assert_eq!(story.session.take_outgoing(), [(ToReplica::All, ClientMessage::Session(nonce))]);
    let (acknowledged, highest) = (RequestNumber(9), RequestNumber(9));
    let answer = ToClient::Session { nonce, acknowledged, highest, view: View(0) };
    for replica in 0..3 {
        assert_eq!(story.hear(replica, answer.clone()), Ok(()));
    }
    assert_eq!(story.submit(&["d"]), submitted(9 + WINDOW + 1, 9 + WINDOW + 1));
}

/// A copy of a request from before some of it was answered finds that acknowledged, and
/// that is no news.
#[test]
fn what_was_answered_already_may_be_acknowledged() {
    let mut story = Story::new();
    story.submit(&["a", "b"]);
    story.all_hear(0..3, &executed(1, 1, "a", ""));
    let passed = ToClient::Refused(RequestNumber(1), Refusal::Acknowledged);
    for replica in 0..4 {
        assert_eq!(story.hear(replica, passed.clone()), Err(Reject::Acknowledged));
    }
    assert!(story.session.is_ready());
    assert_eq!(story.outcomes(), []);
}

/// Whoever gave up a window's worth while nothing was executed can acknowledge no more, and
/// is refused for want of room for ever: it asks for other numbers.
#[test]
fn a_session_that_can_acknowledge_no_more_asks_for_other_numbers() {
    let mut story = Story::new();
    for _ in 0..WINDOW + 2 {
        let ticket = story.submit(&["a"]);
        story.session.abandon(story.now, ticket);
    }
    let open = story.submit(&["b"]);
    story.session.take_outgoing();
    let number = WINDOW + 3;
    story.all_hear(0..3, &refused(number, 1, "b", NO_ROOM));
    assert_eq!(story.only_outcome(), (open, Outcome::Unknown { declined: Some(NO_ROOM) }));
    assert!(!story.session.is_ready());
}
