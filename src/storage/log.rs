//! The write-ahead log: appended to by one, a frame for each sync, in segments that were
//! made of zeros before they are needed.
//!
//! After an error other than want of room nothing is written any more: what a failed
//! sync left behind cannot be known, and a second one may claim success over it.

use super::entry::{self, Told, TooLarge};
use super::error::StorageError;
use super::frame::{HEAD_BYTES, HEADER_BYTES, Header, Name, Place, frame_bytes, seal};
use super::manifest::Manifest;
use super::medium::{Handle, Medium};
use super::replay::{End, Segment, require_identity};
use super::spare::Spares;
use super::{Identity, Options};
use crate::replica::effects::Durable;
use crate::replica::{Compaction, Record};
use crate::types::Seq;
use crate::wire::MOST_BYTES;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A frame that has so many bytes takes no other record.
const LARGE_FRAME_BYTES: usize = 64 << 20;

/// The most bytes of a frame: a new beginning is never taken apart.
const MOST_FRAME_BYTES: usize = 1 << 30;

/// The log's end, where records go.
pub(super) struct Log {
    medium: Arc<dyn Medium>,
    directory: PathBuf,
    name: Name,
    segment_bytes: u64,
    active: Active,
    /// The highest number that a record in each of the older segments is about.
    older: BTreeMap<u64, Seq>,
    /// Frames that are appended and not written, each behind room for its head.
    full: VecDeque<Vec<u8>>,
    /// The frame after them, which takes more.
    buffer: Vec<u8>,
    /// The bytes at which a frame is full.
    large_bytes: usize,
    waiting: Waiting,
    forgotten: Forgotten,
    manifest: Manifest,
    spares: Spares,
    /// What went wrong for good.
    stopped: Option<String>,
}

/// The segment that is written to.
struct Active {
    number: u64,
    path: PathBuf,
    file: Box<dyn Handle>,
    bytes: u64,
    end: End,
}

/// The last permission to forget.
#[derive(Clone, Copy, Default)]
struct Forgotten {
    below: Seq,
    /// The segment that it stands in: what is about no number is needed from there on.
    segment: u64,
}

/// What is true of the buffer's records, once they are durable.
#[derive(Default)]
struct Waiting {
    highest: Seq,
    below: Option<Seq>,
    /// Where the first frame of it stands, once that is written.
    segment: Option<u64>,
}

/// What a log was found to hold.
pub(super) struct Replayed {
    pub(super) records: Vec<Record>,
    /// The stable checkpoint that it begins at.
    pub(super) below: Seq,
    /// The bytes of a torn frame, which were cut.
    pub(super) cut_bytes: usize,
    pub(super) segments: usize,
    /// Whether there was no log, and a new one began.
    pub(super) is_new: bool,
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016x}.log"))
}

fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Log {
    /// Reads the log in the directory back, or begins one if there is none.
    pub(super) fn open(
        medium: Arc<dyn Medium>,
        directory: &Path,
        identity: Identity,
        options: &Options,
    ) -> Result<(Log, Replayed), StorageError> {
        let made = medium.create_directory(directory);
        made.map_err(|error| StorageError::when("making", directory, error))?;
        let names = medium.names(directory);
        let names = names.map_err(|error| StorageError::for_good("reading", directory, error))?;
        let numbers: BTreeMap<u64, PathBuf> = names
            .iter()
            .filter_map(|name| Some((segment_number(name)?, directory.join(name))))
            .collect();
        match Manifest::read(&*medium, directory)? {
            Some(manifest) => {
                require_identity(&directory.join("manifest"), &manifest.name, identity)?;
                Log::read_back(medium, directory, options, manifest, numbers)
            }
            None => Log::begin(medium, directory, identity, options, &numbers),
        }
    }

    /// A new log. What is left of one whose beginning was interrupted is nothing that
    /// anybody was told of.
    fn begin(
        medium: Arc<dyn Medium>,
        directory: &Path,
        identity: Identity,
        options: &Options,
        found: &BTreeMap<u64, PathBuf>,
    ) -> Result<(Log, Replayed), StorageError> {
        for path in found.values() {
            let bytes = medium.read(path);
            let bytes = bytes.map_err(|error| StorageError::for_good("reading", path, error))?;
            if bytes.iter().skip(HEADER_BYTES).any(|byte| *byte != 0) {
                let why = format!("{} holds records, and the manifest says whose", path.display());
                return Err(StorageError::Missing { path: directory.join("manifest"), why });
            }
        }
        found.values().for_each(|path| remove(&*medium, path));
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("an operating system that has random bytes");
        let name = Name { identity, random };
        let mut spares = Spares::new(medium.clone(), directory);
        let header = Header { name, number: 1, chain: 0 };
        let bytes = options.segment_bytes.max(HEADER_BYTES as u64);
        let active = begin_segment(&*medium, directory, &mut spares, header, bytes)?;
        let manifest = Manifest { name, first: 1, last: 1 };
        let written = manifest.write(&*medium, directory);
        written.map_err(|error| StorageError::when("writing the manifest in", directory, error))?;
        spares.prepare(options.segment_bytes);
        let log = Log {
            medium,
            directory: directory.to_owned(),
            name,
            segment_bytes: options.segment_bytes,
            active,
            older: BTreeMap::new(),
            full: VecDeque::new(),
            buffer: vec![0; HEAD_BYTES],
            large_bytes: LARGE_FRAME_BYTES,
            waiting: Waiting::default(),
            forgotten: Forgotten::default(),
            manifest,
            spares,
            stopped: None,
        };
        let (records, below) = (Vec::new(), Seq::GENESIS);
        Ok((log, Replayed { records, below, cut_bytes: 0, segments: 1, is_new: true }))
    }

    fn read_back(
        medium: Arc<dyn Medium>,
        directory: &Path,
        options: &Options,
        manifest: Manifest,
        mut found: BTreeMap<u64, PathBuf>,
    ) -> Result<(Log, Replayed), StorageError> {
        let needed = found.split_off(&manifest.first);
        // The clean-up of these was interrupted.
        for path in found.values() {
            remove(&*medium, path);
        }
        let last = needed.keys().next_back().copied().unwrap_or(0).max(manifest.last);
        let (mut told, mut older) = (Told::default(), BTreeMap::new());
        let mut before: Option<End> = None;
        let (mut active, mut forgotten) = (None, Forgotten::default());
        for number in manifest.first..=last {
            let path = segment_path(directory, number);
            let bytes = match needed.contains_key(&number) {
                true => medium.read(&path),
                false => {
                    let why = format!("the log has the segments {} to {last}", manifest.first);
                    return Err(StorageError::Missing { path, why });
                }
            };
            let bytes = bytes.map_err(|error| StorageError::for_good("reading", &path, error))?;
            let segment = Segment { path: &path, bytes: &bytes, number, is_last: number == last };
            let header = segment.header(manifest.name.identity)?;
            let follows = before.is_none_or(|end| end.chain == header.chain);
            if header.name != manifest.name || !follows {
                let what = "this segment is not the one that follows".to_owned();
                return Err(StorageError::Damaged { path, offset: 0, what });
            }
            let (end, has_forgotten) = segment.read(&header, &mut told)?;
            if has_forgotten {
                forgotten = Forgotten { below: told.below, segment: number };
            }
            if let Some(end) = before.replace(end) {
                older.insert(number - 1, end.highest);
            }
            active = Some((path, bytes));
        }
        let (Some((path, bytes)), Some(mut end)) = (active, before) else {
            let why = "the manifest names none".to_owned();
            return Err(StorageError::Missing { path: segment_path(directory, last), why });
        };
        let file = medium.open(&path);
        let file = file.map_err(|error| StorageError::when("opening", &path, error))?;
        let mut active = Active { number: last, path, file, bytes: bytes.len() as u64, end };
        active.make_durable(&bytes)?;
        let named = medium.sync_directory(directory);
        named.map_err(|error| StorageError::for_good("syncing", directory, error))?;
        let cut_bytes = std::mem::take(&mut end.torn);
        active.end = end;
        let segments = older.len() + 1;
        let mut spares = Spares::new(medium.clone(), directory);
        spares.prepare(options.segment_bytes);
        let log = Log {
            medium,
            directory: directory.to_owned(),
            name: manifest.name,
            segment_bytes: options.segment_bytes,
            active,
            older,
            full: VecDeque::new(),
            buffer: vec![0; HEAD_BYTES],
            large_bytes: LARGE_FRAME_BYTES,
            waiting: Waiting::default(),
            forgotten,
            manifest,
            spares,
            stopped: None,
        };
        let (records, below) = (told.records, told.below);
        Ok((log, Replayed { records, below, cut_bytes, segments, is_new: false }))
    }

    /// Takes records for the next sync. They are kept here until one succeeds.
    pub(super) fn append(
        &mut self,
        compaction: Option<&Compaction>,
        records: &[Record],
    ) -> Result<(), StorageError> {
        self.require_running()?;
        let (frames, before) = (self.full.len(), self.buffer.len());
        if let Err(error) = self.put_all(compaction, records) {
            if self.full.len() > frames {
                self.buffer = self.full.swap_remove_back(frames).expect("there is one more");
                self.full.truncate(frames);
            }
            self.buffer.truncate(before);
            return Err(error);
        }
        let head = compaction.iter().flat_map(|compaction| &compaction.head);
        let seqs = records.iter().chain(head).filter_map(Record::seq);
        self.waiting.highest = seqs.fold(self.waiting.highest, Seq::max);
        if let Some(compaction) = compaction {
            self.waiting.below = Some(compaction.below);
        }
        Ok(())
    }

    fn put_all(
        &mut self,
        compaction: Option<&Compaction>,
        records: &[Record],
    ) -> Result<(), StorageError> {
        let too_large = |TooLarge(bytes)| StorageError::TooLarge { bytes, limit: MOST_BYTES };
        if let Some(compaction) = compaction {
            entry::put_compaction(compaction, &mut self.buffer).map_err(too_large)?;
            self.close_frame()?;
        }
        for record in records {
            entry::put_record(record, &mut self.buffer).map_err(too_large)?;
            self.close_frame()?;
        }
        Ok(())
    }

    /// Begins another frame where this one is large enough.
    fn close_frame(&mut self) -> Result<(), StorageError> {
        match self.buffer.len() {
            bytes if bytes > MOST_FRAME_BYTES => {
                Err(StorageError::TooLarge { bytes, limit: MOST_FRAME_BYTES })
            }
            bytes if bytes >= self.large_bytes => {
                let full = std::mem::replace(&mut self.buffer, vec![0; HEAD_BYTES]);
                self.full.push_back(full);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether something waits for a sync.
    pub(super) fn has_waiting(&self) -> bool {
        !self.full.is_empty() || self.buffer.len() > HEAD_BYTES
    }

    /// Makes all that was appended durable. Where there is no room, all stays as it was,
    /// and may be tried again. Says below which number all may be forgotten now.
    pub(super) fn sync(&mut self) -> Result<(Durable, Option<Seq>), StorageError> {
        self.require_running()?;
        if !self.has_waiting() {
            return Ok((Durable::after_sync(), None));
        }
        let written = self.write_all();
        if let Err(error) = &written
            && !error.is_full()
        {
            self.stopped = Some(error.to_string());
        }
        written?;
        let durable = Durable::after_sync();
        let Waiting { below, segment, .. } = std::mem::take(&mut self.waiting);
        if let (Some(below), Some(segment)) = (below, segment) {
            self.forgotten = Forgotten { below, segment };
            self.clean_up();
        }
        Ok((durable, below))
    }

    fn require_running(&self) -> Result<(), StorageError> {
        match &self.stopped {
            None => Ok(()),
            Some(why) => Err(StorageError::Stopped(why.clone())),
        }
    }

    /// Writes all frames, each after the sync of the one before: only the last can be torn.
    fn write_all(&mut self) -> Result<(), StorageError> {
        while let Some(next) = self.full.pop_front() {
            let last = std::mem::replace(&mut self.buffer, next);
            let written = self.write();
            let next = std::mem::replace(&mut self.buffer, last);
            if let Err(error) = written {
                self.full.push_front(next);
                return Err(error);
            }
        }
        match self.has_waiting() {
            true => self.write(),
            false => Ok(()),
        }
    }

    fn write(&mut self) -> Result<(), StorageError> {
        // The body's last byte is not there yet.
        let bytes = frame_bytes(self.buffer.len() - HEAD_BYTES + 1) as u64;
        self.active.cut_torn()?;
        if self.active.end.offset as u64 + bytes > self.active.bytes {
            self.roll(bytes)?;
        }
        let waiting = self.buffer.len();
        let (offset, chain) = (self.active.end.offset, self.active.end.chain);
        let place = Place { name: &self.name, segment: self.active.number, offset };
        let chain = seal(&mut self.buffer, place, chain);
        let path = &self.active.path;
        if let Err(error) = self.active.file.write_at(offset as u64, &self.buffer) {
            self.active.end.torn = self.buffer.len();
            self.buffer.truncate(waiting);
            return Err(StorageError::when("writing", path, error));
        }
        let synced = self.active.file.sync();
        synced.map_err(|error| StorageError::for_good("syncing", path, error))?;
        self.active.end.offset += self.buffer.len();
        self.active.end.chain = chain;
        self.active.end.highest = self.active.end.highest.max(self.waiting.highest);
        self.waiting.segment.get_or_insert(self.active.number);
        self.buffer.truncate(HEAD_BYTES);
        Ok(())
    }

    /// Goes on in a new segment, which has room for a frame of so many bytes.
    fn roll(&mut self, frame: u64) -> Result<(), StorageError> {
        let number = self.active.number + 1;
        let header = Header { name: self.name, number, chain: self.active.end.chain };
        let bytes = self.segment_bytes.max(HEADER_BYTES as u64 + frame);
        let (medium, spares) = (&*self.medium, &mut self.spares);
        let next = begin_segment(medium, &self.directory, spares, header, bytes)?;
        let full = std::mem::replace(&mut self.active, next);
        self.older.insert(full.number, full.end.highest);
        self.clean_up();
        self.spares.prepare(self.segment_bytes);
        Ok(())
    }

    /// Removes the oldest segments if no record in them is needed, and says in the
    /// manifest which are left. Where that fails nothing is lost but room, and it is
    /// tried again when the next segment begins.
    fn clean_up(&mut self) {
        let Forgotten { below, segment } = self.forgotten;
        let needed =
            self.older.iter().find(|(number, highest)| **number >= segment || **highest > below);
        let first = needed.map_or(self.active.number, |(number, _)| *number);
        let last = self.active.number;
        if (first, last) == (self.manifest.first, self.manifest.last) {
            return;
        }
        let manifest = Manifest { name: self.name, first, last };
        if let Err(error) = manifest.write(&*self.medium, &self.directory) {
            tracing::warn!(%error, "old segments of the log cannot be removed yet");
            return;
        }
        self.manifest = manifest;
        let kept = self.older.split_off(&first);
        for number in std::mem::replace(&mut self.older, kept).into_keys() {
            remove(&*self.medium, &segment_path(&self.directory, number));
        }
    }
}

impl Active {
    /// Puts zeros again where a write stopped for want of room, so that what comes next is
    /// written into zeros, be it here or in another segment.
    fn cut_torn(&mut self) -> Result<(), StorageError> {
        if self.end.torn > 0 {
            let zeros = vec![0; self.end.torn];
            let written = self.file.write_at(self.end.offset as u64, &zeros);
            written.map_err(|error| StorageError::when("writing", &self.path, error))?;
            let synced = self.file.sync();
            synced.map_err(|error| StorageError::for_good("syncing", &self.path, error))?;
            self.end.torn = 0;
        }
        Ok(())
    }

    /// Makes durable what was read, before anything is promised of it. It may be there in
    /// the system's memory only: if the process ended between a write and its sync, or if
    /// that sync failed, after which another would claim success. So the last frame is
    /// written again; those before it were synced. And zeros go where a torn one is, so
    /// that the next is written into zeros.
    fn make_durable(&mut self, read: &[u8]) -> Result<(), StorageError> {
        let End { last, offset, torn, .. } = self.end;
        let mut bytes = read[last.min(read.len())..offset.min(read.len())].to_vec();
        bytes.resize(offset - last + torn, 0);
        let written = self.file.write_at(last as u64, &bytes);
        written.map_err(|error| StorageError::when("writing", &self.path, error))?;
        let synced = self.file.sync();
        synced.map_err(|error| StorageError::for_good("syncing", &self.path, error))
    }
}

/// Makes a segment of the spare. Its name is there only once its header is.
fn begin_segment(
    medium: &dyn Medium,
    directory: &Path,
    spares: &mut Spares,
    header: Header,
    bytes: u64,
) -> Result<Active, StorageError> {
    let spare = spares.provide(bytes)?;
    let path = segment_path(directory, header.number);
    let failed = |error: io::Error| StorageError::when("beginning", &path, error);
    let failed_for_good = |error: io::Error| StorageError::for_good("syncing", &path, error);
    let mut file = medium.open(spare).map_err(failed)?;
    file.write_at(0, &header.encode()).map_err(failed)?;
    file.sync().map_err(failed_for_good)?;
    medium.rename(spare, &path).map_err(failed)?;
    medium.sync_directory(directory).map_err(failed_for_good)?;
    spares.taken();
    let (offset, chain) = (HEADER_BYTES, header.first_chain());
    let end = End { offset, last: offset, chain, highest: Seq::GENESIS, torn: 0 };
    Ok(Active { number: header.number, path, file, bytes, end })
}

/// Removes what nobody needs; left over, it is removed at the next start.
fn remove(medium: &dyn Medium, path: &Path) {
    if let Err(error) = medium.remove(path) {
        tracing::warn!(path = %path.display(), %error, "a file that is not needed stays");
    }
}

#[cfg(test)]
impl Log {
    /// A log whose frames are full at so many bytes.
    pub(super) fn with_frames_of(mut self, bytes: usize) -> Log {
        self.large_bytes = bytes;
        self
    }

    /// Where the next frame goes.
    pub(super) fn position(&self) -> (PathBuf, usize) {
        (self.active.path.clone(), self.active.end.offset)
    }
}
