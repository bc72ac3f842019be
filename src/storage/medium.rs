//! The files that the log is made of, as few operations as it needs.
//!
//! There is one real medium. What goes through here is what a test can make fail, get
//! lost or run full.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A place for files.
pub(super) trait Medium: Send + Sync {
    /// A new file, or an old one emptied.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// An existing file, to be written to.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>>;
    /// All that a file holds.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// The names in a directory, in no order.
    fn names(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Gives a file another name; takes the place of one that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a directory, unless it is there.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// A file open for writing.
pub(super) trait Handle: Send {
    /// Writes all the bytes at an offset.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all that was written durable.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system.
pub(super) struct Real;

impl Medium for Real {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        Ok(Box::new(OpenOptions::new().write(true).open(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = fs::read_dir(directory)?;
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl Handle for File {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
