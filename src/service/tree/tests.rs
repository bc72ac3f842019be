//! Stories about the tree as a whole; helpers that other modules' tests use too.

use super::*;
use crate::wire;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What is done to a tree.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(Vec<u8>, Vec<u8>),
    Remove(Vec<u8>),
}

/// Keys that often share prefixes, are prefixes of each other, or are the same.
pub(super) fn keys() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0x00, 0x01, 0x10, 0x11, 0xf0, 0xff]);
    prop_oneof![
        4 => prop::collection::vec(byte, 0..5),
        1 => prop::collection::vec(any::<u8>(), 0..5),
    ]
}

pub(super) fn changes(most: usize) -> impl Strategy<Value = Vec<Change>> {
    let value = prop::collection::vec(any::<u8>(), 0..3);
    let change = prop_oneof![
        2 => (keys(), value).prop_map(|(key, value)| Change::Put(key, value)),
        1 => keys().prop_map(Change::Remove),
    ];
    prop::collection::vec(change, 0..most)
}

pub(super) fn ranges() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        3 => keys().prop_map(|key| KeyRange::single(&key)),
        2 => keys().prop_map(|key| KeyRange::prefix(&key)),
        2 => (keys(), keys()).prop_map(|(from, until)| KeyRange::between(&from, &until)),
        1 => keys().prop_map(|from| KeyRange { from: from.into(), until: None }),
        1 => Just(KeyRange::all()),
    ]
}

/// Changes the tree, the n-th change with the stamp n more than `first`.
pub(super) fn change(tree: &mut Tree, changes: &[Change], first: u64) {
    for (change, stamp) in changes.iter().zip(first..) {
        match change {
            Change::Put(key, value) => drop(tree.put(key, value[..].into(), Seq(stamp))),
            Change::Remove(key) => drop(tree.remove(key, Seq(stamp))),
        }
    }
}

pub(super) fn tree_of(changes: &[Change]) -> Tree {
    let mut tree = Tree::new();
    change(&mut tree, changes, 1);
    tree
}

/// A tree of so many entries with pseudo-random keys of sixteen bytes.
pub(super) fn grown(entries: u64) -> Tree {
    let mut tree = Tree::new();
    for number in 0..entries {
        let digest = Digest::of(&number.to_le_bytes());
        tree.put(&digest.0[..16], digest.0[..].into(), Seq(1));
    }
    tree
}

type Content = Vec<(Vec<u8>, Entry)>;

pub(super) fn content(tree: &Tree, range: &KeyRange) -> Content {
    tree.range(range).map(|(key, entry)| (key.to_vec(), entry.clone())).collect()
}

/// What the tree should be, done the slow way.
#[derive(Clone, Default)]
struct Model {
    entries: BTreeMap<Vec<u8>, Entry>,
    changes: Vec<(Vec<u8>, Seq)>,
}

impl Model {
    fn change(&mut self, change: &Change, changed: Seq) -> Option<Blob> {
        let (key, old) = match change {
            Change::Put(key, value) => {
                let entry = Entry { value: value[..].into(), changed };
                (key, self.entries.insert(key.clone(), entry))
            }
            Change::Remove(key) => (key, Some(self.entries.remove(key)).filter(Option::is_some)?),
        };
        self.changes.push((key.clone(), changed));
        old.map(|entry| entry.value)
    }

    fn content(&self, range: &KeyRange) -> Content {
        let entries = self.entries.iter().filter(|(key, _)| range.contains(key));
        entries.map(|(key, entry)| (key.clone(), entry.clone())).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_tree_does_what_a_map_does(all in changes(60), range in ranges()) {
        let (mut tree, mut model) = (Tree::new(), Model::default());
        for (next, stamp) in all.iter().zip(1..) {
            let old = match next {
                Change::Put(key, value) => tree.put(key, value[..].into(), Seq(stamp)),
                Change::Remove(key) => tree.remove(key, Seq(stamp)),
            };
            prop_assert_eq!(old, model.change(next, Seq(stamp)));
            prop_assert_eq!(tree.len(), model.entries.len());
            let (Change::Put(key, _) | Change::Remove(key)) = next;
            prop_assert_eq!(tree.get(key), model.entries.get(key));
        }
        prop_assert_eq!(content(&tree, &KeyRange::all()), model.content(&KeyRange::all()));
        prop_assert_eq!(content(&tree, &range), model.content(&range));
    }
}
