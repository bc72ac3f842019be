//! Whether clients signed what a batch holds, told by types (§ Normal case, 3; §
//! Optimisations, Vouching).
//!
//! A proposed batch arrives as [`Unchecked`]. A replica agrees with a proposal only if it
//! holds the batch as [`Genuine`], and two ways lead there: [`super::Verifier::check`] has
//! looked at every signature, or enough others vouch for the batch
//! ([`Genuine::vouched`]). Where neither is needed, because a new view chose the digest or
//! a certificate shows it to be decided, the batch is taken as it is
//! ([`Unchecked::exempt`]).
//!
//! # Why vouching is safe
//!
//! *Whatever digest an honest replica proposes or prepares is that of a batch in which
//! every request was signed by its client.* Suppose that is not so, and look at the first
//! honest replica that ever did otherwise, at the moment when it signed. It had one of four
//! reasons, and each leads to a contradiction:
//!
//! - It checked the signatures itself. By the one rule for signatures they are good for
//!   everybody.
//! - `W = f+1` others vouched: the primary by its proposal, backups by their prepares, all
//!   for this view, number and digest. One of them is honest and signed before, so it was
//!   not this replica that was first. (That is why one's own vote never counts, nobody's
//!   counts twice, and each was verified by itself. And it is why nobody's word counts
//!   that was not given: the chain of those who vouched for each other ends, since each
//!   signed before the next, and only at one who checked.)
//! - A new view chose the digest. Then it has a prepared certificate of an earlier view,
//!   with at least one honest replica in it that signed before.
//! - It proposed the batch. It made it of requests that it checked when they came, or that
//!   were in a batch it had accepted for one of the reasons above.
//!
//! So a decided entry, which a quorum prepared, is genuine, and so is whatever is shown of
//! it: replies, receipts, states. Nothing here depends on time, on who checks, or on who
//! waits.

use super::batch::{Batch, Item};
use super::bodies::{PrePrepare, Prepare, Signed};
use super::reject::Reject;
use super::verified::Verified;
use crate::types::{Committee, Digest, ReplicaId, Timestamp};
use std::collections::BTreeSet;

/// The batch beside a proposal. It hashes to the digest proposed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proposed {
    /// The null batch has no body.
    Null,
    /// It is within every limit and holds nothing twice. Who signed it is not known.
    Unchecked(Unchecked),
    /// It is over a limit or repeats itself: nobody agrees with it unless a new view chose
    /// it.
    Unfit(Batch, Reject),
}

impl Proposed {
    /// The batch for whom its digest is enough: see [`Unchecked::exempt`].
    pub fn exempt(self) -> Option<Batch> {
        match self {
            Proposed::Null => None,
            Proposed::Unchecked(batch) => Some(batch.exempt()),
            Proposed::Unfit(batch, _) => Some(batch),
        }
    }
}

/// A batch in which nobody has looked at the clients' signatures yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unchecked(Batch);

impl Unchecked {
    /// Only the verifier finds that a batch is within the limits.
    pub(super) fn within_limits(batch: Batch) -> Unchecked {
        Unchecked(batch)
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// The time proposed.
    pub fn time(&self) -> Timestamp {
        self.0.time()
    }

    /// How many signatures there are to be checked.
    pub fn signatures(&self) -> usize {
        self.0.items().len()
    }

    /// The encoded size in bytes.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Whether there is nothing in it but a time.
    pub fn is_fill_up(&self) -> bool {
        self.0.is_fill_up()
    }

    /// The batch as it is, where its digest is enough: a new view chose that, or a
    /// certificate shows it to be decided. Nothing is to be proposed or prepared because
    /// of it.
    pub fn exempt(self) -> Batch {
        self.0
    }

    pub(super) fn items(&self) -> &[Item] {
        self.0.items()
    }
}

/// A batch in which every request is signed by its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genuine(Batch);

impl Genuine {
    /// Only the verifier, which has looked at every signature, says so by itself.
    pub(super) fn checked(batch: Unchecked) -> Genuine {
        Genuine(batch.0)
    }

    /// The batch of this proposal, if a weak quorum of replicas other than `own` vouch for
    /// it: the primary, and the backups among whose votes are prepares that match. A
    /// replica counts once, however many votes or lives it has.
    pub fn vouched<'a>(
        committee: Committee,
        own: ReplicaId,
        proposal: &Verified<Signed<PrePrepare>>,
        batch: &Unchecked,
        prepares: impl IntoIterator<Item = &'a Verified<Signed<Prepare>>>,
    ) -> Option<Genuine> {
        let PrePrepare { view, seq, digest, by } = proposal.body;
        let matching = prepares
            .into_iter()
            .map(|vote| &vote.body)
            .filter(|vote| vote.view == view && vote.seq == seq && vote.digest == digest);
        let vouching: BTreeSet<ReplicaId> = std::iter::once(by.replica)
            .chain(matching.map(|vote| vote.by.replica))
            .filter(|replica| *replica != own)
            .collect();
        let is_vouched = batch.digest() == digest && vouching.len() >= committee.weak_quorum();
        is_vouched.then(|| Genuine(batch.0.clone()))
    }

    /// The time proposed.
    pub fn time(&self) -> Timestamp {
        self.0.time()
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.0.digest()
    }

    /// The same, as if nobody knew.
    pub fn as_unchecked(&self) -> Unchecked {
        Unchecked(self.0.clone())
    }

    /// The batch.
    pub fn into_batch(self) -> Batch {
        self.0
    }
}

/// What came of checking a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// Which batch.
    pub digest: Digest,
    /// The batch, or why nobody may agree with it.
    pub verdict: Result<Genuine, Reject>,
}
