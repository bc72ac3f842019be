//! What comes in: one task for each connection, which reads frames, checks what is in them
//! but for its signatures, and puts it where it waits for the replica.
//!
//! The loop judges the signatures of all that waits, together; what is large is judged here,
//! by a thread of its own. A message counts as its channel's: a peer's only from a replica's
//! connection, a client's only from that client's. What is rejected is counted; whoever sends
//! bytes that are no message at all is disconnected. The newest connection of a party takes
//! the place of the one before (X5).

use super::Shared;
use super::inbox::{Closed, Inbox, Source};
use super::inquiry::Inquiry;
use super::metrics::{From, Metrics};
use super::owner::Arrival;
use super::posts::Posts;
use crate::crypto::Listed;
use crate::message::{Received, Reject, Verifier};
use crate::net::{Acceptor, Connection, FrameError, FrameReader, FrameWriter, Outbox, Party};
use crate::types::{ClientId, ReplicaId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::task::{AbortHandle, JoinSet};

/// Frames larger than this are checked where they hold up no other connection, in bytes.
const LARGE: usize = 64 << 10;

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Hall {
    pub(super) verifier: Arc<Verifier<Listed>>,
    pub(super) inbox: Arc<Inbox<Arrival>>,
    pub(super) posts: Arc<Posts>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shared: Arc<Shared>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("the other side closed it")]
    ByOther,
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("it sent bytes that are no message: another version, or a liar")]
    Malformed,
    #[error("writing failed: {0}")]
    Write(#[from] std::io::Error),
    #[error("a newer connection took its place")]
    Replaced,
    #[error("this node stops")]
    Stopping,
}

impl Ended {
    fn cause(&self) -> &'static str {
        match self {
            Ended::ByOther => "closed",
            Ended::Frame(_) => "frame",
            Ended::Malformed => "malformed",
            Ended::Write(_) => "write",
            Ended::Replaced => "replaced",
            Ended::Stopping => "stopping",
        }
    }
}

impl std::convert::From<Closed> for Ended {
    fn from(_: Closed) -> Ended {
        Ended::Stopping
    }
}

/// Takes connections in, for as long as the node runs.
pub(super) async fn welcome(mut acceptor: Acceptor, hall: Hall) {
    let mut serving = JoinSet::new();
    let mut current: BTreeMap<ReplicaId, AbortHandle> = BTreeMap::new();
    loop {
        tokio::select! {
            connection = acceptor.accept() => {
                let party = connection.party;
                let task = serving.spawn(serve(connection, hall.clone()));
                // A client takes its place with its first word.
                if let Party::Replica(id) = party
                    && let Some(before) = current.insert(id, task)
                {
                    before.abort();
                }
            }
            Some(_) = serving.join_next() => current.retain(|_, task| !task.is_finished()),
        }
    }
}

async fn serve(connection: Connection, hall: Hall) {
    let Connection { party, address, mut reader, writer } = connection;
    tracing::debug!(%party, %address, "connected here");
    let ended = match party {
        Party::Replica(id) => hall.serve_peer(id, &mut reader).await,
        Party::Client(id) => hall.serve_client(id, &mut reader, writer).await,
    };
    let Err(ended) = ended;
    tracing::debug!(%party, %address, %ended, "connection over");
    hall.metrics.disconnection(ended.cause());
    if matches!(ended, Ended::Malformed) {
        let from = match party {
            Party::Replica(id) => From::Peer(id),
            Party::Client(_) => From::Clients,
        };
        hall.metrics.reject(from, Reject::Malformed);
        tracing::warn!(%party, %address, "disconnected: {ended}");
    }
}

/// Nothing: a connection is served until it ends.
enum Never {}

impl Hall {
    async fn serve_peer(&self, id: ReplicaId, reader: &mut FrameReader) -> Result<Never, Ended> {
        loop {
            let frame = next(reader).await?;
            let bytes = frame.len();
            match self.check(Party::Replica(id), frame).await {
                Ok(arrival) => self.take_from_peer(id, arrival, bytes).await?,
                Err(Reject::Malformed) => return Err(Ended::Malformed),
                Err(reject) => self.metrics.reject(From::Peer(id), reject),
            }
        }
    }

