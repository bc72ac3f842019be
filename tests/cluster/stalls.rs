//! Processes that stand still, and networks that delay, cut, and swallow.

use crate::support::{Cluster, LOOK, PATIENCE, brisk, edited, programs, until, within};
use quorate::client::KeyValueClient;
use quorate::cluster::{Processes, admin};
use quorate::node::Status;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a process stands still (S14).
const STILL: Duration = Duration::from_secs(10);

async fn write(client: &KeyValueClient, what: &str) -> u64 {
    let mut last = 0;
    for number in 0..10 {
        let key = format!("{what} {number}");
        last = client.put(key.as_bytes(), what.as_bytes()).await.expect("written").seq.0;
    }
    last
}

/// All may vote and have executed so much, and no connection is missing. One that asked
/// alone for another view waits there until others come, and executes with the rest.
async fn settled(processes: &Processes, executed: u64) {
    let is_there = |one: &Status| {
        let is_connected = one.peers.iter().all(|peer| peer.connected);
        one.is_voting() && one.executed >= executed && is_connected
    };
    let mut statuses = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while !(statuses.len() == 4 && statuses.iter().all(is_there)) {
        assert!(Instant::now() < deadline, "not at {executed}: {statuses:#?}");
        tokio::time::sleep(LOOK).await;
        let asked = (0..4).map(|id| processes.admin(id));
        statuses = tokio::task::block_in_place(|| asked.flat_map(admin::status).collect());
    }
}

/// S14
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_stand_still_for_a_while_are_missed_by_nobody_and_come_back() {
    let cluster = Cluster::files(brisk());
    let mut processes = programs(&cluster);
    (0..4).for_each(|id| processes.start(id).expect("it starts"));
    let client = cluster.client(0).await;
    settled(&processes, write(&client, "before").await).await;
    // The primary of view 0 first, and then one that is a backup whoever is primary.
    for id in [0, 3] {
        let begun = Instant::now();
        processes.pause(id);
        let mut last = 0;
        while begun.elapsed() < STILL {
            last = write(&client, "meanwhile").await;
        }
        processes.resume(id);
        settled(&processes, last).await;
        settled(&processes, write(&client, "after").await).await;
    }
    for id in 0..4 {
        processes.require_alive(id).expect("it runs");
        let status = admin::status(processes.admin(id)).expect("it answers");
        assert!(status.evidence.is_empty(), "{:?}", status.evidence);
    }
}

/// What becomes of bytes on their way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// They arrive.
    Open,
    /// They arrive late.
    Slow(Duration),
    /// Connections end, and none begins.
    Cut,
    /// Connections stand, and nothing arrives: the other end is gone, and said nothing.
    HalfOpen,
}

/// Between everybody and one replica, outside of TLS.
struct Proxy {
    way: watch::Sender<Way>,
    _task: JoinSet<()>,
}

impl Proxy {
    async fn begin(listen: SocketAddr, target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind(listen).await.expect("a free port");
        let way = watch::Sender::new(Way::Open);
        let told = way.subscribe();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((near, _)) = listener.accept().await else { continue };
                connections.spawn(carry(near, target, told.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Proxy { way, _task: task }
    }

    fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(near: TcpStream, target: SocketAddr, way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else { return };
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::select! {
        () = pump(near_read, far_write, way.clone()) => {}
        () = pump(far_read, near_write, way) => {}
    }
}

/// Carries bytes until the connection is over.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let now = *way.borrow_and_update();
        match now {
            Way::Cut => return,
            Way::HalfOpen => {
                // What was swallowed is missing: nothing can go on afterwards.
                let _ = way.changed().await;
                return;
            }
            Way::Open | Way::Slow(_) => {}
        }
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer) => {
                let Ok(count @ 1..) = read else { return };
                if let Way::Slow(late) = now {
                    tokio::time::sleep(late).await;
                }
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// X1, X6, N1, N2, with what carries the bytes as the culprit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_delays_cuts_and_swallows_is_survived() {
    let cluster = Cluster::files(brisk());
    let mut proxies = Vec::new();
    for (id, (inner, _)) in quorate::cluster::ports::free(4).into_iter().enumerate() {
        let listed = cluster.config(id).cluster.replicas[id].address.clone();
        let own = format!("listen = \"127.0.0.1:{inner}\"\n\n[log]");
        edited(&cluster.layout.replicas[id], "[log]", &own);
        edited(&cluster.layout.replicas[id], "[settings]", "[settings]\npatience = \"400ms\"");
        let target = SocketAddr::from(([127, 0, 0, 1], inner));
        proxies.push(Proxy::begin(listed.parse().expect("an address"), target).await);
    }
    let mut processes = programs(&cluster);
    (0..4).for_each(|id| processes.start(id).expect("it starts"));
    let client = cluster.client(0).await;
    let all = |way| proxies.iter().for_each(|proxy| proxy.set(way));
    settled(&processes, write(&client, "open").await).await;

    all(Way::Slow(Duration::from_millis(10)));
    write(&client, "slow").await;
    all(Way::Open);
    for way in [Way::Cut, Way::HalfOpen, Way::Slow(Duration::from_millis(300))] {
        // A backup, then whoever is primary.
        for is_primary in [false, true] {
            let status = admin::status(processes.admin(0)).expect("it answers");
            let id = if is_primary { status.primary } else { (status.primary + 1) % 4 };
            proxies[usize::from(id)].set(way);
            let last = write(&client, &format!("{way:?} {is_primary}")).await;
            proxies[usize::from(id)].set(Way::Open);
            settled(&processes, last).await;
        }
    }
    for way in [Way::Cut, Way::HalfOpen] {
        all(way);
        let asked = tokio::spawn({
            let client = client.clone();
            async move { write(&client, "nobody hears anybody").await }
        });
        until("they see that", async || {
            let status = tokio::task::block_in_place(|| admin::status(processes.admin(0)));
            status.is_ok_and(|one| {
                let lost = one
                    .peers
                    .iter()
                    .filter(|peer| !peer.connected || peer.seen_ms.is_none_or(|seen| seen > 1_000));
                lost.count() == 3
            })
        })
        .await;
        all(Way::Open);
        let last = within("they are served", asked).await.expect("no panic");
        settled(&processes, last).await;
    }
    for id in 0..4 {
        processes.require_alive(id).expect("it runs");
    }
}
