//! A cluster whose keys are all known: signed messages, true and forged, for tests.
//!
//! Keys follow from numbers, so that every run signs the same bytes. Everything here
//! signs what it is told to; whether that is allowed is for the tested code to find.

use quorate::crypto::{ClusterId, Ed25519, PublicKey, SecretKey};
use quorate::message::{
    Author, Batch, Body, CheckedGenesis, Checkpoint, CheckpointCertificate, Commit,
    CommitCertificate, Endorsement, Genesis, Item, NewView, Parameters, PrePrepare, Prepare,
    PreparedCertificate, Receipt, ReceiptCertificate, RecoveryRequest, Request, Signed, Verifier,
    ViewChange, Voter,
};
use quorate::types::{
    ClientId, Digest, Incarnation, Nonce, ReplicaId, RequestNumber, Seq, Timestamp, View,
};
use quorate::wire::{self, Blob, List, Wire};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many clients every cluster here lists.
pub(crate) const CLIENTS: u32 = 3;

/// Small numbers, so that a test can stand at the edge of each.
pub(crate) fn parameters() -> Parameters {
    Parameters {
        checkpoint_interval: 4,
        window: 8,
        batch_items: 3,
        batch_bytes: 2048,
        bundle_operations: 4,
        bundle_bytes: 256,
        client_window: 16,
        ..Parameters::default()
    }
}

/// The key of a replica or client, the same in every cluster.
pub(crate) fn key_of(author: Author) -> SecretKey {
    let mut seed = [0; 32];
    match author {
        Author::Replica(id) => {
            seed[0] = 1;
            seed[1..3].copy_from_slice(&id.0.to_le_bytes());
        }
        Author::Client(id) => {
            seed[0] = 2;
            seed[1..5].copy_from_slice(&id.0.to_le_bytes());
        }
    }
    SecretKey::from_seed(&seed)
}

/// A replica in its first life.
pub(crate) fn voter(replica: u16) -> Voter {
    Voter { replica: ReplicaId(replica), incarnation: Incarnation::FIRST }
}

/// Some digest.
pub(crate) fn digest(of: &str) -> Digest {
    Digest::of(of.as_bytes())
}

/// A cluster of `n` replicas.
pub(crate) struct Cluster {
    pub(crate) genesis: Arc<CheckedGenesis>,
    pub(crate) id: ClusterId,
    pub(crate) verifier: Verifier<Ed25519>,
    keys: BTreeMap<Author, SecretKey>,
}

impl Cluster {
    /// A cluster of so many replicas under [`parameters`].
    pub(crate) fn of(n: u16) -> Cluster {
        Cluster::with(n, parameters())
    }

    /// A cluster of so many replicas under parameters of one's own.
    pub(crate) fn with(n: u16, parameters: Parameters) -> Cluster {
        // One replica and one client more have keys, and are not listed.
        let replicas = (0..=n).map(|id| Author::Replica(ReplicaId(id)));
        let clients = (0..=CLIENTS).map(|id| Author::Client(ClientId(id)));
        let keys: BTreeMap<Author, SecretKey> =
            replicas.chain(clients).map(|author| (author, key_of(author))).collect();
        let public = |author: Author| -> PublicKey { keys[&author].public() };
        let genesis = Genesis {
            name: List(b"a cluster for tests".to_vec()),
            replicas: (0..n).map(|id| public(Author::Replica(ReplicaId(id)))).collect(),
            clients: (0..CLIENTS).map(|id| public(Author::Client(ClientId(id)))).collect(),
            parameters,
        };
        let genesis = genesis.checked().expect("a good genesis");
        let id = genesis.cluster();
        let verifier = Verifier::new(Arc::clone(&genesis), Ed25519);
        Cluster { genesis, id, verifier, keys }
    }

    /// `n`.
    pub(crate) fn size(&self) -> u16 {
        u16::try_from(self.genesis.replicas.len()).expect("few replicas")
    }

    /// `Q` for the sizes that tests use, counted by hand and not by the tested code.
    pub(crate) fn quorum(&self) -> u16 {
        match self.size() {
            4 => 3,
            5 | 6 => 4,
            7 => 5,
            other => panic!("nobody counted the quorum of {other} by hand"),
        }
    }

    /// The replica that no genesis lists.
    pub(crate) fn stranger(&self) -> u16 {
        self.size()
    }

