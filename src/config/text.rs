//! How values are written: spans of time in words, keys in hexadecimal.

use crate::types::Span;
use serde::de::{Deserialize, Deserializer, Error};
use std::time::Duration;

/// A span of time as it is written: `"200ms"`, `"1m 30s"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Time(pub Duration);

impl From<Span> for Time {
    fn from(span: Span) -> Time {
        Time(Duration::from_micros(span.0))
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Time {
        Time(duration)
    }
}

impl From<Time> for Duration {
    fn from(time: Time) -> Duration {
        time.0
    }
}

impl From<Time> for Span {
    fn from(time: Time) -> Span {
        // A written time has at most u64::MAX seconds; more microseconds than fit are
        // as good as for ever.
        Span(u64::try_from(time.0.as_micros()).unwrap_or(u64::MAX))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = humantime::parse_duration(&text).map_err(|error| {
            D::Error::custom(format!(
                "{text:?} is no span of time ({error}): write \"200ms\", \"5s\" or \"2m\""
            ))
        })?;
        // Longer ones would overflow when they are added to a clock.
        match parsed <= MOST_TIME {
            true => Ok(Time(parsed)),
            false => Err(D::Error::custom(format!("{text:?} is longer than a year"))),
        }
    }
}

const MOST_TIME: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// How a span of time is written.
pub fn written(time: impl Into<Duration>) -> String {
    humantime::format_duration(time.into()).to_string()
}

/// A table of settings as it stands in a file. What is left out has its default.
macro_rules! table {
    ($raw:ident of $target:ty { $($field:ident: $kind:ty),* $(,)? }) => {
        #[derive(serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct $raw {
            $($field: $kind),*
        }

        impl Default for $raw {
            fn default() -> $raw {
                let defaults = <$target>::default();
                $raw { $($field: defaults.$field.into()),* }
            }
        }

        impl From<$raw> for $target {
            fn from(raw: $raw) -> Self {
                Self { $($field: raw.$field.into()),* }
            }
        }
    };
}
pub(super) use table;
