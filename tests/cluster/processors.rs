//! Nodes on a machine with many processors: whoever connects is served by the runtime that
//! the node was started on, and the replica's thread has only the replica to do.

use crate::support::{Cluster, brisk, within};
use quorate::node::{Options, Served, Status};

const CALLERS: usize = 32;

async fn up(cluster: &mut Cluster, id: usize) {
    let options = Options { served: Served::ByRuntime, ..Options::default() };
    cluster.try_up(id, options).await.expect("it starts");
}

async fn start() -> Cluster {
    let mut cluster = Cluster::files(brisk());
    for id in 0..4 {
        up(&mut cluster, id).await;
    }
    cluster
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_runtime_serves_many_who_ask_at_once() {
    let cluster = start().await;
    let client = cluster.client(0).await;
    for round in 0..8 {
        let asked = (0..CALLERS).map(|caller| {
            let client = client.clone();
            tokio::spawn(async move {
                let key = format!("{round} {caller}");
                client.put(key.as_bytes(), b"value").await.expect("written");
                client.get(key.as_bytes()).await.expect("read").found.is_some()
            })
        });
        for one in asked.collect::<Vec<_>>() {
            assert!(within("an answer", one).await.expect("no panic"));
        }
    }
    cluster.settled(8).await;
}

/// Its addresses are free as soon as it has stopped, and its disk holds all.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_a_runtime_serves_stop_and_come_back_amid_writes() {
    let mut cluster = start().await;
    let client = cluster.client(0).await;
    let mut last = 0;
    for round in 0..2 {
        for id in 0..4 {
            cluster.down(id).await;
            for number in 0..10 {
                let key = format!("{round} {id} {number}");
                let written = client.put(key.as_bytes(), key.as_bytes()).await.expect("written");
                last = written.seq.0;
            }
            up(&mut cluster, id).await;
            let is_back = |status: &Status| status.is_voting() && status.executed >= last;
            within("it comes back", cluster.node(id).wait_for(is_back)).await;
        }
    }
    for id in 0..4 {
        cluster.down(id).await;
    }
    for id in 0..4 {
        up(&mut cluster, id).await;
    }
    let got = client.get(b"1 3 9").await.expect("read").found;
    assert_eq!(got.map(|found| found.value), Some("1 3 9".into()));
    cluster.settled(last).await;
    assert!((0..4).all(|id| cluster.node(id).status().evidence.is_empty()));
}
