//! Transfers: that they end with the tree wanted, cost what differs, and take in nothing
//! that is wrong.

use super::super::outline::Item;
use super::*;
use crate::wire;

const LIMIT: usize = 64 << 20;

/// Fetches what is missing from the source, all of it.
pub(super) fn fetch(mut assembly: Assembly, source: &Tree, most_bytes: usize) -> Tree {
    while !assembly.is_complete() {
        fetch_some(&mut assembly, source, most_bytes, usize::MAX);
    }
    assembly.finish().expect("nothing is missing")
}

/// Fetches the first missing subtrees, so many.
fn fetch_some(assembly: &mut Assembly, source: &Tree, most_bytes: usize, limit: usize) {
    for (path, _) in assembly.wanted(limit) {
        let (since, budget) = assembly.question(&path, most_bytes);
        let part = source.part_since(&path, since, budget).expect("the source has what is wanted");
        let bytes = wire::encode(&part);
        assert_eq!(bytes.len(), part.encoded_bytes());
        let part = wire::decode(&bytes, LIMIT).expect("it was encoded");
        let accepted = assembly.accept(&path, part).expect("it is what was wanted");
        assert_eq!(accepted.bytes, bytes.len());
    }
}

fn assert_same(one: &Tree, other: &Tree) {
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.len(), other.len());
    assert_eq!(content(one, &KeyRange::all()), content(other, &KeyRange::all()));
    // The digest that was taken over is that of the nodes.
    let mut touched = one.clone();
    let mut expected = other.clone();
    touched.put(b"another", Blob::default(), Seq(u64::MAX));
    expected.put(b"another", Blob::default(), Seq(u64::MAX));
    assert_eq!(touched.digest(), expected.digest());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_transfer_ends_with_the_tree_wanted(
        common in changes(40),
        own in changes(10),
        other in changes(10),
        most_bytes in 0..2000usize,
    ) {
        let (mut base, mut target) = (tree_of(&common), tree_of(&common));
        change(&mut base, &own, 100);
        change(&mut target, &other, 200);
        let fetched = fetch(Assembly::new(target.digest(), base), &target, most_bytes);
        assert_same(&fetched, &target);
    }

    #[test]
    fn a_replica_that_fell_behind_ends_with_the_tree_wanted(
        common in changes(40),
        other in changes(20),
        most_bytes in 0..2000usize,
    ) {
        let base = tree_of(&common);
        let mut target = base.clone();
        change(&mut target, &other, 200);
        let fetched = fetch(Assembly::later(target.digest(), base), &target, most_bytes);
        assert_same(&fetched, &target);
    }

    /// Whoever is wrong about what is at hand asks for more, and gets there too.
    #[test]
    fn what_is_at_hand_may_be_of_another_history(
        common in changes(40),
        own in changes(10),
        other in changes(10),
        most_bytes in 0..2000usize,
    ) {
        let (mut base, mut target) = (tree_of(&common), tree_of(&common));
        change(&mut base, &own, 200);
        change(&mut target, &other, 200);
        let fetched = fetch(Assembly::later(target.digest(), base), &target, most_bytes);
        assert_same(&fetched, &target);
    }

    #[test]
    fn a_transfer_may_change_its_target_at_any_time(
        common in changes(40),
        steps in prop::collection::vec((changes(8), 0..4usize), 1..5),
        most_bytes in 0..1000usize,
        fell_behind in any::<bool>(),
    ) {
        let (mut target, mut first) = (tree_of(&common), 100);
        let base = if fell_behind { target.clone() } else { Tree::new() };
        change(&mut target, &[Change::Put(vec![1], vec![1])], 99);
        let mut assembly = Assembly::later(target.digest(), base);
        for (all, fetched) in &steps {
            fetch_some(&mut assembly, &target, most_bytes, *fetched);
            change(&mut target, all, first);
            first += 100;
            assembly = assembly.retarget(target.digest());
        }
        assert_same(&fetch(assembly, &target, most_bytes), &target);
    }

    #[test]
    fn any_part_is_refused_without_harm(items in prop::collection::vec(proofs::items(), 0..12)) {
        let tree = tree_of(&[Change::Put(vec![1], vec![1])]);
        let mut assembly = Assembly::new(tree.digest(), Tree::new());
        let part = Part { items: items.into() };
        prop_assert!(assembly.accept(&Path::root(), part).is_err());
        prop_assert_eq!(assembly.wanted(9), vec![(Path::root(), tree.digest())]);
    }
}

