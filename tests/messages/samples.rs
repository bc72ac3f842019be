//! One value of every kind that is encoded, each with a stable name. A new variant does
//! not compile until it has a name here, and its name fails until there is a value.

use crate::support::{Cluster, digest, request_body, voter};
use quorate::crypto::{ClusterId, PublicKey, Signature};
use quorate::message::batch::NULL;
use quorate::message::{
    Batch, CheckpointCertificate, ClientMessage, Commit, Evidence, Fetch, Genesis, Held, Item,
    NewView, PeerMessage, PreparedCertificate, Reply, ReplyOutcome, Signed, SlotStatus,
    StartAnswer, Status, ToClient, ViewChange, Voter,
};
use quorate::replica::Record;
use quorate::service::tree::{Part, Path, Proof};
use quorate::service::{KeyRange, Refusal, Tree};
use quorate::types::{
    ClientId, Digest, Incarnation, Nonce, ReplicaId, RequestNumber, Seq, Timestamp, View,
};
use quorate::wire::{self, Blob, List};

/// Names for the variants of an enum, by a match that must be exhaustive.
macro_rules! variants {
    ($($name_of:ident, $names:ident, $type:ty, $prefix:literal:
        { $($pattern:pat => $name:literal,)* })*) => {$(
        pub(crate) fn $name_of(value: &$type) -> &'static str {
            use $type::*;
            match value { $($pattern => concat!($prefix, "-", $name),)* }
        }
        /// The name of every variant.
        pub(crate) const $names: &[&str] = &[$(concat!($prefix, "-", $name)),*];
    )*};
}

variants! {
    name_of_peer, PEER, PeerMessage, "peer": {
        Relay(_) => "relay",
        Recovery(_) => "recovery",
        Propose(..) => "propose",
        Prepare(_) => "prepare",
        Commit(_) => "commit",
        Checkpoint(_) => "checkpoint",
        ViewChange(_) => "view-change",
        NewView(..) => "new-view",
        Stable(_) => "stable",
        Status(_) => "status",
        Fetch(_) => "fetch",
        Batch(_) => "batch",
        Decided(..) => "decided",
        Part(..) => "part",
        NoState(_) => "no-state",
        StartQuery(_) => "start-query",
        StartAnswer(_) => "start-answer",
        Evidence(_) => "evidence",
    }
    name_of_client, CLIENT, ClientMessage, "client": {
        Request(_) => "request",
        Read(..) => "read",
        Prove(..) => "prove",
        Session(_) => "session",
        Receipt(_) => "receipt",
    }
    name_of_to_client, TO_CLIENT, ToClient, "to-client": {
        Reply(_) => "reply",
        ReadAnswer { .. } => "read-answer",
        Proved { .. } => "proved",
        NotReady(_) => "not-ready",
        Refused(..) => "refused",
        Session { .. } => "session",
        Receipt(_) => "receipt",
    }
    name_of_fetch, FETCH, Fetch, "fetch": {
        Batch(_) => "batch",
        Decided(_) => "decided",
        NewView(_) => "new-view",
        Part(..) => "part",
        Stable(_) => "stable",
        Proposal(..) => "proposal",
    }
    name_of_held, HELD, Held, "held": {
        PrePrepare(_) => "pre-prepare",
        Prepare(_) => "prepare",
        Commit(_) => "commit",
        Checkpoint(_) => "checkpoint",
        ViewChange(_) => "view-change",
        NewView(_) => "new-view",
    }
    name_of_slot, SLOT, SlotStatus, "slot": {
        Empty => "empty",
        Proposed => "proposed",
        Prepared => "prepared",
        Decided => "decided",
    }
    name_of_outcome, OUTCOME, ReplyOutcome, "outcome": {
        Executed(_) => "executed",
        Refused(_) => "refused",
    }
    name_of_refusal, REFUSAL, Refusal, "refusal": {
        Unlisted => "unlisted",
        BundleTooLong { .. } => "bundle-too-long",
        BundleTooLarge { .. } => "bundle-too-large",
        OperationTooLarge { .. } => "operation-too-large",
        NumbersEnd => "numbers-end",
        AcknowledgesItself => "acknowledges-itself",
        AcknowledgesTooFar { .. } => "acknowledges-too-far",
        BeyondWindow { .. } => "beyond-window",
        TooMuchKept { .. } => "too-much-kept",
        Acknowledged => "acknowledged",
    }
    name_of_record, RECORD, Record, "record": {
        PrePrepare(..) => "pre-prepare",
        Prepare(_) => "prepare",
        Prepared(..) => "prepared",
        Checkpoint(_) => "checkpoint",
        Stable(_) => "stable",
        ViewChange(_) => "view-change",
        NewView(..) => "new-view",
        Evidence(_) => "evidence",
        Recovering(_) => "recovering",
        Recovered(_) => "recovered",
        Reserved(..) => "reserved",
    }
    name_of_item, ITEM, Item, "item": {
        Request(_) => "request",
        Recovery(_) => "recovery",
    }
    name_of_evidence, EVIDENCE, Evidence, "evidence": {
        PrePrepare(..) => "pre-prepare",
        Prepare(..) => "prepare",
        Commit(..) => "commit",
        Checkpoint(..) => "checkpoint",
        ViewChange(..) => "view-change",
        NewView(..) => "new-view",
    }
}

