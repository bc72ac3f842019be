//! The replicated state: one tree, and the rules by which a request is executed once.
//!
//! # The tree
//!
//! | first byte of the key | whose |
//! | --- | --- |
//! | `00` | the system's: what the protocol keeps in the state under a name, and, under names that begin with `service/`, the limits and the list of clients |
//! | `01` | the clients' sessions ([`super::session`]) |
//! | `02` | the service's data ([`super::data`]) |
//!
//! All that later behaviour depends on is in the tree once the state is sealed, and so in its
//! digest. What is kept beside it are copies, since a request asks for them several times and
//! the tree is deep, and what became of the sessions since the state was sealed last. A state is
//! sealed at each checkpoint, alike on every replica: what one writes then is what all write.
//!
//! # What a request does (§ Clients)
//!
//! 1. A request that breaks the rules as a whole has no effect at all: every operation of
//!    it is refused for the same reason. That is one of an unlisted client, one that is
//!    empty or over a limit, one whose numbers go beyond the last there is, and one that
//!    acknowledges its own first number or more than a window above the highest number
//!    executed for the client (nobody has more under way than that).
//! 2. The acknowledged numbers are raised to the request's, never lowered, even if all
//!    operations were executed before. The replies at or below are dropped.
//! 3. The operations go in order, each by its own number. At or below what is
//!    acknowledged, nothing happens. If a reply is kept, that is the answer, whatever the
//!    operation was: the first that was ordered under a number is the one that counts.
//!    Above the window, or where the largest result would no longer fit beside those that
//!    are kept, the operation is refused. Refusals leave no trace, and once one
//!    operation of a bundle is refused, no later one is executed.

#[cfg(test)]
mod tests;

use super::data::{Data, SYSTEM, View, data_range, key_in};
use super::session::{Kept, Session};
use super::tree::{KeyRange, Tree};
use super::{Answer, Context, Service};
use crate::types::{ClientId, Digest, RequestNumber, Seq, Timestamp};
use crate::wire::{self, Blob, MOST_BYTES};
use bincode::{Decode, Encode};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Begins the names of the system's entries that belong to this module.
const OWN_NAMES: &[u8] = b"service/";

const LIMITS: &[u8] = b"service/limits";

const CLIENTS: &[u8] = b"service/client/";

/// What a client may ask of the state. Agreed on, and part of the state: a change of any
/// of these changes what later requests do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Limits {
    /// How many numbers above the acknowledged ones a client may use, in numbers.
    pub window: u64,
    /// The most results kept for one client, in bytes of results.
    pub kept_bytes: u64,
    /// The largest result of one operation, in bytes. One more is executed for a client
    /// only while a result of this size still fits.
    pub result_bytes: u64,
    /// The largest operation, in bytes.
    pub operation_bytes: u64,
    /// The most operations in one bundle, in operations.
    pub bundle_operations: u64,
    /// The largest bundle, in bytes of its operations together.
    pub bundle_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            window: 512,
            kept_bytes: 4 << 20,
            result_bytes: (1 << 20) + (64 << 10),
            operation_bytes: (2 << 20) + (64 << 10),
            bundle_operations: 256,
            bundle_bytes: (2 << 20) + (64 << 10),
        }
    }
}

impl Limits {
    /// Whether these limits fit together; the reason if not.
    pub fn check(&self) -> Result<(), &'static str> {
        let rules = [
            (self.operation_bytes > 0, "the largest operation has no bytes"),
            (self.bundle_operations > 0, "the largest bundle has no operations"),
            (self.bundle_operations <= self.window, "the window is smaller than a bundle"),
            (self.operation_bytes <= self.bundle_bytes, "a bundle is smaller than an operation"),
            (self.result_bytes <= self.kept_bytes, "no result could ever be kept"),
            (self.bundle_bytes <= LARGEST_BYTES, "the largest bundle is too large to travel"),
            (self.result_bytes <= LARGEST_BYTES, "the largest result is too large to travel"),
        ];
        rules.iter().try_for_each(|(holds, reason)| if *holds { Ok(()) } else { Err(*reason) })
    }
}

/// What an encoded message has room for beside a few headers.
const LARGEST_BYTES: u64 = MOST_BYTES as u64 / 2;

/// Where in the agreed order something is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The place in the order.
    pub seq: Seq,
    /// The agreed time of that place.
    pub time: Timestamp,
}

