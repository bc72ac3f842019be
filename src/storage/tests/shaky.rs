//! A medium in memory. What is not synced may be lost in a crash, sector by sector, and
//! what a test asks to fail fails.

use crate::storage::frame::SECTOR_BYTES;
use crate::storage::medium::{Handle, Medium};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
}

type File = Arc<Mutex<Content>>;
type Names = BTreeMap<PathBuf, File>;

#[derive(Default)]
struct Inner {
    now: Names,
    durable: Names,
    /// Bytes by which files may still grow.
    room: Option<u64>,
    /// So many operations of this thread succeed, and all that come later fail.
    failing: Option<(ThreadId, usize)>,
    /// Writes into what is there stop in the middle for want of room, as where the system
    /// writes elsewhere first.
    half_a_write: bool,
    syncs: usize,
}

#[derive(Clone, Default)]
pub(super) struct Shaky(Arc<Mutex<Inner>>);

struct ShakyFile {
    medium: Shaky,
    content: File,
}

/// Pseudo-random bits, enough to choose sectors.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

impl Shaky {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics with the lock held")
    }

    /// One operation: whether it fails.
    fn operate(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.inner();
        match &mut inner.failing {
            Some((thread, left)) if *thread == std::thread::current().id() => match left {
                0 => return Err(io::Error::other("the disk fails, as the test wants")),
                left => *left -= 1,
            },
            _ => {}
        }
        Ok(inner)
    }

    pub(super) fn fail_after(&self, operations: usize) {
        self.inner().failing = Some((std::thread::current().id(), operations));
    }

    pub(super) fn set_room(&self, bytes: Option<u64>) {
        self.inner().room = bytes;
    }

    pub(super) fn stop_writes(&self, do_stop: bool) {
        self.inner().half_a_write = do_stop;
    }

    pub(super) fn syncs(&self) -> usize {
        self.inner().syncs
    }

    /// The machine loses its power, and is on again: of what was not synced some is left.
    pub(super) fn crash(&self, seed: u64) -> Shaky {
        let mut dice = Dice(seed);
        let inner = self.inner();
        let names = if dice.roll(2) == 0 { &inner.now } else { &inner.durable };
        let survived = names.iter().map(|(path, file)| {
            let content = file.lock().expect("no test panics with the lock held");
            let bytes = content.survive(&mut dice);
            (path.clone(), Arc::new(Mutex::new(Content { now: bytes.clone(), durable: bytes })))
        });
        let now: Names = survived.collect();
        Shaky(Arc::new(Mutex::new(Inner { durable: now.clone(), now, ..Inner::default() })))
    }

    /// Another disk with the same on it.
    pub(super) fn copy(&self) -> Shaky {
        let copy = Shaky::default();
        for path in self.paths() {
            copy.put(&path, self.bytes(&path));
        }
        copy
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.inner().now.keys().cloned().collect()
    }

    pub(super) fn bytes(&self, path: &Path) -> Vec<u8> {
        let inner = self.inner();
        inner.now[path].lock().expect("no test panics with the lock held").now.clone()
    }

    pub(super) fn put(&self, path: &Path, bytes: Vec<u8>) {
        let content = Content { now: bytes.clone(), durable: bytes };
        let file = Arc::new(Mutex::new(content));
        let mut inner = self.inner();
        inner.now.insert(path.to_owned(), file.clone());
        inner.durable.insert(path.to_owned(), file);
    }

    pub(super) fn take_away(&self, path: &Path) {
        let mut inner = self.inner();
        inner.now.remove(path);
        inner.durable.remove(path);
    }
}

impl Content {
    fn survive(&self, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        if dice.roll(2) == 0 || self.durable.len() == self.now.len() {
            bytes.resize(self.now.len(), 0);
        }
        let length = bytes.len();
        for from in (0..length).step_by(SECTOR_BYTES) {
            let sector = from..(from + SECTOR_BYTES).min(length);
            if dice.roll(2) == 0 {
                bytes[sector.clone()].copy_from_slice(&self.now[sector]);
            }
        }
        bytes
    }
}

fn missing() -> io::Error {
    io::Error::from(ErrorKind::NotFound)
}

impl Medium for Shaky {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let content = File::default();
        self.operate()?.now.insert(path.to_owned(), content.clone());
        Ok(Box::new(ShakyFile { medium: self.clone(), content }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Handle>> {
        let content = self.operate()?.now.get(path).cloned().ok_or_else(missing)?;
        Ok(Box::new(ShakyFile { medium: self.clone(), content }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let content = self.operate()?.now.get(path).cloned().ok_or_else(missing)?;
        Ok(content.lock().expect("no test panics with the lock held").now.clone())
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let inner = self.operate()?;
        let paths = inner.now.keys().filter(|path| path.parent() == Some(directory));
        let names = paths.filter_map(|path| path.file_name());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.operate()?;
        let file = inner.now.remove(from).ok_or_else(missing)?;
        inner.now.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.operate()?;
        let file = inner.now.remove(path).ok_or_else(missing)?;
        let freed = file.lock().expect("no test panics with the lock held").now.len() as u64;
        inner.room = inner.room.map(|room| room + freed);
        Ok(())
    }

    fn create_directory(&self, _: &Path) -> io::Result<()> {
        self.operate().map(drop)
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        let mut inner = self.operate()?;
        inner.durable = inner.now.clone();
        Ok(())
    }
}

impl Handle for ShakyFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.medium.operate()?;
        let mut content = self.content.lock().expect("no test panics with the lock held");
        let end = offset as usize + bytes.len();
        let growth = end.saturating_sub(content.now.len()) as u64;
        if inner.room.is_some_and(|room| room < growth) {
            return Err(io::Error::from(ErrorKind::StorageFull));
        }
        inner.room = inner.room.map(|room| room - growth);
        if inner.half_a_write && growth == 0 {
            let half = &bytes[..bytes.len() / 2];
            content.now[offset as usize..][..half.len()].copy_from_slice(half);
            return Err(io::Error::from(ErrorKind::StorageFull));
        }
        if growth > 0 {
            content.now.resize(end, 0);
        }
        content.now[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.medium.operate()?;
        inner.syncs += 1;
        let mut content = self.content.lock().expect("no test panics with the lock held");
        content.durable = content.now.clone();
        Ok(())
    }
}
