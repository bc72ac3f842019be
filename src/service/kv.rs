//! The key-value service: put, get, delete, compare-and-set, and lists by range or
//! prefix.
//!
//! # Encoding
//!
//! The encoding of [`crate::wire`]: integers have a fixed width and begin with the least
//! significant byte. A *blob* is its length in 8 bytes and then its bytes; an *optional*
//! thing is the byte 0, or the byte 1 and the thing; a *list* is its length in 8 bytes and
//! then its elements; a *seq* has 8 bytes. What is left over at the end is an error.
//!
//! An operation is a tag of 4 bytes and what belongs to it:
//!
//! | tag | operation | fields |
//! | --- | --- | --- |
//! | 0 | put | key: blob, value: blob |
//! | 1 | get | key: blob |
//! | 2 | delete | key: blob |
//! | 3 | compare-and-set | key: blob, expected: optional blob, value: blob |
//! | 4 | list | from: blob, until: optional blob, limit: 4 bytes |
//!
//! So is a result. *Found* is a value (blob) and the number at which it was written (seq);
//! an *item* is a key (blob) and what was found under it:
//!
//! | tag | result | fields |
//! | --- | --- | --- |
//! | 0 | put | replaced: optional seq |
//! | 1 | got | found: optional found |
//! | 2 | deleted | removed: optional seq |
//! | 3 | set | replaced: optional seq |
//! | 4 | mismatch | found: optional found |
//! | 5 | listed | items: list of items, next: optional blob |
//! | 6 | refused | refusal |
//!
//! And a refusal:
//!
//! | tag | refusal | fields |
//! | --- | --- | --- |
//! | 0 | unreadable | |
//! | 1 | the key is empty | |
//! | 2 | the key is too long | bytes: 8 bytes |
//! | 3 | the value is too large | bytes: 8 bytes |
//! | 4 | a list of nothing | |
//! | 5 | a write sent as a query | |
//! | 6 | refused by the state | reason: blob, text in UTF-8 |
//!
//! # Limits
//!
//! Keys have 1 to [`MOST_KEY_BYTES`], values at most [`MOST_VALUE_BYTES`]. A list ends
//! after [`MOST_LISTED`] items or before [`MOST_LISTED_BYTES`] are exceeded, but has at
//! least one item if there is one; it then names the key to go on from. So every result
//! fits in [`MOST_RESULT_BYTES`], and every operation in [`MOST_OPERATION_BYTES`].
//!
//! What is refused has no effect.

use super::tree::{Entry, KeyRange};
use super::{Context, Data, Service, View};
use crate::types::{ClientId, Seq};
use crate::wire::{self, Blob, List, Malformed};
use bincode::{Decode, Encode};
use std::fmt;

/// The longest key, in bytes.
pub const MOST_KEY_BYTES: usize = 512;

/// The largest value, in bytes.
pub const MOST_VALUE_BYTES: usize = 1 << 20;

/// The most items of one list, in items.
pub const MOST_LISTED: u32 = 1_000;

/// The most bytes of a list's items together, in bytes of their encoding. A single item
/// may have more.
pub const MOST_LISTED_BYTES: usize = 1 << 20;

/// Room for tags, lengths and what else has a fixed width.
const MOST_FRAMING_BYTES: usize = 64;

/// No operation within the limits has more bytes: the largest is a compare-and-set with
/// two values.
pub const MOST_OPERATION_BYTES: usize = 2 * MOST_VALUE_BYTES + MOST_KEY_BYTES + MOST_FRAMING_BYTES;

/// No result has more bytes: the largest is a list of one large item, with the key to go
/// on from.
pub const MOST_RESULT_BYTES: usize = MOST_VALUE_BYTES + 2 * MOST_KEY_BYTES + MOST_FRAMING_BYTES;

/// What a client asks of the service.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum KvOperation {
    /// Puts a value under a key, whatever was there.
    Put {
        /// The key.
        key: Blob,
        /// The new value.
        value: Blob,
    },
    /// Reads what is under a key.
    Get {
        /// The key.
        key: Blob,
    },
    /// Removes a key, if it is there.
    Delete {
        /// The key.
        key: Blob,
    },
    /// Puts a value under a key if what is there is what was expected.
    CompareAndSet {
        /// The key.
        key: Blob,
        /// What must be there; none if nothing may be.
        expected: Option<Blob>,
        /// The new value.
        value: Blob,
    },
    /// Reads keys and values in order of the keys.
    List {
        /// The first key.
        from: Blob,
        /// The first key that is not meant any more; none to go on to the last.
        until: Option<Blob>,
        /// The most items wanted, at least 1. More than [`MOST_LISTED`] never come.
        limit: u32,
    },
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Found {
    /// The value.
    pub value: Blob,
    /// The number at which it was written.
    pub written: Seq,
}

