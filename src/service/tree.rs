//! A plain map with the interface of the authenticated tree.

use crate::types::{Digest, Seq};
use crate::wire::{self, Blob};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A value, and the number at which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The bytes under the key.
    pub value: Blob,
    /// The number at which they were written.
    pub changed: Seq,
}

/// Keys from one on, up to another or to the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key of the range.
    pub from: Blob,
    /// The first key behind the range; none where it goes to the end.
    pub until: Option<Blob>,
}

impl KeyRange {
    /// One key.
    pub fn single(key: &[u8]) -> KeyRange {
        let until: Vec<u8> = key.iter().copied().chain([0]).collect();
        KeyRange { from: key.into(), until: Some(until.into()) }
    }

    /// All keys that begin so.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let kept = prefix.iter().rposition(|byte| *byte != 0xff);
        let until = kept.map(|last| {
            let mut until = prefix[..=last].to_vec();
            until[last] += 1;
            Blob::from(until)
        });
        KeyRange { from: prefix.into(), until }
    }

    /// All keys.
    pub fn all() -> KeyRange {
        KeyRange { from: Blob::default(), until: None }
    }

    /// Keys from one on, up to another that is not among them.
    pub fn between(from: &[u8], until: &[u8]) -> KeyRange {
        KeyRange { from: from.into(), until: Some(until.into()) }
    }

    /// Whether the key is one of these.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &*self.from && self.until.as_ref().is_none_or(|until| key < &**until)
    }
}

/// The map.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    entries: BTreeMap<Blob, Entry>,
    changes: BTreeMap<Blob, Seq>,
}

impl Tree {
    /// An empty one.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is under the key.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Puts a value under the key, and gives the one that was there.
    pub fn put(&mut self, key: &[u8], value: Blob, seq: Seq) -> Option<Blob> {
        self.changes.insert(key.into(), seq);
        let before = self.entries.insert(key.into(), Entry { value, changed: seq });
        before.map(|entry| entry.value)
    }

    /// Removes the key, and gives the value that was there.
    pub fn remove(&mut self, key: &[u8], seq: Seq) -> Option<Blob> {
        let before = self.entries.remove(key)?;
        self.changes.insert(key.into(), seq);
        Some(before.value)
    }

    /// The digest of all.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for (key, entry) in &self.entries {
            wire::encode_into(&(key.clone(), entry.value.clone(), entry.changed), &mut bytes);
        }
        for (key, changed) in &self.changes {
            wire::encode_into(&(key.clone(), *changed), &mut bytes);
        }
        Digest::of(&bytes)
    }

    /// The keys of the range and what is under them, in order.
    pub fn range<'a>(
        &'a self,
        range: &KeyRange,
    ) -> impl Iterator<Item = (&'a [u8], &'a Entry)> + use<'a> {
        let bounds = bounds(range);
        self.entries.range::<[u8], _>(as_slices(&bounds)).map(|(key, entry)| (&**key, entry))
    }

    /// The number at which something in the range changed last.
    pub fn last_change(&self, range: &KeyRange) -> Seq {
        let bounds = bounds(range);
        let changes = self.changes.range::<[u8], _>(as_slices(&bounds));
        changes.map(|(_, changed)| *changed).max().unwrap_or_default()
    }
}

fn bounds(range: &KeyRange) -> (Bound<Blob>, Bound<Blob>) {
    let until = match &range.until {
        Some(until) => Bound::Excluded(until.clone().max(range.from.clone())),
        None => Bound::Unbounded,
    };
    (Bound::Included(range.from.clone()), until)
}

fn as_slices(bounds: &(Bound<Blob>, Bound<Blob>)) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (bounds.0.as_ref().map(|from| &**from), bounds.1.as_ref().map(|until| &**until))
}
