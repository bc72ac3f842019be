//! The proof, in a type, that something was checked.

use super::bodies::{Body, Checkpoint, Commit, NewView, PrePrepare, Prepare, Signed, ViewChange};
use super::certificate::{CheckpointCertificate, PreparedCertificate};
use super::evidence::Evidence;
use crate::crypto::{ClusterId, Signer};
use std::ops::Deref;

/// A value whose signatures and stateless rules have been checked.
///
/// There are two ways to one: the [`super::Verifier`], and having signed it oneself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Only this module's rules may say that something is verified.
    pub(super) fn vouch(value: T) -> Verified<T> {
        Verified(value)
    }

    /// The value, without the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T: Body> Verified<Signed<T>> {
    /// Signs a body oneself.
    pub fn sign(body: T, cluster: &ClusterId, signer: &dyn Signer) -> Verified<Signed<T>> {
        Verified(Signed::sign(body, cluster, signer))
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// What is nested in something verified was verified with it.
impl Verified<Signed<ViewChange>> {
    /// The certificate of the stable checkpoint.
    pub fn stable(&self) -> Option<Verified<CheckpointCertificate>> {
        self.0.body.stable.clone().map(Verified)
    }
}

impl Verified<Signed<NewView>> {
    /// The proposals that the view starts with.
    pub fn proposals(&self) -> impl Iterator<Item = Verified<Signed<PrePrepare>>> {
        self.0.body.pre_prepares.iter().cloned().map(Verified)
    }

    /// The view-changes that it stands on.
    pub fn view_changes(&self) -> impl Iterator<Item = Verified<Signed<ViewChange>>> {
        self.0.body.view_changes.iter().cloned().map(Verified)
    }

    /// The highest certificate of a stable checkpoint among them.
    pub fn stable(&self) -> Option<Verified<CheckpointCertificate>> {
        let shown = self.0.body.view_changes.iter().filter_map(|one| one.body.stable.as_ref());
        shown.max_by_key(|certificate| certificate.seq()).cloned().map(Verified)
    }
}

impl Verified<PreparedCertificate> {
    /// The primary's proposal.
    pub fn verified_proposal(&self) -> Verified<Signed<PrePrepare>> {
        Verified(self.0.proposal().clone())
    }

    /// The backups' prepares.
    pub fn verified_prepares(&self) -> impl Iterator<Item = Verified<Signed<Prepare>>> {
        self.0.prepares().iter().map(|member| {
            let body = self.0.prepare_of(member);
            Verified(Signed { body, signature: member.signature })
        })
    }
}

/// Two verified bodies beside each other are evidence, if they conflict.
macro_rules! conflict {
    ($($body:ty => $variant:ident($wrap:expr)),* $(,)?) => {$(
        impl Verified<Signed<$body>> {
            /// The evidence that this and an earlier body of the same author are.
            pub fn conflict(&self, earlier: &Verified<Signed<$body>>) -> Option<Verified<Evidence>> {
                let wrap = $wrap;
                let evidence = Evidence::$variant(wrap(earlier.0.clone()), wrap(self.0.clone()));
                evidence.is_conflict().then_some(Verified(evidence))
            }
        }
    )*};
}

conflict!(
    PrePrepare => PrePrepare(std::convert::identity),
    Prepare => Prepare(std::convert::identity),
    Commit => Commit(std::convert::identity),
    Checkpoint => Checkpoint(std::convert::identity),
    ViewChange => ViewChange(Box::new),
    NewView => NewView(Box::new),
);
