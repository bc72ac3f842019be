//! Who else may connect: members of other clusters, liars, floods, and operators.

use crate::support::{Cluster, PATIENCE, brisk, edited, programs, until, within};
use bytes::Bytes;
use quorate::client::Error;
use quorate::cluster::admin;
use quorate::message::{ClientMessage, Parameters, PeerMessage};
use quorate::net::{Connection, Endpoint, Limits};
use quorate::service::kv::KvOperation;
use quorate::types::{Nonce, ReplicaId, RequestNumber};
use quorate::wire;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn ask(admin: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(admin).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, body.to_owned())
}

/// Waits until the node tells such a line among its metrics.
async fn measured(admin: SocketAddr, line: impl Fn(&str) -> bool) {
    let seen = async {
        while !ask(admin, "/metrics").await.1.lines().any(&line) {
            tokio::task::yield_now().await;
        }
    };
    within("the metric", seen).await;
}

/// A connection to a replica as a replica that is down, to say what that never would.
pub async fn as_replica(cluster: &Cluster, id: usize, to: u16) -> Connection {
    let config = cluster.config(id);
    let identity = config.keys().expect("the keys are good").identity;
    let endpoint = Endpoint::new(config.directory, identity, Limits::default());
    let endpoint = endpoint.expect("it is listed");
    within("a connection", endpoint.dial(ReplicaId(to))).await.expect("it is let in")
}

pub async fn as_client(cluster: &Cluster, id: usize, to: u16) -> Connection {
    let access = cluster.access(id);
    let endpoint = Endpoint::new(access.directory, access.identity, Limits::default());
    let endpoint = endpoint.expect("it is listed");
    within("a connection", endpoint.dial(ReplicaId(to))).await.expect("it is let in")
}

fn bytes(message: &impl bincode::Encode) -> Bytes {
    wire::encode(message).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_how_a_node_is() {
    let mut cluster = Cluster::start(brisk()).await;
    let client = cluster.client(0).await;
    for number in 0..20u8 {
        client.put(b"key", &[number]).await.expect("written");
    }
    cluster.settled(20).await;
    let admin = cluster.node(1).admin_address();
    assert_eq!(ask(admin, "/livez").await.0, 200);
    let is_served = |status: &quorate::node::Status| status.obstacles(3).is_empty();
    within("it serves", cluster.node(1).wait_for(is_served)).await;
    assert_eq!(ask(admin, "/readyz").await, (200, "ready\n".to_owned()));

    let (code, status) = ask(admin, "/status").await;
    assert_eq!(code, 200);
    let status: quorate::node::Status = serde_json::from_str(&status).expect("its own names");
    assert_eq!((status.id, status.role.as_str()), (1, "backup"));
    assert_eq!(status.peers.len(), 3);
    assert!(status.executed >= 20);
    assert!(status.stable_certificate.is_some());

    let (code, metrics) = ask(admin, "/metrics").await;
    assert_eq!(code, 200);
    for name in ["quorate_executed ", "quorate_sync_seconds_count", "quorate_phase_seconds_count"] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name}\n{metrics}");
    }
    assert_eq!(ask(admin, "/evidence").await, (200, "[]".to_owned()));

    for id in [0, 2, 3] {
        cluster.down(id).await;
    }
    let is_alone = |status: &quorate::node::Status| !status.obstacles(3).is_empty();
    within("it sees that", cluster.node(1).wait_for(is_alone)).await;
    let (code, reasons) = ask(admin, "/readyz?verbose").await;
    assert_eq!(code, 503);
    assert!(reasons.contains("are needed"), "{reasons}");
}

/// D2, B3: bytes that are no message end the connection, and nobody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_sends_garbage_is_disconnected_and_counted() {
    let mut cluster = Cluster::start(Parameters::default()).await;
    cluster.down(3).await;
    let mut liar = as_replica(&cluster, 3, 1).await;
    liar.writer.write(&[Bytes::from_static(b"garbage")]).await.expect("it is written");
    let end = within("the end", liar.reader.next()).await;
    assert!(!matches!(end, Ok(Some(_))), "{end:?}");
    let admin = cluster.node(1).admin_address();
    measured(admin, |line| {
        line.starts_with("quorate_rejects_total{")
            && line.contains("replica 3")
            && line.contains("Malformed")
    })
    .await;
    let client = cluster.client(0).await;
    client.put(b"key", b"value").await.expect("the others serve");
}

/// What counts as a peer's message from a client's connection is nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_cannot_speak_as_a_replica() {
    let cluster = Cluster::start(Parameters::default()).await;
    let mut client = as_client(&cluster, 0, 1).await;
    // As a client's message, these bytes have another meaning, or none.
    let query = PeerMessage::StartQuery(Nonce(7));
    client.writer.write(&[bytes(&query)]).await.expect("it is written");
    let end = within("the end", client.reader.next()).await;
    assert!(!matches!(end, Ok(Some(_))), "{end:?}");
}

