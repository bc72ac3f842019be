//! The states when there is no room for them.

use super::*;
use crate::storage::store::{self, Checked, Open};
use redb::backends::FileBackend;
use redb::{Builder, StorageBackend};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// A file on a disk that may be full.
#[derive(Debug)]
struct Cramped {
    file: FileBackend,
    disk: Arc<Disk>,
}

/// So many writes, and so many syncs, find room.
#[derive(Debug)]
struct Disk {
    writes: AtomicUsize,
    syncs: AtomicUsize,
}

const PLENTY: usize = usize::MAX;

impl Disk {
    fn with_room() -> Arc<Disk> {
        Arc::new(Disk { writes: PLENTY.into(), syncs: PLENTY.into() })
    }

    fn opener(self: &Arc<Disk>) -> Open {
        let disk = Arc::clone(self);
        Box::new(move |path| {
            let disk = Arc::clone(&disk);
            Builder::new().create_with_backend(Checked(Cramped { file: store::file(path)?, disk }))
        })
    }
}

fn take(left: &AtomicUsize) -> io::Result<()> {
    let less = |left: usize| (left == PLENTY).then_some(PLENTY).or_else(|| left.checked_sub(1));
    let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
    taken.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
}

impl StorageBackend for Cramped {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        take(&self.disk.syncs)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        take(&self.disk.writes)?;
        self.file.write(offset, bytes)
    }
}

fn save(seq: u64) -> (Job, Digest) {
    let mut tree = Tree::new();
    tree.put(&[7; 20], seq.to_le_bytes().to_vec().into(), Seq(seq));
    let digest = tree.digest();
    (Job::Save(Save { seq: Seq(seq), digest, tree }), digest)
}

/// S7: to open the store again takes room as well; until there is some, it waits.
#[test]
fn a_full_disk_keeps_states_waiting_until_there_is_room() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let disk = Disk::with_room();
    let (opened, openings) = mpsc::channel();
    let opening = disk.opener();
    let counted: Open = Box::new(move |path| {
        let database = opening(path);
        let _ = opened.send(database.is_ok());
        database
    });
    let (states, _) = States::open(&path, own(), counted, Seq::GENESIS).expect("a new store");
    while openings.try_recv().is_ok() {}
    let (tell, told) = mpsc::channel();
    let keeper = Keeper::new(states, Box::new(move |saved| drop(tell.send(saved))));
    disk.writes.store(0, Ordering::SeqCst);
    let (job, digest) = save(10);
    keeper.give(job);
    let first = told.recv().expect("it tells");
    assert!(first.as_ref().is_err_and(StorageError::is_full), "{first:?}");
    for _ in 0..2 {
        openings.recv().expect("it tries again");
        assert!(told.try_recv().is_err(), "nothing else is told");
    }
    disk.writes.store(PLENTY, Ordering::SeqCst);
    assert_eq!(told.recv().expect("it tells").expect("there is room"), (Seq(10), digest));
    drop(keeper);
    let opener = store::opener(1 << 20);
    let (_, loaded) = States::open(&path, own(), opener, Seq(10)).expect("it was saved");
    assert_eq!(loaded.states[&Seq(10)].digest(), digest);
}

/// S7, S9: whatever ends the beginning of the store, the next start begins it again.
#[test]
fn what_is_left_of_a_store_that_was_being_begun_is_in_nobodys_way() {
    let mut writes = 0;
    loop {
        let directory = directory();
        let path = directory.path().join("states.redb");
        let disk = Disk::with_room();
        disk.writes.store(writes, Ordering::SeqCst);
        let begun = States::open(&path, own(), disk.opener(), Seq::GENESIS).map(drop);
        let again = States::open(&path, own(), store::opener(1 << 20), Seq::GENESIS);
        again.unwrap_or_else(|error| panic!("after {writes} writes: {error}"));
        match begun {
            Ok(()) => break,
            Err(error) => assert!(error.is_full(), "after {writes} writes: {error}"),
        }
        writes += 1;
    }
    assert!(writes > 3, "there was something to interrupt");
}

/// S5: a sync that failed is not tried again, whatever it failed for.
#[test]
fn a_sync_of_the_states_that_fails_is_final() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let disk = Disk::with_room();
    let opened = States::open(&path, own(), disk.opener(), Seq::GENESIS);
    let (mut states, _) = opened.expect("a new store");
    disk.syncs.store(0, Ordering::SeqCst);
    let error = states.carry_out(&[save(10).0], &mut || ()).expect_err("the sync fails");
    assert!(matches!(error, StorageError::Failed { .. }), "{error}");
}

/// S3: a file that is no store of states is not a failing disk's.
#[test]
fn a_file_that_is_no_store_is_not_read_again_and_again() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    fs::write(&path, [0; 4096]).expect("room for a small file");
    let opened = States::open(&path, own(), store::opener(1 << 20), Seq::GENESIS);
    let error = opened.map(drop).expect_err("it is none");
    assert!(matches!(error, StorageError::Unreadable { .. }), "{error}");
}