#[test]
fn the_tree_that_is_at_hand_is_complete_at_once() {
    let tree = grown(100);
    let assembly = Assembly::new(tree.digest(), tree.clone());
    assert!(assembly.is_complete());
    assert_eq!(assembly.wanted(10), vec![]);
    assert!(assembly.finish().expect("it is complete").ptr_eq(&tree));
    let empty = Assembly::new(Tree::new().digest(), Tree::new());
    assert!(empty.is_complete());
}

#[test]
fn an_empty_tree_is_fetched_like_any_other() {
    let fetched = fetch(Assembly::new(Tree::new().digest(), grown(9)), &Tree::new(), 1000);
    assert_same(&fetched, &Tree::new());
}

#[test]
fn a_replica_with_nothing_fetches_everything_in_few_parts() {
    let target = grown(5_000);
    let mut assembly = Assembly::new(target.digest(), Tree::new());
    while !assembly.is_complete() {
        fetch_some(&mut assembly, &target, 64 << 10, 1);
    }
    let progress = assembly.progress();
    let least = progress.bytes / (64 << 10);
    assert!(progress.parts <= 6 * least, "{} parts for {least} full ones", progress.parts);
    assert_same(&assembly.finish().expect("it is complete"), &target);
}

#[test]
fn a_replica_that_fell_behind_fetches_what_differs() {
    let base = grown(20_000);
    let mut target = base.clone();
    for number in 0..5u64 {
        let key = &Digest::of(&number.to_le_bytes()).0[..16];
        target.put(key, Blob::from("new"), Seq(2));
    }
    target.remove(&Digest::of(&7u64.to_le_bytes()).0[..16], Seq(2));
    let mut assembly = Assembly::new(target.digest(), base.clone());
    while !assembly.is_complete() {
        fetch_some(&mut assembly, &target, 256 << 10, usize::MAX);
    }
    let progress = assembly.progress();
    assert!(progress.parts <= 6 * 5, "{} parts", progress.parts);
    assert!(progress.bytes <= 6 * 5 * 4096, "{} bytes", progress.bytes);
    let fetched = assembly.finish().expect("it is complete");
    assert_same(&fetched, &target);
    let (shared, all) = (fetched.shares_with(&base), base.shares_with(&base));
    assert!(shared * 100 >= all * 98, "{shared} of {all} nodes are shared with the base");
}

/// What changed travels, with the digests beside it, in parts as large as may be.
#[test]
fn many_changes_travel_in_few_parts() {
    let base = grown(20_000);
    let mut target = base.clone();
    let key = |number: u64| Digest::of(&number.to_le_bytes()).0;
    for number in (0..20_000).step_by(10) {
        target.put(&key(number)[..16], Blob::from("new"), Seq(2));
        target.put(&key(20_000 + number)[..16], Blob::from("one more"), Seq(2));
        target.remove(&key(1 + number)[..16], Seq(2));
    }
    let parts = |mut assembly: Assembly| {
        while !assembly.is_complete() {
            fetch_some(&mut assembly, &target, 64 << 10, usize::MAX);
        }
        let progress = assembly.progress();
        assert_same(&assembly.finish().expect("it is complete"), &target);
        (progress.parts, progress.bytes)
    };
    let (parts_later, bytes_later) = parts(Assembly::later(target.digest(), base.clone()));
    let (parts_compared, bytes_compared) = parts(Assembly::new(target.digest(), base));
    assert!(10 * parts_later < parts_compared, "{parts_later} parts, {parts_compared}");
    assert!(bytes_later < bytes_compared, "{bytes_later} bytes, {bytes_compared}");
}

