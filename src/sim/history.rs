//! Whether what clients saw could have happened in one order: linearizability, by the
//! algorithm of Wing and Gong with Lowe's memory of what was tried, for each key alone.

use crate::types::Instant;
use crate::wire::Blob;
use std::collections::BTreeSet;

/// What a client did to one key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// It wrote this value.
    Put(Blob),
    /// It removed the key.
    Delete,
    /// It read, and this is what it saw. Unknown if no answer came.
    Get(Option<Option<Blob>>),
    /// It replaced one value by another, and this is whether it did. Unknown if no
    /// answer came.
    CompareAndSet(Option<Blob>, Blob, Option<bool>),
}

/// One operation as its client saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// When it was asked for.
    pub asked: Instant,
    /// When the answer came; none if it never did: the operation may have happened at
    /// any time since, or never.
    pub answered: Option<Instant>,
}

/// The value after an action, if the action could have seen this one.
fn after(action: &Action, value: &Option<Blob>) -> Option<Option<Blob>> {
    match action {
        Action::Put(new) => Some(Some(new.clone())),
        Action::Delete => Some(None),
        Action::Get(None) => Some(value.clone()),
        Action::Get(Some(seen)) => (seen == value).then(|| value.clone()),
        Action::CompareAndSet(expected, new, outcome) => {
            let matches = expected == value;
            match outcome {
                Some(done) if *done != matches => None,
                _ if matches => Some(Some(new.clone())),
                _ => Some(value.clone()),
            }
        }
    }
}

/// What the events of one key come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// There is an order that respects time and explains every answer.
    Linearizable,
    /// There is none.
    Impossible,
    /// So much happened at one time that it was not found out.
    Tangled,
}

/// So many states of one key are looked at.
const MOST_TRIED: usize = 50_000;

/// Judges the events of one key, which begins with no value.
pub fn judge(events: &[Event]) -> Judgement {
    let mut order: Vec<&Event> = events.iter().collect();
    order.sort_by_key(|event| event.asked);
    let mut tried: BTreeSet<(Vec<u64>, Option<Blob>)> = BTreeSet::new();
    // Depth first: each frame is what was taken so far, and the value then.
    let mut stack: Vec<(Vec<u64>, Option<Blob>)> = vec![(vec![0; order.len().div_ceil(64)], None)];
    let has = |taken: &[u64], index: usize| taken[index / 64] >> (index % 64) & 1 == 1;
    while let Some((taken, value)) = stack.pop() {
        let open = order.iter().enumerate().filter(|(index, _)| !has(&taken, *index));
        let deadline = open.clone().filter_map(|(_, event)| event.answered).min();
        let Some(deadline) = deadline else { return Judgement::Linearizable };
        if tried.len() > MOST_TRIED {
            return Judgement::Tangled;
        }
        for (index, event) in open {
            if event.asked > deadline {
                break;
            }
            if let Some(next) = after(&event.action, &value) {
                let mut then = taken.clone();
                then[index / 64] |= 1 << (index % 64);
                if tried.insert((then.clone(), next.clone())) {
                    stack.push((then, next));
                }
            }
        }
    }
    Judgement::Impossible
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_linearizable(events: &[Event]) -> bool {
        judge(events) == Judgement::Linearizable
    }

    fn event(action: Action, asked: u64, answered: u64) -> Event {
        Event { action, asked: Instant(asked), answered: Some(Instant(answered)) }
    }

    fn saw(value: Option<&str>) -> Action {
        Action::Get(Some(value.map(Blob::from)))
    }

    fn put(value: &str) -> Action {
        Action::Put(Blob::from(value))
    }

    #[test]
    fn a_read_sees_the_write_before_it() {
        assert!(is_linearizable(&[event(put("a"), 0, 1), event(saw(Some("a")), 2, 3)]));
    }

    #[test]
    fn a_stale_read_is_found() {
        let events = [event(put("a"), 0, 1), event(put("b"), 2, 3), event(saw(Some("a")), 4, 5)];
        assert!(!is_linearizable(&events));
    }

    #[test]
    fn a_lost_write_is_found() {
        assert!(!is_linearizable(&[event(put("a"), 0, 1), event(saw(None), 2, 3)]));
    }

    #[test]
    fn time_that_goes_back_between_reads_is_found() {
        let events = [
            event(put("x"), 0, 1),
            event(put("y"), 2, 20),
            event(saw(Some("y")), 3, 4),
            event(saw(Some("x")), 5, 6),
        ];
        assert!(!is_linearizable(&events));
    }

    #[test]
    fn concurrent_writes_may_come_in_any_order() {
        for seen in ["a", "b"] {
            let events =
                [event(put("a"), 0, 10), event(put("b"), 0, 10), event(saw(Some(seen)), 11, 12)];
            assert!(is_linearizable(&events));
        }
    }

    #[test]
    fn an_unanswered_write_may_have_happened_or_not() {
        let lost = Event { action: put("a"), asked: Instant(0), answered: None };
        assert!(is_linearizable(&[lost.clone(), event(saw(None), 1, 2)]));
        assert!(is_linearizable(&[lost.clone(), event(saw(Some("a")), 1, 2)]));
        let back = [lost, event(saw(Some("a")), 1, 2), event(saw(None), 3, 4)];
        assert!(!is_linearizable(&back));
    }

    #[test]
    fn two_swaps_of_one_value_cannot_both_succeed() {
        let swap = |to: &str, done| {
            Action::CompareAndSet(Some(Blob::from("a")), Blob::from(to), Some(done))
        };
        let both =
            [event(put("a"), 0, 1), event(swap("b", true), 2, 9), event(swap("c", true), 2, 9)];
        assert!(!is_linearizable(&both));
        let one =
            [event(put("a"), 0, 1), event(swap("b", true), 2, 9), event(swap("c", false), 2, 9)];
        assert!(is_linearizable(&one));
    }
}
