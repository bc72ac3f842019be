//! D1, X1, X4: bytes of those who are nobody, or not yet.

use super::support::*;
use crate::crypto::ClusterId;
use crate::net::hello::{Answer, Hello, MOST_HELLO_BYTES, VERSIONS};
use crate::net::tls::PROTOCOL;
use crate::net::{Acceptor, Limits, Party};
use crate::types::{Digest, ReplicaId};
use crate::wire;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a TLS 1.2 client begins with: no extension names any version.
fn tls_1_2_hello() -> Vec<u8> {
    // 32 bytes of randomness; then no session, one suite, no compression, and an extension
    // that names the one kind of signatures.
    let signatures = [0, 8, 0, 13, 0, 4, 0, 2, 8, 7];
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x2b], &[1, 0], &signatures].concat();
    let length = |bytes: usize| u16::try_from(bytes).expect("short").to_be_bytes();
    let message = [&[1, 0][..], &length(body.len()), &body].concat();
    [&[0x16, 3, 1][..], &length(message.len()), &message].concat()
}

async fn says(to: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.expect("somebody listens");
    stream.write_all(bytes).await.expect("it is taken");
    stream
}

/// X4
#[tokio::test]
async fn tls_1_2_is_refused() {
    let mut plan = Plan::default();
    let (listening, acceptor) = plan.listen().await;
    let mut stream = says(acceptor.local_addr(), &tls_1_2_hello()).await;
    let mut alert = Vec::new();
    stream.read_to_end(&mut alert).await.expect("an alert, and the end");
    // An alert, fatal: protocol_version.
    assert_eq!((alert.first(), alert.last()), (Some(&0x15), Some(&70)), "{alert:?}");
    until_refused(&listening, "old_tls").await;
}

#[tokio::test]
async fn garbage_is_refused_and_hinders_nobody() {
    let mut plan = Plan::default();
    let (listening, mut acceptor) = plan.listen().await;
    let all: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0; 64], &[0xff; 5000], b"\x16\x03\x01\xff\xff"];
    for garbage in all {
        let mut stream = says(acceptor.local_addr(), garbage).await;
        stream.shutdown().await.expect("it is open");
        // The end comes, in whichever form: everything else waits for a deadline.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    until_refused(&listening, "broken").await;
    joined(&plan.endpoint(replica(1)), &mut acceptor).await;
}

/// X1: they come in their hundreds and say nothing, or a byte now and then.
#[tokio::test]
async fn handshakes_that_never_end_hinder_nobody() {
    let limits =
        Limits { handshakes: 16, handshakes_per_address: 16, handshake: LONG, ..Limits::default() };
    let mut plan = Plan { limits, ..Plan::default() };
    let (listening, mut acceptor) = plan.listen().await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(says(acceptor.local_addr(), &[0x16]).await);
    }
    let (dialed, accepted) = joined(&plan.endpoint(replica(1)), &mut acceptor).await;
    assert_eq!((dialed.party, accepted.party), (replica(0), replica(1)));
    // 101 came, and 16 fit.
    until_refused(&listening, "evicted").await;
    let evicted = listening.refusals()["evicted"];
    assert!(evicted >= 84, "{evicted}");
}

/// X1: and from so many addresses that none has more than another.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_oldest_handshake_makes_room_where_all_addresses_have_one() {
    let limits = Limits { handshakes: 4, handshake: LONG, ..Limits::default() };
    let (listening, acceptor) = Plan { limits, ..Plan::default() }.listen().await;
    let mut idle = Vec::new();
    for host in 2..=7 {
        idle.push(comes_from(host, &acceptor).await);
    }
    for stream in &mut idle[..2] {
        ends(stream).await;
    }
    until_refused(&listening, "evicted").await;
    assert!(is_still_there(&mut idle[5]).await);
}

/// X1: not even the oldest is ended for strangers, if it comes from where somebody listed is.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn strangers_of_any_number_of_addresses_make_room_for_each_other() {
    let limits = Limits { handshakes: 4, handshake: LONG, ..Limits::default() };
    let mut plan = Plan { limits, ..Plan::default() };
    let (listening, mut acceptor) = plan.listen().await;
    // Replica 1 comes from the first address of this machine, and again.
    joined(&plan.endpoint(replica(1)), &mut acceptor).await;
    let mut known = comes_from(1, &acceptor).await;
    let mut strangers = Vec::new();
    for host in 2..=9 {
        strangers.push(comes_from(host, &acceptor).await);
    }
    for stream in &mut strangers[..5] {
        ends(stream).await;
    }
    until_refused(&listening, "evicted").await;
    assert!(is_still_there(&mut known).await);
}

/// X1: a replica's address that begins many of them is no better than any other.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn only_a_few_handshakes_from_where_a_replica_is_are_spared() {
    let limits = Limits { handshakes: 8, handshake: LONG, ..Limits::default() };
    let mut plan = Plan { limits, ..Plan::default() };
    let (listening, mut acceptor) = plan.listen().await;
    joined(&plan.endpoint(replica(1)), &mut acceptor).await;
    let mut known = Vec::new();
    for _ in 0..6 {
        known.push(comes_from(1, &acceptor).await);
    }
    let mut strangers = Vec::new();
    for host in 2..=4 {
        strangers.push(comes_from(host, &acceptor).await);
    }
    ends(&mut known[0]).await;
    until_refused(&listening, "evicted").await;
    for stream in &mut strangers {
        assert!(is_still_there(stream).await);
    }
}

/// One of this machine's own addresses connects and says nothing.
#[cfg(target_os = "linux")]
async fn comes_from(host: u8, acceptor: &Acceptor) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).expect("our own");
    socket.connect(acceptor.local_addr()).await.expect("somebody listens")
}