/// What lacks below a branch that is older shows that the state at hand was another.
#[test]
fn a_state_of_another_history_is_soon_compared_instead() {
    let tree = grown(5_000);
    let key = |number: u64| Digest::of(&number.to_le_bytes()).0;
    let (mut wrong, mut target) = (tree.clone(), tree);
    for number in 0..500 {
        wrong.put(&key(number)[..16], Blob::from("wrong"), Seq(1));
    }
    target.put(&key(7)[..16], Blob::from("new"), Seq(2));
    let parts = |mut assembly: Assembly| {
        while !assembly.is_complete() {
            fetch_some(&mut assembly, &target, 64 << 10, usize::MAX);
        }
        assembly.progress().parts
    };
    let compared = parts(Assembly::new(target.digest(), wrong.clone()));
    let later = parts(Assembly::later(target.digest(), wrong));
    assert!(later < compared + compared / 4, "{later} parts, {compared}");
}

/// What was fetched already is not fetched again, though what was at hand is older.
#[test]
fn a_replica_that_fell_behind_may_change_its_target() {
    let base = grown(20_000);
    let put = |target: &mut Tree, numbers: std::ops::Range<u64>, seq: Seq| {
        for number in numbers {
            target.put(&Digest::of(&number.to_le_bytes()).0[..16], Blob::from("new"), seq);
        }
    };
    let mut older = base.clone();
    put(&mut older, 0..5_000, Seq(2));
    let mut newer = older.clone();
    put(&mut newer, 5_000..5_020, Seq(3));
    let at_once = fetched_bytes(Assembly::later(newer.digest(), base.clone()), &newer);
    let mut assembly = Assembly::later(older.digest(), base);
    while assembly.progress().bytes < at_once / 2 {
        fetch_some(&mut assembly, &older, 16 << 10, 1);
    }
    let turned = fetched_bytes(assembly.retarget(newer.digest()), &newer);
    assert!(turned < at_once + at_once / 8, "{turned} bytes, and at once {at_once}");
}

fn fetched_bytes(mut assembly: Assembly, target: &Tree) -> u64 {
    while !assembly.is_complete() {
        fetch_some(&mut assembly, target, 16 << 10, 1);
    }
    let bytes = assembly.progress().bytes;
    assert_same(&assembly.finish().expect("it is complete"), target);
    bytes
}

#[test]
fn what_was_fetched_for_an_older_target_is_not_fetched_again() {
    let older = grown(5_000);
    let mut newer = older.clone();
    newer.put(b"one more", Blob::from("new"), Seq(2));
    let mut assembly = Assembly::new(older.digest(), Tree::new());
    while assembly.progress().bytes < 200_000 {
        fetch_some(&mut assembly, &older, 16 << 10, 1);
    }
    let before = assembly.progress();
    let mut assembly = assembly.retarget(newer.digest());
    while !assembly.is_complete() {
        fetch_some(&mut assembly, &newer, 16 << 10, 1);
    }
    let after = assembly.progress();
    let whole = wire::encode(&newer.part(&Path::root(), usize::MAX).expect("all")).len() as u64;
    let extra = after.bytes - whole;
    assert!(extra < 100_000, "{extra} bytes more than the tree has, {} before", before.bytes);
    assert_same(&assembly.finish().expect("it is complete"), &newer);
}

#[test]
fn a_finished_assembly_can_be_aimed_at_a_newer_tree() {
    let older = grown(500);
    let mut newer = older.clone();
    newer.put(b"one more", Blob::from("new"), Seq(2));
    let mut assembly = Assembly::new(older.digest(), older.clone()).retarget(newer.digest());
    assert!(!assembly.is_complete());
    while !assembly.is_complete() {
        fetch_some(&mut assembly, &newer, 64 << 10, 1);
    }
    assert!(assembly.progress().parts <= 4);
}

