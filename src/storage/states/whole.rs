//! The one state that is on disk as a whole, in pieces.
//!
//! A piece is one row: the entries from its key on up to the next piece's key, as they
//! were in a state that the piece names. The first one's key is the empty one. What later
//! states changed there, up to the one that is the whole, is in their records.
//!
//! Pieces are written anew one after the other in the order of keys, and then from the
//! beginning again: each time at least one, and so many that they have twice the bytes of the
//! records by which the whole state has just come on, but none twice. So an entry that changes
//! is written three times, however few of its neighbours change; a start reads the state and
//! about half as much of records, or as much where the state grows; and all of a large state is
//! written at once only where about as much has changed at once, as when it was fetched.
//!
//! The digest of a state does not speak of a piece's key and number, so that these have a
//! checksum: by a wrong number, records would go too early.

use super::rows::{self, Row};
use super::{PIECES, RECORDS, Trouble, rows_of};
use crate::service::Tree;
use crate::service::tree::{Entry, KeyRange, Stamps};
use crate::types::Seq;
use redb::{ReadTransaction, ReadableTable, Table, WriteTransaction};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter;
use std::mem;
use std::ops::Bound;

/// So many times the bytes of the records, pieces are written anew.
const ANEW: u64 = 2;

/// The bytes of pieces that are in memory at once.
const AT_ONCE_BYTES: u64 = 4 << 20;

/// Where pieces are written anew next.
#[derive(Clone, Default)]
pub(super) struct Round {
    /// The key of the next piece. It and those after it are older than those before it.
    next: Box<[u8]>,
}

type Pieces<'a> = Table<'a, &'static [u8], &'static [u8]>;

/// Writes a state as the whole one where there is none.
pub(super) fn write(
    transaction: &WriteTransaction,
    seq: Seq,
    tree: &Tree,
    rest: &mut dyn FnMut(),
) -> Result<Round, Trouble> {
    let mut pieces = transaction.open_table(PIECES)?;
    // All the keys there are, and nothing under them yet.
    pieces.insert(&[][..], &piece(seq, &[], &Row::default())[..])?;
    let mut round = Round::default();
    round.write(&mut pieces, seq, tree, u64::MAX, rest)?;
    Ok(round)
}

impl Round {
    /// Writes pieces anew, now that the whole state is this one and has come on by records
    /// of so many bytes. Returns the number up to which records are needed no more.
    pub(super) fn go_on(
        &mut self,
        transaction: &WriteTransaction,
        seq: Seq,
        tree: &Tree,
        recorded_bytes: u64,
        rest: &mut dyn FnMut(),
    ) -> Result<Seq, Trouble> {
        let mut pieces = transaction.open_table(PIECES)?;
        self.write(&mut pieces, seq, tree, recorded_bytes * ANEW, rest)?;
        let oldest = pieces.get(&self.next[..])?.ok_or(NO_PIECE)?;
        Ok(split(&self.next, oldest.value()).ok_or(NO_PIECE)?.0)
    }

    /// Writes pieces of so many bytes, at least one, or all that are left of this round.
    fn write(
        &mut self,
        pieces: &mut Pieces,
        seq: Seq,
        tree: &Tree,
        most_bytes: u64,
        rest: &mut dyn FnMut(),
    ) -> Result<(), Trouble> {
        let mut left = most_bytes;
        loop {
            let (new, until) = cut(tree, seq, &self.next, left.min(AT_ONCE_BYTES), rest);
            left = left.saturating_sub(new.iter().map(|(_, piece)| piece.len() as u64).sum());
            replace(pieces, &self.next, until.as_deref(), new, rest)?;
            let is_done = left == 0 || until.is_none();
            self.next = until.unwrap_or_default();
            if is_done {
                return Ok(());
            }
        }
    }
}

/// Cuts a state into pieces from a key on, until they have so many bytes. Returns each with
/// its key, and the key at which the last one ends unless nothing follows.
fn cut(
    tree: &Tree,
    seq: Seq,
    from: &[u8],
    most_bytes: u64,
    rest: &mut dyn FnMut(),
) -> (Vec<New>, Option<Box<[u8]>>) {
    let (mut row, mut new, mut bytes) = (Row::default(), Vec::new(), 0);
    let mut first = Box::from(from);
    for (key, entry) in tree.range(&KeyRange { from: from.into(), until: None }) {
        if !row.has_room(key, Some(entry)) {
            bytes += row.bytes().len() as u64;
            let whole = piece(seq, &first, &row);
            new.push((mem::replace(&mut first, key.into()), whole));
            row.clear();
            rest();
            if bytes >= most_bytes {
                return (new, Some(first));
            }
        }
        row.push(key, Some(entry));
    }
    let last = piece(seq, &first, &row);
    new.push((first, last));
    (new, None)
}

type New = (Box<[u8]>, Vec<u8>);

