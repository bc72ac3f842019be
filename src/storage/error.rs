//! What can be wrong with a disk, in the words that the operator reads.

use crate::types::{ReplicaId, Seq};
use std::io;
use std::path::{Path, PathBuf};

/// What an operator does about data that can be used no more.
const RECOVER: &str = "check the disk, then start this replica once with `quorate node --recover`: \
     it sets these data aside and fetches the state from the other replicas";

/// Why the disk could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no room, or none that may be written. Nothing of what was asked is
    /// promised, nothing is lost, and the same may be tried again.
    #[error("{}", want_of_room(path, error))]
    Full {
        /// What could not be written.
        path: PathBuf,
        /// In the system's words.
        error: io::Error,
    },
    /// The user that runs this replica may not do that.
    #[error(
        "{} cannot be used ({error}): it belongs to another user, or is protected; make it \
         writable for the user that runs this replica, and start the node again",
        path.display()
    )]
    NotPermitted {
        /// What could not be used.
        path: PathBuf,
        /// In the system's words.
        error: io::Error,
    },
    /// Something else is where a directory should be.
    #[error(
        "{} is no directory: name another one by 'data' in the replica's file, or move away what \
         is there",
        path.display()
    )]
    NotADirectory {
        /// What is there.
        path: PathBuf,
    },
    /// No directory can be made there at all.
    #[error(
        "{} cannot be made ({error}): no files are kept there; name another directory by 'data' \
         in the replica's file",
        path.display()
    )]
    NoPlace {
        /// Where it should be.
        path: PathBuf,
        /// In the system's words.
        error: io::Error,
    },
    /// The disk failed. What was written last may be there or not; nothing more is
    /// written until the node starts again.
    #[error(
        "{doing} {} failed: {error}; the disk may be failing: check it, then start the node again",
        path.display()
    )]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// In the system's words.
        error: io::Error,
    },
    /// Something failed before, and nothing was written since.
    #[error("nothing is written any more since this happened: {0}")]
    Stopped(String),
    /// What is on disk is not what was written there.
    #[error("{} is damaged at byte {offset}: {what}; {RECOVER}", path.display())]
    Damaged {
        /// In which file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// A file that must be there is not.
    #[error("{} is missing: {why}; put it back if it was moved, else {RECOVER}", path.display())]
    Missing {
        /// Which one.
        path: PathBuf,
        /// How one knows.
        why: String,
    },
    /// No whole state is left that the log could go on from.
    #[error(
        "the log goes on from the state at checkpoint {stable}, and {} holds none from there on \
         that is intact ({why}); {RECOVER}",
        path.display()
    )]
    StateLost {
        /// The file of the states.
        path: PathBuf,
        /// The stable checkpoint that the log begins with.
        stable: Seq,
        /// What is wrong with those that are there.
        why: String,
    },
    /// The state store can be read no more.
    #[error("{} cannot be read: {why}; {RECOVER}", path.display())]
    Unreadable {
        /// The file of the states.
        path: PathBuf,
        /// In the store's words.
        why: String,
    },
    /// The data are somebody else's.
    #[error(
        "{} belongs to replica {replica} of the cluster {cluster}, not to this one: is this the \
         right data directory, and the right cluster file?",
        path.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        replica: ReplicaId,
        /// Of which cluster, shortened.
        cluster: String,
    },
    /// The data are of another version of this program.
    #[error(
        "{} has the format {found}, and this program reads {expected}: use the version that wrote it",
        path.display()
    )]
    OtherVersion {
        /// Which file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version read here.
        expected: u32,
    },
    /// Another process uses the directory.
    #[error(
        "the data directory {} is in use by {holder}: two copies of one replica would contradict \
         each other; stop that process; or, if this is another replica, correct `data` in its file",
        path.display()
    )]
    InUse {
        /// Which directory.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// A record is larger than any that could be read back.
    #[error("a record of {bytes} bytes, and the limit is {limit}; nothing was written")]
    TooLarge {
        /// The bytes of the record.
        bytes: usize,
        /// The bytes allowed.
        limit: usize,
    },
}

impl StorageError {
    /// Whether the same may be tried again once there is room.
    pub fn is_full(&self) -> bool {
        matches!(self, StorageError::Full { .. })
    }

    /// Whether the file system may only be read.
    pub fn is_read_only(&self) -> bool {
        let kind = io::ErrorKind::ReadOnlyFilesystem;
        matches!(self, StorageError::Full { error, .. } if error.kind() == kind)
    }

    /// What came of trying something, by the error that it gave.
    pub(super) fn when(doing: &'static str, path: &Path, error: io::Error) -> StorageError {
        match is_want_of_room(&error) {
            true => StorageError::Full { path: path.to_owned(), error },
            false => StorageError::for_good(doing, path, error),
        }
    }

    /// The same for what must not be tried again, whatever the error: a failed sync.
    pub(super) fn for_good(doing: &'static str, path: &Path, error: io::Error) -> StorageError {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => StorageError::NotPermitted { path, error },
            _ => StorageError::Failed { doing, path, error },
        }
    }
}

/// What is in the way of writing, and what helps.
fn want_of_room(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => format!(
            "{path} cannot be written ({error}): mounted so, or made so by the system after \
             errors of the disk; see to the disk, and mount it writable"
        ),
        io::ErrorKind::QuotaExceeded => {
            format!("no room to write {path} ({error}): make room, or raise the quota")
        }
        _ => format!("no room to write {path} ({error}): make room on its file system"),
    }
}

/// Whether the operation failed for want of room, or of the right to use it.
pub(super) fn is_want_of_room(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
}

/// Whether the operation succeeded, and what it read makes no sense: the store says so of
/// a file that is not, or no longer, one of its own.
pub(super) fn is_of_content(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, UnexpectedEof};
    matches!(error.kind(), InvalidData | UnexpectedEof)
}
