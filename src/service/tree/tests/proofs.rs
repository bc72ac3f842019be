//! Proofs: what they show, and that nobody can make them show anything else.

use super::super::outline::Item;
use super::super::path::{Prefix, Step, Steps};
use super::*;
use crate::wire::{self, List};

const LIMIT: usize = 1 << 20;

type Shown = Vec<(Blob, Blob, Seq)>;

fn shown(content: Content) -> Shown {
    content.into_iter().map(|(key, entry)| (key.into(), entry.value, entry.changed)).collect()
}

fn story() -> Tree {
    let mut tree = Tree::new();
    let keys = [&b"a"[..], b"ab", b"abc", b"abd", b"b", b"ba", b"c\xff", b"c\xff\xff", b"d"];
    for (key, stamp) in keys.iter().zip(1..) {
        tree.put(key, Blob::from(&key.repeat(2)[..]), Seq(stamp));
    }
    tree
}

fn proof_of(items: Vec<Item>) -> Proof {
    Proof { items: items.into() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_proof_shows_what_the_range_holds(all in changes(60), range in ranges()) {
        let tree = tree_of(&all);
        let proof = tree.prove(&range);
        let expected = shown(content(&tree, &range));
        prop_assert_eq!(proof.verify(tree.digest(), &range), Ok(expected));
        let bytes = wire::encode(&proof);
        prop_assert_eq!(bytes.len(), proof.encoded_bytes());
        prop_assert_eq!(wire::decode::<Proof>(&bytes, LIMIT), Ok(proof));
    }

    #[test]
    fn a_proof_of_one_range_does_not_show_another_falsely(
        all in changes(40),
        one in ranges(),
        other in ranges(),
    ) {
        let tree = tree_of(&all);
        if let Ok(found) = tree.prove(&one).verify(tree.digest(), &other) {
            prop_assert_eq!(found, shown(content(&tree, &other)));
        }
    }

    #[test]
    fn any_bytes_are_refused_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(proof) = wire::decode::<Proof>(&bytes, LIMIT) {
            prop_assert!(proof.verify(Tree::new().digest(), &KeyRange::all()).is_err());
        }
    }

    #[test]
    fn any_items_are_refused_without_harm(items in prop::collection::vec(items(), 0..12)) {
        let proof = proof_of(items);
        prop_assert!(proof.verify(Digest::default(), &KeyRange::all()).is_err());
    }
}

pub(super) fn items() -> impl Strategy<Value = Item> {
    let steps = prop::collection::vec(any::<u8>(), 0..4).prop_map(|nibbles| steps(&nibbles));
    let blob = || keys().prop_map(Blob::from);
    prop_oneof![
        Just(Item::Hidden(Digest::default())),
        (blob(), blob()).prop_map(|(key, value)| Item::Leaf { key, changed: Seq(1), value }),
        blob().prop_map(|key| Item::Neighbour { key, changed: Seq(1), value: Digest::default() }),
        (steps, keys(), 0..3usize).prop_map(|(steps, key, length)| {
            let prefix = Prefix::of(&key, 0, length.min(path::nibbles(&key)));
            Item::Branch { changed: Seq(1), prefix, steps }
        }),
    ]
}

fn steps(nibbles: &[u8]) -> Steps {
    let mut steps = Steps::default();
    nibbles.iter().for_each(|nibble| steps.insert(Step::after(&[nibble << 4], 0)));
    steps
}

#[test]
fn absence_is_an_empty_result() {
    let tree = story();
    for absent in [&b""[..], b"aa", b"abcd", b"c", b"c\xff\xfe", b"zzz"] {
        let range = KeyRange::single(absent);
        assert_eq!(tree.prove(&range).verify(tree.digest(), &range), Ok(Vec::new()));
    }
    let range = KeyRange::all();
    let empty = Tree::new();
    assert_eq!(empty.prove(&range).verify(empty.digest(), &range), Ok(Vec::new()));
}

#[test]
fn a_proof_with_any_one_bit_changed_is_refused() {
    let tree = story();
    let root = tree.digest();
    for range in [KeyRange::single(b"abc"), KeyRange::single(b"aa"), KeyRange::prefix(b"c")] {
        let honest = wire::encode(&tree.prove(&range));
        for bit in 0..honest.len() * 8 {
            let mut bytes = honest.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let decoded = wire::decode::<Proof>(&bytes, LIMIT);
            assert!(
                decoded.is_err() || decoded.is_ok_and(|proof| proof.verify(root, &range).is_err()),
                "bit {bit} makes no difference",
            );
        }
        for length in 0..honest.len() {
            assert!(wire::decode::<Proof>(&honest[..length], LIMIT).is_err());
        }
    }
}

