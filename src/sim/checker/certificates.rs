//! Whether what is believed stands on enough signatures: every member of a certificate
//! that an honest replica uses is another replica, and every honest one among them really
//! signed.

use super::ledger::{self, Claim, Kind};
use super::{Checker, Invariant};
use crate::message::batch::NULL;
use crate::message::{NewView, PreparedCertificate, Signed, ViewChange};
use crate::replica::effects::Record;
use crate::types::{Digest, ReplicaId};
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};

impl Checker {
    /// Whether so many may have signed: those that did, and whoever may sign anything.
    pub(super) fn is_believable(&self, speakers: &BTreeSet<ReplicaId>) -> bool {
        speakers.union(&self.faulty).count() >= self.cluster.quorum()
    }

    /// A certificate that a replica uses.
    pub(super) fn stands(&mut self, id: ReplicaId, claim: &Claim, needed: usize) {
        let outcome = self.supports(claim, needed);
        let outcome = outcome.map_err(|why| format!("{id:?} believes {:?}: {why}", claim.saying));
        self.require(Invariant::Certificates, outcome);
    }

    fn supports(&self, claim: &Claim, needed: usize) -> Result<(), String> {
        let distinct: BTreeSet<ReplicaId> = claim.members.iter().map(|by| by.replica).collect();
        if distinct.len() != claim.members.len() || distinct.len() < needed {
            return Err(format!("{} of {needed} members, some doubled", distinct.len()));
        }
        for by in &claim.members {
            if usize::from(by.replica.0) >= self.cluster.replicas.len() {
                return Err(format!("{by:?} is nobody"));
            }
            let may_lie = self.faulty.contains(&by.replica);
            if !may_lie && !self.ledger.has_said(*by, &claim.saying) {
                return Err(format!("{by:?} never signed that"));
            }
        }
        Ok(())
    }

    /// What a replica writes to its log it believes.
    pub(super) fn records(&mut self, id: ReplicaId, record: &Record) {
        match record {
            Record::Prepared(certificate, _) => self.is_prepared(id, certificate),
            Record::Stable(certificate) => {
                let claim = ledger::checkpoint_claim(certificate);
                self.stands(id, &claim, self.cluster.quorum());
            }
            Record::NewView(opening, _) => self.is_opened(id, &opening.body),
            Record::PrePrepare(..)
            | Record::Prepare(_)
            | Record::Checkpoint(_)
            | Record::ViewChange(_)
            | Record::Evidence(_)
            | Record::Recovering(_)
            | Record::Recovered(_)
            | Record::Reserved(..) => {}
        }
    }

    fn is_prepared(&mut self, id: ReplicaId, certificate: &PreparedCertificate) {
        let (prepares, proposal) = ledger::prepared_claims(certificate);
        let primary = self.cluster.primary(certificate.view().0);
        let proposed_by_primary = proposal.members.iter().all(|by| by.replica == primary);
        let prepared_by_primary = prepares.members.iter().any(|by| by.replica == primary);
        if !proposed_by_primary || prepared_by_primary {
            let what = format!("{id:?} counts the primary's own prepare: {certificate:?}");
            self.fail(Invariant::Certificates, what);
        }
        self.stands(id, &proposal, 1);
        self.stands(id, &prepares, self.cluster.quorum() - 1);
    }

    /// An opening stands on a quorum of wishes, and holds what follows from them.
    pub(super) fn is_opened(&mut self, id: ReplicaId, opening: &NewView) {
        let digest = Digest::of(&wire::encode(opening));
        if !self.judged.insert(digest) {
            return;
        }
        let wishes: Vec<&ViewChange> = opening.view_changes.iter().map(|one| &one.body).collect();
        let distinct: BTreeSet<ReplicaId> = wishes.iter().map(|one| one.by.replica).collect();
        if distinct.len() < self.cluster.quorum() || distinct.len() != wishes.len() {
            let what = format!("{id:?} enters {:?} by the wish of {distinct:?}", opening.view);
            self.fail(Invariant::Certificates, what);
        }
        for wish in &wishes {
            self.is_true_wish(id, opening, wish);
        }
        let expected = self.follows(&wishes);
        let shown: Vec<(u64, Digest)> = opening
            .pre_prepares
            .iter()
            .map(|one: &Signed<_>| (one.body.seq.0, one.body.digest))
            .collect();
        if shown != expected {
            let what = format!(
                "{id:?} enters {:?} with {shown:?}, and {expected:?} follows",
                opening.view
            );
            self.fail(Invariant::Certificates, what);
        }
    }

