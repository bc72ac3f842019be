//! What came of the load: how long answers took, and what went wrong.

use crate::client::Error;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer times are counted as this, in microseconds.
const MOST_MICROS: u64 = 600_000_000;

/// Times are told apart to so many digits.
const DIGITS: u8 = 3;

/// See the module's head.
#[derive(Clone)]
pub(super) struct Tally {
    pub(super) times: Histogram<u64>,
    /// Each kind with one of its messages.
    pub(super) errors: BTreeMap<&'static str, (u64, String)>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        let times = Histogram::new_with_bounds(1, MOST_MICROS, DIGITS);
        Tally { times: times.expect("bounds that are in order"), errors: BTreeMap::new() }
    }

    pub(super) fn answered(&mut self, after: Duration) {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.times.saturating_record(micros.max(1));
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
