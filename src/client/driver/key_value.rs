//! The key-value service as programs use it.

use super::Client;
use super::error::Error;
use crate::client::outcome::{Done, Freshness, HowRead, NoReceipts};
use crate::client::receipt::Receipt;
use crate::service::kv::{Found, Item, KvOperation, KvResult};
use crate::types::Seq;
use crate::wire::Blob;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How something is read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum ReadHow {
    /// A quorum of replicas tells it alike: the latest there is.
    #[default]
    Quorum,
    /// It takes its place in the order, like a write: the latest there is.
    Ordered,
    /// One replica proves it: as old as the last checkpoint, and no older than this.
    Proved(Freshness),
}

/// Something written, or removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    /// The place in the order at which it was.
    pub seq: Seq,
    /// When the value was written that it took the place of, if there was one.
    pub replaced: Option<Seq>,
}

/// What came of a compare-and-set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Swapped {
    /// What was there is what was expected, and the new value took its place.
    Yes(Written),
    /// Something else was there, and nothing was changed.
    No {
        /// What was there.
        found: Option<Found>,
        /// The place in the order at which it was compared.
        seq: Seq,
    },
}

/// Something read, and how.
#[derive(Clone, PartialEq, Debug)]
pub struct Read<T> {
    /// What was read.
    pub found: T,
    /// How, and what is known of its age.
    pub how: HowRead,
}

/// What is under a key; none if there is nothing.
pub type Got = Read<Option<Found>>;

/// Keys in order, and what is under them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// The keys and values.
    pub items: Vec<Item>,
    /// The first key that is not among them, if there are more.
    pub next: Option<Blob>,
}

/// A receipt, or why there is none.
type MaybeReceipt = Result<Receipt, NoReceipts>;

/// A client of a cluster that replicates the key-value service.
#[derive(Clone)]
pub struct KeyValueClient {
    client: Client,
    receipts: Option<Arc<Mutex<Vec<MaybeReceipt>>>>,
}

impl KeyValueClient {
    /// A client of the key-value service.
    pub fn new(client: Client) -> KeyValueClient {
        KeyValueClient { client, receipts: None }
    }

    /// The same client, which from now on keeps a receipt of each write and ordered read.
    pub fn with_receipts(self) -> KeyValueClient {
        KeyValueClient { receipts: Some(Arc::default()), ..self }
    }

    /// The receipts kept since they were last taken, in order; or why there is none, which
    /// changes nothing of what was done.
    pub fn take_receipts(&self) -> Vec<Result<Receipt, NoReceipts>> {
        let taken = self.receipts.as_ref().map(|receipts| std::mem::take(&mut *locked(receipts)));
        taken.unwrap_or_default()
    }

    /// The client beneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client beneath, to close it.
    pub fn into_client(self) -> Client {
        self.client
    }

    /// Puts a value under a key, whatever was there.
    pub async fn put(&self, key: &[u8], value: &[u8]) -> Result<Written, Error> {
        let operation = KvOperation::Put { key: key.into(), value: value.into() };
        match self.write(operation).await? {
            (seq, KvResult::Put { replaced }) => Ok(Written { seq, replaced }),
            (_, other) => Err(unexpected(other)),
        }
    }

    /// Removes a key, if it is there.
    pub async fn delete(&self, key: &[u8]) -> Result<Written, Error> {
        match self.write(KvOperation::Delete { key: key.into() }).await? {
            (seq, KvResult::Deleted { removed }) => Ok(Written { seq, replaced: removed }),
            (_, other) => Err(unexpected(other)),
        }
    }

