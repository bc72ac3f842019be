//! How long the primary alone has for a request, and when the others are to see how long it
//! takes (§ Normal case, 1).
//!
//! A backup that never hears of a request cannot tell that the primary is late with it. Were
//! only those told that wait for all too long, a primary that is always a little faster than
//! that would keep its office, however slow. So whoever waits long shows all replicas a
//! request now and then as soon as it is made; and what these take, any other may take too,
//! before all are asked for it.

use super::session::Settings;
use crate::types::{Instant, Span};

/// Bundles of so many bytes are large: to send one once more weighs.
const LARGE: u64 = 64 << 10;

/// All are asked at most so many times later than is set.
const MOST_STRETCHED: u64 = 4;

/// Outcomes that usually take this part of what is set are worth a look at the primary.
const LONG: u64 = 5;

/// Between two that are shown to all there is at least so many times what is set: many
/// clients that wait long do so most likely since there are many.
const SELDOM: u64 = 2;

/// What has been learnt of how long outcomes take.
#[derive(Default)]
pub(super) struct Patience {
    large: Span,
    small: Span,
    /// Of what was small and shown to all. A primary that is late with the rest alone shall
    /// not have more time for it.
    shown: Span,
    /// When all were shown a request last.
    last_shown: Option<Instant>,
}

impl Patience {
    /// An outcome came, so long after the primary, or all, were asked last: a primary that
    /// acts only once all are shall not make us wait longer for it the next time.
    pub(super) fn learn(&mut self, bytes: u64, was_shown: bool, took: Span) {
        let learn = |usual: &mut Span| match *usual == Span(0) {
            true => *usual = took,
            false => *usual = Span((usual.0 * 3 + took.0) / 4),
        };
        match bytes >= LARGE {
            true => learn(&mut self.large),
            false => learn(&mut self.small),
        }
        if was_shown {
            learn(&mut self.shown);
        }
    }

    /// How long outcomes of so many bytes take of late. While nobody knows, what is large is
    /// taken to need half of the time after which all are asked.
    pub(super) fn usual(&self, bytes: u64, settings: &Settings) -> Span {
        match bytes >= LARGE {
            true if self.large == Span(0) => Span(settings.retry.0 / 2),
            true => self.large,
            false => self.small,
        }
    }

    /// How long the primary has before all are asked. Where many requests are under way each
    /// takes long, and to ask all for each would make them take longer. But a primary that
    /// always acts just before we ask gains no more than a few times what is set.
    pub(super) fn pause(&self, bytes: u64, settings: &Settings) -> Span {
        // Nothing is shown any more once outcomes come soon again.
        let usual = if bytes >= LARGE { self.large } else { self.shown.min(self.small) };
        let most = settings.retry.times(MOST_STRETCHED).min(settings.most_retry);
        usual.times(2).min(most).max(settings.retry)
    }

    /// Whether all are to see this request at once.
    pub(super) fn is_to_be_shown(&mut self, now: Instant, bytes: u64, settings: &Settings) -> bool {
        let next = |last: Instant| last.plus(settings.retry.times(SELDOM));
        let is_due = self.last_shown.is_none_or(|last| next(last) <= now);
        let is_slow = self.small.times(LONG) >= settings.retry;
        let shown = is_due && is_slow && bytes < LARGE;
        if shown {
            self.last_shown = Some(now);
        }
        shown
    }
}
