//! Connections: mutual TLS among the listed, and whole frames over it.
//!
//! Whoever connects shows a key that the cluster's file lists, or is refused with a
//! reason that reaches the log, a counter and, where the other side can be told, the
//! other side. A [`Connection`] is handed out only after both sides have shown their
//! keys and found that they hold the same cluster's file.
//!
//! | file | its job |
//! | --- | --- |
//! | [`directory`] | who is listed |
//! | [`identity`] | our own key, and the certificates made of it |
//! | [`verifier`] | which certificate is taken |
//! | [`hello`] | what both sides say first |
//! | [`frame`] | frames out of a stream and into it |
//! | [`places`] | how many may connect, and how often |
//! | [`acceptor`], [`endpoint`] | the two ways to a connection |
//! | [`refusal`] | why there is none |
//! | [`link`] | the connection to one replica, dialed again and again |
//! | [`outbox`] | what waits to be sent over one |
//! | [`alarm`] | waiting for no longer than that |
//!
//! Nothing here knows what a frame means, and no file is read here.

pub mod acceptor;
pub mod alarm;
pub mod directory;
pub mod endpoint;
pub mod frame;
pub mod hello;
pub mod identity;
pub mod limits;
pub mod link;
pub mod outbox;
pub mod places;
pub mod refusal;
mod tls;
pub mod verifier;

#[cfg(test)]
mod tests;

pub use acceptor::Acceptor;
pub use alarm::Alarm;
pub use directory::{Directory, Listed, Party};
pub use endpoint::{Connection, DialError, Endpoint};
pub use frame::{FrameError, FrameReader, FrameWriter};
pub use identity::Identity;
pub use limits::Limits;
pub use link::{Link, Reach, Received};
pub use outbox::{Outbox, Room};
pub use refusal::Refusal;
