//! A cluster of processes on this machine: each replica is a `quorate` of its own, with the
//! files of its own, and can be killed.
//!
//! The processes end with whoever started them: they are killed when [`Processes`] is
//! dropped, and end by themselves when their standard input is closed, which the system does
//! even for a parent that was killed.

use super::admin;
use crate::config::init::CONFIG;
use crate::config::{ConfigError, Layout, ReplicaConfig};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(15);

/// How many of the last lines of its log are shown of a replica that failed.
const SHOWN_LINES: usize = 8;

/// The most bytes of a log that are read for that.
const SHOWN_BYTES: u64 = 16 << 10;

/// What can go wrong with processes.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A configuration is no good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system does not start it, or a file cannot be written.
    #[error("{what} ({error})")]
    System {
        /// What it does not do.
        what: String,
        /// In its words.
        error: io::Error,
    },
    /// It ended by itself.
    #[error("replica {id} ended by itself ({status}); the end of its log, {}:\n{tail}", log.display())]
    Ended {
        /// Which one.
        id: u16,
        /// How.
        status: ExitStatus,
        /// Where its log is.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// It did not become ready.
    #[error(
        "replica {id} was not ready within {waited:?}: {why}; the end of its log, {}:\n{tail}",
        log.display()
    )]
    NotReady {
        /// Which one.
        id: u16,
        /// How long was waited.
        waited: Duration,
        /// What it says itself.
        why: String,
        /// Where its log is.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
}

/// See the module's head.
pub struct Processes {
    program: PathBuf,
    layout: Layout,
    logs: PathBuf,
    admins: Vec<SocketAddr>,
    behaviours: BTreeMap<u16, String>,
    children: BTreeMap<u16, Child>,
}

impl Processes {
    /// The replicas of these files, none of which runs yet.
    pub fn new(program: PathBuf, layout: Layout) -> Result<Processes, ProcessError> {
        let admin = |path: &PathBuf| ReplicaConfig::load(path).map(|config| config.admin);
        let admins = layout.replicas.iter().map(admin).collect::<Result<_, _>>()?;
        let logs = layout.directory.join("logs");
        fs::create_dir_all(&logs).map_err(|error| ProcessError::System {
            what: format!("{} cannot be made", logs.display()),
            error,
        })?;
        let (behaviours, children) = (BTreeMap::new(), BTreeMap::new());
        Ok(Processes { program, layout, logs, admins, behaviours, children })
    }

    /// This replica lies from its next start on.
    pub fn corrupt(&mut self, id: u16, behaviour: &str) {
        self.behaviours.insert(id, behaviour.to_owned());
    }

    /// The files.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The numbers of all replicas.
    pub fn ids(&self) -> impl Iterator<Item = u16> + use<> {
        0..u16::try_from(self.layout.replicas.len()).unwrap_or(u16::MAX)
    }

    /// Where a replica tells operators of itself.
    pub fn admin(&self, id: u16) -> SocketAddr {
        self.admins[usize::from(id)]
    }

    /// Where a replica's log is.
    pub fn log(&self, id: u16) -> PathBuf {
        self.logs.join(format!("replica-{id}.log"))
    }

    /// The number of its process, if it runs.
    pub fn process(&self, id: u16) -> Option<u32> {
        self.children.get(&id).map(Child::id)
    }

    /// Starts a replica, unless it runs.
    pub fn start(&mut self, id: u16) -> Result<(), ProcessError> {
        self.start_with(id, &[])
    }

    /// The same, with more arguments, such as `--recover`.
    pub fn start_with(&mut self, id: u16, arguments: &[&str]) -> Result<(), ProcessError> {
        if self.children.contains_key(&id) {
            return Ok(());
        }
        let log = self.log(id);
        let mut command = Command::new(&self.program);
        match self.behaviours.get(&id) {
            None => command.arg("node"),
            Some(behaviour) => command.args(["byzantine-node", "--behaviour", behaviour]),
        };
        command.arg("--config").arg(&self.layout.replicas[usize::from(id)]);
        command.arg("--until-stdin-closes").args(arguments);
        command.env_remove("QUORATE_CONFIG").stdin(Stdio::piped()).stdout(Stdio::null());
        let opened = OpenOptions::new().create(true).append(true).open(&log);
        let opened = opened.map_err(|error| ProcessError::System {
            what: format!("{} cannot be written", log.display()),
            error,
        })?;
        let child = command.stderr(opened).spawn().map_err(|error| ProcessError::System {
            what: format!("{} cannot be started", self.program.display()),
            error,
        })?;
        self.children.insert(id, child);
        Ok(())
    }

