//! Whether a promise that leaves a replica would survive its crash at that moment.

use super::ledger::{Kind, Word, digest_of};
use crate::message::batch::NULL;
use crate::replica::effects::Record;
use crate::service::Tree;
use crate::types::{Digest, Seq};
use std::collections::BTreeMap;

/// What of a replica's disk would survive a crash now.
#[derive(Clone)]
pub struct OnDisk<'a> {
    /// The synced part of the log.
    pub records: Vec<&'a Record>,
    /// Whole states.
    pub states: &'a BTreeMap<Seq, Tree>,
    /// One of them has rotted: a vote was recorded for it, perhaps.
    pub lost_state: bool,
}

impl OnDisk<'_> {
    /// Whether this very record is there.
    pub fn has(&self, record: &Record) -> bool {
        self.records.contains(&record)
    }

    /// Whether the disk holds what this word promises, or what settles it: a stable
    /// checkpoint at or above its number, or a later view. A state may rot after its vote
    /// was cast; what is said again needs none.
    pub(super) fn covers(&self, word: &Word, is_new: bool) -> Result<(), String> {
        let holds = match word.kind {
            Kind::Propose => self.has_proposal(word) || self.has_reserved(word),
            Kind::Prepare => {
                self.has_prepare(word) && self.has_entered(word.view) || self.has_reserved(word)
            }
            Kind::Commit => self.has_prepared(word) && self.has_entered(word.view),
            Kind::Checkpoint => self.has_checkpoint(word, is_new),
            Kind::ViewChange => self.has_wish(word),
            Kind::NewView => self.has_entered(word.view),
        };
        let is_settled = word.seq > 0 && self.stable() >= word.seq;
        match holds || is_settled {
            true => Ok(()),
            false => Err(format!("{word:?} leaves, and is not on the disk")),
        }
    }

    /// Whether the disk knows of this word, or of what settles it.
    pub(super) fn remembers(&self, word: &Word) -> bool {
        let knows = match word.kind {
            Kind::Propose | Kind::Prepare => self.has_vote(word) || self.may_be_lost(word),
            Kind::Commit => self.has_prepared(word),
            Kind::Checkpoint => self.has_checkpoint(word, false),
            Kind::ViewChange => self.has_wish(word),
            Kind::NewView => self.has_entered(word.view),
        };
        knows || word.seq > 0 && self.stable() >= word.seq
    }

    /// Whether what a stable checkpoint has settled leaves the log. Of what was recorded in
    /// the same step as the checkpoint, a little may stay.
    pub(super) fn is_cut(&self, interval: u64, most: u64) -> Result<(), String> {
        let settled = self.stable().saturating_sub(interval);
        let is_settled = |record: &&&Record| record.seq().is_some_and(|seq| seq.0 <= settled);
        let count = self.records.iter().filter(is_settled).count() as u64;
        match count <= most {
            true => Ok(()),
            false => Err(format!("{count} records in its log are settled since s{settled}")),
        }
    }

    fn stable(&self) -> u64 {
        let stable = self.records.iter().filter_map(|record| match record {
            Record::Stable(certificate) => Some(certificate.seq().0),
            _ => None,
        });
        stable.max().unwrap_or(0)
    }

    fn has_entered(&self, view: u64) -> bool {
        view == 0
            || self.records.iter().any(|record| match record {
                Record::NewView(opening, _) => opening.body.view.0 >= view,
                _ => false,
            })
    }

    /// Whether this proposal or prepare is written down.
    pub(super) fn has_vote(&self, word: &Word) -> bool {
        match word.kind {
            Kind::Propose => self.has_proposal(word),
            _ => self.has_prepare(word),
        }
    }

    fn has_proposal(&self, word: &Word) -> bool {
        self.records.iter().any(|record| match record {
            Record::PrePrepare(one, _) => {
                let body = &one.body;
                (body.view.0, body.seq.0, body.digest) == (word.view, word.seq, word.digest)
            }
            Record::NewView(opening, _) => opening.body.pre_prepares.iter().any(|one| {
                let body = &one.body;
                (body.view.0, body.seq.0, body.digest) == (word.view, word.seq, word.digest)
            }),
            _ => false,
        })
    }

    fn has_prepare(&self, word: &Word) -> bool {
        self.records.iter().any(|record| match record {
            Record::Prepare(one) => {
                let body = &one.body;
                (body.view.0, body.seq.0, body.digest) == (word.view, word.seq, word.digest)
            }
            _ => false,
        })
    }

    /// The certificate, and the batch somewhere.
    fn has_prepared(&self, word: &Word) -> bool {
        let is_certified = self.records.iter().any(|record| match record {
            Record::Prepared(one, _) => {
                (one.view().0, one.seq().0, one.digest()) == (word.view, word.seq, word.digest)
            }
            _ => false,
        });
        is_certified && (word.digest == NULL || self.has_batch(word.digest))
    }

    /// Whether a crash may have lost this proposal or prepare.
    fn may_be_lost(&self, word: &Word) -> bool {
        self.has_reserved(word) || self.has_left(word.view)
    }

    /// Whether it went on to a later view. What it reserved before is not kept then.
    fn has_left(&self, view: u64) -> bool {
        self.records.iter().any(|record| match record {
            Record::NewView(opening, _) => opening.body.view.0 > view,
            Record::ViewChange(wish) => wish.body.view.0 > view,
            _ => false,
        })
    }

    /// Whether it may leave and be lost: the log's last word on what is reserved, in a view
    /// that it knows to be entered.
    fn has_reserved(&self, word: &Word) -> bool {
        let reserved = self.records.iter().rev().find_map(|record| match record {
            Record::Reserved(view, up_to) => Some((view.0, up_to.0)),
            _ => None,
        });
        let is_within = |(view, up_to)| view == word.view && word.seq <= up_to;
        reserved.is_some_and(is_within) && self.has_entered(word.view)
    }

    fn has_batch(&self, digest: Digest) -> bool {
        self.records.iter().any(|record| match record {
            Record::PrePrepare(_, Some(batch)) | Record::Prepared(_, Some(batch)) => {
                batch.digest() == digest
            }
            _ => false,
        })
    }

    fn has_checkpoint(&self, word: &Word, is_new: bool) -> bool {
        let is_recorded = self.records.iter().any(|record| match record {
            Record::Checkpoint(one) => (one.body.seq.0, one.body.digest) == (word.seq, word.digest),
            _ => false,
        });
        let state = self.states.get(&Seq(word.seq));
        let may_lack = !is_new || self.lost_state;
        is_recorded && (may_lack || state.is_some_and(|tree| tree.digest() == word.digest))
    }

    fn has_wish(&self, word: &Word) -> bool {
        self.records.iter().any(|record| match record {
            Record::ViewChange(one) => {
                one.body.view.0 > word.view || digest_of(&one.body) == word.digest
            }
            Record::NewView(opening, _) => opening.body.view.0 >= word.view,
            _ => false,
        })
    }
}
