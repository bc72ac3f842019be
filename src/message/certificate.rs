//! Certificates: enough signatures over one statement to be believed by anybody.
//!
//! All members sign the same body but for who they are, so a certificate holds the
//! body once and an endorsement for each member. Exactly as many members as are needed
//! and in strict order of replicas: one certificate for a set of votes, no member
//! twice. The fields are private: a certificate is made from verified votes here, or
//! decoded, and then it is worth nothing until the [`super::Verifier`] has judged it.

use super::bodies::{Checkpoint, Commit, PrePrepare, Prepare, Receipt, Signed, Voter};
use super::verified::Verified;
use crate::crypto::Signature;
use crate::types::{ClientId, Committee, Digest, ReplicaId, RequestNumber, Seq, View};
use crate::wire::List;
use bincode::{Decode, Encode};
use std::collections::BTreeMap;

/// One member's signature in a certificate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct Endorsement {
    /// Who signed.
    pub by: Voter,
    /// The signature.
    pub signature: Signature,
}

/// A proposal and `Q-1` prepares of distinct backups for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct PreparedCertificate {
    proposal: Signed<PrePrepare>,
    prepares: List<Endorsement>,
}

/// `Q` commits of distinct replicas: the entry is decided.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct CommitCertificate {
    view: View,
    seq: Seq,
    digest: Digest,
    commits: List<Endorsement>,
}

/// `Q` checkpoints of distinct replicas alike: the state at that number is stable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct CheckpointCertificate {
    seq: Seq,
    digest: Digest,
    checkpoints: List<Endorsement>,
}

/// `Q` receipts of distinct replicas alike: the operation was executed there, with that
/// result.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub struct ReceiptCertificate {
    client: ClientId,
    number: RequestNumber,
    seq: Seq,
    operation: Digest,
    result: Digest,
    receipts: List<Endorsement>,
}

/// The first `needed` of these endorsements by the order of replicas, one for each.
fn members(
    endorsements: impl IntoIterator<Item = Endorsement>,
    needed: usize,
) -> Option<List<Endorsement>> {
    let distinct: BTreeMap<ReplicaId, Endorsement> =
        endorsements.into_iter().map(|endorsement| (endorsement.by.replica, endorsement)).collect();
    let chosen: List<Endorsement> = distinct.into_values().take(needed).collect();
    (chosen.len() == needed).then_some(chosen)
}

impl PreparedCertificate {
    /// A certificate from a proposal and the prepares that match it, if they are enough.
    pub fn new<'a>(
        committee: Committee,
        proposal: &Verified<Signed<PrePrepare>>,
        prepares: impl IntoIterator<Item = &'a Verified<Signed<Prepare>>>,
    ) -> Option<Verified<PreparedCertificate>> {
        let body = &proposal.body;
        let matching = prepares
            .into_iter()
            .filter(|vote| {
                vote.body.view == body.view
                    && vote.body.seq == body.seq
                    && vote.body.digest == body.digest
                    && vote.body.by.replica != body.by.replica
            })
            .map(|vote| Endorsement { by: vote.body.by, signature: vote.signature });
        let prepares = members(matching, committee.quorum() - 1)?;
        let proposal = Signed::clone(proposal);
        Some(Verified::vouch(PreparedCertificate { proposal, prepares }))
    }

    /// The view in which it was prepared.
    pub fn view(&self) -> View {
        self.proposal.body.view
    }

    /// The number.
    pub fn seq(&self) -> Seq {
        self.proposal.body.seq
    }

    /// The digest prepared.
    pub fn digest(&self) -> Digest {
        self.proposal.body.digest
    }

    /// The primary's proposal.
    pub fn proposal(&self) -> &Signed<PrePrepare> {
        &self.proposal
    }

    /// The backups' endorsements.
    pub fn prepares(&self) -> &[Endorsement] {
        &self.prepares
    }

    /// The prepare that an endorsement stands for.
    pub fn prepare_of(&self, member: &Endorsement) -> Prepare {
        let PrePrepare { view, seq, digest, .. } = self.proposal.body;
        Prepare { view, seq, digest, by: member.by }
    }

    /// Everybody who signed.
    pub fn voters(&self) -> impl Iterator<Item = Voter> {
        std::iter::once(self.proposal.body.by).chain(self.prepares.iter().map(|one| one.by))
    }
}

