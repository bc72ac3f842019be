//! The protocol's messages as plain data, and every rule about them that needs no
//! state: who may have signed what, what a certificate consists of, what a new view
//! must contain.
//!
//! What comes from outside is a [`PeerMessage`] or [`ClientMessage`]; the [`Verifier`]
//! alone turns one into something that holds [`Verified`] parts, and the replica takes
//! nothing else.

pub mod batch;
pub mod bodies;
pub mod certificate;
pub mod evidence;
pub mod genesis;
pub mod genuine;
pub mod new_view;
pub mod reject;
pub mod travel;
pub mod unjudged;
pub mod verified;
pub mod verify;

pub use batch::{Batch, Item};
pub use bodies::{
    Author, Body, Checkpoint, Commit, NewView, PrePrepare, Prepare, Receipt, RecoveryRequest,
    Request, Signed, ViewChange, Voter,
};
pub use certificate::{
    CheckpointCertificate, CommitCertificate, Endorsement, PreparedCertificate, ReceiptCertificate,
};
pub use evidence::Evidence;
pub use genesis::{CheckedGenesis, Genesis, Parameters};
pub use genuine::{Checked, Genuine, Proposed, Unchecked};
pub use reject::Reject;
pub use travel::{
    CheckedClient, CheckedPeer, CheckedStart, ClientMessage, Fetch, Held, PeerMessage, Reply,
    ReplyOutcome, SlotStatus, StartAnswer, Status, ToClient,
};
pub use unjudged::{Received, Unjudged};
pub use verified::Verified;
pub use verify::Verifier;
