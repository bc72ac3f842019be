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

/// but, for what is written at once, no longer than this part of the time between two states:
/// others wait to hear of this one, and the window is not to be full before they do,
const PART_OF_INTERVAL: u32 = 4;

/// and no longer than this.
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
    /// When the last state was given, and how long after the one before.
    last_state: Option<Instant>,
    interval: Duration,
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
        self.desk.give(job);
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

    fn give(&self, job: Job) {
        let mut pile = self.pile();
        if pile.is_closed {
            return;
        }
        if matches!(job, Job::Save(_)) {
            let now = Instant::now();
            if let Some(before) = pile.last_state.replace(now) {
                pile.interval = now - before;
            }
        }
        pile.backlog.add(job);
        self.changed.notify_one();
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
/// of them where they share processors. The disk it does not spare: most of what is written goes
/// there when it is committed.
struct Rest<'a> {
    desk: &'a Desk,
    since: Instant,
    left: Duration,
}

impl<'a> Rest<'a> {
    /// Whoever has several states in hand is late, and does not rest.
    fn new(desk: &'a Desk, jobs: &[Job]) -> Rest<'a> {
        let states = jobs.iter().filter(|job| matches!(job, Job::Save(_))).count();
        let left = match states > 1 {
            true => Duration::ZERO,
            false => MOST_REST.min(desk.pile().interval / PART_OF_INTERVAL),
        };
        Rest { desk, since: Instant::now(), left }
    }

    /// Rests after some work, until another state waits to be written, or everything ends.
    fn take(&mut self) {
        let worked = self.since.elapsed();
        if worked >= LEAST_WORK {
            self.after(worked);
            self.since = Instant::now();
        }
    }

    fn after(&mut self, worked: Duration) {
        let pile = self.desk.pile();
        if pile.is_calm() {
            let rest = (worked * REST).min(self.left);
            self.left -= rest;
            let rested = self.desk.changed.wait_timeout_while(pile, rest, |pile| pile.is_calm());
            drop(rested.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn run(mut states: States, desk: &Desk, tell: &Tell) {
    let mut is_full = false;
    loop {
        let jobs = desk.take();
        if jobs.is_empty() {
            break;
        }
        let mut rest = Rest::new(desk, &jobs);
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

    fn state(seq: u64) -> Job {
        let tree = Tree::new();
        Job::Save(Save { seq: Seq(seq), digest: tree.digest(), tree })
    }

    fn rest(desk: &Desk, left: Duration) -> Rest<'_> {
        Rest { desk, since: Instant::now(), left }
    }

    #[test]
    fn whoever_writes_rests_for_so_long_and_no_longer() {
        let desk = Desk::default();
        let (began, left) = (Instant::now(), Duration::from_millis(20));
        let mut rest = rest(&desk, left);
        rest.after(LONG);
        assert!(began.elapsed() >= left);
        assert_eq!(rest.left, Duration::ZERO);
        rest.left = left;
        rest.since = Instant::now() + LONG;
        rest.take();
        assert_eq!(rest.left, left, "nothing was done yet");
    }

    #[test]
    fn there_is_a_part_of_the_time_between_two_states_for_rests() {
        let desk = Desk::default();
        let left = |jobs: &[Job]| Rest::new(&desk, jobs).left;
        desk.give(state(1));
        assert_eq!(left(&[state(1)]), Duration::ZERO, "nobody knows that time yet");
        std::thread::sleep(Duration::from_millis(8));
        desk.give(state(2));
        let interval = desk.pile().interval;
        assert!(interval >= Duration::from_millis(8));
        let jobs = [Job::Forget(Seq(1)), state(2)];
        assert_eq!(left(&jobs), (interval / PART_OF_INTERVAL).min(MOST_REST));
        assert_eq!(left(&[state(1), state(2)]), Duration::ZERO, "late already");
        desk.pile().interval = LONG;
        assert_eq!(left(&jobs), MOST_REST);
    }

    #[test]
    fn nobody_rests_while_another_state_waits_or_the_end_does() {
        let (waiting, ending) = (Desk::default(), Desk::default());
        waiting.give(state(1));
        ending.end();
        for desk in [&waiting, &ending] {
            let mut rest = rest(desk, LONG);
            rest.after(LONG);
            assert_eq!(rest.left, LONG);
        }
    }

    /// Else it lasts an hour.
    #[test]
    fn a_rest_ends_when_a_state_comes_or_the_end() {
        for comes in [|desk: &Desk| desk.give(state(1)), Desk::end] {
            let desk = Desk::default();
            std::thread::scope(|scope| {
                let resting = scope.spawn(|| rest(&desk, LONG).after(LONG));
                while !resting.is_finished() && desk.pile().is_calm() {
                    std::thread::sleep(Duration::from_millis(5));
                    comes(&desk);
                }
            });
        }
    }
}
