//! The states on disk: one whole, and for each later checkpoint a record of what differs
//! from the one before.
//!
//! | table | holds |
//! | --- | --- |
//! | `about` | whose states these are, and which one is the whole |
//! | `states` | for each state its digest |
//! | `pieces` | the whole one's entries, each piece as of a number of its own (`whole`) |
//! | `records` | by number: the entries that this state puts and removes (`rows`) |
//! | `stamps` | the whole one's branches with stamps of their own |
//! | `stamped` | by number: the stamps that this state changes |
//! | `parts` | what was fetched of a state that is not whole yet, in its order |
//!
//! Records are kept until no piece is older. Each change of these tables is one
//! transaction, so there is one whole state at every moment. What is read back counts only
//! if its digest is the one that was written with it.

mod rows;
mod whole;

use super::Identity;
use super::error::{self, StorageError};
use super::hush::hushed;
use super::store::{self, Open};
use crate::crypto::ClusterId;
use crate::replica::Save;
use crate::service::Tree;
use crate::service::tree::{Difference, Part, Path, Stamps};
use crate::types::{Digest, ReplicaId, Seq};
use crate::wire;
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use rows::Row;
use std::collections::BTreeMap;
use std::mem;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::path::{Path as FilePath, PathBuf};
use whole::Round;

const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");
const STATES: TableDefinition<u64, [u8; 32]> = TableDefinition::new("states");
const PIECES: TableDefinition<&[u8], &[u8]> = TableDefinition::new("pieces");
const RECORDS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("records");
const STAMPS: TableDefinition<&[u8], u64> = TableDefinition::new("stamps");
const STAMPED: TableDefinition<(u64, &[u8]), Option<u64>> = TableDefinition::new("stamped");
const PARTS: TableDefinition<u64, &[u8]> = TableDefinition::new("parts");

/// The version of this format.
const VERSION: u32 = 2;

/// The bytes of parts that may be lost in a crash; they are fetched again then.
const PARTS_AT_RISK_BYTES: usize = 4 << 20;

/// What can be done to the states.
pub(super) enum Job {
    /// A state is to be there. Those of higher numbers were wrong, if there are any.
    Save(Save),
    /// Parts of a state are to be kept.
    Parts(Vec<(Seq, Path, Part)>),
    /// States below this number are needed no more, nor are parts.
    Forget(Seq),
}

/// The store of the states.
pub(super) struct States {
    path: PathBuf,
    identity: Identity,
    opening: Open,
    /// None only while it is opened again.
    database: Option<Database>,
    kept: Kept,
}

/// What is in the store.
#[derive(Clone, Default)]
struct Kept {
    /// Share their structure with the replica's own.
    trees: BTreeMap<Seq, Tree>,
    /// The number of the state that is there as a whole.
    whole: Option<Seq>,
    round: Round,
    /// The bytes of the records of states above the whole one.
    recorded_bytes: BTreeMap<Seq, u64>,
    /// The state that the parts are of.
    parts_of: Option<Seq>,
    next_part: u64,
    parts_at_risk: usize,
}

/// What was found in the store.
pub(super) struct Loaded {
    /// The states that are what they were.
    pub(super) states: BTreeMap<Seq, Tree>,
    /// Those that are not.
    pub(super) rotten: Vec<Seq>,
    pub(super) parts: Vec<(Path, Part)>,
}

/// Why something in the store did not work out.
enum Trouble {
    Store(redb::Error),
    /// What was read is not what is written there.
    Nonsense(&'static str),
    Foreign(Identity),
    OtherVersion(u32),
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Trouble {
        Trouble::Store(error.into())
    }
}

impl States {
    /// Opens the store, or makes one, and reads all states that are needed: those from
    /// `stable` on.
    pub(super) fn open(
        path: &FilePath,
        identity: Identity,
        opening: Open,
        stable: Seq,
    ) -> Result<(States, Loaded), StorageError> {
        let (path, database, kept) = (path.to_owned(), None, Kept::default());
        let mut states = States { path, identity, opening, database, kept };
        let loaded = states.guarded(|states| states.load())?;
        let latest = loaded.states.keys().next_back().copied();
        if stable > latest.unwrap_or_default() {
            let why = match loaded.rotten.as_slice() {
                [] => "none was ever written, or the file was removed".to_owned(),
                rotten => {
                    let numbers: Vec<String> = rotten.iter().map(Seq::to_string).collect();
                    format!("those of {} are not as they were written", numbers.join(", "))
                }
            };
            return Err(StorageError::StateLost { path: states.path.clone(), stable, why });
        }
        if !loaded.rotten.is_empty() {
            states.guarded(|states| states.keep_only(latest))?;
        }
        let Loaded { states: all, rotten, parts } = loaded;
        let all = match rotten.is_empty() {
            true => all.into_iter().filter(|(seq, _)| *seq >= stable).collect(),
            false => all.into_iter().next_back().into_iter().collect(),
        };
        Ok((states, Loaded { states: all, rotten, parts }))
    }

