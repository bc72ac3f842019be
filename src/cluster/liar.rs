//! A node's way out for a replica that lies: what it says goes through a behaviour of the
//! [malicious cast](crate::byzantine) first, once for each recipient.
//!
//! It also remembers, for whoever wants to see it, what it said in place of what. Honest
//! nodes have nothing of this: it can be chosen by code only, and by no file.

use crate::byzantine::{Behaviour, Liar, Role, cast};
use crate::crypto::Signer;
use crate::message::{PeerMessage, ReplyOutcome, ToClient};
use crate::net::Directory;
use crate::node::outlet::Confession;
use crate::node::{Outlet, Posts};
use crate::replica::To;
use crate::service::kv::KvResult;
use crate::sim::random::Random;
use crate::types::{ClientId, Committee, ReplicaId};
use crate::wire;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The most lies remembered: the latest of each kind to each recipient.
const MOST_LIES: usize = 64;

/// There is no such behaviour.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is no behaviour {name:?}: choose one of {}", names().join(", "))]
pub struct UnknownBehaviour {
    /// What was asked for.
    pub name: String,
}

/// The behaviour of this name.
pub fn role(name: &str) -> Result<Role, UnknownBehaviour> {
    let found = cast().into_iter().find(|role| role.name == name);
    found.ok_or_else(|| UnknownBehaviour { name: name.to_owned() })
}

/// The names of all behaviours.
pub fn names() -> Vec<&'static str> {
    cast().iter().map(|role| role.name).collect()
}

/// See the module's head.
pub struct Lying {
    name: &'static str,
    liar: Liar,
    behaviour: Box<dyn Behaviour>,
    told: u64,
    lies: BTreeMap<(&'static str, String), String>,
}

impl Lying {
    /// The way out of this replica, which lies in this way, with its own key and no other.
    pub fn new(
        role: &Role,
        id: ReplicaId,
        directory: &Directory,
        committee: Committee,
        signer: Box<dyn Signer>,
    ) -> Lying {
        let liar = Liar {
            id,
            committee,
            cluster: directory.cluster(),
            signer,
            random: Random::new(u64::from(id.0) + 1),
            earlier: Vec::new(),
        };
        Lying { name: role.name, liar, behaviour: (role.play)(), told: 0, lies: BTreeMap::new() }
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
