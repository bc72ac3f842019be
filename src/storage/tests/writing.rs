//! The log while it is written: what is durable when, room, failures, clean-up.

use super::shaky::Shaky;
use super::*;

const SMALL: u64 = 2048;

pub(super) fn log_directory() -> &'static Path {
    Path::new("/data/log")
}

pub(super) fn open(
    medium: &Shaky,
    segment_bytes: u64,
) -> Result<(Log, log::Replayed), StorageError> {
    let medium = Arc::new(medium.clone());
    Log::open(medium, log_directory(), own(), &options(segment_bytes))
}

pub(super) fn records(medium: &Shaky) -> Vec<Record> {
    open(medium, SMALL).expect("a log that is intact").1.records
}

fn write(log: &mut Log, records: &[Record]) {
    log.append(None, records).expect("a log that runs takes records");
    log.sync().expect("a disk that works");
}

fn segments(medium: &Shaky) -> usize {
    let paths = medium.paths();
    paths.iter().filter(|path| path.extension().is_some_and(|end| end == "log")).count()
}

/// S8: all that was synced is there, across segments, and nothing else.
#[test]
fn what_was_synced_is_read_back_and_what_was_not_is_not() {
    let medium = Shaky::default();
    let (mut log, replayed) = open(&medium, SMALL).expect("a new log");
    assert!(replayed.is_new);
    for seq in 1..=60 {
        write(&mut log, &[vote(seq), note(seq)]);
    }
    log.append(None, &[vote(61)]).expect("taken");
    drop(log);
    assert!(segments(&medium) > 3);
    for seed in 0..8 {
        let expected: Vec<Record> = (1..=60).flat_map(|seq| [vote(seq), note(seq)]).collect();
        assert_eq!(records(&medium.crash(seed)), expected);
    }
}

#[test]
fn one_sync_serves_all_that_waits_and_none_is_made_for_nothing() {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, 1 << 16).expect("a new log");
    write(&mut log, &[vote(1)]);
    let before = medium.syncs();
    for seq in 2..20 {
        log.append(None, &[vote(seq)]).expect("taken");
    }
    assert!(log.has_waiting());
    log.sync().expect("a disk that works");
    assert!(!log.has_waiting());
    log.sync().expect("nothing to do");
    // The spare of the log's beginning may still be under way.
    assert!(medium.syncs() - before <= 2);
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_own() {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, SMALL).expect("a new log");
    let many: Vec<Record> = (1..=100).map(vote).collect();
    write(&mut log, &[note(1)]);
    write(&mut log, &many);
    write(&mut log, &[note(2)]);
    drop(log);
    let expected: Vec<Record> = [note(1)].into_iter().chain(many).chain([note(2)]).collect();
    assert_eq!(records(&medium), expected);
}

/// S5: a sync that failed is never tried again.
#[test]
fn after_a_failed_sync_nothing_is_ever_written() {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, 1 << 16).expect("a new log");
    write(&mut log, &[vote(1)]);
    log.append(None, &[vote(2)]).expect("taken");
    medium.fail_after(1);
    assert!(matches!(log.sync(), Err(StorageError::Failed { doing: "syncing", .. })));
    medium.fail_after(usize::MAX);
    assert!(matches!(log.sync(), Err(StorageError::Stopped(_))));
    assert!(matches!(log.append(None, &[vote(3)]), Err(StorageError::Stopped(_))));
    drop(log);
    for seed in 0..20 {
        let found = records(&medium.crash(seed));
        assert!(found == [vote(1)] || found == [vote(1), vote(2)]);
    }
}

/// S8: a process that ended between a write and its sync finds its record again, in the
/// system's memory; what is read there is on disk before anything follows from it.
#[test]
fn what_was_read_back_survives_the_next_loss_of_power() {
    for operations in 0..12 {
        let medium = Shaky::default();
        let (mut log, _) = open(&medium, SMALL).expect("a new log");
        // The next frame does not fit: it takes a new segment.
        let many: Vec<Record> = (1..=8).map(vote).collect();
        write(&mut log, &many);
        log.append(None, &many).expect("taken");
        medium.fail_after(operations);
        let _ = log.sync();
        medium.fail_after(usize::MAX);
        drop(log);
        let told = records(&medium);
        for seed in 0..20 {
            assert_eq!(records(&medium.crash(seed)), told, "{operations} operations, {seed}");
        }
    }
}

/// S7: a full disk takes nothing that it was not known to have room for; with room it
/// goes on, and nothing is lost or doubled.
#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, SMALL).expect("a new log");
    // Room for the manifest and less than a segment beyond those that there are.
    medium.set_room(Some(3 * SMALL));
    let mut synced = 0;
    let refused = loop {
        synced += 1;
        log.append(None, &[vote(synced)]).expect("taken");
        if let Err(error) = log.sync() {
            break error;
        }
    };
    assert!(refused.is_full(), "{refused}");
    for seed in 0..8 {
        let expected: Vec<Record> = (1..synced).map(vote).collect();
        assert_eq!(records(&medium.crash(seed)), expected);
    }
    assert!(log.sync().is_err_and(|error| error.is_full()));
    log.append(None, &[vote(synced + 1)]).expect("taken, to wait with the others");
    medium.set_room(None);
    log.sync().expect("there is room again");
    drop(log);
    let expected: Vec<Record> = (1..=synced + 1).map(vote).collect();
    assert_eq!(records(&medium), expected);
}

