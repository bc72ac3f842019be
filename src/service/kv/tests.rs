//! The service by itself, against a plain map, and as a part of the state.

use super::*;
use crate::service::{Kept, Limits, Moment, Outcome, RequestRef, State, Tree, answer_from_proof};
use crate::types::{RequestNumber, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const CLIENT: ClientId = ClientId(0);

#[test]
fn a_get_returns_the_value_and_the_number_that_wrote_it() {
    let mut tree = Tree::new();
    assert_eq!(apply_at(&mut tree, 3, &put_of("a", "1")), KvResult::Put { replaced: None });
    let found = Some(Found { value: Blob::from("1"), written: Seq(3) });
    assert_eq!(apply_at(&mut tree, 4, &get_of("a")), KvResult::Got { found });
    assert_eq!(apply_at(&mut tree, 5, &get_of("b")), KvResult::Got { found: None });
    let replaced = Some(Seq(3));
    assert_eq!(apply_at(&mut tree, 6, &put_of("a", "2")), KvResult::Put { replaced });
}

#[test]
fn a_delete_says_whether_there_was_something() {
    let mut tree = Tree::new();
    apply_at(&mut tree, 1, &put_of("a", "1"));
    let delete = KvOperation::Delete { key: Blob::from("a") };
    assert_eq!(apply_at(&mut tree, 2, &delete), KvResult::Deleted { removed: Some(Seq(1)) });
    assert_eq!(apply_at(&mut tree, 3, &delete), KvResult::Deleted { removed: None });
    assert!(tree.is_empty());
}

#[test]
fn a_compare_and_set_writes_only_what_was_expected() {
    let mut tree = Tree::new();
    let created = apply_at(&mut tree, 1, &set_of("a", None, "1"));
    assert_eq!(created, KvResult::Set { replaced: None });
    let found = Some(Found { value: Blob::from("1"), written: Seq(1) });
    let mismatch = KvResult::Mismatch { found };
    assert_eq!(apply_at(&mut tree, 2, &set_of("a", None, "2")), mismatch);
    assert_eq!(apply_at(&mut tree, 3, &set_of("a", Some("0"), "2")), mismatch);
    let absent = apply_at(&mut tree, 4, &set_of("b", Some(""), "2"));
    assert_eq!(absent, KvResult::Mismatch { found: None }, "nothing is not an empty value");
    let set = apply_at(&mut tree, 5, &set_of("a", Some("1"), "2"));
    assert_eq!(set, KvResult::Set { replaced: Some(Seq(1)) });
    assert_eq!(tree.len(), 1);
}

#[test]
fn a_list_ends_at_its_limit_and_can_be_continued() {
    let mut tree = Tree::new();
    for key in ["a", "p1", "p2", "p3", "q"] {
        apply_at(&mut tree, 1, &put_of(key, ""));
    }
    let list = KvOperation::list_prefix(b"p", 2);
    let (keys, next) = listed(apply_at(&mut tree, 2, &list));
    assert_eq!((keys, next.as_deref()), (vec!["p1".into(), "p2".into()], Some(&b"p3"[..])));
    let KvOperation::List { until, .. } = list else { panic!("it is a list") };
    let rest = KvOperation::List { from: next.expect("just seen"), until, limit: 2 };
    assert_eq!(listed(apply_at(&mut tree, 3, &rest)), (vec!["p3".into()], None));
}

#[test]
fn a_prefix_of_the_highest_bytes_has_no_end() {
    let mut tree = Tree::new();
    for key in [&[0xfe][..], &[0xff, 0xfe], &[0xff, 0xff], &[0xff, 0xff, 1]] {
        apply_at(&mut tree, 1, &KvOperation::Put { key: key.into(), value: Blob::default() });
    }
    let (keys, next) = listed(apply_at(&mut tree, 2, &KvOperation::list_prefix(&[0xff, 0xff], 9)));
    assert_eq!((keys.len(), next), (2, None));
}

#[test]
fn a_list_never_has_more_items_than_the_limit_of_lists() {
    let mut tree = Tree::new();
    for index in 0..MOST_LISTED + 1 {
        let key = index.to_be_bytes()[..].into();
        apply_at(&mut tree, 1, &KvOperation::Put { key, value: Blob::default() });
    }
    let (keys, next) = listed(apply_at(&mut tree, 2, &KvOperation::list_prefix(b"", u32::MAX)));
    assert_eq!(keys.len(), MOST_LISTED as usize);
    assert_eq!(next, Some(MOST_LISTED.to_be_bytes()[..].into()));
}

#[test]
fn a_list_of_large_values_is_cut_but_always_goes_on() {
    let mut tree = Tree::new();
    let large = Blob::from(vec![7; MOST_VALUE_BYTES]);
    for key in [1u8, 2] {
        let key = Blob::from(vec![key; MOST_KEY_BYTES]);
        apply_at(&mut tree, 1, &KvOperation::Put { key, value: large.clone() });
    }
    let list = KvOperation::list_prefix(b"", 10);
    let bytes = KeyValue.query(CLIENT, &list.to_bytes(), &View::new(&tree));
    assert!(bytes.len() <= MOST_RESULT_BYTES, "{}", bytes.len());
    let (keys, next) = listed(KvResult::from_bytes(&bytes).expect("a result"));
    assert_eq!((keys.len(), next), (1, Some(Blob::from(vec![2; MOST_KEY_BYTES]))));
}

#[test]
fn every_refusal_is_provoked_and_changes_nothing() {
    let long = "k".repeat(MOST_KEY_BYTES + 1);
    let large = "v".repeat(MOST_VALUE_BYTES + 1);
    let list = |from: &str, until: Option<&str>, limit| KvOperation::List {
        from: from.into(),
        until: until.map(Blob::from),
        limit,
    };
    let too_long = KvRefusal::KeyTooLong { bytes: 513 };
    let too_large = KvRefusal::ValueTooLarge { bytes: (1 << 20) + 1 };
    let refused = [
        (put_of("", "1"), KvRefusal::KeyEmpty),
        (get_of(""), KvRefusal::KeyEmpty),
        (KvOperation::Delete { key: Blob::default() }, KvRefusal::KeyEmpty),
        (set_of("", None, "1"), KvRefusal::KeyEmpty),
        (put_of(&long, "1"), too_long.clone()),
        (list(&long, None, 1), too_long.clone()),
        (list("", Some(&long), 1), too_long),
        (put_of("a", &large), too_large.clone()),
        (set_of("a", Some(&large), "1"), too_large.clone()),
        (set_of("a", None, &large), too_large),
        (list("", None, 0), KvRefusal::ListOfNothing),
    ];
    for (operation, refusal) in refused {
        let mut tree = Tree::new();
        assert_eq!(apply_at(&mut tree, 1, &operation), KvResult::Refused(refusal));
        assert!(tree.is_empty());
        assert_eq!(KeyValue.proof_range(&operation.to_bytes()), None);
    }
}

#[test]
fn keys_and_values_at_their_limits_are_taken() {
    let mut tree = Tree::new();
    let key = Blob::from(vec![1; MOST_KEY_BYTES]);
    let value = Blob::from(vec![2; MOST_VALUE_BYTES]);
    let expected = Some(value.clone());
    let put = KvOperation::Put { key: key.clone(), value: value.clone() };
    assert_eq!(apply_at(&mut tree, 1, &put), KvResult::Put { replaced: None });
    let set = KvOperation::CompareAndSet { key, expected, value };
    assert!(set.to_bytes().len() <= MOST_OPERATION_BYTES);
    assert_eq!(apply_at(&mut tree, 2, &set), KvResult::Set { replaced: Some(Seq(1)) });
}

#[test]
fn what_is_no_operation_is_refused() {
    let trailing = [get_of("a").to_bytes(), vec![0]].concat();
    for bytes in [&[][..], &[9, 0, 0, 0], &[0xff; 40], &trailing] {
        let mut tree = Tree::new();
        let result = raw_apply(&mut tree, 1, bytes);
        assert_eq!(KvResult::from_bytes(&result), Ok(KvResult::Refused(KvRefusal::Unreadable)));
        assert_eq!(KeyValue.query(CLIENT, bytes, &View::new(&tree)), result);
        assert_eq!(KeyValue.proof_range(bytes), None);
    }
}

#[test]
fn a_write_sent_as_a_query_is_refused() {
    let delete = KvOperation::Delete { key: Blob::from("a") };
    for write in [put_of("a", "1"), set_of("a", None, "1"), delete] {
        assert!(!write.is_read());
        let tree = Tree::new();
        let result = KeyValue.query(CLIENT, &write.to_bytes(), &View::new(&tree));
        let refused = KvResult::Refused(KvRefusal::WriteAsQuery);
        assert_eq!(KvResult::from_bytes(&result), Ok(refused));
        assert_eq!(KeyValue.proof_range(&write.to_bytes()), None);
    }
}

#[test]
fn a_refusal_by_the_state_reads_as_a_result() {
    let bytes = KeyValue.refusal("too much");
    let Ok(KvResult::Refused(refusal)) = KvResult::from_bytes(&bytes) else {
        panic!("not a refusal: {bytes:?}")
    };
    assert_eq!(refusal.to_string(), "too much");
}

#[test]
fn the_default_limits_leave_room_for_everything() {
    let limits = Limits::default();
    assert!(limits.operation_bytes >= MOST_OPERATION_BYTES as u64);
    assert!(limits.result_bytes >= MOST_RESULT_BYTES as u64);
}

/// The table in the module's documentation.
#[test]
fn the_encoding_is_the_documented_one() {
    let blob = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let (a, b) = (blob("a"), blob("bc"));
    let cases = [
        (put_of("a", "bc"), [&[0, 0, 0, 0][..], &a, &b].concat()),
        (get_of("a"), [&[1, 0, 0, 0][..], &a].concat()),
        (KvOperation::Delete { key: Blob::from("a") }, [&[2, 0, 0, 0][..], &a].concat()),
        (set_of("a", None, "bc"), [&[3, 0, 0, 0][..], &a, &[0], &b].concat()),
        (set_of("a", Some("a"), "bc"), [&[3, 0, 0, 0][..], &a, &[1], &a, &b].concat()),
        (
            KvOperation::list_prefix(b"a", 7),
            [&[4, 0, 0, 0][..], &a, &[1], &blob("b"), &[7, 0, 0, 0]].concat(),
        ),
    ];
    for (operation, bytes) in cases {
        assert_eq!(operation.to_bytes(), bytes, "{operation:?}");
        assert_eq!(KvOperation::from_bytes(&bytes), Ok(operation));
    }
    let seq = 9u64.to_le_bytes();
    let found = Found { value: Blob::from("bc"), written: Seq(9) };
    let got = KvResult::Got { found: Some(found.clone()) };
    assert_eq!(got.to_bytes(), [&[1, 0, 0, 0, 1][..], &b, &seq].concat());
    let items = List(vec![Item { key: Blob::from("a"), found }]);
    let listed = KvResult::Listed { items, next: None };
    let one = 1u64.to_le_bytes();
    assert_eq!(listed.to_bytes(), [&[5, 0, 0, 0][..], &one, &a, &b, &seq, &[0]].concat());
    let refused = KvResult::Refused(KvRefusal::KeyTooLong { bytes: 9 });
    assert_eq!(refused.to_bytes(), [&[6, 0, 0, 0, 2, 0, 0, 0][..], &seq].concat());
}

#[test]
fn absence_and_ranges_change_with_what_is_written_or_deleted_in_them() {
    let mut state = state();
    let missing = get_of("m").to_bytes();
    let range = KvOperation::list_prefix(b"", 10).to_bytes();
    let writes = [
        put_of("m", "1"),
        KvOperation::Delete { key: Blob::from("m") },
        put_of("m", "1"),
        put_of("m", "1"),
        set_of("m", Some("1"), "2"),
    ];
    for (index, write) in writes.iter().enumerate() {
        let seq = index as u64 + 1;
        execute(&mut state, seq, &write.to_bytes());
        assert_eq!(state.query(CLIENT, &missing).changed, Seq(seq), "{write:?}");
        assert_eq!(state.query(CLIENT, &range).changed, Seq(seq), "{write:?}");
    }
    execute(&mut state, 9, &set_of("m", None, "3").to_bytes());
    assert_eq!(state.query(CLIENT, &missing).changed, Seq(5), "a mismatch changes nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_service_does_what_a_plain_map_does(
        operations in prop::collection::vec(any_operation(), 1..60),
    ) {
        let mut state = state();
        let mut model = BTreeMap::new();
        let mut changes = BTreeMap::new();
        for (index, operation) in operations.iter().enumerate() {
            let seq = index as u64 + 1;
            let expected = model_apply(&mut model, &mut changes, Seq(seq), operation);
            let bytes = operation.to_bytes();
            let answer = state.query(CLIENT, &bytes);
            let result = execute(&mut state, seq, &bytes).result;
            prop_assert_eq!(KvResult::from_bytes(&result), Ok(expected.clone()));
            if operation.is_read() {
                prop_assert_eq!(&*result, &*answer.result, "query and ordered read");
                prop_assert_eq!(operation.check().is_ok(), state.proof_range(&bytes).is_some());
                prop_assert_eq!(proved(&state, &bytes), answer.result);
                prop_assert!(answer.changed < Seq(seq));
                prop_assert!(answer.changed >= last_change(&changes, operation, &expected));
            }
        }
    }

    #[test]
    fn no_bytes_make_the_service_panic(
        operations in prop::collection::vec(any_bytes(), 1..20),
    ) {
        let mut state = state();
        for (index, bytes) in operations.iter().enumerate() {
            let kept = execute(&mut state, index as u64 + 1, bytes);
            prop_assert!(KvResult::from_bytes(&kept.result).is_ok());
            let answer = state.query(CLIENT, bytes);
            prop_assert!(KvResult::from_bytes(&answer.result).is_ok());
            if state.proof_range(bytes).is_some() {
                prop_assert_eq!(proved(&state, bytes), answer.result);
            }
        }
    }
}

fn put_of(key: &str, value: &str) -> KvOperation {
    KvOperation::Put { key: key.into(), value: value.into() }
}

fn get_of(key: &str) -> KvOperation {
    KvOperation::Get { key: key.into() }
}

fn set_of(key: &str, expected: Option<&str>, value: &str) -> KvOperation {
    let expected = expected.map(Blob::from);
    KvOperation::CompareAndSet { key: key.into(), expected, value: value.into() }
}

fn listed(result: KvResult) -> (Vec<Blob>, Option<Blob>) {
    match result {
        KvResult::Listed { items, next } => {
            (items.into_iter().map(|item| item.key).collect(), next)
        }
        other => panic!("not a list: {other:?}"),
    }
}

fn raw_apply(tree: &mut Tree, seq: u64, operation: &[u8]) -> Vec<u8> {
    let context = Context { client: CLIENT, time: Timestamp(0), seq: Seq(seq) };
    KeyValue.apply(&context, operation, &mut Data::new(tree, Seq(seq)))
}

fn apply_at(tree: &mut Tree, seq: u64, operation: &KvOperation) -> KvResult {
    let result = raw_apply(tree, seq, &operation.to_bytes());
    KvResult::from_bytes(&result).expect("the service gives results")
}

fn state() -> State {
    State::genesis(Arc::new(KeyValue), Limits::default(), [CLIENT])
}

/// Executes an operation under the number of its place.
fn execute(state: &mut State, seq: u64, operation: &[u8]) -> Kept {
    let request = RequestRef {
        client: CLIENT,
        first: RequestNumber(seq),
        acknowledged: state.highest(CLIENT),
        operations: &[operation.into()],
    };
    let at = Moment { seq: Seq(seq), time: Timestamp(seq) };
    let mut executed = state.execute(&at, request);
    match executed.remove(0).outcome {
        Outcome::Executed(kept) => kept,
        other => panic!("not executed: {other:?}"),
    }
}

/// What a client computes that has proof of the entries; of none, where none are needed.
fn proved(state: &State, operation: &[u8]) -> Vec<u8> {
    let range = state.proof_range(operation).unwrap_or(KeyRange::between(b"", b""));
    let entries =
        state.tree().range(&range).map(|(key, entry)| (key, entry.value.clone(), entry.changed));
    answer_from_proof(&KeyValue, CLIENT, operation, entries)
}

fn any_key() -> impl Strategy<Value = Blob> {
    prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xff)], 0..4).prop_map(Blob::from)
}

