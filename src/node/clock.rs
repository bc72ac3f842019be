//! The node's clocks: one that only goes forward, by which the replica waits, and the
//! wall's, which it proposes as the time of batches.

use crate::replica::Now;
use crate::types::{Instant, Timestamp};
use std::time::{Duration, SystemTime};

/// See the module's head.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    began: std::time::Instant,
}

impl Clock {
    /// A clock that begins now.
    pub(super) fn begin() -> Clock {
        Clock { began: std::time::Instant::now() }
    }

    /// The time, by both clocks. A wall clock before 1970 counts as 1970.
    pub(super) fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            instant: Instant(microseconds(self.began.elapsed())),
            wall: Timestamp(microseconds(wall)),
        }
    }

    /// The moment that the replica names; none if it lies beyond all time.
    pub(super) fn at(&self, moment: Instant) -> Option<std::time::Instant> {
        match moment {
            Instant(u64::MAX) => None,
            Instant(after) => self.began.checked_add(Duration::from_micros(after)),
        }
    }
}

fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_never_comes_is_none() {
        let clock = Clock::begin();
        assert_eq!(clock.at(Instant(u64::MAX)), None);
        let now = clock.now();
        assert!(clock.at(now.instant).is_some_and(|moment| moment <= std::time::Instant::now()));
    }
}
