//! Proposals that others have agreed with and that are not here (§ Normal case, 3).
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
//! primary that leaves backups out would slow every batch down by that wait. Nobody but the
//! primary can bring that about while the primary's proposals come sooner than by others. One
//! that was large is no reason to hurry, for it takes long to come from anybody. (How large the
//! next one is nobody knows before it is here: in haste, a large one may travel twice.)
//!
//! The primary is not asked, who sends what it proposes, and whose vote costs it nothing. An
//! early vote of another for something else costs that wait, and not more: whoever votes as well
//! is asked no later than a first one would be without haste, and before whoever was asked
//! already.

use super::slot::Slot;
use super::{Replica, To};
use crate::message::{Batch, Fetch, PeerMessage, Reject};
use crate::types::{Digest, Instant, ReplicaId, Seq, Span, View};
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

/// The first question comes no sooner than this part of the time that is left for answers.
const MOST_OFTEN: u64 = 64;

/// The pause between two doubles so often at most.
const MOST_DOUBLED: usize = 16;

/// What is decided is asked for so often at most, until somebody votes about it again.
const MOST_ONCE_DECIDED: usize = 3;

/// A proposal of a batch with more bytes, brought by another, is no reason to ask for the next
/// ones at once; nor is it looked for any more when it is decided.
const LARGE: usize = 64 << 10;

/// So many of the next numbers are asked for at once, after one that the primary did not bring.
const ASKED_AT_ONCE: u32 = 16;

/// A proposal that is looked for.
struct Lacking {
    /// Who was asked, and how often.
    asked: BTreeMap<ReplicaId, usize>,
    /// Who was known to have it.
    holders: BTreeSet<ReplicaId>,
    due: Instant,
}

impl Lacking {
    fn times_asked(&self) -> usize {
        self.asked.values().sum()
    }

    /// Whoever has it and was asked least, another for the next number.
    fn next_holder(&self, seq: Seq, holders: &BTreeSet<ReplicaId>) -> Option<ReplicaId> {
        let turn = usize::try_from(seq.0 % holders.len().max(1) as u64).unwrap_or(0);
        let in_turn = holders.iter().skip(turn).chain(holders.iter().take(turn));
        in_turn.copied().min_by_key(|one| self.asked.get(one).copied().unwrap_or(0))
    }
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

    /// A proposal has found its place, of a batch with so many bytes.
    pub(super) fn found(&mut self, is_from_primary: bool, bytes: usize) {
        if is_from_primary {
            self.at_once = self.at_once.saturating_sub(1);
        } else if bytes <= LARGE {
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
        if self.is_primary() {
            return;
        }
        let holders = self.who_has_what_lacks(seq);
        let is_news = match self.search.sought.get(&seq) {
            Some(one) => !holders.is_subset(&one.holders),
            None => !holders.is_empty(),
        };
        if !is_news {
            return;
        }
        let (now, is_hasty) = (self.now.instant, self.search.at_once > 0);
        let due = now.plus(self.grace());
        match self.search.sought.entry(seq) {
            Entry::Occupied(mut sought) => {
                let one = sought.get_mut();
                one.holders.extend(holders);
                one.due = one.due.min(due);
            }
            Entry::Vacant(place) => {
                let due = if is_hasty { now } else { due };
                place.insert(Lacking { asked: BTreeMap::new(), holders, due });
                if is_hasty {
                    self.tick_lacking();
                }
            }
        }
    }

    /// Which other backups voted for what is not proposed here.
    fn who_has_what_lacks(&self, seq: Seq) -> BTreeSet<ReplicaId> {
        let mut holders = self.slot(seq).map(Slot::who_has_what_lacks).unwrap_or_default();
        holders.remove(&self.id);
        holders.remove(&self.primary());
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
            let asked = one.times_asked();
            let holder = one.next_holder(*seq, &holders);
            let Some(holder) = holder.filter(|_| self.is_wanted(*seq, asked)) else {
                return false;
            };
            if *seq > last {
                one.due = now.plus(most);
                return true;
            }
            let message = PeerMessage::Fetch(Fetch::Proposal(view, *seq));
            self.out.send_free(To::Peer(holder), message);
            *one.asked.entry(holder).or_default() += 1;
            let pause = grace.times(1 << (asked + 1).min(MOST_DOUBLED)).min(most);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking() -> Lacking {
        Lacking { asked: BTreeMap::new(), holders: BTreeSet::new(), due: Instant(0) }
    }

    /// A liar that votes first is asked first, and not twice before somebody else is once.
    #[test]
    fn whoever_was_not_asked_comes_first() {
        let mut one = lacking();
        let mut asked = Vec::new();
        for holders in [&[3][..], &[1, 3], &[1, 2, 3], &[1, 2, 3]] {
            let holders: BTreeSet<ReplicaId> = holders.iter().copied().map(ReplicaId).collect();
            let next = one.next_holder(Seq(8), &holders).expect("there is one");
            *one.asked.entry(next).or_default() += 1;
            asked.push(next.0);
        }
        assert_eq!(asked[..3], [3, 1, 2]);
        assert_eq!(one.times_asked(), 4);
        assert_eq!(one.next_holder(Seq(8), &BTreeSet::new()), None);
    }

    #[test]
    fn questions_go_to_another_for_each_number() {
        let holders: BTreeSet<ReplicaId> = (1..=3).map(ReplicaId).collect();
        let asked: BTreeSet<ReplicaId> =
            (0..3).filter_map(|seq| lacking().next_holder(Seq(seq), &holders)).collect();
        assert_eq!(asked, holders);
    }

    #[test]
    fn what_is_large_brings_no_haste() {
        let mut search = Search::default();
        search.found(false, LARGE + 1);
        assert_eq!(search.at_once, 0);
        search.found(false, LARGE);
        assert_eq!(search.at_once, ASKED_AT_ONCE);
        search.found(true, 1);
        assert_eq!(search.at_once, ASKED_AT_ONCE - 1);
    }
}
