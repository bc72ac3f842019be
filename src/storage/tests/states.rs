//! The states on disk: against a map of trees, after crashes, and with rot in the file.

use super::shaky::Dice;
use super::*;
use crate::service::tree::{Assembly, Entry, KeyRange};
use crate::storage::states::Loaded;
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const CACHE_BYTES: usize = 4 << 20;

fn open(path: &Path, stable: u64) -> Result<(States, Loaded), StorageError> {
    States::open(path, own(), store::opener(CACHE_BYTES), Seq(stable))
}

fn reopened(path: &Path, stable: u64) -> BTreeMap<Seq, Digest> {
    let (_, loaded) = open(path, stable).unwrap_or_else(|error| panic!("{error}"));
    assert!(loaded.rotten.is_empty());
    loaded.states.iter().map(|(seq, tree)| (*seq, tree.digest())).collect()
}

fn carry_out(states: &mut States, jobs: &[Job]) {
    states.carry_out(jobs, &mut || ()).expect("a disk that works");
}

fn job(seq: u64, tree: &Tree) -> Job {
    Job::Save(Save { seq: Seq(seq), digest: tree.digest(), tree: tree.clone() })
}

fn put(tree: &mut Tree, key: u64, value: u64, seq: u64) {
    put_bytes(tree, key, value.to_le_bytes().to_vec(), seq);
}

/// Puts a value of up to 24 KB, or now and then of 80, so that a few of them make several
/// pieces.
fn put_large(tree: &mut Tree, key: u64, value: u64, seq: u64) {
    let times = if value.is_multiple_of(16) { 10_000 } else { 1 + value as usize % 3000 };
    put_bytes(tree, key, value.to_le_bytes().repeat(times), seq);
}

fn put_bytes(tree: &mut Tree, key: u64, value: Vec<u8>, seq: u64) {
    tree.put(&name(key), value.into(), Seq(seq));
}

/// Keys all over, and the empty one.
fn name(key: u64) -> Vec<u8> {
    match key {
        0 => Vec::new(),
        _ => Digest::of(&key.to_le_bytes()).0[..20].to_vec(),
    }
}

fn remove(tree: &mut Tree, key: u64, seq: u64) {
    tree.remove(&name(key), Seq(seq));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64, u64),
    Remove(u64),
    Empty,
    Save,
    /// Goes on from an earlier state, as after a divergence, be it that of the whole.
    GoBack(u64),
    /// So many states, and then those before are forgotten, all at once.
    Catch(u64),
    Forget(u64),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => (0..40u64, any::<u64>()).prop_map(|(key, value)| Step::Put(key, value)),
        6 => (0..40u64).prop_map(Step::Remove),
        1 => Just(Step::Empty),
        5 => Just(Step::Save),
        2 => (1..4u64).prop_map(Step::Catch),
        1 => (1..4u64).prop_map(Step::GoBack),
        2 => (0..4u64).prop_map(Step::Forget),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_store_holds_the_states_that_were_saved(steps in steps()) {
        let directory = directory();
        let path = directory.path().join("states.redb");
        let (mut states, _) = open(&path, 0).expect("a new store");
        let (mut tree, mut seq, mut stable) = (Tree::new(), 0, 0);
        let mut model: BTreeMap<Seq, Tree> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(key, value) => put_large(&mut tree, key, value, seq + 1),
                Step::Remove(key) => remove(&mut tree, key, seq + 1),
                Step::Empty => (0..40).for_each(|key| remove(&mut tree, key, seq + 1)),
                Step::Catch(count) => {
                    let mut jobs = Vec::new();
                    for back in 0..count {
                        seq += 7;
                        put_large(&mut tree, back, seq, seq);
                        jobs.push(job(seq, &tree));
                        jobs.push(Job::Forget(Seq(seq - 7 * (back % 2))));
                        stable = seq - 7 * (back % 2);
                        model.insert(Seq(seq), tree.clone());
                        model = model.split_off(&Seq(stable));
                    }
                    carry_out(&mut states, &jobs);
                }
                Step::Save => {
                    seq += 1;
                    carry_out(&mut states, &[job(seq, &tree)]);
                    model.insert(Seq(seq), tree.clone());
                }
                Step::GoBack(back) => {
                    seq = seq.saturating_sub(back).max(stable).max(1);
                    put(&mut tree, 99, back, seq);
                    carry_out(&mut states, &[job(seq, &tree)]);
                    model.split_off(&Seq(seq));
                    model.insert(Seq(seq), tree.clone());
                }
                Step::Forget(back) => {
                    stable = seq.saturating_sub(back).max(stable);
                    carry_out(&mut states, &[Job::Forget(Seq(stable))]);
                    model = model.split_off(&Seq(stable));
                }
                Step::Reopen => {
                    drop(states);
                    let (again, loaded) = open(&path, stable).expect("the same store");
                    states = again;
                    prop_assert!(loaded.rotten.is_empty());
                    let digests = |states: &BTreeMap<Seq, Tree>| -> Vec<(Seq, Digest)> {
                        states.iter().map(|(seq, tree)| (*seq, tree.digest())).collect()
                    };
                    prop_assert_eq!(digests(&loaded.states), digests(&model));
                }
            }
        }
        drop(states);
        let digests: BTreeMap<Seq, Digest> =
            model.iter().map(|(seq, tree)| (*seq, tree.digest())).collect();
        prop_assert_eq!(reopened(&path, stable), digests);
    }
}

