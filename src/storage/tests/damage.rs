//! Every byte of a small log, wrong: what comes back is what was synced, or a refusal.

use super::shaky::Shaky;
use super::writing::{log_directory, open};
use super::*;

const SMALL: u64 = 1280;

/// A log of three segments; the records of each sync, and where each of the last
/// segment's frames begins and ends.
struct Sample {
    medium: Shaky,
    synced: Vec<Vec<Record>>,
    last: PathBuf,
    frames: Vec<(usize, usize)>,
}

fn sample() -> Sample {
    let medium = Shaky::default();
    let (mut log, _) = open(&medium, SMALL).expect("a new log");
    let (mut synced, mut frames, mut active) = (Vec::new(), Vec::new(), None);
    for seq in 1..20 {
        let records = vec![vote(seq), note(seq)];
        log.append(None, &records).expect("taken");
        log.sync().expect("a disk that works");
        synced.push(records);
        let (path, end) = log.position();
        if active.as_ref() != Some(&path) {
            frames = vec![(frame::HEADER_BYTES, end)];
            active = Some(path.clone());
        } else {
            frames.push((frames.last().expect("one before").1, end));
        }
        if path.ends_with("0000000000000003.log") && frames.len() == 3 {
            break;
        }
    }
    let last = active.expect("something was written");
    drop(log);
    Sample { medium, synced, last, frames }
}

impl Sample {
    /// How many syncs of the log are found if it is opened with these bytes in a file.
    fn found(&self, path: &Path, bytes: Vec<u8>) -> Result<usize, StorageError> {
        let medium = self.medium.copy();
        medium.put(path, bytes);
        let (_, replayed) = open(&medium, SMALL)?;
        let count = (0..=self.synced.len())
            .find(|count| self.synced[..*count].concat() == replayed.records);
        Ok(count.expect("what is found is what was synced, up to some point"))
    }

    fn last_frame(&self) -> (usize, usize) {
        *self.frames.last().expect("there are three")
    }
}

/// S1, S2, S6.
#[test]
fn a_wrong_byte_anywhere_is_refused_or_of_no_consequence() {
    let sample = sample();
    let all = sample.synced.len();
    let (begin, end) = sample.last_frame();
    for path in sample.medium.paths() {
        let bytes = sample.medium.bytes(&path);
        if path.ends_with("spare") {
            continue;
        }
        let is_last = path == sample.last;
        for at in 0..bytes.len() {
            for wrong in [bytes[at] ^ 1, bytes[at] ^ 0x80, 0, 0xff] {
                if wrong == bytes[at] {
                    continue;
                }
                let mut bytes = bytes.clone();
                bytes[at] = wrong;
                match sample.found(&path, bytes) {
                    // The free space of the last segment is still free.
                    Ok(found) if is_last && at >= end => assert_eq!(found, all),
                    // The last byte may be one that was not written.
                    Ok(found) if is_last && at >= begin && wrong == 0 => assert_eq!(found, all - 1),
                    Ok(_) => panic!("{} at {at} went unnoticed", path.display()),
                    Err(StorageError::Damaged { path: named, .. }) => assert_eq!(named, path),
                    Err(StorageError::OtherVersion { .. }) => {}
                    Err(error) => panic!("{} at {at}: {error}", path.display()),
                }
            }
        }
    }
}

/// S1: wherever a write was cut short, all before it is there, and the log goes on.
#[test]
fn a_torn_end_is_cut_at_every_byte() {
    let sample = sample();
    let all = sample.synced.len();
    let bytes = sample.medium.bytes(&sample.last);
    let (begin, end) = sample.last_frame();
    let written = end - bytes[..end].iter().rev().take_while(|byte| **byte == 0).count();
    for cut in begin..=end {
        let expected = if cut < written { all - 1 } else { all };
        let mut zeros = bytes.clone();
        zeros[cut..].fill(0);
        assert_eq!(sample.found(&sample.last, zeros).expect("torn"), expected, "at {cut}");
        let short = bytes[..cut].to_vec();
        assert_eq!(sample.found(&sample.last, short).expect("torn"), expected, "at {cut}");
    }
}

/// A log that was cut goes on as if what was cut had never been there.
#[test]
fn after_a_cut_the_log_goes_on() {
    let sample = sample();
    let (begin, end) = sample.last_frame();
    for cut in begin..end {
        let medium = sample.medium.copy();
        let mut bytes = medium.bytes(&sample.last);
        bytes[cut..].fill(0);
        medium.put(&sample.last, bytes);
        let (mut log, found) = open(&medium, SMALL).expect("torn");
        log.append(None, &[note(77)]).expect("taken");
        log.sync().expect("a disk that works");
        drop(log);
        let (_, again) = open(&medium.crash(cut as u64), SMALL).expect("intact");
        let expected: Vec<Record> = found.records.into_iter().chain([note(77)]).collect();
        assert_eq!(again.records, expected);
    }
}

