//! Running one replica until it is told to stop.

use super::{Exit, Failure};
use crate::config::{Log, LogFormat, ReplicaConfig};
use crate::node::{Node, NodeError, Options, Setup};
use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::IsTerminal;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The files that a node has open beside those of replicas and clients.
const OWN_FILES: usize = 64;

/// Which replica, and how it is started.
#[derive(Args)]
pub struct Serving {
    /// The replica's configuration
    #[arg(long, value_name = "FILE", env = "QUORATE_CONFIG")]
    config: PathBuf,
    /// The disk was lost, or has gone back in time: set aside what is there, fetch the
    /// state from the others, and come back in a new life. For one start only
    #[arg(long)]
    recover: bool,
    /// End in order also when standard input is closed: for those who start replicas as
    /// their children
    #[arg(long)]
    until_stdin_closes: bool,
}

impl Serving {
    /// Its configuration.
    pub fn config(&self) -> Result<ReplicaConfig, Failure> {
        ReplicaConfig::load(&self.config).map_err(Failure::local)
    }

    /// Runs it, with these options and its own.
    pub fn run(&self, options: Options) -> Result<(), Failure> {
        let config = self.config()?;
        begin_logging(&config.log)?;
        let setup = Setup::load(&config).map_err(Failure::local)?;
        raise_file_limit(&config);
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime
            .map_err(|error| Failure::local(format!("the system gives no threads: {error}")))?;
        let options = Options { recover: self.recover, ..options };
        runtime.block_on(run(setup, options, self.until_stdin_closes))
    }
}

/// Resolves when standard input is closed; never, if that is not wanted.
async fn stdin_closed(is_wanted: bool) {
    let (closed, waiting) = oneshot::channel();
    if !is_wanted {
        return std::future::pending().await;
    }
    // Reading cannot be interrupted: it gets a thread that nobody waits for.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    // An error is the thread's end, which is the same.
    let _ = waiting.await;
}

async fn run(setup: Setup, options: Options, until_stdin_closes: bool) -> Result<(), Failure> {
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
        () = stdin_closed(until_stdin_closes) => {}
    }
    tracing::info!("stopping");
    node.stop().await.map_err(failure)?;
    tracing::info!("stopped");
    Ok(())
}

/// Each connection is an open file, and a log that cannot open its next one ends the node:
/// so it takes as many as the system allows, and says if those may be too few.
fn raise_file_limit(config: &ReplicaConfig) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where that is not allowed, there are as many as before.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limits = &config.limits;
    let replicas = 2 * config.cluster.replicas.len();
    let parts = [limits.handshakes, limits.client_connections, replicas, OWN_FILES];
    let needed = parts.into_iter().fold(0, usize::saturating_add);
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed.filter(|allowed| *allowed < needed as u64) {
        tracing::warn!(
            allowed,
            needed,
            "the system allows fewer open files than this node's connections may need: raise \
             'ulimit -n' (LimitNOFILE= in systemd), or lower limits.client_connections"
        );
    }
}

fn failure(error: NodeError) -> Failure {
    let exit = match &error {
        NodeError::RolledBack => Exit::NotVerified,
        NodeError::Storage(_)
        | NodeError::NoRoomToStart(_)
        | NodeError::NoRoomToStop(_)
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
    let filter = log.filter().map_err(Failure::local)?;
    // A log that cannot be written is no reason to stop. By default that would be said on
    // standard error, which is what cannot be written, and by a panic.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let begun = match log.format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| Failure::local(format!("the log cannot begin: {error}")))
}
