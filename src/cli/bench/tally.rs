//! What came of the load: how long answers took, for how long there were none, and what
//! went wrong.

use crate::client::Error;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longer times are counted as this, in microseconds.
const MOST_MICROS: u64 = 600_000_000;

/// Times are told apart to so many digits.
const DIGITS: u8 = 3;

/// See the module's head.
#[derive(Clone)]
pub(super) struct Tally {
    pub(super) times: Histogram<u64>,
    last_answer: Option<Instant>,
    /// The longest time from one answer, to whomever, to the next.
    pub(super) longest_pause: Duration,
    /// Each kind with one of its messages.
    pub(super) errors: BTreeMap<&'static str, (u64, String)>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        let times = Histogram::new_with_bounds(1, MOST_MICROS, DIGITS);
        Tally {
            times: times.expect("bounds that are in order"),
            last_answer: None,
            longest_pause: Duration::ZERO,
            errors: BTreeMap::new(),
        }
    }

    /// Something was answered now that was asked for then, or was due.
    pub(super) fn answered(&mut self, since: Instant, now: Instant) {
        self.times.saturating_record(micros(now.saturating_duration_since(since)).max(1));
        let last = self.last_answer.replace(now).unwrap_or(now);
        self.longest_pause = self.longest_pause.max(now.saturating_duration_since(last));
    }

    pub(super) fn failed(&mut self, error: &Error) {
        let kind = self.errors.entry(kind(error)).or_insert_with(|| (0, error.to_string()));
        kind.0 += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// What went wrong, in one line.
    pub(super) fn complaint(&self) -> String {
        match self.errors.values().max_by_key(|(count, _)| *count) {
            Some((count, message)) => format!("{count} times: {message}"),
            None => "nothing came back at all".to_owned(),
        }
    }
}

/// A time in microseconds.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Service(_) => "refused by the service",
        Error::Refused(_) => "refused by the cluster",
        Error::Unknown { .. } => "unknown outcome",
        Error::NotSent { .. } => "not sent",
        Error::NoQuorum { .. } => "no quorum",
        Error::NotAuthorised(_) => "not authorised",
        Error::Superseded(_) => "superseded",
        Error::Unread(_) => "not read",
        Error::Illegal(_) => "illegal",
        Error::Unreadable => "unreadable",
        Error::Count(_) => "no count of numbers",
        Error::Closed => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_what_lies_between_two_answers() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let mut tally = Tally::new();
        for (since, now) in [(5, 20), (21, 22), (9, 52), (40, 55)] {
            tally.answered(at(since), at(now));
        }
        assert_eq!(tally.longest_pause, Duration::from_millis(30));
        assert_eq!((tally.times.len(), tally.times.max()), (4, 43_007));
    }
}