/// S7: what a write that stopped half-way left behind looks like no damage, though what
/// is written in its place is longer, and goes elsewhere.
#[test]
fn a_write_that_stops_half_way_leaves_no_damage() {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, SMALL).expect("a new log");
    write(&mut log, &[vote(1)]);
    log.append(None, &[vote(2), vote(3)]).expect("taken");
    medium.stop_writes(true);
    assert!(log.sync().is_err_and(|error| error.is_full()));
    log.append(None, &(4..=12).map(vote).collect::<Vec<_>>()).expect("taken");
    assert!(log.sync().is_err_and(|error| error.is_full()));
    medium.stop_writes(false);
    log.sync().expect("there is room again");
    drop(log);
    for seed in 0..20 {
        assert_eq!(records(&medium.crash(seed)), (1..=12).map(vote).collect::<Vec<_>>());
    }
}

/// S7: the disk fills up between two frames of one sync, the first of which holds a new
/// beginning; that is needed though the rest goes elsewhere.
#[test]
fn a_new_beginning_stays_though_what_follows_it_had_to_wait() {
    let medium = Shaky::default();
    let (log, _) = open(&medium, SMALL).expect("a new log");
    let mut log = log.with_frames_of(600);
    write(&mut log, &[vote(1)]);
    let compaction = Compaction { below: Seq(50), head: (0..3).map(note).collect() };
    log.append(Some(&compaction), &(3..400).map(note).collect::<Vec<_>>()).expect("taken");
    medium.set_room(Some(0));
    assert!(log.sync().is_err_and(|error| error.is_full()));
    medium.set_room(None);
    log.sync().expect("there is room again");
    for number in 400..500 {
        write(&mut log, &[note(number)]);
    }
    drop(log);
    assert_eq!(records(&medium), (0..500).map(note).collect::<Vec<_>>());
}

/// D1: however much one sync has to make durable, no frame grows with it, and what is
/// about no number stays as long as it is needed.
#[test]
fn much_that_waits_goes_into_several_frames() {
    let medium = Shaky::default();
    let (log, _) = open(&medium, SMALL).expect("a new log");
    let mut log = log.with_frames_of(600);
    let votes: Vec<Record> = (1..=100).map(vote).collect();
    let before = medium.syncs();
    write(&mut log, &votes);
    assert!(medium.syncs() - before > 10, "each has its own sync");
    let compaction = Compaction { below: Seq(90), head: (0..3).map(note).collect() };
    let later: Vec<Record> = (101..=140).map(vote).chain((3..80).map(note)).collect();
    log.append(Some(&compaction), &later).expect("taken");
    log.sync().expect("a disk that works");
    for seq in 141..=200 {
        write(&mut log, &[vote(seq)]);
    }
    drop(log);
    let head = (0..3).map(note).chain((91..=100).map(vote));
    let expected: Vec<Record> = head.chain(later).chain((141..=200).map(vote)).collect();
    assert_eq!(records(&medium), expected);
}

#[test]
fn a_compaction_removes_the_segments_that_nobody_needs() {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, SMALL).expect("a new log");
    for seq in 1..=100 {
        write(&mut log, &[vote(seq)]);
    }
    let before = segments(&medium);
    let compaction = Compaction { below: Seq(90), head: vec![note(7)] };
    log.append(Some(&compaction), &[vote(101)]).expect("taken");
    assert_eq!(segments(&medium), before, "nothing goes before the sync");
    log.sync().expect("a disk that works");
    assert!(segments(&medium) <= 3);
    drop(log);
    let head = [note(7)].into_iter();
    let expected: Vec<Record> = head.chain((91..=101).map(vote)).collect();
    assert_eq!(records(&medium), expected);
}

/// A record about no number is needed until the next compaction repeats it, however
/// little else its segment holds.
#[test]
fn what_follows_a_compaction_stays_though_it_is_about_no_number() {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, SMALL).expect("a new log");
    write(&mut log, &[vote(1)]);
    let compaction = Compaction { below: Seq(50), head: vec![note(0)] };
    log.append(Some(&compaction), &[]).expect("taken");
    for number in 1..100 {
        write(&mut log, &[note(number)]);
    }
    drop(log);
    let expected: Vec<Record> = (0..100).map(note).collect();
    assert_eq!(records(&medium), expected);
    let (mut log, _) = open(&medium, SMALL).expect("the same log");
    for number in 100..150 {
        write(&mut log, &[note(number)]);
    }
    drop(log);
    assert_eq!(records(&medium).len(), 150);
}
