//! Entries of keys, many to a row of a table, so that a row is worth the page that it takes.

use crate::service::tree::Entry;

/// How many bytes a row has, unless a single entry has more: with what the store adds,
/// sixteen pages.
const MOST_BYTES: usize = 60_000;

/// Before each entry stands how long the key is, and how long the entry.
const LENGTHS_BYTES: usize = 8;

/// Entries in the making of a row: keys in their order, each with what is under it, or
/// with nothing where it was removed.
#[derive(Default)]
pub(super) struct Row {
    bytes: Vec<u8>,
}

impl Row {
    /// Whether a key with its entry goes into this row too.
    pub(super) fn has_room(&self, key: &[u8], entry: Option<&Entry>) -> bool {
        let more = LENGTHS_BYTES + key.len() + entry.map_or(0, Entry::kept_bytes);
        self.is_empty() || self.bytes.len() + more <= MOST_BYTES
    }

    pub(super) fn push(&mut self, key: &[u8], entry: Option<&Entry>) {
        let length = |bytes: usize| (bytes as u32).to_le_bytes();
        self.bytes.extend_from_slice(&length(key.len()));
        self.bytes.extend_from_slice(&length(entry.map_or(0, Entry::kept_bytes)));
        self.bytes.extend_from_slice(key);
        if let Some(entry) = entry {
            entry.keep_in(&mut self.bytes);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// The entries of a row; None for what is none.
pub(super) fn entries(mut rest: &[u8]) -> impl Iterator<Item = Option<(&[u8], Option<Entry>)>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let found = split_first(rest);
        rest = found.as_ref().map_or(&[], |(_, after)| after);
        Some(found.map(|(found, _)| found))
    })
}

type Found<'a> = (&'a [u8], Option<Entry>);

fn split_first(bytes: &[u8]) -> Option<(Found<'_>, &[u8])> {
    let (key_length, rest) = bytes.split_first_chunk::<4>()?;
    let (entry_length, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_length) as usize)?;
    let (entry, rest) = rest.split_at_checked(u32::from_le_bytes(*entry_length) as usize)?;
    let entry = match entry {
        [] => None,
        bytes => Some(Entry::from_bytes(bytes)?),
    };
    Some(((key, entry), rest))
}
