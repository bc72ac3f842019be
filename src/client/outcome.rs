//! What a session tells its caller.

use super::proved::Proved;
use super::receipt::Receipt;
use crate::service::Refusal;
use crate::types::{Digest, ReplicaId, RequestNumber, Seq, Timestamp};
use crate::wire::Blob;

/// Names something that the caller asked for. Its outcomes come under it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ticket {
    /// A bundle of operations, with the first and the last number that they were given.
    Submitted(RequestNumber, RequestNumber),
    /// A read, numbered by itself.
    Read(RequestNumber),
    /// A read with proof, numbered with the other reads.
    Proof(RequestNumber),
}

/// Whom a message goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ToReplica {
    /// This one.
    One(ReplicaId),
    /// Every one.
    All,
}

/// What came of a ticket.
///
/// Each ticket gets one outcome, and [`Outcome::Unknown`] may be followed by another, if
/// the answers come after all.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// Every operation was executed, in order.
    Done(Vec<Done>),
    /// Every operation was executed, in order, and receipts for them were asked for.
    Receipted {
        /// What came of each.
        done: Vec<Done>,
        /// A receipt for each, or why there are none. That changes nothing of what was
        /// done.
        receipts: Result<Vec<Receipt>, NoReceipts>,
    },
    /// At least one operation was refused where it was ordered: a limit is not what the
    /// genesis says, or the session counts wrongly. It had no effect, and its number is
    /// given up: once the next request is executed, it never will have one, even should
    /// the limits change.
    Refused {
        /// Why the first of them was.
        reason: Refusal,
        /// What became of each operation, in order.
        fates: Vec<Fate>,
    },
    /// Under at least one of the numbers, another operation was executed than the one
    /// asked for, which never will be: somebody else uses this client's key, or a
    /// session that lost its numbers did not ask for them.
    Superseded {
        /// The first such number.
        number: RequestNumber,
        /// What became of each operation, in order.
        fates: Vec<Fate>,
    },
    /// The operations may have been executed, or may still be. Never to be taken for a
    /// failure.
    Unknown {
        /// Why it was last refused, by more than can lie, if it was; none if time ran
        /// out.
        declined: Option<Refusal>,
    },
    /// Nothing was ever signed: the window was full until time ran out. There was no
    /// effect, and never will be one.
    NotSent,
    /// What was read.
    Read(Answer),
    /// Nothing was read.
    Unread(Unread),
}

/// An operation that was executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// The entry of the agreed order that executed it.
    pub seq: Seq,
    /// Its result, in the service's own encoding.
    pub result: Blob,
}

/// Why there are no receipts for what was executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoReceipts {
    /// Too few signed in time.
    #[error(
        "executed, but only {signed} of {needed} replicas signed receipts in time: \
         are the others up, and can they be reached?"
    )]
    TimedOut {
        /// How many had signed for every operation.
        signed: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The outcome itself was known only when the caller's time was over.
    #[error("executed, but that was known only after the caller's time was over: allow more")]
    TooLate,
    /// The replicas would have kept more results than the client may have kept.
    #[error("executed, but its results had to be let go to make room: submit less at a time")]
    NoRoom,
}

/// What became of one operation of a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It was executed.
    Done(Done),
    /// It was ordered and refused.
    Refused(Refusal),
    /// Another operation was executed under its number.
    Superseded {
        /// The digest of that operation.
        executed: Digest,
        /// What came of it.
        done: Done,
    },
}

/// What was read, and how.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The result, in the service's own encoding.
    pub result: Blob,
    /// How it was read.
    pub how: HowRead,
}

/// How something was read, and what is known of its age.
#[derive(Clone, PartialEq, Debug)]
pub enum HowRead {
    /// A quorum told it alike: linearizable.
    Quorum {
        /// When it last changed.
        changed: Seq,
    },
    /// It was ordered like a write: linearizable.
    Ordered {
        /// The entry that read it.
        seq: Seq,
    },
    /// One replica proved it: as old as the proof says.
    Proved(Box<Proved>),
}

/// Why nothing was read. It is never for lack of agreement: what differs is ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unread {
    /// Too few answered in time.
    #[error("too few replicas answered in time: are they up, and can they be reached?")]
    TimedOut,
    /// The ordered read was refused.
    #[error("the read was ordered and refused: {0}")]
    Refused(Refusal),
    /// The replicas don't take requests of this client.
    #[error("the replicas do not take requests of this client: {0}")]
    Declined(Refusal),
    /// Another operation was executed under the number of the ordered read.
    #[error(
        "another operation was executed under the read's number: \
         does somebody else use this client's key?"
    )]
    Superseded,
    /// There is no number left to order the read with.
    #[error("request numbers end here: the client needs a new identity")]
    NumbersEnd,
    /// Every replica was asked, and none had a proof.
    #[error(
        "no replica had a proof: there is none before the first checkpoint is stable, some hundred \
         requests after the cluster began; read by quorum until then"
    )]
    NoProof,
    /// Every replica was asked, and the best proof was too old.
    #[error(
        "the newest proof is of checkpoint {seq}, and that is older than wanted: \
         ask again after the next checkpoint, or read by quorum"
    )]
    TooOld {
        /// The number of the newest checkpoint that was proved.
        seq: Seq,
        /// The agreed time of it.
        time: Timestamp,
    },
}

/// The greatest age that a caller takes of a proved read: nothing older than both of
/// these.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Freshness {
    /// The least number of the checkpoint.
    pub seq: Seq,
    /// The least agreed time of it.
    pub time: Timestamp,
}

/// Why something can't be asked for now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SubmitError {
    /// A bundle of nothing.
    #[error("a bundle without operations: nothing would be done")]
    Empty,
    /// More operations than a bundle may hold.
    #[error("a bundle of {operations} operations, and the limit is {limit}: submit several")]
    TooManyOperations {
        /// The operations given.
        operations: u64,
        /// The operations allowed.
        limit: u64,
    },
    /// More bytes than a bundle may hold.
    #[error("a bundle of {bytes} bytes, and the limit is {limit}: submit several, or less")]
    TooManyBytes {
        /// The bytes given.
        bytes: u64,
        /// The bytes allowed.
        limit: u64,
    },
    /// The window is full, and what waits behind it too.
    #[error(
        "{waiting} operations wait for the window, and the limit is {limit}: \
         number {oldest} is open; wait for its outcome, or abandon it"
    )]
    QueueFull {
        /// The operations that wait.
        waiting: u64,
        /// The operations that may wait.
        limit: u64,
        /// The lowest number whose outcome is open.
        oldest: RequestNumber,
    },
    /// More bytes wait than may.
    #[error("{bytes} bytes of operations would wait, and the limit is {limit}: wait for outcomes")]
    QueueTooLarge {
        /// The bytes that would wait.
        bytes: u64,
        /// The bytes allowed.
        limit: u64,
    },
    /// Too many reads are under way.
    #[error("{0} reads are under way, as many as may be: wait for their outcomes")]
    TooManyReads(usize),
    /// The caller leaves outcomes lying.
    #[error("{0} outcomes have not been taken: take them before asking for more")]
    OutcomesNotTaken(usize),
    /// The service can't prove an answer to this operation.
    #[error("the service has no proof for this operation: read it by quorum")]
    NoSuchProof,
    /// The session is still asking for its numbers.
    #[error("the session has not learned its numbers yet: are a quorum of replicas up?")]
    Resuming,
    /// There are no numbers left.
    #[error("request numbers end here: the client needs a new identity")]
    NumbersEnd,
}