    /// Carries out what is to be done, all or nothing, durably. Between rows of
    /// entries there is time for a rest.
    pub(super) fn carry_out(
        &mut self,
        jobs: &[Job],
        rest: &mut dyn FnMut(),
    ) -> Result<(), StorageError> {
        self.guarded(|states| {
            let mut kept = states.kept.clone();
            let only_parts = jobs.iter().all(|job| matches!(job, Job::Parts(_)));
            let transaction = states.begin()?;
            for job in jobs {
                match job {
                    Job::Save(save) => kept.save(&transaction, save, rest)?,
                    Job::Parts(parts) => kept.keep_parts(&transaction, parts)?,
                    Job::Forget(below) => kept.forget(&transaction, *below, rest)?,
                }
            }
            if only_parts && kept.parts_at_risk < PARTS_AT_RISK_BYTES {
                commit_later(transaction)?;
            } else {
                commit(transaction)?;
                kept.parts_at_risk = 0;
            }
            states.kept = kept;
            Ok(())
        })
    }

    /// Opens the store again after it had no room: it is as it was after the last
    /// change that was carried out.
    pub(super) fn reopen(&mut self) -> Result<(), StorageError> {
        self.shut();
        self.guarded(|states| match states.load()?.rotten.is_empty() {
            true => Ok(()),
            false => Err(Trouble::Nonsense("its states are not as they were written any more")),
        })
    }

    /// Makes what was kept in passing durable too.
    pub(super) fn close(&mut self) -> Result<(), StorageError> {
        match self.kept.parts_at_risk {
            0 => Ok(()),
            _ => self.guarded(|states| commit(states.begin()?)),
        }
    }

    /// Does something with the store, and finds words for what comes of it. The store
    /// may panic where its file is not what it wrote.
    fn guarded<T>(
        &mut self,
        what: impl FnOnce(&mut States) -> Result<T, Trouble>,
    ) -> Result<T, StorageError> {
        let done = hushed(|| what(self));
        let path = self.path.clone();
        let done = done.unwrap_or(Err(Trouble::Nonsense("the store gave up on what it read")));
        done.map_err(|trouble| trouble.into_error(path))
    }

    /// Closes the file; a store that gave up may do so once more.
    fn shut(&mut self) {
        let database = self.database.take();
        let _ = hushed(|| drop(database));
    }

    fn begin(&self) -> Result<WriteTransaction, Trouble> {
        let database = self.database.as_ref().ok_or(Trouble::Nonsense("the store is closed"))?;
        Ok(database.begin_write()?)
    }

    /// Opens the file and reads everything.
    fn load(&mut self) -> Result<Loaded, Trouble> {
        let database = self.database.insert(store::open(&self.path, &self.opening)?);
        let transaction = database.begin_write()?;
        prepare(&transaction, self.identity)?;
        commit(transaction)?;
        let (kept, loaded) = read_all(&database.begin_read()?)?;
        self.kept = kept;
        Ok(loaded)
    }

