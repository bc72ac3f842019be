//! `quorate demo`: a cluster of processes on this machine, and a story that it tells.

mod heard;
mod kill;
mod lies;
mod story;

use super::{Exit, Failure};
use crate::byzantine;
use crate::cluster::{self, ProcessError, Processes, processes};
use crate::config::{self, InitOptions, Layout, Ports, ReplicaConfig};
use crate::message::genesis::Parameters;
use crate::types::Committee;
use clap::Args;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;
use story::Story;
use tokio::signal::unix::{SignalKind, signal};

/// How long a replica may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is seen whether all replicas still run, while the cluster stays up.
const LOOK: Duration = Duration::from_millis(500);

/// Makes a cluster on this machine, starts its replicas as processes of their own, and shows
/// what it does: writes, reads, proofs and receipts; what a failure costs, and what becomes
/// of lies. Then it stays up to be tried, until Ctrl-C.
#[derive(Args)]
#[command(after_help = "Examples:
  quorate demo
  quorate demo --once --kill 0
  quorate demo --once --byzantine 2=client-liar
  quorate demo --once --replicas 7 --kill 0 --byzantine 1=equivocating

Who can lie how: quorate byzantine-node --list

Exit codes: 0 done, 2 usage, 3 no quorum, 4 a proof did not hold, 7 files, ports or processes")]
pub struct Demo {
    /// Where its files are; a cluster that is there already is used again
    #[arg(long, value_name = "DIR", default_value = "quorate-demo")]
    dir: PathBuf,
    /// End after the demonstration
    #[arg(long)]
    once: bool,
    /// Kill this replica in the middle, and start it again
    #[arg(long, value_name = "ID")]
    kill: Option<u16>,
    /// Make this replica lie in this way
    #[arg(long, value_name = "ID=BEHAVIOUR", value_parser = id_and_behaviour)]
    byzantine: Vec<(u16, String)>,
    /// How many replicas; 4 in a new cluster if nothing is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(4..=31))]
    replicas: Option<u16>,
}

/// A replica and how it lies, as on a command line.
pub(super) fn id_and_behaviour(text: &str) -> Result<(u16, String), String> {
    let (id, name) = text.split_once('=').ok_or("write it as 2=equivocating")?;
    let id = id.parse().map_err(|_| format!("{id:?} is no replica's number"))?;
    byzantine::role(name).map_err(|error| error.to_string())?;
    Ok((id, name.to_owned()))
}

