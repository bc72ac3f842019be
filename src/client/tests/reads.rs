//! Reads by quorum, and what becomes of them where there is none.

use super::*;

fn answer(result: &str, changed: u64) -> ToClient {
    ToClient::ReadAnswer {
        number: READ,
        operation: Digest::of(b"get"),
        result: result.into(),
        changed: Seq(changed),
    }
}

fn ordered(story: &mut Story) -> bool {
    let requests = story.requests();
    requests.iter().any(|(_, request)| request.operations == List(vec![Blob::from("get")]))
}

#[test]
fn a_read_goes_to_all_and_is_believed_of_a_quorum() {
    let mut story = Story::new();
    let ticket = story.read("get");
    let asked = (ToReplica::All, ClientMessage::Read(READ, "get".into()));
    assert_eq!(story.session.take_outgoing(), [asked]);
    for replica in 0..2 {
        assert_eq!(story.hear(replica, answer("x", 7)), Ok(()));
    }
    assert_eq!(story.outcomes(), []);
    assert_eq!(story.hear(3, answer("x", 7)), Ok(()));
    let read = Answer { result: "x".into(), how: HowRead::Quorum { changed: Seq(7) } };
    assert_eq!(story.only_outcome(), (ticket, Outcome::Read(read)));
    assert_eq!(story.hear(2, answer("x", 7)), Err(Reject::Unrequested));
    assert_eq!(story.session.next_deadline(), None);
}

/// K1
#[test]
fn a_replica_that_answers_twice_is_counted_once_and_for_the_first() {
    let mut story = Story::new();
    story.read("get");
    assert_eq!(story.hear(0, answer("a lie", 7)), Ok(()));
    assert_eq!(story.hear(0, answer("x", 7)), Err(Reject::Duplicate));
    assert_eq!(story.hear(0, ToClient::NotReady(READ)), Err(Reject::Duplicate));
    assert_eq!(story.hear(1, answer("x", 7)), Ok(()));
    assert_eq!(story.hear(2, answer("x", 7)), Ok(()));
    assert_eq!(story.outcomes(), []);
}

#[test]
fn an_answer_to_something_else_is_refused() {
    let mut story = Story::new();
    story.read("get");
    let other = ToClient::ReadAnswer {
        number: READ,
        operation: Digest::of(b"other"),
        result: "x".into(),
        changed: Seq(7),
    };
    assert_eq!(story.hear(0, other), Err(Reject::WrongDigest));
    assert_eq!(story.hear(0, answer(&"x".repeat(257), 7)), Err(Reject::TooLarge));
    assert_eq!(story.hear(0, ToClient::NotReady(RequestNumber(7))), Err(Reject::Unrequested));
}

/// K4
#[test]
fn the_numbers_of_reads_go_round() {
    let mut story = Story::new();
    assert_eq!(story.read("get"), Ticket::Read(RequestNumber(u64::MAX)));
    assert_eq!(story.read("get"), Ticket::Read(RequestNumber(0)));
}

/// Else x, y, x again would let time go back.
#[test]
fn the_same_result_with_another_change_is_not_alike_and_is_ordered() {
    let mut story = Story::new();
    let ticket = story.read("get");
    for (replica, changed) in [(0, 3), (1, 7)] {
        assert_eq!(story.hear(replica, answer("x", changed)), Ok(()));
    }
    assert_eq!(story.hear(2, answer("x", 7)), Ok(()));
    assert!(!ordered(&mut story), "the last one may still agree");
    assert_eq!(story.hear(3, answer("x", 8)), Ok(()));
    assert_eq!(story.outcomes(), []);
    assert!(ordered(&mut story));
    story.all_hear(0..3, &executed(1, 9, "get", "x"));
    let read = Answer { result: "x".into(), how: HowRead::Ordered { seq: Seq(9) } };
    assert_eq!(story.only_outcome(), (ticket, Outcome::Read(read)));
}

/// K8
#[test]
fn replicas_that_are_not_ready_let_the_read_be_ordered() {
    let mut story = Story::new();
    story.read("get");
    assert_eq!(story.hear(0, ToClient::NotReady(READ)), Ok(()));
    assert!(!ordered(&mut story));
    assert_eq!(story.hear(1, ToClient::NotReady(READ)), Ok(()));
    assert!(ordered(&mut story));
}

/// K8
#[test]
fn a_read_that_takes_too_long_is_ordered() {
    let mut story = Story::new();
    story.read("get");
    story.session.take_outgoing();
    assert_eq!(story.wait_for_deadline(), SETTINGS.first_answer_patience());
    assert!(ordered(&mut story));
    assert_eq!(story.hear(0, answer("x", 7)), Err(Reject::Unrequested));
}

/// K8
#[test]
fn a_read_has_its_patience_from_its_first_answer_on() {
    for first in [answer("x", 7), ToClient::NotReady(READ)] {
        let mut story = Story::new();
        story.read("get");
        story.session.take_outgoing();
        story.wait(SETTINGS.read_patience);
        assert!(!ordered(&mut story), "nobody may be connected yet");
        assert_eq!(story.hear(0, first), Ok(()));
        assert_eq!(story.wait_for_deadline(), SETTINGS.read_patience);
        assert!(ordered(&mut story));
    }
}

#[test]
fn a_read_that_is_never_answered_is_unread_and_holds_no_number() {
    let mut story = Story::new();
    let ticket = story.read("get");
    story.wait(SETTINGS.first_answer_patience());
    story.wait(SETTINGS.timeout);
    assert_eq!(story.only_outcome(), (ticket, Outcome::Unread(Unread::TimedOut)));
    assert_eq!(story.session.acknowledged(), RequestNumber(1));
}

#[test]
fn an_ordered_read_that_is_refused_says_why() {
    let limit = RequestNumber(7);
    let refusal = Refusal::AcknowledgesTooFar { limit };
    let stories = [
        (refused(1, 9, "get", refusal), Unread::Refused(refusal)),
        (refused(1, 9, "get", Refusal::Unlisted), Unread::Declined(Refusal::Unlisted)),
        (executed(1, 9, "other", "x"), Unread::Superseded),
    ];
    for (reply, why) in stories {
        let mut story = Story::new();
        let ticket = story.read("get");
        story.wait(SETTINGS.first_answer_patience());
        story.all_hear(0..3, &reply);
        assert_eq!(story.only_outcome(), (ticket, Outcome::Unread(why)));
    }
}

#[test]
fn only_so_many_reads_are_under_way() {
    let mut story = Story::new();
    for _ in 0..MOST_READS {
        story.read("get");
    }
    let over = Err(SubmitError::TooManyReads(MOST_READS));
    assert_eq!(story.session.read(story.now, "get".into()), over);
    story.wait(SETTINGS.read_patience);
    assert_eq!(story.session.read(story.now, "get".into()), over, "they are being ordered");
    story.wait(SETTINGS.timeout);
    story.read("get");
}