#[test]
fn a_proof_of_another_state_is_refused() {
    let (tree, range) = (story(), KeyRange::prefix(b"ab"));
    let mut newer = tree.clone();
    newer.put(b"abd", Blob::from("abdabd"), Seq(100));
    assert_eq!(tree.prove(&range).verify(newer.digest(), &range), Err(ProofError::WrongRoot));
}

#[test]
fn nothing_of_the_range_can_be_hidden() {
    let (tree, range) = (story(), KeyRange::prefix(b"ab"));
    let root = tree.digest();
    let honest = tree.prove(&range).items.0;
    let digests = outline::digests(&honest).expect("the outline of a tree");
    for (index, item) in honest.iter().enumerate() {
        let mut items = honest.clone();
        match item {
            Item::Hidden(_) | Item::Neighbour { .. } => continue,
            Item::Leaf { key, changed, value } => {
                let value = node::value_digest(value);
                let neighbour = Item::Neighbour { key: key.clone(), changed: *changed, value };
                items[index] = neighbour;
                let proof = proof_of(items.clone());
                assert_eq!(proof.verify(root, &range), Err(ProofError::Hidden));
                items[index] = Item::Hidden(digests[index]);
            }
            Item::Branch { .. } => {
                let end = index + size_of_subtree(&honest[index..]);
                items.splice(index..end, [Item::Hidden(digests[index])]);
            }
        }
        assert_eq!(outline::digests(&items).expect("still one tree")[0], root);
        assert_eq!(proof_of(items).verify(root, &range), Err(ProofError::Hidden));
    }
}

/// How many items belong to the first one's subtree.
fn size_of_subtree(items: &[Item]) -> usize {
    let mut lacking = 1;
    let end = items.iter().position(|item| {
        lacking -= 1;
        if let Item::Branch { steps, .. } = item {
            lacking += steps.len();
        }
        lacking == 0
    });
    end.expect("a whole subtree") + 1
}

#[test]
fn items_cannot_be_dropped_repeated_or_exchanged() {
    let (tree, range) = (story(), KeyRange::prefix(b"ab"));
    let root = tree.digest();
    let honest = tree.prove(&range).items.0;
    for one in 0..honest.len() {
        let (mut without, mut twice) = (honest.clone(), honest.clone());
        without.remove(one);
        assert!(proof_of(without).verify(root, &range).is_err(), "{one} dropped");
        twice.insert(one, honest[one].clone());
        assert!(proof_of(twice).verify(root, &range).is_err(), "{one} repeated");
        for other in 0..one {
            let mut exchanged = honest.clone();
            exchanged.swap(one, other);
            let result = proof_of(exchanged).verify(root, &range);
            assert!(result.is_err(), "{one} and {other} exchanged");
        }
    }
}

#[test]
fn nothing_beside_the_range_may_be_shown() {
    let tree = story();
    let root = tree.digest();
    let (all, narrow) = (KeyRange::all(), KeyRange::single(b"abc"));
    assert_eq!(tree.prove(&all).verify(root, &narrow), Err(ProofError::Superfluous));
    let mut items = tree.prove(&KeyRange::single(b"dd")).items.0;
    let neighbour = items.iter_mut().find(|item| matches!(item, Item::Neighbour { .. }));
    let (key, value) = (Blob::from("d"), Blob::from("dd"));
    *neighbour.expect("the only key there") = Item::Leaf { key, changed: Seq(9), value };
    assert_eq!(outline::digests(&items).expect("one tree")[0], root);
    let result = proof_of(items).verify(root, &KeyRange::single(b"dd"));
    assert_eq!(result, Err(ProofError::Superfluous));
}