    /// Keeps the one state that is intact, and no other; or none.
    fn keep_only(&mut self, intact: Option<Seq>) -> Result<(), Trouble> {
        let mut kept = self.kept.clone();
        let transaction = self.begin()?;
        match intact {
            Some(intact) => {
                kept.drop_from(&transaction, intact.next())?;
                kept.forget(&transaction, intact, &mut || ())?;
            }
            None => {
                clear_states(&transaction)?;
                transaction.open_table(ABOUT)?.remove("whole")?;
                kept =
                    Kept { parts_of: kept.parts_of, next_part: kept.next_part, ..Kept::default() };
            }
        }
        commit(transaction)?;
        self.kept = kept;
        Ok(())
    }
}

impl Drop for States {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Trouble {
    fn into_error(self, path: PathBuf) -> StorageError {
        match self {
            Trouble::Store(redb::Error::Io(error)) if error::is_want_of_room(&error) => {
                StorageError::Full { path, error }
            }
            Trouble::Store(redb::Error::Io(error)) if !error::is_of_content(&error) => {
                StorageError::for_good("using", &path, error)
            }
            Trouble::Store(error) => StorageError::Unreadable { path, why: error.to_string() },
            Trouble::Nonsense(why) => StorageError::Unreadable { path, why: why.to_owned() },
            Trouble::Foreign(other) => {
                let cluster = other.cluster.0.short();
                StorageError::Foreign { path, replica: other.replica, cluster }
            }
            Trouble::OtherVersion(found) => {
                StorageError::OtherVersion { path, found, expected: VERSION }
            }
        }
    }
}

/// Commits so that it is durable, and that opening the file costs nothing after a crash.
fn commit(mut transaction: WriteTransaction) -> Result<(), Trouble> {
    transaction.set_durability(Durability::Immediate)?;
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction.commit()?)
}

/// Commits what may be lost in a crash.
fn commit_later(mut transaction: WriteTransaction) -> Result<(), Trouble> {
    transaction.set_durability(Durability::None)?;
    Ok(transaction.commit()?)
}

/// Makes the tables, unless they are there, and looks whose they are.
fn prepare(transaction: &WriteTransaction, identity: Identity) -> Result<(), Trouble> {
    create_tables(transaction)?;
    let mut about = transaction.open_table(ABOUT)?;
    let found = about.get("whose")?.map(|found| found.value().to_vec());
    match found {
        None => {
            let mut bytes = VERSION.to_le_bytes().to_vec();
            wire::encode_into(&(identity.cluster, identity.replica), &mut bytes);
            about.insert("whose", &bytes[..])?;
            Ok(())
        }
        Some(bytes) => {
            let (version, rest) =
                bytes.split_first_chunk::<4>().ok_or(Trouble::Nonsense("it names nobody"))?;
            let version = u32::from_le_bytes(*version);
            if version != VERSION {
                return Err(Trouble::OtherVersion(version));
            }
            let named = wire::decode::<(ClusterId, ReplicaId)>(rest, rest.len());
            let (cluster, replica) = named.map_err(|_| Trouble::Nonsense("it names nobody"))?;
            let other = Identity { cluster, replica };
            if other == identity { Ok(()) } else { Err(Trouble::Foreign(other)) }
        }
    }
}

fn create_tables(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.open_table(STATES)?;
    transaction.open_table(PIECES)?;
    transaction.open_table(RECORDS)?;
    transaction.open_table(STAMPS)?;
    transaction.open_table(STAMPED)?;
    transaction.open_table(PARTS)?;
    Ok(())
}

/// Removes all states.
fn clear_states(transaction: &WriteTransaction) -> Result<(), Trouble> {
    transaction.delete_table(STATES)?;
    transaction.delete_table(PIECES)?;
    transaction.delete_table(RECORDS)?;
    transaction.delete_table(STAMPS)?;
    transaction.delete_table(STAMPED)?;
    create_tables(transaction)
}

fn read_all(transaction: &ReadTransaction) -> Result<(Kept, Loaded), Trouble> {
    let mut kept = Kept::default();
    let mut loaded = Loaded { states: BTreeMap::new(), rotten: Vec::new(), parts: Vec::new() };
    if let Some(bytes) = transaction.open_table(ABOUT)?.get("whole")? {
        let bytes = bytes.value().try_into();
        let bytes = bytes.map_err(|_| Trouble::Nonsense("its whole state has no number"))?;
        kept.whole = Some(Seq(u64::from_le_bytes(bytes)));
    }
    read_parts(transaction, &mut kept, &mut loaded)?;
    let mut digests = BTreeMap::new();
    for row in transaction.open_table(STATES)?.iter()? {
        let (seq, digest) = row?;
        digests.insert(Seq(seq.value()), Digest(digest.value()));
    }
    let Some(whole) = kept.whole else { return Ok((kept, loaded)) };
    if !digests.contains_key(&whole) {
        return Err(Trouble::Nonsense("its whole state has no digest"));
    }
    let mut stamps = Stamps::new();
    for row in transaction.open_table(STAMPS)?.iter()? {
        let (way, stamp) = row?;
        stamps.insert(way.value().into(), Seq(stamp.value()));
    }
    let mut last;
    (last, kept.round) = whole::read(transaction, whole, &stamps)?;
    for (seq, digest) in digests {
        if seq > whole
            && let Some(before) = last.take()
        {
            let (after, bytes) = read_record(transaction, seq, &before, &mut stamps)?;
            last = after;
            kept.recorded_bytes.insert(seq, bytes);
        }
        match &last {
            Some(tree) if tree.digest() == digest => {
                loaded.states.insert(seq, tree.clone());
                kept.trees.insert(seq, tree.clone());
            }
            Some(tree) => {
                loaded.rotten.push(seq);
                kept.trees.insert(seq, tree.clone());
            }
            None => loaded.rotten.push(seq),
        }
    }
    Ok((kept, loaded))
}

fn read_parts(
    transaction: &ReadTransaction,
    kept: &mut Kept,
    loaded: &mut Loaded,
) -> Result<(), Trouble> {
    for row in transaction.open_table(PARTS)?.iter()? {
        let (number, bytes) = row?;
        kept.next_part = number.value() + 1;
        // One that cannot be read is fetched again, and all are checked where they go.
        let part = wire::decode::<(Seq, Path, Part)>(bytes.value(), wire::MOST_BYTES);
        if let Ok((seq, path, part)) = part {
            kept.parts_of = Some(seq);
            loaded.parts.push((path, part));
        }
    }
    Ok(())
}

/// The state that the number's record makes of the one before, if it is one, and the
/// record's bytes.
fn read_record(
    transaction: &ReadTransaction,
    seq: Seq,
    before: &Tree,
    stamps: &mut Stamps,
) -> Result<(Option<Tree>, u64), Trouble> {
    let (mut entries, mut bytes) = (Vec::new(), 0);
    for row in transaction.open_table(RECORDS)?.range(rows_of(seq..=seq))? {
        let (_, row) = row?;
        bytes += row.value().len() as u64;
        for found in rows::entries(row.value()) {
            let Some((key, entry)) = found else { return Ok((None, bytes)) };
            entries.push((Box::from(key), entry));
        }
    }
    let mut stamped = Vec::new();
    for row in transaction.open_table(STAMPED)?.range(stamped_of(seq..=seq))? {
        let (key, stamp) = row?;
        let way: Box<[u8]> = key.value().1.into();
        match stamp.value() {
            Some(stamp) => drop(stamps.insert(way.clone(), Seq(stamp))),
            None => drop(stamps.remove(&way)),
        }
        stamped.push(way);
    }
    Ok((before.with_changes(entries, stamps, stamped.iter().map(|way| &**way)).ok(), bytes))
}

/// The rows of these numbers' records.
fn rows_of(seqs: RangeInclusive<Seq>) -> RangeInclusive<(u64, u32)> {
    (seqs.start().0, 0)..=(seqs.end().0, u32::MAX)
}

/// The changes of stamps of these numbers.
fn stamped_of(seqs: RangeInclusive<Seq>) -> impl RangeBounds<(u64, &'static [u8])> + 'static {
    let (start, end) = seqs.into_inner();
    let end = end.0.checked_add(1);
    let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded((end, &[][..])));
    (Bound::Included((start.0, &[][..])), end)
}

impl Kept {
    fn save(
        &mut self,
        transaction: &WriteTransaction,
        save: &Save,
        rest: &mut dyn FnMut(),
    ) -> Result<(), Trouble> {
        let seq = save.seq;
        self.drop_from(transaction, seq.next())?;
        if self.trees.get(&seq).is_some_and(|tree| tree.digest() == save.digest) {
            return Ok(());
        }
        match self.trees.range(..seq).next_back() {
            Some((_, before)) => {
                remove_records(transaction, seq..=seq)?;
                let bytes = write_record(transaction, seq, save.tree.changes_since(before), rest)?;
                self.recorded_bytes.insert(seq, bytes);
            }
            None => {
                clear_states(transaction)?;
                self.trees.clear();
                self.recorded_bytes.clear();
                write_stamps(transaction, &save.tree)?;
                self.round = whole::write(transaction, seq, &save.tree, rest)?;
                self.set_whole(transaction, seq)?;
            }
        }
        transaction.open_table(STATES)?.insert(seq.0, save.digest.0)?;
        self.trees.insert(seq, save.tree.clone());
        Ok(())
    }

