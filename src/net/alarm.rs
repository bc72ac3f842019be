//! Waiting until a moment that mostly moves on before it comes: the end of somebody's
//! silence, the next thing that may be due.

use std::pin::Pin;
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is seldom set. To set one takes a lock and, where no other rings sooner, a
/// system call. So one that is set for an earlier moment than is wanted now stays as it is:
/// it rings without anybody's noticing, and is set anew only then.
#[derive(Default)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Waits until this moment; for ever, if there is none. May be dropped while it waits,
    /// and called again.
    pub async fn until(&mut self, due: Option<Instant>) {
        let Some(due) = due else { return std::future::pending().await };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        loop {
            if sleep.is_elapsed() || sleep.deadline() > due {
                sleep.as_mut().reset(due);
            }
            sleep.as_mut().await;
            if Instant::now() >= due {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn it_rings_when_it_is_due_and_not_before() {
        let mut alarm = Alarm::default();
        for _ in 0..2 {
            let due = Instant::now() + MOMENT;
            alarm.until(Some(due)).await;
            assert!(Instant::now() >= due);
        }
        alarm.until(Some(Instant::now())).await;
    }

    #[tokio::test]
    async fn what_it_was_set_for_before_is_forgotten() {
        let mut alarm = Alarm::default();
        let now = Instant::now();
        assert!(timeout(MOMENT, alarm.until(Some(now + 100 * MOMENT))).await.is_err());
        alarm.until(Some(now + 2 * MOMENT)).await;
        assert!(now.elapsed() < 50 * MOMENT, "it was set for an earlier moment");

        let later = Instant::now() + 4 * MOMENT;
        assert!(timeout(MOMENT / 2, alarm.until(Some(now + 3 * MOMENT))).await.is_err());
        alarm.until(Some(later)).await;
        assert!(Instant::now() >= later, "it was set for a later moment");
    }

    #[tokio::test]
    async fn for_no_moment_it_never_rings() {
        assert!(timeout(MOMENT, Alarm::default().until(None)).await.is_err());
    }
}
