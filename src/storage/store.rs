//! The file under the store of states: begun whole or not at all, and never told that it
//! is durable after a sync that failed.

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};
use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

/// Opens the store in a file, or begins one in an empty file.
pub(super) type Open = Box<dyn Fn(&Path) -> Result<Database, DatabaseError> + Send>;

/// How stores are opened, with so much memory of their own.
pub(super) fn opener(cache_bytes: usize) -> Open {
    Box::new(move |path| {
        let mut builder = Builder::new();
        builder.set_cache_size(cache_bytes);
        builder.create_with_backend(Checked(file(path)?))
    })
}

/// The file, made empty if there is none.
pub(super) fn file(path: &Path) -> Result<FileBackend, DatabaseError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(path);
    FileBackend::new(file.map_err(redb::StorageError::from)?)
}

/// Opens the store of this name. A new one gets its name only once it is whole, so that
/// what a crash or a full disk leaves of its beginning is nobody's store.
pub(super) fn open(path: &Path, opening: &Open) -> Result<Database, redb::Error> {
    if !path.exists() {
        let new = path.with_extension("new");
        if new.exists() {
            fs::remove_file(&new)?;
        }
        drop(opening(&new)?);
        fs::rename(&new, path)?;
    }
    Ok(opening(path)?)
}

/// A file whose failed syncs are final: what they left behind cannot be known, and one
/// that is tried again may claim success over it. Whoever opens it holds the directory's
/// lock, and needs none on the file.
#[derive(Debug)]
pub(super) struct Checked<B>(pub(super) B);

impl<B: StorageBackend> StorageBackend for Checked<B> {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data().map_err(|error| io::Error::other(format!("a sync failed: {error}")))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
