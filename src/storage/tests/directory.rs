//! The data directory as a whole: whose it is, who may use it, what an operator sets
//! aside.

use super::*;
use std::sync::mpsc::{self, Receiver};

type Told = Receiver<Result<(Seq, Digest), StorageError>>;

fn open_as(directory: &Path, identity: Identity) -> Result<(Storage, Found, Told), StorageError> {
    let (tell, told) = mpsc::channel();
    let on_saved = move |saved| drop(tell.send(saved));
    let (storage, found) = Storage::open(directory, identity, options(1 << 16), on_saved)?;
    Ok((storage, found, told))
}

fn open(directory: &Path) -> (Storage, Found, Told) {
    open_as(directory, own()).unwrap_or_else(|error| panic!("{error}"))
}

fn refusal(directory: &Path) -> StorageError {
    open_as(directory, own()).err().expect("a refusal")
}

fn state(seq: u64) -> Save {
    let mut tree = Tree::new();
    for number in 0..seq {
        tree.put(&number.to_be_bytes(), number.to_le_bytes()[..].to_vec().into(), Seq(number + 1));
    }
    Save { seq: Seq(seq), digest: tree.digest(), tree }
}

fn save(storage: &mut Storage, told: &Told, save: Save) {
    let expected = (save.seq, save.digest);
    storage.save(save);
    let saved = told.recv_timeout(Duration::from_secs(60)).expect("an answer");
    assert_eq!(saved.expect("a disk that works"), expected);
}

fn compact(storage: &mut Storage, below: u64) {
    let compaction = Compaction { below: Seq(below), head: vec![note(below)] };
    storage.append(Some(compaction), &[]).expect("taken");
    storage.sync().expect("a disk that works");
}

#[test]
fn what_was_kept_is_found_again() {
    let directory = directory();
    let (mut storage, found, told) = open(directory.path());
    assert!(found.is_new);
    assert!(found.records.is_empty() && found.states.is_empty() && found.parts.is_empty());
    storage.append(None, &[vote(1), note(1)]).expect("taken");
    storage.sync().expect("a disk that works");
    save(&mut storage, &told, state(100));
    save(&mut storage, &told, state(200));
    compact(&mut storage, 100);
    drop(storage);
    let (_, found, _) = open(directory.path());
    assert!(!found.is_new);
    assert_eq!(found.records, [note(100)]);
    let digests: Vec<(Seq, Digest)> =
        found.states.iter().map(|(seq, tree)| (*seq, tree.digest())).collect();
    let expected = [state(100), state(200)].map(|save| (save.seq, save.digest));
    assert_eq!(digests, expected);
}

/// S11.
#[test]
fn two_copies_of_one_replica_do_not_run_on_one_directory() {
    let directory = directory();
    let (storage, ..) = open(directory.path());
    let text = refusal(directory.path()).to_string();
    let process = format!("in use by process {}", std::process::id());
    assert!(text.contains(&process), "{text}");
    drop(storage);
    open(directory.path());
}

/// S12.
#[test]
fn the_directory_of_another_replica_or_cluster_is_refused() {
    let directory = directory();
    open(directory.path());
    let other = Identity { replica: ReplicaId(3), ..own() };
    let refused = open_as(directory.path(), other).err();
    assert!(matches!(refused, Some(StorageError::Foreign { replica: ReplicaId(2), .. })));
    fs::remove_dir_all(directory.path().join("log")).expect("it is there");
    let theirs = self::directory();
    let _ = open_as(theirs.path(), other).map(drop);
    let states = "states.redb";
    fs::copy(theirs.path().join(states), directory.path().join(states)).expect("both are there");
    open_as(&directory.path().join("new"), own()).map(drop).expect("a new one");
    let new_log = directory.path().join("new").join("log");
    fs::rename(new_log, directory.path().join("log")).expect("it is there");
    let refused = open_as(directory.path(), own()).err();
    assert!(matches!(refused, Some(StorageError::Foreign { replica: ReplicaId(3), .. })));
}

#[test]
fn states_without_their_log_are_refused() {
    let directory = directory();
    open(directory.path());
    fs::remove_dir_all(directory.path().join("log")).expect("it is there");
    let text = refusal(directory.path()).to_string();
    assert!(text.contains("manifest is missing"), "{text}");
    assert!(text.contains("--recover"), "{text}");
}

/// S3: a log that was compacted does not start without the state that it goes on from.
#[test]
fn a_log_without_its_state_is_refused() {
    let directory = directory();
    let (mut storage, _, told) = open(directory.path());
    save(&mut storage, &told, state(100));
    compact(&mut storage, 100);
    drop(storage);
    fs::remove_file(directory.path().join("states.redb")).expect("it is there");
    let refused = refusal(directory.path());
    assert!(matches!(refused, StorageError::StateLost { stable: Seq(100), .. }), "{refused}");
}

#[test]
fn what_a_recovery_sets_aside_is_kept() {
    let directory = directory();
    let (mut storage, _, told) = open(directory.path());
    storage.append(None, &[vote(1)]).expect("taken");
    storage.sync().expect("a disk that works");
    save(&mut storage, &told, state(10));
    drop(storage);
    for expected in 1..=2 {
        let (_, found) = Storage::recover(directory.path(), own(), options(1 << 16), |_| {})
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(found.is_new && found.records.is_empty() && found.states.is_empty());
        let names = fs::read_dir(directory.path()).expect("it is there");
        let aside: Vec<PathBuf> = names
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.to_string_lossy().contains("lost-"))
            .collect();
        assert_eq!(aside.len(), expected);
        assert!(aside.iter().all(|path| path.join("log/manifest").exists()));
        assert!(aside.iter().all(|path| path.join("states.redb").exists()));
    }
}

#[test]
fn a_recovery_of_an_empty_directory_sets_nothing_aside() {
    let directory = directory();
    let (_, found) = Storage::recover(directory.path(), own(), options(1 << 16), |_| {})
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(found.is_new);
    let names = fs::read_dir(directory.path()).expect("it is there");
    assert!(!names.into_iter().any(|entry| {
        entry.expect("readable").file_name().to_string_lossy().starts_with("lost-")
    }));
}

/// What is replicated is for those only who are asked by the protocol.
#[test]
fn nobody_else_on_the_machine_looks_into_it() {
    use std::os::unix::fs::PermissionsExt;
    let place = directory();
    let data = place.path().join("data").join("replica-0");
    drop(open(&data));
    for made in [&data, data.parent().expect("it lies in one")] {
        let mode = std::fs::metadata(made).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", made.display());
    }
}

/// Nothing is wrong with a disk where there is none.
#[cfg(target_os = "linux")]
#[test]
fn a_place_that_keeps_no_files_is_told_as_such() {
    let error = refusal(Path::new("/proc/quorate/data"));
    assert!(matches!(error, StorageError::NoPlace { .. }), "{error}");
}