/// The values that others are made of.
pub(crate) struct Samples {
    pub(crate) cluster: Cluster,
}

/// A tree with a leaf of its own, a branch below a prefix, and a key inside another.
pub(crate) fn tree() -> Tree {
    let mut tree = Tree::new();
    for (stamp, key) in (1..).zip(["fruit/apple", "fruit/apricot", "fruit", "root"]) {
        tree.put(key.as_bytes(), format!("value of {key}").into_bytes().into(), Seq(stamp));
    }
    tree
}

/// The path to the keys that begin with these nibbles.
pub(crate) fn path(nibbles: &[u8]) -> Path {
    let steps: Vec<u8> = nibbles.iter().map(|nibble| nibble + 1).collect();
    wire::decode(&wire::encode(&Blob::from(steps)), 100).expect("a path that keys take")
}

impl Samples {
    pub(crate) fn new() -> Samples {
        Samples { cluster: Cluster::of(4) }
    }

    pub(crate) fn part(&self) -> Part {
        tree().part(&Path::root(), 1 << 16).expect("the root is there")
    }

    pub(crate) fn proof(&self) -> Proof {
        tree().prove(&KeyRange::prefix(b"fruit/"))
    }

    pub(crate) fn items(&self) -> Vec<Item> {
        vec![
            Item::Request(self.cluster.sign(request_body(1, 5, 4, &["put a", "", "get b"]))),
            Item::Recovery(self.cluster.recovery(3, 0x0102_0304_0506_0708)),
        ]
    }

    pub(crate) fn batch(&self) -> Batch {
        Batch::new(Timestamp(1_700_000_000_000_000), self.items())
    }

    pub(crate) fn prepared(&self) -> PreparedCertificate {
        self.cluster.prepared(1, 9, self.batch().digest())
    }

    pub(crate) fn stable(&self) -> CheckpointCertificate {
        self.cluster.stable(8, tree().digest())
    }

    pub(crate) fn view_change(&self, by: u16) -> Signed<ViewChange> {
        self.cluster.view_change(by, 2, Some(self.stable()), vec![self.prepared()])
    }

