//! Why a connection is refused, in words for the log and in one word for the counter.

use crate::crypto::PublicKey;
use crate::net::directory::Party;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One variant for each cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// X4
    #[error(
        "it showed no certificate: it is no member of any cluster, or speaks to the wrong port"
    )]
    NoCertificate,
    /// X3: another cluster's, or nobody's.
    #[error(
        "it showed the TLS key {0}, which is not listed here: it belongs to another cluster, or \
         the two cluster files differ; compare what 'quorate config check' says of both"
    )]
    NotListed(PublicKey),
    /// X2
    #[error(
        "it is {found}, and {expected} was expected: the addresses in the cluster file are mixed \
         up, or somebody answers in another's place"
    )]
    OtherParty {
        /// Whom we dialed.
        expected: Party,
        /// Who answered.
        found: Party,
    },
    /// Only clients and replicas talk to each other.
    #[error("it is {0} itself: its own address stands where another replica's should")]
    Ourselves(Party),
    /// X3
    #[error(
        "its certificate has expired: one of the two clocks is wrong by days, or it has not \
         renewed what it renews daily; compare the clocks"
    )]
    Expired,
    /// X3
    #[error("its certificate is not valid yet: one of the two clocks is wrong by days")]
    NotYetValid,
    /// X3
    #[error("its certificate is not made for this purpose: it was not made by quorate")]
    WrongPurpose,
    /// Neither parsed nor signed as it should be.
    #[error("its certificate is no good ({0}): it was not made by quorate")]
    BadCertificate(String),
    /// X4
    #[error("it does not speak TLS 1.3: an old program, or no quorate at all")]
    OldTls,
    /// Another protocol inside of TLS.
    #[error("it does not speak quorate's protocol: it speaks to the wrong port")]
    OtherProtocol,
    /// No TLS at all, or broken off.
    #[error("the handshake broke off ({0})")]
    Broken(String),
    /// The other side ended the handshake, with this reason.
    #[error("the other side refuses us: {0}")]
    Told(String),
    /// X1
    #[error("the handshake took too long: the other side or the network is slow or overloaded")]
    Slow,
    /// X1
    #[error("its handshake was ended to make room for others': too many come at once")]
    Evicted,
    /// Both sides hold a file, and not the same.
    #[error("{0}")]
    OtherCluster(String),
    /// No version in common.
    #[error(
        "it speaks versions {0:?} of the protocol, and this node {1:?}: install the same release \
         on both"
    )]
    OtherVersion(Vec<u16>, Vec<u16>),
    /// What it says and what its key says differ.
    #[error("it calls itself {said}, and its key is that of {shown}: its own file is wrong")]
    FalseParty {
        /// Whom it claims to be.
        said: Party,
        /// Whose key it has.
        shown: Party,
    },
    /// D1, D2
    #[error("its first message cannot be read ({0}): a program that is not quorate")]
    BadHello(String),
    /// K6
    #[error("{0} has {1} connections already: close some of them, or raise the limit")]
    TooManyOfOne(Party, usize),
    /// K6
    #[error("{0} clients' connections are open already: try another replica, or raise the limit")]
    TooMany(usize),
    /// X5
    #[error("{0} connects too often: it restarts in a loop, or two run under one identity")]
    TooOften(Party),
}

impl Refusal {
    /// The cause in a word, for counters.
    pub fn cause(&self) -> &'static str {
        match self {
            Refusal::NoCertificate => "no_certificate",
            Refusal::NotListed(_) => "not_listed",
            Refusal::OtherParty { .. } => "other_party",
            Refusal::Ourselves(_) => "ourselves",
            Refusal::Expired => "expired",
            Refusal::NotYetValid => "not_yet_valid",
            Refusal::WrongPurpose => "wrong_purpose",
            Refusal::BadCertificate(_) => "bad_certificate",
            Refusal::OldTls => "old_tls",
            Refusal::OtherProtocol => "other_protocol",
            Refusal::Broken(_) => "broken",
            Refusal::Told(_) => "told",
            Refusal::Slow => "slow",
            Refusal::Evicted => "evicted",
            Refusal::OtherCluster(_) => "other_cluster",
            Refusal::OtherVersion(..) => "other_version",
            Refusal::FalseParty { .. } => "false_party",
            Refusal::BadHello(_) => "bad_hello",
            Refusal::TooManyOfOne(..) => "too_many_of_one",
            Refusal::TooMany(_) => "too_many",
            Refusal::TooOften(_) => "too_often",
        }
    }
}

/// How often each cause was met, and when it was last told to the log.
#[derive(Default)]
pub(crate) struct Counters(Mutex<BTreeMap<&'static str, Counter>>);

#[derive(Default, Clone, Copy)]
struct Counter {
    count: u64,
    untold: u64,
    told: Option<Instant>,
}

/// Whoever is refused in a loop fills no log: each cause is told once in so long.
const TOLD_EVERY: Duration = Duration::from_secs(1);

impl Counters {
    /// Counts one refusal. If it should be told, says how many before were not.
    pub fn count(&self, refusal: &Refusal) -> Option<u64> {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counter = counters.entry(refusal.cause()).or_default();
        counter.count += 1;
        if counter.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            counter.untold += 1;
            return None;
        }
        counter.told = Some(Instant::now());
        Some(std::mem::take(&mut counter.untold))
    }

    /// The counts so far.
    pub fn read(&self) -> BTreeMap<&'static str, u64> {
        let counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.iter().map(|(cause, counter)| (*cause, counter.count)).collect()
    }
}
