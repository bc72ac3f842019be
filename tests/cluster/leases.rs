//! A service of one's own, with a client of one's own, on a real cluster: locks that are
//! leased for a while, as an application would embed them.
//!
//! The service is a function of the agreed order and the agreed time: no clock is read, so
//! all replicas grant and expire alike. The token grows with each grant; whoever guards
//! something with a lock refuses older tokens there, and so a holder that was away too long
//! does no harm.

use bincode::{Decode, Encode};
use quorate::client::{Client, Error};
use quorate::cluster::Cluster;
use quorate::service::{Context, Data, KeyRange, Service, View};
use quorate::types::{ClientId, Span, Timestamp};
use quorate::wire::{self, Blob};
use std::sync::Arc;

/// The most bytes of a lock's name, and of everything that is said about one.
const MOST_BYTES: usize = 256;

/// What a client asks for.
#[derive(Encode, Decode)]
enum Ask {
    /// The lock, for so long from the agreed time on.
    Acquire(Blob, Span),
    /// To give the lock back that was granted under this token.
    Release(Blob, u64),
    /// Who holds it.
    Holder(Blob),
}

/// A lock as it was granted.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
struct Lease {
    holder: ClientId,
    token: u64,
    until: Timestamp,
}

/// What comes of it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
enum Answer {
    Granted(Lease),
    Held(Lease),
    Released,
    NotYours,
    Free,
    Malformed,
}

/// The service that the cluster replicates.
struct Leases;

/// The lease under a name, if it has not run out.
fn in_force(stored: Option<&[u8]>, now: Timestamp) -> Option<Lease> {
    let lease: Lease = wire::decode(stored?, MOST_BYTES).ok()?;
    (lease.until > now).then_some(lease)
}

impl Leases {
    fn answer(&self, context: &Context, ask: Ask, data: &mut Data<'_>) -> Answer {
        match ask {
            Ask::Acquire(name, _) if name.is_empty() || name.len() > MOST_BYTES / 2 => {
                Answer::Malformed
            }
            Ask::Acquire(name, span) => {
                let stored = data.get(&name).map(|entry| &*entry.value);
                if let Some(lease) = in_force(stored, context.time)
                    && lease.holder != context.client
                {
                    return Answer::Held(lease);
                }
                // Numbers of the order only grow, and so does what is made of them.
                let until = Timestamp(context.time.0.saturating_add(span.0));
                let lease = Lease { holder: context.client, token: context.seq.0, until };
                data.put(&name, wire::encode(&lease));
                Answer::Granted(lease)
            }
            Ask::Release(name, token) => {
                let stored = data.get(&name).map(|entry| &*entry.value);
                match in_force(stored, context.time) {
                    Some(lease) if lease.holder == context.client && lease.token == token => {
                        data.remove(&name);
                        Answer::Released
                    }
                    Some(_) => Answer::NotYours,
                    None => Answer::Free,
                }
            }
            Ask::Holder(name) => {
                match in_force(data.get(&name).map(|entry| &*entry.value), context.time) {
                    Some(lease) => Answer::Held(lease),
                    None => Answer::Free,
                }
            }
        }
    }
}

impl Service for Leases {
    fn apply(&self, context: &Context, operation: &[u8], data: &mut Data<'_>) -> Vec<u8> {
        let answer = match wire::decode(operation, MOST_BYTES) {
            Ok(ask) => self.answer(context, ask, data),
            Err(_) => Answer::Malformed,
        };
        wire::encode(&answer)
    }

    /// Whether a lease has run out depends on the agreed time, and that is known to what is
    /// ordered only: so nothing is answered unordered.
    fn query(&self, _: ClientId, _: &[u8], _: &View<'_>) -> Vec<u8> {
        wire::encode(&Answer::Malformed)
    }

    fn proof_range(&self, _: &[u8]) -> Option<KeyRange> {
        None
    }
}

/// The client that goes with it.
struct LeaseClient(Client);

impl LeaseClient {
    async fn ask(&self, ask: Ask) -> Result<Answer, Error> {
        let done = self.0.submit(vec![wire::encode(&ask).into()]).await?;
        let result = &done.first().expect("a result for each operation").result;
        Ok(wire::decode(result, MOST_BYTES).expect("a quorum told it, so the service wrote it"))
    }

    async fn acquire(&self, name: &str, span: Span) -> Result<Answer, Error> {
        self.ask(Ask::Acquire(name.into(), span)).await
    }

    async fn release(&self, name: &str, token: u64) -> Result<Answer, Error> {
        self.ask(Ask::Release(name.into(), token)).await
    }

    async fn holder(&self, name: &str) -> Result<Answer, Error> {
        self.ask(Ask::Holder(name.into())).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_brings_its_own_service_and_client() {
    let builder = Cluster::builder().service(Arc::new(Leases));
    let mut cluster = builder.start().await.expect("a cluster");
    let anna = LeaseClient(cluster.client().await.expect("a client"));
    let bert = LeaseClient(cluster.client().await.expect("another client"));

    let granted = anna.acquire("leader", Span::seconds(3_600)).await.expect("served");
    let Answer::Granted(first) = granted else { panic!("not granted: {granted:?}") };
    let refused = bert.acquire("leader", Span::seconds(3_600)).await.expect("served");
    assert_eq!(refused, Answer::Held(first.clone()));
    assert_eq!(bert.release("leader", first.token).await.expect("served"), Answer::NotYours);

    // The primary goes, and the lock is where it was.
    cluster.stop(0).await.expect("it stops");
    assert_eq!(bert.holder("leader").await.expect("served"), Answer::Held(first.clone()));
    assert_eq!(anna.release("leader", first.token).await.expect("served"), Answer::Released);
    let granted = bert.acquire("leader", Span::milliseconds(1)).await.expect("served");
    let Answer::Granted(second) = granted else { panic!("not granted: {granted:?}") };
    assert!(second.token > first.token);
    cluster.start(0).await.expect("it starts again");

    // A lease ends by the agreed time, which moves on with what is ordered.
    loop {
        match anna.acquire("leader", Span::seconds(3_600)).await.expect("served") {
            Answer::Granted(third) => break assert!(third.token > second.token),
            Answer::Held(lease) => assert_eq!(lease, second),
            other => panic!("neither granted nor held: {other:?}"),
        }
    }
    cluster.shutdown().await.expect("it ends well");
}
