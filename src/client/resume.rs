//! A session that lost its numbers learns which are free (§ Clients).
//!
//! It asks all, and each tells the highest number executed for this client, and the
//! highest acknowledged. A liar may name any number, and an honest replica that is
//! behind a low one. Two figures are made of the answers:
//!
//! - *reached*: what `W` replicas have executed, or exceeded. One of them is honest, so
//!   numbers up to there truly were used.
//! - *covered*: what `Q` replicas don't exceed, in what they executed or acknowledged.
//!   Any outcome that the earlier life of this client believed was decided, so `Q`
//!   replicas had committed to it, and none of them answers before it has executed that;
//!   one honest replica is in both quorums, so nothing believed lies above.
//!
//! The highest answer alone would let one liar use up all numbers there are; what `W`
//! exceed would not do either, since only one honest replica may know of a number that
//! was believed. So the session goes on asking until the two are no further apart than
//! a window. All honest replicas together, once the slowest is there, always bring them
//! so close, whatever `f` liars say.
//!
//! Then it acknowledges `reached + window`, the most that the state takes, and uses the
//! numbers after that. None of these was believed by anybody; and the earlier life had
//! signed nothing above, unless it had abandoned a window's worth of operations, or had
//! itself begun with lost numbers and seen nothing executed. Then two lives may sign
//! under one number, and the first that is ordered counts: a different operation is
//! told as [`Superseded`](super::Outcome::Superseded), the same one as done. A session that
//! still knows a number which it used begins above it, so far as the state takes that
//! ([`begin_above`](super::Session::begin_above)): then they don't. But for those numbers,
//! nothing of the earlier life will be executed any more once the first request of the new
//! one is. A client that can keep its numbers should.

use crate::types::{Committee, ReplicaId, RequestNumber};
use std::collections::BTreeMap;

/// What one replica has of this client's session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Told {
    /// The highest number executed.
    executed: RequestNumber,
    /// The highest number executed or acknowledged.
    used: RequestNumber,
}

/// What the answers come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Learned {
    /// Too few yet, or too far apart.
    NotYet,
    /// The highest number that surely was executed.
    Reached(RequestNumber),
}

/// The answers to the question for this client's session.
#[derive(Debug, Default)]
pub(super) struct Resume {
    told: BTreeMap<ReplicaId, Told>,
}

impl Resume {
    /// One replica's answer, in place of an earlier one.
    pub(super) fn tell(
        &mut self,
        replica: ReplicaId,
        executed: RequestNumber,
        acknowledged: RequestNumber,
    ) {
        self.told.insert(replica, Told { executed, used: executed.max(acknowledged) });
    }