    /// The primary of a view.
    pub(crate) fn primary(&self, view: u64) -> u16 {
        u16::try_from(view % u64::from(self.size())).expect("less than the size")
    }

    /// Signed by whom the body names.
    pub(crate) fn sign<T: Body>(&self, body: T) -> Signed<T> {
        let author = body.author();
        self.sign_as(author, body)
    }

    /// Signed by somebody, whoever the body names.
    pub(crate) fn sign_as<T: Body>(&self, signer: Author, body: T) -> Signed<T> {
        Signed::sign(body, &self.id, &self.keys[&signer])
    }

    pub(crate) fn request(&self, client: u32, first: u64, operations: &[&str]) -> Signed<Request> {
        self.sign(request_body(client, first, 0, operations))
    }

    pub(crate) fn recovery(&self, replica: u16, nonce: u64) -> Signed<RecoveryRequest> {
        self.sign(RecoveryRequest { replica: ReplicaId(replica), nonce: Nonce(nonce) })
    }

    /// A batch of one request of client 0.
    pub(crate) fn batch(&self, first: u64) -> Batch {
        Batch::new(Timestamp(1_000), vec![Item::Request(self.request(0, first, &["put"]))])
    }

    pub(crate) fn pre_prepare(&self, view: u64, seq: u64, digest: Digest) -> Signed<PrePrepare> {
        let by = voter(self.primary(view));
        self.sign(PrePrepare { view: View(view), seq: Seq(seq), digest, by })
    }

    pub(crate) fn prepare(&self, by: u16, view: u64, seq: u64, digest: Digest) -> Signed<Prepare> {
        self.sign(Prepare { view: View(view), seq: Seq(seq), digest, by: voter(by) })
    }

    pub(crate) fn commit(&self, by: u16, view: u64, seq: u64, digest: Digest) -> Signed<Commit> {
        self.sign(Commit { view: View(view), seq: Seq(seq), digest, by: voter(by) })
    }

    pub(crate) fn checkpoint(&self, by: u16, seq: u64, digest: Digest) -> Signed<Checkpoint> {
        self.sign(Checkpoint { seq: Seq(seq), digest, by: voter(by) })
    }

    /// A receipt for the operation `put` of client 1, under number 7.
    pub(crate) fn receipt(&self, by: u16, seq: u64, result: Digest) -> Signed<Receipt> {
        self.sign(Receipt { by: voter(by), ..receipt_body(seq, result) })
    }

    /// Prepares of these replicas, as a certificate holds them.
    pub(crate) fn prepares(
        &self,
        by: &[u16],
        view: u64,
        seq: u64,
        digest: Digest,
    ) -> Vec<Endorsement> {
        by.iter().map(|id| endorsement(&self.prepare(*id, view, seq, digest))).collect()
    }

    /// Commits of these replicas, as a certificate holds them.
    pub(crate) fn commits(
        &self,
        by: &[u16],
        view: u64,
        seq: u64,
        digest: Digest,
    ) -> Vec<Endorsement> {
        by.iter().map(|id| endorsement(&self.commit(*id, view, seq, digest))).collect()
    }

    /// Checkpoints of these replicas, as a certificate holds them.
    pub(crate) fn checkpoints(&self, by: &[u16], seq: u64, digest: Digest) -> Vec<Endorsement> {
        by.iter().map(|id| endorsement(&self.checkpoint(*id, seq, digest))).collect()
    }

    /// Receipts of these replicas, as a certificate holds them.
    pub(crate) fn receipts(&self, by: &[u16], seq: u64, result: Digest) -> Vec<Endorsement> {
        by.iter().map(|id| endorsement(&self.receipt(*id, seq, result))).collect()
    }

    /// The `Q-1` backups of a view with the lowest numbers.
    pub(crate) fn backups(&self, view: u64) -> Vec<u16> {
        let primary = self.primary(view);
        let backups = (0..self.size()).filter(|id| *id != primary);
        backups.take(usize::from(self.quorum() - 1)).collect()
    }

    /// The `Q` replicas with the lowest numbers.
    pub(crate) fn lowest(&self) -> Vec<u16> {
        (0..self.quorum()).collect()
    }

    /// A true prepared certificate.
    pub(crate) fn prepared(&self, view: u64, seq: u64, digest: Digest) -> PreparedCertificate {
        let prepares = self.prepares(&self.backups(view), view, seq, digest);
        prepared_of(self.pre_prepare(view, seq, digest), prepares)
    }

