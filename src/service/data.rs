//! A service's own part of the one tree.
//!
//! The tree holds three kinds of keys, told apart by their first byte: the system's, the
//! sessions' and the service's. A service sees its own only, without that byte: through
//! [`Data`] while it applies an operation, through [`View`] while it answers a question.
//! A view remembers what was read through it, so that an answer can carry the number at
//! which that last changed (§ Reads).

use super::tree::{Entry, KeyRange, Tree};
use crate::types::Seq;
use crate::wire::Blob;
use std::cell::Cell;

/// The first byte of the system's keys.
pub(super) const SYSTEM: u8 = 0x00;

/// The first byte of the sessions' keys.
pub(super) const SESSIONS: u8 = 0x01;

/// The first byte of the service's keys.
const DATA: u8 = 0x02;

/// The longest key of a service, in bytes: what the tree takes, less the byte before it.
pub const MOST_KEY_BYTES: usize = 1_023;

/// A key of one of the namespaces: its byte, and the parts one after the other.
pub(super) fn key_in(namespace: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(namespace);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

/// Where the tree keeps this key of the service.
pub fn data_key(key: &[u8]) -> Vec<u8> {
    key_in(DATA, &[key])
}

/// Where the tree keeps these keys of the service: what a proof must cover to prove an
/// answer about them.
pub fn data_range(range: &KeyRange) -> KeyRange {
    let from = data_key(&range.from);
    let until = match &range.until {
        Some(until) => data_key(until).max(from.clone()),
        None => vec![DATA + 1],
    };
    KeyRange { from: from.into(), until: Some(until.into()) }
}

/// The service's own data, to be read only. What is read is remembered.
pub struct View<'a> {
    tree: &'a Tree,
    changed: Cell<Seq>,
}

impl<'a> View<'a> {
    /// The service's part of this tree.
    pub fn new(tree: &'a Tree) -> View<'a> {
        View { tree, changed: Cell::new(Seq::GENESIS) }
    }

    /// What is under the key, and the number at which it was written.
    pub fn get(&self, key: &[u8]) -> Option<&'a Entry> {
        let key = data_key(key);
        let found = self.tree.get(&key);
        self.note(match found {
            Some(entry) => entry.changed,
            None => self.tree.last_change(&KeyRange::single(&key)),
        });
        found
    }

    /// The keys of the range with what is under them, in order of the keys. Only as much
    /// counts as read as was taken from the iterator, so one that needs the first few
    /// takes no more.
    pub fn range(&self, range: &KeyRange) -> impl Iterator<Item = (&'a [u8], &'a Entry)> {
        let range = data_range(range);
        let entries = self.tree.range(&range);
        Reading { view: self, entries, range, progress: Progress::Nothing }
    }

    /// The number at which anything changed last of what was read up to now. For absence
    /// and ranges it may be a later one, never an earlier, and is alike on every replica
    /// with the same state.
    pub fn changed(&self) -> Seq {
        self.changed.get()
    }

    fn note(&self, changed: Seq) {
        self.changed.set(self.changed.get().max(changed));
    }
}

/// How much of a range was read.
enum Progress<'a> {
    Nothing,
    Through(&'a [u8]),
    All,
}

/// Reads a range, and tells the view at the end how far it came.
struct Reading<'v, 'a, I> {
    view: &'v View<'a>,
    entries: I,
    range: KeyRange,
    progress: Progress<'a>,
}

impl<'a, I: Iterator<Item = (&'a [u8], &'a Entry)>> Iterator for Reading<'_, 'a, I> {
    type Item = (&'a [u8], &'a Entry);

    fn next(&mut self) -> Option<Self::Item> {
        let Some((key, entry)) = self.entries.next() else {
            self.progress = Progress::All;
            return None;
        };
        self.progress = Progress::Through(key);
        Some((&key[1..], entry))
    }
}

impl<I> Drop for Reading<'_, '_, I> {
    fn drop(&mut self) {
        let until = match self.progress {
            Progress::Nothing => return,
            Progress::Through(key) => KeyRange::single(key).until,
            Progress::All => self.range.until.clone(),
        };
        let read = KeyRange { from: self.range.from.clone(), until };
        self.view.note(self.view.tree.last_change(&read));
    }
}

/// The service's own data while it applies one operation.
pub struct Data<'a> {
    tree: &'a mut Tree,
    seq: Seq,
}

impl<'a> Data<'a> {
    /// The service's part of this tree; what is written is written at `seq`.
    pub fn new(tree: &'a mut Tree, seq: Seq) -> Data<'a> {
        Data { tree, seq }
    }

    /// What is under the key, and the number at which it was written.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.tree.get(&data_key(key))
    }

    /// The keys of the range with what is under them, in order of the keys.
    pub fn range(&self, range: &KeyRange) -> impl Iterator<Item = (&[u8], &Entry)> {
        self.tree.range(&data_range(range)).map(|(key, entry)| (&key[1..], entry))
    }