#[cfg(target_os = "linux")]
async fn ends(stream: &mut TcpStream) {
    let read = tokio::time::timeout(LONG / 2, stream.read(&mut [0; 8])).await;
    assert_eq!(read.expect("it ends").expect("in order"), 0);
}

#[cfg(target_os = "linux")]
async fn is_still_there(stream: &mut TcpStream) -> bool {
    tokio::time::timeout(Duration::from_millis(50), stream.read(&mut [0; 8])).await.is_err()
}

#[tokio::test]
async fn a_handshake_has_its_time_and_no_more() {
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let mut plan = Plan { limits, ..Plan::default() };
    let (listening, acceptor) = plan.listen().await;
    let mut stream = says(acceptor.local_addr(), &[0x16, 3, 1]).await;
    assert_eq!(stream.read(&mut [0; 8]).await.expect("it ends"), 0);
    until_refused(&listening, "slow").await;
    // And after TLS, too, until the hello is there as a whole. On a slow machine the time
    // may be over before that, which is an end as well.
    let limits = Limits { handshake: Duration::from_secs(1), ..limits };
    let (listening, acceptor) = Plan { limits, ..Plan::default() }.listen().await;
    let shown = shown(replica(1), &secret(replica(1)), |_| ());
    if let Ok(mut stream) = dial(dialing(Some(shown), &[PROTOCOL]), acceptor.local_addr()).await {
        let _ = stream.write_all(&[1, 0]).await;
        let _ = tokio::time::timeout(LONG, stream.read(&mut [0; 8])).await.expect("it ends");
    }
    until_refused(&listening, "slow").await;
}

fn hello_of(plan: &Plan, party: Party) -> Hello {
    Hello::of(&plan.directory(), party)
}

/// Says this as the first message of replica 1, and hears the answer.
async fn answer_to(plan: &Plan, first: &[u8], to: SocketAddr) -> Option<Answer> {
    let mut stream = dial_as(replica(1), to).await;
    stream.write_all(first).await.expect("it is taken");
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.ok()?;
    let mut body = vec![0; u32::from_le_bytes(head) as usize];
    stream.read_exact(&mut body).await.ok()?;
    let answer = wire::decode(&body, MOST_HELLO_BYTES).expect("an answer");
    let (Answer::Welcome(theirs) | Answer::Refused(theirs, _)) = &answer;
    assert_eq!(*theirs, hello_of(plan, replica(0)));
    Some(answer)
}

#[tokio::test]
async fn a_first_message_that_is_wrong_is_refused_with_its_reason() {
    let plan = Plan::default();
    let good = hello_of(&plan, replica(1));
    let mut cases: Vec<(Vec<u8>, &str)> = vec![
        (u32::MAX.to_le_bytes().to_vec(), "bad_hello"),
        ((MOST_HELLO_BYTES as u32 + 1).to_le_bytes().to_vec(), "bad_hello"),
        (framed(b"garbage"), "bad_hello"),
        (framed(&[]), "bad_hello"),
        (framed(&[wire::encode(&good), vec![0]].concat()), "bad_hello"),
    ];
    let spoil = |change: fn(&mut Hello)| {
        let mut hello = good.clone();
        change(&mut hello);
        framed(&wire::encode(&hello))
    };
    cases.push((spoil(|hello| hello.party = replica(2)), "false_party"));
    cases.push((spoil(|hello| hello.versions = vec![7, 8].into()), "other_version"));
    cases.push((spoil(|hello| hello.versions = vec![].into()), "other_version"));
    cases.push((spoil(|hello| hello.cluster = ClusterId(Digest::of(b"x"))), "other_cluster"));
    for (first, cause) in cases {
        let mut plan = Plan::default();
        let (listening, acceptor) = plan.listen().await;
        let answer = answer_to(&plan, &first, acceptor.local_addr()).await;
        let Some(Answer::Refused(_, reason)) = answer else { panic!("{cause}: {answer:?}") };
        assert!(reason.len() > 20, "{cause}: {reason:?}");
        until_refused(&listening, cause).await;
    }
    // S17: and a later program that still speaks our version is welcome.
    let mut plan = plan;
    let (_listening, acceptor) = plan.listen().await;
    let first = spoil(|hello| hello.versions = vec![9, VERSIONS[0]].into());
    let answer = answer_to(&plan, &first, acceptor.local_addr()).await;
    assert!(matches!(answer, Some(Answer::Welcome(_))), "{answer:?}");
}

/// A replica that answers with anything but an answer is no replica of ours.
#[tokio::test]
async fn a_dialed_replica_that_answers_with_garbage_is_refused() {
    for answer in [framed(b"garbage"), u32::MAX.to_le_bytes().to_vec()] {
        let listener = tokio::net::TcpListener::bind(anywhere()).await.expect("a free port");
        let plan = Plan {
            addresses: std::array::from_fn(|_| {
                listener.local_addr().expect("a bound port").to_string()
            }),
            ..Plan::default()
        };
        let honest = plan.endpoint(replica(0));
        let config = std::sync::Arc::clone(&honest.shared.server);
        let endpoint = plan.endpoint(client(0));
        let lying = async {
            let (stream, _) = listener.accept().await.expect("somebody dials");
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            let mut stream = acceptor.accept(stream).await.expect("both keys are listed");
            stream.write_all(&answer).await.expect("it is taken");
            stream.flush().await.expect("it is taken");
            stream
        };
        let (dialed, _stream) = tokio::join!(endpoint.dial(ReplicaId(0)), lying);
        dialed.expect_err("no answer");
        assert_eq!(endpoint.refusals().get("bad_hello"), Some(&1));
    }
}
