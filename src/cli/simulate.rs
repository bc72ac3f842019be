//! `quorate simulate`: runs seeds, stops at the first that breaks an invariant, and says
//! how to see it again.

use crate::byzantine::cast;
use crate::sim::{self, Coverage, Invariant, Options, Report};
use clap::Args;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Ends with 0 if every seed holds, 10 if safety breaks, 11 if progress does, 12 if a
/// replica panics.
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  quorate simulate --seeds 0..1000
  quorate simulate --seed 42 --trace
  quorate simulate --seeds 0..200 --behaviour equivocating
  quorate simulate --list

Exit codes: 0 all hold, 2 usage, 10 safety broken, 11 no progress, 12 a panic")]
pub struct Simulate {
    /// Run one seed
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run the seeds from A up to, not including, B
    #[arg(long, value_name = "A..B", value_parser = seeds, default_value = "0..1000")]
    seeds: Range<u64>,
    /// How many replicas, instead of what each seed chooses
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(4..=16))]
    replicas: Option<u16>,
    /// How the liars lie, instead of what each seed chooses
    #[arg(long, value_name = "NAME")]
    behaviour: Option<String>,
    /// End each run after so many events
    #[arg(long, value_name = "COUNT")]
    steps: Option<u64>,
    /// Print every event of the run
    #[arg(long, requires = "seed")]
    trace: bool,
    /// List the behaviours of liars
    #[arg(long)]
    list: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or("a range of seeds is written A..B")?;
    let number = |part: &str| part.parse::<u64>().map_err(|_| format!("{part:?} is no number"));
    let range = number(from)?..number(to)?;
    match range.is_empty() {
        true => Err("the range holds no seed".to_string()),
        false => Ok(range),
    }
}

#[derive(Default)]
struct Sum {
    runs: u64,
    steps: u64,
    simulated: u64,
    messages: Vec<u64>,
    requests: Vec<u64>,
    coverage: Coverage,
    failure: Option<Failure>,
}

enum Failure {
    Violation(Box<Report>),
    Panic(u64, String),
}

impl Failure {
    fn seed(&self) -> u64 {
        match self {
            Failure::Violation(report) => report.seed,
            Failure::Panic(seed, _) => *seed,
        }
    }
}

impl Simulate {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        if self.list {
            for role in cast() {
                println!("{:20} {}", role.name, role.about);
            }
            return ExitCode::SUCCESS;
        }
        if let Some(name) = &self.behaviour
            && !cast().iter().any(|role| role.name == name)
        {
            eprintln!(
                "quorate: there is no behaviour {name:?}; 'quorate simulate --list' names them"
            );
            return ExitCode::from(2);
        }
        let range = self.seed.map_or(self.seeds.clone(), |seed| seed..seed + 1);
        let sum = self.run_all(range);
        self.print(sum)
    }

    fn options(&self, seed: u64) -> Options {
        Options {
            seed,
            replicas: self.replicas,
            behaviour: self.behaviour.clone(),
            steps: self.steps,
            trace: self.trace,
            control: None,
        }
    }

    fn run_all(&self, range: Range<u64>) -> Sum {
        let next = AtomicU64::new(range.start);
        let stop = AtomicBool::new(false);
        let sum = Mutex::new(Sum::default());
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= range.end {
                            break;
                        }
                        self.run_one(seed, &sum, &stop);
                    }
                });
            }
        });
        sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn run_one(&self, seed: u64, sum: &Mutex<Sum>, stop: &AtomicBool) {
        let options = self.options(seed);
        let outcome = std::panic::catch_unwind(|| sim::run(&options));
        let mut sum = sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let failure = match outcome {
            Ok(report) => {
                sum.runs += 1;
                sum.steps += report.steps;
                sum.simulated += report.simulated.0;
                sum.messages.push(report.messages);
                sum.requests.push(report.requests);
                sum.coverage.merge(&report.coverage);
                if self.trace {
                    report.trace.iter().for_each(|line| println!("{line}"));
                    println!("trace digest {}", report.digest);
                }
                report.violation.is_some().then(|| Failure::Violation(Box::new(report)))
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|text| text.to_string()));
                Some(Failure::Panic(seed, text.unwrap_or_default()))
            }
        };
        if let Some(failure) = failure {
            stop.store(true, Ordering::Relaxed);
            let is_first = sum.failure.as_ref().is_none_or(|one| failure.seed() < one.seed());
            if is_first {
                sum.failure = Some(failure);
            }
        }
    }

    fn print(&self, mut sum: Sum) -> ExitCode {
        sum.messages.sort_unstable();
        sum.requests.sort_unstable();
        let median = |values: &[u64]| values.get(values.len() / 2).copied().unwrap_or(0);
        println!(
            "{} schedules, {} steps, {:.1} simulated hours; median {} messages, {} requests",
            sum.runs,
            sum.steps,
            sum.simulated as f64 / 3.6e9,
            median(&sum.messages),
            median(&sum.requests),
        );
        println!("covered:");
        for (what, count) in &sum.coverage.0 {
            println!("  {count:>10} {what}");
        }
        match sum.failure {
            None => {
                println!("every invariant held");
                ExitCode::SUCCESS
            }
            Some(Failure::Panic(seed, text)) => {
                println!("seed {seed} panics: {text}\nsee it again: {}", self.again(seed));
                ExitCode::from(12)
            }
            Some(Failure::Violation(report)) => {
                report.story.iter().for_each(|line| println!("{line}"));
                println!("plan: {:?}", report.plan);
                let violation = report.violation.as_ref().expect("a failure has one");
                println!(
                    "seed {} breaks {violation}\nsee it again: {}",
                    report.seed,
                    self.again(report.seed)
                );
                match violation.invariant {
                    Invariant::Progress => ExitCode::from(11),
                    _ => ExitCode::from(10),
                }
            }
        }
    }

    fn again(&self, seed: u64) -> String {
        let mut command = format!("quorate simulate --seed {seed} --trace");
        if let Some(replicas) = self.replicas {
            command += &format!(" --replicas {replicas}");
        }
        if let Some(behaviour) = &self.behaviour {
            command += &format!(" --behaviour {behaviour}");
        }
        if let Some(steps) = self.steps {
            command += &format!(" --steps {steps}");
        }
        command
    }
}
