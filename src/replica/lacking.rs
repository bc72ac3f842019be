//! Proposals that others have agreed with and that are not here (§ Normal case, 4).
//!
//! A primary may leave backups out, or tell them something else. The rest can decide without
//! one, as long as everything of everybody else arrives, and without two they cannot; each
//! learns by its status what it lacks, now and then. So they do not wait for that: the signed
//! proposal is as good from whoever else has it. That they have decided is no reason not to ask:
//! where a liar's vote was lost, somebody may lack one more, and this replica can cast it. A
//! liar's vote alone brings it a few questions, ever more rarely, and only about numbers that
//! could be under way.
//!
//! The first question waits as long as agreement takes of late, since the proposal is most
//! likely on its way. After one that another had to bring, the next ones are asked for at once: a
//! primary that leaves backups out would slow every batch down by that wait. A liar that is not
//! the primary cannot bring that about while the primary's proposals come sooner than its
//! answers.

use super::slot::Slot;
use super::{Replica, To};
use crate::message::{Batch, Fetch, PeerMessage, Reject};
use crate::types::{Digest, Instant, ReplicaId, Seq, Span, View};
use std::collections::{BTreeMap, BTreeSet};

/// The first question comes no sooner than this part of the time that is left for answers.
const MOST_OFTEN: u64 = 64;

/// The pause between two doubles so often at most.
const MOST_DOUBLED: usize = 16;

/// What is decided is asked for so often at most.
const MOST_ONCE_DECIDED: usize = 3;

/// Of a batch with more bytes the proposal is not looked for once it is decided.
const LARGE: usize = 64 << 10;

/// So many of the next numbers are asked for at once, after one that the primary did not bring.
const ASKED_AT_ONCE: u32 = 16;

/// A proposal that is looked for.
struct Lacking {
    asked: usize,
    due: Instant,
}

/// The proposals of this view that are looked for.
#[derive(Default)]
pub(super) struct Search {
    sought: BTreeMap<Seq, Lacking>,
    /// For so many more numbers the primary's own sending is not waited for.
    at_once: u32,
}

impl Search {
    /// How many proposals are looked for.
    pub(super) fn len(&self) -> usize {
        self.sought.len()
    }

    /// What lies at or below a stable checkpoint is not looked for.
    pub(super) fn forget_through(&mut self, seq: Seq) {
        self.sought.retain(|number, _| *number > seq);
    }

    /// A proposal is here, for the first time.
    pub(super) fn found(&mut self, seq: Seq, is_from_primary: bool) {
        let was_asked_for = self.sought.get(&seq).is_some_and(|one| one.asked > 0);
        if is_from_primary {
            self.at_once = self.at_once.saturating_sub(1);
        } else if was_asked_for {
            self.at_once = ASKED_AT_ONCE;
        }
    }

    /// It was accepted.
    pub(super) fn end(&mut self, seq: Seq) {
        self.sought.remove(&seq);
    }
}

impl Replica {
    /// Somebody voted about this number. If that is about what is not proposed here, the
    /// proposal is on its way, or has to be looked for.
    pub(super) fn note_lacking(&mut self, seq: Seq) {
        if !self.is_primary()
            && !self.search.sought.contains_key(&seq)
            && !self.who_has_what_lacks(seq).is_empty()
        {
            let wait = if self.search.at_once > 0 { Span(0) } else { self.grace() };
            let due = self.now.instant.plus(wait);
            self.search.sought.insert(seq, Lacking { asked: 0, due });
            self.tick_lacking();
        }
    }

    /// Which others voted for what is not proposed here.
    fn who_has_what_lacks(&self, seq: Seq) -> BTreeSet<ReplicaId> {
        let mut holders = self.slot(seq).map(Slot::who_has_what_lacks).unwrap_or_default();
        holders.remove(&self.id);
        holders
    }

    /// How much later than others' votes a proposal may come: as long as agreement takes.
    fn grace(&self) -> Span {
        let most = self.settings.fetch_timeout;
        match self.waits.usual_of_any_view() {
            Some(usual) => usual.clamp(Span(most.0 / MOST_OFTEN), most),
            None => most,
        }
    }

    pub(super) fn lacking_deadline(&self) -> Option<Instant> {
        self.search.sought.values().map(|one| one.due).min()
    }

    /// Asks those who have what is not here, one after another.
    pub(super) fn tick_lacking(&mut self) {
        let now = self.now.instant;
        if self.lacking_deadline().is_none_or(|due| due > now) {
            return;
        }
        let (view, grace, most) = (self.view, self.grace(), self.waits.patience);
        let last = self.executed().plus(self.settings.pipeline.saturating_mul(2));
        let mut sought = std::mem::take(&mut self.search.sought);
        sought.retain(|seq, one| {
            if one.due > now {
                return true;
            }
            let holders = self.who_has_what_lacks(*seq);
            if holders.is_empty() || !self.is_wanted(*seq, one.asked) {
                return false;
            }
            if *seq > last {
                one.due = now.plus(most);
                return true;
            }
            let count = holders.len();
            let turn = usize::try_from(seq.0 % count as u64).unwrap_or(0);
            let holder = holders.into_iter().nth((turn + one.asked) % count);
            let message = PeerMessage::Fetch(Fetch::Proposal(view, *seq));
            self.out.send_free(To::Peer(holder.expect("one of them")), message);
            one.asked += 1;
            let pause = grace.times(1 << one.asked.min(MOST_DOUBLED)).min(most);
            one.due = now.plus(pause);
            true
        });
        self.search.sought = sought;
    }

    /// Whether a proposal is looked for, asked for so often already. Once the number is decided
    /// it only lets this replica vote, and whoever may need that is not far ahead: what is large
    /// need not come again for it, nor what others have long left behind.
    fn is_wanted(&self, seq: Seq, asked: usize) -> bool {
        let Some(certificate) = self.decided.get(&seq) else { return true };
        let bytes = self.bodies.get(&certificate.digest()).map_or(0, Batch::size);
        let is_recent = seq.plus(self.settings.pipeline) > self.executed();
        self.may_vote() && is_recent && asked < MOST_ONCE_DECIDED && bytes <= LARGE
    }

    /// Sends a proposal that was accepted here, as its primary signed it.
    pub(super) fn on_fetch_proposal(
        &mut self,
        from: ReplicaId,
        view: View,
        seq: Seq,
    ) -> Result<(), Reject> {
        let slot = self.slot(seq).filter(|_| self.view == view);
        let message = slot.and_then(|slot| self.proposal_message(slot)).ok_or(Reject::NotHere)?;
        self.answer(from, message);
        Ok(())
    }
}

impl Slot {
    /// Who voted for what is not proposed here; nobody if something is accepted.
    fn who_has_what_lacks(&self) -> BTreeSet<ReplicaId> {
        if self.proposal.is_some() {
            return BTreeSet::new();
        }
        let doubtful = self.doubtful.as_ref().map(|one| one.body.digest());
        let digests = self.prepares.digests().chain(self.commits.digests());
        let lacking: BTreeSet<Digest> = digests.filter(|one| Some(*one) != doubtful).collect();
        lacking
            .into_iter()
            .flat_map(|digest| {
                let prepared = self.prepares.matching(digest).map(|vote| vote.body.by.replica);
                prepared.chain(self.commits.matching(digest).map(|vote| vote.body.by.replica))
            })
            .collect()
    }
}
