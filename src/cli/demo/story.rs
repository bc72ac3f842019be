//! What the demonstration does when nothing fails: writes, reads, a proof, a receipt.

use super::super::access::{RETRY, failure, failure_to_connect};
use super::super::{Exit, Failure};
use super::heard::Heard;
use super::{PATIENCE, failure as process_failure};
use crate::client::receipt::{self, Receipt};
use crate::client::{Access, Client, Error, Freshness, HowRead, KeyValueClient, ReadHow, Swapped};
use crate::cluster::{Processes, admin};
use crate::config::ClientConfig;
use crate::crypto::Ed25519;
use crate::message::{ToClient, Verifier};
use crate::node::Status;
use crate::service::kv::KvOperation;
use crate::types::{Committee, ReplicaId, Span};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How many writes there are in a row.
const WRITES: usize = 40;

/// How long the last replicas may take to answer what a quorum has answered already.
const LATE: Duration = Duration::from_millis(600);

/// How long it may take until all tell operators the same.
const SETTLING: Duration = Duration::from_secs(2);

/// The demonstration, under way.
pub(super) struct Story {
    pub(super) client: KeyValueClient,
    pub(super) verifier: Verifier<Ed25519>,
    pub(super) committee: Committee,
    began: Instant,
    steps: usize,
    heard: Arc<Mutex<Heard>>,
}

impl Story {
    /// Starts all replicas, and a client.
    pub(super) async fn begin(
        cluster: &mut Processes,
        committee: Committee,
    ) -> Result<Story, Failure> {
        let began = Instant::now();
        for id in cluster.ids() {
            cluster.start(id).map_err(process_failure)?;
        }
        let path = cluster.layout().clients.first().cloned().unwrap_or_default();
        let config = ClientConfig::load(&path).map_err(Failure::local)?;
        let verifier = Verifier::new(Arc::clone(config.directory.genesis()), Ed25519);
        let mut access = Access::load(&config).map_err(Failure::local)?;
        access.settings.retry = access.settings.retry.min(RETRY);
        access.settings.timeout = Span::seconds(PATIENCE.as_secs());
        let heard = Arc::new(Mutex::new(Heard::default()));
        let hears = Arc::clone(&heard);
        access.onlooker = Some(Arc::new(move |from, message: &ToClient| {
            hears.lock().unwrap_or_else(PoisonError::into_inner).hear(from, message);
        }));
        let mut story = {
            let client = Client::connect(access).await.map_err(failure_to_connect)?;
            let client = KeyValueClient::new(client);
            Story { client, verifier, committee, began, steps: 0, heard }
        };
        story.step(&format!(
            "{} replicas start, each a process of its own; they connect over mutual TLS",
            committee.size()
        ));
        for id in cluster.ids() {
            // A liar may never be ready: it is enough that it is there.
            match cluster.is_honest(id) {
                true => cluster.wait_ready(id, PATIENCE).map_err(process_failure)?,
                false => cluster.wait_alive(id, PATIENCE).map_err(process_failure)?,
            }
            let config = cluster.layout().replicas[usize::from(id)].display().to_string();
            let process = cluster.process(id).unwrap_or_default();
            let what =
                status(cluster, id).map_or_else(String::new, |status| match status.malicious {
                    Some(behaviour) => format!(", and lies: {behaviour}"),
                    None if status.is_primary() => format!(", primary of view {}", status.view),
                    None => String::new(),
                });
            let after = story.began.elapsed();
            say!("   replica {id}: process {process}, {config}, there {}{what}", after_ms(after));
        }
        Ok(story)
    }

    /// Begins the next step.
    pub(super) fn step(&mut self, what: &str) {
        self.steps += 1;
        say!("\n{}. {what}", self.steps);
    }