/// What executing a request needs of it.
#[derive(Clone, Copy, Debug)]
pub struct RequestRef<'a> {
    /// Whose request it is.
    pub client: ClientId,
    /// The number of the first operation; the others are numbered on from it.
    pub first: RequestNumber,
    /// The client has all answers up to this number.
    pub acknowledged: RequestNumber,
    /// The operations, in order.
    pub operations: &'a [Blob],
}

/// What became of one operation of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The operation's number. Every wait for it ends, whatever became of it.
    pub number: RequestNumber,
    /// The operation that the outcome speaks of: the one that was executed under the
    /// number, now or earlier; where there is none, the one that was asked for.
    pub operation: Digest,
    /// What became of it.
    pub outcome: Outcome,
}

/// The kinds of what may become of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was executed now.
    Executed(Kept),
    /// An operation was executed under this number before; this is its reply.
    Repeated(Kept),
    /// The client has acknowledged the number: there is nothing left to answer.
    Acknowledged,
    /// It was not executed, and had no effect.
    Refused(Refusal),
}

/// Why an operation was not executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum Refusal {
    /// The client is not listed, or no longer.
    Unlisted,
    /// The request holds more operations than a bundle may.
    BundleTooLong {
        /// The operations that came.
        operations: u64,
        /// The operations allowed.
        limit: u64,
    },
    /// The request's operations have more bytes than a bundle may.
    BundleTooLarge {
        /// The bytes that came.
        bytes: u64,
        /// The bytes allowed.
        limit: u64,
    },
    /// One of the request's operations has more bytes than it may.
    OperationTooLarge {
        /// The bytes that came.
        bytes: u64,
        /// The bytes allowed.
        limit: u64,
    },
    /// The request's operations would need numbers above the last there is.
    NumbersEnd,
    /// The request acknowledges numbers that it uses itself.
    AcknowledgesItself,
    /// The request acknowledges numbers that nobody can have used.
    AcknowledgesTooFar {
        /// The highest number that could be acknowledged.
        limit: RequestNumber,
    },
    /// The number is above the client's window.
    BeyondWindow {
        /// The last number of the window.
        last: RequestNumber,
    },
    /// Too many bytes of results are kept for the client.
    TooMuchKept {
        /// The bytes kept.
        bytes: u64,
        /// The bytes allowed, the largest result included.
        limit: u64,
    },
    /// The number is acknowledged already. A client acknowledges what it needs no more: so
    /// another session with its key does, and whether this number was executed before then
    /// is not known any more.
    Acknowledged,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unlisted => {
                write!(out, "the client is not listed: ask the operator to add its key")
            }
            Refusal::BundleTooLong { operations, limit } => write!(
                out,
                "a bundle of {operations} operations, and the limit is {limit}: send several"
            ),
            Refusal::BundleTooLarge { bytes, limit } => {
                write!(out, "a bundle of {bytes} bytes, and the limit is {limit}: send several")
            }
            Refusal::OperationTooLarge { bytes, limit } => {
                write!(out, "an operation of {bytes} bytes, and the limit is {limit}")
            }
            Refusal::NumbersEnd => {
                write!(out, "request numbers end here: the client needs a new identity")
            }
            Refusal::AcknowledgesItself => {
                write!(out, "the request acknowledges its own numbers: the client has a bug")
            }
            Refusal::AcknowledgesTooFar { limit } => write!(
                out,
                "the request acknowledges numbers above {limit} that cannot have been used: \
                 the client has lost count, and can ask for its session"
            ),
            Refusal::BeyondWindow { last } => write!(
                out,
                "the window ends at number {last}: acknowledge answers before sending more"
            ),
            Refusal::TooMuchKept { bytes, limit } => write!(
                out,
                "{bytes} bytes of results are kept, and with one more they could exceed the \
                 limit of {limit}: acknowledge answers before sending more"
            ),
            Refusal::Acknowledged => write!(
                out,
                "another session with this client's key has gone past this number: does \
                 somebody else use the key, or are requests of an earlier session still under way?"
            ),
        }
    }
}

/// What the state knows of a client's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NumberStatus {
    /// The client has its answer, or has given up on it; it will never be executed now.
    Acknowledged,
    /// It was executed, and this is the reply.
    Executed(Kept),
    /// It may still be executed.
    Open,
    /// It is above the window, and would be refused.
    BeyondWindow,
}

/// A tree that is no state of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAState;

