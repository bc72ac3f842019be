//! What a node says of its timers is what happens.

use crate::support::{Cluster, PATIENCE, brisk, connect, edited, within};
use quorate::cluster;
use quorate::node::Status;
use quorate::types::Span;
use std::time::Duration;

/// A node that is busy or starved acts later than it said by so much at most; earlier, never.
const LATE_MS: u64 = 20_000;

/// What is written of a time to the millisecond may be off by some.
const ROUNDING_MS: u64 = 50;

/// When it was to ask for which view, and when it did, by its own clock.
fn require_kept(before: &Status, after: &Status) {
    let timer = before.timer.as_ref().expect("it was waited for");
    let asked = after.suspicion.as_ref().expect("it was waited for");
    assert_eq!(timer.asks_for, asked.view);
    let (due, done) = (before.up_ms + timer.in_ms, after.up_ms - asked.ago_ms);
    assert!(done + ROUNDING_MS >= due, "{done} is before {due}: {before:?}, {after:?}");
    assert!(done <= due + LATE_MS, "{done} is long after {due}: {before:?}, {after:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_says_when_it_suspects_the_primary() {
    let mut cluster = Cluster::files(brisk());
    for id in 0..4 {
        let patience = "[settings]\npatience = \"3s\"";
        edited(&cluster.layout.replicas[id], "[settings]", patience);
        cluster.up(id).await;
    }
    let mut access = cluster.access(0);
    access.settings.timeout = Span::seconds(10);
    let client = connect(access).await;
    client.put(b"one", b"1").await.expect("written");
    let primary = cluster.node(0).status().primary;
    let backup = usize::from((primary + 1) % 4);
    for id in [2, 3] {
        cluster.down((usize::from(primary) + id) % 4).await;
    }
    let idle = cluster.node(backup).status();
    assert_eq!(idle.timer, None, "nothing waits");
    let asked = tokio::spawn(async move { client.put(b"two", b"2").await });
    let node = cluster.node(backup);
    let runs = within("a timer", node.wait_for(|status| status.timer.is_some())).await;
    assert_eq!(runs.timer.as_ref().map(|timer| timer.suspects), Some(primary));
    let acts = within("a suspicion", node.wait_for(|status| status.suspicion.is_some())).await;
    require_kept(&runs, &acts);
    asked.await.expect("no panic").expect_err("two are too few");
    // It is alone with that, and waits for others without end.
    let is_alone = |status: &Status| !status.active && status.timer.is_none();
    within("no timer", node.wait_for(is_alone)).await;
    // What is shown later counts on, though nothing is written anew.
    let (first, later) = (node.status(), {
        tokio::time::sleep(Duration::from_millis(20)).await;
        node.status()
    });
    assert!(later.up_ms > first.up_ms && later.age_ms < PATIENCE.as_millis() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asked_for_a_view_says_when_it_gives_up_on_its_opening() {
    let builder = cluster::Cluster::builder().replicas(7).parameters(brisk());
    let mut cluster = builder.start().await.expect("it starts");
    let client = cluster.key_value().await.expect("good files");
    client.put(b"one", b"1").await.expect("written");
    let view = cluster.status(0).expect("it runs").view;
    let id = |ahead: u64| u16::try_from((view + ahead) % 7).expect("few");
    // The primary, and the next.
    cluster.stop(id(1)).await.expect("in order");
    cluster.stop(id(0)).await.expect("in order");
    let asked = tokio::spawn(async move { client.put(b"two", b"2").await });
    let node = cluster.node(id(3)).expect("it runs");
    let waits =
        |status: &Status| status.view == view + 1 && !status.active && status.timer.is_some();
    let runs = within("a timer", node.wait_for(waits)).await;
    assert_eq!(runs.timer.as_ref().map(|timer| timer.suspects), Some(id(1)));
    let gave_up =
        |status: &Status| status.suspicion.as_ref().is_some_and(|one| one.view == view + 2);
    let acts = within("the next view", node.wait_for(gave_up)).await;
    require_kept(&runs, &acts);
    within("the write", asked).await.expect("no panic").expect("five are enough");
}