impl Demo {
    /// Runs it.
    pub fn run(&self) -> Result<(), Failure> {
        let (layout, is_new) = self.files()?;
        let replicas = u16::try_from(layout.replicas.len()).unwrap_or(u16::MAX);
        let committee = Committee::new(replicas);
        let committee = committee
            .ok_or_else(|| Failure::local(format!("{replicas} replicas make no cluster")))?;
        self.check(committee)?;
        require_free(&layout)?;
        let program = std::env::current_exe();
        let program = program.map_err(|error| {
            Failure::local(format!("this program does not find itself ({error})"))
        })?;
        let mut cluster = Processes::new(program, layout).map_err(failure)?;
        for (id, behaviour) in &self.byzantine {
            cluster.corrupt(*id, behaviour);
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        let runtime = runtime
            .map_err(|error| Failure::local(format!("the system gives no threads: {error}")))?;
        runtime.block_on(async {
            self.tell(&mut cluster, committee, is_new).await?;
            match self.once {
                true => Ok(()),
                false => stay(&mut cluster).await,
            }
        })?;
        cluster.terminate_all();
        say!("\nAll replicas have stopped; nothing is left running.");
        Ok(())
    }

    /// What of a cluster there is, or a new one.
    fn files(&self) -> Result<(Layout, bool), Failure> {
        if let Some(layout) = processes::existing(&self.dir).map_err(Failure::local)? {
            let there = layout.replicas.len();
            return match self.replicas {
                Some(wanted) if usize::from(wanted) != there => Err(Failure::new(
                    Exit::Usage,
                    format!(
                        "the cluster in {} has {there} replicas: choose another --dir, or remove \
                         that folder",
                        self.dir.display()
                    ),
                )),
                _ => Ok((layout, false)),
            };
        }
        let replicas = self.replicas.unwrap_or(crate::types::LEAST_REPLICAS);
        // Checkpoints come soon, to show what they are for.
        let parameters =
            Parameters { checkpoint_interval: 16, window: 64, ..Parameters::default() };
        let options = InitOptions {
            directory: self.dir.clone(),
            replicas,
            clients: 4,
            ports: Ports::Given(cluster::ports::free(usize::from(replicas))),
            parameters,
            ..InitOptions::default()
        };
        Ok((config::init(&options).map_err(Failure::local)?, true))
    }

    fn check(&self, committee: Committee) -> Result<(), Failure> {
        let mut faulty: Vec<u16> = self.byzantine.iter().map(|(id, _)| *id).collect();
        faulty.extend(self.kill);
        faulty.sort_unstable();
        let named = faulty.len();
        faulty.dedup();
        let size = committee.size();
        if let Some(id) = faulty.iter().find(|id| usize::from(**id) >= size) {
            let message = format!("there is no replica {id}: they are numbered 0 to {}", size - 1);
            return Err(Failure::new(Exit::Usage, message));
        }
        if named > faulty.len() {
            let message = "a replica is named twice: kill another one than the liar";
            return Err(Failure::new(Exit::Usage, message));
        }
        let most = committee.faults();
        match faulty.len() > most {
            false => Ok(()),
            true => Err(Failure::new(
                Exit::Usage,
                format!(
                    "{size} replicas bear {most} that fail or lie, and {} are named: take \
                     --replicas {} in another --dir",
                    faulty.len(),
                    3 * faulty.len() + 1
                ),
            )),
        }
    }

    async fn tell(
        &self,
        cluster: &mut Processes,
        committee: Committee,
        is_new: bool,
    ) -> Result<(), Failure> {
        let layout = cluster.layout();
        say!(
            "A cluster of {} replicas, of which {} may fail or lie; {} are a quorum.",
            committee.size(),
            committee.faults(),
            committee.quorum()
        );
        let made = if is_new { "made now" } else { "made before, and used again" };
        say!("Its files are in {} ({made}).", layout.directory.display());
        let mut story = Story::begin(cluster, committee).await?;
        story.writes_and_reads().await?;
        story.proof().await?;
        story.receipt().await?;
        for (id, behaviour) in &self.byzantine {
            story.lies(cluster, *id, behaviour).await?;
        }
        if let Some(id) = self.kill {
            story.kills(cluster, id).await?;
        }
        story.ends(cluster).await
    }
}

/// An error if somebody has the replicas' ports: another demonstration in the same folder,
/// whose replicas would be taken for this one's.
fn require_free(layout: &Layout) -> Result<(), Failure> {
    for path in &layout.replicas {
        let config = ReplicaConfig::load(path).map_err(Failure::local)?;
        let listen = config.listen_address().map_err(Failure::local)?;
        for address in [listen, config.admin] {
            TcpListener::bind(address).map_err(|error| {
                Failure::local(format!(
                    "replica {} cannot listen at {address} ({error}): does the cluster in {} run \
                     already? End it, or choose another --dir",
                    config.id,
                    layout.directory.display()
                ))
            })?;
        }
    }
    Ok(())
}

/// Keeps the cluster up until it is told to end, and says so if a replica ends.
async fn stay(cluster: &mut Processes) -> Result<(), Failure> {
    let terminate = signal(SignalKind::terminate());
    let mut terminate =
        terminate.map_err(|error| Failure::local(format!("no signals can be heard: {error}")))?;
    let client = cluster.layout().clients.first().map(|path| path.display().to_string());
    let client = client.unwrap_or_default();
    say!("\nThe cluster stays up until Ctrl-C. In another terminal, try:");
    say!("  export QUORATE_CONFIG={client}");
    say!("  quorate put greeting hello");
    say!("  quorate get greeting --read proved -o json");
    say!("  quorate status --watch");
    say!("  quorate evidence list");
    say!("  kill -9 {}", cluster.process(0).unwrap_or_default());
    for id in cluster.ids() {
        say!("  curl http://{}/metrics", cluster.admin(id));
    }
    let mut looking = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = looking.tick() => {
                for id in cluster.ids() {
                    if let Err(error) = cluster.require_alive(id) {
                        say!("\n{error}\nThe others go on if they are a quorum.");
                    }
                }
            }
        }
    }
}

fn failure(error: ProcessError) -> Failure {
    Failure::local(error)
}
