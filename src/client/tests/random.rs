//! Whatever liars say, and in whatever order all is heard, only what is true is believed.

use super::*;
use crate::types::Committee;
use proptest::prelude::*;

const OPERATIONS: u64 = 6;

/// Something that happens. Whether the replica is honest decides what it can say.
#[derive(Clone, Debug)]
enum Event {
    /// A replica speaks of an operation; a liar says the nonsense.
    Tell { replica: u16, number: u64, view: u64, nonsense: Nonsense },
    /// A replica hints that it doesn't take it. The honest do so only while they are
    /// behind, which few enough are.
    Hint { replica: u16, number: u64, huge: bool },
    /// Time passes.
    Wait(u64),
}

/// A lie, out of few, so that liars agree often.
#[derive(Clone, Debug)]
enum Nonsense {
    AnotherResult(u64),
    AnotherOperation,
    AnotherPlace,
    Refused(Refusal),
    TheTruth,
}

fn nonsense() -> impl Strategy<Value = Nonsense> {
    prop_oneof![
        (0u64..3).prop_map(Nonsense::AnotherResult),
        Just(Nonsense::AnotherOperation),
        Just(Nonsense::AnotherPlace),
        Just(Nonsense::Refused(Refusal::Unlisted)),
        Just(Nonsense::Refused(Refusal::NumbersEnd)),
        Just(Nonsense::Refused(NO_ROOM)),
        Just(Nonsense::TheTruth),
    ]
}

fn event(replicas: u16) -> impl Strategy<Value = Event> {
    let number = 1..=OPERATIONS;
    let views = prop_oneof![0u64..5, Just(u64::MAX)];
    prop_oneof![
        8 => (0..replicas, number.clone(), views, nonsense()).prop_map(
            |(replica, number, view, nonsense)| Event::Tell { replica, number, view, nonsense }
        ),
        2 => (0..replicas, number, any::<bool>())
            .prop_map(|(replica, number, huge)| Event::Hint { replica, number, huge }),
        1 => (0u64..600).prop_map(Event::Wait),
    ]
}

fn operation(number: u64) -> String {
    format!("operation {number}")
}

/// What truly became of an operation.
fn truth(number: u64) -> Reply {
    executed(number, 100 + number, &operation(number), &format!("result {number}"))
}

/// What an honest replica said of it before there was room.
fn before(number: u64) -> Reply {
    refused(number, 50 + number, &operation(number), NO_ROOM)
}

fn lie(number: u64, nonsense: &Nonsense) -> Reply {
    match nonsense {
        Nonsense::AnotherResult(result) => {
            executed(number, 100 + number, &operation(number), &result.to_string())
        }
        Nonsense::AnotherOperation => executed(number, 100 + number, "another", "result"),
        Nonsense::AnotherPlace => Reply { seq: Seq(7), ..truth(number) },
        Nonsense::Refused(refusal) => refused(number, 100 + number, &operation(number), *refusal),
        Nonsense::TheTruth => truth(number),
    }
}

fn cases() -> impl Strategy<Value = (u16, Vec<Event>)> {
    prop::sample::select(vec![4u16, 6, 7])
        .prop_flat_map(|replicas| (Just(replicas), prop::collection::vec(event(replicas), 0..150)))
}

