//! Asking every replica how it is, each over a connection of its own: it works with any
//! number of them up, disturbs no client of the same identity, and uses no request numbers.
//!
//! What comes back is each replica's own word.

use super::Access;
use crate::net::endpoint::BadEndpoint;
use crate::net::link::reach_after;
use crate::net::{Connection, Endpoint, Reach};
use crate::node::Status;
use crate::node::inquiry::{Inquiry, told};
use crate::node::status::Exhibit;
use crate::types::{Committee, ReplicaId};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::time::Duration;
use tokio::task::JoinSet;

/// What each replica said, or why it said nothing.
pub type Told<T> = BTreeMap<ReplicaId, Result<T, Silence>>;

/// Why a replica said nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Silence {
    /// For people.
    pub why: String,
    /// Whether one side does not take the other for a member. It will not pass by itself.
    pub is_refusal: bool,
}

impl Silence {
    fn new(why: impl Display) -> Silence {
        Silence { why: why.to_string(), is_refusal: false }
    }
}

impl Display for Silence {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.why)
    }
}

/// Whether this side is taken for no member: its file is of another cluster, or theirs is.
/// Nobody answers, and among those who refuse one is honest; the others may be down.
pub fn is_refused<T>(told: &Told<T>, committee: Committee) -> bool {
    let refuses = |one: &&Result<T, Silence>| one.as_ref().is_err_and(|why| why.is_refusal);
    told.values().all(Result::is_err)
        && told.values().filter(refuses).count() >= committee.weak_quorum()
}

/// See the module's head.
pub struct Survey {
    endpoint: Endpoint,
    committee: Committee,
    patience: Duration,
}

impl Survey {
    /// Asks as this client, and waits so long for each answer.
    pub fn new(access: Access, patience: Duration) -> Result<Survey, BadEndpoint> {
        let committee = access.directory.genesis().committee();
        let endpoint = Endpoint::new(access.directory, access.identity, access.limits)?;
        Ok(Survey { endpoint, committee, patience })
    }

    /// How each replica is.
    pub async fn statuses(&self) -> Told<Status> {
        self.ask(Inquiry::Status).await
    }

    /// Which records of lies each replica holds.
    pub async fn evidence(&self) -> Told<Vec<Exhibit>> {
        self.ask(Inquiry::Evidence).await
    }

    async fn ask<T: DeserializeOwned + Send + 'static>(&self, inquiry: Inquiry) -> Told<T> {
        let mut asked = JoinSet::new();
        for replica in self.committee.replicas() {
            let (endpoint, patience) = (self.endpoint.clone(), self.patience);
            asked.spawn(async move {
                let answer = tokio::time::timeout(patience, ask_one(&endpoint, replica, inquiry));
                let late = || {
                    Silence::new(format_args!(
                        "replica {replica} does not answer within {patience:?}: it is stopped, or \
                         overloaded"
                    ))
                };
                (replica, answer.await.unwrap_or_else(|_| Err(late())))
            });
        }
        asked.join_all().await.into_iter().collect()
    }
}

async fn ask_one<T: DeserializeOwned>(
    endpoint: &Endpoint,
    replica: ReplicaId,
    inquiry: Inquiry,
) -> Result<T, Silence> {
    let connection = endpoint.dial(replica).await.map_err(|error| Silence {
        why: error.to_string(),
        is_refusal: matches!(reach_after(&error), Reach::Refused(_)),
    })?;
    let Connection { mut reader, mut writer, .. } = connection;
    let failed =
        |why: &dyn Display| Silence::new(format_args!("replica {replica} gives no answer: {why}"));
    writer.write(&[inquiry.frame()]).await.map_err(|error| failed(&error))?;
    match reader.next().await {
        Ok(Some(frame)) => told(&frame).map_err(|error| failed(&error)),
        Ok(None) => Err(failed(&"it closed the connection")),
        Err(error) => Err(failed(&error)),
    }
}
