//! The thread that writes states, so that nobody waits for them.

use super::backlog::Backlog;
use super::error::StorageError;
use super::states::{Job, States};
use crate::types::{Digest, Seq};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long it waits for room before it tries again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// After so much work there is a rest,
const LEAST_WORK: Duration = Duration::from_micros(500);

/// so many times as long,
const REST: u32 = 9;

/// but of so much for what is written at once: others wait to hear that it is.
const MOST_REST: Duration = Duration::from_millis(250);

/// How many jobs become one transaction, at most.
const MOST_JOBS: usize = 64;

/// What is told of a state: that it can be restored from disk, or what is in the way.
pub(super) type Tell = Box<dyn Fn(Result<(Seq, Digest), StorageError>) + Send>;

/// The one who writes states.
pub(super) struct Keeper {
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Where jobs are handed over.
#[derive(Default)]
struct Desk {
    pile: Mutex<Pile>,
    changed: Condvar,
}

#[derive(Default)]
struct Pile {
    backlog: Backlog,
    /// Nobody gives any more, or nobody takes.
    is_closed: bool,
}

impl Keeper {
    pub(super) fn new(states: States, tell: Tell) -> Keeper {
        let desk = Arc::new(Desk::default());
        let own = Arc::clone(&desk);
        let thread = std::thread::spawn(move || {
            run(states, &own, &tell);
            own.close();
        });
        Keeper { desk, thread: Some(thread) }
    }

    /// Gives it something to do. After a failure, of which it told, nothing is done.
    pub(super) fn give(&self, job: Job) {
        let mut pile = self.desk.pile();
        if !pile.is_closed {
            pile.backlog.add(job);
            self.desk.changed.notify_one();
        }
    }

    /// How many states wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.desk.pile().backlog.states()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.desk.end();
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            let _ = thread.join();
        }
    }
}

impl Pile {
    /// No state waits to be written, nor does the end.
    fn is_calm(&self) -> bool {
        self.backlog.states() == 0 && !self.is_closed
    }
}

impl Desk {
    fn pile(&self) -> MutexGuard<'_, Pile> {
        self.pile.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is there is still done, and nothing more is taken.
    fn end(&self) {
        self.pile().is_closed = true;
        self.changed.notify_one();
    }

    /// Nothing is done any more.
    fn close(&self) {
        let mut pile = self.pile();
        pile.is_closed = true;
        pile.backlog.clear();
    }

    /// The next jobs; none when all is done.
    fn take(&self) -> Vec<Job> {
        let waiting = |pile: &mut Pile| pile.backlog.is_empty() && !pile.is_closed;
        let pile = self.changed.wait_while(self.pile(), waiting);
        pile.unwrap_or_else(PoisonError::into_inner).backlog.take(MOST_JOBS)
    }

    /// Puts back what found no room, and waits a while. Says whether somebody still waits
    /// for it to be done.
    fn wait_for_room(&self, jobs: Vec<Job>) -> bool {
        let mut pile = self.pile();
        pile.backlog.put_back(jobs);
        let waited = self.changed.wait_timeout_while(pile, TRY_AGAIN, |pile| !pile.is_closed);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_closed
    }
}

/// The rests of whoever writes. Checkpoints are taken at the same numbers by all replicas, and so
/// at the same time: if each wrote its own at one go, the next batches would wait for that on all
/// of them, where they share processors or a disk, and for each's own disk anyhow.
struct Rest<'a> {
    desk: &'a Desk,
    since: Instant,
    left: Duration,
}

impl<'a> Rest<'a> {
    fn new(desk: &'a Desk) -> Rest<'a> {
        Rest { desk, since: Instant::now(), left: MOST_REST }
    }

    /// Rests after some work, unless another state waits to be written, or everything ends.
    fn take(&mut self) {
        let worked = self.since.elapsed();
        if worked < LEAST_WORK {
            return;
        }
        let pile = self.desk.pile();
        if pile.is_calm() {
            let rest = (worked * REST).min(self.left);
            self.left -= rest;
            let rested = self.desk.changed.wait_timeout_while(pile, rest, |pile| pile.is_calm());
            drop(rested.unwrap_or_else(PoisonError::into_inner));
        }
        self.since = Instant::now();
    }
}

fn run(mut states: States, desk: &Desk, tell: &Tell) {
    let mut is_full = false;
    loop {
        let jobs = desk.take();
        if jobs.is_empty() {
            break;
        }
        let mut rest = Rest::new(desk);
        match states.carry_out(&jobs, &mut || rest.take()) {
            Ok(()) => {
                is_full = false;
                let saved = jobs.iter().filter_map(|job| match job {
                    Job::Save(save) => Some((save.seq, save.digest)),
                    Job::Parts(_) | Job::Forget(_) => None,
                });
                saved.for_each(|saved| tell(Ok(saved)));
            }
            Err(error) if error.is_full() => {
                if !std::mem::replace(&mut is_full, true) {
                    tell(Err(error));
                }
                // If the node stops, what is not written is not promised.
                match wait_for_room(&mut states, desk, jobs) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => return tell(Err(error)),
                }
            }
            Err(error) => return tell(Err(error)),
        }
    }
    if let Err(error) = states.close() {
        tell(Err(error));
    }
}

/// Waits until the store can be opened again, which takes room too; what it is worth is seen
/// when it is used. Says whether somebody still waits for the jobs to be done.
fn wait_for_room(
    states: &mut States,
    desk: &Desk,
    mut jobs: Vec<Job>,
) -> Result<bool, StorageError> {
    loop {
        if !desk.wait_for_room(std::mem::take(&mut jobs)) {
            return Ok(false);
        }
        match states.reopen() {
            Ok(()) => return Ok(true),
            Err(error) if error.is_full() => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Save;
    use crate::service::Tree;

    const LONG: Duration = Duration::from_secs(3_600);

    fn worked(desk: &Desk, left: Duration) -> Rest<'_> {
        let since = Instant::now().checked_sub(Duration::from_secs(1)).expect("it is up so long");
        Rest { desk, since, left }
    }

    #[test]
    fn whoever_writes_rests_for_so_long_and_no_longer() {
        let desk = Desk::default();
        let (began, left) = (Instant::now(), Duration::from_millis(20));
        let mut rest = worked(&desk, left);
        rest.take();
        assert!(began.elapsed() >= left);
        assert_eq!(rest.left, Duration::ZERO);
        let mut fresh = Rest::new(&desk);
        fresh.since = Instant::now() + LONG;
        fresh.take();
        assert_eq!(fresh.left, MOST_REST, "nothing was done yet");
    }

    #[test]
    fn nobody_rests_while_another_state_waits_or_the_end_does() {
        let (waiting, ending) = (Desk::default(), Desk::default());
        let tree = Tree::new();
        let save = Save { seq: Seq(1), digest: tree.digest(), tree };
        waiting.pile().backlog.add(Job::Save(save));
        ending.end();
        for desk in [&waiting, &ending] {
            let mut rest = worked(desk, LONG);
            rest.take();
            assert_eq!(rest.left, LONG);
        }
    }
}
