//! `quorate bench`: loads a cluster and measures what it does.
//!
//! | file | its job |
//! | --- | --- |
//! | `target` | the cluster that is loaded: its own processes, or one that runs |
//! | `work` | what is asked: keys, values, reads and writes |
//! | `fill` | all keys written before |
//! | `load` | the clients: in a closed loop, or at a rate |
//! | `tally` | what came of it: times, errors |
//! | `usage` | what processes took of the machine |
//! | `traffic` | what replicas sent |
//! | `report`, `plot` | the figures, for people and programs |

mod fill;
mod load;
mod plot;
mod report;
mod tally;
mod target;
mod traffic;
mod usage;
mod work;

use super::access::{HOW_WRITTEN, Output, print, print_json};
use super::{Exit, Failure};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use load::{Load, Pace};
use report::{Report, Run};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::PathBuf;
use std::time::Duration;
use target::{Local, Target};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::block_in_place;
use work::{Distribution, Workload};

/// The most clients of one measurement.
const MOST_CLIENTS: i64 = 10_000;

/// Loads a cluster and measures it. Each client has an identity and connections of its own;
/// all run in this process.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate bench                                      four processes of its own, 16 clients
  quorate bench --clients 1,16,64,256 --plot curve.svg
  quorate bench --clients 1 --in-flight 256          one client, many requests at once
  quorate bench --clients 64 --rate 2000             asks on time, whatever is answered
  quorate bench --replicas 7 --byzantine 1=equivocating
  quorate bench --keys 1000000 --fill                writes among a million keys
  quorate bench --cluster demo --clients 4 -o json   a cluster that runs, its clients' keys

Without --rate each client asks again as soon as it is answered, and --in-flight says how many
requests it has under way. With --rate requests are due at fixed times, and a late answer
counts from when its request was due, so a stall is seen in every request that it delayed.

What was written stays in a cluster that runs: keys that begin with bench/.

Exit codes: 0 done, 2 usage, 3 no quorum answers, 7 local configuration, keys or processes")]
pub struct Bench {
    /// 'local' to start four replicas in a temporary folder, or the folder of a cluster that
    /// runs, as 'quorate init' made it
    #[arg(long, value_name = "local|DIR", default_value = "local")]
    cluster: PathBuf,
    #[command(flatten)]
    local: Local,
    /// How many clients; several numbers are measured one after another
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "16",
          value_parser = clap::value_parser!(u32).range(1..=MOST_CLIENTS))]
    clients: Vec<u32>,
    /// How many requests each client has under way
    #[arg(long, value_name = "M", default_value_t = 1, conflicts_with = "rate",
          value_parser = clap::value_parser!(u32).range(1..=4_096))]
    in_flight: u32,
    /// How many requests are made each second, by all clients together
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: Option<u32>,
    /// How long is measured, in seconds
    #[arg(long, value_name = "S", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// How long the load runs before that, in seconds
    #[arg(long, value_name = "S", default_value_t = 3,
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    warm_up: u64,
    /// What is asked for
    #[arg(long, value_enum, default_value_t = Workload::Put)]
    workload: Workload,
    /// The size of values
    #[arg(long, value_name = "BYTES", default_value_t = 100,
          value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    value_bytes: u32,
    /// How many keys there are
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    keys: u32,
    /// Write all keys first, as is done anyway before reads
    #[arg(long)]
    fill: bool,
    /// Which keys are asked for
    #[arg(long, value_enum, default_value_t = Distribution::Uniform)]
    distribution: Distribution,
    /// Threads of the clients together [default: one for every two cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: Option<u16>,
    /// Draws throughput against latency into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// How the figures are printed
    #[arg(short, long, value_enum, default_value_t = Output::Table, long_help = HOW_WRITTEN)]
    output: Output,
}