impl fmt::Display for NotAState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the tree holds no readable limits: it was written by another version, or is not \
             a replica's state"
        )
    }
}

impl std::error::Error for NotAState {}

/// The replicated state, and the service that works on it. A clone is a snapshot.
#[derive(Clone)]
pub struct State {
    service: Arc<dyn Service>,
    limits: Limits,
    tree: Tree,
    served: BTreeMap<ClientId, Served>,
}

/// A client that was served.
#[derive(Clone)]
struct Served {
    session: Session,
    is_listed: bool,
}

impl State {
    /// The state before anything was executed, with these clients listed.
    ///
    /// # Panics
    /// If the limits do not fit together: check them with [`Limits::check`] where the
    /// genesis is read.
    pub fn genesis(
        service: Arc<dyn Service>,
        limits: Limits,
        clients: impl IntoIterator<Item = ClientId>,
    ) -> State {
        let mut state = State::on(service, limits, Tree::new());
        state.set_limits(limits, Seq::GENESIS);
        for client in clients {
            state.list_client(client, Seq::GENESIS);
        }
        state
    }

    /// The state that a tree holds, read from disk or transferred. Behaves as the one
    /// that the tree was taken from.
    pub fn from_tree(service: Arc<dyn Service>, tree: Tree) -> Result<State, NotAState> {
        let stored = tree.get(&system_key(LIMITS)).ok_or(NotAState)?;
        let limits: Limits = wire::decode(&stored.value, MOST_BYTES).map_err(|_| NotAState)?;
        limits.check().map_err(|_| NotAState)?;
        Ok(State::on(service, limits, tree))
    }

    fn on(service: Arc<dyn Service>, limits: Limits, tree: Tree) -> State {
        State { service, limits, tree, served: BTreeMap::new() }
    }

    /// The tree: all of the service's data, and of the sessions what was written when the state
    /// was sealed last and is not acknowledged since.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Writes into the tree whatever it does not have yet, at this number. A clone of it is a
    /// snapshot of the state.
    pub fn seal(&mut self, seq: Seq) -> &Tree {
        for (client, served) in &mut self.served {
            served.session.seal(&mut self.tree, *client, seq);
        }
        &self.tree
    }

    /// The digest of all of it, to compare states at one number. Between two checkpoints it need
    /// not be one that a tree ever has.
    pub fn digest(&self) -> Digest {
        self.clone().seal(Seq(u64::MAX)).digest()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Puts other limits in force for all that is executed from now on. What is kept
    /// already stays, even if it is more than would be allowed now.
    ///
    /// # Panics
    /// If the limits do not fit together.
    pub fn set_limits(&mut self, limits: Limits, seq: Seq) {
        limits.check().expect("whoever sets limits checks them first");
        self.limits = limits;
        self.tree.put(&system_key(LIMITS), wire::encode(&limits).into(), seq);
    }

    /// Lists a client: from now on its requests are executed.
    pub fn list_client(&mut self, client: ClientId, seq: Seq) {
        self.tree.put(&client_key(client), Blob::default(), seq);
        self.note_listed(client, true);
    }

    /// Takes a client off the list. Its session stays, so that nothing of it is executed
    /// again should it be listed anew.
    pub fn unlist_client(&mut self, client: ClientId, seq: Seq) {
        self.tree.remove(&client_key(client), seq);
        self.note_listed(client, false);
    }

    fn note_listed(&mut self, client: ClientId, is_listed: bool) {
        if let Some(served) = self.served.get_mut(&client) {
            served.is_listed = is_listed;
        }
    }

    /// Whether the client's requests are executed.
    pub fn is_listed(&self, client: ClientId) -> bool {
        let listed = || self.tree.get(&client_key(client)).is_some();
        match self.served.get(&client) {
            Some(served) => {
                debug_assert_eq!(served.is_listed, listed());
                served.is_listed
            }
            None => listed(),
        }
    }

    /// A client's session, to be read.
    fn session(&self, client: ClientId) -> Cow<'_, Session> {
        match self.served.get(&client) {
            Some(served) => Cow::Borrowed(&served.session),
            None => Cow::Owned(Session::load(&self.tree, client)),
        }
    }

    /// What the protocol keeps under this name.
    pub fn system(&self, name: &[u8]) -> Option<&Blob> {
        self.tree.get(&system_key(name)).map(|entry| &entry.value)
    }