    /// Puts a value under the key, and gives what was there.
    ///
    /// # Panics
    /// If the key is longer than [`MOST_KEY_BYTES`]: a service that takes keys from
    /// clients refuses such ones before.
    pub fn put(&mut self, key: &[u8], value: impl Into<Blob>) -> Option<Entry> {
        assert!(key.len() <= MOST_KEY_BYTES, "a service let a key of {} bytes pass", key.len());
        self.tree.put(&data_key(key), value.into(), self.seq)
    }

    /// Removes the key, and gives the value that was there.
    pub fn remove(&mut self, key: &[u8]) -> Option<Blob> {
        self.tree.remove(&data_key(key), self.seq)
    }

    /// The same data, to be read only: so that an operation that reads can be answered
    /// by the code that answers a query.
    pub fn view(&self) -> View<'_> {
        View::new(self.tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(view: &View<'_>, range: &KeyRange) -> Vec<Vec<u8>> {
        view.range(range).map(|(key, _)| key.to_vec()).collect()
    }

    fn some_data() -> Tree {
        let mut tree = Tree::new();
        for (at, key) in ["", "a", "b", "c"].iter().enumerate() {
            Data::new(&mut tree, Seq(at as u64 + 1)).put(key.as_bytes(), "");
        }
        tree
    }

    #[test]
    fn a_service_sees_and_touches_nothing_but_its_own() {
        let mut tree = some_data();
        for namespace in [SYSTEM, SESSIONS, DATA + 1, 0xff] {
            tree.put(&key_in(namespace, &[b"b"]), Blob::from("not its own"), Seq(9));
        }
        let mut data = Data::new(&mut tree, Seq(10));
        assert_eq!(data.range(&KeyRange::all()).count(), 4);
        for key in [[SYSTEM, b'b'], [SESSIONS, b'b'], [DATA, b'b']] {
            assert!(data.get(&key).is_none());
            assert!(data.remove(&key).is_none());
        }
        assert_eq!(keys(&data.view(), &KeyRange::all()), [&b""[..], b"a", b"b", b"c"]);
        assert_eq!(keys(&data.view(), &KeyRange::prefix(&[0xff, 0xff])), [b""; 0]);
        assert_eq!(tree.len(), 8);
    }

    #[test]
    fn the_longest_key_is_taken() {
        let mut tree = Tree::new();
        Data::new(&mut tree, Seq(1)).put(&[7; MOST_KEY_BYTES], "");
        assert!(View::new(&tree).get(&[7; MOST_KEY_BYTES]).is_some());
    }

    #[test]
    #[should_panic(expected = "a service let a key of 1024 bytes pass")]
    fn a_longer_key_is_the_services_bug() {
        Data::new(&mut Tree::new(), Seq(1)).put(&[7; MOST_KEY_BYTES + 1], "");
    }

    #[test]
    fn a_range_that_ends_before_it_begins_is_empty() {
        let tree = some_data();
        let backwards = KeyRange { from: Blob::from("c"), until: Some(Blob::from("a")) };
        assert_eq!(keys(&View::new(&tree), &backwards), [b""; 0]);
    }

    #[test]
    fn nothing_read_is_nothing_changed() {
        let tree = some_data();
        let view = View::new(&tree);
        drop(view.range(&KeyRange::all()));
        assert_eq!(view.changed(), Seq::GENESIS);
    }

    #[test]
    fn what_was_read_last_changed_with_the_last_of_it() {
        let tree = some_data();
        let view = View::new(&tree);
        view.get(b"c");
        assert_eq!(view.changed(), Seq(4));
        view.get(b"a");
        assert_eq!(view.changed(), Seq(4));
    }

    #[test]
    fn absence_changes_when_the_key_is_deleted() {
        let mut tree = some_data();
        Data::new(&mut tree, Seq(7)).remove(b"b");
        let view = View::new(&tree);
        assert!(view.get(b"b").is_none());
        assert_eq!(view.changed(), Seq(7));
    }

    #[test]
    fn a_range_read_to_its_end_changes_with_all_of_it() {
        let mut tree = some_data();
        Data::new(&mut tree, Seq(7)).remove(b"c");
        let view = View::new(&tree);
        assert_eq!(keys(&view, &KeyRange::between(b"a", b"d")).len(), 2);
        assert_eq!(view.changed(), Seq(7), "what is gone at its end was read too");
    }

    /// Where the tree tells absence by a wider range, the number may be a later one.
    #[test]
    fn a_range_read_in_part_counts_at_least_what_was_taken() {
        let mut tree = some_data();
        Data::new(&mut tree, Seq(7)).put(b"a", "again");
        let view = View::new(&tree);
        assert_eq!(view.range(&KeyRange::all()).take(2).count(), 2);
        assert_eq!(view.changed(), Seq(7));
    }
}