    /// A true commit certificate.
    pub(crate) fn committed(&self, view: u64, seq: u64, digest: Digest) -> CommitCertificate {
        let commits = self.commits(&self.lowest(), view, seq, digest);
        committed_of(View(view), Seq(seq), digest, commits)
    }

    /// A true checkpoint certificate.
    pub(crate) fn stable(&self, seq: u64, digest: Digest) -> CheckpointCertificate {
        stable_of(Seq(seq), digest, self.checkpoints(&self.lowest(), seq, digest))
    }

    /// A true certificate of receipts.
    pub(crate) fn receipted(&self, seq: u64, result: Digest) -> ReceiptCertificate {
        receipted_of(receipt_body(seq, result), self.receipts(&self.lowest(), seq, result))
    }

    pub(crate) fn view_change(
        &self,
        by: u16,
        view: u64,
        stable: Option<CheckpointCertificate>,
        prepared: Vec<PreparedCertificate>,
    ) -> Signed<ViewChange> {
        let prepared = List(prepared);
        self.sign(ViewChange { view: View(view), by: voter(by), stable, prepared })
    }

    /// A new view by its primary with these proposals, whether or not they follow.
    pub(crate) fn new_view(
        &self,
        view: u64,
        view_changes: Vec<Signed<ViewChange>>,
        proposals: &[(u64, Digest)],
    ) -> Signed<NewView> {
        let proposals =
            proposals.iter().map(|(seq, digest)| self.pre_prepare(view, *seq, *digest)).collect();
        self.sign(NewView {
            view: View(view),
            by: voter(self.primary(view)),
            view_changes: List(view_changes),
            pre_prepares: proposals,
        })
    }
}

/// A request's body.
pub(crate) fn request_body(
    client: u32,
    first: u64,
    acknowledged: u64,
    operations: &[&str],
) -> Request {
    Request {
        client: ClientId(client),
        first: RequestNumber(first),
        acknowledged: RequestNumber(acknowledged),
        operations: operations.iter().map(|one| Blob::from(*one)).collect(),
    }
}

/// What a receipt says of the operation `put` of client 1, under number 7.
pub(crate) fn receipt_body(seq: u64, result: Digest) -> Receipt {
    Receipt {
        client: ClientId(1),
        number: RequestNumber(7),
        seq: Seq(seq),
        operation: digest("put"),
        result,
        by: voter(0),
    }
}

/// A vote that names its caster.
pub(crate) trait Cast: Body {
    /// Who casts it.
    fn by(&self) -> Voter;
}

macro_rules! cast {
    ($($type:ty),*) => {$(
        impl Cast for $type {
            fn by(&self) -> Voter {
                self.by
            }
        }
    )*};
}
cast!(Prepare, Commit, Checkpoint, Receipt);

/// A vote as a certificate holds it.
pub(crate) fn endorsement<T: Cast>(vote: &Signed<T>) -> Endorsement {
    Endorsement { by: vote.body.by(), signature: vote.signature }
}

/// The value that has these parts' bytes one after the other: the only way to a
/// certificate with a fault, since the library makes none.
pub(crate) fn forged<T: Wire>(parts: &impl bincode::Encode) -> T {
    wire::decode(&wire::encode(parts), wire::MOST_BYTES).expect("the parts of that type")
}

/// A prepared certificate of any parts.
pub(crate) fn prepared_of(
    proposal: Signed<PrePrepare>,
    prepares: Vec<Endorsement>,
) -> PreparedCertificate {
    forged(&(proposal, List(prepares)))
}

/// A commit certificate of any parts.
pub(crate) fn committed_of(
    view: View,
    seq: Seq,
    digest: Digest,
    commits: Vec<Endorsement>,
) -> CommitCertificate {
    forged(&(view, seq, digest, List(commits)))
}

/// A checkpoint certificate of any parts.
pub(crate) fn stable_of(
    seq: Seq,
    digest: Digest,
    checkpoints: Vec<Endorsement>,
) -> CheckpointCertificate {
    forged(&(seq, digest, List(checkpoints)))
}

/// A certificate of receipts of any parts. Who signed is for the receipts to say.
pub(crate) fn receipted_of(said: Receipt, receipts: Vec<Endorsement>) -> ReceiptCertificate {
    let Receipt { client, number, seq, operation, result, .. } = said;
    forged(&(client, number, seq, operation, result, List(receipts)))
}
