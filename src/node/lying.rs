//! A node's way out for a replica that lies: what it says goes through a behaviour of the
//! [malicious cast](crate::byzantine) first, once for each recipient.
//!
//! It also remembers, for whoever wants to see it, what it said in place of what. It is for
//! test clusters: code chooses it, and no file of an operator can.

use super::outlet::{Confession, Outlet};
use super::posts::Posts;
use crate::byzantine::{self, Behaviour, Conspiracy, Liar, Role};
use crate::crypto::Signer;
use crate::message::{CheckedPeer, PeerMessage, ReplyOutcome, ToClient};
use crate::net::Directory;
use crate::random::Random;
use crate::replica::To;
use crate::service::kv::KvResult;
use crate::types::{ClientId, Instant, ReplicaId};
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The most lies remembered: the latest of each kind to each recipient.
const MOST_LIES: usize = 64;

/// See the module's head.
pub struct Lying {
    name: &'static str,
    liar: Liar,
    behaviour: Box<dyn Behaviour>,
    told: u64,
    lies: BTreeMap<(&'static str, String), String>,
}

impl Lying {
    /// The way out of this replica, which lies in this way, with its own key; with others,
    /// if they conspire.
    pub fn new(
        role: &Role,
        id: ReplicaId,
        directory: &Directory,
        signer: Box<dyn Signer>,
        conspiracy: Arc<Mutex<Conspiracy>>,
    ) -> Lying {
        let liar = Liar {
            id,
            committee: directory.genesis().committee(),
            cluster: directory.cluster(),
            signer,
            random: Random::new(u64::from(id.0) + 1),
            earlier: Vec::new(),
            conspiracy,
            now: Instant(0),
            wakes_at: Instant(u64::MAX),
        };
        let behaviour = (role.play)();
        Lying { name: role.name, liar, behaviour, told: 0, lies: BTreeMap::new() }
    }

    fn remember(&mut self, kind: &'static str, to: String, truth: &str, told: &[String]) {
        self.told += 1;
        let place = (kind, to);
        if self.lies.len() >= MOST_LIES && !self.lies.contains_key(&place) {
            return;
        }
        let lie = match told {
            [] => format!("said nothing to {}, in place of: {truth}", place.1),
            some => format!("told {}: {}; in place of: {truth}", place.1, some.join(", and ")),
        };
        tracing::debug!(lie, "lied");
        self.lies.insert(place, lie);
    }

    fn tell(&mut self, posts: &Posts, to: ReplicaId, message: PeerMessage) {
        self.liar.remember(&message);
        let told = self.behaviour.tell(&mut self.liar, to, message.clone());
        if told.as_slice() != [message.clone()] {
            let (kind, truth) = described(&message);
            let told: Vec<String> = told.iter().map(|message| described(message).1).collect();
            self.remember(kind, format!("replica {to}"), &truth, &told);
        }
        for message in told {
            posts.to_peer(to, Bytes::from(wire::encode(&message)));
        }
    }
}

impl Outlet for Lying {
    fn tell_peers(&mut self, posts: &Posts, to: To, message: PeerMessage) {
        let recipients: Vec<ReplicaId> = match to {
            To::Everyone => posts.peers().collect(),
            To::Peer(peer) => vec![peer],
        };
        recipients.into_iter().for_each(|peer| self.tell(posts, peer, message.clone()));
    }

    fn tell_client(&mut self, posts: &Posts, to: ClientId, message: ToClient) {
        if !posts.has_client(to) {
            return;
        }
        let told = self.behaviour.tell_client(&mut self.liar, to, message.clone());
        if told.as_slice() != [message.clone()] {
            let told: Vec<String> = told.iter().map(answer_in_words).collect();
            let truth = answer_in_words(&message);
            self.remember("answer", format!("client {to}"), &truth, &told);
        }
        for message in told {
            posts.to_client(to, Bytes::from(wire::encode(&message)));
        }
    }

    fn hear(&mut self, message: &mut CheckedPeer) {
        byzantine::overheard(message);
    }

    fn next(&self) -> Option<Instant> {
        self.behaviour.next()
    }

    fn on_time(&mut self, posts: &Posts, now: Instant) {
        self.liar.now = now;
        if self.behaviour.next().is_none_or(|due| due > now) {
            return;
        }
        for (to, message) in self.behaviour.on_time(&mut self.liar, now) {
            let (kind, told) = described(&message);
            self.remember(kind, format!("replica {to}"), "nothing at that time", &[told]);
            posts.to_peer(to, Bytes::from(wire::encode(&message)));
        }
        self.liar.wakes_at = self.behaviour.next().unwrap_or(Instant(u64::MAX));
    }