    pub(crate) fn new_view(&self) -> Signed<NewView> {
        let cluster = &self.cluster;
        let plain = cluster.view_change(1, 2, None, vec![]);
        let lower = vec![cluster.prepared(0, 2, digest("two")), cluster.prepared(1, 3, NULL)];
        let ahead = cluster.view_change(3, 2, None, lower);
        let changes = vec![plain, self.view_change(2), ahead];
        cluster.new_view(2, changes, &[(9, self.batch().digest())])
    }

    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        vec![
            Refusal::Unlisted,
            Refusal::BundleTooLong { operations: 300, limit: 256 },
            Refusal::BundleTooLarge { bytes: 3 << 20, limit: 2 << 20 },
            Refusal::OperationTooLarge { bytes: 2 << 20, limit: 1 << 20 },
            Refusal::NumbersEnd,
            Refusal::AcknowledgesItself,
            Refusal::AcknowledgesTooFar { limit: RequestNumber(528) },
            Refusal::BeyondWindow { last: RequestNumber(512) },
            Refusal::TooMuchKept { bytes: 5 << 20, limit: 4 << 20 },
            Refusal::Acknowledged,
        ]
    }

    pub(crate) fn outcomes(&self) -> Vec<ReplyOutcome> {
        vec![
            ReplyOutcome::Executed(Blob::from("done")),
            ReplyOutcome::Refused(Refusal::BeyondWindow { last: RequestNumber(512) }),
        ]
    }

    pub(crate) fn slots(&self) -> Vec<SlotStatus> {
        vec![SlotStatus::Empty, SlotStatus::Proposed, SlotStatus::Prepared, SlotStatus::Decided]
    }

    pub(crate) fn fetches(&self) -> Vec<Fetch> {
        vec![
            Fetch::Batch(digest("batch")),
            Fetch::Decided(Seq(9)),
            Fetch::NewView(View(2)),
            Fetch::Part(Seq(8), path(&[6, 6, 7]), None, 4096),
            Fetch::Stable(Seq(4)),
            Fetch::Proposal(View(2), Seq(9)),
        ]
    }

    pub(crate) fn held(&self) -> Vec<Held> {
        let cluster = &self.cluster;
        vec![
            Held::PrePrepare(cluster.pre_prepare(2, 9, digest("batch"))),
            Held::Prepare(cluster.prepare(3, 2, 9, digest("batch"))),
            Held::Commit(cluster.commit(3, 2, 9, digest("batch"))),
            Held::Checkpoint(cluster.checkpoint(3, 8, digest("state"))),
            Held::ViewChange(self.view_change(2)),
            Held::NewView(self.new_view()),
        ]
    }

    pub(crate) fn start_answer(&self) -> StartAnswer {
        StartAnswer {
            nonce: Nonce(11),
            view: View(2),
            highest: Some(self.prepared()),
            stable: Some(self.stable()),
            held: self.held().into(),
        }
    }

    pub(crate) fn evidence(&self) -> Vec<Evidence> {
        let cluster = &self.cluster;
        let other_view_change = cluster.view_change(2, 2, None, vec![]);
        let mut other_new_view = self.new_view().body;
        other_new_view.pre_prepares = List::default();
        let (one, other) = (digest("one"), digest("other"));
        vec![
            Evidence::PrePrepare(cluster.pre_prepare(2, 9, one), cluster.pre_prepare(2, 9, other)),
            Evidence::Prepare(cluster.prepare(1, 2, 9, one), cluster.prepare(1, 2, 9, other)),
            Evidence::Commit(cluster.commit(1, 2, 9, one), cluster.commit(1, 2, 9, other)),
            Evidence::Checkpoint(cluster.checkpoint(1, 8, one), cluster.checkpoint(1, 8, other)),
            Evidence::ViewChange(Box::new(self.view_change(2)), Box::new(other_view_change)),
            Evidence::NewView(Box::new(self.new_view()), Box::new(cluster.sign(other_new_view))),
        ]
    }

    pub(crate) fn status(&self) -> Status {
        Status {
            view: View(2),
            active: false,
            stable: Seq(8),
            executed: Seq(9),
            slots: self.slots().into(),
            view_changes: List(vec![ReplicaId(0), ReplicaId(3)]),
        }
    }

    pub(crate) fn peer_messages(&self) -> Vec<PeerMessage> {
        let cluster = &self.cluster;
        let batch = self.batch();
        let proposal = cluster.pre_prepare(2, 9, batch.digest());
        let decided = cluster.committed(2, 9, batch.digest());
        vec![
            PeerMessage::Relay(cluster.request(0, 1, &["put", "get"])),
            PeerMessage::Recovery(cluster.recovery(3, 7)),
            PeerMessage::Propose(proposal, Some(batch.clone())),
            PeerMessage::Prepare(cluster.prepare(3, 2, 9, batch.digest())),
            PeerMessage::Commit(cluster.sign(Commit {
                view: View(2),
                seq: Seq(9),
                digest: batch.digest(),
                by: Voter { replica: ReplicaId(3), incarnation: Incarnation(5) },
            })),
            PeerMessage::Checkpoint(cluster.checkpoint(3, 8, tree().digest())),
            PeerMessage::ViewChange(self.view_change(2)),
            PeerMessage::NewView(self.new_view(), Some(cluster.committed(2, 9, batch.digest()))),
            PeerMessage::Stable(self.stable()),
            PeerMessage::Status(self.status()),
            PeerMessage::Fetch(Fetch::Part(Seq(8), path(&[6, 6, 7]), Some(Seq(4)), 4096)),
            PeerMessage::Batch(batch.clone()),
            PeerMessage::Decided(decided, Some(batch)),
            PeerMessage::Part(Seq(8), Path::root(), self.part()),
            PeerMessage::NoState(Seq(8)),
            PeerMessage::StartQuery(Nonce(11)),
            PeerMessage::StartAnswer(Box::new(self.start_answer())),
            PeerMessage::Evidence(self.evidence().swap_remove(2)),
        ]
    }

    pub(crate) fn client_messages(&self) -> Vec<ClientMessage> {
        vec![
            ClientMessage::Request(self.cluster.request(2, 1, &["put"])),
            ClientMessage::Read(RequestNumber(3), Blob::from("get")),
            ClientMessage::Prove(RequestNumber(4), Blob::from("get")),
            ClientMessage::Session(Nonce(5)),
            ClientMessage::Receipt(RequestNumber(7)),
        ]
    }

    pub(crate) fn to_client(&self) -> Vec<ToClient> {
        vec![
            ToClient::Reply(Reply {
                client: ClientId(1),
                number: RequestNumber(7),
                view: View(2),
                seq: Seq(9),
                operation: digest("put"),
                outcome: ReplyOutcome::Executed(Blob::from("done")),
            }),
            ToClient::ReadAnswer {
                number: RequestNumber(3),
                operation: digest("get"),
                result: Blob::from("found"),
                changed: Seq(4),
            },
            ToClient::Proved {
                number: RequestNumber(4),
                certificate: self.stable(),
                proof: self.proof(),
                time: tree().prove(&KeyRange::single(b"root")),
            },
            ToClient::NotReady(RequestNumber(3)),
            ToClient::Refused(RequestNumber(9), Refusal::Unlisted),
            ToClient::Session {
                nonce: Nonce(5),
                acknowledged: RequestNumber(6),
                highest: RequestNumber(8),
                view: View(2),
            },
            ToClient::Receipt(self.cluster.receipt(3, 9, digest("done"))),
        ]
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let cluster = &self.cluster;
        let batch = self.batch();
        vec![
            Record::PrePrepare(cluster.pre_prepare(2, 9, batch.digest()), Some(batch.clone())),
            Record::Prepare(cluster.prepare(3, 2, 9, batch.digest())),
            Record::Prepared(self.prepared(), Some(batch)),
            Record::Checkpoint(cluster.checkpoint(3, 8, tree().digest())),
            Record::Stable(self.stable()),
            Record::ViewChange(self.view_change(2)),
            Record::NewView(self.new_view(), None),
            Record::Evidence(self.evidence().swap_remove(0)),
            Record::Recovering(Nonce(11)),
            Record::Recovered(Incarnation(1)),
            Record::Reserved(View(2), Seq(64)),
        ]
    }

    pub(crate) fn genesis(&self) -> Genesis {
        Genesis::clone(&self.cluster.genesis)
    }

    /// Types that stand inside others, as they are by themselves.
    pub(crate) fn small(&self) -> (ClusterId, PublicKey, Signature, Voter, Digest) {
        let signature = self.cluster.checkpoint(0, 8, digest("state")).signature;
        (self.cluster.id, self.cluster.genesis.replicas[0], signature, voter(3), digest("small"))
    }
}
