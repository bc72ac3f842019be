//! The client as programs use it: connections to all replicas, and a task that owns the
//! [`Session`] and carries out what it wants.
//!
//! A [`Client`] is cheap to clone; any number of requests may be under way on it at once.
//! Dropping a future stops the waiting and not the request: that may still be executed.
//! Whoever was told [`Error::Unknown`] gets no later answer: the session gives such a
//! request up, and with the client's next write it is settled that it was executed before
//! that, or never will be. So read what it would have changed, after another write.
//!
//! ```no_run
//! use quorate::client::{Access, Client, KeyValueClient};
//! use quorate::config::ClientConfig;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let access = Access::load(&ClientConfig::load("client-0.toml".as_ref())?)?;
//! let client = KeyValueClient::new(Client::connect(access).await?);
//! client.put(b"greeting", b"hello").await?;
//! let got = client.get(b"greeting").await?;
//! assert_eq!(got.found.map(|found| found.value), Some("hello".into()));
//! # Ok(())
//! # }
//! ```

mod callers;
mod error;
mod gathering;
mod key_value;
mod numbers;
mod survey;
mod task;

pub use error::{ConnectError, Error, Missing};
pub use key_value::{Got, KeyValueClient, List, Read, ReadHow, Swapped, Written};
pub use numbers::CountError;
pub use survey::{Silence, Survey, Told, is_refused};

use super::outcome::{Answer, Done, Freshness, NoReceipts, Outcome, Unread};
use super::receipt::Receipt;
use super::{Session, Settings, Setup, Start};
use crate::config::{ClientConfig, ConfigError};
use crate::crypto::{Ed25519, SecretKey};
use crate::message::ToClient;
use crate::net::{self, Directory, Endpoint, Identity, Link};
use crate::service::Service;
use crate::service::kv::KeyValue;
use crate::types::{ClientId, Instant, Nonce, ReplicaId};
use crate::wire::Blob;
use numbers::Numbers;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use task::{Command, Driver, Wanted};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// The most requests that wait for the driver to take them.
const MOST_COMMANDS: usize = 1_024;

/// The most frames of replicas that wait for the driver.
const MOST_FRAMES: usize = 1_024;

/// Who asks, and whom.
pub struct Access {
    /// The client.
    pub client: ClientId,
    /// The key that its requests are signed with.
    pub signer: SecretKey,
    /// Its TLS key, as this client.
    pub identity: Identity,
    /// Who takes part and where they are.
    pub directory: Arc<Directory>,
    /// Where it keeps count of its request numbers; without a file it asks the replicas
    /// each time.
    pub session_file: Option<PathBuf>,
    /// How long to wait for whoever else uses the session file.
    pub lock_patience: Duration,
    /// Its times.
    pub settings: Settings,
    /// What its connections may take.
    pub limits: net::Limits,
    /// What the cluster replicates, to compute what proofs prove.
    pub service: Arc<dyn Service>,
    /// Sees every answer of every replica, before it is judged.
    pub onlooker: Option<Onlooker>,
}

/// Sees what single replicas answer. Nothing of it is to be believed: it is for those who
/// want to see who says what.
pub type Onlooker = Arc<dyn Fn(ReplicaId, &ToClient) + Send + Sync>;

impl Access {
    /// Access with everything else as is usual.
    pub fn new(
        client: ClientId,
        signer: SecretKey,
        identity: Identity,
        directory: Arc<Directory>,
    ) -> Access {
        Access {
            client,
            signer,
            identity,
            directory,
            session_file: None,
            lock_patience: Duration::from_secs(5),
            settings: Settings::default(),
            limits: net::Limits::default(),
            service: Arc::new(KeyValue),
            onlooker: None,
        }
    }
}

impl Access {
    /// What a configuration says, with the keys that it names.
    pub fn load(config: &ClientConfig) -> Result<Access, ConfigError> {
        let keys = config.keys()?;
        let directory = Arc::clone(&config.directory);
        Ok(Access {
            session_file: Some(config.session.clone()),
            settings: config.settings,
            ..Access::new(config.id, keys.signer, keys.identity, directory)
        })
    }
}

/// See the module's head.
#[derive(Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    began: tokio::time::Instant,
    timeout: Duration,
}

