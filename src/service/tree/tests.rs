//! Stories about the tree as a whole; helpers that other modules' tests use too.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

mod proofs;
mod rebuilds;
mod transfers;

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
                Change::Put(key, value) => {
                    tree.put(key, value[..].into(), Seq(stamp)).map(|old| old.value)
                }
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

    #[test]
    fn a_snapshot_stays_as_it_was(before in changes(40), after in changes(40)) {
        let mut tree = tree_of(&before);
        let snapshot = tree.clone();
        prop_assert!(snapshot.ptr_eq(&tree));
        change(&mut tree, &after, 100);
        let same = tree_of(&before);
        prop_assert_eq!(content(&snapshot, &KeyRange::all()), content(&same, &KeyRange::all()));
        prop_assert_eq!(snapshot.digest(), same.digest());
        prop_assert_eq!(snapshot.len(), same.len());
        prop_assert_eq!(tree.digest(), {
            let mut anew = same;
            change(&mut anew, &after, 100);
            anew.digest()
        });
    }

    #[test]
    fn with_one_stamp_the_digest_follows_from_the_content(
        all in changes(60),
        digests in prop::collection::vec(any::<bool>(), 60),
    ) {
        let mut tree = Tree::new();
        for (next, asked) in all.iter().zip(digests) {
            change(&mut tree, std::slice::from_ref(next), 7);
            if asked {
                tree.digest();
            }
        }
        let mut anew = Tree::new();
        for (key, entry) in content(&tree, &KeyRange::all()).into_iter().rev() {
            anew.put(&key, entry.value, Seq(7));
        }
        if anew.is_empty() && all.iter().any(|next| matches!(next, Change::Put(..))) {
            anew.put(b"", Blob::default(), Seq(7));
            anew.remove(b"", Seq(7));
        }
        prop_assert_eq!(tree.digest(), anew.digest());
    }

    #[test]
    fn no_key_of_a_range_changed_after_its_last_change(all in changes(60), range in ranges()) {
        let (mut tree, mut model) = (Tree::new(), Model::default());
        for (next, stamp) in all.iter().zip(1..) {
            model.change(next, Seq(stamp));
            change(&mut tree, std::slice::from_ref(next), stamp);
        }
        let changes = model.changes.iter().filter(|(key, _)| range.contains(key));
        let last = changes.map(|(_, changed)| *changed).max().unwrap_or_default();
        prop_assert!(tree.last_change(&range) >= last);
        if let Some(entry) = tree.get(&range.from).filter(|_| range.is_single()) {
            prop_assert_eq!(tree.last_change(&range), entry.changed);
        }
        let latest = model.changes.last().map(|(_, changed)| *changed).unwrap_or_default();
        prop_assert_eq!(tree.last_change(&KeyRange::all()), latest);
    }

    #[test]
    fn a_range_of_a_prefix_holds_what_begins_so(prefix in keys(), key in keys()) {
        prop_assert_eq!(KeyRange::prefix(&prefix).contains(&key), key.starts_with(&prefix));
        prop_assert_eq!(KeyRange::single(&prefix).contains(&key), key == prefix);
        prop_assert!(KeyRange::single(&key).is_single());
    }

    #[test]
    fn the_nibbles_that_a_range_shares_are_those_of_all_its_keys(range in ranges(), key in keys()) {
        let shared = range.shared_nibbles();
        prop_assert!(shared <= path::nibbles(&range.from));
        if range.contains(&key) {
            prop_assert!(path::common_nibbles(&range.from, &key, 0) >= shared);
        }
    }
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let mut tree = tree_of(&[Change::Put(b"ab".to_vec(), vec![1])]);
    let (before, snapshot) = (tree.digest(), tree.clone());
    for absent in [&b""[..], b"a", b"abc", b"b"] {
        assert_eq!(tree.remove(absent, Seq(9)), None);
    }
    assert_eq!(tree.digest(), before);
    assert!(tree.ptr_eq(&snapshot), "the root was copied for nothing");
}

#[test]
fn the_empty_tree_has_one_digest() {
    assert_eq!(
        Tree::new().digest().to_string(),
        "e89aa74d5e4fa396f197d0f5574cd10b21de0ee87d5fa63734d7436725c5f90f",
    );
}

#[test]
fn the_digest_of_a_small_tree_is_the_one_that_is_documented() {
    let tree = tree_of(&[Change::Put(b"a".to_vec(), b"x".to_vec())]);
    let value = Digest::of(b"quorate tree valuex");
    let number = |number: u64| number.to_le_bytes();
    let leaf = Digest::of_parts(&[b"quorate tree leaf", &number(1), &number(1), b"a", &value.0]);
    let steps = (1u32 << (1 + 6)).to_le_bytes();
    let root = Digest::of_parts(&[b"quorate tree branch", &number(1), &number(0), &steps, &leaf.0]);
    assert_eq!(tree.digest(), root);
}

