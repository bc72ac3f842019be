//! The one door through which this replica signs (§ Stable storage).
//!
//! It remembers every place it has signed about and asserts that no second, different
//! body leaves for the same place. Callers ask first (`Promises::allows`); an assert
//! here is a bug of ours, never a peer's doing.

use crate::crypto::{ClusterId, Signer};
use crate::message::{Body, Signed, Verified};
use crate::types::{Digest, Seq, View};
use crate::wire;
use std::collections::BTreeMap;

/// The kinds of promises.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A primary's proposal.
    PrePrepare,
    /// A backup's agreement.
    Prepare,
    /// A commit.
    Commit,
    /// A checkpoint; its view is always the first.
    Checkpoint,
    /// A wish for a view; its number is always genesis.
    ViewChange,
    /// The opening of a view; its number is always genesis.
    NewView,
}

/// A place that can be signed about once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// What is promised.
    pub kind: Kind,
    /// In which view.
    pub view: View,
    /// About which number.
    pub seq: Seq,
}

/// The signer and everything it has signed above the stable checkpoint.
pub struct Promises {
    cluster: ClusterId,
    signer: Box<dyn Signer>,
    made: BTreeMap<Place, Digest>,
    /// The highest view asked for or entered: no proposal, prepare or commit is signed below it.
    asked: View,
    /// Where something may have been proposed or prepared that the log lost: in this view,
    /// above the one number and up to the other.
    lost: (View, Seq, Seq),
}

impl Promises {
    pub(super) fn new(cluster: ClusterId, signer: Box<dyn Signer>) -> Promises {
        let lost = (View::FIRST, Seq::GENESIS, Seq::GENESIS);
        Promises { cluster, signer, made: BTreeMap::new(), asked: View::FIRST, lost }
    }

    /// Whether signing this would keep every promise made.
    pub(super) fn allows(&self, place: Place, digest: Digest) -> bool {
        let votes = matches!(place.kind, Kind::PrePrepare | Kind::Prepare | Kind::Commit);
        let view_is_open = !votes || place.view >= self.asked;
        let is_lost = matches!(place.kind, Kind::PrePrepare | Kind::Prepare)
            && self.is_lost(place.view, place.seq);
        view_is_open && self.made.get(&place).map_or(!is_lost, |made| *made == digest)
    }

    /// Whether something may have been signed about this number that nobody here remembers.
    pub(super) fn is_lost(&self, in_view: View, seq: Seq) -> bool {
        let (view, above, up_to) = self.lost;
        in_view == view && above < seq && seq <= up_to
    }

    /// Nothing more is proposed or prepared there than the log remembers.
    pub(super) fn abstain(&mut self, view: View, above: Seq, up_to: Seq) {
        self.lost = (view, above, up_to);
    }

    /// Whether anything was signed about this place.
    pub(super) fn made(&self, place: Place) -> Option<Digest> {
        self.made.get(&place).copied()
    }

    /// Signs. The digest identifies the body in its place.
    pub(super) fn sign<T: Body>(
        &mut self,
        place: Place,
        digest: Digest,
        body: T,
    ) -> Verified<Signed<T>> {
        assert!(self.allows(place, digest), "two bodies for {place:?}");
        self.remember(place, digest);
        Verified::sign(body, &self.cluster, self.signer.as_ref())
    }

    /// Signs what is no promise of a place.
    pub(super) fn sign_freely<T: Body>(&self, body: T) -> Verified<Signed<T>> {
        Verified::sign(body, &self.cluster, self.signer.as_ref())
    }

    /// Takes on a promise that the log remembers.
    pub(super) fn remember(&mut self, place: Place, digest: Digest) {
        self.made.insert(place, digest);
        if place.kind == Kind::ViewChange {
            self.asked = self.asked.max(place.view);
        }
    }

    /// Forgets promises that nobody can be held to any more: about numbers at or below
    /// the stable checkpoint, and about views below the current one.
    pub(super) fn forget(&mut self, stable: Seq, view: View) {
        self.made.retain(|place, _| match place.kind {
            Kind::ViewChange | Kind::NewView => place.view >= view,
            Kind::PrePrepare | Kind::Prepare | Kind::Commit | Kind::Checkpoint => {
                place.seq > stable
            }
        });
    }

    /// A view is entered: nothing is signed below it from here on.
    pub(super) fn enter(&mut self, view: View) {
        self.asked = self.asked.max(view);
    }

    /// Forgets what was said in and about views that were left: nothing is signed there any
    /// more. So what is remembered has a bound, however many views pass without a stable
    /// checkpoint: a few for each number of the window.
    /// They are needed until a start is over, which compares them with what others hold;
    /// a later start finds them in the log.
    pub(super) fn forget_views_left(&mut self) {
        let asked = self.asked;
        self.made.retain(|place, _| match place.kind {
            Kind::Checkpoint => true,
            Kind::PrePrepare | Kind::Prepare | Kind::Commit | Kind::ViewChange | Kind::NewView => {
                place.view >= asked
            }
        });
    }

    /// How many promises are remembered.
    pub(super) fn held(&self) -> usize {
        self.made.len()
    }
}

/// The digest by which a body without one of its own is told from others.
pub(super) fn identity<T: Body>(body: &T) -> Digest {
    Digest::of(&wire::encode(body))
}
