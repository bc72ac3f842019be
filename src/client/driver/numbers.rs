//! Where a client keeps count of its request numbers between two runs.
//!
//! One file for each identity, locked while anybody uses it: two sessions of one client
//! would give one number to two operations. The count is on disk *before* a number is used.
//! To write seldom, numbers are reserved ahead, more at a time the more are used; those
//! left over at a crash are skipped, which costs nothing.
//!
//! A file that is missing, torn, rotten, or of another cluster says nothing: the session then asks
//! the replicas (see [`crate::client::resume`]).

use crate::client::Start;
use crate::crypto::ClusterId;
use crate::types::{ClientId, RequestNumber};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The most numbers that are reserved ahead.
const MOST_RESERVED: u64 = 64;

/// How often a lock that somebody else holds is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// The bytes of the file: one line of fixed length, written at once.
const BYTES: usize = 192;

/// Why the count cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// Somebody else uses it.
    #[error(
        "the session file {} is in use: another process works under this client's identity; wait \
         for it to end, or use another client's configuration",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The system does not let us.
    #[error("the session file {} cannot be used ({error}): check its directory and permissions", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// In the system's words.
        error: io::Error,
    },
}

/// A locked file with a client's count. See the module's head.
#[derive(Debug)]
pub(super) struct Numbers {
    path: PathBuf,
    file: File,
    cluster: ClusterId,
    client: ClientId,
    /// No number up to here is used by a later session.
    reserved: u64,
    /// How many are reserved ahead the next time.
    ahead: u64,
}

impl Numbers {
    /// Opens and locks the file, waiting so long for whoever has it, and tells where the
    /// session may begin.
    pub(super) fn open(
        path: &Path,
        cluster: ClusterId,
        client: ClientId,
        patience: Duration,
    ) -> Result<(Numbers, Start), CountError> {
        let io = |error| CountError::Io { path: path.to_owned(), error };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(io)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(LOCK_RETRY);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(CountError::InUse { path: path.to_owned() });
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
        // The file is new, perhaps, and what is written to it is as durable as its name.
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let named =
            File::open(folder.unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all());
        named.map_err(io)?;
        let mut numbers =
            Numbers { path: path.to_owned(), file, cluster, client, reserved: 0, ahead: 0 };
        let start = numbers.read().map_err(io)?;
        if let Start::Continue { used, .. } = start {
            numbers.reserved = used.0;
        }
        Ok((numbers, start))
    }

    /// Makes sure that no later session uses these numbers. To be called before anything
    /// that was submitted is sent.
    pub(super) fn reserve(&mut self, start: Start) -> Result<(), CountError> {
        let Start::Continue { used, executed } = start else { return Ok(()) };
        if used.0 <= self.reserved {
            return Ok(());
        }
        let reserved = used.0.saturating_add(self.ahead);
        self.ahead = (2 * self.ahead + 1).min(MOST_RESERVED);
        self.write(RequestNumber(reserved), executed)?;
        self.reserved = reserved;
        Ok(())
    }

    /// Writes what was really used, at the end.
    pub(super) fn settle(&mut self, start: Start) -> Result<(), CountError> {
        match start {
            Start::Continue { used, executed } => self.write(used, executed),
            Start::New | Start::Lost => Ok(()),
        }
    }

