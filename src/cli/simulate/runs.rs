//! Running seeds on all cores. The lowest seed that fails is the one that is reported,
//! whichever was found first.

use crate::sim::{self, Coverage, Options, Report};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How a run failed.
pub enum Failure {
    /// It broke an invariant.
    Violation(Box<Report>),
    /// A replica panicked, and said this.
    Panic(u64, String),
}

impl Failure {
    /// The run's seed.
    pub fn seed(&self) -> u64 {
        match self {
            Failure::Violation(report) => report.seed,
            Failure::Panic(seed, _) => *seed,
        }
    }
}

/// What all runs came to.
#[derive(Default)]
pub struct Sum {
    /// How many ended.
    pub runs: u64,
    /// Their events.
    pub steps: u64,
    /// Their time, in microseconds.
    pub simulated: u64,
    messages: Vec<u64>,
    requests: Vec<u64>,
    /// What happened in them.
    pub coverage: Coverage,
    /// The failure of the lowest seed.
    pub failure: Option<Failure>,
}

impl Sum {
    /// Half of the runs delivered at least so many messages.
    pub fn median_messages(&self) -> u64 {
        median(&self.messages)
    }

    /// Half of the runs answered at least so many requests.
    pub fn median_requests(&self) -> u64 {
        median(&self.requests)
    }

    fn add(&mut self, report: &Report) {
        self.runs += 1;
        self.steps += report.steps;
        self.simulated += report.simulated.0;
        self.messages.push(report.messages);
        self.requests.push(report.requests);
        self.coverage.merge(&report.coverage);
    }

    fn fail(&mut self, failure: Failure) {
        if self.failure.as_ref().is_none_or(|first| failure.seed() < first.seed()) {
            self.failure = Some(failure);
        }
    }
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics are told with their seed, not as they happen.
pub fn keep_panics() {
    std::panic::set_hook(Box::new(|panic| PANIC.set(panic.to_string())));
}

/// Runs one seed.
pub fn run_one(options: &Options) -> Result<Report, Failure> {
    match catch_unwind(AssertUnwindSafe(|| sim::run(options))) {
        Err(_) => Err(Failure::Panic(options.seed, PANIC.take())),
        Ok(report) if report.violation.is_some() => Err(Failure::Violation(Box::new(report))),
        Ok(report) => Ok(report),
    }
}

/// Runs all seeds of a range, up to the first that fails.
pub fn run_all(range: Range<u64>, jobs: usize, options: impl Fn(u64) -> Options + Sync) -> Sum {
    let next = AtomicU64::new(range.start);
    let end = AtomicU64::new(range.end);
    let sum = Mutex::new(Sum::default());
    let bar = progress(range.end - range.start);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    // A lower seed than the failing one may still be under way: it ends.
                    if seed >= end.load(Ordering::SeqCst) {
                        return;
                    }
                    let outcome = run_one(&options(seed));
                    let mut sum = lock(&sum);
                    match outcome {
                        Ok(report) => sum.add(&report),
                        Err(failure) => {
                            end.fetch_min(seed, Ordering::SeqCst);
                            if let Failure::Violation(report) = &failure {
                                sum.add(report);
                            }
                            bar.set_message(format!("seed {seed} fails"));
                            sum.fail(failure);
                        }
                    }
                    bar.inc(1);
                }
            });
        }
    });
    bar.finish_and_clear();
    sum.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn lock(sum: &Mutex<Sum>) -> MutexGuard<'_, Sum> {
    sum.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On the standard error, if that is a terminal.
fn progress(count: u64) -> ProgressBar {
    if count < 2 {
        return ProgressBar::hidden();
    }
    let template = "{elapsed_precise} {wide_bar} {pos}/{len} seeds, {per_sec}, {eta} left; {msg}";
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(count).with_style(style).with_message("no violation")
}