    /// Writes, reads, compares, lists.
    pub(super) async fn writes_and_reads(&mut self) -> Result<(), Failure> {
        self.step("Writes and reads, each request signed by the client");
        let (written, took) = timed(self.client.put(b"greeting", b"hello")).await?;
        let quorum = self.committee.quorum();
        let size = self.committee.size();
        said(
            "put greeting hello",
            took,
            &format!(
                "executed at number {} of the one order, on the disks of {quorum} of {size}",
                written.seq
            ),
        );
        let (got, took) = timed(self.client.get(b"greeting")).await?;
        let value = got.found.map(|found| String::from_utf8_lossy(&found.value).into_owned());
        let value = value.unwrap_or_default();
        said("get greeting", took, &format!("{value:?}, {}", read_how(&got.how, quorum, size)));
        let swapping = self.client.compare_and_set(b"greeting", Some(b"hello"), b"goodbye");
        let (swapped, took) = timed(swapping).await?;
        said("cas greeting --expect hello goodbye", took, &swapped_in_words(&swapped));
        let swapping = self.client.compare_and_set(b"greeting", Some(b"hello"), b"never");
        let (swapped, took) = timed(swapping).await?;
        said("cas greeting --expect hello never", took, &swapped_in_words(&swapped));
        let mut times = Vec::new();
        for index in 0..WRITES {
            let key = format!("count/{index:02}");
            times.push(timed(self.client.put(key.as_bytes(), b"1")).await?.1);
        }
        times.sort_unstable();
        let (half, most) = (times[times.len() / 2], times[times.len() - 1]);
        said(
            &format!("{WRITES} puts, one after the other"),
            times.iter().sum(),
            &format!("half of them within {}, all within {}", ms(half), ms(most)),
        );
        let listing = self.client.list(b"count/", None, 1_000, ReadHow::Quorum);
        let (listed, took) = timed(listing).await?;
        said("list count/", took, &format!("{} keys", listed.found.items.len()));
        Ok(())
    }

    /// One replica proves what it answers.
    pub(super) async fn proof(&mut self) -> Result<(), Failure> {
        self.step("A read that one replica answers, and proves");
        let how = ReadHow::Proved(Freshness::default());
        let (got, took) = timed(self.client.get_as(b"count/00", how)).await?;
        let HowRead::Proved(proved) = &got.how else {
            return Err(Failure::new(Exit::NotVerified, "a proof was asked for, and none came"));
        };
        let value = got.found.as_ref().map(|found| String::from_utf8_lossy(&found.value));
        said(
            "get count/00 --read proved",
            took,
            &format!("{:?} as of checkpoint {}", value.unwrap_or_default(), proved.seq()),
        );
        let signers = proved.certificate.voters().map(|voter| voter.replica.to_string());
        let signers: Vec<String> = signers.collect();
        say!(
            "   The checkpoint's state is signed by replicas {}; it is {} old.",
            signers.join(", "),
            ms(age(proved.time.0))
        );
        say!("   The answer was computed here from the proof: that replica could not have lied.");
        Ok(())
    }

    /// A receipt, checked by somebody who knows nothing but the cluster's file.
    pub(super) async fn receipt(&mut self) -> Result<(), Failure> {
        self.step("A receipt, to be shown to others");
        let operation = KvOperation::Put { key: "invoice/7".into(), value: "paid".into() };
        let operations = vec![operation.to_bytes().into()];
        let asking = self.client.client().submit_with_receipts(operations);
        let ((_, receipts), took) = timed(asking).await?;
        let receipts = receipts.map_err(|error| Failure::new(Exit::NoQuorum, error))?;
        let bytes = receipts.first().map(Receipt::to_bytes).unwrap_or_default();
        said("put invoice/7 paid --receipt", took, &format!("{} bytes", bytes.len()));
        let before = Instant::now();
        let receipt = Receipt::from_bytes(&bytes);
        let receipt = receipt.map_err(|error| Failure::new(Exit::NotVerified, error))?;
        let proven = receipt::verify(&self.verifier, &receipt);
        let proven = proven.map_err(|error| Failure::new(Exit::NotVerified, error))?;
        let signers: Vec<String> =
            proven.voters.iter().map(|voter| voter.replica.to_string()).collect();
        said(
            "receipt verify, offline",
            before.elapsed(),
            &format!(
                "client {} asked for it, and replicas {} signed that it was executed at {}",
                proven.client,
                signers.join(", "),
                proven.seq
            ),
        );
        let mut forged = receipt;
        forged.result = "another result".into();
        match receipt::verify(&self.verifier, &forged) {
            Ok(_) => Err(Failure::new(Exit::NotVerified, "a forged receipt was believed")),
            Err(why) => {
                say!("   The same with another result in it is refused: {why}.");
                Ok(())
            }
        }
    }

