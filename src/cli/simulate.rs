//! `quorate simulate`: runs seeds, stops at the first that breaks an invariant, and says
//! how to see it again.

mod expected;
mod runs;
mod show;

use super::Exit;
use super::access::{HOW_WRITTEN, Output};
use crate::byzantine::cast;
use crate::sim::shrink::{Failing, Shrunk, shrink};
use crate::sim::{Control, Invariant, Options, Plan, Report};
use clap::{Args, ValueEnum};
use runs::{Failure, Sum};
use std::ops::Range;
use std::process::ExitCode;

const SAFETY: u8 = 10;
const PROGRESS: u8 = 11;
const PANIC: u8 = 12;
const NEVER_FIRED: u8 = 13;

/// Lives through whole clusters' faults and lies, each decided by a seed; stops at the
/// lowest seed that breaks an invariant.
#[derive(Args, Clone)]
#[command(after_help = "Examples:
  quorate simulate --seeds 0..10000            run ten thousand worlds on all cores
  quorate simulate --seed 42 --trace           see every event of one
  quorate simulate --seed 42 --shrink          if it fails, find less that fails alike
  quorate simulate --behaviour two-faced --replicas 7
                                               two liars of one plan, among seven
  quorate simulate --control lying-disks --seeds 0..50
                                               a promise broken on purpose must be seen
  quorate simulate --seeds 0..1000 -o json | jq .coverage
  quorate simulate --list                      name the behaviours of liars

Exit codes: 0 all hold, 2 usage, 10 safety broken, 11 no progress, 12 a panic,
13 something that ten thousand seeds should cover never fired")]
pub struct Simulate {
    /// Run one seed
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
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
    /// Break this promise on purpose, to see that it is noticed
    #[arg(long, value_enum, value_name = "PROMISE")]
    control: Option<Broken>,
    /// End each run after so many events, and ask for no progress
    #[arg(long, value_name = "COUNT")]
    steps: Option<u64>,
    /// Print every event of the run
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Look for a smaller run that fails alike
    #[arg(long)]
    shrink: bool,
    /// How many seeds run at a time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// How the result is printed
    #[arg(short, long, value_enum, default_value_t = Output::Table, long_help = HOW_WRITTEN)]
    output: Output,
    /// List the behaviours of liars
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Broken {
    /// More than f propose and vote for two things at once
    Equivocators,
    /// All disks say that they synced, and did not
    LyingDisks,
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

/// Twins are two honest copies of one replica; no behaviour makes them.
const TWINS: &str = "two honest copies of one replica, with one key and two disks; a seed's choice";

impl Simulate {
    /// Runs it.
    pub fn run(&self) -> ExitCode {
        if self.list {
            list();
            return ExitCode::SUCCESS;
        }
        if let Some(name) = &self.behaviour
            && !cast().iter().any(|role| role.name == name)
        {
            let message =
                format!("there is no behaviour {name:?}; 'quorate simulate --list' names them");
            return super::Failure::new(Exit::Usage, message).tell(self.output);
        }
        runs::keep_panics();
        let range = self.seed.map_or(self.seeds.clone(), |seed| seed..seed.saturating_add(1));
        let sum = match self.seed.filter(|_| self.trace) {
            Some(seed) => self.trace(seed),
            None => runs::run_all(range, self.jobs(), |seed| self.options(seed)),
        };
        let shrunk = sum.failure.as_ref().filter(|_| self.shrink);
        let shrunk = shrunk.and_then(|failure| self.shrink(failure));
        let is_drawn = self.behaviour.is_none() && self.control.is_none();
        let never = match is_drawn && sum.failure.is_none() && sum.runs >= expected::ENOUGH_SEEDS {
            true => expected::missing(&sum.coverage),
            false => vec![],
        };
        self.print(&sum, shrunk.as_ref(), &never);
        ExitCode::from(code(&sum, &never))
    }

    fn jobs(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.jobs.map_or_else(cores, usize::from)
    }

    fn options(&self, seed: u64) -> Options {
        Options {
            seed,
            replicas: self.replicas,
            behaviour: self.behaviour.clone(),
            steps: self.steps,
            trace: self.trace,
            control: self.control.map(|broken| match broken {
                Broken::Equivocators => Control::Equivocators,
                Broken::LyingDisks => Control::LyingDisks,
            }),
        }
    }

    /// Runs one seed and prints its events. Those of a table go to the standard output;
    /// beside JSON they would be in the way.
    fn trace(&self, seed: u64) -> Sum {
        let options = self.options(seed);
        let mut told = Vec::new();
        let sum = runs::run_all(seed..seed.saturating_add(1), 1, |_| options.clone());
        let report = match &sum.failure {
            Some(Failure::Violation(report)) => Some(Report::clone(report)),
            Some(Failure::Panic(..)) => None,
            None => runs::run_one(&options).ok(),
        };
        if let Some(report) = report {
            told.extend(report.trace);
            told.push(format!("trace digest {}", report.digest));
        }
        match self.output {
            Output::Table => told.iter().for_each(|line| say!("{line}")),
            Output::Json => told.iter().for_each(|line| note!("{line}")),
        }
        sum
    }

    fn shrink(&self, failure: &Failure) -> Option<Shrunk> {
        let options = Options { trace: false, ..self.options(failure.seed()) };
        let failing = match failure {
            Failure::Panic(..) => Failing::Panic,
            Failure::Violation(report) => Failing::Invariant(report.violation.as_ref()?.invariant),
        };
        note!("seed {} fails; looking for less that fails alike", failure.seed());
        shrink(&options, Plan::of(&options), failing)
    }

    fn print(&self, sum: &Sum, shrunk: Option<&Shrunk>, never: &[String]) {
        let again = sum.failure.as_ref().map(|failure| self.again(failure.seed()));
        let again = again.unwrap_or_default();
        if self.output == Output::Json {
            return say!("{:#}", show::as_json(sum, shrunk, never, &again));
        }
        say!("{}\n\n{}\n", show::coverage(sum), show::totals(sum));
        match &sum.failure {
            None => say!("every invariant held"),
            Some(failure) => say!("{}", show::failure(failure, &again)),
        }
        if let Some(shrunk) = shrunk {
            say!("{}", show::shrunk(shrunk));
        }
        if !never.is_empty() {
            say!("{}", show::never_fired(never));
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
        if let Some(name) = self.control.as_ref().and_then(ValueEnum::to_possible_value) {
            command += &format!(" --control {}", name.get_name());
        }
        if let Some(steps) = self.steps {
            command += &format!(" --steps {steps}");
        }
        command
    }
}

fn list() {
    for role in cast() {
        say!("{:24} {}", role.name, role.about);
    }
    say!("{:24} {TWINS}", "twins");
}

fn code(sum: &Sum, never: &[String]) -> u8 {
    match &sum.failure {
        Some(Failure::Panic(..)) => PANIC,
        Some(Failure::Violation(report)) => {
            let broken = report.violation.as_ref().map(|violation| violation.invariant);
            if broken == Some(Invariant::Progress) { PROGRESS } else { SAFETY }
        }
        None if !never.is_empty() => NEVER_FIRED,
        None => 0,
    }
}
