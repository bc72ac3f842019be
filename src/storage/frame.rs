//! The bytes of the log: segments, and the frames in them.
//!
//! A segment is a file of zeros whose first [`HEADER_BYTES`] say whose it is and which
//! one. Behind them, at multiples of [`ALIGNMENT`], stand frames, one for each sync, or
//! several if it is for very much:
//!
//! ```text
//! length of the body, chain, checksum of the body, checksum of all this   four times u32
//! the body: entries, each a length and a kind; then the END byte
//! zeros up to the next multiple
//! ```
//!
//! The last checksum also covers cluster, replica, the log's own random number, the
//! segment's number and the frame's offset, so a frame is one by itself, and only in its
//! place. The chain is the last checksum of the frame before; that of a segment's first
//! is in its header.
//!
//! Whole numbers are little-endian. Nothing here reads or writes files.

use super::Identity;
use crate::crypto::ClusterId;
use crate::types::{Digest, ReplicaId};

/// The bytes of a segment's header; more than it needs, so that it has a sector to itself.
pub(super) const HEADER_BYTES: usize = 512;

/// The bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 16;

/// Where frames begin: at multiples of this, so that no head lies across two sectors.
pub(super) const ALIGNMENT: usize = 16;

/// What a disk writes wholly or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

/// The last byte of a body: a frame that ends in zeros was not written to its end.
pub(super) const END: u8 = 0xa5;

/// The version of this format.
pub(super) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"QUORLOG\0";
const HEADER_FIELDS: usize = 8 + 4 + 4 + 32 + 16 + 8 + 4;

/// A log: whose, and which one of those it has had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name {
    pub(super) identity: Identity,
    /// Drawn when the log began, so that no part of an earlier one passes for this one's.
    pub(super) random: [u8; 16],
}

/// What a segment says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    pub(super) name: Name,
    pub(super) number: u64,
    /// The chain that its first frame goes on.
    pub(super) chain: u32,
}

/// Why a segment's header is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BadHeader {
    NotALog,
    WrongChecksum,
    OtherVersion(u32),
}

fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four"))
}

fn eight(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a slice of eight"))
}

impl Name {
    /// The beginning of a segment's header, and of the manifest.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&u32::from(self.identity.replica.0).to_le_bytes());
        out.extend_from_slice(&self.identity.cluster.0.0);
        out.extend_from_slice(&self.random);
    }

    /// Reads what [`Name::encode`] wrote: 56 bytes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Name, BadHeader> {
        match four(bytes, 0) {
            VERSION => {}
            other => return Err(BadHeader::OtherVersion(other)),
        }
        let replica = u16::try_from(four(bytes, 4)).map_err(|_| BadHeader::NotALog)?;
        let cluster = bytes[8..40].try_into().expect("a slice of 32");
        let random = bytes[40..56].try_into().expect("a slice of sixteen");
        let identity =
            Identity { cluster: ClusterId(Digest(cluster)), replica: ReplicaId(replica) };
        Ok(Name { identity, random })
    }
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        self.name.encode(&mut bytes);
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.chain.to_le_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Header, BadHeader> {
        if bytes.len() < HEADER_BYTES || &bytes[..8] != MAGIC {
            return Err(BadHeader::NotALog);
        }
        if crc32fast::hash(&bytes[..HEADER_FIELDS]) != four(bytes, HEADER_FIELDS)
            || bytes[HEADER_FIELDS + 4..HEADER_BYTES].iter().any(|byte| *byte != 0)
        {
            return Err(BadHeader::WrongChecksum);
        }
        let name = Name::decode(&bytes[8..])?;
        Ok(Header { name, number: eight(bytes, 64), chain: four(bytes, 72) })
    }

    /// The chain behind this header: what the first frame goes on.
    pub(super) fn first_chain(&self) -> u32 {
        crc32fast::hash(&self.encode())
    }
}

/// The place of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) name: &'a Name,
    pub(super) segment: u64,
    pub(super) offset: usize,
}

/// A frame's head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) chain: u32,
    body: u32,
    /// The checksum of the head in its place: the chain that the next frame goes on.
    pub(super) own: u32,
}

/// The bytes that a frame with such a body takes.
pub(super) fn frame_bytes(body: usize) -> usize {
    (HEAD_BYTES + body).next_multiple_of(ALIGNMENT)
}

fn checksum(place: Place, length: u32, chain: u32, body: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.name.identity.cluster.0.0);
    hasher.update(&place.name.identity.replica.0.to_le_bytes());
    hasher.update(&place.name.random);
    hasher.update(&place.segment.to_le_bytes());
    hasher.update(&(place.offset as u64).to_le_bytes());
    for field in [length, chain, body] {
        hasher.update(&field.to_le_bytes());
    }
    hasher.finalize()
}

/// Makes a frame of a body that has room for the head before it. Returns the chain that
/// the next frame goes on.
pub(super) fn seal(frame: &mut Vec<u8>, place: Place, chain: u32) -> u32 {
    frame.push(END);
    let body = &frame[HEAD_BYTES..];
    let length = u32::try_from(body.len()).expect("whoever appends keeps a frame below 4 GiB");
    let body = crc32fast::hash(body);
    let own = checksum(place, length, chain, body);
    for (at, field) in [length, chain, body, own].into_iter().enumerate() {
        frame[4 * at..4 * at + 4].copy_from_slice(&field.to_le_bytes());
    }
    frame.resize(frame.len().next_multiple_of(ALIGNMENT), 0);
    own
}

/// The head at the place, if one was written there. Its body may not have been.
pub(super) fn read_head(segment: &[u8], place: Place) -> Option<Head> {
    let bytes = segment.get(place.offset..place.offset.checked_add(HEAD_BYTES)?)?;
    let [length, chain, body, own] = [0, 4, 8, 12].map(|at| four(bytes, at));
    let is_head = length > 0 && checksum(place, length, chain, body) == own;
    is_head.then_some(Head { length: length as usize, chain, body, own })
}

/// The body behind a head, without its END, if it is whole.
pub(super) fn read_body(segment: &[u8], offset: usize, head: Head) -> Option<&[u8]> {
    let begin = offset + HEAD_BYTES;
    let body = segment.get(begin..begin.checked_add(head.length)?)?;
    let padding = segment.get(begin + head.length..offset + frame_bytes(head.length));
    let is_whole = crc32fast::hash(body) == head.body
        && padding.unwrap_or_default().iter().all(|byte| *byte == 0);
    body.strip_suffix(&[END]).filter(|_| is_whole)
}
