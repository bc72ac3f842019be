//! What clients are told, when all is well and when it is not.

use crate::support::{Cluster, brisk, connect, until, within};
use quorate::client::{Error, HowRead, ReadHow, Swapped};
use quorate::message::Parameters;
use quorate::service::kv::KvRefusal;
use std::collections::BTreeSet;
use std::sync::Arc;

fn value(found: Option<quorate::service::kv::Found>) -> Option<Vec<u8>> {
    found.map(|found| found.value.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_does_what_it_says() {
    let cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    let first = client.put(b"a", b"1").await.expect("written");
    assert_eq!(first.replaced, None);
    let second = client.put(b"a", b"2").await.expect("written");
    assert_eq!(second.replaced, Some(first.seq));
    assert!(second.seq > first.seq);

    let swapped = client.compare_and_set(b"a", Some(b"2"), b"3").await.expect("compared");
    assert!(matches!(swapped, Swapped::Yes(_)), "{swapped:?}");
    match client.compare_and_set(b"a", None, b"4").await.expect("compared") {
        Swapped::No { found, .. } => assert_eq!(value(found), Some(b"3".to_vec())),
        Swapped::Yes(written) => panic!("{written:?}"),
    }

    client.put(b"b", b"x").await.expect("written");
    let listed = client.list(b"", None, 1, ReadHow::Quorum).await.expect("listed").found;
    assert_eq!(listed.items.len(), 1);
    let rest = client.list(b"", listed.next.as_deref(), 10, ReadHow::Ordered).await;
    let rest = rest.expect("listed").found;
    assert_eq!(rest.items.iter().map(|item| &*item.key).collect::<Vec<_>>(), [b"b"]);
    assert_eq!(rest.next, None);

    assert!(client.delete(b"b").await.expect("removed").replaced.is_some());
    assert_eq!(client.delete(b"b").await.expect("removed").replaced, None);
    assert_eq!(value(client.get(b"b").await.expect("read").found), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_come_in_three_ways() {
    let cluster = Cluster::start(brisk()).await;
    let client = cluster.client(0).await;
    // A checkpoint follows, which the proof is about.
    for number in 0..20u8 {
        client.put(b"key", &[number]).await.expect("written");
    }
    let has_checkpoint = |status: &quorate::node::Status| status.stable > 0;
    for node in cluster.nodes.iter().flatten() {
        within("a checkpoint", node.wait_for(has_checkpoint)).await;
    }
    let quorum = client.get_as(b"key", ReadHow::Quorum).await.expect("read");
    assert_eq!(value(quorum.found), Some(vec![19]));
    let ordered = client.get_as(b"key", ReadHow::Ordered).await.expect("read");
    assert!(matches!(ordered.how, HowRead::Ordered { .. }), "{:?}", ordered.how);
    assert_eq!(value(ordered.found), Some(vec![19]));
    let how = ReadHow::Proved(quorate::client::Freshness::default());
    let proved = client.get_as(b"key", how).await.expect("read");
    assert!(matches!(proved.how, HowRead::Proved(_)), "{:?}", proved.how);
    assert!(proved.found.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_requests_of_one_client_are_under_way_at_once() {
    let cluster = Cluster::start(Parameters::default()).await;
    let client = Arc::new(cluster.client(0).await);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200u32 {
        let client = Arc::clone(&client);
        tasks.spawn(async move {
            let key = number.to_be_bytes();
            client.put(&key, &key).await.expect("written");
            let got = client.get(&key).await.expect("read");
            assert_eq!(value(got.found), Some(key.to_vec()));
            number
        });
    }
    let done: BTreeSet<u32> = within("all", tasks.join_all()).await.into_iter().collect();
    assert_eq!(done.len(), 200);
}

/// Whoever stops waiting takes nothing back, and takes nobody else's place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_its_request_and_the_other_callers() {
    const GONE: u32 = 400;
    let cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    client.put(b"key", b"before").await.expect("written");
    for number in 0..GONE {
        let key = number.to_be_bytes();
        // It has asked by the time that it goes.
        tokio::select! {
            biased;
            told = client.put(&key, b"abandoned") => drop(told.expect("written")),
            () = std::future::ready(()) => {}
        }
    }
    client.put(b"key", b"after").await.expect("written");
    assert_eq!(value(client.get(b"key").await.expect("read").found), Some(b"after".to_vec()));
    until("all that they asked for is written", async || {
        let listed = client.list(b"", None, 1_000, ReadHow::Ordered).await.expect("listed").found;
        let gone = listed.items.iter().filter(|item| *item.key != *b"key");
        let values: Vec<&[u8]> = gone.map(|item| &*item.found.value).collect();
        assert!(values.iter().all(|value| value == b"abandoned"));
        values.len() == GONE as usize
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_service_refuses_has_its_reason() {
    let cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    let refused = client.put(b"", b"value").await;
    assert_eq!(refused, Err(Error::Service(KvRefusal::KeyEmpty)));
}

/// K9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_a_writes_outcome_is_unknown_and_a_read_says_who_is_missing() {
    let mut cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.hasty_client(0).await;
    // The first may be slow on a slow machine: only that it is served in the end counts.
    while client.put(b"key", b"before").await.is_err() {}
    cluster.down(2).await;
    cluster.down(3).await;
    let Err(Error::Unknown { missing, .. }) = client.put(b"key", b"after").await else {
        panic!("two of four can order nothing");
    };
    let absent: Vec<u16> = missing.0.iter().map(|(replica, _)| replica.0).collect();
    assert_eq!(absent, [2, 3]);
    assert!(matches!(client.get(b"key").await, Err(Error::NoQuorum { .. })));

    cluster.up(2).await;
    let client = cluster.client(1).await;
    client.put(b"other", b"1").await.expect("three are enough again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_there_nothing_was_sent() {
    let cluster = Cluster::files(Parameters::default());
    let client = cluster.hasty_client(0).await;
    let Err(Error::NotSent { missing }) = client.put(b"key", b"value").await else {
        panic!("nobody is there");
    };
    assert_eq!(missing.0.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_goes_on_where_its_last_run_ended_and_without_its_file() {
    let cluster = Cluster::start(Parameters::default()).await;
    for round in 0..4u8 {
        let access = cluster.access(0);
        if round == 2 {
            let file = access.session_file.clone().expect("it has one");
            std::fs::remove_file(file).expect("it was there");
        }
        let client = connect(access).await;
        client.put(b"key", &[round]).await.expect("written");
        assert_eq!(value(client.get(b"key").await.expect("read").found), Some(vec![round]));
        client.into_client().close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_a_time_under_one_identity_are_refused() {
    let cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    let mut access = cluster.access(0);
    access.lock_patience = std::time::Duration::ZERO;
    let second = quorate::client::Client::connect(access).await;
    assert!(second.err().is_some_and(|error| error.to_string().contains("in use")));
    client.put(b"key", b"value").await.expect("the first is not disturbed");
}

/// K7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_not_listed_is_told_so_at_once() {
    let cluster = Cluster::start(Parameters::default()).await;
    let ports = (0..4).map(|id| {
        let node = cluster.node(id);
        (node.address().port(), node.admin_address().port())
    });
    let stranger = Cluster::files_at(Parameters::default(), ports.collect());
    let client = stranger.client(0).await;
    let told = within("the refusal", client.put(b"key", b"value")).await;
    assert!(matches!(told, Err(Error::NotAuthorised(_))), "{told:?}");
}

/// What many ask of one client at once travels under one signature, and each hears of its
/// own.
#[tokio::test(flavor = "multi_thread")]
async fn many_requests_of_one_client_at_once_are_each_answered_for_themselves() {
    const MANY: usize = 300;
    let cluster = Cluster::start(brisk()).await;
    let client = cluster.client(0).await;
    let at_once = |ordered: bool| {
        let client = client.clone();
        let mut asking = tokio::task::JoinSet::new();
        for index in 0..MANY {
            let (client, key) = (client.clone(), format!("key-{index}"));
            asking.spawn(async move {
                if ordered {
                    let got = client.get_as(key.as_bytes(), ReadHow::Ordered).await.expect("read");
                    let value = got.found.expect("it is there").value;
                    assert_eq!(&*value, format!("value of {key}").as_bytes());
                } else {
                    let value = format!("value of {key}");
                    client.put(key.as_bytes(), value.as_bytes()).await.expect("written");
                }
            });
        }
        asking
    };
    for ordered in [false, true] {
        let all = at_once(ordered).join_all();
        within("all are answered", all).await;
    }
}
