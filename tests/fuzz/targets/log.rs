//! Opening a data directory whose log was changed (S1, S2, S6): what is found is a
//! beginning of what was written, or the directory is refused.
//!
//! The bytes are changes to the files of a good log, one after the other.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::crypto::ClusterId;
use quorate::replica::Record;
use quorate::storage::{Identity, Options, Storage, StorageError};
use quorate::types::{Digest, Nonce, ReplicaId};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

const IDENTITY: Identity = Identity { cluster: ClusterId(Digest([7; 32])), replica: ReplicaId(2) };

fn options() -> Options {
    Options { segment_bytes: 2_048, cache_bytes: 1 << 20 }
}

fn open(directory: &Path) -> Result<(Storage, Vec<Record>), StorageError> {
    let (storage, found) = Storage::open(directory, IDENTITY, options(), |_| ())?;
    Ok((storage, found.records))
}

/// A good directory, what is in its log, and the log's files.
struct Good {
    directory: TempDir,
    records: Vec<Record>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn good() -> &'static Good {
    static GOOD: OnceLock<Good> = OnceLock::new();
    GOOD.get_or_init(|| {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let directory = directory.expect("a folder");
        let (mut storage, _) = open(directory.path()).expect("a new directory");
        let mut records = Vec::new();
        for number in 0..40u64 {
            let some: Vec<Record> =
                (0..number % 5).map(|more| Record::Recovering(Nonce(number << 8 | more))).collect();
            storage.append(None, &some).expect("taken");
            storage.sync().expect("a disk that works");
            records.extend(some);
        }
        drop(storage);
        let names = fs::read_dir(directory.path().join("log")).expect("a log");
        let mut files: Vec<(PathBuf, Vec<u8>)> = names
            .map(|name| name.expect("a name").path())
            .map(|path| (path.clone(), fs::read(path).expect("a file")))
            .collect();
        files.sort();
        Good { directory, records, files }
    })
}

/// Takes changes out of the fuzzer's bytes.
struct Changes<'a>(&'a [u8]);

impl Changes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A place in a file of so many bytes.
    fn place(&mut self, length: usize) -> Option<usize> {
        let number = u16::from_le_bytes([self.byte()?, self.byte()?]);
        Some(usize::from(number) % (length + 1))
    }

    /// One change; false if the file is to be gone.
    fn apply(&mut self, file: &mut Vec<u8>) -> Option<bool> {
        match self.byte()? % 6 {
            0 => {
                let (at, value) = (self.place(file.len())?, self.byte()?);
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= value;
                }
            }
            1 => {
                let (from, to) = (self.place(file.len())?, self.place(file.len())?);
                file[from.min(to)..from.max(to)].fill(0);
            }
            2 => {
                let (from, to, length) =
                    (self.place(file.len())?, self.place(file.len())?, self.byte()?);
                let room = file.len() - from.max(to);
                file.copy_within(from..from + usize::from(length).min(room), to);
            }
            3 => file.truncate(self.place(file.len())?),
            4 => {
                let (at, count) = (self.place(file.len())?, self.byte()?);
                for index in 0..usize::from(count) {
                    let value = self.byte()?;
                    if let Some(byte) = file.get_mut(at + index) {
                        *byte = value;
                    }
                }
            }
            _ => return Some(false),
        }
        Some(true)
    }
}

fuzz_target!(|data: &[u8]| {
    let good = good();
    let mut files: Vec<Option<Vec<u8>>> =
        good.files.iter().map(|(_, bytes)| Some(bytes.clone())).collect();
    let mut changes = Changes(data);
    while let Some(which) = changes.byte() {
        let which = usize::from(which) % files.len();
        if let Some(file) = &mut files[which] {
            match changes.apply(file) {
                Some(true) => {}
                Some(false) => files[which] = None,
                None => break,
            }
        }
    }
    let log = good.directory.path().join("log");
    for name in fs::read_dir(&log).expect("a log") {
        fs::remove_file(name.expect("a name").path()).expect("our own");
    }
    for ((path, _), bytes) in good.files.iter().zip(&files) {
        if let Some(bytes) = bytes {
            fs::write(path, bytes).expect("a disk");
        }
    }
    match open(good.directory.path()) {
        Ok((_, records)) => assert!(
            good.records.starts_with(&records),
            "what was never written was found: {records:?}"
        ),
        Err(StorageError::Failed { doing, path, error }) => {
            panic!("{doing} {}: {error}", path.display())
        }
        Err(error) => assert!(error.to_string().len() > 40),
    }
});
