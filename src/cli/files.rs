//! Files that commands keep for their users: receipts, proofs, records.

use super::Failure;
use crate::config::regular;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Larger files are nothing that was kept here, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// Writes a new file. Nothing is written over.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| unwritten(path, &error, ""))
}

/// An error if no new file can be written there, to be told before anything is done.
pub(super) fn require_new(path: &Path) -> Result<(), Failure> {
    let tried = create_new(path).and_then(|_| std::fs::remove_file(path));
    tried.map_err(|error| unwritten(path, &error, "; nothing was sent"))
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn unwritten(path: &Path, error: &io::Error, besides: &str) -> Failure {
    let path = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => Failure::local(format!(
            "{path} exists already, and is not written over{besides}: name another file"
        )),
        _ => Failure::local(format!(
            "{path} cannot be written ({error}){besides}: name a place where there is room, and \
             the right to use it"
        )),
    }
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| {
        let path = path.display();
        Failure::local(format!("{path} cannot be read ({error}): name a file that is there"))
    };
    regular::read(path, MOST_BYTES).map_err(failed)
}
