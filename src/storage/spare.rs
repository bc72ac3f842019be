//! The next segment, made ahead of need and in the background: a file of zeros. So it is
//! known before the log is full whether there is room, and nobody waits for zeros.

use super::error::StorageError;
use super::medium::Medium;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

/// How many zeros are written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// The maker of spare segments.
pub(super) struct Spares {
    medium: Arc<dyn Medium>,
    path: PathBuf,
    /// The bytes of the spare that is there.
    ready: Option<u64>,
    /// Whether one is being made.
    is_asked: bool,
    ask: Option<Sender<u64>>,
    made: Receiver<io::Result<u64>>,
    maker: Option<JoinHandle<()>>,
}

impl Spares {
    pub(super) fn new(medium: Arc<dyn Medium>, directory: &Path) -> Spares {
        let path = directory.join("spare");
        let (ask, asked) = mpsc::channel::<u64>();
        let (tell, made) = mpsc::channel();
        let (own, file) = (medium.clone(), path.clone());
        let make = move || {
            for bytes in asked {
                if tell.send(make(&*own, &file, bytes)).is_err() {
                    return;
                }
            }
        };
        let maker = Some(std::thread::spawn(make));
        Spares { medium, path, ready: None, is_asked: false, ask: Some(ask), made, maker }
    }

    /// Has a spare made, unless there is one.
    pub(super) fn prepare(&mut self, bytes: u64) {
        if self.ready.is_none() && !self.is_asked {
            let ask = self.ask.as_ref().expect("the maker lives as long as this");
            self.is_asked = ask.send(bytes).is_ok();
        }
    }

    /// The path of a spare of at least so many bytes; makes one if need be. It stays
    /// there, and is handed out again, until it is [taken](Spares::taken).
    pub(super) fn provide(&mut self, bytes: u64) -> Result<&Path, StorageError> {
        if self.is_asked {
            self.is_asked = false;
            // Where making it failed, it is tried once more below.
            self.ready = self.made.recv().ok().and_then(Result::ok);
        }
        if self.ready.is_none_or(|ready| ready < bytes) {
            self.ready = None;
            let made = make(&*self.medium, &self.path, bytes);
            let made = made.map_err(|error| StorageError::when("writing", &self.path, error))?;
            self.ready = Some(made);
        }
        Ok(&self.path)
    }

    /// The spare has another name now.
    pub(super) fn taken(&mut self) {
        self.ready = None;
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.ask.take();
        if let Some(maker) = self.maker.take() {
            // A panic of the maker was printed when it happened.
            let _ = maker.join();
        }
    }
}

/// Makes a file of zeros, durably, or leaves none.
fn make(medium: &dyn Medium, path: &Path, bytes: u64) -> io::Result<u64> {
    let made = fill(medium, path, bytes);
    if made.is_err() {
        // What could be written of it takes room that others may need.
        let _ = medium.remove(path);
    }
    made.map(|()| bytes)
}

fn fill(medium: &dyn Medium, path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = medium.create(path)?;
    let zeros = vec![0; CHUNK_BYTES];
    let mut offset = 0;
    while offset < bytes {
        let left = usize::try_from(bytes - offset).unwrap_or(CHUNK_BYTES);
        let chunk = &zeros[..left.min(CHUNK_BYTES)];
        file.write_at(offset, chunk)?;
        offset += chunk.len() as u64;
    }
    file.sync()
}
