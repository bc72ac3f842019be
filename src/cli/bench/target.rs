//! The cluster that is loaded: processes of its own in a temporary folder, or one that runs,
//! in whose folder the clients' keys are.

use super::traffic;
use super::usage::Usages;
use crate::cli::demo::id_and_behaviour;
use crate::cli::{Exit, Failure};
use crate::client::Access;
use crate::cluster::{self, Processes, processes};
use crate::config::{
    self, ClientConfig, ClusterFile, InitOptions, KeyFiles, Layout, Ports, ReplicaConfig,
};
use crate::net::{Directory, Party};
use crate::types::{ClientId, Committee, LEAST_REPLICAS};
use clap::Args;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long replicas may take to serve clients.
const STARTING: Duration = Duration::from_secs(60);

/// Places for clients beside those of the load: connections that end are still counted a while.
const SPARE_PLACES: usize = 256;

/// How a cluster that is started here differs from the usual one.
#[derive(Args)]
pub(super) struct Local {
    /// How many replicas, of a cluster that is started here; 4 if nothing is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(4..=31))]
    replicas: Option<u16>,
    /// Make this replica lie in this way, in a cluster that is started here
    #[arg(long, value_name = "ID=BEHAVIOUR", value_parser = id_and_behaviour)]
    byzantine: Vec<(u16, String)>,
}

impl Local {
    fn is_usual(&self) -> bool {
        self.replicas.is_none() && self.byzantine.is_empty()
    }

    fn check(&self, replicas: u16) -> Result<(), Failure> {
        let faults = Committee::new(replicas).map_or(0, Committee::faults);
        let liars: BTreeSet<u16> = self.byzantine.iter().map(|(id, _)| *id).collect();
        let usage = |message: String| Err(Failure::new(Exit::Usage, message));
        match liars.last() {
            Some(last) if *last >= replicas => usage(format!(
                "there is no replica {last}: they are numbered 0 to {}",
                replicas - 1
            )),
            _ if liars.len() > faults => usage(format!(
                "{replicas} replicas bear {faults} that lie, and {} are named: take more --replicas",
                liars.len()
            )),
            _ => Ok(()),
        }
    }

    /// Who lies how, for the report.
    pub(super) fn liars(&self) -> impl Iterator<Item = String> + '_ {
        self.byzantine.iter().map(|(id, behaviour)| format!("{id}={behaviour}"))
    }
}

/// See the module's head.
pub(super) struct Target {
    layout: Layout,
    directory: Arc<Directory>,
    /// Those that were started here.
    processes: Option<Processes>,
    /// The processes of those replicas that run on this machine.
    pids: Vec<(u16, u32)>,
    /// Where replicas tell operators of themselves.
    admins: Vec<SocketAddr>,
    /// Removed when all has ended.
    folder: Option<PathBuf>,
}

impl Target {
    /// Finds or starts the cluster that was named, with so many clients.
    pub(super) fn open(named: &Path, clients: u32, local: &Local) -> Result<Target, Failure> {
        match named == Path::new("local") {
            true => Target::start(clients, local),
            false if local.is_usual() => Target::find(named, clients),
            false => Err(Failure::new(
                Exit::Usage,
                "--replicas and --byzantine are of clusters that are started here: leave them out, \
                 or take --cluster local",
            )),
        }
    }

    fn start(clients: u32, local: &Local) -> Result<Target, Failure> {
        let replicas = local.replicas.unwrap_or(LEAST_REPLICAS);
        local.check(replicas)?;
        let program = std::env::current_exe().map_err(|error| {
            Failure::local(format!("this program does not find itself ({error})"))
        })?;
        let folder = temporary_folder()?;
        let options = InitOptions {
            directory: folder.join("cluster"),
            name: "bench".to_owned(),
            clients,
            replicas,
            ports: Ports::Given(cluster::ports::free(usize::from(replicas))),
            ..InitOptions::default()
        };
        let layout = config::init(&options).map_err(Failure::local)?;
        admit(&layout, clients)?;
        let directory = directory(&layout)?;
        let admins = admins(&layout)?;
        let (processes, pids, folder) = (None, Vec::new(), Some(folder));
        let mut target = Target { layout, directory, processes, pids, admins, folder };
        let processes = Processes::new(program, target.layout.clone()).map_err(Failure::local)?;
        let processes = target.processes.insert(processes);
        for (id, behaviour) in &local.byzantine {
            processes.corrupt(*id, behaviour);
        }
        for id in processes.ids() {
            processes.start(id).map_err(Failure::local)?;
        }
        for id in processes.ids() {
            // A liar may never be ready: it is enough that it is there.
            let waited = match processes.is_honest(id) {
                true => processes.wait_ready(id, STARTING),
                false => processes.wait_alive(id, STARTING),
            };
            waited.map_err(Failure::local)?;
        }
        let pid = |id| Some((id, processes.process(id)?));
        target.pids = processes.ids().filter_map(pid).collect();
        Ok(target)
    }

