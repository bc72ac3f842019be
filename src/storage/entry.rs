//! What stands in a frame's body: records, and permissions to forget.

use crate::replica::{Compaction, Record};
use crate::types::Seq;
use crate::wire::{self, MOST_BYTES};

/// What stands in the log.
#[expect(clippy::large_enum_variant, reason = "nearly all are records")]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// A record.
    Record(Record),
    /// What came before about numbers up to this one, or about none, is forgotten; so
    /// many of the records that follow are the new beginning.
    Compaction(Seq, u32),
}

const RECORD: u8 = 1;
const COMPACTION: u8 = 2;

/// A record too large to be read back.
#[derive(Debug)]
pub(super) struct TooLarge(pub(super) usize);

/// Appends a record.
pub(super) fn put_record(record: &Record, out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let begin = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(RECORD);
    wire::encode_into(record, out);
    let bytes = out.len() - begin - 5;
    match u32::try_from(bytes).ok().filter(|_| bytes <= MOST_BYTES) {
        Some(length) => out[begin..begin + 4].copy_from_slice(&length.to_le_bytes()),
        None => {
            out.truncate(begin);
            return Err(TooLarge(bytes));
        }
    }
    Ok(())
}

/// Appends a permission to forget, with the new beginning.
pub(super) fn put_compaction(compaction: &Compaction, out: &mut Vec<u8>) -> Result<(), TooLarge> {
    let head = u32::try_from(compaction.head.len()).map_err(|_| TooLarge(usize::MAX))?;
    out.extend_from_slice(&12u32.to_le_bytes());
    out.push(COMPACTION);
    out.extend_from_slice(&compaction.below.0.to_le_bytes());
    out.extend_from_slice(&head.to_le_bytes());
    compaction.head.iter().try_for_each(|record| put_record(record, out))
}

/// The entries of a body.
pub(super) fn read_all(mut body: &[u8]) -> Result<Vec<Entry>, String> {
    let mut entries = Vec::new();
    while !body.is_empty() {
        let (length, rest) = body.split_first_chunk::<4>().ok_or("an entry without a length")?;
        let (kind, rest) = rest.split_first().ok_or("an entry without a kind")?;
        let length = u32::from_le_bytes(*length) as usize;
        let (bytes, rest) = rest.split_at_checked(length).ok_or("an entry without an end")?;
        entries.push(read(*kind, bytes)?);
        body = rest;
    }
    Ok(entries)
}

fn read(kind: u8, bytes: &[u8]) -> Result<Entry, String> {
    match kind {
        RECORD => {
            let record = wire::decode(bytes, MOST_BYTES);
            record.map(Entry::Record).map_err(|malformed| malformed.to_string())
        }
        COMPACTION => {
            let (below, rest) =
                bytes.split_first_chunk::<8>().ok_or("no number to forget below")?;
            let head: [u8; 4] = rest.try_into().map_err(|_| "no length of a beginning")?;
            Ok(Entry::Compaction(Seq(u64::from_le_bytes(*below)), u32::from_le_bytes(head)))
        }
        other => Err(format!("an entry of the unknown kind {other}")),
    }
}

/// The log as its entries tell it.
#[derive(Default)]
pub(super) struct Told {
    pub(super) records: Vec<Record>,
    /// The stable checkpoint that it begins at.
    pub(super) below: Seq,
}

impl Told {
    /// Goes on with the entries of one frame: a compaction and its head are never apart.
    pub(super) fn go_on(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        let mut entries = entries.into_iter();
        while let Some(entry) = entries.next() {
            match entry {
                Entry::Record(record) => self.records.push(record),
                Entry::Compaction(below, head) => {
                    let mut records = Vec::new();
                    for _ in 0..head {
                        match entries.next() {
                            Some(Entry::Record(record)) => records.push(record),
                            _ => return Err("a new beginning that is cut short".to_owned()),
                        }
                    }
                    let kept = self.records.drain(..);
                    records
                        .extend(kept.filter(|record| record.seq().is_some_and(|seq| seq > below)));
                    self.records = records;
                    self.below = below;
                }
            }
        }
        Ok(())
    }
}
