//! X2, X3, X4: certificates that are not taken, seen from both sides.

use super::support::*;
use crate::crypto::SecretKey;
use crate::net::identity::{Certificates, Terms};
use crate::net::tls::PROTOCOL;
use crate::net::verifier::key_in;
use crate::net::{DialError, Identity, Party};
use crate::types::ReplicaId;
use rcgen::ExtendedKeyUsagePurpose;
use rustls::pki_types::CertificateDer;
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn expired(terms: &mut Terms) {
    terms.from = SystemTime::now() - 9 * DAY;
    terms.until = SystemTime::now() - DAY;
}

fn not_yet_valid(terms: &mut Terms) {
    terms.from = SystemTime::now() + DAY;
}

fn for_nothing(terms: &mut Terms) {
    terms.purposes.clear();
}

fn for_another_purpose(terms: &mut Terms) {
    terms.purposes = vec![ExtendedKeyUsagePurpose::CodeSigning];
}

/// A certificate whose signature is not its key's.
fn spoilt_signature(party: Party) -> Shown {
    let (chain, key) = shown(party, &secret(party), |_| ());
    let mut bytes = chain[0].to_vec();
    *bytes.last_mut().expect("a certificate") ^= 1;
    (vec![CertificateDer::from(bytes)], key)
}

/// What each side may show, and why it is refused.
fn wrong_ones(party: Party) -> Vec<(Shown, &'static str)> {
    let ours = secret(party);
    let stranger = SecretKey::from_seed(&[9; 32]);
    vec![
        (shown(party, &ours, expired), "expired"),
        (shown(party, &ours, not_yet_valid), "not_yet_valid"),
        (shown(party, &ours, for_nothing), "wrong_purpose"),
        (shown(party, &ours, for_another_purpose), "wrong_purpose"),
        (shown(party, &stranger, |_| ()), "not_listed"),
        (spoilt_signature(party), "bad_certificate"),
    ]
}

#[tokio::test]
async fn a_dialers_certificate_that_is_wrong_is_refused_with_its_reason() {
    for (shown, cause) in wrong_ones(replica(1)) {
        let mut plan = Plan::default();
        let (listening, acceptor) = plan.listen().await;
        let stream = dial(dialing(Some(shown), &[PROTOCOL]), acceptor.local_addr()).await;
        // In TLS 1.3 the dialer believes itself connected until it reads.
        let mut stream = stream.expect("its own side is content");
        let error = stream.read(&mut [0; 16]).await.expect_err(cause);
        assert!(error.to_string().contains("alert"), "{cause}: it is told by an alert: {error}");
        until_refused(&listening, cause).await;
        assert_eq!(listening.refusals().len(), 1, "{cause}: {:?}", listening.refusals());
    }
}

#[tokio::test]
async fn a_dialed_replicas_certificate_that_is_wrong_is_refused_with_its_reason() {
    for (shown, cause) in wrong_ones(replica(0)) {
        let mut plan = Plan::default();
        plan.addresses[0] = serve(shown).await.to_string();
        let endpoint = plan.endpoint(replica(1));
        let error = endpoint.dial(ReplicaId(0)).await.expect_err(cause);
        assert!(
            matches!(&error, DialError::Refused { refusal, .. } if refusal.cause() == cause),
            "{cause}: {error}"
        );
    }
}

/// What the side that is refused can tell its own operator.
#[tokio::test]
async fn who_is_not_listed_is_told_that_by_the_other_side() {
    let mut plan = Plan::default();
    let (listening, _acceptor) = plan.listen().await;
    // Both know a cluster, and the dialer's lists another key for itself.
    let stranger = crate::net::Listed {
        address: plan.addresses[0].clone(),
        tls_key: secret(replica(0)).public(),
    };
    let own = SecretKey::from_seed(&[9; 32]);
    let others = (1..4).map(|id| crate::net::Listed {
        address: "127.0.0.1:1".into(),
        tls_key: match id {
            1 => own.public(),
            other => secret(replica(other)).public(),
        },
    });
    let genesis = plan.directory().genesis().clone();
    let clients = (0..2).map(|id| secret(client(id)).public()).collect();
    let listed = [stranger].into_iter().chain(others).collect();
    let directory = crate::net::Directory::new(
        "test",
        crate::message::Genesis::clone(&genesis),
        listed,
        clients,
    );
    let identity = Identity::new(replica(1), own);
    let directory = directory.expect("a good directory");
    let endpoint = crate::net::Endpoint::new(directory, identity, plan.limits);
    let error = endpoint.expect("its own key").dial(ReplicaId(0)).await.expect_err("not listed");
    assert!(error.to_string().contains("our TLS key is not listed there"), "{error}");
    until_refused(&listening, "not_listed").await;
}

#[tokio::test]
async fn no_certificate_is_refused() {
    let mut plan = Plan::default();
    let (listening, acceptor) = plan.listen().await;
    let stream = dial(dialing(None, &[PROTOCOL]), acceptor.local_addr()).await;
    let mut stream = stream.expect("its own side is content");
    stream.read(&mut [0; 16]).await.expect_err("a certificate is required");
    until_refused(&listening, "no_certificate").await;
}

#[tokio::test]
async fn another_protocol_inside_of_tls_is_refused() {
    let protocols: [&[&[u8]]; 2] = [&[], &[b"h2", b"http/1.1"]];
    for protocols in protocols {
        let mut plan = Plan::default();
        let (listening, acceptor) = plan.listen().await;
        let shown = shown(replica(1), &secret(replica(1)), |_| ());
        let dialed = dial(dialing(Some(shown), protocols), acceptor.local_addr()).await;
        until_refused(&listening, "other_protocol").await;
        drop(dialed);
    }
}

#[test]
fn a_certificate_is_made_again_every_day_and_carries_the_listed_key() {
    let identity = Identity::new(replica(0), secret(replica(0)));
    let certificates = Certificates::new(&identity).expect("a good key");
    let now = SystemTime::now();
    let first = certificates.at(now);
    assert_eq!(key_in(&first.cert[0]).expect("a key"), identity.public());
    assert_eq!(certificates.at(now + DAY / 2).cert, first.cert);
    let next = certificates.at(now + 2 * DAY);
    assert_ne!(next.cert, first.cert);
    assert_eq!(certificates.at(now + 2 * DAY + DAY / 2).cert, next.cert);
    // A clock that was set back makes new ones too.
    assert_ne!(certificates.at(now - 30 * DAY).cert, next.cert);
}

#[test]
fn no_session_is_ever_resumed() {
    let plan = Plan::default();
    let endpoint = plan.endpoint(replica(0));
    let server = &endpoint.shared.server;
    assert_eq!((server.send_tls13_tickets, server.max_early_data_size), (0, 0));
    assert!(!server.session_storage.can_cache());
    assert!(!server.ticketer.enabled());
}
