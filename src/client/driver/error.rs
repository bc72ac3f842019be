//! What can come of asking a cluster for something, in words that say whether it may have
//! happened.

use super::numbers::CountError;
use crate::client::{SubmitError, Unread};
use crate::net::endpoint::BadEndpoint;
use crate::service::Refusal;
use crate::service::kv::KvRefusal;
use crate::types::{ReplicaId, RequestNumber};
use std::fmt;

/// Replicas that are not connected, and why.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Missing(pub Vec<(ReplicaId, String)>);

impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(out, "all replicas are connected, and too few answer");
        }
        write!(out, "not connected: ")?;
        let mut told: Vec<Vec<&str>> = Vec::new();
        let mut comma = "";
        for (replica, why) in &self.0 {
            if told.contains(&sense(why)) {
                continue;
            }
            // Most reasons name the replica themselves.
            match why.contains(&format!("replica {replica}")) {
                true => write!(out, "{comma}{why}")?,
                false => write!(out, "{comma}replica {replica}: {why}")?,
            }
            let alike =
                self.0.iter().filter(|(one, other)| one != replica && sense(other) == sense(why));
            let alike: Vec<String> = alike.map(|(one, _)| one.to_string()).collect();
            match alike.as_slice() {
                [] => {}
                [one] => write!(out, " (and so replica {one})")?,
                [some @ .., last] => {
                    write!(out, " (and so replicas {} and {last})", some.join(", "))?
                }
            }
            told.push(sense(why));
            comma = "; ";
        }
        Ok(())
    }
}

/// A reason without numbers and addresses: what it says of one replica, it says of another.
fn sense(why: &str) -> Vec<&str> {
    why.split(' ').filter(|word| !word.contains(|one: char| one.is_ascii_digit())).collect()
}

/// Why something did not come about, or nobody knows whether it did.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// The service refused the operation, which had no effect.
    #[error("refused: {0}")]
    Service(KvRefusal),
    /// The cluster refused the request where it was ordered: it had no effect.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// It may have happened, or may still. Never to be taken for a failure.
    #[error(
        "the outcome is unknown: {}, and the operation may have been executed, or may still be; \
         read what it would have changed before doing it again",
        why_unknown(*declined, missing)
    )]
    Unknown {
        /// Why it was last declined, by more replicas than can lie, if it was.
        declined: Option<Refusal>,
        /// Who was not connected.
        missing: Missing,
    },
    /// Nothing was sent: it did not happen, and will not.
    #[error("nothing was sent in time, and so nothing happened: {missing}")]
    NotSent {
        /// Who was not connected.
        missing: Missing,
    },
    /// Too few replicas answered. Nothing was to be changed.
    #[error("too few replicas answered in time: {missing}")]
    NoQuorum {
        /// Who was not connected.
        missing: Missing,
    },
    /// The replicas do not take anything from this client.
    #[error("this client and the replicas do not take each other for members of one cluster: {0}")]
    NotAuthorised(String),
    /// Under the number of this operation another was executed; this never will be.
    #[error(
        "another operation was executed under number {0}: somebody else uses this client's key, or \
         its session file was put back; nothing of this operation happened"
    )]
    Superseded(RequestNumber),
    /// Nothing was read, for a reason of reads.
    #[error(transparent)]
    Unread(Unread),
    /// It cannot be asked for.
    #[error(transparent)]
    Illegal(SubmitError),
    /// What the cluster answered is not this service's.
    #[error(
        "the answer cannot be read: the cluster replicates another service, or another version"
    )]
    Unreadable,
    /// The count of request numbers cannot be kept; nothing was sent.
    #[error("nothing was sent, and so nothing happened: {0}")]
    Count(String),
    /// The client was closed.
    #[error(
        "the client was closed, or stopped at an error of its own: what was under way may have \
         been executed, or may still be"
    )]
    Closed,
}

fn why_unknown(declined: Option<Refusal>, missing: &Missing) -> String {
    match declined {
        None => format!("too few replicas answered in time ({missing})"),
        Some(Refusal::Acknowledged) => "another session with this client's key has gone past this \
            one's numbers (on another machine, or the session file was put back; the next command \
            asks for new ones)"
            .to_owned(),
        Some(refusal) => format!("replicas declined it ({refusal})"),
    }
}

/// Why a client cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The TLS key is no good.
    #[error(transparent)]
    Endpoint(#[from] BadEndpoint),
    /// The session file is not to be had.
    #[error(transparent)]
    Count(#[from] CountError),
    /// The system gives no randomness.
    #[error("the system gives no randomness: {0}")]
    Randomness(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_and_of_whom() {
        let away = |id: u16| {
            let why = format!("replica {id} cannot be reached at 10.0.0.{id}:7100 (refused): why?");
            (ReplicaId(id), why)
        };
        let missing = |all: Vec<(ReplicaId, String)>| Missing(all).to_string();
        let first = "not connected: replica 0 cannot be reached at 10.0.0.0:7100 (refused): why?";
        assert_eq!(missing(vec![away(0)]), first);
        assert_eq!(missing(vec![away(0), away(1)]), format!("{first} (and so replica 1)"));
        let slow = (ReplicaId(3), "it says nothing".to_owned());
        let all = vec![away(0), away(1), slow, away(5), away(6)];
        let told = format!("{first} (and so replicas 1, 5 and 6); replica 3: it says nothing");
        assert_eq!(missing(all), told);
    }
}
