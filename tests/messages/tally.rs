//! The count of votes against a slow and obvious one.

use crate::support::Cluster;
use proptest::prelude::*;
use quorate::message::{Commit, Reject, Signed, Verified, Voter};
use quorate::replica::tally::{Counted, Tally};
use quorate::types::{Digest, Incarnation, ReplicaId, Seq, View};
use std::sync::OnceLock;

/// A vote by its sender, its life and a letter that stands for the digest.
type Ballot = (u16, u64, u8);

fn vote((replica, incarnation, letter): Ballot) -> Verified<Signed<Commit>> {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| Cluster::of(4));
    let by = Voter { replica: ReplicaId(replica), incarnation: Incarnation(incarnation) };
    let body = Commit { view: View(0), seq: Seq(1), digest: Digest([letter; 32]), by };
    cluster.verifier.signed(cluster.sign(body)).expect("a true vote")
}

#[derive(Clone, Debug)]
enum Step {
    Count(Ballot),
    /// Forget the votes of a replica's first life.
    Reborn(u16),
    /// Forget the votes for one digest.
    Settled(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0u16..4, 0u64..2, 1u8..4).prop_map(Step::Count),
        1 => (0u16..4).prop_map(Step::Reborn),
        1 => (1u8..4).prop_map(Step::Settled),
    ]
}

/// All votes that were counted, in the order in which they came.
#[derive(Default)]
struct Slow(Vec<Ballot>);

#[derive(PartialEq, Debug)]
enum Verdict {
    First,
    Conflicting(Ballot),
    Duplicate,
}

impl Slow {
    fn of(&self, replica: u16) -> Vec<Ballot> {
        self.0.iter().filter(|ballot| ballot.0 == replica).copied().collect()
    }

    /// The sender's first two digests count; what it repeats, and a third, does not.
    fn count(&mut self, ballot: Ballot) -> Verdict {
        let before = self.of(ballot.0);
        if before.len() == 2 || before.iter().any(|earlier| earlier.2 == ballot.2) {
            return Verdict::Duplicate;
        }
        self.0.push(ballot);
        before.first().map_or(Verdict::First, |earlier| Verdict::Conflicting(*earlier))
    }
}

fn ballot(vote: &Verified<Signed<Commit>>) -> Ballot {
    let Commit { digest, by, .. } = vote.body;
    (by.replica.0, by.incarnation.0, digest.0[0])
}

fn compare(tally: &Tally<Commit>, slow: &Slow) {
    for letter in 0..5 {
        let digest = Digest([letter; 32]);
        let mut expected: Vec<Ballot> =
            slow.0.iter().filter(|ballot| ballot.2 == letter).copied().collect();
        expected.sort_unstable();
        let matching: Vec<Ballot> = tally.matching(digest).map(ballot).collect();
        assert_eq!(matching, expected, "in the order of replicas, one for each");
        assert_eq!(tally.number_for(digest), expected.len());
    }
    for replica in 0..5 {
        let expected = slow.of(replica).first().copied();
        assert_eq!(tally.of(ReplicaId(replica)).map(ballot), expected);
    }
    let mut letters: Vec<u8> = slow.0.iter().map(|ballot| ballot.2).collect();
    letters.sort_unstable();
    letters.dedup();
    let digests: Vec<u8> = tally.digests().map(|digest| digest.0[0]).collect();
    assert_eq!(digests, letters);
    assert_eq!(tally.held(), slow.0.len());
    assert!(tally.held() <= 2 * 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// B1, B2
    #[test]
    fn the_tally_counts_as_one_counts_by_hand(steps in prop::collection::vec(step(), 0..40)) {
        let mut tally = Tally::default();
        let mut slow = Slow::default();
        for step in steps {
            match step {
                Step::Count(cast) => {
                    let verdict = match tally.count(vote(cast)) {
                        Ok(Counted::First) => Verdict::First,
                        Ok(Counted::Conflicting(earlier)) => Verdict::Conflicting(ballot(&earlier)),
                        Err(reject) => {
                            assert_eq!(reject, Reject::Duplicate);
                            Verdict::Duplicate
                        }
                    };
                    prop_assert_eq!(verdict, slow.count(cast));
                }
                Step::Reborn(replica) => {
                    tally.retain(|body| {
                        body.by.replica.0 != replica || body.by.incarnation != Incarnation::FIRST
                    });
                    slow.0.retain(|ballot| ballot.0 != replica || ballot.1 != 0);
                }
                Step::Settled(letter) => {
                    tally.retain(|body| body.digest != Digest([letter; 32]));
                    slow.0.retain(|ballot| ballot.2 != letter);
                }
            }
            compare(&tally, &slow);
        }
    }
}

/// B1: a liar gains nothing by being first, and nothing by a third vote.
#[test]
fn both_votes_of_a_liar_count_and_convict_it() {
    let mut tally = Tally::default();
    let (one, other) = (vote((1, 0, 1)), vote((1, 0, 2)));
    assert!(matches!(tally.count(one.clone()), Ok(Counted::First)));
    let Ok(Counted::Conflicting(earlier)) = tally.count(other.clone()) else {
        panic!("it had voted otherwise")
    };
    assert_eq!(*earlier, one);
    assert!(other.conflict(&earlier).is_some(), "the two are evidence");
    assert!(matches!(tally.count(vote((1, 0, 3))), Err(Reject::Duplicate)));
    assert_eq!(tally.held(), 2);
}

/// B2
#[test]
fn a_vote_that_comes_often_counts_once() {
    let mut tally = Tally::default();
    for time in 0..10 {
        assert_eq!(tally.count(vote((1, 0, 1))).is_ok(), time == 0);
    }
    assert_eq!(tally.number_for(Digest([1; 32])), 1);
}