impl Bench {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        // Each client has a connection to each replica. Where more are not allowed, there are
        // as many as before.
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(self.threads());
        let runtime = builder.enable_all().build();
        let runtime = runtime
            .map_err(|error| Failure::local(format!("the system gives no threads: {error}")))?;
        // From here on, so that no replica outlives this process: one that is told to end
        // while they start does so once they have.
        let mut told = runtime.block_on(async { ToldToEnd::listen() })?;
        let most = self.clients.iter().copied().max().unwrap_or(1);
        let mut target = Target::open(&self.cluster, most, &self.local)?;
        let runs = runtime.block_on(async {
            tokio::select! {
                biased;
                interrupted = told.wait() => Err(interrupted),
                runs = self.measure(&mut target) => runs,
            }
        });
        runtime.shutdown_background();
        let report = Report::new(self, target.replicas(), runs?);
        drop(target);
        if let Some(path) = &self.plot {
            let written = std::fs::write(path, plot::draw(&report));
            written.map_err(|error| {
                Failure::local(format!("{} cannot be written ({error})", path.display()))
            })?;
        }
        match self.output {
            Output::Table => print(format!("{}\n", report.table()).as_bytes()),
            Output::Json => print_json(&report.json()),
        }
    }

    async fn measure(&self, target: &mut Target) -> Result<Vec<Run>, Failure> {
        let progress = progress();
        let mut load = Load::new(self.work());
        let mut runs = Vec::new();
        for count in &self.clients {
            progress.set_message(format!("{count} clients connect"));
            load.connect(target, *count).await?;
            if self.fill || self.workload != Workload::Put {
                progress.set_message("keys are written");
                load.fill().await?;
            }
            runs.push(self.measure_one(target, &load, *count, &progress).await?);
            progress.suspend(|| target.require_alive())?;
        }
        progress.finish_and_clear();
        Ok(runs)
    }

    async fn measure_one(
        &self,
        target: &Target,
        load: &Load,
        clients: u32,
        progress: &ProgressBar,
    ) -> Result<Run, Failure> {
        let running = load.start(clients, self.pace());
        let wait = async |name: &str, seconds: u64| {
            for second in 0..seconds {
                let done = running.done();
                progress.set_message(format!(
                    "{clients} clients, {name} {second}/{seconds} s, {done} done"
                ));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        wait("warm-up", self.warm_up).await;
        let before = block_in_place(|| target.usage());
        let began = running.measure();
        wait("measured", self.seconds).await;
        running.stop();
        let seconds = began.elapsed().as_secs_f64();
        let usage = block_in_place(|| target.usage()).since(&before);
        progress.set_message(format!("{clients} clients, the last answers"));
        let tally = running.end().await;
        match tally.is_empty() {
            false => Ok(Run::new(clients, tally, seconds, usage)),
            true => Err(Failure::new(
                Exit::NoQuorum,
                format!(
                    "no request of {clients} clients was answered in {} s ({}): do the replicas \
                     run, and does 'quorate get' with one of these clients' files get an answer?",
                    self.seconds,
                    tally.complaint()
                ),
            )),
        }
    }

    /// Replicas on this machine need processors too, and what one thread does for clients
    /// need not be handed from one to another.
    fn threads(&self) -> usize {
        let half = || std::thread::available_parallelism().map_or(1, |all| all.get().div_ceil(2));
        self.threads.map_or_else(half, usize::from)
    }

    fn work(&self) -> work::Settings {
        work::Settings {
            workload: self.workload,
            value_bytes: usize::try_from(self.value_bytes).unwrap_or(usize::MAX),
            keys: self.keys,
            distribution: self.distribution,
        }
    }

    fn pace(&self) -> Pace {
        match self.rate {
            None => Pace::Closed { in_flight: self.in_flight },
            Some(rate) => Pace::Open { rate },
        }
    }
}

/// Hears when this process is told to end: what was started here ends with it, and the
/// folder goes.
struct ToldToEnd {
    interrupt: Signal,
    terminate: Signal,
}

impl ToldToEnd {
    fn listen() -> Result<ToldToEnd, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::local(format!("signals are not heard: {error}")))
        };
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(ToldToEnd { interrupt, terminate: listen(SignalKind::terminate())? })
    }

    async fn wait(&mut self) -> Failure {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        Failure::local("interrupted: nothing is reported of what was measured so far")
    }
}

/// A line on a terminal that says what is being done; nothing elsewhere.
fn progress() -> ProgressBar {
    let progress = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
    progress.set_draw_target(ProgressDrawTarget::stderr());
    progress.enable_steady_tick(Duration::from_millis(200));
    progress
}