    fn confession(&self) -> Option<Confession> {
        Some(Confession {
            behaviour: self.name.to_owned(),
            count: self.told,
            lies: self.lies.values().cloned().collect(),
        })
    }
}

/// What kind of message it is, and what it says, on one line.
fn described(message: &PeerMessage) -> (&'static str, String) {
    match message {
        PeerMessage::Propose(proposal, batch) => {
            let body = &proposal.body;
            let with = if batch.is_some() { "with" } else { "without" };
            let batch = body.digest.short();
            let at = format!("number {} of view {}", body.seq, body.view);
            ("proposal", format!("a proposal of batch {batch} for {at}, {with} the batch"))
        }
        PeerMessage::Prepare(vote) => ("prepare", {
            let body = &vote.body;
            format!("a prepare of {} at {} in view {}", body.digest.short(), body.seq, body.view)
        }),
        PeerMessage::Commit(vote) => ("commit", {
            let body = &vote.body;
            format!("a commit of {} at {} in view {}", body.digest.short(), body.seq, body.view)
        }),
        PeerMessage::Checkpoint(vote) => ("checkpoint", {
            format!("state {} at checkpoint {}", vote.body.digest.short(), vote.body.seq)
        }),
        PeerMessage::ViewChange(wish) => ("view-change", {
            let certificates = wish.body.prepared.len();
            format!("a wish for view {} with {certificates} certificates", wish.body.view)
        }),
        PeerMessage::NewView(opening, _) => ("new-view", {
            let proposals = opening.body.pre_prepares.len();
            format!("the opening of view {} with {proposals} proposals", opening.body.view)
        }),
        PeerMessage::Status(status) => ("status", {
            format!("that it is in view {} and executed {}", status.view, status.executed)
        }),
        PeerMessage::Relay(_) => ("relay", "a client's request".to_owned()),
        PeerMessage::Recovery(_) => ("recovery", "a wish for a new life".to_owned()),
        PeerMessage::Stable(certificate) => {
            ("stable", format!("the certificate of checkpoint {}", certificate.seq()))
        }
        PeerMessage::Fetch(_) => ("fetch", "a question".to_owned()),
        PeerMessage::Batch(batch) => ("batch", format!("batch {}", batch.digest().short())),
        PeerMessage::Decided(certificate, _) => {
            ("decided", format!("the decided entry {}", certificate.seq()))
        }
        PeerMessage::Part(seq, ..) => ("part", format!("a part of the state at {seq}")),
        PeerMessage::NoState(seq) => ("no-state", format!("that it has no state of {seq}")),
        PeerMessage::StartQuery(_) => ("start-query", "a question on starting".to_owned()),
        PeerMessage::StartAnswer(_) => ("start-answer", "what it knows of a starter".to_owned()),
        PeerMessage::Evidence(_) => ("evidence", "a record of a lie".to_owned()),
    }
}

/// What a replica answered to a client, on one line.
pub fn answer_in_words(message: &ToClient) -> String {
    match message {
        ToClient::Reply(reply) => match &reply.outcome {
            ReplyOutcome::Executed(result) => {
                format!("{} at {}", result_in_words(result), reply.seq)
            }
            ReplyOutcome::Refused(refusal) => format!("refused at {}: {refusal}", reply.seq),
        },
        ToClient::ReadAnswer { result, changed, .. } => {
            format!("{}, last changed at {changed}", result_in_words(result))
        }
        ToClient::Proved { certificate, .. } => {
            format!("a proof against checkpoint {}", certificate.seq())
        }
        ToClient::NotReady(_) => "not ready".to_owned(),
        ToClient::Refused(_, refusal) => format!("not taken: {refusal}"),
        ToClient::Session { highest, .. } => format!("executed your requests up to {highest}"),
        ToClient::Receipt(receipt) => {
            format!("a receipt for what was done at {}", receipt.body.seq)
        }
    }
}

fn result_in_words(result: &[u8]) -> String {
    let clipped = |bytes: &[u8]| -> String {
        let text = String::from_utf8_lossy(bytes);
        text.chars().take(40).flat_map(char::escape_debug).collect()
    };
    let Ok(result) = KvResult::from_bytes(result) else {
        return format!("the bytes \"{}\"", clipped(result));
    };
    match result {
        KvResult::Put { .. } => "written".to_owned(),
        KvResult::Got { found: None } => "nothing is there".to_owned(),
        KvResult::Got { found: Some(found) } => format!("the value \"{}\"", clipped(&found.value)),
        KvResult::Deleted { .. } => "removed".to_owned(),
        KvResult::Set { .. } => "compared and set".to_owned(),
        KvResult::Mismatch { .. } => "compared, and not alike".to_owned(),
        KvResult::Listed { items, .. } => format!("a list of {}", items.len()),
        KvResult::Refused(refusal) => format!("refused: {refusal}"),
    }
}
