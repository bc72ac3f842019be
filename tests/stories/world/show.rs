//! How stories write messages and notices down: short, the same on every run, and with
//! no digest in it. Batches are told apart by what they hold.

use super::World;
use quorate::message::batch::{ItemKey, NULL};
use quorate::message::{
    Batch, Evidence, Fetch, Item, PeerMessage, PreparedCertificate, ReplyOutcome, ToClient,
};
use quorate::replica::{Notice, Record, Replica, Standing};
use quorate::service::kv::{KvOperation, KvResult};
use quorate::types::{Digest, Seq, View};
use quorate::wire::Blob;

/// The name of a message's kind.
pub fn kind(message: &PeerMessage) -> &'static str {
    match message {
        PeerMessage::Relay(_) => "relay",
        PeerMessage::Recovery(_) => "recovery",
        PeerMessage::Propose(..) => "pre-prepare",
        PeerMessage::Prepare(_) => "prepare",
        PeerMessage::Commit(_) => "commit",
        PeerMessage::Checkpoint(_) => "checkpoint",
        PeerMessage::ViewChange(_) => "view-change",
        PeerMessage::NewView(..) => "new-view",
        PeerMessage::Stable(_) => "stable",
        PeerMessage::Status(_) => "status",
        PeerMessage::Fetch(_) => "fetch",
        PeerMessage::Batch(_) => "batch",
        PeerMessage::Decided(..) => "decided",
        PeerMessage::Part(..) => "part",
        PeerMessage::NoState(_) => "no-state",
        PeerMessage::StartQuery(_) => "start-query",
        PeerMessage::StartAnswer(_) => "start-answer",
        PeerMessage::Evidence(_) => "evidence",
    }
}

/// The number that a message is about.
pub fn seq(message: &PeerMessage) -> Option<Seq> {
    match message {
        PeerMessage::Propose(signed, _) => Some(signed.body.seq),
        PeerMessage::Prepare(signed) => Some(signed.body.seq),
        PeerMessage::Commit(signed) => Some(signed.body.seq),
        PeerMessage::Checkpoint(signed) => Some(signed.body.seq),
        PeerMessage::Stable(certificate) => Some(certificate.seq()),
        PeerMessage::Decided(certificate, _) => Some(certificate.seq()),
        PeerMessage::Part(seq, ..) | PeerMessage::NoState(seq) => Some(*seq),
        PeerMessage::Relay(_)
        | PeerMessage::Recovery(_)
        | PeerMessage::ViewChange(_)
        | PeerMessage::NewView(..)
        | PeerMessage::Status(_)
        | PeerMessage::Fetch(_)
        | PeerMessage::Batch(_)
        | PeerMessage::StartQuery(_)
        | PeerMessage::StartAnswer(_)
        | PeerMessage::Evidence(_) => None,
    }
}

/// The batches that travel in a message.
pub fn batches(message: &PeerMessage) -> Option<&Batch> {
    match message {
        PeerMessage::Propose(_, batch) | PeerMessage::Decided(_, batch) => batch.as_ref(),
        PeerMessage::Batch(batch) => Some(batch),
        _ => None,
    }
}

/// A few words of text, or how long it is.
pub fn text(blob: &Blob) -> String {
    match blob.len() {
        0..=24 => String::from_utf8_lossy(blob).into_owned(),
        bytes => format!("({bytes} bytes)"),
    }
}

fn operation(bytes: &Blob) -> String {
    match KvOperation::from_bytes(bytes) {
        Ok(KvOperation::Put { key, value }) => format!("put {} {}", text(&key), text(&value)),
        Ok(KvOperation::Get { key }) => format!("get {}", text(&key)),
        Ok(KvOperation::Delete { key }) => format!("delete {}", text(&key)),
        Ok(_) => "something".to_string(),
        Err(_) => "nonsense".to_string(),
    }
}

fn item(item: &Item) -> String {
    match item {
        Item::Request(request) => {
            let body = &request.body;
            let operations: Vec<String> = body.operations.iter().map(operation).collect();
            format!("{:?}{:?} {}", body.client, body.first, operations.join(" + "))
        }
        Item::Recovery(recovery) => format!("{:?} recovers", recovery.body.replica),
    }
}

/// What a batch holds; of a large one, whose the items are.
pub fn batch(batch: &Batch) -> String {
    let items = batch.items();
    match items.len() {
        0 => "fill-up".to_string(),
        1..=3 => items.iter().map(item).collect::<Vec<_>>().join(", "),
        count => {
            let owner = |item: &Item| match item.key() {
                ItemKey::Request(client, number) => format!("{client:?}{number:?}"),
                ItemKey::Recovery(replica, _) => format!("{replica:?}"),
            };
            let first: Vec<String> = items.iter().take(8).map(owner).collect();
            let rest = if count > 8 { format!(" and {} more", count - 8) } else { String::new() };
            format!("{}{rest}", first.join(" "))
        }
    }
}

