//! One number in the current view: its proposal, and the votes about it.
//!
//! How far a slot is follows from what it holds; nothing is stored beside that.

use super::tally::Tally;
use crate::message::{
    Batch, Commit, CommitCertificate, Genuine, PrePrepare, Prepare, PreparedCertificate, Signed,
    Unchecked, Verified,
};
use crate::types::{Committee, Digest, Instant, Seq, Timestamp, View};

/// A proposal that this replica does not agree with yet: it has not seen that clients
/// signed what is in it, or its clock does not support the time. It waits for that, or for
/// others to vouch for both.
#[derive(Clone, Debug)]
pub(super) struct Doubtful {
    pub(super) proposal: Verified<Signed<PrePrepare>>,
    pub(super) body: Doubt,
    /// Since when it is here.
    pub(super) since: Instant,
}

/// How far the check of the signatures is.
#[derive(Clone, Debug)]
pub(super) enum Doubt {
    /// Nobody here checks them yet.
    Unchecked(Unchecked),
    /// They are being checked.
    Checking(Unchecked),
    /// They are good.
    Genuine(Genuine),
}

impl Doubt {
    pub(super) fn digest(&self) -> Digest {
        match self {
            Doubt::Unchecked(batch) | Doubt::Checking(batch) => batch.digest(),
            Doubt::Genuine(batch) => batch.digest(),
        }
    }

    pub(super) fn time(&self) -> Timestamp {
        match self {
            Doubt::Unchecked(batch) | Doubt::Checking(batch) => batch.time(),
            Doubt::Genuine(batch) => batch.time(),
        }
    }

    /// The batch, where its digest is enough.
    pub(super) fn exempt(self) -> Batch {
        match self {
            Doubt::Unchecked(batch) | Doubt::Checking(batch) => batch.exempt(),
            Doubt::Genuine(batch) => batch.into_batch(),
        }
    }
}

/// One number in the current view.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// The proposal accepted.
    pub(super) proposal: Option<Verified<Signed<PrePrepare>>>,
    /// A proposal that was not accepted yet.
    pub(super) doubtful: Option<Doubtful>,
    /// One that was refused for what is in its batch. It was signed all the same: beside one
    /// that is accepted it convicts.
    pub(super) refused: Option<Verified<Signed<PrePrepare>>>,
    pub(super) prepares: Tally<Prepare>,
    pub(super) commits: Tally<Commit>,
    /// What the batch takes, if it came with the proposal.
    pub(super) bytes: usize,
    /// Since when this replica knows of the number.
    pub(super) since: Instant,
    /// When the proposal was accepted.
    pub(super) accepted: Option<Instant>,
    /// When every lower number was proposed too.
    pub(super) ordered: Option<Instant>,
    /// Since when this replica knew of what is in it that the primary had room for, a
    /// few of the longest.
    pub(super) known: Vec<Instant>,
    /// Whether a liar was shown our proposal already; see `ordering`.
    pub(super) shown: bool,
}

impl Slot {
    pub(super) fn new(since: Instant) -> Slot {
        Slot {
            proposal: None,
            doubtful: None,
            refused: None,
            prepares: Tally::default(),
            commits: Tally::default(),
            bytes: 0,
            since,
            accepted: None,
            ordered: None,
            known: Vec::new(),
            shown: false,
        }
    }

    /// The digest proposed and accepted.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.proposal.as_ref().map(|proposal| proposal.body.digest)
    }

    /// Since when something is proposed here, agreed with or not.
    pub(super) fn proposed(&self) -> Option<Instant> {
        self.accepted.or_else(|| self.doubtful.as_ref().map(|one| one.since))
    }

    /// Whether a proposal and `Q-1` prepares for it are here.
    pub(super) fn is_prepared(&self, committee: Committee) -> bool {
        self.proposal.as_ref().is_some_and(|proposal| {
            let primary = proposal.body.by.replica;
            let prepares = self.prepares.matching(proposal.body.digest);
            prepares.filter(|vote| vote.body.by.replica != primary).count()
                >= committee.quorum() - 1
        })
    }

    /// The certificate of that.
    pub(super) fn prepared(&self, committee: Committee) -> Option<Verified<PreparedCertificate>> {
        let proposal = self.proposal.as_ref()?;
        let matching = self.prepares.matching(proposal.body.digest);
        PreparedCertificate::new(committee, proposal, matching)
    }

    /// The certificate of `Q` commits alike, if they are here.
    pub(super) fn committed(
        &self,
        committee: Committee,
        view: View,
        seq: Seq,
    ) -> Option<Verified<CommitCertificate>> {
        if self.commits.held() < committee.quorum() {
            return None;
        }
        self.commits.digests().find_map(|digest| {
            let matching = self.commits.matching(digest);
            CommitCertificate::new(committee, view, seq, digest, matching)
        })
    }
}