/// S9: killed after each transaction, and before the next is done, the file holds the
/// states of the last one that was.
#[test]
fn a_kill_at_any_transaction_leaves_whole_states() {
    let directory = directory();
    let (path, copy) = (directory.path().join("states.redb"), directory.path().join("copy"));
    let (mut states, _) = open(&path, 0).expect("a new store");
    let mut tree = Tree::new();
    for seq in 1..20 {
        for key in 0..50 {
            put_large(&mut tree, key * seq % 97, key * 977 + seq, seq);
        }
        remove(&mut tree, seq, seq);
        let mut jobs = vec![job(seq, &tree)];
        if seq % 3 == 0 {
            jobs.push(Job::Forget(Seq(seq - 1)));
        }
        carry_out(&mut states, &jobs);
        // As the file is now, without being closed: what a kill leaves.
        fs::copy(&path, &copy).expect("room for a copy");
        let stable = seq - seq % 3;
        let found = reopened(&copy, stable.saturating_sub(1));
        assert_eq!(found.last_key_value(), Some((&Seq(seq), &tree.digest())));
        assert_eq!(found.first_key_value().map(|(seq, _)| seq.0), Some(stable.max(2) - 1));
    }
}

#[test]
fn parts_of_a_transfer_are_kept_in_their_order_until_another_begins() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let mut tree = Tree::new();
    (0..2000).for_each(|key| put(&mut tree, key, key, 1));
    let mut assembly = Assembly::new(tree.digest(), Tree::new());
    let mut parts = Vec::new();
    while let Some((way, _)) = assembly.wanted(1).pop() {
        let part = tree.part(&way, 4096).expect("an honest source");
        assembly.accept(&way, part.clone()).expect("an honest part");
        parts.push((way, part));
    }
    assert!(parts.len() > 10);
    let (mut states, _) = open(&path, 0).expect("a new store");
    let kept = |seq: u64, parts: &[(TreePath, Part)]| {
        let with_seq = parts.iter().map(|(way, part)| (Seq(seq), way.clone(), part.clone()));
        Job::Parts(with_seq.collect())
    };
    carry_out(&mut states, &[kept(10, &parts[..7])]);
    carry_out(&mut states, &[kept(10, &parts[7..])]);
    states.close().expect("a disk that works");
    drop(states);
    let (mut states, loaded) = open(&path, 0).expect("the same store");
    assert!(loaded.parts == parts);
    let mut again = Assembly::new(tree.digest(), Tree::new());
    for (way, part) in loaded.parts {
        again.accept(&way, part).expect("a part that was taken before");
    }
    assert!(again.is_complete());
    carry_out(&mut states, &[kept(20, &parts[..1])]);
    states.close().expect("a disk that works");
    drop(states);
    let (mut states, loaded) = open(&path, 0).expect("the same store");
    assert!(loaded.parts == parts[..1]);
    carry_out(&mut states, &[Job::Forget(Seq(20))]);
    drop(states);
    assert!(open(&path, 0).expect("the same store").1.parts.is_empty());
}

const PIECES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("pieces");
const RECORDS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("records");

/// Changes a byte of a table's row behind the store's back.
fn rot<K: redb::Key + 'static>(
    path: &Path,
    table: TableDefinition<K, &[u8]>,
    key: K::SelfType<'static>,
    which: fn(&mut [u8]) -> Option<&mut u8>,
) {
    let database = Database::create(path).expect("the store's file");
    let transaction = database.begin_write().expect("a file that works");
    {
        let mut table = transaction.open_table(table).expect("it is there");
        let row = table.get(&key).expect("readable").expect("it is there");
        let mut rotten = row.value().to_vec();
        drop(row);
        *which(&mut rotten).expect("not empty") ^= 1;
        table.insert(&key, &rotten[..]).expect("room for it");
    }
    transaction.commit().expect("room for it");
}

