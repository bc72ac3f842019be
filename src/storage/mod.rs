//! What a replica keeps on disk, and gets back from it (§ Stable storage and recovery).
//!
//! Two things, in one data directory that is locked while it is used:
//!
//! - `log/`: the **write-ahead log** of promises. [`Storage::append`] gathers records,
//!   [`Storage::sync`] makes all of them durable with one write and one sync, and only
//!   then hands out the [`Durable`] without which nothing that they promise is sent.
//! - `states.redb`: the **states** at the stable checkpoint and the later ones, written in
//!   the background, only what changed from one to the next.
//!
//! What is read back is what was written, or it is refused with the file, the place and
//! what to do: a replica never starts from a guess. The one thing that is cut is a record
//! whose write a crash interrupted.
//!
//! Must not: know what the records mean beyond the number that they are about, decide
//! what may be forgotten, try a failed sync again, or delete what an operator may need.
//!
//! | file | its job |
//! | --- | --- |
//! | `frame`, `entry` | the bytes of the log |
//! | `replay` | reading them back; what is a torn end, and what is damage |
//! | `log`, `spare`, `manifest` | the segments: writing, room made ahead, which there are |
//! | `states`, `keeper` | the states, a whole and records; and the thread that writes them |
//! | `backlog` | what waits for that thread, within bounds |
//! | `hush` | calls of what may panic over a rotten file |
//! | `store` | the file that they are in |
//! | `medium` | the few operations on files that the log needs |

mod backlog;
mod entry;
mod error;
mod frame;
mod hush;
mod keeper;
mod lock;
mod log;
mod manifest;
mod medium;
mod replay;
mod spare;
mod states;
mod store;

#[cfg(test)]
mod tests;

pub use error::StorageError;

use crate::crypto::ClusterId;
use crate::replica::effects::Durable;
use crate::replica::{Compaction, Record, Save};
use crate::service::Tree;
use crate::service::tree::{Part, Path as TreePath};
use crate::types::{Digest, ReplicaId, Seq};
use keeper::{Keeper, Tell};
use lock::Lock;
use log::Log;
use medium::{Medium, Real};
use states::{Job, States};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Whose data these are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster: ClusterId,
    /// The replica in it.
    pub replica: ReplicaId,
}

/// How to store.
#[derive(Clone, Debug)]
pub struct Options {
    /// The bytes of a segment of the log. Two more than needed are there at most.
    pub segment_bytes: u64,
    /// The most memory that the store of states takes for its own.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_bytes: 16 << 20, cache_bytes: 8 << 20 }
    }
}

/// What was found in a data directory.
pub struct Found {
    /// The log, in its order, from its last compaction on.
    pub records: Vec<Record>,
    /// The states from the stable checkpoint on, each with the digest that it had.
    pub states: BTreeMap<Seq, Tree>,
    /// Parts of a state that was being fetched, in the order in which they came.
    pub parts: Vec<(TreePath, Part)>,
    /// Whether there was nothing: a replica that starts for the first time, or whose
    /// data were lost.
    pub is_new: bool,
    /// The bytes of a record that a crash interrupted, and that were cut.
    pub cut_bytes: usize,
    /// The segments of the log.
    pub segments: usize,
    /// The states that were not as they had been written. Others could be used instead.
    pub rotten: Vec<Seq>,
    /// How long it took.
    pub took: Duration,
}

/// A replica's data directory, open.
pub struct Storage {
    log: Log,
    keeper: Keeper,
    _lock: Lock,
}

impl Storage {
    /// Opens the directory, making it if there is none, and reads all that is needed.
    /// `on_saved` is called by a thread of its own: for each state that can be restored
    /// from now on, and for what is in the way of that. Want of room is told once; it
    /// goes on by itself when there is some. Anything else is final.
    pub fn open(
        directory: &Path,
        identity: Identity,
        options: Options,
        on_saved: impl Fn(Result<(Seq, Digest), StorageError>) + Send + 'static,
    ) -> Result<(Storage, Found), StorageError> {
        make_directory(directory)?;
        let lock = Lock::take(directory)?;
        Storage::open_on(Arc::new(Real), lock, directory, identity, options, Box::new(on_saved))
    }

    /// Sets aside what is in the directory, under `lost-` and the time, and begins anew.
    /// For an operator who knows that the data are lost or of the past.
    pub fn recover(
        directory: &Path,
        identity: Identity,
        options: Options,
        on_saved: impl Fn(Result<(Seq, Digest), StorageError>) + Send + 'static,
    ) -> Result<(Storage, Found), StorageError> {
        make_directory(directory)?;
        let lock = Lock::take(directory)?;
        set_aside(directory)?;
        Storage::open_on(Arc::new(Real), lock, directory, identity, options, Box::new(on_saved))
    }

