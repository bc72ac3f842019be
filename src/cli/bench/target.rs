//! The cluster that is loaded: four processes of its own in a temporary folder, or one that
//! runs, in whose folder the clients' keys are.

use super::usage::Usages;
use crate::cli::Failure;
use crate::client::Access;
use crate::cluster::{self, Processes, processes};
use crate::config::{self, ClusterFile, InitOptions, KeyFiles, Layout, Ports};
use crate::net::{Directory, Party};
use crate::types::ClientId;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long replicas may take to serve clients.
const STARTING: Duration = Duration::from_secs(60);

/// See the module's head.
pub(super) struct Target {
    layout: Layout,
    directory: Arc<Directory>,
    /// Those that were started here.
    processes: Option<Processes>,
    /// The processes of those replicas that run on this machine.
    pids: Vec<(u16, u32)>,
    /// Removed when all has ended.
    folder: Option<PathBuf>,
}

impl Target {
    /// Finds or starts the cluster that was named, with so many clients.
    pub(super) fn open(named: &Path, clients: u32) -> Result<Target, Failure> {
        match named == Path::new("local") {
            true => Target::start(clients),
            false => Target::find(named, clients),
        }
    }

    fn start(clients: u32) -> Result<Target, Failure> {
        let program = std::env::current_exe().map_err(|error| {
            Failure::local(format!("this program does not find itself ({error})"))
        })?;
        let folder = temporary_folder()?;
        let replicas = InitOptions::default().replicas;
        let options = InitOptions {
            directory: folder.join("cluster"),
            name: "bench".to_owned(),
            clients,
            ports: Ports::Given(cluster::ports::free(usize::from(replicas))),
            ..InitOptions::default()
        };
        let layout = config::init(&options).map_err(Failure::local)?;
        let directory = directory(&layout)?;
        let mut target =
            Target { layout, directory, processes: None, pids: Vec::new(), folder: Some(folder) };
        let processes = Processes::new(program, target.layout.clone()).map_err(Failure::local)?;
        let processes = target.processes.insert(processes);
        for id in processes.ids() {
            processes.start(id).map_err(Failure::local)?;
        }
        for id in processes.ids() {
            processes.wait_ready(id, STARTING).map_err(Failure::local)?;
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
        Ok(Target { layout, directory, processes: None, pids, folder: None })
    }

    /// What a client needs. Its request numbers are asked of the replicas, and kept in no
    /// file: they are of no use to anybody afterwards.
    pub(super) fn access(&self, id: u32) -> Result<Access, Failure> {
        let keys = KeyFiles::of_client(&self.layout.directory, id);
        let client = ClientId(id);
        let keys = keys.load(&self.directory, Party::Client(client)).map_err(Failure::local)?;
        Ok(Access::new(client, keys.signer, keys.identity, Arc::clone(&self.directory)))
    }

    /// What its replicas on this machine, and the clients, have used up to now.
    pub(super) fn usage(&self) -> Usages {
        Usages::read(&self.pids)
    }

    /// An error if a replica that was started here has ended by itself.
    pub(super) fn require_alive(&mut self) -> Result<(), Failure> {
        let Some(processes) = &mut self.processes else { return Ok(()) };
        processes.ids().try_for_each(|id| processes.require_alive(id).map_err(Failure::local))
    }
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
            eprintln!("quorate: {} stays ({error}): remove it", folder.display());
        }
    }
}
