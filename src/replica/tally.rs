//! Counting votes: who said what about one place.

use crate::message::{Body, Reject, Signed, Verified, Voter};
use crate::types::{Digest, ReplicaId};
use std::collections::BTreeMap;

/// A vote: it says a digest, and a replica casts it.
pub trait Vote: Body {
    /// What the vote is for.
    fn digest(&self) -> Digest;
    /// Who casts it.
    fn by(&self) -> Voter;
}

macro_rules! vote {
    ($($type:ty),*) => {$(
        impl Vote for $type {
            fn digest(&self) -> Digest {
                self.digest
            }
            fn by(&self) -> Voter {
                self.by
            }
        }
    )*};
}
vote!(crate::message::Prepare, crate::message::Commit, crate::message::Checkpoint);

/// The most different votes kept of one replica for one place: two are enough to
/// convict it, and both are counted, so that a liar gains nothing by being first.
const MOST_VOTES_EACH: usize = 2;

/// The votes for one place: a view and number, or a checkpoint's number.
#[derive(Clone, Debug)]
pub struct Tally<T> {
    votes: BTreeMap<ReplicaId, Vec<Verified<Signed<T>>>>,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Tally { votes: BTreeMap::new() }
    }
}

/// What became of a vote that was counted.
pub enum Counted<T> {
    /// The first of its sender.
    First,
    /// The sender had voted otherwise before: that vote.
    Conflicting(Box<Verified<Signed<T>>>),
}

impl<T: Vote> Tally<T> {
    /// Counts a vote, once for each sender and digest.
    pub fn count(&mut self, vote: Verified<Signed<T>>) -> Result<Counted<T>, Reject> {
        let votes = self.votes.entry(vote.body.by().replica).or_default();
        if votes.len() >= MOST_VOTES_EACH
            || votes.iter().any(|one| one.body.digest() == vote.body.digest())
        {
            return Err(Reject::Duplicate);
        }
        let counted = match votes.first() {
            None => Counted::First,
            Some(earlier) => Counted::Conflicting(Box::new(earlier.clone())),
        };
        votes.push(vote);
        Ok(counted)
    }

    /// The votes for one digest, one for each sender, in the order of replicas.
    pub fn matching(&self, digest: Digest) -> impl Iterator<Item = &Verified<Signed<T>>> {
        self.votes.values().flatten().filter(move |vote| vote.body.digest() == digest)
    }

    /// How many voted for this digest.
    pub fn number_for(&self, digest: Digest) -> usize {
        self.matching(digest).count()
    }

    /// What one replica voted.
    pub fn of(&self, replica: ReplicaId) -> Option<&Verified<Signed<T>>> {
        self.votes.get(&replica).and_then(|votes| votes.first())
    }

    /// Every digest that somebody voted for.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        let mut seen: Vec<Digest> =
            self.votes.values().flatten().map(|vote| vote.body.digest()).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.into_iter()
    }

    /// Who cast the votes.
    pub fn voters(&self) -> impl Iterator<Item = Voter> {
        self.votes.values().flatten().map(|vote| vote.body.by())
    }

    /// Forgets votes that don't count any more.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for votes in self.votes.values_mut() {
            votes.retain(|vote| keep(&vote.body));
        }
        self.votes.retain(|_, votes| !votes.is_empty());
    }

    /// How many votes are held; at most two for each replica.
    pub fn held(&self) -> usize {
        self.votes.values().map(Vec::len).sum()
    }
}