impl Client {
    /// Begins to connect to all replicas, on the current runtime. That none is reached yet
    /// is no error: requests wait for it, until their time runs out.
    pub async fn connect(access: Access) -> Result<Client, ConnectError> {
        let genesis = Arc::clone(access.directory.genesis());
        let committee = genesis.committee();
        let cluster = access.directory.cluster();
        let endpoint =
            Endpoint::new(Arc::clone(&access.directory), access.identity, access.limits)?;
        let (numbers, start) = match access.session_file {
            None => (None, Start::Lost),
            Some(path) => {
                let (client, patience) = (access.client, access.lock_patience);
                let opening = move || Numbers::open(&path, cluster, client, patience);
                let opened = tokio::task::spawn_blocking(opening).await;
                let (numbers, start) = opened.expect("opening a file does not panic")?;
                (Some(numbers), start)
            }
        };
        // The replicas would understand no number after so many of which they saw none.
        let (start, least) = match start {
            Start::Continue { used, executed }
                if used.0.saturating_sub(executed.0) >= genesis.parameters.client_window =>
            {
                (Start::Lost, Some(used))
            }
            other => (other, None),
        };
        let setup = Setup {
            client: access.client,
            signer: Box::new(access.signer),
            genesis: Arc::clone(&genesis),
            service: access.service,
            scheme: Ed25519,
        };
        let nonce =
            Nonce(getrandom::u64().map_err(|error| ConnectError::Randomness(error.to_string()))?);
        let mut session = Session::new(Instant(0), setup, access.settings, start, nonce);
        if let Some(used) = least {
            session.begin_above(used);
        }

        let (sender, frames) = mpsc::channel(MOST_FRAMES);
        let mut tasks = JoinSet::new();
        let mut links = Vec::new();
        for replica in committee.replicas() {
            let link = Arc::new(Link::new(replica));
            links.push(Arc::clone(&link));
            let (endpoint, sender) = (endpoint.clone(), sender.clone());
            tasks.spawn(async move { link.keep(&endpoint, Some(sender)).await });
        }
        let (commands, receiver) = mpsc::channel(MOST_COMMANDS);
        let began = tokio::time::Instant::now();
        let timeout = Duration::from_micros(access.settings.timeout.0);
        let driver = Driver::new(session, numbers, links, &genesis, began, access.onlooker);
        tokio::spawn(async move {
            driver.run(receiver, frames).await;
            tasks.shutdown().await;
        });
        Ok(Client { commands, began, timeout })
    }

    /// Has operations executed in order, under one signature; gives the result of each.
    pub async fn submit(&self, operations: Vec<Blob>) -> Result<Vec<Done>, Error> {
        match self.ask(Wanted::Submit(operations)).await? {
            Outcome::Done(done) | Outcome::Receipted { done, .. } => Ok(done),
            other => Err(undone(other)),
        }
    }

    /// The same, with a receipt for each, which anybody checks who has the cluster's file.
    /// That there are none, for a reason, undoes nothing of what was done.
    pub async fn submit_with_receipts(
        &self,
        operations: Vec<Blob>,
    ) -> Result<(Vec<Done>, Result<Vec<Receipt>, NoReceipts>), Error> {
        match self.ask(Wanted::Receipts(operations)).await? {
            Outcome::Receipted { done, receipts } => Ok((done, receipts)),
            other => Err(undone(other)),
        }
    }

    /// Reads what a quorum of replicas tells alike, or by order if they don't: the latest
    /// there is, either way. The caller answers for it that the operation only reads.
    pub async fn read(&self, operation: Blob) -> Result<Answer, Error> {
        answered(self.ask(Wanted::Read(operation)).await?)
    }

    /// Reads by order, like a write.
    pub async fn read_ordered(&self, operation: Blob) -> Result<Done, Error> {
        let done = self.submit(vec![operation]).await?;
        done.into_iter().next().ok_or(Error::Unreadable)
    }

    /// Reads from one replica, with a proof that stands by itself. It is as old as the last
    /// checkpoint, and no older than asked for.
    pub async fn prove(&self, operation: Blob, freshness: Freshness) -> Result<Answer, Error> {
        answered(self.ask(Wanted::Prove(operation, freshness)).await?)
    }

    /// Ends the client: what is under way gets no answer. Waits until its count of numbers
    /// is on disk.
    pub async fn close(self) {
        let (done, ended) = oneshot::channel();
        if self.commands.send(Command::Close(done)).await.is_ok() {
            // That it is gone already is as good.
            let _ = ended.await;
        }
    }

    async fn ask(&self, wanted: Wanted) -> Result<Outcome, Error> {
        let (answer, answered) = oneshot::channel();
        let deadline = Instant(micros(self.began.elapsed() + self.timeout));
        let command = Command::Ask { wanted, deadline, answer };
        self.commands.send(command).await.map_err(|_| Error::Closed)?;
        answered.await.unwrap_or(Err(Error::Closed))
    }
}

/// Why something submitted was not done.
fn undone(outcome: Outcome) -> Error {
    match outcome {
        Outcome::Refused { reason, .. } => Error::Refused(reason),
        Outcome::Superseded { number, .. } => Error::Superseded(number),
        Outcome::Done(_)
        | Outcome::Receipted { .. }
        | Outcome::Unknown { .. }
        | Outcome::NotSent
        | Outcome::Read(_)
        | Outcome::Unread(_) => unreachable!("done, told apart by the driver, or of reads"),
    }
}

fn answered(outcome: Outcome) -> Result<Answer, Error> {
    match outcome {
        Outcome::Read(answer) => Ok(answer),
        Outcome::Unread(Unread::Refused(refusal)) => Err(Error::Refused(refusal)),
        Outcome::Unread(unread) => Err(Error::Unread(unread)),
        Outcome::Done(_)
        | Outcome::Receipted { .. }
        | Outcome::Refused { .. }
        | Outcome::Superseded { .. }
        | Outcome::Unknown { .. }
        | Outcome::NotSent => unreachable!("outcomes of what is submitted"),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
