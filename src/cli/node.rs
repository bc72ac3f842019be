//! `quorate node`: runs one replica until it is told to stop.

use super::{Exit, Failure};
use crate::config::{Log, LogFormat, ReplicaConfig};
use crate::node::{Node, NodeError, Options, Setup};
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs one replica. It ends in order when it is told to, by SIGTERM or Ctrl-C, and else
/// only for a reason that an operator must see to.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate node --config demo/config/replica-0.toml
  quorate node --config demo/config/replica-0.toml --recover

Exit codes: 0 told to stop, 2 usage, 4 the disk was lost or has gone back in time (start it
with --recover), 7 local configuration, keys or disk")]
pub struct Run {
    /// The replica's configuration
    #[arg(long, value_name = "FILE", env = "QUORATE_CONFIG")]
    config: PathBuf,
    /// The disk was lost, or has gone back in time: set aside what is there, fetch the
    /// state from the others, and come back in a new life. For one start only
    #[arg(long)]
    recover: bool,
}

impl Run {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let config = ReplicaConfig::load(&self.config).map_err(Failure::local)?;
        begin_logging(&config.log)?;
        let setup = Setup::load(&config).map_err(Failure::local)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| Failure::local(format!("the system gives no threads: {error}")))?;
        let options = Options { recover: self.recover, ..Options::default() };
        runtime.block_on(run(setup, options))
    }
}

async fn run(setup: Setup, options: Options) -> Result<(), Failure> {
    let listening = |kind| {
        signal(kind).map_err(|error| Failure::local(format!("no signals can be heard: {error}")))
    };
    let mut terminate = listening(SignalKind::terminate())?;
    let mut interrupt = listening(SignalKind::interrupt())?;
    let mut node = Node::start(setup, options).await.map_err(failure)?;
    tokio::select! {
        error = node.ended() => return Err(failure(error)),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    node.stop().await.map_err(failure)?;
    tracing::info!("stopped");
    Ok(())
}

fn failure(error: NodeError) -> Failure {
    let exit = match &error {
        NodeError::RolledBack => Exit::NotVerified,
        NodeError::Storage(_)
        | NodeError::Record { .. }
        | NodeError::Start(_)
        | NodeError::Endpoint(_)
        | NodeError::Listen { .. }
        | NodeError::System { .. }
        | NodeError::Bug => Exit::Local,
    };
    Failure::new(exit, error)
}

fn begin_logging(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|error| Failure::local(format!("log.level {:?}: {error}", log.level)))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| Failure::local(format!("the log cannot begin: {error}")))
}