    /// Where everybody is at the end.
    pub(super) async fn ends(&mut self, cluster: &mut Processes) -> Result<(), Failure> {
        self.step("At the end");
        self.settles(cluster).await?;
        for id in cluster.ids() {
            match status(cluster, id) {
                Some(status) => say!(
                    "   replica {id}: {} of view {}, executed {}, checkpoint {}{}",
                    status.role,
                    status.view,
                    status.executed,
                    status.stable,
                    status.malicious.map_or_else(String::new, |name| format!("; lies: {name}"))
                ),
                None => say!("   replica {id}: does not answer"),
            }
        }
        say!("   All that took {}.", ms(self.began.elapsed()));
        self.client.client().clone().close().await;
        Ok(())
    }

    /// Waits until all tell that they have executed all that was asked for, or a little
    /// while: a liar need not.
    async fn settles(&self, cluster: &Processes) -> Result<(), Failure> {
        let (last, _) = timed(self.client.get_as(b"greeting", ReadHow::Ordered)).await?;
        let HowRead::Ordered { seq } = last.how else { return Ok(()) };
        let deadline = Instant::now() + SETTLING;
        let is_there = |id| status(cluster, id).is_some_and(|status| status.executed >= seq.0);
        while !cluster.ids().all(is_there) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    /// Forgets what replicas answered so far, and what they still answer to that.
    pub(super) fn forget(&self) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.forget(self.committee.faults());
    }

    /// What each replica answered since, once all have, or none is left that hurries.
    pub(super) async fn heard(&self) -> BTreeMap<ReplicaId, String> {
        let deadline = Instant::now() + LATE;
        loop {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).words();
            if heard.len() >= self.committee.size() || Instant::now() >= deadline {
                return heard;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What a replica tells operators.
pub(super) fn status(cluster: &Processes, id: u16) -> Option<Status> {
    admin::status(cluster.admin(id)).ok()
}

/// Waits for an answer, and measures how long it took.
pub(super) async fn timed<T>(
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<(T, Duration), Failure> {
    let before = Instant::now();
    match asked.await {
        Ok(answer) => Ok((answer, before.elapsed())),
        Err(error) => Err(failure(error)),
    }
}

/// One thing that was done, how long it took, and what came of it.
pub(super) fn said(what: &str, took: Duration, came: &str) {
    say!("   {what:<36} {:>9}   {came}", ms(took));
}

/// A time that people read.
pub(super) fn ms(span: Duration) -> String {
    match span.as_micros() {
        micros if micros < 10_000 => format!("{:.1} ms", span.as_secs_f64() * 1e3),
        micros if micros < 1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{:.1} s", span.as_secs_f64()),
    }
}

fn after_ms(span: Duration) -> String {
    format!("after {}", ms(span))
}

fn age(micros: u64) -> Duration {
    let then = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
    SystemTime::now().duration_since(then).unwrap_or_default()
}

fn read_how(how: &HowRead, quorum: usize, size: usize) -> String {
    match how {
        HowRead::Quorum { changed } => {
            format!("told alike by {quorum} of {size}, last changed at {changed}")
        }
        HowRead::Ordered { seq } => format!("ordered like a write, at {seq}"),
        HowRead::Proved(proved) => format!("proved as of {}", proved.seq()),
    }
}

fn swapped_in_words(swapped: &Swapped) -> String {
    match swapped {
        Swapped::Yes(written) => format!("swapped at {}", written.seq),
        Swapped::No { found, seq } => {
            let value = found.as_ref().map(|found| String::from_utf8_lossy(&found.value));
            format!("not swapped at {seq}: there is {:?}", value.unwrap_or_default())
        }
    }
}