    fn find(folder: &Path, clients: u32) -> Result<Target, Failure> {
        let layout = processes::existing(folder).map_err(Failure::local)?.ok_or_else(|| {
            Failure::local(format!(
                "{} holds no cluster's files: name the folder that 'quorate init' made, or 'local'",
                folder.display()
            ))
        })?;
        let listed = layout.clients.len();
        if usize::try_from(clients).unwrap_or(usize::MAX) > listed {
            return Err(Failure::local(format!(
                "{clients} clients were asked for, and the cluster lists {listed}: ask for fewer, \
                 or make a cluster with more by 'quorate init --clients'"
            )));
        }
        let directory = directory(&layout)?;
        let pids = super::usage::listeners(&directory);
        let admins = admins(&layout)?;
        Ok(Target { layout, directory, processes: None, pids, admins, folder: None })
    }

    /// What a client needs. In a cluster that is someone else's it keeps count of its request
    /// numbers like anybody with its key, so that the next who has it can go on; in one that
    /// is gone afterwards, the replicas are asked.
    pub(super) fn access(&self, id: u32) -> Result<Access, Failure> {
        let client = ClientId(id);
        if self.processes.is_none() {
            let path = usize::try_from(id).ok().and_then(|id| self.layout.clients.get(id));
            let path = path.ok_or_else(|| Failure::local(format!("there is no client {id}")))?;
            let config = ClientConfig::load(path).map_err(Failure::local)?;
            return Access::load(&config).map_err(Failure::local);
        }
        let keys = KeyFiles::of_client(&self.layout.directory, id);
        let keys = keys.load(&self.directory, Party::Client(client)).map_err(Failure::local)?;
        Ok(Access::new(client, keys.signer, keys.identity, Arc::clone(&self.directory)))
    }

    /// How many replicas it has.
    pub(super) fn replicas(&self) -> usize {
        self.layout.replicas.len()
    }

    /// What its replicas on this machine, and the clients, have used up to now.
    pub(super) fn usage(&self) -> Usages {
        let mut usages = Usages::read(&self.pids);
        for (id, usage) in &mut usages.replicas {
            let address = self.admins.get(usize::from(*id));
            let seen = address.and_then(|address| traffic::seen(*address));
            usage.sent = seen.map(|seen| seen.sent);
            usages.view = usages.view.max(seen.map_or(0, |seen| seen.view));
        }
        usages
    }

    /// An error if a replica that was started here has ended by itself.
    pub(super) fn require_alive(&mut self) -> Result<(), Failure> {
        let Some(processes) = &mut self.processes else { return Ok(()) };
        processes.ids().try_for_each(|id| processes.require_alive(id).map_err(Failure::local))
    }
}

/// Lets so many clients in, if those are more than usual.
fn admit(layout: &Layout, clients: u32) -> Result<(), Failure> {
    let usual = crate::net::Limits::default().client_connections;
    let wanted = usize::try_from(clients).unwrap_or(usize::MAX).saturating_add(SPARE_PLACES);
    if wanted <= usual {
        return Ok(());
    }
    let (line, ours) =
        (format!("# client_connections = {usual}"), format!("client_connections = {wanted}"));
    let edited = |path: &PathBuf| {
        let text = std::fs::read_to_string(path)?;
        std::fs::write(path, text.replace(&line, &ours))
    };
    layout
        .replicas
        .iter()
        .try_for_each(edited)
        .map_err(|error| Failure::local(format!("the replicas' files cannot be written ({error})")))
}

fn admins(layout: &Layout) -> Result<Vec<SocketAddr>, Failure> {
    let admin = |path: &PathBuf| ReplicaConfig::load(path).map(|config| config.admin);
    layout.replicas.iter().map(admin).collect::<Result<_, _>>().map_err(Failure::local)
}

fn directory(layout: &Layout) -> Result<Arc<Directory>, Failure> {
    let file = ClusterFile::load(&layout.cluster).map_err(Failure::local)?;
    file.directory_of(&layout.cluster).map(Arc::new).map_err(Failure::local)
}

/// A folder that nobody else has. Where temporary files are kept in memory, nothing that is
/// written there says what a disk would do; `TMPDIR` names another place.
fn temporary_folder() -> Result<PathBuf, Failure> {
    let chance = getrandom::u64();
    let chance = chance.map_err(|error| Failure::local(format!("no randomness: {error}")))?;
    let folder = std::env::temp_dir().join(format!("quorate-bench-{chance:016x}"));
    std::fs::create_dir(&folder).map_err(|error| {
        Failure::local(format!("{} cannot be made ({error})", folder.display()))
    })?;
    Ok(folder)
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(mut processes) = self.processes.take() {
            processes.terminate_all();
        }
        if let Some(folder) = &self.folder
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            note!("quorate: {} stays ({error}): remove it", folder.display());
        }
    }
}