fn three_states(path: &Path) -> Tree {
    let (mut states, _) = open(path, 0).expect("a new store");
    let mut tree = Tree::new();
    (0..100).for_each(|key| put(&mut tree, key, 1, 1));
    carry_out(&mut states, &[job(10, &tree)]);
    put(&mut tree, 5, 2, 11);
    carry_out(&mut states, &[job(20, &tree)]);
    put(&mut tree, 6, 2, 21);
    carry_out(&mut states, &[job(30, &tree)]);
    tree
}

/// S3: without the digest that was written with it, a whole state is none.
#[test]
fn a_whole_state_without_a_digest_is_refused() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    three_states(&path);
    let database = Database::create(&path).expect("the store's file");
    let transaction = database.begin_write().expect("a file that works");
    let states = TableDefinition::<u64, [u8; 32]>::new("states");
    transaction.open_table(states).expect("it is there").remove(10).expect("a file that works");
    transaction.commit().expect("room for it");
    drop(database);
    let refused = open(&path, 10).err().expect("a refusal");
    assert!(matches!(refused, StorageError::Unreadable { .. }), "{refused}");
}

#[test]
fn states_that_change_nothing_pile_nothing_up() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let (mut states, _) = open(&path, 0).expect("a new store");
    let mut tree = Tree::new();
    put(&mut tree, 1, 1, 1);
    for seq in 1..20 {
        carry_out(&mut states, &[job(seq, &tree)]);
    }
    drop(states);
    let database = Database::create(&path).expect("the store's file");
    let read = database.begin_read().expect("readable");
    let records = read.open_table(RECORDS).expect("it is there");
    assert_eq!(records.iter().expect("readable").count(), 0);
}

/// S3: with rot in the whole state, be it in an entry or in the number that says since when
/// records are needed, no state is intact, and the log cannot go on.
#[test]
fn rot_in_the_whole_state_is_refused() {
    for which in [<[u8]>::last_mut, <[u8]>::first_mut] {
        let directory = directory();
        let path = directory.path().join("states.redb");
        three_states(&path);
        rot(&path, PIECES, &[], which);
        let refused = open(&path, 10).err().expect("a refusal");
        assert!(matches!(refused, StorageError::StateLost { stable: Seq(10), .. }), "{refused}");
        assert!(refused.to_string().contains("--recover"), "{refused}");
        // Without a compaction the log has all that is needed to begin with nothing.
        let (_, loaded) = open(&path, 0).expect("nothing is needed");
        assert!(loaded.states.is_empty());
        assert_eq!(loaded.rotten, [Seq(10), Seq(20), Seq(30)]);
    }
}

/// S3: an intact state at or above the stable checkpoint is gone on from.
#[test]
fn rot_in_a_later_state_leaves_the_earlier_one() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let mut tree = three_states(&path);
    rot(&path, RECORDS, (20, 0), <[u8]>::last_mut);
    let (mut states, loaded) = open(&path, 10).expect("one is intact");
    assert_eq!(loaded.rotten, [Seq(20), Seq(30)]);
    assert_eq!(loaded.states.keys().copied().collect::<Vec<_>>(), [Seq(10)]);
    put(&mut tree, 7, 7, 31);
    carry_out(&mut states, &[job(20, &tree)]);
    drop(states);
    assert_eq!(reopened(&path, 10).get(&Seq(20)), Some(&tree.digest()));
}

/// A state that turned out to be wrong leaves nothing where another takes its number.
#[test]
fn nothing_is_left_of_a_state_that_another_replaces() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let (mut states, _) = open(&path, 0).expect("a new store");
    let mut first = Tree::new();
    (0..100).for_each(|key| put(&mut first, key, 1, 1));
    let mut wrong = first.clone();
    (0..90).for_each(|key| remove(&mut wrong, key, 2));
    (0..20).for_each(|key| put_bytes(&mut wrong, key, vec![2; 10_000], 2));
    let mut right = first.clone();
    put(&mut right, 99, 2, 2);
    carry_out(&mut states, &[job(1, &first), job(2, &wrong)]);
    carry_out(&mut states, &[job(2, &right)]);
    drop(states);
    assert_eq!(reopened(&path, 1)[&Seq(2)], right.digest());
}