    async fn take_from_peer(
        &self,
        from: ReplicaId,
        arrival: Arrival,
        bytes: usize,
    ) -> Result<(), Closed> {
        if !arrival.is_relay() {
            return self.inbox.put(Source::Peer(from), arrival, bytes).await;
        }
        // Whoever passed it on does so again, while it waits; so do the others.
        if !self.inbox.put_now(Source::Relayed(from), arrival, bytes)? {
            self.metrics.relays_dropped.inc();
        }
        Ok(())
    }

    async fn serve_client(
        &self,
        id: ClientId,
        reader: &mut FrameReader,
        writer: FrameWriter,
    ) -> Result<Never, Ended> {
        let first = next(reader).await?;
        if let Some(inquiry) = Inquiry::of(&first) {
            return self.tell(inquiry, reader, writer).await;
        }
        let (outbox, taken) = self.posts.open(id);
        let outbox = Answering { id, outbox, posts: &self.posts };
        tokio::select! {
            ended = self.read_client(id, first, reader) => ended,
            ended = write(&outbox.outbox, writer) => ended,
            _ = taken => Err(Ended::Replaced),
        }
    }

    /// Answers inquiries, one after the other.
    async fn tell(
        &self,
        first: Inquiry,
        reader: &mut FrameReader,
        mut writer: FrameWriter,
    ) -> Result<Never, Ended> {
        let mut inquiry = first;
        loop {
            writer.write(&[inquiry.answer(&self.shared)]).await?;
            inquiry = Inquiry::of(&next(reader).await?).ok_or(Ended::Malformed)?;
        }
    }

    async fn read_client(
        &self,
        id: ClientId,
        first: Bytes,
        reader: &mut FrameReader,
    ) -> Result<Never, Ended> {
        let mut frame = first;
        loop {
            let bytes = frame.len();
            match self.check(Party::Client(id), frame).await {
                Ok(arrival) => self.inbox.put(Source::Client(id), arrival, bytes).await?,
                Err(Reject::Malformed) => return Err(Ended::Malformed),
                Err(reject) => self.metrics.reject(From::Clients, reject),
            }
            frame = next(reader).await?;
        }
    }

    /// Decodes a frame and checks all but its signatures, which are judged with others'.
    /// What is large has many of its own, and is judged apart, where it holds up nobody.
    async fn check(&self, from: Party, frame: Bytes) -> Result<Arrival, Reject> {
        if frame.len() <= LARGE {
            tokio::task::consume_budget().await;
            let message = match from {
                Party::Replica(_) => self.verifier.peer_unjudged(frame),
                Party::Client(_) => self.verifier.client_unjudged(frame),
            };
            return message.map(|message| Arrival::Unjudged(from, message));
        }
        let verifier = Arc::clone(&self.verifier);
        let check = move || match from {
            Party::Replica(_) => {
                verifier.peer_bytes(&frame).map(|one| Received::Peer(Box::new(one)))
            }
            Party::Client(_) => verifier.client_bytes(&frame).map(Received::Client),
        };
        let checked = tokio::task::spawn_blocking(check).await;
        let message = checked.expect("a check does not panic, and nobody aborts it")?;
        Ok(Arrival::Judged(from, message))
    }
}

async fn next(reader: &mut FrameReader) -> Result<Bytes, Ended> {
    match reader.buffered()? {
        Some(frame) => Ok(frame),
        None => reader.next().await?.ok_or(Ended::ByOther),
    }
}

async fn write(outbox: &Outbox, mut writer: FrameWriter) -> Result<Never, Ended> {
    loop {
        writer.write(&outbox.take().await).await?;
    }
}

/// A client's outbox is closed with its connection, however that ends.
struct Answering<'a> {
    id: ClientId,
    outbox: Arc<Outbox>,
    posts: &'a Posts,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.posts.close(self.id, &self.outbox);
    }
}