    /// Drops the states from this number on, unless one is the whole.
    fn drop_from(&mut self, transaction: &WriteTransaction, from: Seq) -> Result<(), Trouble> {
        let from = self.whole.map_or(from, |whole| from.max(whole.next()));
        remove_records(transaction, from..=Seq(u64::MAX))?;
        transaction.open_table(STATES)?.retain_in(from.0.., |_, _| false)?;
        self.trees.split_off(&from);
        self.recorded_bytes.split_off(&from);
        Ok(())
    }

    /// Makes the last state at or below the number the whole one.
    fn forget(
        &mut self,
        transaction: &WriteTransaction,
        below: Seq,
        rest: &mut dyn FnMut(),
    ) -> Result<(), Trouble> {
        self.clear_parts(transaction)?;
        let Some(whole) = self.whole else { return Ok(()) };
        let next = self.trees.range(..=below).next_back().map(|(seq, _)| *seq);
        let Some(next) = next.filter(|next| *next > whole) else { return Ok(()) };
        fold_stamps(transaction, whole.next()..=next)?;
        transaction.open_table(STATES)?.retain_in(..next.0, |_, _| false)?;
        self.trees = self.trees.split_off(&next);
        self.set_whole(transaction, next)?;
        let above = self.recorded_bytes.split_off(&next.next());
        let bytes = mem::replace(&mut self.recorded_bytes, above).into_values().sum();
        let done = self.round.go_on(transaction, next, &self.trees[&next], bytes, rest)?;
        let mut records = transaction.open_table(RECORDS)?;
        Ok(records.retain_in(rows_of(Seq::GENESIS..=done), |_, _| false)?)
    }

