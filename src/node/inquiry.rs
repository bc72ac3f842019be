//! What a listed client may ask a node of itself, beside the protocol: how it is, and which
//! lies it has seen. The answers are one node's word; what in them is signed can be checked.
//!
//! A connection whose first frame is an inquiry carries nothing else, and takes no other
//! connection's place.

use super::Shared;
use super::status::Exhibit;
use bytes::Bytes;
use serde::Serialize;

/// What frames of inquiries and their answers begin with. No message of the protocol does:
/// there are not so many kinds.
const HEAD: &[u8; 16] = b"quorate inquiry1";

/// The most bytes of records that one answer has.
const MOST_RECORDS_BYTES: usize = 16 << 20;

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inquiry {
    /// Its [`Status`](super::Status).
    Status,
    /// The records of lies that it holds, as a list of [`Exhibit`].
    Evidence,
}

impl Inquiry {
    /// As it is sent.
    pub fn frame(self) -> Bytes {
        let word: &[u8] = match self {
            Inquiry::Status => b"status",
            Inquiry::Evidence => b"evidence",
        };
        [HEAD, word].concat().into()
    }

    /// The inquiry that a frame is, if it is one.
    pub(super) fn of(frame: &[u8]) -> Option<Inquiry> {
        match frame.strip_prefix(HEAD)? {
            b"status" => Some(Inquiry::Status),
            b"evidence" => Some(Inquiry::Evidence),
            _ => None,
        }
    }

    /// What this node answers.
    pub(super) fn answer(self, shared: &Shared) -> Bytes {
        match self {
            Inquiry::Status => answer(&*shared.status()),
            Inquiry::Evidence => answer(&as_many_as_fit(&shared.evidence())),
        }
    }
}

fn answer<T: Serialize>(told: &T) -> Bytes {
    let mut frame = HEAD.to_vec();
    serde_json::to_writer(&mut frame, told).expect("plain data with names has its JSON");
    frame.into()
}

fn as_many_as_fit(exhibits: &[Exhibit]) -> Vec<&Exhibit> {
    let mut bytes = 0;
    let fits = |exhibit: &&Exhibit| {
        bytes += exhibit.record.len();
        bytes <= MOST_RECORDS_BYTES
    };
    exhibits.iter().take_while(fits).collect()
}

/// What a frame tells in answer to an inquiry.
pub fn told<T: serde::de::DeserializeOwned>(frame: &[u8]) -> Result<T, NoAnswer> {
    let text = frame.strip_prefix(HEAD).ok_or(NoAnswer::OtherThing)?;
    serde_json::from_slice(text).map_err(|error| NoAnswer::Unreadable(error.to_string()))
}

/// Why a frame tells nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It is no answer to an inquiry.
    #[error("it answers something else: another version, or a liar")]
    OtherThing,
    /// It is an answer, and none that this version understands.
    #[error("its answer cannot be read ({0}): another version, or a liar")]
    Unreadable(String),
}
