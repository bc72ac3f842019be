//! The thread that writes states, so that nobody waits for them.

use super::error::StorageError;
use super::states::{Job, States};
use crate::types::{Digest, Seq};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long it waits for room before it tries again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How many jobs become one transaction, at most.
const MOST_JOBS: usize = 64;

/// What is told of a state: that it can be restored from disk, or what is in the way.
pub(super) type Tell = Box<dyn Fn(Result<(Seq, Digest), StorageError>) + Send>;

/// The one who writes states.
pub(super) struct Keeper {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn new(states: States, tell: Tell) -> Keeper {
        let (jobs, received) = mpsc::channel();
        let thread = Some(std::thread::spawn(move || run(states, &received, &tell)));
        Keeper { jobs: Some(jobs), thread }
    }

    /// Gives it something to do. After a failure, of which it told, nothing is done.
    pub(super) fn give(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            // A panic was printed when it happened.
            let _ = thread.join();
        }
    }
}

fn run(mut states: States, received: &Receiver<Job>, tell: &Tell) {
    while let Ok(first) = received.recv() {
        let mut jobs = vec![first];
        jobs.extend(received.try_iter().take(MOST_JOBS - 1));
        if let Err(error) = carry_out(&mut states, &mut jobs, received, tell) {
            tell(Err(error));
            return;
        }
        for job in &jobs {
            if let Job::Save(save) = job {
                tell(Ok((save.seq, save.digest)));
            }
        }
    }
    if let Err(error) = states.close() {
        tell(Err(error));
    }
}

/// Carries out the jobs, and those that come while it waits for room.
fn carry_out(
    states: &mut States,
    jobs: &mut Vec<Job>,
    received: &Receiver<Job>,
    tell: &Tell,
) -> Result<(), StorageError> {
    let mut is_told = false;
    loop {
        let error = match states.carry_out(jobs) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_full() => error,
            Err(error) => return Err(error),
        };
        if !std::mem::replace(&mut is_told, true) {
            tell(Err(error));
        }
        loop {
            if !wait_for_room(received, jobs) {
                // The node stops; what is not written is not promised.
                jobs.clear();
                return Ok(());
            }
            match states.reopen() {
                Ok(()) => break,
                // To open the store takes room too.
                Err(error) if error.is_full() => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits a while, and takes the jobs that come meanwhile; parts can be fetched again.
/// Says whether somebody still waits for what is done.
fn wait_for_room(received: &Receiver<Job>, jobs: &mut Vec<Job>) -> bool {
    let end = Instant::now() + TRY_AGAIN;
    loop {
        match received.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(Job::Parts(_)) => {}
            Ok(job) => jobs.push(job),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