    fn is_true_wish(&mut self, id: ReplicaId, opening: &NewView, wish: &ViewChange) {
        let saying = (Kind::ViewChange, wish.view.0, 0, ledger::digest_of(wish));
        self.stands(id, &Claim { saying, members: vec![wish.by] }, 1);
        if wish.view != opening.view {
            let what = format!("{id:?} enters {:?} by a wish for {:?}", opening.view, wish.view);
            self.fail(Invariant::Certificates, what);
        }
        if let Some(certificate) = &wish.stable {
            let claim = ledger::checkpoint_claim(certificate);
            self.stands(id, &claim, self.cluster.quorum());
        }
        if let Some(late) = wish.prepared.iter().find(|one| one.view() >= wish.view) {
            let what = format!(
                "{id:?} enters {:?} by a wish that shows a certificate of {:?}",
                opening.view,
                late.view()
            );
            self.fail(Invariant::Certificates, what);
        }
        wish.prepared.iter().for_each(|certificate| self.is_prepared(id, certificate));
    }

    /// What must stand in an opening: for each number the digest prepared in the highest
    /// view, and null where nothing was.
    fn follows(&self, wishes: &[&ViewChange]) -> Vec<(u64, Digest)> {
        let stable = wishes.iter().filter_map(|one| one.stable.as_ref()).map(|one| one.seq().0);
        let stable = stable.max().unwrap_or(0);
        let mut best: BTreeMap<u64, (u64, Digest)> = BTreeMap::new();
        for one in wishes.iter().flat_map(|wish| wish.prepared.iter()) {
            let is_better = best.get(&one.seq().0).is_none_or(|(view, _)| one.view().0 > *view);
            if one.seq().0 > stable && is_better {
                best.insert(one.seq().0, (one.view().0, one.digest()));
            }
        }
        let last = best.keys().next_back().copied().unwrap_or(stable);
        (stable + 1..=last)
            .map(|seq| (seq, best.get(&seq).map_or(NULL, |(_, digest)| *digest)))
            .collect()
    }

    /// Enough signed commits to what is decided.
    pub(super) fn is_decided_by_enough(
        &mut self,
        id: ReplicaId,
        view: u64,
        seq: u64,
        digest: Digest,
    ) {
        let speakers = self.ledger.speakers(&(Kind::Commit, view, seq, digest));
        if !self.is_believable(&speakers) {
            let what = format!("{id:?} takes s{seq} as decided in v{view}: {speakers:?} committed");
            self.fail(Invariant::Certificates, what);
        }
    }

    /// Enough signed the state that is stable.
    pub(super) fn is_stable_by_enough(&mut self, id: ReplicaId, seq: u64, digest: Digest) {
        let speakers = self.ledger.speakers(&(Kind::Checkpoint, 0, seq, digest));
        if !self.is_believable(&speakers) {
            let what = format!("{id:?} takes s{seq} as stable: {speakers:?} signed it");
            self.fail(Invariant::Certificates, what);
        }
    }

    /// Whoever follows others out of a view follows somebody honest.
    pub(super) fn is_joined_by_honest(&mut self, id: ReplicaId, left: u64, view: u64) {
        // Others may have asked for one that a liar would lead, and that is passed over.
        let is_passed = |view: &u64| self.may_pass_over(id, self.cluster.primary(*view));
        let passed = (left + 1..view).rev().take_while(is_passed).count() as u64;
        let wishers = self.ledger.wishers_from(view - passed);
        if !wishers.iter().any(|one| *one != id && !self.faulty.contains(one)) {
            let what = format!("{id:?} follows liars to v{view}: {wishers:?} asked for it");
            self.fail(Invariant::Certificates, what);
        }
    }

    /// Enough asked for a view that is entered.
    pub(super) fn is_wanted_by_enough(&mut self, id: ReplicaId, view: u64) {
        let wishers = self.ledger.wishers(view);
        if view > 0 && !self.is_believable(&wishers) {
            let what = format!("{id:?} enters v{view}: {wishers:?} asked for it");
            self.fail(Invariant::Certificates, what);
        }
    }
}