/// A result, in the key-value service's words.
pub fn result(bytes: &Blob) -> String {
    match KvResult::from_bytes(bytes) {
        Ok(KvResult::Put { replaced: None }) => "put".to_string(),
        Ok(KvResult::Put { replaced: Some(seq) }) => format!("put over what {seq} wrote"),
        Ok(KvResult::Got { found: None }) => "nothing".to_string(),
        Ok(KvResult::Got { found: Some(found) }) => {
            format!("{} of {}", text(&found.value), found.written)
        }
        Ok(other) => format!("{other:?}"),
        Err(_) => "unreadable".to_string(),
    }
}

/// What a client is told.
pub fn to_client(message: &ToClient) -> String {
    match message {
        ToClient::Reply(reply) => match &reply.outcome {
            ReplyOutcome::Executed(bytes) => format!("{} at {}", result(bytes), reply.seq),
            ReplyOutcome::Refused(refusal) => format!("refused, {refusal} (at {})", reply.seq),
        },
        ToClient::Refused(_, refusal) => format!("refused, {refusal}"),
        ToClient::ReadAnswer { result: bytes, changed, .. } => {
            format!("{}, changed at {changed}", result(bytes))
        }
        ToClient::NotReady(_) => "not ready".to_string(),
        ToClient::Proved { certificate, .. } => format!("proved at {}", certificate.seq()),
        ToClient::Session { acknowledged, highest, .. } => {
            format!("acknowledged {acknowledged}, highest {highest}")
        }
        ToClient::Receipt(receipt) => {
            format!("a receipt for {} at {}", receipt.body.number, receipt.body.seq)
        }
    }
}

/// The kind of a record of evidence.
pub fn evidence(evidence: &Evidence) -> &'static str {
    match evidence {
        Evidence::PrePrepare(..) => "two pre-prepares",
        Evidence::Prepare(..) => "two prepares",
        Evidence::Commit(..) => "two commits",
        Evidence::Checkpoint(..) => "two checkpoints",
        Evidence::ViewChange(..) => "two view-changes",
        Evidence::NewView(..) => "two new-views",
    }
}

/// Where a replica stands.
pub fn state(replica: &Replica) -> String {
    let standing = match replica.standing() {
        Standing::Starting { .. } => "starting",
        Standing::Recovering { .. } => "recovering",
        Standing::Voting => "voting",
        Standing::Halted => "halted",
    };
    let mut line = format!(
        "view {}{}, executed {}, stable {}, {standing}",
        replica.view(),
        if replica.is_active() { "" } else { " wanted" },
        replica.executed(),
        replica.stable(),
    );
    if replica.is_in_transfer() {
        line += ", in transfer";
    }
    if replica.is_diverged() {
        line += ", diverged";
    }
    line
}

/// What is held, of the kinds of which there is any.
pub fn held(held: &quorate::replica::Held) -> String {
    let text = format!("{held:?}").replace(['{', '}'], "").replace("Held", "").replace(':', "");
    let kinds = text.split(',').map(str::trim).filter(|kind| !kind.ends_with(" 0"));
    kinds.collect::<Vec<_>>().join(", ")
}

/// A notice as a story tells it; none where it is told otherwise or not at all.
pub fn notice(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::Rejected(..) | Notice::Decided(..) | Notice::Executed(..) => return None,
        Notice::StartAnswers(..) => return None,
        Notice::Stable(seq, _) => format!("stable at {seq}"),
        Notice::Suspects { asked: view, why, .. } => format!("asks for view {view}: {why:?}"),
        Notice::Entered(view) => format!("enters view {view}"),
        Notice::Evidence(one) => {
            format!("has evidence against {:?}: {}", one.accused().replica, evidence(one))
        }
        Notice::Diverged { seq, .. } => format!("finds its state at {seq} to be wrong"),
        Notice::TransferBegan(seq) => format!("fetches the state at {seq}"),
        Notice::TransferDone(seq) => format!("has fetched the state at {seq}"),
        Notice::MayVote => "may vote".to_string(),
        Notice::RolledBack => "finds that its disk went back in time".to_string(),
        Notice::Reborn(replica, incarnation) => {
            format!("takes {replica:?} for life {incarnation}")
        }
    })
}

/// Numbers, with runs drawn together.
pub fn runs(numbers: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let show = |(first, last): &(u64, u64)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    runs.iter().map(show).collect::<Vec<_>>().join(" ")
}

