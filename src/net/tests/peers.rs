//! Those who may connect do, and those who hold different files learn why they don't.

use super::support::*;
use crate::message::genesis::Parameters;
use crate::net::endpoint::BadEndpoint;
use crate::net::{DialError, Endpoint, Identity, Refusal};
use crate::types::ReplicaId;
use bytes::Bytes;

#[tokio::test]
async fn replicas_and_clients_connect_and_know_each_other() {
    let mut plan = Plan::default();
    let (listening, mut acceptor) = plan.listen().await;
    for party in [replica(1), replica(3), client(0), client(1)] {
        let endpoint = plan.endpoint(party);
        let (mut dialed, mut accepted) = joined(&endpoint, &mut acceptor).await;
        assert_eq!((dialed.party, accepted.party), (replica(0), party));
        assert_eq!(dialed.address, acceptor.local_addr());
        let frames: Vec<Bytes> = ["one", "", "three"].map(Bytes::from).to_vec();
        dialed.writer.write(&frames).await.expect("the connection holds");
        accepted.writer.write(&frames[2..]).await.expect("the connection holds");
        for frame in &frames {
            assert_eq!(next(&mut accepted).await, frame);
        }
        assert_eq!(next(&mut dialed).await, "three");
        assert_eq!(listening.accepted_connections(), 1);
        drop(dialed);
        assert!(matches!(accepted.reader.next().await, Ok(None)), "ended, and no error");
        drop(accepted);
        assert_eq!(listening.accepted_connections(), 0);
    }
    assert!(listening.refusals().is_empty(), "{:?}", listening.refusals());
}

#[tokio::test]
async fn large_and_many_frames_arrive_whole_and_in_order() {
    let mut plan = Plan::default();
    let (_, mut acceptor) = plan.listen().await;
    let (mut dialed, mut accepted) = joined(&plan.endpoint(replica(1)), &mut acceptor).await;
    let lengths = [0, 1, 100, 16_384, 65_535, 65_536, 3 << 20, 5, 70_000, 12];
    let frames: Vec<Bytes> =
        (1..).zip(lengths).map(|(byte, length)| Bytes::from(vec![byte; length])).collect();
    let sent = frames.clone();
    let writing = async {
        dialed.writer.write(&sent).await.expect("the connection holds");
        let many: Vec<Bytes> =
            (0..5_000u32).map(|i| Bytes::from(i.to_le_bytes().to_vec())).collect();
        dialed.writer.write(&many).await.expect("the connection holds");
    };
    let reading = async {
        for frame in &frames {
            assert!(next(&mut accepted).await == frame, "{} bytes", frame.len());
        }
        let mut gathered = 0;
        for i in 0..5_000u32 {
            let frame = match accepted.reader.buffered().expect("whole frames") {
                Some(frame) => {
                    gathered += 1;
                    frame
                }
                None => next(&mut accepted).await,
            };
            assert_eq!(frame, i.to_le_bytes().as_slice());
        }
        assert!(gathered > 4_000, "many frames come with one read, not {gathered}");
    };
    tokio::join!(writing, reading);
}

/// Both sides learn what differs: the one from the other's hello, the other from its
/// answer.
#[tokio::test]
async fn another_cluster_is_refused_and_both_sides_learn_what_differs() {
    let parameters = Parameters { window: 1024, ..Parameters::default() };
    let others = [
        (Plan { name: "other", ..Plan::default() }, "the name;"),
        (Plan { parameters, ..Plan::default() }, "the parameters;"),
        (Plan { name: "other", parameters, ..Plan::default() }, "the name and the parameters;"),
    ];
    for (mut other, differing) in others {
        let mut plan = Plan::default();
        let (listening, _acceptor) = plan.listen().await;
        other.addresses = plan.addresses.clone();
        let endpoint = other.endpoint(replica(2));
        let error = endpoint.dial(ReplicaId(0)).await.expect_err("another cluster").to_string();
        assert!(error.contains("the other side refuses us: replica 2 means cluster"), "{error}");
        assert!(error.contains(differing), "{differing:?} is not in: {error}");
        until_refused(&listening, "other_cluster").await;
        assert_eq!(endpoint.refusals().keys().copied().collect::<Vec<_>>(), ["told"]);
    }
}

#[tokio::test]
async fn nobody_is_where_the_file_says() {
    let plan = Plan::default();
    let endpoint = plan.endpoint(client(0));
    let error = endpoint.dial(ReplicaId(1)).await.expect_err("nobody listens at port 1");
    assert!(matches!(error, DialError::Unreachable { .. }), "{error}");
    let error = endpoint.dial(ReplicaId(4)).await.expect_err("there are four");
    assert!(matches!(error, DialError::Unknown(ReplicaId(4))), "{error}");
}

/// X2: the addresses of two replicas are mixed up, or one answers in another's place.
#[tokio::test]
async fn a_true_certificate_of_another_replica_is_refused() {
    let mut plan = Plan::default();
    let (listening, _acceptor) = plan.listen().await;
    plan.addresses.swap(0, 2);
    let endpoint = plan.endpoint(replica(1));
    let error = endpoint.dial(ReplicaId(2)).await.expect_err("replica 0 answers");
    let expected = Refusal::OtherParty { expected: replica(2), found: replica(0) };
    assert!(
        matches!(&error, DialError::Refused { refusal, .. } if *refusal == expected),
        "{error}"
    );
    assert_eq!(endpoint.refusals().get("other_party"), Some(&1));
    until_refused(&listening, "told").await;
}

#[tokio::test]
async fn a_replica_that_dials_itself_is_told_so() {
    let mut plan = Plan::default();
    let (listening, _acceptor) = plan.listen().await;
    let own = plan.endpoint(replica(0));
    own.dial(ReplicaId(0)).await.expect_err("its own address");
    until_refused(&listening, "ourselves").await;
}

#[test]
fn a_key_that_is_not_the_listed_one_makes_no_endpoint() {
    let plan = Plan::default();
    let identity = Identity::new(replica(0), secret(replica(1)));
    let made = Endpoint::new(plan.directory(), identity, plan.limits);
    assert!(matches!(made, Err(BadEndpoint::NotTheListed(party)) if party == replica(0)));
}
