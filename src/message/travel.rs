//! What travels between replicas, and between replicas and clients: the messages as
//! they are decoded, and beside each its checked form.

use super::batch::Batch;
use super::bodies::{
    Checkpoint, Commit, NewView, PrePrepare, Prepare, Receipt, RecoveryRequest, Request, Signed,
    ViewChange,
};
use super::certificate::{CheckpointCertificate, CommitCertificate, PreparedCertificate};
use super::evidence::Evidence;
use super::genuine::Proposed;
use super::verified::Verified;
use crate::service::Refusal;
use crate::service::tree::{Part, Path, Proof};
use crate::types::{ClientId, Digest, Nonce, ReplicaId, RequestNumber, Seq, View};
use crate::wire::{self, Blob, List};
use bincode::{Decode, Encode};

/// From replica to replica. Nothing in it is known to be true.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum PeerMessage {
    /// A client's request, passed on to the primary.
    Relay(Signed<Request>),
    /// A replica asks for its next incarnation.
    Recovery(Signed<RecoveryRequest>),
    /// The primary's proposal, with the batch beside it. A null batch has none.
    Propose(Signed<PrePrepare>, Option<Batch>),
    /// A backup's agreement.
    Prepare(Signed<Prepare>),
    /// A replica's commit.
    Commit(Signed<Commit>),
    /// A replica's checkpoint.
    Checkpoint(Signed<Checkpoint>),
    /// A wish for another view.
    ViewChange(Signed<ViewChange>),
    /// The opening of a view. Where one of its view-changes has become void since, a
    /// commit certificate of that view shows that the view was opened in time.
    NewView(Signed<NewView>, Option<CommitCertificate>),
    /// A certificate of a stable checkpoint.
    Stable(CheckpointCertificate),
    /// What the sender has and lacks.
    Status(Status),
    /// The sender asks for something.
    Fetch(Fetch),
    /// A batch that was asked for by its digest.
    Batch(Batch),
    /// A decided entry, with the batch unless it is null.
    Decided(CommitCertificate, Option<Batch>),
    /// A part of the state at a stable checkpoint.
    Part(Seq, Path, Part),
    /// The sender holds no state of that checkpoint (any more).
    NoState(Seq),
    /// A starting replica asks what is known of it.
    StartQuery(Nonce),
    /// The answer to that.
    StartAnswer(Box<StartAnswer>),
    /// Proof that somebody lied.
    Evidence(Evidence),
}

/// The same, with everything checked that needs no state.
#[derive(Clone, Debug)]
pub enum CheckedPeer {
    /// See [`PeerMessage::Relay`].
    Relay(Verified<Signed<Request>>),
    /// See [`PeerMessage::Recovery`].
    Recovery(Verified<Signed<RecoveryRequest>>),
    /// See [`PeerMessage::Propose`]. Whether every request in the batch is signed by its
    /// client is not known yet.
    Propose(Verified<Signed<PrePrepare>>, Proposed),
    /// See [`PeerMessage::Prepare`].
    Prepare(Verified<Signed<Prepare>>),
    /// See [`PeerMessage::Commit`].
    Commit(Verified<Signed<Commit>>),
    /// See [`PeerMessage::Checkpoint`].
    Checkpoint(Verified<Signed<Checkpoint>>),
    /// See [`PeerMessage::ViewChange`].
    ViewChange(Verified<Signed<ViewChange>>),
    /// See [`PeerMessage::NewView`].
    NewView(Verified<Signed<NewView>>, Option<Verified<CommitCertificate>>),
    /// See [`PeerMessage::Stable`].
    Stable(Verified<CheckpointCertificate>),
    /// See [`PeerMessage::Status`].
    Status(Status),
    /// See [`PeerMessage::Fetch`].
    Fetch(Fetch),
    /// See [`PeerMessage::Batch`].
    Batch(Batch),
    /// See [`PeerMessage::Decided`].
    Decided(Verified<CommitCertificate>, Option<Batch>),
    /// See [`PeerMessage::Part`].
    Part(Seq, Path, Part),
    /// See [`PeerMessage::NoState`].
    NoState(Seq),
    /// See [`PeerMessage::StartQuery`].
    StartQuery(Nonce),
    /// See [`PeerMessage::StartAnswer`].
    StartAnswer(Box<CheckedStart>),
    /// See [`PeerMessage::Evidence`].
    Evidence(Verified<Evidence>),
}

/// How far the sender is with one undecided number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum SlotStatus {
    /// It has no proposal, or not its batch.
    Empty,
    /// It has the proposal, and not enough prepares.
    Proposed,
    /// It is prepared, and lacks commits.
    Prepared,
    /// It is decided, and waits for lower numbers.
    Decided,
}

/// What the sender has and lacks. Sent from time to time; whoever has what the sender
/// lacks sends it again.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Status {
    /// The view that the sender is in, or has asked for.
    pub view: View,
    /// Whether it is in that view, or waiting for its opening.
    pub active: bool,
    /// Its stable checkpoint.
    pub stable: Seq,
    /// The last number that it executed and can show to be decided.
    pub executed: Seq,
    /// The numbers after that, as far as it knows of any.
    pub slots: List<SlotStatus>,
    /// Whose view-changes for this view it holds.
    pub view_changes: List<ReplicaId>,
}