impl CommitCertificate {
    /// A certificate from commits for one view, number and digest, if they are enough.
    pub fn new<'a>(
        committee: Committee,
        view: View,
        seq: Seq,
        digest: Digest,
        commits: impl IntoIterator<Item = &'a Verified<Signed<Commit>>>,
    ) -> Option<Verified<CommitCertificate>> {
        let matching = commits
            .into_iter()
            .filter(|vote| {
                vote.body.view == view && vote.body.seq == seq && vote.body.digest == digest
            })
            .map(|vote| Endorsement { by: vote.body.by, signature: vote.signature });
        let commits = members(matching, committee.quorum())?;
        Some(Verified::vouch(CommitCertificate { view, seq, digest, commits }))
    }

    /// The view in which it was decided.
    pub fn view(&self) -> View {
        self.view
    }

    /// The number.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The digest decided.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The members' endorsements.
    pub fn commits(&self) -> &[Endorsement] {
        &self.commits
    }

    /// The commit that an endorsement stands for.
    pub fn commit_of(&self, member: &Endorsement) -> Commit {
        Commit { view: self.view, seq: self.seq, digest: self.digest, by: member.by }
    }

    /// Everybody who signed.
    pub fn voters(&self) -> impl Iterator<Item = Voter> {
        self.commits.iter().map(|one| one.by)
    }
}

impl CheckpointCertificate {
    /// A certificate from checkpoints of one number and digest, if they are enough.
    pub fn new<'a>(
        committee: Committee,
        seq: Seq,
        digest: Digest,
        votes: impl IntoIterator<Item = &'a Verified<Signed<Checkpoint>>>,
    ) -> Option<Verified<CheckpointCertificate>> {
        let matching = votes
            .into_iter()
            .filter(|vote| vote.body.seq == seq && vote.body.digest == digest)
            .map(|vote| Endorsement { by: vote.body.by, signature: vote.signature });
        let checkpoints = members(matching, committee.quorum())?;
        Some(Verified::vouch(CheckpointCertificate { seq, digest, checkpoints }))
    }

    /// The number.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The digest of the state.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The members' endorsements.
    pub fn checkpoints(&self) -> &[Endorsement] {
        &self.checkpoints
    }

    /// The checkpoint that an endorsement stands for.
    pub fn checkpoint_of(&self, member: &Endorsement) -> Checkpoint {
        Checkpoint { seq: self.seq, digest: self.digest, by: member.by }
    }

    /// Everybody who signed.
    pub fn voters(&self) -> impl Iterator<Item = Voter> {
        self.checkpoints.iter().map(|one| one.by)
    }
}

impl ReceiptCertificate {
    /// A certificate from receipts that say the same as this one, whoever signed it, if
    /// they are enough.
    pub fn new<'a>(
        committee: Committee,
        said: &Receipt,
        receipts: impl IntoIterator<Item = &'a Verified<Signed<Receipt>>>,
    ) -> Option<Verified<ReceiptCertificate>> {
        let matching = receipts
            .into_iter()
            .filter(|one| one.body.is_alike(said))
            .map(|one| Endorsement { by: one.body.by, signature: one.signature });
        let receipts = members(matching, committee.quorum())?;
        let Receipt { client, number, seq, operation, result, .. } = *said;
        let certificate = ReceiptCertificate { client, number, seq, operation, result, receipts };
        Some(Verified::vouch(certificate))
    }

    /// Whose operation was executed.
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Its number.
    pub fn number(&self) -> RequestNumber {
        self.number
    }

    /// The entry that executed it.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The digest of the operation.
    pub fn operation(&self) -> Digest {
        self.operation
    }

    /// The digest of the result.
    pub fn result(&self) -> Digest {
        self.result
    }

    /// The members' endorsements.
    pub fn receipts(&self) -> &[Endorsement] {
        &self.receipts
    }

    /// The receipt that an endorsement stands for.
    pub fn receipt_of(&self, member: &Endorsement) -> Receipt {
        let ReceiptCertificate { client, number, seq, operation, result, .. } = *self;
        Receipt { client, number, seq, operation, result, by: member.by }
    }

    /// Everybody who signed.
    pub fn voters(&self) -> impl Iterator<Item = Voter> {
        self.receipts.iter().map(|one| one.by)
    }
}
