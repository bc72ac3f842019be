//! Replicas that are killed at random moments under load, again and again (S13): no
//! acknowledged write is lost, and all that clients saw could have happened in one order.
//!
//! `QUORATE_ROUNDS` says how often, 20 times unless told, and `QUORATE_SEED` by which
//! chance.

use crate::support::{Cluster, brisk, edited, programs, states, until, within};
use quorate::client::{Error, KeyValueClient, Swapped};
use quorate::cluster::{Processes, admin};
use quorate::random::Random;
use quorate::service::kv::Found;
use quorate::sim::history::{Action, Event, Judgement, judge};
use quorate::types::Instant;
use quorate::wire::Blob;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tasks of each client.
const TASKS: usize = 4;

/// So many operations share their keys; then others come. A history for each key alone
/// stays short.
const TOGETHER: u64 = 24;

/// Clients at work, and what they saw.
struct Load {
    began: std::time::Instant,
    asked: AtomicU64,
    answered: watch::Sender<u64>,
    unknown: AtomicU64,
    is_over: AtomicBool,
    histories: Mutex<BTreeMap<String, Vec<Event>>>,
}

impl Load {
    fn new() -> Load {
        Load {
            began: std::time::Instant::now(),
            asked: AtomicU64::new(0),
            answered: watch::Sender::new(0),
            unknown: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
            histories: Mutex::default(),
        }
    }

    fn now(&self) -> Instant {
        Instant(u64::try_from(self.began.elapsed().as_micros()).expect("no test takes so long"))
    }

    fn record(&self, key: String, event: Event) {
        self.histories.lock().expect("nobody panics with it").entry(key).or_default().push(event);
    }

    /// Waits until so many more operations were answered.
    async fn more(&self, count: u64) {
        let mut answered = self.answered.subscribe();
        let goal = *answered.borrow() + count;
        let reached = within("answers", answered.wait_for(|answered| *answered >= goal)).await;
        reached.expect("the sender is here");
    }

    async fn work(self: Arc<Load>, client: KeyValueClient, mut random: Random) {
        let mut seen: Option<Blob> = None;
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            let key = format!("{:06}-{}", number / TOGETHER, random.below(2));
            let asked = self.now();
            let value = Blob::from(number.to_string().as_str());
            let done = act(&client, &key, value, &mut seen, &mut random).await;
            let Some((action, is_answered)) = done else { continue };
            let answered = is_answered.then(|| self.now());
            self.record(key, Event { action, asked, answered });
            match is_answered {
                true => self.answered.send_modify(|answered| *answered += 1),
                false => drop(self.unknown.fetch_add(1, Ordering::Relaxed)),
            }
        }
    }
}

fn value(found: Option<Found>) -> Option<Blob> {
    found.map(|found| found.value)
}

/// Does one thing. None if nothing happened for sure; else what, and whether it was
/// answered.
async fn act(
    client: &KeyValueClient,
    key: &str,
    new: Blob,
    seen: &mut Option<Blob>,
    random: &mut Random,
) -> Option<(Action, bool)> {
    let key = key.as_bytes();
    let (action, error) = match random.below(10) {
        0..=3 => {
            let put = client.put(key, &new).await;
            (Action::Put(new), put.err())
        }
        4 => (Action::Delete, client.delete(key).await.err()),
        5 | 6 => {
            let expected = seen.clone();
            let set = client.compare_and_set(key, expected.as_deref(), &new).await;
            let is_done = set.as_ref().ok().map(|set| matches!(set, Swapped::Yes(_)));
            (Action::CompareAndSet(expected, new, is_done), set.err())
        }
        _ => {
            let got = client.get(key).await;
            let found = got.as_ref().ok().map(|got| value(got.found.clone()));
            if let Some(found) = &found {
                seen.clone_from(found);
            }
            // One that was not answered says nothing.
            match got {
                Ok(_) => (Action::Get(found), None),
                Err(Error::Unknown { .. } | Error::NoQuorum { .. } | Error::NotSent { .. }) => {
                    return None;
                }
                Err(Error::Unread(_)) => return None,
                Err(error) => panic!("a read: {error}"),
            }
        }
    };
    match error {
        None => Some((action, true)),
        Some(Error::Unknown { .. }) => Some((action, false)),
        Some(Error::NotSent { .. }) => None,
        Some(error) => panic!("{action:?}: {error}"),
    }
}

/// Who dies next.
fn victims(processes: &Processes, random: &mut Random) -> Vec<u16> {
    let any = u16::try_from(random.below(4)).expect("four");
    match random.below(4) {
        0 => vec![any],
        1 => {
            let status = tokio::task::block_in_place(|| admin::status(processes.admin(any)));
            vec![status.map_or(any, |status| status.primary)]
        }
        2 => vec![any, (any + 1) % 4],
        _ => (0..4).map(|id| (any + id) % 4).collect(),
    }
}