/// Something asked for.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Fetch {
    /// The batch with this digest.
    Batch(Digest),
    /// The decided entries from this number on.
    Decided(Seq),
    /// The opening of this view, or a later one.
    NewView(View),
    /// A part of the state at this checkpoint, of about so many bytes: all of it, or what has
    /// changed since a number.
    Part(Seq, Path, Option<Seq>, u32),
    /// A checkpoint certificate above this number.
    Stable(Seq),
    /// What the primary of this view proposed for a number.
    Proposal(View, Seq),
}

/// A signed message of the asker that somebody else still holds.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum Held {
    /// A proposal.
    PrePrepare(Signed<PrePrepare>),
    /// A prepare.
    Prepare(Signed<Prepare>),
    /// A commit.
    Commit(Signed<Commit>),
    /// A checkpoint.
    Checkpoint(Signed<Checkpoint>),
    /// A view-change.
    ViewChange(Signed<ViewChange>),
    /// A new view.
    NewView(Signed<NewView>),
}

/// What is known of a starting replica, and where the others are.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct StartAnswer {
    /// The asker's.
    pub nonce: Nonce,
    /// The view that the answerer entered last.
    pub view: View,
    /// The prepared certificate of the highest number that it has one for, of those that the
    /// opening of that view did not leave out.
    pub highest: Option<PreparedCertificate>,
    /// Its stable checkpoint, unless that is the genesis.
    pub stable: Option<CheckpointCertificate>,
    /// The latest of each kind that it holds of the asker's signatures.
    pub held: List<Held>,
}

/// The same, with everything checked that needs no state.
#[derive(Clone, Debug)]
pub struct CheckedStart {
    /// See [`StartAnswer::nonce`].
    pub nonce: Nonce,
    /// See [`StartAnswer::view`].
    pub view: View,
    /// See [`StartAnswer::highest`].
    pub highest: Option<Verified<PreparedCertificate>>,
    /// See [`StartAnswer::stable`].
    pub stable: Option<Verified<CheckpointCertificate>>,
    /// See [`StartAnswer::held`].
    pub held: Vec<Verified<Held>>,
}

/// From client to replica. The channel says which client it is.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum ClientMessage {
    /// Operations to be ordered.
    Request(Signed<Request>),
    /// A read on committed state, under a number of the client's choice.
    Read(RequestNumber, Blob),
    /// A read to be answered with a proof against a certified checkpoint.
    Prove(RequestNumber, Blob),
    /// Which numbers has this client used?
    Session(Nonce),
    /// A signed receipt for the operation that was executed under this number.
    Receipt(RequestNumber),
}

/// The same, with everything checked that needs no state.
#[derive(Clone, Debug)]
pub enum CheckedClient {
    /// See [`ClientMessage::Request`].
    Request(Verified<Signed<Request>>),
    /// See [`ClientMessage::Read`].
    Read(RequestNumber, Blob),
    /// See [`ClientMessage::Prove`].
    Prove(RequestNumber, Blob),
    /// See [`ClientMessage::Session`].
    Session(Nonce),
    /// See [`ClientMessage::Receipt`].
    Receipt(RequestNumber),
}

/// From replica to client.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub enum ToClient {
    /// The outcome of an operation.
    Reply(Reply),
    /// The answer to a read on committed state, and the number at which what was read
    /// last changed.
    ReadAnswer {
        /// The read's number.
        number: RequestNumber,
        /// The digest of the operation answered.
        operation: Digest,
        /// What was read.
        result: Blob,
        /// When it last changed.
        changed: Seq,
    },
    /// The answer to a read that carries its proof.
    Proved {
        /// The read's number.
        number: RequestNumber,
        /// The checkpoint's certificate.
        certificate: CheckpointCertificate,
        /// The content of the keys asked for.
        proof: Proof,
        /// The agreed time at that checkpoint, itself proved.
        time: Proof,
    },
    /// This replica can't answer a read, or sign a receipt, now.
    NotReady(RequestNumber),
    /// This replica doesn't take the request into its queue.
    Refused(RequestNumber, Refusal),
    /// The client's session as this replica has it.
    Session {
        /// The asker's.
        nonce: Nonce,
        /// Everything up to this number is acknowledged.
        acknowledged: RequestNumber,
        /// The highest number executed.
        highest: RequestNumber,
        /// The replica's view, to guess the primary by.
        view: View,
    },
    /// A receipt that was asked for.
    Receipt(Signed<Receipt>),
}

impl ToClient {
    /// The bytes of the result that it carries, which may be many.
    pub fn result_bytes(&self) -> usize {
        match self {
            ToClient::Reply(reply) => match &reply.outcome {
                ReplyOutcome::Executed(result) => result.len(),
                ReplyOutcome::Refused(_) => 0,
            },
            ToClient::ReadAnswer { result, .. } => result.len(),
            ToClient::Proved { proof, .. } => wire::size(proof),
            ToClient::NotReady(_)
            | ToClient::Refused(..)
            | ToClient::Session { .. }
            | ToClient::Receipt(_) => 0,
        }
    }
}

/// The outcome of one operation, as one replica tells it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Reply {
    /// Whose operation.
    pub client: ClientId,
    /// Its number.
    pub number: RequestNumber,
    /// The replica's view; a hint at the primary, no part of what must be alike.
    pub view: View,
    /// The entry that executed it.
    pub seq: Seq,
    /// The digest of the operation that was executed under this number.
    pub operation: Digest,
    /// What came of it.
    pub outcome: ReplyOutcome,
}

/// What came of an operation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum ReplyOutcome {
    /// It was executed, with this result.
    Executed(Blob),
    /// It was ordered and, by the agreed rules, not executed.
    Refused(Refusal),
}