/// K6, X6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_holds_nobody_up() {
    let cluster = Cluster::start(Parameters::default()).await;
    let client = cluster.client(0).await;
    let large = vec![7; 256 << 10];
    client.put(b"large", &large).await.expect("written");
    let mut deaf = as_client(&cluster, 1, 0).await;
    let get = KvOperation::Get { key: "large".into() }.to_bytes();
    let asks: Vec<Bytes> = (0..400)
        .map(|number| bytes(&ClientMessage::Read(RequestNumber(number), get.clone().into())))
        .collect();
    deaf.writer.write(&asks).await.expect("it is written");
    for number in 0..20u8 {
        client.put(b"key", &[number]).await.expect("others are served");
    }
    drop(deaf);
}

/// X5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_connection_of_a_client_takes_the_place_of_the_one_before() {
    let cluster = Cluster::start(Parameters::default()).await;
    let mut first = as_client(&cluster, 0, 1).await;
    let question = [bytes(&ClientMessage::Session(Nonce(1)))];
    first.writer.write(&question).await.expect("it is written");
    assert!(matches!(within("an answer", first.reader.next()).await, Ok(Some(_))));
    let mut second = as_client(&cluster, 0, 1).await;
    second.writer.write(&question).await.expect("it is written");
    assert!(matches!(within("an answer", second.reader.next()).await, Ok(Some(_))));
    let end = within("the end", first.reader.next()).await;
    assert!(!matches!(end, Ok(Some(_))), "{end:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_with_another_configuration_is_told_what_differs() {
    let mut cluster = Cluster::files(Parameters::default());
    for id in 0..3 {
        cluster.up(id).await;
    }
    let path = &cluster.layout.cluster;
    let text = std::fs::read_to_string(path).expect("it is there");
    let listed = format!("{}", Parameters::default().window);
    let mut table: toml::Table = text.parse().expect("it is good");
    let parameters = table.entry("parameters").or_insert(toml::Table::new().into());
    let window = toml::Value::Integer(listed.parse::<i64>().expect("a number") * 2);
    parameters.as_table_mut().expect("a table").insert("window".into(), window);
    std::fs::write(path, table.to_string()).expect("a disk");
    cluster.up(3).await;
    let is_told = |status: &quorate::node::Status| {
        status
            .peers
            .iter()
            .all(|peer| peer.reason.as_ref().is_some_and(|reason| reason.contains("parameters")))
    };
    within("it is told", cluster.node(3).wait_for(is_told)).await;
    // This client has the changed file too: the three refuse it, with the reason.
    let client = cluster.hasty_client(0).await;
    let told = within("the refusal", client.put(b"key", b"value")).await;
    assert!(told.is_err_and(|error| error.to_string().contains("parameters")));
}

/// X2, X3, X4: a process says whom it refused and why, in its log, for programs if so wished,
/// and among its metrics; and Ctrl-C ends it in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_who_was_refused_and_why() {
    let cluster = Cluster::files(Parameters::default());
    edited(&cluster.layout.replicas[1], "[log]", "[log]\nformat = \"json\"");
    let mut processes = programs(&cluster);
    for id in 0..4 {
        processes.start(id).expect("it starts");
    }
    processes.wait_ready(1, PATIENCE).expect("it serves");

    let config = |id| cluster.config(id);
    let addresses: Vec<SocketAddr> = (0..4)
        .map(|id| config(0).cluster.replicas[id].address.parse().expect("an address"))
        .collect();
    let ports = (0..4u16).map(|id| (addresses[usize::from(id)].port(), processes.admin(id).port()));
    let stranger = Cluster::files_at(Parameters::default(), ports.collect());
    let client = stranger.client(0).await;
    let told = within("the refusal", client.put(b"key", b"value")).await;
    assert!(matches!(told, Err(Error::NotAuthorised(_))), "{told:?}");
    let mut stream = TcpStream::connect(addresses[1]).await.expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("it reads");
    let _ = stream.read_to_end(&mut Vec::new()).await;

    let counted = |cause: &str| {
        let metrics = admin::get(processes.admin(1), "/metrics").expect("it answers").1;
        let label = format!("quorate_refusals_total{{cause=\"{cause}\"}} ");
        metrics.lines().any(|line| line.starts_with(&label) && !line.ends_with(" 0"))
    };
    until("both are counted", async || {
        tokio::task::block_in_place(|| counted("told") && counted("broken"))
    })
    .await;
    let process = processes.process(1).and_then(|id| i32::try_from(id).ok()).expect("it runs");
    let process = rustix::process::Pid::from_raw(process).expect("a process has a number");
    rustix::process::kill_process(process, rustix::process::Signal::INT).expect("it is ours");
    until("it ends", async || processes.require_alive(1).is_err()).await;

    let log = std::fs::read_to_string(processes.log(1)).expect("it wrote one");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    for cause in ["told", "broken"] {
        let told = lines.iter().find(|line| line["cause"] == cause).expect("it is told");
        assert_eq!(told["level"], "WARN", "{told}");
        assert!(told["message"].as_str().is_some_and(|why| why.len() > 40), "{told}");
    }
    assert!(lines.iter().any(|line| line["message"] == "stopped"), "{log}");
}