/// The bytes of the pieces and of the records in the file as it is now.
fn bytes_in(path: &Path) -> (usize, usize) {
    let copy = path.with_extension("copy");
    fs::copy(path, &copy).expect("room for a copy");
    let database = Database::create(&copy).expect("the store's file");
    let read = database.begin_read().expect("readable");
    let pieces = read.open_table(PIECES).expect("it is there");
    let pieces = pieces.iter().expect("readable").map(|row| row.expect("readable").1.value().len());
    let records = read.open_table(RECORDS).expect("it is there");
    let records = records.iter().expect("readable");
    (pieces.sum(), records.map(|row| row.expect("readable").1.value().len()).sum())
}

/// Where keys change here and there, and others come after the last, a part of the whole
/// state is written at a time, and records do not pile up.
#[test]
fn a_large_state_is_written_anew_a_part_at_a_time() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let (mut states, _) = open(&path, 0).expect("a new store");
    let (mut tree, mut dice) = (Tree::new(), Dice(3));
    (0..4000).for_each(|key| put_bytes(&mut tree, key, vec![1; 500], 1));
    carry_out(&mut states, &[job(1, &tree)]);
    let (mut most_records, mut left) = (0, 0);
    for seq in 2..80 {
        for _ in 0..100 {
            put_bytes(&mut tree, dice.roll(4000), vec![seq as u8; 500], seq);
            remove(&mut tree, dice.roll(4000), seq);
            tree.put(
                &[[0xff; 8], dice.roll(1 << 60).to_be_bytes()].concat(),
                vec![2; 500].into(),
                Seq(seq),
            );
        }
        carry_out(&mut states, &[job(seq, &tree), Job::Forget(Seq(seq))]);
        if seq % 7 == 0 {
            drop(states);
            let (again, loaded) = open(&path, seq).expect("the same store");
            states = again;
            assert_eq!(loaded.states[&Seq(seq)].digest(), tree.digest());
            assert_eq!(loaded.rotten, []);
        }
        let (pieces, records) = bytes_in(&path);
        let content: usize = tree.range(&KeyRange::all()).map(|(_, entry)| entry.value.len()).sum();
        assert!(pieces < content * 2, "{pieces} bytes for {content}");
        assert!(records < content, "{records} bytes of records for {content}");
        most_records = most_records.max(records);
        left += usize::from(records > 0);
    }
    assert!(
        most_records > 200_000 && left > 60,
        "{most_records}, {left}: all is written each time"
    );
}

/// S3: whatever bytes of the file are wrong, nothing that was not saved comes out.
#[test]
fn a_wrong_byte_in_the_file_gives_the_saved_states_or_a_refusal() {
    let directory = directory();
    let (path, copy) = (directory.path().join("states.redb"), directory.path().join("copy"));
    let tree = three_states(&path);
    let saved = reopened(&path, 10);
    assert_eq!(saved.get(&Seq(30)), Some(&tree.digest()));
    let bytes = fs::read(&path).expect("it is there");
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    let mut dice = Dice(1);
    for _ in 0..150 {
        let at = used[dice.roll(used.len() as u64) as usize];
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << dice.roll(8);
        fs::write(&copy, bytes).expect("room for a copy");
        if let Ok((_, loaded)) = open(&copy, 10) {
            for (seq, tree) in loaded.states {
                assert_eq!(saved.get(&seq), Some(&tree.digest()), "byte {at}");
            }
        }
    }
}

#[test]
fn a_hundred_thousand_keys_come_back() {
    let directory = directory();
    let path = directory.path().join("states.redb");
    let (mut states, _) = open(&path, 0).expect("a new store");
    let mut tree = Tree::new();
    (0..100_000).for_each(|key| put(&mut tree, key, key, 1));
    carry_out(&mut states, &[job(1, &tree)]);
    (0..1000).for_each(|key| put(&mut tree, key * 7, 1, 2));
    (0..1000).for_each(|key| remove(&mut tree, key * 13 + 1, 2));
    carry_out(&mut states, &[job(2, &tree)]);
    drop(states);
    let (_, loaded) = open(&path, 1).expect("the same store");
    let found = &loaded.states[&Seq(2)];
    assert_eq!(found.digest(), tree.digest());
    assert_eq!(found.len(), tree.len());
    assert!(found.shares_with(&loaded.states[&Seq(1)]) > 90_000, "states share what they can");
    let entry: Option<&Entry> = found.get(&name(0));
    assert_eq!(entry.map(|entry| entry.changed), Some(Seq(2)));
}
