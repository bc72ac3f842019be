//! Floods from strangers, clients and a replica: others are served meanwhile, and the
//! node's memory stays within bounds that are stated here.

use crate::strangers::{as_client, as_replica};
use crate::support::{Cluster, LOOK, Programs, programs, until, within};
use bytes::Bytes;
use quorate::client::KeyValueClient;
use quorate::cluster::{Processes, admin};
use quorate::message::{ClientMessage, Fetch, Parameters, PeerMessage};
use quorate::net::Limits;
use quorate::service::kv::KvOperation;
use quorate::types::{Nonce, RequestNumber, Seq};
use quorate::wire;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;

/// The replica that is flooded.
const VICTIM: u16 = 1;

const MIB: u64 = 1 << 20;

/// How long one stranger comes after another, at least.
const BETWEEN: Duration = Duration::from_micros(100);

/// The most memory that the process of a replica has had, in bytes.
fn most_memory(processes: &Processes) -> u64 {
    let process = processes.process(VICTIM).expect("it runs");
    let path = format!("/proc/{process}/status");
    let text = std::fs::read_to_string(path).expect("the system tells");
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it tells that");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib << 10
}

/// What a flood costs: so many bytes more at the most.
fn require_within(processes: &Processes, before: u64, most: u64, what: &str) {
    let more = most_memory(processes).saturating_sub(before);
    println!("{what}: {} MiB before, {} MiB more", before / MIB, more / MIB);
    assert!(more <= most, "{what}: {} MiB more than before", more / MIB);
}

fn start(cluster: &Cluster, ids: &[u16]) -> Programs {
    let mut processes = programs(cluster);
    ids.iter().for_each(|id| processes.start(*id).expect("it starts"));
    processes
}

async fn serves(client: &KeyValueClient) {
    for number in 0..10u8 {
        within("a write", client.put(b"key", &[number])).await.expect("written");
    }
}

/// How many of something come, unless the environment says another number.
fn count(name: &str, usual: u32) -> u32 {
    std::env::var(name).map_or(usual, |text| text.parse().expect(name))
}

/// As many connections as the system allows.
fn raise_file_limit() {
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).expect("our own");
}

/// How many connections are held at a time, whether or not the other side still does.
const HELD: usize = 10_000;

/// Comes at least so often, from a thousand addresses, until it is over, and says nothing or
/// nonsense. Tells how often it came.
async fn strangers(to: SocketAddr, at_least: u32, is_over: Arc<AtomicBool>) -> u32 {
    let mut held = VecDeque::new();
    let mut number = 0;
    while number < at_least || !is_over.load(Ordering::Relaxed) {
        let [_, _, high, low] = (number % 1_000).to_be_bytes();
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 1, high, low], 0))).expect("an address of our own");
        let mut stranger = within("a connection", socket.connect(to)).await.expect("it listens");
        // Whoever is sent away may already be.
        let _ = match number % 3 {
            0 => Ok(()),
            // The head of a TLS record of 16 KiB, and no more.
            1 => stranger.write_all(&[22, 3, 1, 0x40, 0]).await,
            _ => stranger.write_all(&[0x55; 4096]).await,
        };
        if held.len() == HELD {
            held.pop_front();
        }
        held.push_back(stranger);
        number += 1;
        // Others come by the same two processors.
        tokio::time::sleep(BETWEEN).await;
    }
    number
}

/// K6, X1: connections that say nothing, or nonsense, while others come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_without_end_cost_little_and_hinder_nobody() {
    raise_file_limit();
    let cluster = Cluster::files(Parameters::default());
    let mut processes = start(&cluster, &[0, 1, 2, 3]);
    let client = cluster.client(0).await;
    serves(&client).await;
    let before = most_memory(&processes);
    let address = cluster.config(usize::from(VICTIM)).listen_address().expect("it has one");
    let is_over = Arc::new(AtomicBool::new(false));
    let at_least = count("FLOOD_CONNECTIONS", 1_000);
    let mut flood = tokio::spawn(strangers(address, at_least, Arc::clone(&is_over)));
    for replica in [0, 2, 3] {
        serves(&client).await;
        // A replica finds its way in among them, and so does a new client.
        processes.kill(replica);
        processes.start(replica).expect("it starts");
        until("they reach each other", async || {
            let status = tokio::task::block_in_place(|| admin::status(processes.admin(replica)));
            status.is_ok_and(|one| one.is_voting() && one.peers.iter().all(|peer| peer.connected))
        })
        .await;
        serves(&cluster.client(1).await).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let came = loop {
        serves(&client).await;
        if let Ok(came) = tokio::time::timeout(LOOK, &mut flood).await {
            break came.expect("no panic");
        }
    };
    require_within(&processes, before, 32 * MIB, &format!("{came} strangers"));
    processes.require_alive(VICTIM).expect("it runs");
}

