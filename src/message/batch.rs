//! Batches: what one number orders.
//!
//! A batch travels as its own canonical bytes, and keeps them: the digest is taken over
//! the bytes received, and log, peers and execution share one copy.

use super::bodies::{RecoveryRequest, Request, Signed};
use crate::types::{ClientId, Digest, ReplicaId, RequestNumber, Timestamp};
use crate::wire::{self, Blob, List};
use bincode::de::{BorrowDecode, BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The digest of the null batch, which does nothing and fills the gaps of a new view.
/// No bytes hash to it, so that no batch can claim to be it.
pub const NULL: Digest = Digest([0; 32]);

/// One thing to execute.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Item {
    /// A client's operations.
    Request(Signed<Request>),
    /// A replica's wish for its next incarnation.
    Recovery(Signed<RecoveryRequest>),
}

/// What an item is waited for under: not its bytes, but whose it is and its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ItemKey {
    /// A client's bundle, by its first number.
    Request(ClientId, RequestNumber),
    /// A replica's recovery, by its nonce.
    Recovery(ReplicaId, crate::types::Nonce),
}

impl Item {
    /// What this item is waited for under.
    pub fn key(&self) -> ItemKey {
        match self {
            Item::Request(request) => ItemKey::Request(request.body.client, request.body.first),
            Item::Recovery(recovery) => {
                ItemKey::Recovery(recovery.body.replica, recovery.body.nonce)
            }
        }
    }

    /// The last number that it uses: a bundle's, or the nonce.
    pub fn last(&self) -> u64 {
        match self {
            Item::Request(request) => request.body.last().map_or(u64::MAX, |number| number.0),
            Item::Recovery(recovery) => recovery.body.nonce.0,
        }
    }
}

#[derive(Encode, Decode)]
struct Content {
    time: Timestamp,
    items: List<Item>,
}

struct Inner {
    bytes: Blob,
    digest: Digest,
    time: Timestamp,
    items: Vec<Item>,
}

/// An ordered list of items and the time that the primary proposes for them.
/// Immutable, and cheap to clone.
#[derive(Clone)]
pub struct Batch(Arc<Inner>);

impl Batch {
    /// A batch of these items.
    pub fn new(time: Timestamp, items: Vec<Item>) -> Batch {
        let content = Content { time, items: List(items) };
        let bytes = Blob::from(wire::encode(&content));
        Batch::assemble(bytes, content)
    }

    fn assemble(bytes: Blob, content: Content) -> Batch {
        let digest = Digest::of(&bytes);
        Batch(Arc::new(Inner { bytes, digest, time: content.time, items: content.items.0 }))
    }

    /// The digest, over time and items.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// The time proposed.
    pub fn time(&self) -> Timestamp {
        self.0.time
    }

    /// What is to be executed, in this order.
    pub fn items(&self) -> &[Item] {
        &self.0.items
    }

    /// The encoded size in bytes.
    pub fn size(&self) -> usize {
        self.0.bytes.len()
    }

    /// Whether this is a fill-up: a time, and nothing to execute.
    pub fn is_fill_up(&self) -> bool {
        self.0.items.is_empty()
    }

    /// Whether any item is in it twice.
    pub fn repeats_an_item(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.0.items.iter().any(|item| !seen.insert(item.key()))
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Batch) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Batch {}

impl fmt::Debug for Batch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "batch {:?} of {}", self.0.digest, self.0.items.len())
    }
}

impl Encode for Batch {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.bytes.encode(encoder)
    }
}

impl<C> Decode<C> for Batch {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let bytes = Blob::decode(decoder)?;
        let content = wire::decode(&bytes, wire::MOST_BYTES)
            .map_err(|_| DecodeError::Other("these bytes are not a batch"))?;
        Ok(Batch::assemble(bytes, content))
    }
}

impl<'de, C> BorrowDecode<'de, C> for Batch {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, DecodeError> {
        Batch::decode(decoder)
    }
}