fn require_true(story: &mut Story, told: &mut Vec<Ticket>) -> Result<(), TestCaseError> {
    for (ticket, outcome) in story.outcomes() {
        let Ticket::Submitted(first, last) = ticket else { panic!("nothing was read") };
        match outcome {
            Outcome::Done(all) => {
                let number = |index: usize| first.0 + index as u64;
                for (index, one) in all.iter().enumerate() {
                    let reply = truth(number(index));
                    let ReplyOutcome::Executed(result) = reply.outcome else { panic!("it was") };
                    prop_assert_eq!(one, &Done { seq: reply.seq, result });
                }
                prop_assert_eq!(all.len() as u64, last.0 - first.0 + 1);
                prop_assert!(!told.contains(&ticket), "told twice");
                told.push(ticket);
            }
            Outcome::Unknown { declined } => {
                prop_assert!(declined.is_none_or(|refusal| refusal == NO_ROOM), "not by a quorum");
            }
            other => prop_assert!(false, "{:?} is not true", other),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// K1, K3, K9
    #[test]
    fn nothing_but_the_truth_is_believed_and_in_the_end_all_of_it((replicas, events) in cases()) {
        let committee = Committee::new(replicas).expect("within the limits");
        let faults = u16::try_from(committee.faults()).expect("small");
        let behind = replicas - u16::try_from(committee.quorum()).expect("small");
        let mut story = Story::of(replicas, Start::New);
        let mut told = Vec::new();
        for numbers in [1..=1, 2..=5, 6..=6u64] {
            let operations: Vec<String> = numbers.map(operation).collect();
            let operations: Vec<&str> = operations.iter().map(String::as_str).collect();
            story.submit(&operations);
        }
        for event in events {
            match event {
                Event::Tell { replica, number, view, nonsense } => {
                    let is_liar = replica < faults;
                    let reply = match nonsense {
                        _ if is_liar => lie(number, &nonsense),
                        Nonsense::Refused(NO_ROOM) => before(number),
                        _ => truth(number),
                    };
                    let view = if is_liar { View(view) } else { View(view % 5) };
                    story.all_hear([replica], &Reply { view, ..reply });
                }
                Event::Hint { replica, number, huge } if replica < faults + behind => {
                    let refusal = match huge {
                        true => Refusal::Unlisted,
                        false => Refusal::BeyondWindow { last: RequestNumber(0) },
                    };
                    let _ = story.hear(replica, ToClient::Refused(RequestNumber(number), refusal));
                }
                Event::Hint { .. } => {}
                Event::Wait(span) => story.wait(Span(span)),
            }
            require_true(&mut story, &mut told)?;
        }
        for number in 1..=OPERATIONS {
            story.all_hear(faults..replicas, &truth(number));
        }
        require_true(&mut story, &mut told)?;
        prop_assert_eq!(told.len(), 3, "the honest alone are enough");
        prop_assert_eq!(story.session.acknowledged(), RequestNumber(OPERATIONS));
        prop_assert!(story.session.primary().0 < 5, "no liar moves the guess");
    }

    /// K1: a read by quorum is what the state truly held since it was asked for, and no
    /// two things held at different times are mixed.
    #[test]
    fn a_read_is_never_believed_that_the_state_did_not_hold(
        replicas in prop::sample::select(vec![4u16, 6, 7]),
        answers in prop::collection::vec((0u16..7, 0usize..3, 0usize..3), 0..20),
    ) {
        // x, y, and x again.
        let held = [("x", 1), ("y", 2), ("x", 3)];
        let lies = [("x", 2), ("z", 3), ("y", 2)];
        let committee = Committee::new(replicas).expect("within the limits");
        let mut story = Story::of(replicas, Start::New);
        story.read("get");
        let mut honest: Vec<(u16, (&str, u64))> = Vec::new();
        for (replica, version, lie) in answers {
            let replica = replica % replicas;
            let is_liar = usize::from(replica) < committee.faults();
            let (result, changed) = if is_liar { lies[lie] } else { held[version] };
            let answer = ToClient::ReadAnswer {
                number: READ,
                operation: Digest::of(b"get"),
                result: result.into(),
                changed: Seq(changed),
            };
            if story.hear(replica, answer).is_ok() && !is_liar {
                honest.push((replica, (result, changed)));
            }
        }
        for (_, outcome) in story.outcomes() {
            let Outcome::Read(Answer { result, how: HowRead::Quorum { changed } }) = outcome else {
                panic!("nothing else is told: {outcome:?}");
            };
            let alike = honest.iter().filter(|(_, (told, at))| {
                result == Blob::from(*told) && changed == Seq(*at)
            });
            prop_assert!(alike.count() >= committee.quorum() - committee.faults());
        }
    }
}
