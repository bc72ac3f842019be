//! The replicated state machine: what a service is, the state that it shares with the
//! protocol, and the key-value service.
//!
//! Everything here is a function of what was executed: no clock, no randomness, no
//! thread, no file. Two replicas that executed the same have the same bytes.
//!
//! - [`Service`] is what a cluster replicates. [`kv`] is the one that comes with it.
//! - [`State`] is the one tree that holds the service's data, the clients' sessions and
//!   the system's own entries, and the rules by which a request is executed once.
//!
//! # A service of one's own
//!
//! A ledger: accounts that transfer to each other, each owned by the client of its
//! number.
//!
//! ```
//! use quorate::service::{Context, Data, KeyRange, Limits, Moment, Outcome};
//! use quorate::service::{RequestRef, Service, State, View};
//! use quorate::types::{ClientId, RequestNumber, Seq, Timestamp};
//! use quorate::wire::{self, Blob};
//! use std::sync::Arc;
//!
//! struct Ledger;
//!
//! /// What every account holds before its first transfer.
//! const ENDOWMENT: u64 = 100;
//!
//! /// A balance is kept as eight bytes under the account's number.
//! fn balance(account: u32, stored: Option<&[u8]>) -> u64 {
//!     let stored = stored.and_then(|bytes| bytes.try_into().ok());
//!     stored.map_or(ENDOWMENT, u64::from_le_bytes)
//! }
//!
//! impl Service for Ledger {
//!     /// A transfer: the receiving account, and how much.
//!     fn apply(&self, context: &Context, operation: &[u8], data: &mut Data<'_>) -> Vec<u8> {
//!         let Ok((to, amount)) = wire::decode::<(u32, u64)>(operation, 12) else {
//!             return self.refusal("not a transfer");
//!         };
//!         let from = context.client.0;
//!         if from == to {
//!             return self.refusal("both accounts are the same");
//!         }
//!         let has = |account: u32| {
//!             balance(account, data.get(&account.to_be_bytes()).map(|entry| &*entry.value))
//!         };
//!         let Some(rest) = has(from).checked_sub(amount) else {
//!             return self.refusal("not enough in the account");
//!         };
//!         let Some(sum) = has(to).checked_add(amount) else {
//!             return self.refusal("too much in the account");
//!         };
//!         data.put(&from.to_be_bytes(), rest.to_le_bytes().to_vec());
//!         data.put(&to.to_be_bytes(), sum.to_le_bytes().to_vec());
//!         b"transferred".to_vec()
//!     }
//!
//!     /// A question: the balance of an account.
//!     fn query(&self, _client: ClientId, operation: &[u8], data: &View<'_>) -> Vec<u8> {
//!         let Ok(account) = wire::decode::<u32>(operation, 4) else {
//!             return self.refusal("not an account");
//!         };
//!         let stored = data.get(&account.to_be_bytes());
//!         balance(account, stored.map(|entry| &*entry.value)).to_le_bytes().to_vec()
//!     }
//!
//!     fn proof_range(&self, operation: &[u8]) -> Option<KeyRange> {
//!         let account = wire::decode::<u32>(operation, 4).ok()?;
//!         Some(KeyRange::single(&account.to_be_bytes()))
//!     }
//! }
//!
//! let (anna, bert) = (ClientId(1), ClientId(2));
//! let mut state = State::genesis(Arc::new(Ledger), Limits::default(), [anna, bert]);
//! let executed = state.execute(
//!     &Moment { seq: Seq(1), time: Timestamp(1_000) },
//!     RequestRef {
//!         client: anna,
//!         first: RequestNumber(1),
//!         acknowledged: RequestNumber(0),
//!         operations: &[wire::encode(&(bert.0, 30u64)).into()],
//!     },
//! );
//! let Outcome::Executed(kept) = &executed[0].outcome else { panic!("it was not executed") };
//! assert_eq!(kept.result, Blob::from("transferred"));
//!
//! let answer = state.query(anna, &wire::encode(&bert.0));
//! assert_eq!(answer.result, 130u64.to_le_bytes());
//! assert_eq!(answer.changed, Seq(1));
//! ```

pub mod data;
pub mod kv;
pub mod session;
pub mod state;
pub mod tree;

pub use data::{Data, View};
pub use session::Kept;
pub use state::{
    Executed, Limits, Moment, NotAState, NumberStatus, Outcome, Refusal, RequestRef, State,
};
pub use tree::{Entry, KeyRange, Tree};

use crate::types::{ClientId, Seq, Timestamp};
use crate::wire::Blob;

/// What a service is told about the operation that it applies, beside its bytes. All of
/// it is agreed on: alike on every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Whose operation it is. That the client is listed and signed it is settled; what
    /// the client may do is for the service to judge.
    pub client: ClientId,
    /// The agreed time, which never goes back.
    pub time: Timestamp,
    /// The place in the total order. Operations of one batch share it.
    pub seq: Seq,
}

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The result, in the service's own encoding.
    pub result: Vec<u8>,
    /// The number at which what was read last changed. Answers of two replicas are alike
    /// only if this is (§ Reads).
    pub changed: Seq,
}

/// What a cluster replicates: a deterministic state machine over its own keys.
///
/// - The same operations on the same data give the same results and the same data, on
///   every replica, machine and version in use: no clock, no randomness, no iteration in
///   an order that is not the keys', nothing remembered outside the data.
/// - It never panics, whatever the bytes: they come from clients, who may send anything.
/// - What it cannot do it refuses by a result that says why, and then changes nothing.
/// - Its keys have at most [`data::MOST_KEY_BYTES`].
/// - A result has at most [`Limits::result_bytes`]. Of a longer one the client gets only
///   a refusal in its place, while its effect stands.
pub trait Service: Send + Sync {
    /// Applies one operation and gives its result. Operations that only read come here
    /// too, as ordered reads; [`Data::view`] lets the code of a query answer them.
    fn apply(&self, context: &Context, operation: &[u8], data: &mut Data<'_>) -> Vec<u8>;

    /// Answers an operation that only reads, on committed state. One that would write is
    /// refused. The view keeps account of what was read.
    fn query(&self, client: ClientId, operation: &[u8], data: &View<'_>) -> Vec<u8>;

    /// The keys that prove the answer to this operation, if it can be proved: `query`
    /// reads none but these. None for what writes and for what is malformed.
    fn proof_range(&self, operation: &[u8]) -> Option<KeyRange>;

    /// A result that says that something was refused, and why. Used for refusals that
    /// are not the service's own but belong where its results are expected.
    fn refusal(&self, reason: &str) -> Vec<u8> {
        reason.as_bytes().to_vec()
    }
}

/// The answer that entries give which a proof has shown to be all there are in the
/// operation's [`Service::proof_range`]: what the client computes for itself, instead
/// of believing a replica (§ Reads, proved).
///
/// The keys are the tree's, as the proof has them ([`data::data_key`]), each with its
/// value and the number at which it was written.
pub fn answer_from_proof<K: AsRef<[u8]>>(
    service: &dyn Service,
    client: ClientId,
    operation: &[u8],
    entries: impl IntoIterator<Item = (K, Blob, Seq)>,
) -> Vec<u8> {
    let mut tree = Tree::new();
    for (key, value, changed) in entries {
        tree.put(key.as_ref(), value, changed);
    }
    service.query(client, operation, &View::new(&tree))
}