#[test]
fn outlines_that_no_tree_has_are_refused_by_cause() {
    let hidden = || Item::Hidden(Digest::default());
    let branch = |prefix: &[u8], steps| {
        let prefix = Prefix::of(prefix, 0, path::nibbles(prefix));
        Item::Branch { changed: Seq(1), prefix, steps }
    };
    let leaf = |key: &[u8]| Item::Leaf { key: key.into(), changed: Seq(1), value: Blob::default() };
    let root = |nibbles: &[u8]| branch(b"", steps(nibbles));
    let mut ending = steps(&[1]);
    ending.insert(Step::END);
    let odd_prefix = Prefix::of(&[0x11], 0, 1);
    let ends_within_a_byte =
        Item::Branch { changed: Seq(1), prefix: Prefix::default(), steps: ending };
    let ends_fine = Item::Branch { changed: Seq(1), prefix: odd_prefix, steps: ending };
    let long = vec![0x11; MOST_KEY_BYTES];
    let cases = [
        (vec![], Misshapen::WrongCount),
        (vec![root(&[1])], Misshapen::WrongCount),
        (vec![root(&[]), hidden()], Misshapen::WrongCount),
        (vec![leaf(b"a")], Misshapen::NotARoot),
        (vec![branch(b"a", steps(&[1, 2])), hidden(), hidden()], Misshapen::NotARoot),
        (vec![root(&[1]), branch(b"", steps(&[1])), hidden()], Misshapen::Needless),
        (vec![root(&[1]), branch(b"", steps(&[]))], Misshapen::Needless),
        (vec![root(&[1]), ends_within_a_byte, hidden(), hidden()], Misshapen::Astray),
        (vec![root(&[1]), branch(&long, steps(&[1, 2])), hidden(), hidden()], Misshapen::Astray),
        (vec![root(&[6]), leaf(b"q")], Misshapen::Misplaced),
        (vec![root(&[6]), leaf(&[b'a'; MOST_KEY_BYTES + 1])], Misshapen::Misplaced),
        (
            vec![root(&[1]), ends_fine, root(&[1, 2]), hidden(), hidden(), hidden()],
            Misshapen::Misplaced,
        ),
    ];
    for (items, cause) in cases {
        let found = outline::walk(&items, Path::root(), |_, _| Ok::<(), Misshapen>(()));
        let counted = outline::digests(&items).map(|_| ());
        assert_eq!(found.and(counted), Err(cause), "{items:?}");
    }
}

#[test]
fn paths_prefixes_and_steps_that_cannot_be_are_not_decoded() {
    let path = |steps: &[u8]| {
        let bytes = wire::encode(&Blob::from(steps));
        wire::decode::<Path>(&bytes, LIMIT)
    };
    assert!(path(&[]).is_ok());
    assert!(path(&[1, 16]).is_ok());
    assert!(path(&[1, 16, 0]).is_ok());
    assert!(path(&[17]).is_err(), "no such nibble");
    assert!(path(&[1, 0]).is_err(), "an end within a byte");
    assert!(path(&[0, 1]).is_err(), "on after the end");
    assert!(path(&[1; 2 * MOST_KEY_BYTES]).is_ok());
    assert!(path(&[1; 2 * MOST_KEY_BYTES + 1]).is_err(), "too long");
    let prefix = |nibbles: &[u8]| {
        let bytes = wire::encode(&Blob::from(nibbles));
        wire::decode::<Prefix>(&bytes, LIMIT).is_ok()
    };
    assert!(prefix(&[0, 15]));
    assert!(!prefix(&[16]));
    assert!(!prefix(&[1; 2 * MOST_KEY_BYTES + 1]));
    assert!(wire::decode::<Steps>(&wire::encode(&(1u32 << 16)), LIMIT).is_ok());
    assert!(wire::decode::<Steps>(&wire::encode(&(1u32 << 17)), LIMIT).is_err());
    let range = KeyRange::prefix(b"ab");
    assert_eq!(wire::decode::<KeyRange>(&wire::encode(&range), LIMIT), Ok(range));
    let empty: List<u8> = List::default();
    assert!(wire::decode::<Proof>(&wire::encode(&empty), LIMIT).is_ok());
}

/// K6: whoever asks for everything makes nobody copy everything.
#[test]
fn a_proof_that_would_be_too_large_is_not_made() {
    let mut tree = Tree::new();
    for number in 0..1_000u32 {
        tree.put(&number.to_be_bytes(), Blob::from(vec![7; 100]), Seq(1));
    }
    let all = KeyRange::all();
    let bytes = tree.prove(&all).encoded_bytes();
    assert!(tree.prove_within(&all, bytes - 1).is_none());
    assert_eq!(tree.prove_within(&all, bytes), Some(tree.prove(&all)));
}