    fn set_whole(&mut self, transaction: &WriteTransaction, seq: Seq) -> Result<(), Trouble> {
        self.whole = Some(seq);
        transaction.open_table(ABOUT)?.insert("whole", &seq.0.to_le_bytes()[..])?;
        Ok(())
    }

    fn keep_parts(
        &mut self,
        transaction: &WriteTransaction,
        parts: &[(Seq, Path, Part)],
    ) -> Result<(), Trouble> {
        for part in parts {
            if self.parts_of != Some(part.0) {
                self.clear_parts(transaction)?;
                self.parts_of = Some(part.0);
            }
            let bytes = wire::encode(part);
            self.parts_at_risk += bytes.len();
            transaction.open_table(PARTS)?.insert(self.next_part, &bytes[..])?;
            self.next_part += 1;
        }
        Ok(())
    }

    fn clear_parts(&mut self, transaction: &WriteTransaction) -> Result<(), Trouble> {
        if self.parts_of.take().is_some() {
            transaction.delete_table(PARTS)?;
            transaction.open_table(PARTS)?;
        }
        Ok(())
    }
}

/// Writes what a state changes. Returns the bytes of the record of entries.
fn write_record<'a>(
    transaction: &WriteTransaction,
    seq: Seq,
    changes: impl Iterator<Item = Difference<'a>>,
    rest: &mut dyn FnMut(),
) -> Result<u64, Trouble> {
    let mut records = transaction.open_table(RECORDS)?;
    let mut stamped = transaction.open_table(STAMPED)?;
    let (mut row, mut number, mut bytes) = (Row::default(), 0, 0);
    for change in changes {
        let (key, entry) = match change {
            Difference::Put(key, entry) => (key, Some(entry)),
            Difference::Remove(key) => (key, None),
            Difference::Stamp(way, stamp) => {
                stamped.insert((seq.0, &way[..]), stamp.map(|stamp| stamp.0))?;
                continue;
            }
        };
        if !row.has_room(key, entry) {
            records.insert((seq.0, number), row.bytes())?;
            bytes += row.bytes().len() as u64;
            number += 1;
            row.clear();
            rest();
        }
        row.push(key, entry);
    }
    if !row.is_empty() {
        records.insert((seq.0, number), row.bytes())?;
    }
    Ok(bytes + row.bytes().len() as u64)
}

/// Writes the stamps of a state that becomes the whole one.
fn write_stamps(transaction: &WriteTransaction, tree: &Tree) -> Result<(), Trouble> {
    let mut stamps = transaction.open_table(STAMPS)?;
    for change in tree.changes_since(&Tree::new()) {
        if let Difference::Stamp(way, Some(stamp)) = change {
            stamps.insert(&way[..], stamp.0)?;
        }
    }
    Ok(())
}

/// Makes the changes of stamps of these numbers, in their order, to those of the whole state.
fn fold_stamps(transaction: &WriteTransaction, seqs: RangeInclusive<Seq>) -> Result<(), Trouble> {
    let mut stamps = transaction.open_table(STAMPS)?;
    let mut stamped = transaction.open_table(STAMPED)?;
    for row in stamped.extract_from_if(stamped_of(seqs), |_, _| true)? {
        let (key, stamp) = row?;
        let (_, way) = key.value();
        match stamp.value() {
            Some(stamp) => drop(stamps.insert(way, stamp)?),
            None => drop(stamps.remove(way)?),
        }
    }
    Ok(())
}

fn remove_records(
    transaction: &WriteTransaction,
    seqs: RangeInclusive<Seq>,
) -> Result<(), Trouble> {
    transaction.open_table(RECORDS)?.retain_in(rows_of(seqs.clone()), |_, _| false)?;
    Ok(transaction.open_table(STAMPED)?.retain_in(stamped_of(seqs), |_, _| false)?)
}
