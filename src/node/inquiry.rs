//! What a listed client may ask a node of itself, beside the protocol: how it is, and which
//! lies it has seen. The answers are one node's word; what in them is signed can be checked,
//! and what in them is text is made fit to be shown where it is received.
//!
//! A connection whose first frame is an inquiry carries nothing else, and takes no other
//! connection's place.

use super::Shared;
use super::status::Exhibit;
use crate::net::hello;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

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

/// What a frame tells in answer to an inquiry. No text in it takes over a terminal.
pub fn told<T: serde::de::DeserializeOwned>(frame: &[u8]) -> Result<T, NoAnswer> {
    let text = frame.strip_prefix(HEAD).ok_or(NoAnswer::OtherThing)?;
    let unreadable = |error: serde_json::Error| NoAnswer::Unreadable(error.to_string());
    let mut value = serde_json::from_slice(text).map_err(unreadable)?;
    make_fit(&mut value);
    serde_json::from_value(value).map_err(unreadable)
}

/// What holds a certificate or a record: it is checked and never shown as a text, and may be
/// longer than those.
const CHECKED: [&str; 2] = ["stable_certificate", "record"];

/// Makes every text fit to be shown: a liar may have written it.
fn make_fit(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *text = hello::told(text.as_bytes()),
        Value::Array(values) => values.iter_mut().for_each(make_fit),
        Value::Object(fields) => {
            let others = fields.iter_mut().filter(|(name, value)| !is_checked(name, value));
            others.for_each(|(_, value)| make_fit(value));
        }
    }
}

fn is_checked(name: &str, value: &Value) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    CHECKED.contains(&name) && value.as_str().is_some_and(is_hex)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told_of(value: &Value) -> Value {
        told(&answer(value)).expect("an answer")
    }

    #[test]
    fn no_text_of_a_liar_takes_over_a_terminal() {
        let lie = "\u{1b}[2J\u{1b}[Hall is well\r\n\u{9b}31m";
        let told = told_of(&json!({
            "running": lie,
            "suspicion": { "why": lie },
            "peers": [{ "reason": lie }],
            "record": lie,
        }));
        let texts = [
            &told["running"],
            &told["suspicion"]["why"],
            &told["peers"][0]["reason"],
            &told["record"],
        ];
        for text in texts {
            assert_eq!(text, " [2J [Hall is well   31m");
        }
    }

    #[test]
    fn long_texts_are_clipped_and_records_are_not() {
        let long = "0".repeat(1 << 20);
        let told = told_of(&json!([{ "kind": long, "record": long }]));
        assert!(told[0]["kind"].as_str().is_some_and(|kind| kind.len() <= 1 << 10), "{told}");
        assert_eq!(told[0]["record"], long);
    }
}
