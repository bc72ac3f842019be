//! The lock on a data directory: two live copies of one replica would contradict each
//! other, and on one machine this stops the second.

use super::error::StorageError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// Held as long as the directory is used. The system lets go of it when the process ends,
/// however it ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(directory: &Path) -> Result<Lock, StorageError> {
        let path = directory.join("lock");
        let mut open = OpenOptions::new();
        let file = open.create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = file.map_err(|error| StorageError::when("opening", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                let _ = file.read_to_string(&mut process);
                let holder = match process.trim() {
                    "" => "another process".to_owned(),
                    process => format!("process {process}"),
                };
                return Err(StorageError::InUse { path: directory.to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => {
                return Err(StorageError::for_good("locking", &path, error));
            }
        }
        // Only told to whoever finds the lock taken: the lock is held without it.
        let _ = file.set_len(0).and_then(|()| file.rewind());
        let _ = writeln!(file, "{}", std::process::id());
        Ok(Lock { _file: file })
    }
}