    /// Keeps something of the protocol's under this name.
    ///
    /// # Panics
    /// If the name begins with `service/`: those entries have methods of their own.
    pub fn set_system(&mut self, name: &[u8], value: Blob, seq: Seq) {
        assert!(!name.starts_with(OWN_NAMES), "a name of the state's own entries");
        self.tree.put(&system_key(name), value, seq);
    }

    /// Forgets what the protocol keeps under this name.
    ///
    /// # Panics
    /// If the name begins with `service/`.
    pub fn clear_system(&mut self, name: &[u8], seq: Seq) {
        assert!(!name.starts_with(OWN_NAMES), "a name of the state's own entries");
        self.tree.remove(&system_key(name), seq);
    }

    /// Executes a request, each operation at most once, and says what became of each, in
    /// order. Operations without a number, since numbers end, are left out.
    pub fn execute(&mut self, at: &Moment, request: RequestRef<'_>) -> Vec<Executed> {
        if request.operations.is_empty() {
            return Vec::new();
        }
        let session = self.session(request.client);
        if let Err(refusal) = self.require_well_formed(&session, &request) {
            return refuse_all(&request, refusal);
        }
        let mut session = match self.served.get_mut(&request.client) {
            Some(served) => std::mem::take(&mut served.session),
            None => Session::load(&self.tree, request.client),
        };
        session.acknowledge(&mut self.tree, request.client, request.acknowledged, at.seq);
        let executed = numbered(&request)
            .map(|(number, operation)| {
                let context = Context { client: request.client, time: at.time, seq: at.seq };
                self.execute_one(&context, &mut session, number, operation)
            })
            .collect();
        // It is listed, or the request would not have been well formed.
        self.served.insert(request.client, Served { session, is_listed: true });
        executed
    }

    /// All of this client's numbers at or below are acknowledged.
    pub fn floor(&self, client: ClientId) -> RequestNumber {
        self.session(client).standing().floor
    }

    /// The highest number ever executed for this client: one that lost its counter goes
    /// on above it (and above the floor).
    pub fn highest(&self, client: ClientId) -> RequestNumber {
        self.session(client).standing().highest
    }

    /// What is known of a client's number.
    pub fn status(&self, client: ClientId, number: RequestNumber) -> NumberStatus {
        let session = self.session(client);
        if number <= session.standing().floor {
            return NumberStatus::Acknowledged;
        }
        if let Some(kept) = session.kept(&self.tree, client, number) {
            return NumberStatus::Executed(kept);
        }
        if number > session.window_end(self.limits.window) {
            return NumberStatus::BeyondWindow;
        }
        NumberStatus::Open
    }

    /// The reply that is kept for a client's number.
    pub fn kept(&self, client: ClientId, number: RequestNumber) -> Option<Kept> {
        self.session(client).kept(&self.tree, client, number)
    }

    /// Answers an operation that only reads, on the state as it is (§ Reads).
    pub fn query(&self, client: ClientId, operation: &[u8]) -> Answer {
        let bytes = operation.len() as u64;
        let limit = self.limits.operation_bytes;
        if bytes > limit {
            let refusal = Refusal::OperationTooLarge { bytes, limit };
            let result = self.service.refusal(&refusal.to_string());
            return Answer { result, changed: Seq::GENESIS };
        }
        let view = View::new(&self.tree);
        let result = self.service.query(client, operation, &view);
        Answer { result: self.bounded(result), changed: view.changed() }
    }

    /// The keys of the tree that prove the answer to this operation, if it can be proved.
    pub fn proof_range(&self, operation: &[u8]) -> Option<KeyRange> {
        self.service.proof_range(operation).map(|range| data_range(&range))
    }

    /// What makes a request void as a whole.
    fn require_well_formed(
        &self,
        session: &Session,
        request: &RequestRef<'_>,
    ) -> Result<(), Refusal> {
        if !self.is_listed(request.client) {
            return Err(Refusal::Unlisted);
        }
        self.require_within_limits(request.operations)?;
        let count = request.operations.len() as u64;
        if request.first.checked_plus(count.saturating_sub(1)).is_none() {
            return Err(Refusal::NumbersEnd);
        }
        if request.acknowledged >= request.first {
            return Err(Refusal::AcknowledgesItself);
        }
        let limit = session.acknowledgeable(self.limits.window);
        if request.acknowledged > limit {
            return Err(Refusal::AcknowledgesTooFar { limit });
        }
        Ok(())
    }