    /// Puts a value under a key if what is there is what was expected; none if nothing may
    /// be there.
    pub async fn compare_and_set(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Swapped, Error> {
        let (key, value) = (key.into(), value.into());
        let expected = expected.map(Blob::from);
        match self.write(KvOperation::CompareAndSet { key, expected, value }).await? {
            (seq, KvResult::Set { replaced }) => Ok(Swapped::Yes(Written { seq, replaced })),
            (seq, KvResult::Mismatch { found }) => Ok(Swapped::No { found, seq }),
            (_, other) => Err(unexpected(other)),
        }
    }

    /// Reads the latest value under a key.
    pub async fn get(&self, key: &[u8]) -> Result<Got, Error> {
        self.get_as(key, ReadHow::Quorum).await
    }

    /// Reads the value under a key, in the way wanted.
    pub async fn get_as(&self, key: &[u8], how: ReadHow) -> Result<Got, Error> {
        match self.read(KvOperation::Get { key: key.into() }, how).await? {
            (how, KvResult::Got { found }) => Ok(Read { found, how }),
            (_, other) => Err(unexpected(other)),
        }
    }

    /// Reads up to so many keys that begin so, in order, from a key on or from the first.
    pub async fn list(
        &self,
        prefix: &[u8],
        from: Option<&[u8]>,
        limit: u32,
        how: ReadHow,
    ) -> Result<Read<List>, Error> {
        let mut operation = KvOperation::list_prefix(prefix, limit);
        if let (KvOperation::List { from: first, .. }, Some(from)) = (&mut operation, from) {
            *first = from.into();
        }
        match self.read(operation, how).await? {
            (how, KvResult::Listed { items, next }) => {
                Ok(Read { found: List { items: items.into_iter().collect(), next }, how })
            }
            (_, other) => Err(unexpected(other)),
        }
    }

    async fn write(&self, operation: KvOperation) -> Result<(Seq, KvResult), Error> {
        operation.check().map_err(Error::Service)?;
        let Done { seq, result } = self.order(operation.to_bytes().into()).await?;
        Ok((seq, readable(&result)?))
    }

    /// Has one operation executed in its place in the order, and keeps a receipt if wanted.
    async fn order(&self, operation: Blob) -> Result<Done, Error> {
        let Some(receipts) = &self.receipts else {
            return self.client.read_ordered(operation).await;
        };
        let (done, receipted) = self.client.submit_with_receipts(vec![operation]).await?;
        let mut kept = locked(receipts);
        match receipted {
            Ok(receipted) => kept.extend(receipted.into_iter().map(Ok)),
            Err(why) => kept.push(Err(why)),
        }
        done.into_iter().next().ok_or(Error::Unreadable)
    }

    async fn read(
        &self,
        operation: KvOperation,
        how: ReadHow,
    ) -> Result<(HowRead, KvResult), Error> {
        operation.check().map_err(Error::Service)?;
        let bytes = Blob::from(operation.to_bytes());
        let answer = match how {
            ReadHow::Quorum => self.client.read(bytes).await?,
            ReadHow::Proved(freshness) => self.client.prove(bytes, freshness).await?,
            ReadHow::Ordered => {
                let ordered = self.order(bytes).await.map_err(nothing_to_change);
                let Done { seq, result } = ordered?;
                return Ok((HowRead::Ordered { seq }, readable(&result)?));
            }
        };
        Ok((answer.how, readable(&answer.result)?))
    }
}

/// Whether a read was executed makes no difference to anybody.
fn nothing_to_change(error: Error) -> Error {
    match error {
        Error::Unknown { missing, .. } | Error::NotSent { missing } => Error::NoQuorum { missing },
        other => other,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn readable(result: &[u8]) -> Result<KvResult, Error> {
    KvResult::from_bytes(result).map_err(|_| Error::Unreadable)
}

fn unexpected(result: KvResult) -> Error {
    match result {
        KvResult::Refused(refusal) => Error::Service(refusal),
        KvResult::Put { .. }
        | KvResult::Got { .. }
        | KvResult::Deleted { .. }
        | KvResult::Set { .. }
        | KvResult::Mismatch { .. }
        | KvResult::Listed { .. } => Error::Unreadable,
    }
}