impl World {
    /// What a digest stands for.
    pub fn name(&self, digest: Digest) -> String {
        match self.batches.get(&digest) {
            _ if digest == NULL => "[null]".to_string(),
            Some(known) => format!("[{}]", batch(known)),
            None => "[unknown]".to_string(),
        }
    }

    fn vote(&self, kind: &str, view: View, seq: Seq, digest: Digest) -> String {
        format!("{kind} {seq} of view {view} {}", self.name(digest))
    }

    fn certificate(&self, certificate: &PreparedCertificate) -> String {
        format!("{} of view {}", certificate.seq(), certificate.view())
    }

    /// A message.
    pub fn message(&self, message: &PeerMessage) -> String {
        let kind = kind(message);
        match message {
            PeerMessage::Relay(request) => {
                format!("relay [{}]", item(&Item::Request(request.clone())))
            }
            PeerMessage::Propose(one, _) => {
                self.vote(kind, one.body.view, one.body.seq, one.body.digest)
            }
            PeerMessage::Prepare(one) => {
                self.vote(kind, one.body.view, one.body.seq, one.body.digest)
            }
            PeerMessage::Commit(one) => {
                self.vote(kind, one.body.view, one.body.seq, one.body.digest)
            }
            PeerMessage::Batch(one) => format!("batch {}", self.name(one.digest())),
            PeerMessage::Decided(one, _) => self.vote(kind, one.view(), one.seq(), one.digest()),
            PeerMessage::ViewChange(one) => self.view_change(&one.body),
            PeerMessage::NewView(one, _) => {
                let body = &one.body;
                let from: Vec<String> = body
                    .view_changes
                    .iter()
                    .map(|one| format!("{:?}", one.body.by.replica))
                    .collect();
                let chosen: Vec<String> = body
                    .pre_prepares
                    .iter()
                    .map(|one| format!("{} {}", one.body.seq, self.name(one.body.digest)))
                    .collect();
                let chosen = match chosen.is_empty() {
                    true => "nothing".to_string(),
                    false => chosen.join(", "),
                };
                format!("new-view {} by {} with {chosen}", body.view, from.join(" "))
            }
            PeerMessage::Fetch(Fetch::Batch(digest)) => {
                format!("fetch batch {}", self.name(*digest))
            }
            PeerMessage::Fetch(Fetch::Proposal(view, seq)) => {
                format!("fetch proposal {seq} of view {view}")
            }
            PeerMessage::Fetch(Fetch::Decided(seq)) => format!("fetch decided from {seq}"),
            PeerMessage::Fetch(Fetch::NewView(view)) => format!("fetch new-view {view}"),
            PeerMessage::Fetch(Fetch::Part(seq, ..)) => format!("fetch part of {seq}"),
            PeerMessage::Fetch(Fetch::Stable(seq)) => format!("fetch stable above {seq}"),
            other => match seq(other) {
                Some(seq) => format!("{kind} {seq}"),
                None => kind.to_string(),
            },
        }
    }

    fn view_change(&self, body: &quorate::message::ViewChange) -> String {
        let prepared: Vec<String> = body.prepared.iter().map(|one| self.certificate(one)).collect();
        let prepared = match prepared.is_empty() {
            true => "nothing".to_string(),
            false => prepared.join(", "),
        };
        format!("view-change to {}, stable {}, prepared {prepared}", body.view, body.stable_seq())
    }

    /// A record of the log.
    pub fn record(&self, record: &Record) -> String {
        match record {
            Record::PrePrepare(one, _) => {
                self.vote("pre-prepare", one.body.view, one.body.seq, one.body.digest)
            }
            Record::Prepare(one) => {
                self.vote("prepare", one.body.view, one.body.seq, one.body.digest)
            }
            Record::Prepared(one, _) => self.vote("prepared", one.view(), one.seq(), one.digest()),
            Record::Checkpoint(one) => format!("checkpoint {}", one.body.seq),
            Record::Stable(one) => format!("stable {}", one.seq()),
            Record::ViewChange(one) => self.view_change(&one.body),
            Record::NewView(one, shown) => {
                let shown = if shown.is_some() { ", shown by a commit certificate" } else { "" };
                format!("new-view {}{shown}", one.body.view)
            }
            Record::Evidence(one) => {
                format!("evidence against {:?}: {}", one.accused().replica, evidence(one))
            }
            Record::Recovering(_) => "recovering".to_string(),
            Record::Recovered(incarnation) => format!("recovered, in life {incarnation}"),
            Record::Reserved(view, up_to) => format!("reserved in {view} up to {up_to}"),
        }
    }
}