/// Files cut short anywhere: a prefix or a refusal, and never a hole.
#[test]
fn a_file_that_is_cut_short_hides_no_hole() {
    let sample = sample();
    let all = sample.synced.len();
    for path in sample.medium.paths() {
        let bytes = sample.medium.bytes(&path);
        for length in 0..bytes.len() {
            match sample.found(&path, bytes[..length].to_vec()) {
                Ok(found) if path == sample.last => assert!(found <= all),
                // Only free space is missing.
                Ok(found) => assert_eq!(found, all),
                Err(error) => assert!(matches!(error, StorageError::Damaged { .. }), "{error}"),
            }
        }
    }
}

/// S2: a whole record behind one that is not shows that this is no torn end, even where
/// a sector is gone.
#[test]
fn damage_before_the_last_record_is_never_taken_for_a_torn_end() {
    let sample = sample();
    let bytes = sample.medium.bytes(&sample.last);
    for (begin, end) in &sample.frames[..2] {
        for (from, to) in
            [(*begin, *end), (begin + 4, *end), (*begin, begin + 16), (end - 20, *end)]
        {
            let mut bytes = bytes.clone();
            bytes[from..to].fill(0);
            let found = sample.found(&sample.last, bytes);
            assert!(matches!(found, Err(StorageError::Damaged { .. })), "{from} to {to}");
        }
    }
}

/// S6: a record in another place is not the one of that place.
#[test]
fn a_block_in_the_wrong_place_is_refused() {
    let sample = sample();
    let bytes = sample.medium.bytes(&sample.last);
    let [(one, two), (_, three), _] = sample.frames[..] else { panic!("three frames") };
    assert_eq!(two - one, three - two, "frames of one size");
    let mut swapped = bytes.clone();
    swapped[one..two].copy_from_slice(&bytes[two..three]);
    swapped[two..three].copy_from_slice(&bytes[one..two]);
    assert!(matches!(sample.found(&sample.last, swapped), Err(StorageError::Damaged { .. })));
    let mut doubled = bytes.clone();
    doubled.copy_within(one..two, two);
    assert!(matches!(sample.found(&sample.last, doubled), Err(StorageError::Damaged { .. })));
}

/// S12.
#[test]
fn the_log_of_another_replica_or_cluster_is_refused() {
    let sample = sample();
    let others = [
        Identity { replica: ReplicaId(1), ..own() },
        Identity { cluster: ClusterId(Digest([8; 32])), ..own() },
    ];
    for other in others {
        let medium = Arc::new(sample.medium.copy());
        let opened = Log::open(medium, log_directory(), other, &options(SMALL));
        assert!(matches!(opened.err(), Some(StorageError::Foreign { replica: ReplicaId(2), .. })));
    }
}

/// S6, S12: a segment out of another log of the same replica is not this log's.
#[test]
fn a_segment_of_another_log_is_refused() {
    let (sample, other) = (sample(), sample());
    for path in sample.medium.paths() {
        let found = sample.found(&path, other.medium.bytes(&path));
        let is_spare = path.ends_with("spare");
        assert_eq!(found.is_ok(), is_spare, "{}", path.display());
    }
}

#[test]
fn a_missing_segment_is_missed_be_it_the_first_or_the_last() {
    let sample = sample();
    for path in sample.medium.paths().into_iter().filter(|path| !path.ends_with("spare")) {
        let medium = sample.medium.copy();
        medium.take_away(&path);
        let opened = open(&medium, SMALL);
        match opened.err() {
            Some(StorageError::Missing { path: missing, .. }) => assert_eq!(missing, path),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
}

#[test]
fn what_an_operator_reads_says_what_to_do() {
    let sample = sample();
    let mut bytes = sample.medium.bytes(&sample.last);
    bytes[sample.frames[1].0 + 20] ^= 1;
    let error = sample.found(&sample.last, bytes).expect_err("damage");
    let text = error.to_string();
    assert!(text.contains("0000000000000003.log"), "{text}");
    assert!(text.contains(&format!("byte {}", sample.frames[1].0)), "{text}");
    assert!(text.contains("quorate node --recover"), "{text}");
}
