//! A simulated clock: one that only goes forward, at a rate of its own, and one on the
//! wall, which may go at any rate, jump, and stand still.

use crate::replica::Now;
use crate::types::{Instant, Timestamp};

/// Where all clocks on the wall begin.
const DAWN: u64 = 1_700_000_000_000_000;

/// What a clock that goes right counts in a thousandth of its time.
pub const TRUE_RATE: u64 = 1_000;

/// One machine's clocks, as they were when they were last set.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The world's time when the clocks were last set.
    set: Instant,
    instant: Instant,
    /// How much the clock that only goes forward counts, in thousandths of the truth.
    rate: u64,
    wall: Timestamp,
    /// How much the clock on the wall counts, in thousandths of the truth.
    wall_rate: u64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            set: Instant(0),
            instant: Instant(0),
            rate: TRUE_RATE,
            wall: Timestamp(DAWN),
            wall_rate: TRUE_RATE,
        }
    }
}

impl Clock {
    /// What the clocks show at a moment of the world.
    pub fn read(&self, now: Instant) -> Now {
        let passed = now.0.saturating_sub(self.set.0);
        Now {
            instant: Instant(self.instant.0 + passed * self.rate / TRUE_RATE),
            wall: Timestamp(self.wall.0 + passed * self.wall_rate / TRUE_RATE),
        }
    }

    /// The first moment of the world at which the clock shows this instant.
    pub fn moment_of(&self, instant: Instant) -> Instant {
        let ahead = u128::from(instant.0.saturating_sub(self.instant.0));
        let moment = (ahead * u128::from(TRUE_RATE)).div_ceil(u128::from(self.rate));
        Instant(self.set.0.saturating_add(u64::try_from(moment).unwrap_or(u64::MAX)))
    }

    fn set(&mut self, now: Instant) {
        let shown = self.read(now);
        (self.set, self.instant, self.wall) = (now, shown.instant, shown.wall);
    }

    /// Another rate from here on.
    pub fn go_at(&mut self, now: Instant, rate: u64) {
        self.set(now);
        self.rate = rate.max(1);
    }

    /// Another rate of the clock on the wall; 0 makes it stand still.
    pub fn wall_goes_at(&mut self, now: Instant, rate: u64) {
        self.set(now);
        self.wall_rate = rate;
    }

    /// The clock on the wall jumps by so many microseconds.
    pub fn jump(&mut self, now: Instant, jump: i64) {
        self.set(now);
        self.wall = Timestamp(self.wall.0.saturating_add_signed(jump));
    }

    /// A new process counts from nothing.
    pub fn restart(&mut self, now: Instant) {
        self.set(now);
        self.instant = Instant(0);
    }

    /// Somebody sets the clocks right.
    pub fn mend(&mut self, now: Instant) {
        self.set(now);
        (self.rate, self.wall_rate) = (TRUE_RATE, TRUE_RATE);
        self.wall = Timestamp(DAWN + now.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_reached_just_when_the_clock_shows_it() {
        for rate in [1, 500, 999, 1_000, 1_001, 2_000] {
            let mut clock = Clock::default();
            clock.go_at(Instant(12_345), rate);
            for ahead in [0, 1, 7, 1_000, 999_999] {
                let deadline = Instant(clock.read(Instant(12_345)).instant.0 + ahead);
                let moment = clock.moment_of(deadline);
                assert!(clock.read(moment).instant >= deadline, "{rate} {ahead}");
                let before = Instant(moment.0.saturating_sub(1).max(12_345));
                assert!(before == moment || clock.read(before).instant < deadline);
            }
        }
    }

    #[test]
    fn the_wall_jumps_and_stands_still_and_the_other_clock_goes_on() {
        let mut clock = Clock::default();
        clock.jump(Instant(1_000), -400);
        clock.wall_goes_at(Instant(1_000), 0);
        let now = clock.read(Instant(5_000));
        assert_eq!((now.instant, now.wall), (Instant(5_000), Timestamp(DAWN + 600)));
        clock.mend(Instant(5_000));
        assert_eq!(clock.read(Instant(6_000)).wall, Timestamp(DAWN + 6_000));
    }
}
