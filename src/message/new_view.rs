//! What a new view must start with (§ View change): a pure function of the
//! view-changes shown.

use super::batch::NULL;
use super::bodies::ViewChange;
use crate::types::{Digest, Seq, View};
use std::collections::BTreeMap;

/// What follows from a quorum of view-changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// `min-s`: the highest stable checkpoint that any of them shows.
    pub stable: Seq,
    /// For every number from there up to the highest prepared one: the digest of the
    /// certificate with the highest view, or null.
    pub chosen: Vec<(Seq, Digest)>,
}

/// Computes what a new view must start with. The caller has checked each view-change,
/// and so that no certificate lies more than a window above its stable checkpoint.
///
/// Two certificates of one view and number have the same digest, by the intersection of
/// quorums; should more than `f` lie, the order of digests keeps the choice the same
/// everywhere.
pub fn decide<'a>(view_changes: impl IntoIterator<Item = &'a ViewChange> + Clone) -> Outcome {
    let stable =
        view_changes.clone().into_iter().map(ViewChange::stable_seq).max().unwrap_or_default();
    let mut best: BTreeMap<Seq, (View, Digest)> = BTreeMap::new();
    for certificate in view_changes.into_iter().flat_map(|one| &one.prepared) {
        if certificate.seq() > stable {
            let candidate = (certificate.view(), certificate.digest());
            let entry = best.entry(certificate.seq()).or_insert(candidate);
            *entry = candidate.max(*entry);
        }
    }
    let highest = best.last_key_value().map_or(stable, |(seq, _)| *seq);
    let chosen = (stable.0 + 1..=highest.0)
        .map(Seq)
        .map(|seq| (seq, best.get(&seq).map_or(NULL, |(_, digest)| *digest)))
        .collect();
    Outcome { stable, chosen }
}
