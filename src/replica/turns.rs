//! Whose turn it was: what a backup remembers of the service that others got, to tell an
//! honest primary with a backlog from one that passes somebody over (§ View change).
//!
//! Knows entries, owners and numbers, and nothing of requests.

use super::pool::Owner;
use crate::types::Seq;
use std::collections::{BTreeMap, BTreeSet};

/// The bundles that were served, by the entry that served them.
#[derive(Default)]
pub(super) struct Turns {
    taken: BTreeMap<Seq, Vec<(Owner, u64)>>,
}

/// What an owner got behind some fence.
#[derive(Default)]
struct Share {
    bundles: u64,
    numbers: BTreeSet<u64>,
}

impl Turns {
    /// An owner's bundle was served by this entry. One that was executed before and is
    /// ordered again serves nobody, and is no turn.
    pub(super) fn note(&mut self, at: Seq, owner: Owner, number: u64) {
        self.taken.entry(at).or_default().push((owner, number));
    }

    /// Forgets what nobody who waits could complain of.
    pub(super) fn forget_through(&mut self, fence: Seq) {
        self.taken = self.taken.split_off(&fence.next());
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self) {
        self.taken.clear();
    }

    /// Whether any of these owners was passed over: since the entries that the primary
    /// may have proposed before it knew the owner's request, others were served more
    /// than one fair round, and more than one round more for each bundle of the owner's
    /// own that was served meanwhile. So an owner that has much waiting gets its turns,
    /// and cannot complain that its last request comes last; and one that has a request
    /// left out can, since its numbers end with its window.
    pub(super) fn is_anybody_passed_over(
        &self,
        waiting: impl Iterator<Item = (Owner, Seq)>,
    ) -> bool {
        let mut waiting: Vec<(Seq, Owner)> = waiting.map(|(owner, fence)| (fence, owner)).collect();
        waiting.sort_unstable();
        let mut taken = self.taken.iter().rev().peekable();
        let mut shares: BTreeMap<Owner, Share> = BTreeMap::new();
        let mut all = 0;
        // From the highest fence down, so that each turn is looked at once.
        waiting.into_iter().rev().any(|(fence, owner)| {
            while let Some((_, served)) = taken.next_if(|(at, _)| **at > fence) {
                for (other, number) in served {
                    let share = shares.entry(*other).or_default();
                    share.bundles += 1;
                    share.numbers.insert(*number);
                    all += 1;
                }
            }
            let own = shares.get(&owner);
            let others = (shares.len() - usize::from(own.is_some())) as u64;
            let (bundles, rounds) =
                own.map_or((0, 0), |own| (own.bundles, own.numbers.len() as u64));
            all - bundles > others.saturating_mul(rounds + 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ClientId;

    const ANNA: Owner = Owner::Client(ClientId(0));
    const BERT: Owner = Owner::Client(ClientId(1));
    const CARL: Owner = Owner::Client(ClientId(2));

    /// Everybody's turns, one entry each, from entry 1 on.
    fn served(owners: &[(Owner, u64)]) -> Turns {
        let mut turns = Turns::default();
        for (at, (owner, number)) in (1..).map(Seq).zip(owners) {
            turns.note(at, *owner, *number);
        }
        turns
    }

    fn complains(turns: &Turns, owner: Owner, fence: u64) -> bool {
        turns.is_anybody_passed_over([(owner, Seq(fence))].into_iter())
    }

    /// P10
    #[test]
    fn one_round_of_others_is_fair_and_one_bundle_more_is_not() {
        let fair = served(&[(BERT, 1), (CARL, 1)]);
        assert!(!complains(&fair, ANNA, 0));
        let unfair = served(&[(BERT, 1), (CARL, 1), (BERT, 2)]);
        assert!(complains(&unfair, ANNA, 0));
        assert!(!complains(&unfair, ANNA, 1), "the first may have been proposed before");
    }

    #[test]
    fn who_is_served_in_turn_cannot_complain_of_a_backlog() {
        let alternating: Vec<(Owner, u64)> =
            (1..=20).flat_map(|number| [(BERT, number), (ANNA, number)]).collect();
        assert!(!complains(&served(&alternating), ANNA, 0));
        assert!(!complains(&served(&alternating), BERT, 0));
        assert!(complains(&served(&alternating), CARL, 0));
    }

    #[test]
    fn the_same_bundle_over_and_over_is_one_turn() {
        let turns = served(&[(ANNA, 1), (BERT, 1), (ANNA, 1), (BERT, 2), (ANNA, 1), (BERT, 3)]);
        assert!(complains(&turns, ANNA, 0));
    }

    #[test]
    fn each_is_judged_from_its_own_fence() {
        let turns = served(&[(BERT, 1), (BERT, 2), (BERT, 3), (CARL, 1)]);
        let waiting = [(ANNA, Seq(2)), (CARL, Seq(3)), (BERT, Seq(0))];
        assert!(!turns.is_anybody_passed_over(waiting.into_iter()));
        let waiting = [(ANNA, Seq(1)), (CARL, Seq(3)), (BERT, Seq(0))];
        assert!(turns.is_anybody_passed_over(waiting.into_iter()));
    }

    #[test]
    fn what_is_forgotten_accuses_nobody() {
        let mut turns = served(&[(BERT, 1), (BERT, 2), (BERT, 3)]);
        turns.forget_through(Seq(2));
        assert!(!complains(&turns, ANNA, 0));
    }
}