/// One key of a list, and what was found under it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Item {
    /// The key.
    pub key: Blob,
    /// What is under it.
    pub found: Found,
}

/// What the service answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum KvResult {
    /// The value was put.
    Put {
        /// When the value was written that it took the place of, if there was one.
        replaced: Option<Seq>,
    },
    /// What is under the key.
    Got {
        /// None if there is nothing.
        found: Option<Found>,
    },
    /// The key is not there, or no longer.
    Deleted {
        /// When the value was written that was removed, if there was one.
        removed: Option<Seq>,
    },
    /// The comparison held, and the value was put.
    Set {
        /// When the value was written that it took the place of, if there was one.
        replaced: Option<Seq>,
    },
    /// The comparison failed, and nothing was changed.
    Mismatch {
        /// What is under the key instead of what was expected.
        found: Option<Found>,
    },
    /// Keys and values in order of the keys.
    Listed {
        /// The items.
        items: List<Item>,
        /// Where to go on if there are more: the first key that is not among the items.
        next: Option<Blob>,
    },
    /// The operation was refused, and nothing was changed.
    Refused(KvRefusal),
}

/// Why an operation was refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum KvRefusal {
    /// The bytes are no operation.
    Unreadable,
    /// A key has at least one byte.
    KeyEmpty,
    /// A key has at most [`MOST_KEY_BYTES`].
    KeyTooLong {
        /// The bytes that came.
        bytes: u64,
    },
    /// A value has at most [`MOST_VALUE_BYTES`].
    ValueTooLarge {
        /// The bytes that came.
        bytes: u64,
    },
    /// A list of no items says nothing.
    ListOfNothing,
    /// What writes must be ordered, and was sent as a query.
    WriteAsQuery,
    /// Refused for a reason that is not the service's own.
    ByState {
        /// The reason, as text.
        reason: Blob,
    },
}

impl fmt::Display for KvRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KvRefusal::Unreadable => {
                write!(out, "not an operation of the key-value service: do the versions differ?")
            }
            KvRefusal::KeyEmpty => write!(out, "the key is empty"),
            KvRefusal::KeyTooLong { bytes } => {
                write!(out, "a key of {bytes} bytes, and the limit is {MOST_KEY_BYTES}")
            }
            KvRefusal::ValueTooLarge { bytes } => {
                write!(out, "a value of {bytes} bytes, and the limit is {MOST_VALUE_BYTES}")
            }
            KvRefusal::ListOfNothing => write!(out, "a list of at most 0 items: ask for 1 or more"),
            KvRefusal::WriteAsQuery => {
                write!(out, "the operation writes, and was sent as a query: send it as a request")
            }
            KvRefusal::ByState { reason } => write!(out, "{}", String::from_utf8_lossy(reason)),
        }
    }
}

impl KvOperation {
    /// A list of all keys that begin so. To go on, put [`KvResult::Listed`]'s `next` in
    /// the place of `from`.
    pub fn list_prefix(prefix: &[u8], limit: u32) -> KvOperation {
        let KeyRange { from, until } = KeyRange::prefix(prefix);
        KvOperation::List { from, until, limit }
    }

    /// The operation's bytes, as they go into a request or a query.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// The operation that these bytes are, within the limits or not.
    pub fn from_bytes(bytes: &[u8]) -> Result<KvOperation, Malformed> {
        wire::decode(bytes, MOST_OPERATION_BYTES)
    }

    /// Whether it changes nothing, and so may be sent as a query.
    pub fn is_read(&self) -> bool {
        match self {
            KvOperation::Get { .. } | KvOperation::List { .. } => true,
            KvOperation::Put { .. }
            | KvOperation::Delete { .. }
            | KvOperation::CompareAndSet { .. } => false,
        }
    }

    /// Whether it is within the limits: what a client can check before it signs, and
    /// every replica does check.
    pub fn check(&self) -> Result<(), KvRefusal> {
        match self {
            KvOperation::Put { key, value } => require_key(key).and(require_value(value)),
            KvOperation::Get { key } | KvOperation::Delete { key } => require_key(key),
            KvOperation::CompareAndSet { key, expected, value } => {
                require_key(key)?;
                expected.as_deref().map_or(Ok(()), require_value)?;
                require_value(value)
            }
            KvOperation::List { from, until, limit } => {
                require_bound(from)?;
                until.as_deref().map_or(Ok(()), require_bound)?;
                if *limit == 0 { Err(KvRefusal::ListOfNothing) } else { Ok(()) }
            }
        }
    }
}

impl KvResult {
    /// The result's bytes, as a reply carries them.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// The result that these bytes are.
    pub fn from_bytes(bytes: &[u8]) -> Result<KvResult, Malformed> {
        wire::decode(bytes, wire::MOST_BYTES)
    }
}

