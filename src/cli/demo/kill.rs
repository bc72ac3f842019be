//! What the demonstration does when a replica fails.

use super::super::access::failure;
use super::super::{Exit, Failure};
use super::story::{Story, ms, status};
use super::{PATIENCE, failure as process_failure};
use crate::client::{Error, KeyValueClient};
use crate::cluster::Processes;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many writes are done before the replica is killed, and how many after.
const BEFORE: u64 = 20;
const AFTER: u64 = 60;

/// One write after the other, until there are enough.
struct Writer {
    done: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<Result<Vec<(Instant, Duration)>, Error>>,
}

impl Writer {
    fn start(client: KeyValueClient) -> Writer {
        let (told, done) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut times = Vec::new();
            for index in 0..BEFORE + AFTER {
                let began = Instant::now();
                client.put(b"load", index.to_string().as_bytes()).await?;
                times.push((began, began.elapsed()));
                told.send_replace(index + 1);
            }
            Ok(times)
        });
        Writer { done, task }
    }
}

impl Story {
    /// Kills a replica while a client writes, and starts it again.
    pub(super) async fn kills(&mut self, cluster: &mut Processes, id: u16) -> Result<(), Failure> {
        let before = status(cluster, id);
        let role = before.as_ref().map_or("replica", |status| match status.is_primary() {
            true => "primary",
            false => "backup",
        });
        let process = cluster.process(id).unwrap_or_default();
        self.step(&format!("Replica {id}, a {role}, is killed (kill -9 {process}) amid writes"));
        let mut writer = Writer::start(self.client.clone());
        // That the writer ended early is seen below.
        let _ = writer.done.wait_for(|done| *done >= BEFORE).await;
        let killed_at = Instant::now();
        cluster.kill(id);
        let times = writer.task.await.map_err(|_| Failure::local("the writer ended"))?;
        let times = times.map_err(failure)?;
        let after = times.iter().filter(|(began, took)| *began + *took >= killed_at);
        let mut after: Vec<Duration> = after.map(|(_, took)| *took).collect();
        after.sort_unstable();
        let longest = after.last().copied().unwrap_or_default();
        let half = after.get(after.len() / 2).copied().unwrap_or_default();
        say!("   {} writes went on, half of them within {}.", after.len(), ms(half));
        let view =
            cluster.ids().filter(|other| *other != id).find_map(|other| status(cluster, other));
        match (before, view) {
            (Some(before), Some(now)) if now.view > before.view => say!(
                "   The longest pause was {}: the others noticed, and replica {} became primary, \
                 in view {}.",
                ms(longest),
                now.primary,
                now.view
            ),
            _ => say!("   The longest pause was {}: nobody had to wait for it.", ms(longest)),
        }
        self.comes_back(cluster, id).await
    }

    async fn comes_back(&mut self, cluster: &mut Processes, id: u16) -> Result<(), Failure> {
        let goal = cluster.ids().filter(|other| *other != id);
        let goal = goal.filter_map(|other| status(cluster, other)).map(|one| one.executed).max();
        let goal = goal.unwrap_or_default();
        let began = Instant::now();
        cluster.start(id).map_err(process_failure)?;
        loop {
            cluster.require_alive(id).map_err(process_failure)?;
            if let Some(now) = status(cluster, id)
                && now.executed >= goal
                && now.is_voting()
            {
                say!(
                    "   Started again, it read its log, asked the others for what it missed, and \
                     had all {} entries after {}.",
                    now.executed,
                    ms(began.elapsed())
                );
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let message = format!("replica {id} has not caught up within {PATIENCE:?}");
                return Err(Failure::new(Exit::NoQuorum, message));
            }
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }
}
