//! Reading the log back, and telling a torn end from damage.
//!
//! A frame is written whole, with one write into zeros, and nothing is written behind it
//! before its sync has succeeded. So a crash leaves at most one frame that is not whole,
//! the last of the last segment, and it shows how: some of it, or its end, is still zeros.
//! That is a *torn end*; nobody was told of it, and it is cut. All else is *damage*:
//!
//! - something whole stands behind what is not, or a later segment does;
//! - a last frame is wrong though every sector of it was written;
//! - a frame is whole, and not the next of this log.
//!
//! A file that is shorter than it was made counts as one with zeros at its end.

use super::Identity;
use super::entry::{self, Entry, Told};
use super::error::StorageError;
use super::frame::{
    ALIGNMENT, BadHeader, HEAD_BYTES, HEADER_BYTES, Head, Header, Name, Place, SECTOR_BYTES,
    VERSION, frame_bytes, read_body, read_head,
};
use crate::types::Seq;
use std::path::{Path, PathBuf};

/// A segment as it was found.
pub(super) struct Segment<'a> {
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
    pub(super) number: u64,
    /// Only the last may have a torn end.
    pub(super) is_last: bool,
}

/// Where the reading of a segment ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Where the next frame goes.
    pub(super) offset: usize,
    /// Where the last frame is, or the first would be.
    pub(super) last: usize,
    /// What it goes on.
    pub(super) chain: u32,
    /// The highest number that a record of the segment is about.
    pub(super) highest: Seq,
    /// How many bytes from the offset on are a torn frame's.
    pub(super) torn: usize,
}

impl Segment<'_> {
    fn damaged(&self, offset: usize, what: impl Into<String>) -> StorageError {
        let (path, offset) = (self.path.to_owned(), offset as u64);
        StorageError::Damaged { path, offset, what: what.into() }
    }

    /// The header, when it is that of this segment of a log of this replica's.
    pub(super) fn header(&self, identity: Identity) -> Result<Header, StorageError> {
        let header = Header::decode(self.bytes).map_err(|bad| match bad {
            BadHeader::NotALog => self.damaged(0, "this is not the beginning of a segment"),
            BadHeader::WrongChecksum => self.damaged(0, "the segment's header is not as written"),
            BadHeader::OtherVersion(found) => {
                let path = self.path.to_owned();
                StorageError::OtherVersion { path, found, expected: VERSION }
            }
        })?;
        require_identity(self.path, &header.name, identity)?;
        match header.number == self.number {
            true => Ok(header),
            false => {
                let what = format!("this is segment {}, not {}", header.number, self.number);
                Err(self.damaged(0, what))
            }
        }
    }

    /// Reads the frames behind a header that was found good. Says where they end, and
    /// whether there was a permission to forget among them.
    pub(super) fn read(
        &self,
        header: &Header,
        told: &mut Told,
    ) -> Result<(End, bool), StorageError> {
        let (mut offset, mut chain) = (HEADER_BYTES, header.first_chain());
        let mut has_forgotten = false;
        let mut highest = Seq::GENESIS;
        let mut last = offset;
        loop {
            let place = Place { name: &header.name, segment: self.number, offset };
            let head = read_head(self.bytes, place);
            let Some(body) = head.and_then(|head| read_body(self.bytes, offset, head)) else {
                let torn = self.tail(&header.name, offset, head)?;
                return Ok((End { offset, last, chain, highest, torn }, has_forgotten));
            };
            let head = head.expect("what has a body has a head");
            if head.chain != chain {
                return Err(self.damaged(offset, "a record that does not follow the one before"));
            }
            let entries = entry::read_all(body).map_err(|what| self.damaged(offset, what))?;
            highest = highest.max(highest_of(&entries));
            has_forgotten |= entries.iter().any(|entry| matches!(entry, Entry::Compaction(..)));
            told.go_on(entries).map_err(|what| self.damaged(offset, what))?;
            chain = head.own;
            last = offset;
            offset += frame_bytes(head.length);
        }
    }

    /// What is behind the last whole frame: nothing, a torn frame of so many bytes, or
    /// damage.
    fn tail(&self, name: &Name, offset: usize, head: Option<Head>) -> Result<usize, StorageError> {
        let rest = self.bytes.get(offset..).unwrap_or_default();
        let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used == 0 {
            return Ok(0);
        }
        if !self.is_last {
            return Err(self.damaged(offset, "a record is not as written, and others follow"));
        }
        let extent = head.map_or(0, |head| frame_bytes(head.length).min(rest.len()));
        let behind = offset + extent.max(ALIGNMENT);
        for later in (behind..offset + used).step_by(ALIGNMENT) {
            let place = Place { name, segment: self.number, offset: later };
            let head = read_head(self.bytes, place);
            if head.is_some_and(|head| read_body(self.bytes, later, head).is_some()) {
                let what =
                    format!("a record is not as written, and a whole one is at byte {later}");
                return Err(self.damaged(offset, what));
            }
        }
        let is_torn = match head {
            Some(head) => used <= extent && is_partly_unwritten(rest, offset, head),
            None => is_headless(rest, offset, used),
        };
        match is_torn {
            true => Ok(used),
            false => {
                Err(self.damaged(offset, "the last record was written, and is not as written"))
            }
        }
    }
}

/// Whether some of a frame whose head was written still is as it was before: its last
/// byte, or one of its sectors.
fn is_partly_unwritten(rest: &[u8], offset: usize, head: Head) -> bool {
    let end = HEAD_BYTES + head.length;
    let is_zero = |from: usize, to: usize| {
        let bytes = rest.get(from.min(rest.len())..to.min(rest.len()));
        bytes.unwrap_or_default().iter().all(|byte| *byte == 0)
    };
    let first_sector = SECTOR_BYTES - offset % SECTOR_BYTES;
    is_zero(end - 1, end)
        || (first_sector..end)
            .step_by(SECTOR_BYTES)
            .any(|from| from + SECTOR_BYTES <= end && is_zero(from, from + SECTOR_BYTES))
}

/// Whether something without a head may be a torn frame: the sector of the head is still
/// as it was before, or nothing was written behind the first bytes of the head.
fn is_headless(rest: &[u8], offset: usize, used: usize) -> bool {
    let first_sector = (SECTOR_BYTES - offset % SECTOR_BYTES).min(rest.len());
    let is_unwritten = rest[..first_sector].iter().all(|byte| *byte == 0);
    is_unwritten || used < HEAD_BYTES
}

fn highest_of(entries: &[Entry]) -> Seq {
    let seqs = entries.iter().filter_map(|entry| match entry {
        Entry::Record(record) => record.seq(),
        Entry::Compaction(..) => None,
    });
    seqs.max().unwrap_or_default()
}

/// Refuses what is another replica's, or another cluster's.
pub(super) fn require_identity(
    path: &Path,
    name: &Name,
    identity: Identity,
) -> Result<(), StorageError> {
    let found = name.identity;
    match found == identity {
        true => Ok(()),
        false => Err(StorageError::Foreign {
            path: PathBuf::from(path),
            replica: found.replica,
            cluster: found.cluster.0.short(),
        }),
    }
}
