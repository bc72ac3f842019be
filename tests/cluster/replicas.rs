//! Replicas that stop, come back, and lose their disks.

use crate::support::{Cluster, brisk, within};
use quorate::byzantine::role;
use quorate::message::Parameters;
use quorate::node::lying::Lying;
use quorate::node::{NodeError, Options};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_replicas_serve_a_client() {
    let cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    for number in 0..20 {
        let key = format!("key {number}");
        client.put(key.as_bytes(), b"value").await.expect("written");
    }
    let got = client.get(b"key 7").await.expect("read");
    assert_eq!(got.found.map(|found| found.value), Some("value".into()));
    cluster.settled(1).await;
}

/// B5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_stops_holds_nobody_up_and_catches_up() {
    let mut cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    client.put(b"one", b"1").await.expect("written");
    cluster.down(3).await;
    let written = client.put(b"two", b"2").await.expect("three are enough");
    cluster.up(3).await;
    cluster.settled(written.seq.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_stops_is_replaced_and_comes_back_as_a_backup() {
    let mut cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    client.put(b"one", b"1").await.expect("written");
    let primary = usize::from(cluster.node(0).status().primary);
    cluster.down(primary).await;
    let written = client.put(b"two", b"2").await.expect("the next primary serves");
    cluster.up(primary).await;
    cluster.settled(written.seq.0).await;
    let view = cluster.node((primary + 1) % 4).status().view;
    let is_there = |status: &quorate::node::Status| status.view >= view && status.active;
    within("it joins the view", cluster.node(primary).wait_for(is_there)).await;
}

/// S13, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_there_after_all_have_restarted() {
    let mut cluster = Cluster::start(brisk()).await;
    let client = cluster.client(0).await;
    for round in 0..3 {
        for number in 0..20 {
            let key = format!("key {round} {number}");
            client.put(key.as_bytes(), key.as_bytes()).await.expect("written");
        }
        for id in 0..4 {
            cluster.down(id).await;
        }
        for id in 0..4 {
            cluster.up(id).await;
        }
        for number in 0..20 {
            let key = format!("key {round} {number}");
            let got = client.get(key.as_bytes()).await.expect("read");
            assert_eq!(got.found.map(|found| found.value), Some(key.as_str().into()));
        }
    }
}

/// S10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_replica_stops_until_it_recovers_in_a_new_life() {
    let mut cluster = Cluster::start(brisk()).await;
    let client = cluster.client(0).await;
    for number in 0..20 {
        let key = format!("key {number}");
        client.put(key.as_bytes(), b"before").await.expect("written");
    }
    cluster.settled(1).await;
    cluster.down(3).await;
    let data = cluster.config(3).data;
    std::fs::remove_dir_all(&data).expect("it was there");

    cluster.up(3).await;
    let error = within("it finds out", cluster.node_mut(3).ended()).await;
    assert!(matches!(error, NodeError::RolledBack), "{error}");
    assert!(error.to_string().contains("--recover"), "{error}");
    cluster.down(3).await;

    cluster.try_up(3, Options { recover: true, ..Options::default() }).await.expect("it starts");
    let is_voting = |status: &quorate::node::Status| status.is_voting();
    within("it recovers", cluster.node(3).wait_for(is_voting)).await;
    let written = client.put(b"after", b"1").await.expect("written");
    cluster.settled(written.seq.0).await;

    // The new life is one that the others need: with another down, a quorum includes it.
    cluster.down(2).await;
    client.put(b"with it", b"1").await.expect("it takes part");
}

/// P1, with real signatures over real sockets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_lies_is_replaced_and_the_client_is_served() {
    let mut cluster = Cluster::files(brisk());
    let setup = cluster.setup(0);
    let signer = Box::new(cluster.config(0).keys().expect("the keys are good").signer);
    let role = role("equivocating").expect("it is listed");
    let lying = Lying::new(&role, setup.id, &setup.directory, signer, Default::default());
    let outlet = Box::new(lying);
    cluster.try_up(0, Options { outlet, ..Options::default() }).await.expect("it starts");
    for id in 1..4 {
        cluster.up(id).await;
    }
    let client = cluster.client(0).await;
    for number in 0..10u8 {
        client.put(b"key", &[number]).await.expect("written");
    }
    let got = client.get(b"key").await.expect("read");
    assert_eq!(got.found.map(|found| found.value), Some([9].as_slice().into()));
}

/// S11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_data_directory_is_one_nodes() {
    let mut cluster = Cluster::start(Parameters::default()).await;
    let mut setup = cluster.setup(0);
    let free = quorate::cluster::ports::free(1)[0];
    setup.listen.set_port(free.0);
    setup.admin.set_port(free.1);
    let second = quorate::node::Node::start(setup, Options::default()).await;
    let error = second.err().expect("it is refused");
    assert!(matches!(error, NodeError::Storage(_)), "{error}");
    cluster.down(0).await;
    cluster.up(0).await;
}

/// S12
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anothers_data_are_refused() {
    let mut cluster = Cluster::start(Parameters::default()).await;
    cluster.down(0).await;
    let mut setup = cluster.setup(0);
    cluster.down(1).await;
    setup.data = cluster.config(1).data;
    let error = quorate::node::Node::start(setup, Options::default()).await.err();
    assert!(matches!(error, Some(NodeError::Storage(_))), "{error:?}");
}
