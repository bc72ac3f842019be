//! Trees made again from what was kept of them.

use super::*;
use std::collections::BTreeMap;

type Kept = BTreeMap<Box<[u8]>, Entry>;

/// Makes the changes to what is kept, as whoever keeps it does.
fn keep(changes: Changes<'_>, entries: &mut Kept, stamps: &mut Stamps) {
    for change in changes {
        match change {
            Difference::Put(key, entry) => drop(entries.insert(key.into(), entry.clone())),
            Difference::Remove(key) => {
                assert!(entries.remove(key).is_some(), "what is removed was there");
            }
            Difference::Stamp(way, Some(stamp)) => drop(stamps.insert(way, stamp)),
            Difference::Stamp(way, None) => {
                assert!(stamps.remove(&way).is_some(), "what has no stamp any more had one");
            }
        }
    }
}

fn rebuilt(entries: &Kept, stamps: &Stamps) -> Tree {
    let entries = entries.iter().map(|(key, entry)| (key.clone(), entry.clone()));
    Tree::rebuild(entries, stamps).expect("keys in their order")
}

/// The change as one that owns what it names, applied to a tree.
fn applied(before: &Tree, changes: Changes<'_>, stamps: &Stamps) -> Tree {
    let (mut entries, mut stamped) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            Difference::Put(key, entry) => entries.push((Box::from(key), Some(entry.clone()))),
            Difference::Remove(key) => entries.push((Box::from(key), None)),
            Difference::Stamp(way, _) => stamped.push(way),
        }
    }
    let stamped = stamped.iter().map(|way| &**way);
    before.with_changes(entries, stamps, stamped).expect("keys that are short enough")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_kept_of_a_tree_makes_it_again(
        rounds in prop::collection::vec(changes(25), 1..6),
    ) {
        let (mut tree, mut entries, mut stamps) = (Tree::new(), Kept::new(), Stamps::new());
        let mut stamp = 1;
        for round in rounds {
            let before = tree.clone();
            change(&mut tree, &round, stamp);
            stamp += round.len() as u64;
            keep(tree.changes_since(&before), &mut entries, &mut stamps);
            let again = rebuilt(&entries, &stamps);
            prop_assert_eq!(again.digest(), tree.digest());
            prop_assert_eq!(again.len(), tree.len());
            let changed = applied(&before, tree.changes_since(&before), &stamps);
            prop_assert_eq!(changed.digest(), tree.digest());
            prop_assert_eq!(changed.len(), tree.len());
        }
    }

    #[test]
    fn the_changes_between_any_two_trees_make_one_the_other(
        one in changes(30),
        other in changes(30),
    ) {
        let (before, after) = (tree_of(&one), tree_of(&other));
        let (mut entries, mut stamps) = (Kept::new(), Stamps::new());
        keep(before.changes_since(&Tree::new()), &mut entries, &mut stamps);
        keep(after.changes_since(&before), &mut entries, &mut stamps);
        prop_assert_eq!(rebuilt(&entries, &stamps).digest(), after.digest());
        let changed = applied(&before, after.changes_since(&before), &stamps);
        prop_assert_eq!(changed.digest(), after.digest());
    }

    #[test]
    fn a_tree_made_again_goes_on_as_the_first(first in changes(40), second in changes(40)) {
        let mut tree = tree_of(&first);
        let (mut entries, mut stamps) = (Kept::new(), Stamps::new());
        keep(tree.changes_since(&Tree::new()), &mut entries, &mut stamps);
        let mut again = rebuilt(&entries, &stamps);
        change(&mut tree, &second, 100);
        change(&mut again, &second, 100);
        prop_assert_eq!(again.digest(), tree.digest());
    }
}

#[test]
fn nothing_is_said_to_have_changed_that_did_not() {
    let before = grown(4096);
    let mut after = before.clone();
    assert_eq!(after.changes_since(&before).count(), 0);
    let key = Digest::of(&7u64.to_le_bytes());
    after.put(&key.0[..16], Blob::from("new"), Seq(2));
    let entry = Entry { value: Blob::from("new"), changed: Seq(2) };
    let changes: Vec<Difference> = after.changes_since(&before).collect();
    assert_eq!(changes, [Difference::Put(&key.0[..16], &entry)]);
}

#[test]
fn the_changes_come_in_the_order_of_keys() {
    let (before, after) = (tree_of(&[]), grown(500));
    let changes = after.changes_since(&before).filter_map(|change| match change {
        Difference::Put(key, _) => Some(key),
        Difference::Remove(_) | Difference::Stamp(..) => None,
    });
    let content = content(&after, &KeyRange::all());
    assert!(changes.eq(content.iter().map(|(key, _)| &key[..])));
}

#[test]
fn a_changed_tree_shares_what_did_not_change() {
    let before = grown(4096);
    let key = Digest::of(&7u64.to_le_bytes());
    let entry = Entry { value: Blob::default(), changed: Seq(2) };
    let entries = [(Box::from(&key.0[..16]), Some(entry))];
    let after = before.with_changes(entries, &Stamps::new(), []).expect("a short key");
    let all = before.shares_with(&before);
    assert!(all - after.shares_with(&before) <= 6);
}

#[test]
fn entries_out_of_order_or_with_too_long_keys_are_no_tree() {
    let entry = Entry { value: Blob::default(), changed: Seq(1) };
    let of = |keys: &[&[u8]]| {
        let entries = keys.iter().map(|key| (Box::from(*key), entry.clone()));
        Tree::rebuild(entries, &Stamps::new()).map(|tree| tree.len())
    };
    assert_eq!(of(&[b"", b"a", b"ab", b"b"]), Ok(4));
    assert_eq!(of(&[b"b", b"a"]), Err(NoTree::Unsorted));
    assert_eq!(of(&[b"a", b"a"]), Err(NoTree::Unsorted));
    let long = [0; MOST_KEY_BYTES + 1];
    assert_eq!(of(&[&long]), Err(NoTree::TooLong));
    let entries = [(Box::from(&long[..]), Some(entry.clone()))];
    let changed = Tree::new().with_changes(entries, &Stamps::new(), []);
    assert_eq!(changed.err(), Some(NoTree::TooLong));
}

#[test]
fn the_deepest_tree_is_made_again_with_little_stack() {
    let story = || {
        let mut tree = nested();
        tree.remove(&[0; MOST_KEY_BYTES - 1], Seq(9));
        let (mut entries, mut stamps) = (Kept::new(), Stamps::new());
        keep(tree.changes_since(&Tree::new()), &mut entries, &mut stamps);
        assert_eq!(rebuilt(&entries, &stamps).digest(), tree.digest());
        let changed = applied(&Tree::new(), tree.changes_since(&Tree::new()), &stamps);
        assert_eq!(changed.digest(), tree.digest());
    };
    let small = std::thread::Builder::new().stack_size(512 << 10);
    small.spawn(story).expect("a thread").join().expect("the story ends well");
}