    /// What they come to. See the module's head.
    pub(super) fn learned(&self, committee: Committee, window: u64) -> Learned {
        let mut executed: Vec<RequestNumber> =
            self.told.values().map(|told| told.executed).collect();
        executed.sort_unstable_by(|one, other| other.cmp(one));
        let mut used: Vec<RequestNumber> = self.told.values().map(|told| told.used).collect();
        used.sort_unstable();
        let reached = executed.get(committee.weak_quorum() - 1);
        let covered = used.get(committee.quorum() - 1);
        match (reached, covered) {
            (Some(reached), Some(covered)) if covered.0 <= reached.0.saturating_add(window) => {
                Learned::Reached(*reached)
            }
            _ => Learned::NotYet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: u64 = 10;

    fn learned(size: u16, answers: &[(u64, u64)]) -> Learned {
        let mut resume = Resume::default();
        for (replica, (executed, acknowledged)) in (0..).map(ReplicaId).zip(answers) {
            resume.tell(replica, RequestNumber(*executed), RequestNumber(*acknowledged));
        }
        resume.learned(Committee::new(size).expect("within the limits"), WINDOW)
    }

    fn reached(number: u64) -> Learned {
        Learned::Reached(RequestNumber(number))
    }

    #[test]
    fn one_less_than_a_quorum_is_not_enough() {
        assert_eq!(learned(4, &[(5, 5), (5, 5)]), Learned::NotYet);
        assert_eq!(learned(4, &[(5, 5), (5, 5), (5, 5)]), reached(5));
    }

    /// K1, K4
    #[test]
    fn a_liar_that_names_a_huge_number_waits_for_the_last_honest_one() {
        let lie = (u64::MAX, u64::MAX);
        assert_eq!(learned(4, &[lie, (5, 5), (5, 5)]), Learned::NotYet);
        assert_eq!(learned(4, &[lie, (5, 5), (5, 5), (5, 5)]), reached(5));
    }

    /// K1
    #[test]
    fn what_only_one_honest_replica_knows_of_is_not_missed() {
        let (liar, behind, knows) = ((0, 0), (0, 0), (99, 99));
        assert_eq!(learned(4, &[liar, behind, knows]), Learned::NotYet);
        assert_eq!(learned(4, &[liar, knows, knows]), reached(99));
    }

    #[test]
    fn a_replica_less_than_a_window_behind_does_not_hold_it_up() {
        assert_eq!(learned(4, &[(20, 0), (15, 0), (12, 0)]), reached(15));
        assert_eq!(learned(4, &[(26, 0), (15, 0), (12, 0)]), Learned::NotYet);
    }

    #[test]
    fn what_was_acknowledged_without_being_executed_counts_as_used() {
        assert_eq!(learned(4, &[(5, 15), (5, 15), (5, 15)]), reached(5));
        assert_eq!(learned(4, &[(5, 16), (5, 16), (5, 16)]), Learned::NotYet);
    }

    proptest! {
        /// K1: whatever f liars say, the numbers that follow are above everything that
        /// the earlier life believed, and no further than the state takes.
        #[test]
        fn nothing_believed_is_used_again(
            size in prop::sample::select(vec![4u16, 5, 6, 7, 10]),
            truth in 0u64..60,
            knowing in prop::collection::vec(any::<bool>(), 10),
            behind in prop::collection::vec(0u64..60, 10),
            lies in prop::collection::vec(prop_oneof![0u64..200, Just(u64::MAX)], 10),
            silent in prop::collection::vec(any::<bool>(), 10),
        ) {
            let committee = Committee::new(size).expect("within the limits");
            let honest = committee.size() - committee.faults();
            // The truth was believed: a quorum committed to it, of which at most f are liars.
            let surely = committee.quorum() - committee.faults();
            let know: Vec<bool> =
                (0..honest).map(|index| index < surely || knowing[index]).collect();
            let mut resume = Resume::default();
            for index in 0..committee.size() {
                let replica = ReplicaId(u16::try_from(index).expect("small"));
                if silent[index] {
                    continue;
                }
                let number = match index < honest {
                    true if know[index] => truth,
                    true => behind[index].min(truth),
                    false => lies[index],
                };
                resume.tell(replica, RequestNumber(number), RequestNumber(number));
            }
            if let Learned::Reached(reached) = resume.learned(committee, WINDOW) {
                prop_assert!(reached.0 <= truth, "the state would refuse what follows");
                prop_assert!(reached.0 + WINDOW >= truth, "something believed comes again");
            }
        }

        /// Once all honest replicas are there, it never goes on asking.
        #[test]
        fn all_honest_replicas_together_are_enough(
            size in prop::sample::select(vec![4u16, 5, 6, 7, 10]),
            truth in 0u64..1_000,
            lies in prop::collection::vec((any::<u64>(), any::<u64>(), any::<bool>()), 10),
        ) {
            let committee = Committee::new(size).expect("within the limits");
            let mut resume = Resume::default();
            for (index, replica) in committee.replicas().enumerate() {
                let (executed, acknowledged, speaks) = lies[index];
                if index >= committee.faults() {
                    resume.tell(replica, RequestNumber(truth), RequestNumber(truth));
                } else if speaks {
                    resume.tell(replica, RequestNumber(executed), RequestNumber(acknowledged));
                }
            }
            prop_assert_eq!(
                resume.learned(committee, WINDOW),
                Learned::Reached(RequestNumber(truth))
            );
        }
    }
}
