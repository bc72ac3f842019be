//! Quorate: Byzantine fault-tolerant replication.
//!
//! `n = 3f + 1` replicas agree on one order of signed requests and execute them, though
//! up to `f` of them crash, lie, collude, or come back from an old backup. The protocol
//! is PBFT with signatures; what this crate adds are the corners that the papers leave
//! open.
//!
//! # The map
//!
//! | module | its job | must not |
//! | --- | --- | --- |
//! | [`types`] | the protocol's numbers, and all quorum arithmetic | know of anything else |
//! | [`wire`] | the one encoding, bounded and canonical | trust a length |
//! | [`crypto`] | keys, signatures, the one rule they are judged by | know of messages |
//! | [`message`] | bodies, certificates, evidence, and their stateless rules | hold state |
//! | [`service`] | the replicated state: tree, sessions, services | know of the protocol |
//! | [`replica`] | **the protocol**, as a pure state machine | touch clocks, files, sockets |
//! | [`client`] | a client's side of it, as pure as the replica | believe one replica |
//! | [`net`] | mutual TLS among the listed, whole frames | know what a frame means |
//! | [`config`] | the files of a cluster, a replica, a client; private keys | start anything |
//! | [`node`] | one replica with its log and its connections, kept going | decide anything |
//! | [`client::driver`] | a session with its connections, kept going | decide anything |
//! | [`cluster`] | whole clusters on one machine, liars among them | be needed by a real one |
//! | [`storage`] | the log and the states on disk, and back | start from a guess |
//! | [`sim`] | clusters in simulated time, and what is checked there | use what no seed decides |
//! | [`byzantine`] | the liars of simulations and of real clusters | be used by an honest node |
//! | [`random`] | chance, out of a number | come from anywhere else |
//! | [`cli`] | the command line | know a rule that no module knows |
//!
//! Imports point one way: `types`, `wire`, `crypto`, `message`, `replica`; `service` knows
//! `types` and `wire` only, and is what the replica executes on. A test reads the imports and
//! keeps it so.
//!
//! # The way of one request
//!
//! A client signs a bundle of operations and sends it to the replica it believes
//! primary. There, as everywhere, bytes become a message only through the
//! [`message::Verifier`], and the [`replica::Replica`] takes nothing else. It answers
//! each input with [`replica::Effects`]: records to be written, and messages, most of
//! them locked up until those records are synced. The primary proposes a batch, backups
//! prepare, all commit; `Q` commits decide the entry, which is executed on the
//! [`service::State`] in its turn. Replicas tell the client, which believes what `W` of
//! them tell alike. In each node all of that happens on one thread, from
//! socket to socket, unless it has processors to spare ([`node`]).
//!
//! # Reading order
//!
//! [`types`] for the words, [`message::bodies`] for what is signed, then
//! [`replica`], whose files each carry one section of the protocol, and whose head lists
//! them. `tests/scenarios` shows each rule at work, as a story; `tests/paper` has one
//! test for each claim.

pub mod byzantine;
pub mod cli;
pub mod client;
pub mod cluster;
pub mod config;
pub mod crypto;
pub mod message;
pub mod net;
pub mod node;
pub mod random;
pub mod replica;
pub mod service;
pub mod sim;
pub mod storage;
pub mod types;
pub mod wire;

/// The README's code runs with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
