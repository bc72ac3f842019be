//! Files that commands keep for their users: receipts, proofs, records.

use super::Failure;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// Larger files are nothing that was kept here, in bytes.
const MOST_BYTES: u64 = 64 << 20;

/// Writes a new file. Nothing is written over.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let written = opened.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| {
        let path = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::local(format!(
                "{path} exists already, and is not written over: name another file"
            )),
            _ => Failure::local(format!(
                "{path} cannot be written ({error}): name a place where there is room, and the right \
                 to use it"
            )),
        }
    })
}

/// An error if no new file can be written there, to be told before anything is done.
pub(super) fn require_new(path: &Path) -> Result<(), Failure> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let tried = made.and_then(|_| std::fs::remove_file(path));
    tried.map_err(|error| {
        let path = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::local(format!(
                "{path} exists already, and is not written over; nothing was sent: name another file"
            )),
            _ => Failure::local(format!(
                "{path} cannot be written ({error}); nothing was sent: name a place where there is \
                 room, and the right to use it"
            )),
        }
    })
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| {
        let path = path.display();
        Failure::local(format!("{path} cannot be read ({error}): name a file that is there"))
    };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