fn any_operation() -> impl Strategy<Value = KvOperation> {
    let value = || prop::collection::vec(0..3u8, 0..2).prop_map(Blob::from);
    prop_oneof![
        (any_key(), value()).prop_map(|(key, value)| KvOperation::Put { key, value }),
        any_key().prop_map(|key| KvOperation::Get { key }),
        any_key().prop_map(|key| KvOperation::Delete { key }),
        (any_key(), prop::option::of(value()), value()).prop_map(|(key, expected, value)| {
            KvOperation::CompareAndSet { key, expected, value }
        }),
        (any_key(), prop::option::of(any_key()), 0..5u32)
            .prop_map(|(from, until, limit)| KvOperation::List { from, until, limit }),
    ]
}

/// Noise, and operations with a byte changed.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = prop::collection::vec(any::<u8>(), 0..60);
    let tagged = (0..6u8, prop::collection::vec(0..3u8, 0..60))
        .prop_map(|(tag, rest)| [&[tag, 0, 0, 0][..], &rest].concat());
    let bent = (any_operation(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(operation, place, byte)| {
            let mut bytes = operation.to_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            bytes
        },
    );
    prop_oneof![noise, tagged, bent]
}

type Model = BTreeMap<Blob, Found>;

fn model_apply(
    model: &mut Model,
    changes: &mut BTreeMap<Blob, Seq>,
    seq: Seq,
    operation: &KvOperation,
) -> KvResult {
    let mut write = |model: &mut Model, key: &Blob, value: &Blob| {
        changes.insert(key.clone(), seq);
        let before = model.insert(key.clone(), Found { value: value.clone(), written: seq });
        before.map(|found| found.written)
    };
    match operation {
        KvOperation::Put { key, .. }
        | KvOperation::Get { key }
        | KvOperation::Delete { key }
        | KvOperation::CompareAndSet { key, .. }
            if key.is_empty() =>
        {
            KvResult::Refused(KvRefusal::KeyEmpty)
        }
        KvOperation::List { limit: 0, .. } => KvResult::Refused(KvRefusal::ListOfNothing),
        KvOperation::Put { key, value } => KvResult::Put { replaced: write(model, key, value) },
        KvOperation::Get { key } => KvResult::Got { found: model.get(key).cloned() },
        KvOperation::Delete { key } => {
            let removed = model.remove(key).map(|found| found.written);
            if removed.is_some() {
                changes.insert(key.clone(), seq);
            }
            KvResult::Deleted { removed }
        }
        KvOperation::CompareAndSet { key, expected, value } => {
            let found = model.get(key).cloned();
            if found.as_ref().map(|found| &found.value) != expected.as_ref() {
                return KvResult::Mismatch { found };
            }
            KvResult::Set { replaced: write(model, key, value) }
        }
        KvOperation::List { from, until, limit } => {
            let within = |key: &Blob| key >= from && until.as_ref().is_none_or(|until| key < until);
            let mut items: Vec<Item> = model
                .iter()
                .filter(|(key, _)| within(key))
                .map(|(key, found)| Item { key: key.clone(), found: found.clone() })
                .collect();
            let next = items.get(*limit as usize).map(|item| item.key.clone());
            items.truncate(*limit as usize);
            KvResult::Listed { items: items.into(), next }
        }
    }
}

/// When anything changed last of what the operation had to read.
fn last_change(changes: &BTreeMap<Blob, Seq>, operation: &KvOperation, result: &KvResult) -> Seq {
    let is_read = |key: &Blob| match (operation, result) {
        (_, KvResult::Refused(_)) => false,
        (KvOperation::List { from, .. }, KvResult::Listed { next: Some(next), .. }) => {
            key >= from && key <= next
        }
        (KvOperation::List { from, until, .. }, _) => {
            key >= from && until.as_ref().is_none_or(|until| key < until)
        }
        (KvOperation::Get { key: read }, _) => key == read,
        _ => false,
    };
    let read = changes.iter().filter(|(key, _)| is_read(key));
    read.map(|(_, changed)| *changed).max().unwrap_or_default()
}
