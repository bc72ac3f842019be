//! Asking every replica how it is, each over a connection of its own: it works with any
//! number of them up, disturbs no client of the same identity, and uses no request numbers.
//!
//! What comes back is each replica's own word.

use super::Access;
use crate::net::endpoint::BadEndpoint;
use crate::net::{Connection, Endpoint};
use crate::node::Status;
use crate::node::inquiry::{Inquiry, told};
use crate::node::status::Exhibit;
use crate::types::{Committee, ReplicaId};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;
use tokio::task::JoinSet;

/// What each replica said, or why it said nothing.
pub type Told<T> = BTreeMap<ReplicaId, Result<T, String>>;

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
                let late = || format!("replica {replica} does not answer within {patience:?}");
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
) -> Result<T, String> {
    let connection = endpoint.dial(replica).await.map_err(|error| error.to_string())?;
    let Connection { mut reader, mut writer, .. } = connection;
    let failed = |why: &dyn Display| format!("replica {replica} gives no answer: {why}");
    writer.write(&[inquiry.frame()]).await.map_err(|error| failed(&error))?;
    match reader.next().await {
        Ok(Some(frame)) => told(&frame).map_err(|error| failed(&error)),
        Ok(None) => Err(failed(&"it closed the connection")),
        Err(error) => Err(failed(&error)),
    }
}