/// K6, X6: clients that ask for far more than they read, each from as many connections as it
/// may have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_cost_no_more_than_their_share() {
    raise_file_limit();
    let clients = count("FLOOD_CLIENTS", 2);
    let cluster = Cluster::with_clients(1 + clients);
    let mut processes = start(&cluster, &[0, 1, 2, 3]);
    let client = cluster.client(0).await;
    let large = vec![7; 256 << 10];
    client.put(b"large", &large).await.expect("written");
    serves(&client).await;
    let before = most_memory(&processes);
    let get = KvOperation::Get { key: "large".into() }.to_bytes();
    let asks: Vec<Bytes> = (0..1_000)
        .map(|number| ClientMessage::Read(RequestNumber(number), get.clone().into()))
        .map(|message| wire::encode(&message).into())
        .collect();
    let mut deaf = Vec::new();
    for number in 0..clients {
        for _ in 0..Limits::default().connections_per_client {
            let id = usize::try_from(1 + number).expect("a few");
            let mut connection = as_client(&cluster, id, VICTIM).await;
            // A newer connection may end this one before all is written.
            let _ = connection.writer.write(&asks).await;
            deaf.push(connection);
        }
    }
    serves(&client).await;
    let most = u64::from(clients) * 48 * MIB;
    require_within(&processes, before, most, &format!("{clients} clients that read nothing"));
    processes.require_alive(VICTIM).expect("it runs");
}

/// Messages whose inner lengths claim more than there is, of every kind.
fn bombs() -> Vec<Bytes> {
    let kinds = 0..20u32;
    let claims = [u64::MAX, 1 << 32, 64 << 20];
    let bomb = |kind: u32, claim: u64| {
        let mut bytes = kind.to_le_bytes().to_vec();
        (0..64).for_each(|_| bytes.extend_from_slice(&claim.to_le_bytes()));
        Bytes::from(bytes)
    };
    kinds.flat_map(|kind| claims.map(|claim| bomb(kind, claim))).collect()
}

async fn until_it_has_read_all(processes: &Processes) {
    until("it has read all", async || {
        let metrics = tokio::task::block_in_place(|| {
            admin::get(processes.admin(VICTIM), "/metrics").expect("it answers").1
        });
        let depths = metrics.lines().filter(|line| line.starts_with("quorate_inbox"));
        depths.filter_map(|line| line.rsplit(' ').next()).all(|depth| depth == "0")
    })
    .await;
}

/// D1, D2, T6: what a listed replica can send.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_sends_bombs_and_floods_costs_no_more_than_its_share() {
    let cluster = Cluster::files(Parameters::default());
    let mut processes = start(&cluster, &[0, 1, 2]);
    let client = cluster.client(0).await;
    serves(&client).await;
    let before = most_memory(&processes);
    for (number, bomb) in bombs().into_iter().enumerate() {
        // Nobody may connect more often than the rate allows: as a client half the time.
        match number % 2 {
            0 => {
                let mut liar = as_replica(&cluster, 3, VICTIM).await;
                liar.writer.write(&[bomb]).await.expect("it is written");
                let end = within("an end", liar.reader.next()).await;
                assert!(!matches!(end, Ok(Some(_))), "{end:?}");
            }
            _ => {
                let mut liar = as_client(&cluster, 1, VICTIM).await;
                liar.writer.write(&[bomb]).await.expect("it is written");
                let end = within("an end", liar.reader.next()).await;
                assert!(!matches!(end, Ok(Some(_))), "{end:?}");
            }
        }
    }
    serves(&client).await;
    require_within(&processes, before, 16 * MIB, "bombs");

    let before = most_memory(&processes);
    let mut liar = as_replica(&cluster, 3, VICTIM).await;
    let fetches = (1..200u64).map(|seq| PeerMessage::Fetch(Fetch::Decided(Seq(seq))));
    let queries = (1..200u64).map(|nonce| PeerMessage::StartQuery(Nonce(nonce)));
    let flood: Vec<Bytes> =
        fetches.chain(queries).map(|message| wire::encode(&message).into()).collect();
    for _ in 0..50 {
        liar.writer.write(&flood).await.expect("it is written");
    }
    serves(&client).await;
    require_within(&processes, before, 64 * MIB, "questions without end");

    // As large as a frame may be, and nonsense.
    let before = most_memory(&processes);
    let huge = Bytes::from(vec![0; wire::MOST_BYTES]);
    for _ in 0..3 {
        let mut liar = as_replica(&cluster, 3, VICTIM).await;
        // It may be cut off before it has said all.
        let _ = liar.writer.write(&[huge.clone(), huge.clone()]).await;
        let end = within("an end", liar.reader.next()).await;
        assert!(!matches!(end, Ok(Some(_))), "{end:?}");
    }
    serves(&client).await;
    until_it_has_read_all(&processes).await;
    require_within(&processes, before, 256 * MIB, "the largest frames");
    processes.require_alive(VICTIM).expect("it runs");
}
