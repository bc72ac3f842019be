//! A folder that is gone when nobody needs it any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// See the module's head.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new and empty one, where the system keeps such.
    pub(super) fn new() -> io::Result<Folder> {
        let word = chance()?;
        let path = std::env::temp_dir().join(format!("quorate-{word:016x}"));
        fs::create_dir(&path)?;
        Ok(Folder(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// A number that nobody guesses.
pub(super) fn chance() -> io::Result<u64> {
    getrandom::u64().map_err(|error| io::Error::other(error.to_string()))
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system, which empties the place.
        let _ = fs::remove_dir_all(&self.0);
    }
}