    /// Whether this replica was not made to lie.
    pub fn is_honest(&self, id: u16) -> bool {
        !self.behaviours.contains_key(&id)
    }

    /// Waits until this replica serves clients.
    pub fn wait_ready(&mut self, id: u16, patience: Duration) -> Result<(), ProcessError> {
        self.wait_for(id, "/readyz?verbose", patience)
    }

    /// Waits until this replica answers operators.
    pub fn wait_alive(&mut self, id: u16, patience: Duration) -> Result<(), ProcessError> {
        self.wait_for(id, "/livez", patience)
    }

    fn wait_for(&mut self, id: u16, page: &str, patience: Duration) -> Result<(), ProcessError> {
        let deadline = Instant::now() + patience;
        loop {
            self.require_alive(id)?;
            let why = match admin::get(self.admin(id), page) {
                Ok((200, _)) => return Ok(()),
                Ok((_, text)) => text.replace('\n', " "),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                let (log, tail) = (self.log(id), self.tail(id));
                return Err(ProcessError::NotReady { id, waited: patience, why, log, tail });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// An error if the process of this replica has ended by itself.
    pub fn require_alive(&mut self, id: u16) -> Result<(), ProcessError> {
        let Some(child) = self.children.get_mut(&id) else { return Ok(()) };
        let Ok(Some(status)) = child.try_wait() else { return Ok(()) };
        self.children.remove(&id);
        let (log, tail) = (self.log(id), self.tail(id));
        Err(ProcessError::Ended { id, status, log, tail })
    }

    /// Kills a replica, as a power failure would, and waits until it is gone.
    pub fn kill(&mut self, id: u16) {
        if let Some(mut child) = self.children.remove(&id) {
            // One that has ended by itself is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Tells a replica to stop, and waits for its end.
    pub fn terminate(&mut self, id: u16) -> Option<ExitStatus> {
        self.signal(id, Signal::TERM);
        self.children.remove(&id)?.wait().ok()
    }

    /// Stops a replica where it stands. When this returns, it does.
    pub fn pause(&self, id: u16) {
        self.signal(id, Signal::STOP);
        if let Some(pid) = self.pid(id) {
            // On a busy machine a process may run on for long after the signal was sent. One
            // that has ended stands still too; it is left for whoever waits for its end.
            let still = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = waitid(WaitId::Pid(pid), still);
        }
    }

    /// Lets it go on.
    pub fn resume(&self, id: u16) {
        self.signal(id, Signal::CONT);
    }

    fn signal(&self, id: u16, signal: Signal) {
        if let Some(pid) = self.pid(id) {
            let _ = kill_process(pid, signal);
        }
    }

    /// The system's number of a replica's process. Nobody has waited for it yet, so it is
    /// still its own.
    fn pid(&self, id: u16) -> Option<Pid> {
        let child = self.children.get(&id)?;
        Pid::from_raw(i32::try_from(child.id()).ok()?)
    }

    /// Tells all to stop, and waits for their ends.
    pub fn terminate_all(&mut self) {
        let running: Vec<u16> = self.children.keys().copied().collect();
        running.iter().for_each(|id| self.signal(*id, Signal::TERM));
        for id in running {
            self.terminate(id);
        }
    }

    fn tail(&self, id: u16) -> String {
        let text = tail_of(&self.log(id)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(SHOWN_LINES);
        lines[from..].iter().map(|line| format!("  {line}\n")).collect()
    }
}

fn tail_of(path: &Path) -> io::Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(SHOWN_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Drop for Processes {
    fn drop(&mut self) {
        let running: Vec<u16> = self.children.keys().copied().collect();
        running.into_iter().for_each(|id| self.kill(id));
    }
}

/// The files of a cluster that was made before, in this folder.
pub fn existing(directory: &Path) -> Result<Option<Layout>, ConfigError> {
    let folder = directory.join(CONFIG);
    let cluster = folder.join("cluster.toml");
    if !cluster.exists() {
        return Ok(None);
    }
    let file = crate::config::ClusterFile::load(&cluster)?;
    let named = |stem: &str, count: usize| -> Vec<PathBuf> {
        (0..count).map(|id| folder.join(format!("{stem}-{id}.toml"))).collect()
    };
    Ok(Some(Layout {
        directory: directory.to_path_buf(),
        id: file.id(),
        replicas: named("replica", file.replicas.len()),
        clients: named("client", file.clients.len()),
        cluster,
    }))
}
