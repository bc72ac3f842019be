//! The log against the simulator's model of a disk: whatever is done, and whenever the
//! power fails, the log holds what the model says.

use super::shaky::Shaky;
use super::writing::open;
use super::*;
use crate::sim::disk::Disk;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u64>, u64),
    Compact(u64, u64),
    Sync,
    /// So many operations later the disk fails, and then the power.
    FailInSync(usize, u64),
    Crash(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (prop::collection::vec(0..8u64, 0..12), 0..3u64)
            .prop_map(|(votes, notes)| Step::Append(votes, notes)),
        2 => (0..10u64, 0..3u64).prop_map(|(ahead, notes)| Step::Compact(ahead, notes)),
        6 => Just(Step::Sync),
        2 => (0..12usize, any::<u64>()).prop_map(|(after, seed)| Step::FailInSync(after, seed)),
        1 => any::<u64>().prop_map(Step::Crash),
    ];
    prop::collection::vec(step, 0..50)
}

/// What is appended and not synced.
#[derive(Clone, Debug)]
enum Pending {
    Records(Vec<Record>),
    Compaction(Compaction),
}

fn apply(disk: &Disk, pending: &[Pending]) -> Disk {
    let mut disk = disk.clone();
    for one in pending {
        match one {
            Pending::Records(records) => disk.append(None, records.clone()),
            Pending::Compaction(compaction) => disk.append(Some(compaction.clone()), vec![]),
        }
    }
    disk.sync(disk.end());
    disk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// S1, S8, S9, S13.
    #[test]
    fn the_log_holds_what_the_model_says(steps in steps(), segment_bytes in 600u64..3000) {
        let mut medium = Shaky::default();
        let (mut log, _) = open(&medium, segment_bytes).expect("a new log");
        let (mut disk, mut pending) = (Disk::default(), Vec::new());
        let (mut stable, mut count) = (0, 0);
        for step in steps {
            match step {
                Step::Append(votes, notes) => {
                    let mut records: Vec<Record> =
                        votes.into_iter().map(|ahead| vote(stable + ahead)).collect();
                    records.extend((0..notes).map(|more| note(count + more)));
                    count += notes;
                    log.append(None, &records).expect("taken");
                    pending.push(Pending::Records(records));
                }
                Step::Compact(ahead, notes) => {
                    stable += ahead;
                    let head = (0..notes).map(|more| note(count + more)).collect();
                    count += notes;
                    let compaction = Compaction { below: Seq(stable), head };
                    log.append(Some(&compaction), &[]).expect("taken");
                    pending.push(Pending::Compaction(compaction));
                }
                Step::Sync => {
                    log.sync().expect("a disk that works");
                    disk = apply(&disk, &std::mem::take(&mut pending));
                }
                Step::FailInSync(after, seed) => {
                    medium.fail_after(after);
                    let synced = log.sync();
                    let done = apply(&disk, &std::mem::take(&mut pending));
                    medium = medium.crash(seed);
                    let (again, replayed) = open(&medium, segment_bytes)
                        .unwrap_or_else(|error| panic!("after a crash: {error}"));
                    log = again;
                    if synced.is_ok() || replayed.records == done.read().records {
                        disk = done;
                    }
                    prop_assert_eq!(&replayed.records, &disk.read().records);
                }
                Step::Crash(seed) => {
                    pending.clear();
                    medium = medium.crash(seed);
                    let (again, replayed) = open(&medium, segment_bytes)
                        .unwrap_or_else(|error| panic!("after a crash: {error}"));
                    log = again;
                    prop_assert_eq!(&replayed.records, &disk.read().records);
                    prop_assert_eq!(replayed.cut_bytes, 0);
                }
            }
        }
    }
}