    /// The count is of no use: another session has gone past it. The next one asks the
    /// replicas.
    pub(super) fn forget(&mut self) -> Result<(), CountError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.sync_data());
        emptied.map_err(|error| CountError::Io { path: self.path.clone(), error })
    }

    /// From now on nothing can be written.
    #[cfg(test)]
    pub(super) fn lose_disk(&mut self) {
        self.file = File::open(&self.path).expect("it is there");
    }

    fn line(&self, used: RequestNumber, executed: RequestNumber) -> String {
        let (cluster, client) = (self.cluster.0, self.client);
        let line = format!("cluster {cluster} client {client} used {used} executed {executed}");
        let line = format!("{line} checksum {:08x}", crc32fast::hash(line.as_bytes()));
        format!("{line:<width$}\n", width = BYTES - 1)
    }

    fn write(&self, used: RequestNumber, executed: RequestNumber) -> Result<(), CountError> {
        let line = self.line(used, executed);
        let written = self.file.write_all_at(line.as_bytes(), 0);
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(|error| CountError::Io { path: self.path.clone(), error })
    }

    fn read(&self) -> io::Result<Start> {
        let mut bytes = [0; BYTES];
        match self.file.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Start::Lost),
            Err(error) => return Err(error),
        }
        Ok(self.parse(&bytes).unwrap_or(Start::Lost))
    }

    fn parse(&self, bytes: &[u8]) -> Option<Start> {
        let mut words = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace();
        let mut field = |name: &str| (words.next()? == name).then(|| words.next()).flatten();
        let is_ours = field("cluster")? == self.cluster.0.to_string()
            && field("client")? == self.client.to_string();
        let used = RequestNumber(field("used")?.parse().ok()?);
        let executed = RequestNumber(field("executed")?.parse().ok()?);
        let is_whole = bytes == self.line(used, executed).as_bytes();
        (is_ours && is_whole && executed <= used).then_some(Start::Continue { used, executed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Digest;

    const CLUSTER: ClusterId = ClusterId(Digest([7; 32]));

    fn at(used: u64, executed: u64) -> Start {
        Start::Continue { used: RequestNumber(used), executed: RequestNumber(executed) }
    }

    fn open(path: &Path) -> (Numbers, Start) {
        Numbers::open(path, CLUSTER, ClientId(3), Duration::ZERO).expect("nobody else has it")
    }

    #[test]
    fn what_was_settled_is_where_the_next_begins() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let (mut numbers, start) = open(&path);
        assert_eq!(start, Start::Lost);
        numbers.settle(at(5, 4)).expect("a disk");
        drop(numbers);
        assert_eq!(open(&path).1, at(5, 4));
    }

    #[test]
    fn a_crash_skips_numbers_and_uses_none_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let (mut numbers, _) = open(&path);
        for used in 1..100 {
            numbers.reserve(at(used, used - 1)).expect("a disk");
        }
        drop(numbers);
        let Start::Continue { used, .. } = open(&path).1 else { panic!("it is there") };
        assert!((99..99 + MOST_RESERVED).contains(&used.0), "{used}");
    }

    #[test]
    fn the_first_number_reserves_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let (mut numbers, _) = open(&path);
        numbers.reserve(at(1, 0)).expect("a disk");
        drop(numbers);
        assert_eq!(open(&path).1, at(1, 0));
    }

    #[test]
    fn what_is_forgotten_is_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let (mut numbers, _) = open(&path);
        numbers.settle(at(5, 4)).expect("a disk");
        numbers.forget().expect("a disk");
        drop(numbers);
        assert_eq!(open(&path).1, Start::Lost);
    }

    #[test]
    fn two_at_a_time_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let (_held, _) = open(&path);
        let second = Numbers::open(&path, CLUSTER, ClientId(3), Duration::ZERO);
        assert!(matches!(second, Err(CountError::InUse { .. })));
    }

    #[test]
    fn a_rotten_file_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let (mut numbers, _) = open(&path);
        numbers.settle(at(5, 4)).expect("a disk");
        drop(numbers);
        let whole = std::fs::read(&path).expect("it is there");
        for at in (0..whole.len()).filter(|at| whole[*at] != b' ') {
            let mut rotten = whole.clone();
            rotten[at] ^= 1;
            std::fs::write(&path, &rotten).expect("a disk");
            assert_eq!(open(&path).1, Start::Lost, "byte {at}");
        }
    }

    #[test]
    fn a_torn_file_or_anothers_says_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let (mut numbers, _) = open(&path);
        numbers.settle(at(5, 4)).expect("a disk");
        drop(numbers);
        let other = Numbers::open(&path, CLUSTER, ClientId(4), Duration::ZERO).expect("free");
        assert_eq!(other.1, Start::Lost);
        drop(other);
        let whole = std::fs::read(&path).expect("it is there");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("a disk");
            assert_eq!(open(&path).1, Start::Lost, "{length} bytes");
        }
    }
}
