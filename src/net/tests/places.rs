//! K6, X5: how many may connect, and how often.

use super::support::*;
use crate::net::places::Places;
use crate::net::{FrameError, Limits, Refusal};
use crate::types::ReplicaId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// X5
#[tokio::test]
async fn a_replicas_newest_connection_takes_the_place_of_the_older() {
    let mut plan = Plan::default();
    let (listening, mut acceptor) = plan.listen().await;
    let endpoint = plan.endpoint(replica(1));
    let (_first, mut older) = joined(&endpoint, &mut acceptor).await;
    let (_second, newer) = joined(&endpoint, &mut acceptor).await;
    let next = tokio::time::timeout(LONG, older.reader.next()).await.expect("it is told");
    assert!(matches!(next, Err(FrameError::Replaced)), "{next:?}");
    drop(older);
    assert_eq!(listening.accepted_connections(), 1);
    drop(newer);
    assert_eq!(listening.accepted_connections(), 0);
}

#[tokio::test]
async fn a_client_has_so_many_connections_and_others_have_theirs() {
    let limits =
        Limits { connections_per_client: 2, client_connections: 3, ..Plan::default().limits };
    let mut plan = Plan { limits, ..Plan::default() };
    let (listening, mut acceptor) = plan.listen().await;
    let (one, other) = (plan.endpoint(client(0)), plan.endpoint(client(1)));
    let first = joined(&one, &mut acceptor).await;
    let _second = joined(&one, &mut acceptor).await;
    let error = one.dial(ReplicaId(0)).await.expect_err("a third").to_string();
    assert!(error.contains("client 0 has 2 connections already"), "{error}");
    let _third = joined(&other, &mut acceptor).await;
    let error = other.dial(ReplicaId(0)).await.expect_err("a fourth").to_string();
    assert!(error.contains("3 clients' connections are open already"), "{error}");
    // Replicas are not kept out by clients.
    let _replica = joined(&plan.endpoint(replica(1)), &mut acceptor).await;
    drop(first);
    let _fourth = joined(&other, &mut acceptor).await;
    let refusals = listening.refusals();
    assert_eq!((refusals["too_many"], refusals["too_many_of_one"]), (1, 1));
}

#[test]
fn nobody_connects_more_often_than_the_rate_allows() {
    let limits = Limits { replica_rate: 2, client_rate: 5, ..Limits::default() };
    let places = Arc::new(Places::new(limits));
    let start = Instant::now();
    let after = |milliseconds| start + Duration::from_millis(milliseconds);
    let taken = |party, now| places.take(party, now).map(drop);
    for (party, burst) in [(replica(1), 8), (client(0), 20)] {
        for _ in 0..burst {
            taken(party, start).expect("four seconds' worth may come at once");
        }
        assert_eq!(taken(party, start), Err(Refusal::TooOften(party)));
    }
    taken(replica(2), start).expect("another has its own");
    taken(replica(1), after(500)).expect("half a second pays for one");
    assert!(taken(replica(1), after(999)).is_err());
    taken(replica(1), after(1_000)).expect("and the next half for another");
}