#[test]
fn a_change_copies_only_its_way_when_there_is_a_snapshot() {
    let mut tree = grown(4096);
    let snapshot = tree.clone();
    let all = tree.shares_with(&snapshot);
    tree.put(&Digest::of(&7u64.to_le_bytes()).0[..16], Blob::default(), Seq(2));
    let shared = tree.shares_with(&snapshot);
    assert!(all - shared <= 6, "{} of {all} nodes were copied", all - shared);
    assert!(!tree.ptr_eq(&snapshot));
}

#[test]
fn the_last_change_of_a_key_is_the_one_that_wrote_it() {
    let mut tree = Tree::new();
    tree.put(b"abc", Blob::from("1"), Seq(1));
    tree.put(b"abd", Blob::from("2"), Seq(2));
    tree.put(b"x", Blob::from("3"), Seq(3));
    assert_eq!(tree.last_change(&KeyRange::single(b"abc")), Seq(1));
    assert_eq!(tree.last_change(&KeyRange::single(b"abd")), Seq(2));
    assert_eq!(tree.last_change(&KeyRange::between(b"abc", b"abe")), Seq(2));
    assert_eq!(tree.last_change(&KeyRange::between(b"ab`", b"abo")), Seq(2));
    // The branch of the two covers what begins with "ab" and the nibble 6, and no more.
    assert_eq!(tree.last_change(&KeyRange::prefix(b"ab")), Seq(3));
    assert_eq!(tree.last_change(&KeyRange::all()), Seq(3));
    assert_eq!(tree.last_change(&KeyRange::between(b"abc", b"y")), Seq(3));
}

#[test]
fn the_last_change_of_an_absent_key_is_its_removal_or_later() {
    let mut tree = Tree::new();
    for (key, stamp) in [(&b"abc"[..], 1), (b"abd", 2), (b"abe", 3), (b"x", 4)] {
        tree.put(key, Blob::default(), Seq(stamp));
    }
    tree.remove(b"abd", Seq(5));
    assert_eq!(tree.last_change(&KeyRange::single(b"abd")), Seq(5));
    tree.put(b"x", Blob::default(), Seq(6));
    assert_eq!(tree.last_change(&KeyRange::single(b"abd")), Seq(5), "the branch remembers");
    assert_eq!(tree.last_change(&KeyRange::single(b"abc")), Seq(1), "a neighbour's removal");
}

#[test]
fn a_branch_that_goes_leaves_its_removals_to_the_one_above() {
    let mut tree = Tree::new();
    for (key, stamp) in [(&b"abc"[..], 1), (b"abd", 2), (b"x", 3)] {
        tree.put(key, Blob::default(), Seq(stamp));
    }
    tree.remove(b"abd", Seq(4));
    assert_eq!(tree.last_change(&KeyRange::single(b"abd")), Seq(4));
    tree.remove(b"abc", Seq(5));
    tree.remove(b"x", Seq(6));
    assert!(tree.is_empty());
    for key in [&b"abd"[..], b"x", b"never"] {
        assert_eq!(tree.last_change(&KeyRange::single(key)), Seq(6));
    }
    assert_ne!(tree.digest(), Tree::new().digest(), "the root remembers");
}

#[test]
#[should_panic(expected = "a key of 1025 bytes reached the tree")]
fn a_key_that_is_too_long_is_a_bug_of_the_caller() {
    Tree::new().put(&[0; MOST_KEY_BYTES + 1], Blob::default(), Seq(1));
}

/// Keys of which each begins with the one before: a branch for every nibble.
pub(super) fn nested() -> Tree {
    let zeros = [0; MOST_KEY_BYTES];
    let mut tree = Tree::new();
    for length in 0..=MOST_KEY_BYTES {
        tree.put(&zeros[..length], Blob::default(), Seq(1));
        if length < MOST_KEY_BYTES {
            tree.put(&[&zeros[..length], &[1]].concat(), Blob::default(), Seq(1));
        }
    }
    tree
}

#[test]
fn the_deepest_tree_that_keys_can_make_needs_little_stack() {
    let story = || {
        let mut tree = nested();
        let snapshot = tree.clone();
        let deepest = [0; MOST_KEY_BYTES];
        let range = KeyRange::single(&deepest);
        let root = tree.digest();
        let found = tree.prove(&range).verify(root, &range).expect("an honest proof");
        assert_eq!(found.len(), 1);
        assert_eq!(tree.range(&KeyRange::all()).count(), tree.len());
        let target = tree.digest();
        let fetched = transfers::fetch(Assembly::new(target, Tree::new()), &tree, 10_000);
        assert_eq!(fetched.len(), tree.len());
        drop(fetched);
        for length in (0..=MOST_KEY_BYTES).rev() {
            assert!(tree.remove(&deepest[..length], Seq(2)).is_some());
        }
        assert_eq!(tree.len(), MOST_KEY_BYTES);
        drop((tree, snapshot));
    };
    let small = std::thread::Builder::new().stack_size(512 << 10);
    small.spawn(story).expect("a thread").join().expect("the story ends well");
}

#[test]
fn nodes_are_as_small_as_they_were_planned() {
    assert_eq!(size_of::<node::Slot>(), 56);
    assert_eq!(size_of::<node::Leaf>(), 56);
    assert_eq!(size_of::<node::Branch>(), 64);
}