    fn require_within_limits(&self, operations: &[Blob]) -> Result<(), Refusal> {
        let count = operations.len() as u64;
        let limit = self.limits.bundle_operations;
        if count > limit {
            return Err(Refusal::BundleTooLong { operations: count, limit });
        }
        let limit = self.limits.operation_bytes;
        let largest = operations.iter().map(|operation| operation.len() as u64).max();
        if let Some(bytes) = largest.filter(|bytes| *bytes > limit) {
            return Err(Refusal::OperationTooLarge { bytes, limit });
        }
        let limit = self.limits.bundle_bytes;
        let bytes = operations.iter().map(|operation| operation.len() as u64).sum();
        if bytes > limit {
            return Err(Refusal::BundleTooLarge { bytes, limit });
        }
        Ok(())
    }

    fn execute_one(
        &mut self,
        context: &Context,
        session: &mut Session,
        number: RequestNumber,
        operation: &Blob,
    ) -> Executed {
        let asked = || Digest::of(operation);
        if number <= session.standing().floor {
            return Executed { number, operation: asked(), outcome: Outcome::Acknowledged };
        }
        if let Some(kept) = session.kept(&self.tree, context.client, number) {
            return Executed {
                number,
                operation: kept.operation,
                outcome: Outcome::Repeated(kept),
            };
        }
        if let Err(refusal) = self.require_room(context.client, session, number) {
            return Executed { number, operation: asked(), outcome: Outcome::Refused(refusal) };
        }
        let result =
            self.service.apply(context, operation, &mut Data::new(&mut self.tree, context.seq));
        let result = self.bounded(result).into();
        let kept = Kept { operation: asked(), seq: context.seq, result };
        session.keep(number, kept.clone());
        Executed { number, operation: kept.operation, outcome: Outcome::Executed(kept) }
    }

    /// Whether one more reply may be kept. The last place is for the lowest number that is
    /// still open: a client acknowledges nothing above it, and if others took that place it
    /// would never be executed. All these rules, once broken, stay broken for the rest of a
    /// bundle: so its order is kept even where it is refused in part.
    fn require_room(
        &self,
        client: ClientId,
        session: &Session,
        number: RequestNumber,
    ) -> Result<(), Refusal> {
        let last = session.window_end(self.limits.window);
        if number > last {
            return Err(Refusal::BeyondWindow { last });
        }
        let (bytes, limit) = (session.standing().kept_bytes, self.limits.kept_bytes);
        let with_one = bytes.saturating_add(self.limits.result_bytes);
        let with_two = with_one.saturating_add(self.limits.result_bytes);
        let has_room = with_two <= limit
            || with_one <= limit && session.is_lowest_open(&self.tree, client, number);
        match has_room {
            true => Ok(()),
            false => Err(Refusal::TooMuchKept { bytes, limit }),
        }
    }

    /// The result, or a refusal in its place if it is larger than a result may be.
    fn bounded(&self, result: Vec<u8>) -> Vec<u8> {
        let (bytes, limit) = (result.len() as u64, self.limits.result_bytes);
        if bytes <= limit {
            return result;
        }
        let reason = format!("a result of {bytes} bytes, and the limit is {limit}");
        let mut refusal = self.service.refusal(&reason);
        refusal.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        refusal
    }
}

impl fmt::Debug for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("State")
            .field("entries", &self.tree.len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The request's operations with their numbers, as far as numbers go.
fn numbered<'a>(request: &RequestRef<'a>) -> impl Iterator<Item = (RequestNumber, &'a Blob)> {
    let first = request.first;
    let operations = request.operations.iter();
    (0..).zip(operations).map_while(move |(index, operation)| {
        first.checked_plus(index).map(|number| (number, operation))
    })
}

fn refuse_all(request: &RequestRef<'_>, refusal: Refusal) -> Vec<Executed> {
    numbered(request)
        .map(|(number, operation)| Executed {
            number,
            operation: Digest::of(operation),
            outcome: Outcome::Refused(refusal),
        })
        .collect()
}

/// The key of the tree under which one of the system's entries stands.
pub fn system_key(name: &[u8]) -> Vec<u8> {
    key_in(SYSTEM, &[name])
}

fn client_key(client: ClientId) -> Vec<u8> {
    key_in(SYSTEM, &[CLIENTS, &client.0.to_be_bytes()])
}
