//! Evidence: two signed bodies that no honest replica signs both.
//!
//! A record verifies by itself: whoever has the genesis can check it offline. Conflict
//! is judged within one incarnation; a disk lost and declared lost is no lie.

use super::bodies::{Checkpoint, Commit, NewView, PrePrepare, Prepare, Signed, ViewChange, Voter};
use bincode::{Decode, Encode};

/// Two conflicting signed bodies of one replica.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Encode, Decode)]
pub enum Evidence {
    /// Two proposals for one view and number.
    PrePrepare(Signed<PrePrepare>, Signed<PrePrepare>),
    /// Two prepares for one view and number.
    Prepare(Signed<Prepare>, Signed<Prepare>),
    /// Two commits for one view and number.
    Commit(Signed<Commit>, Signed<Commit>),
    /// Two state digests for one number.
    Checkpoint(Signed<Checkpoint>, Signed<Checkpoint>),
    /// Two different wishes for one view.
    ViewChange(Box<Signed<ViewChange>>, Box<Signed<ViewChange>>),
    /// Two different openings of one view.
    NewView(Box<Signed<NewView>>, Box<Signed<NewView>>),
}

impl Evidence {
    /// The two bodies' authors; equal in every true record.
    pub fn authors(&self) -> (Voter, Voter) {
        match self {
            Evidence::PrePrepare(one, other) => (one.body.by, other.body.by),
            Evidence::Prepare(one, other) => (one.body.by, other.body.by),
            Evidence::Commit(one, other) => (one.body.by, other.body.by),
            Evidence::Checkpoint(one, other) => (one.body.by, other.body.by),
            Evidence::ViewChange(one, other) => (one.body.by, other.body.by),
            Evidence::NewView(one, other) => (one.body.by, other.body.by),
        }
    }

    /// Whom it convicts, if the signatures are good.
    pub fn accused(&self) -> Voter {
        self.authors().0
    }

    /// Whether the two bodies conflict: same author, same place, different content.
    pub fn is_conflict(&self) -> bool {
        let (one, other) = self.authors();
        one == other && self.is_same_place_different_content()
    }

    fn is_same_place_different_content(&self) -> bool {
        match self {
            Evidence::PrePrepare(one, other) => {
                (one.body.view, one.body.seq) == (other.body.view, other.body.seq)
                    && one.body.digest != other.body.digest
            }
            Evidence::Prepare(one, other) => {
                (one.body.view, one.body.seq) == (other.body.view, other.body.seq)
                    && one.body.digest != other.body.digest
            }
            Evidence::Commit(one, other) => {
                (one.body.view, one.body.seq) == (other.body.view, other.body.seq)
                    && one.body.digest != other.body.digest
            }
            Evidence::Checkpoint(one, other) => {
                one.body.seq == other.body.seq && one.body.digest != other.body.digest
            }
            Evidence::ViewChange(one, other) => {
                one.body.view == other.body.view && one.body != other.body
            }
            Evidence::NewView(one, other) => {
                one.body.view == other.body.view && one.body != other.body
            }
        }
    }
}