    fn open_on(
        medium: Arc<dyn Medium>,
        lock: Lock,
        directory: &Path,
        identity: Identity,
        options: Options,
        on_saved: Tell,
    ) -> Result<(Storage, Found), StorageError> {
        let began = Instant::now();
        let states_path = directory.join("states.redb");
        let log_directory = directory.join("log");
        require_log_with_states(&states_path, &log_directory)?;
        let (log, replayed) = Log::open(medium, &log_directory, identity, &options)?;
        let opening = store::opener(options.cache_bytes);
        let opened = States::open(&states_path, identity, opening, replayed.below);
        let (states, loaded) = opened?;
        let named = Real.sync_directory(directory);
        named.map_err(|error| StorageError::for_good("syncing", directory, error))?;
        let found = Found {
            records: replayed.records,
            states: loaded.states,
            parts: loaded.parts,
            is_new: replayed.is_new,
            cut_bytes: replayed.cut_bytes,
            segments: replayed.segments,
            rotten: loaded.rotten,
            took: began.elapsed(),
        };
        let keeper = Keeper::new(states, on_saved);
        Ok((Storage { log, keeper, _lock: lock }, found))
    }

    /// Takes a permission to forget and then records, for the next [`Storage::sync`].
    /// Nothing is durable yet, and nothing forgotten.
    pub fn append(
        &mut self,
        compaction: Option<Compaction>,
        records: &[Record],
    ) -> Result<(), StorageError> {
        self.log.append(compaction.as_ref(), records)
    }

    /// Makes all that was appended durable, with one write and one sync unless it is very
    /// much; with none if nothing was.
    ///
    /// After [`StorageError::Full`] nothing is lost or half done: what was appended waits
    /// for the next call, and nothing that it promises may be said before one succeeds.
    /// After any other error nothing is ever written again.
    pub fn sync(&mut self) -> Result<Durable, StorageError> {
        let (durable, forgotten) = self.log.sync()?;
        if let Some(below) = forgotten {
            self.keeper.give(Job::Forget(below));
        }
        Ok(durable)
    }

    /// Whether something was appended and is not durable.
    pub fn has_waiting(&self) -> bool {
        self.log.has_waiting()
    }

    /// Has a state written in the background.
    pub fn save(&mut self, save: Save) {
        self.keeper.give(Job::Save(save));
    }

    /// How many states wait to be written.
    pub fn states_waiting(&self) -> usize {
        self.keeper.waiting()
    }

    /// Has parts of a state kept, in the background. The last few may be lost in a crash,
    /// and those for which the disk is too slow are not kept.
    pub fn keep_parts(&mut self, parts: Vec<(Seq, TreePath, Part)>) {
        if !parts.is_empty() {
            self.keeper.give(Job::Parts(parts));
        }
    }
}

/// Makes a directory that nobody else on the machine may look into: the state is in it.
fn make_directory(directory: &Path) -> Result<(), StorageError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    let path = directory.to_owned();
    made.map_err(|error| match error.kind() {
        _ if directory.exists() && !directory.is_dir() => StorageError::NotADirectory { path },
        // All that leads there is made too, so nothing is missing: as under /proc.
        std::io::ErrorKind::NotFound => StorageError::NoPlace { path, error },
        _ => StorageError::when("making", directory, error),
    })
}

/// Refuses states without a log: that was there as long as they were.
fn require_log_with_states(states: &Path, log: &Path) -> Result<(), StorageError> {
    let manifest = log.join("manifest");
    match states.exists() && !manifest.exists() {
        false => Ok(()),
        true => {
            let why = format!("{} is there, and was made after it", states.display());
            Err(StorageError::Missing { path: manifest, why })
        }
    }
}

/// Moves all but the lock into a directory of its own.
fn set_aside(directory: &Path) -> Result<(), StorageError> {
    let failed = |error| StorageError::when("setting aside", directory, error);
    let data: Vec<PathBuf> =
        ["log", "states.redb"].map(|name| directory.join(name)).into_iter().collect();
    if !data.iter().any(|path| path.exists()) {
        return Ok(());
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut time = now.map_or(0, |now| now.as_secs());
    while directory.join(format!("lost-{time}")).exists() {
        time += 1;
    }
    let aside = directory.join(format!("lost-{time}"));
    fs::create_dir(&aside).map_err(failed)?;
    for path in data.iter().filter(|path| path.exists()) {
        let name = path.file_name().expect("a path made of a name");
        fs::rename(path, aside.join(name)).map_err(failed)?;
    }
    for directory in [&aside, directory] {
        Real.sync_directory(directory).map_err(failed)?;
    }
    tracing::info!(to = %aside.display(), "set aside what was there; nothing reads it any more");
    Ok(())
}