/// A moment that nothing decides but chance.
async fn a_moment(random: &mut Random, most_ms: u64) {
    let micros = random.below(most_ms * 1_000);
    tokio::time::sleep(std::time::Duration::from_micros(micros)).await;
}

async fn kill_some(processes: &mut Processes, load: &Load, random: &mut Random) {
    load.more(random.between(1, 30)).await;
    a_moment(random, 30).await;
    let victims = victims(processes, random);
    victims.iter().for_each(|id| processes.kill(*id));
    if victims.len() == 1 && random.in_thousand(500) {
        load.more(random.between(1, 30)).await;
    }
    for id in victims {
        processes.start(id).expect("it starts");
        // Sometimes it dies again while it starts.
        if random.in_thousand(200) {
            a_moment(random, 300).await;
            processes.require_alive(id).expect("it starts");
            processes.kill(id);
            processes.start(id).expect("it starts");
        }
    }
}

/// All replicas have executed the same, vote, and hold the same checkpoint.
async fn settle(processes: &Processes, client: &KeyValueClient) -> u64 {
    let last = client.put(b"last", b"written").await.expect("written").seq.0;
    until("all replicas stand at one place", async || {
        let statuses: Option<Vec<_>> = (0..4)
            .map(|id| tokio::task::block_in_place(|| admin::status(processes.admin(id))).ok())
            .collect();
        statuses.is_some_and(|all| {
            let first = (all[0].executed, all[0].stable);
            all.iter().all(|one| {
                let is_there = one.is_voting() && !one.diverged && one.executed >= last;
                let is_honest = one.evidence.is_empty();
                assert!(is_honest, "a replica contradicted itself: {:?}", one.evidence);
                is_there && (one.executed, one.stable) == first
            })
        })
    })
    .await;
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_a_cluster_loses_nothing() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse().expect(name));
    let rounds: u64 = number("QUORATE_ROUNDS").unwrap_or(20);
    let seed = number("QUORATE_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("{rounds} rounds with QUORATE_SEED={seed}");
    let mut random = Random::new(seed);

    let cluster = Cluster::files(brisk());
    for replica in &cluster.layout.replicas {
        edited(replica, "[settings]", "[settings]\npatience = \"300ms\"");
        edited(replica, "[storage]", "[storage]\nsegment_bytes = 65536");
    }
    let mut processes = programs(&cluster);
    (0..4).for_each(|id| processes.start(id).expect("it starts"));
    let load = Arc::new(Load::new());
    let mut tasks = JoinSet::new();
    let patient = cluster.client(0).await;
    // What this one is not told in time it does not know.
    let hasty = cluster.hasty_client(1).await;
    for task in 0..2 * TASKS {
        let client = if task % 2 == 0 { patient.clone() } else { hasty.clone() };
        tasks.spawn(Arc::clone(&load).work(client, random.fork()));
    }
    for round in 1..=rounds {
        kill_some(&mut processes, &load, &mut random).await;
        (0..4).for_each(|id| processes.require_alive(id).expect("it runs"));
        if round % 50 == 0 {
            let (answered, unknown) = (*load.answered.borrow(), &load.unknown);
            let took = load.began.elapsed().as_secs();
            println!("{round} rounds, {answered} answers, {unknown:?} unknown, {took} s");
        }
    }
    load.is_over.store(true, Ordering::Relaxed);
    within("the last answers", tasks.join_all()).await;

    let keys: Vec<String> = load.histories.lock().expect("no panic").keys().cloned().collect();
    for key in &keys {
        let asked = load.now();
        let found = value(patient.get(key.as_bytes()).await.expect("read").found);
        let answered = Some(load.now());
        load.record(key.clone(), Event { action: Action::Get(Some(found)), asked, answered });
    }
    for (key, events) in &*load.histories.lock().expect("no panic") {
        assert_ne!(judge(events), Judgement::Impossible, "seed {seed}, key {key}: {events:#?}");
    }
    settle(&processes, &patient).await;
    processes.terminate_all();
    let all: Vec<_> = (0..4).map(|id| states(&cluster, id)).collect();
    for (seq, digest) in &all[0] {
        for (id, other) in all.iter().enumerate() {
            let same = other.get(seq).is_none_or(|other| other == digest);
            assert!(same, "replica {id} holds another state at {seq}");
        }
    }
    let shared = all[0].keys().filter(|seq| all.iter().all(|one| one.contains_key(seq)));
    assert!(shared.count() > 0, "no state is on all disks: {all:?}");
    for id in 0..4 {
        let log = std::fs::read_to_string(processes.log(id)).expect("it wrote one");
        for bad in ["panicked", "differs from the one that a quorum certified"] {
            assert!(!log.contains(bad), "replica {id}, seed {seed}:\n{log}");
        }
    }
    let events = *load.answered.borrow();
    println!(
        "{rounds} rounds, {events} answers on {} keys, {:?} not known in time, in {:?}",
        keys.len(),
        load.unknown,
        load.began.elapsed()
    );
}