#[test]
fn a_part_that_is_wrong_changes_nothing() {
    let (target, other) = (grown(300), grown(301));
    let mut assembly = Assembly::new(target.digest(), Tree::new());
    let part = |tree: &Tree, path: &Path| tree.part(path, 2000).expect("it is there");
    let refused = assembly.accept(&Path::root(), part(&other, &Path::root()));
    assert_eq!(refused, Err(PartError::WrongDigest), "a part of another state");
    assert_eq!(assembly.wanted(9), vec![(Path::root(), target.digest())]);
    let hollow = Part { items: vec![Item::Hidden(target.digest())].into() };
    assert_eq!(assembly.accept(&Path::root(), hollow), Err(PartError::Hollow));

    assembly.accept(&Path::root(), part(&target, &Path::root())).expect("it is right");
    let duplicate = assembly.accept(&Path::root(), part(&target, &Path::root()));
    assert_eq!(duplicate, Err(PartError::Unrequested), "a duplicate");
    let wanted = assembly.wanted(2);
    let misplaced = assembly.accept(&wanted[1].0, part(&target, &wanted[0].0));
    assert!(misplaced.is_err(), "another subtree's part");
    assert_eq!(assembly.wanted(2), wanted);
    assert_eq!(assembly.progress().parts, 1);
    assert!(assembly.clone().finish().is_err());
    assert_same(&fetch(assembly, &target, 2000), &target);
}

#[test]
fn a_part_with_any_one_bit_changed_is_refused() {
    let target = grown(20);
    let honest = wire::encode(&target.part(&Path::root(), 500).expect("it is there"));
    let mut assembly = Assembly::new(target.digest(), Tree::new());
    for bit in 0..honest.len() * 8 {
        let mut bytes = honest.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(part) = wire::decode::<Part>(&bytes, LIMIT) {
            assert!(assembly.accept(&Path::root(), part).is_err(), "bit {bit}");
        }
    }
    assert_eq!(assembly.progress().parts, 0);
}

#[test]
fn a_leaf_comes_with_its_value_or_not_at_all() {
    let target = tree_of(&[Change::Put(b"a".to_vec(), b"x".to_vec())]);
    let proof = target.prove(&KeyRange::single(b"b"));
    let bytes = wire::encode(&proof);
    let part = wire::decode::<Part>(&bytes, LIMIT).expect("both are outlines");
    let mut assembly = Assembly::new(target.digest(), Tree::new());
    assert_eq!(assembly.accept(&Path::root(), part), Err(PartError::WithoutValue));
}

#[test]
fn a_value_larger_than_any_part_travels_alone() {
    let mut target = grown(50);
    target.put(b"large", Blob::from(vec![7; 100_000]), Seq(2));
    let mut assembly = Assembly::new(target.digest(), Tree::new());
    let mut large = 0;
    while !assembly.is_complete() {
        for (path, _) in assembly.wanted(usize::MAX) {
            let part = target.part(&path, 4000).expect("it is there");
            if part.encoded_bytes() > 4000 {
                assert_eq!(part.items.len(), 1);
                large += 1;
            }
            assembly.accept(&path, part).expect("it is right");
        }
    }
    assert_eq!(large, 1);
    assert_same(&assembly.finish().expect("it is complete"), &target);
}

#[test]
fn a_part_is_given_only_for_paths_that_lead_to_a_node() {
    let tree = story_of_paths();
    let mut assembly = Assembly::new(tree.digest(), Tree::new());
    let part = tree.part(&Path::root(), 0).expect("the root");
    assembly.accept(&Path::root(), part).expect("it is right");
    let (path, _) = assembly.wanted(1).remove(0);
    assert!(tree.part(&path, 0).is_some());
    assert!(Tree::new().part(&path, 0).is_none());
    let beyond = path.below(&path::Prefix::default(), path::Step::END);
    assert!(tree.part(&beyond, 0).is_none());
}

fn story_of_paths() -> Tree {
    tree_of(&[Change::Put(b"abc".to_vec(), vec![1]), Change::Put(b"abd".to_vec(), vec![2])])
}