/// Puts new pieces in the place of all between two keys. One that goes on after the second
/// is cut there.
fn replace(
    pieces: &mut Pieces,
    from: &[u8],
    until: Option<&[u8]>,
    new: Vec<New>,
    rest: &mut dyn FnMut(),
) -> Result<(), Trouble> {
    match until {
        Some(until) => {
            if let Some(later) = rest_of_piece(pieces, until)? {
                pieces.insert(until, &later[..])?;
            }
            pieces.retain_in(from..until, |_, _| false)?;
        }
        None => pieces.retain_in(from.., |_, _| false)?,
    }
    for (key, piece) in new {
        pieces.insert(&key[..], &piece[..])?;
        rest();
    }
    Ok(())
}

/// What the piece in which the key lies holds from there on, as a piece; none if one begins
/// there.
fn rest_of_piece(pieces: &Pieces, from: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
    let up_to = (Bound::Unbounded, Bound::Included(from));
    let (key, row) = pieces.range::<&[u8]>(up_to)?.next_back().ok_or(NO_PIECE)??;
    if key.value() == from {
        return Ok(None);
    }
    let (seq, entries) = split(key.value(), row.value()).ok_or(NO_PIECE)?;
    let mut rest = Row::default();
    for found in rows::entries(entries) {
        let (key, entry) = found.ok_or(NO_PIECE)?;
        if key >= from {
            rest.push(key, entry.as_ref());
        }
    }
    Ok(Some(piece(seq, from, &rest)))
}

/// A piece: the number of its state, a checksum, and the entries.
fn piece(seq: Seq, key: &[u8], row: &Row) -> Vec<u8> {
    [&seq.0.to_le_bytes()[..], &checksum(seq, key).to_le_bytes(), row.bytes()].concat()
}

/// The number and the entries of the piece under the key, if it is one.
fn split<'a>(key: &[u8], piece: &'a [u8]) -> Option<(Seq, &'a [u8])> {
    let (seq, rest) = piece.split_first_chunk::<8>()?;
    let (sum, entries) = rest.split_first_chunk::<4>()?;
    let seq = Seq(u64::from_le_bytes(*seq));
    (u32::from_le_bytes(*sum) == checksum(seq, key)).then_some((seq, entries))
}

fn checksum(seq: Seq, key: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seq.0.to_le_bytes());
    hasher.update(key);
    hasher.finalize()
}

type Item = (Box<[u8]>, Entry);

/// For each key that records speak of, what the last of them says. A piece that is of a later
/// state than that says the same.
type Recorded = BTreeMap<Box<[u8]>, Option<Entry>>;

/// Reads the whole state, which has this number, if what is there makes a tree.
pub(super) fn read(
    transaction: &ReadTransaction,
    seq: Seq,
    stamps: &Stamps,
) -> Result<(Option<Tree>, Round), Trouble> {
    let Some(recorded) = read_recorded(transaction, seq)? else {
        return Ok((None, Round::default()));
    };
    let (mut oldest, mut round) = (None, Round::default());
    let mut trouble = None;
    let table = transaction.open_table(PIECES)?;
    let pieces = table.iter()?.map_while(|row| {
        let read = row.map_err(Trouble::from).and_then(|(key, piece)| {
            let (of, items) = read_piece(key.value(), piece.value()).ok_or(NO_PIECE)?;
            if oldest.is_none_or(|oldest| of < oldest) {
                oldest = Some(of);
                round.next = key.value().into();
            }
            Ok(items)
        });
        read.map_err(|error| trouble = Some(error)).ok()
    });
    let tree = Tree::rebuild(brought_on(pieces.flatten(), recorded), stamps).ok();
    match trouble {
        Some(Trouble::Nonsense(_)) => Ok((None, round)),
        Some(trouble) => Err(trouble),
        None => Ok((tree, round)),
    }
}

fn read_piece(key: &[u8], piece: &[u8]) -> Option<(Seq, Vec<Item>)> {
    let (seq, entries) = split(key, piece)?;
    let items = rows::entries(entries).map(|found| {
        let (key, entry) = found?;
        Some((key.into(), entry?))
    });
    Some((seq, items.collect::<Option<_>>()?))
}

/// What the records up to this one say; none if one is none.
fn read_recorded(transaction: &ReadTransaction, last: Seq) -> Result<Option<Recorded>, Trouble> {
    let mut recorded = Recorded::new();
    for row in transaction.open_table(RECORDS)?.range(rows_of(Seq::GENESIS..=last))? {
        for found in rows::entries(row?.1.value()) {
            let Some((key, entry)) = found else { return Ok(None) };
            recorded.insert(key.into(), entry);
        }
    }
    Ok(Some(recorded))
}

/// The pieces' entries as records have changed them, in the order of keys.
fn brought_on(items: impl Iterator<Item = Item>, recorded: Recorded) -> impl Iterator<Item = Item> {
    let (mut items, mut recorded) = (items.peekable(), recorded.into_iter().peekable());
    iter::from_fn(move || {
        loop {
            let order = match (items.peek(), recorded.peek()) {
                (None, None) => return None,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some((key, _)), Some((other, _))) => key.cmp(other),
            };
            if order.is_lt() {
                return items.next();
            }
            if order.is_eq() {
                items.next();
            }
            let (key, entry) = recorded.next()?;
            if let Some(entry) = entry {
                return Some((key, entry));
            }
        }
    })
}

const NO_PIECE: Trouble = Trouble::Nonsense("it holds a piece that is none");
