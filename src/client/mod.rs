//! The client's side of the protocol: who answered what, what is believed, and when to
//! ask again.
//!
//! [`Session`] is pure, as the replica is: time is handed in, and what is to be sent is
//! taken out. It knows no socket, clock, thread or randomness. [`Client`] is what programs
//! use: connections to all replicas, and a task that owns a session (see [`driver`]).
//!
//! # What is believed (§ Normal case, 6)
//!
//! - The outcome of an operation is believed once `W` distinct replicas report the same
//!   of it, since one of them is honest: the digest of what was executed under the
//!   number, what came of it, and where in the order. The view is a hint, and never
//!   compared.
//! - A quorum read is believed once `Q` report the same result *and* the same number at
//!   which it last changed (§ Reads).
//! - A proved read is believed on its own evidence, see [`proved`].
//! - Each replica has one voice in each matter, however often it speaks. On an operation
//!   its *last* word counts, by the order that it speaks of: an honest replica may have
//!   seen an operation refused for lack of room, and see it executed later. On a quorum
//!   read its *first* word counts: it was asked once.
//!
//! # What becomes of an operation
//!
//! It goes to the replica believed to be primary, then to all, again and again at
//! growing intervals. When the caller's time has run out, its outcome is
//! [`Outcome::Unknown`]: nobody can say that it failed, since it may be on its way
//! still. The session goes on asking at its slowest pace, and gives the true outcome
//! under the same ticket if it comes, until the caller [abandons](Session::abandon) it.
//!
//! A number whose outcome is open keeps the session from acknowledging it and all above,
//! so the window fills in the end. To abandon it is to acknowledge past it: with the
//! next request that is executed it becomes certain that it was executed *before* that,
//! or never will be; which of the two, nobody will tell any more. So whoever must not
//! do a thing twice abandons it, submits something that reads, and looks.
//!
//! An operation that was refused for lack of room (its window, or the bytes of results
//! kept) had no effect, but its number is open: the signed request exists, and whoever
//! has it can have it ordered again later. So the session never takes a new number for
//! it, which could execute it twice. It signs it again *under the same number*, with
//! what it has acknowledged since. A bundle that is refused in the middle is thereby
//! executed in more than one piece: in order, but perhaps with others in between.
//!
//! That a client is not listed is no outcome: the operation may have been executed
//! before the client was taken off the list. It ends the wait at once, with the reason,
//! and the outcome is unknown. So does a [hint](crate::message::ToClient::Refused) that
//! `Q` replicas give alike, since the others are too few to accept anything; fewer may
//! be behind, or lying, and end nothing.
//!
//! # Receipts
//!
//! What a session believes, it believes for its caller alone. Who must show to others
//! that an operation was executed submits it [with
//! receipts](Session::submit_with_receipts): once the outcome is known, the session asks
//! all replicas to sign it, and makes a [`Receipt`] of `Q` signatures for each
//! operation, which anybody checks who has the genesis (see [`receipt`]). Replicas can
//! sign only what they keep, so the session acknowledges nothing of such a bundle before
//! it has the receipts, or they have been given up: by the caller, who abandons the
//! bundle; because the caller's time is over; or because the results that the replicas
//! keep of the bundle itself leave no room for the rest of it. None of these undoes what
//! was done.
//!
//! # Numbers
//!
//! Numbers are used one after the other, up to `window` above what is acknowledged.
//! Acknowledged is what lies below the lowest open number, but never more than `window`
//! above the highest number known to be executed: the state refuses more, so that a
//! session whose client abandons everything still is understood. A session that lost
//! its numbers asks for them, see [`resume`].

mod alike;
pub mod driver;
pub mod outcome;
mod patience;
pub mod proved;
mod reads;
pub mod receipt;
mod receipts;
mod requests;
pub mod resume;
mod session;
mod views;

#[cfg(test)]
mod tests;

pub use driver::{
    Access, Client, ConnectError, Error, Got, KeyValueClient, List, Missing, Onlooker, Read,
    ReadHow, Silence, Survey, Swapped, Told, Written, is_refused,
};
pub use outcome::{
    Answer, Done, Fate, Freshness, HowRead, NoReceipts, Outcome, SubmitError, Ticket, ToReplica,
    Unread,
};
pub use proved::{NotProved, Proved, Shown, prove};
pub use reads::MOST_READS;
pub use receipt::Receipt;
pub use requests::{MOST_WAITING_BYTES, MOST_WAITING_OPERATIONS};
pub use session::{MOST_OUTCOMES, MOST_OUTGOING, Session, Settings, Setup, Start};