/// The key-value service.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyValue;

impl Service for KeyValue {
    fn apply(&self, _context: &Context, operation: &[u8], data: &mut Data<'_>) -> Vec<u8> {
        let result = within_limits(operation).map(|operation| apply(operation, data));
        result.unwrap_or_else(KvResult::Refused).to_bytes()
    }

    fn query(&self, _client: ClientId, operation: &[u8], data: &View<'_>) -> Vec<u8> {
        let result = within_limits(operation).and_then(|operation| read(&operation, data));
        result.unwrap_or_else(KvResult::Refused).to_bytes()
    }

    fn proof_range(&self, operation: &[u8]) -> Option<KeyRange> {
        match within_limits(operation).ok()? {
            KvOperation::Get { key } => Some(KeyRange::single(&key)),
            KvOperation::List { from, until, .. } => Some(KeyRange { from, until }),
            KvOperation::Put { .. }
            | KvOperation::Delete { .. }
            | KvOperation::CompareAndSet { .. } => None,
        }
    }

    fn refusal(&self, reason: &str) -> Vec<u8> {
        KvResult::Refused(KvRefusal::ByState { reason: reason.into() }).to_bytes()
    }
}

fn within_limits(operation: &[u8]) -> Result<KvOperation, KvRefusal> {
    let operation = KvOperation::from_bytes(operation).map_err(|_| KvRefusal::Unreadable)?;
    operation.check()?;
    Ok(operation)
}

fn require_key(key: &[u8]) -> Result<(), KvRefusal> {
    if key.is_empty() { Err(KvRefusal::KeyEmpty) } else { require_bound(key) }
}

/// The bounds of a list may be empty: before the first key.
fn require_bound(key: &[u8]) -> Result<(), KvRefusal> {
    if key.len() <= MOST_KEY_BYTES {
        return Ok(());
    }
    Err(KvRefusal::KeyTooLong { bytes: key.len() as u64 })
}

fn require_value(value: &[u8]) -> Result<(), KvRefusal> {
    if value.len() <= MOST_VALUE_BYTES {
        return Ok(());
    }
    Err(KvRefusal::ValueTooLarge { bytes: value.len() as u64 })
}

fn apply(operation: KvOperation, data: &mut Data<'_>) -> KvResult {
    match operation {
        KvOperation::Put { key, value } => KvResult::Put { replaced: put(&key, value, data) },
        KvOperation::Delete { key } => {
            let removed = data.get(&key).map(|entry| entry.changed);
            data.remove(&key);
            KvResult::Deleted { removed }
        }
        KvOperation::CompareAndSet { key, expected, value } => {
            let present = data.get(&key);
            if present.map(|entry| &entry.value) != expected.as_ref() {
                return KvResult::Mismatch { found: present.map(found) };
            }
            KvResult::Set { replaced: put(&key, value, data) }
        }
        KvOperation::Get { .. } | KvOperation::List { .. } => {
            read(&operation, &data.view()).unwrap_or_else(KvResult::Refused)
        }
    }
}

fn put(key: &[u8], value: Blob, data: &mut Data<'_>) -> Option<Seq> {
    data.put(key, value).map(|replaced| replaced.changed)
}

fn read(operation: &KvOperation, data: &View<'_>) -> Result<KvResult, KvRefusal> {
    match operation {
        KvOperation::Get { key } => Ok(KvResult::Got { found: data.get(key).map(found) }),
        KvOperation::List { from, until, limit } => {
            let range = KeyRange { from: from.clone(), until: until.clone() };
            Ok(list(&range, *limit, data))
        }
        KvOperation::Put { .. }
        | KvOperation::Delete { .. }
        | KvOperation::CompareAndSet { .. } => Err(KvRefusal::WriteAsQuery),
    }
}

fn list(range: &KeyRange, limit: u32, data: &View<'_>) -> KvResult {
    let limit = limit.min(MOST_LISTED) as usize;
    let mut items = Vec::new();
    let mut bytes = 0;
    for (key, entry) in data.range(range) {
        bytes += key.len() + entry.value.len() + ITEM_FRAMING_BYTES;
        let is_full = items.len() == limit || bytes > MOST_LISTED_BYTES;
        if is_full && !items.is_empty() {
            return KvResult::Listed { items: items.into(), next: Some(key.into()) };
        }
        items.push(Item { key: key.into(), found: found(entry) });
    }
    KvResult::Listed { items: items.into(), next: None }
}

/// Two lengths and a number.
const ITEM_FRAMING_BYTES: usize = 24;

fn found(entry: &Entry) -> Found {
    Found { value: entry.value.clone(), written: entry.changed }
}

#[cfg(test)]
mod tests;
