//! Counting who says the same.

use crate::types::ReplicaId;
use std::collections::BTreeMap;

/// What each replica says in one matter. A replica has one voice.
#[derive(Clone, Debug)]
pub(super) struct Alike<T> {
    said: BTreeMap<ReplicaId, T>,
}

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Alike { said: BTreeMap::new() }
    }
}

impl<T: PartialEq> Alike<T> {
    /// What this replica says, in place of what it said before. Returns how many say the
    /// same now, itself included.
    pub(super) fn say(&mut self, replica: ReplicaId, word: T) -> usize {
        let others = self.said.iter().filter(|(who, said)| **who != replica && **said == word);
        let alike = others.count() + 1;
        self.said.insert(replica, word);
        alike
    }

    /// What this replica said.
    pub(super) fn of(&self, replica: ReplicaId) -> Option<&T> {
        self.said.get(&replica)
    }

    /// What this replica said counts no more.
    pub(super) fn forget(&mut self, replica: ReplicaId) {
        self.said.remove(&replica);
    }

    /// How many have said anything.
    pub(super) fn heard(&self) -> usize {
        self.said.len()
    }

    /// How many at most say the same, of those that the filter lets pass.
    pub(super) fn most_alike(&self, counts: impl Fn(&T) -> bool) -> usize {
        let words = || self.said.values().filter(|word| counts(word));
        words().map(|word| words().filter(|other| *other == word).count()).max().unwrap_or(0)
    }
}

impl<T: Ord + Copy> Alike<T> {
    /// The word that so many have said or exceeded, if so many were heard.
    pub(super) fn at_least(&self, count: usize) -> Option<T> {
        let mut words: Vec<T> = self.said.values().copied().collect();
        words.sort_unstable_by(|one, other| other.cmp(one));
        words.get(count.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: ReplicaId = ReplicaId(0);
    const BERT: ReplicaId = ReplicaId(1);
    const CARL: ReplicaId = ReplicaId(2);

    #[test]
    fn the_same_word_of_two_is_two_alike() {
        let mut alike = Alike::default();
        assert_eq!(alike.say(ANNA, 'x'), 1);
        assert_eq!(alike.say(BERT, 'y'), 1);
        assert_eq!(alike.say(CARL, 'x'), 2);
        assert_eq!(alike.heard(), 3);
    }

    #[test]
    fn one_who_says_it_twice_is_one() {
        let mut alike = Alike::default();
        alike.say(ANNA, 'x');
        assert_eq!(alike.say(ANNA, 'x'), 1);
        assert_eq!(alike.heard(), 1);
    }

    #[test]
    fn one_who_changes_the_word_no_longer_counts_for_the_first() {
        let mut alike = Alike::default();
        alike.say(ANNA, 'x');
        alike.say(ANNA, 'y');
        assert_eq!(alike.say(BERT, 'x'), 1);
        assert_eq!(alike.of(ANNA), Some(&'y'));
    }

    #[test]
    fn the_most_alike_are_counted_among_those_that_count() {
        let mut alike = Alike::default();
        assert_eq!(alike.most_alike(|_| true), 0);
        alike.say(ANNA, 'x');
        alike.say(BERT, 'x');
        alike.say(CARL, 'y');
        assert_eq!(alike.most_alike(|_| true), 2);
        assert_eq!(alike.most_alike(|word| *word != 'x'), 1);
    }

    #[test]
    fn what_so_many_say_or_exceed() {
        let mut alike = Alike::default();
        for (replica, word) in [(ANNA, 5), (BERT, u64::MAX), (CARL, 3)] {
            alike.say(replica, word);
        }
        assert_eq!(alike.at_least(0), None);
        assert_eq!(alike.at_least(1), Some(u64::MAX));
        assert_eq!(alike.at_least(2), Some(5));
        assert_eq!(alike.at_least(3), Some(3));
        assert_eq!(alike.at_least(4), None);
    }
}
