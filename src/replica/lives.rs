//! Incarnations: who speaks in which of its lives, and about which numbers (§ Stable
//! storage and recovery).
//!
//! A replica that lost its disk asks, by an ordered command, for its next incarnation.
//! Executed at `r`, it takes effect at the first checkpoint `a >= r + L`: about numbers
//! above `a` only the new life counts, and the old one's wishes for views are void
//! for whoever has executed `a`. All of this is part of the replicated state.

use crate::message::{Parameters, Voter};
use crate::types::{Committee, Incarnation, Nonce, ReplicaId, Seq};
use crate::wire::List;
use bincode::{Decode, Encode};

/// How many nonces of a replica are remembered, so that an old command of its own
/// isn't carried out again.
const MOST_NONCES: usize = 64;

/// An incarnation that will take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode)]
struct Pending {
    nonce: Nonce,
    /// The checkpoint `a`.
    at: Seq,
}

/// What is agreed about one replica's lives.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode)]
struct Life {
    current: Incarnation,
    /// The checkpoint at which the current one took effect; genesis for the first.
    since: Seq,
    pending: Option<Pending>,
    /// A command that waits for its turn.
    queued: Option<Nonce>,
    /// Nonces of commands that were taken, the latest last.
    used: List<Nonce>,
}

/// What is agreed about all replicas' lives.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Lives(List<Life>);

impl Lives {
    /// Everybody in their first life.
    pub(super) fn new(committee: Committee) -> Lives {
        Lives(committee.replicas().map(|_| Life::default()).collect())
    }

    fn life(&self, replica: ReplicaId) -> Option<&Life> {
        self.0.get(usize::from(replica.0))
    }

    /// The incarnation in which a replica must speak about a number.
    pub(super) fn incarnation_about(&self, replica: ReplicaId, seq: Seq) -> Incarnation {
        let Some(life) = self.life(replica) else { return Incarnation::FIRST };
        match life.pending {
            Some(pending) if seq > pending.at => life.current.next(),
            _ => life.current,
        }
    }

    /// Whether a vote about a number counts. About numbers up to where the current life
    /// began, any life up to it does.
    pub(super) fn counts(&self, voter: Voter, seq: Seq) -> bool {
        let Some(life) = self.life(voter.replica) else { return false };
        let required = self.incarnation_about(voter.replica, seq);
        match seq > life.since {
            true => voter.incarnation == required,
            false => voter.incarnation <= required,
        }
    }

    /// Whether a word about views counts for whoever has executed up to here: the
    /// current life's does, and one's that is about to begin.
    pub(super) fn counts_for_views(&self, voter: Voter) -> bool {
        let Some(life) = self.life(voter.replica) else { return false };
        let begins = life.pending.is_some() && voter.incarnation == life.current.next();
        voter.incarnation == life.current || begins
    }

    /// In which life a replica speaks about views.
    pub(super) fn current(&self, replica: ReplicaId) -> Incarnation {
        self.life(replica).map_or(Incarnation::FIRST, |life| life.current)
    }

    /// Where the current life of a replica began.
    pub(super) fn began(&self, replica: ReplicaId) -> Seq {
        self.life(replica).map_or(Seq::GENESIS, |life| life.since)
    }

    /// The checkpoint by which the command with this nonce took effect, if it has: its
    /// own, or that of a later one, which asks for no less.
    pub(super) fn effect_of(&self, replica: ReplicaId, nonce: Nonce) -> Option<Seq> {
        let life = self.life(replica)?;
        let is_under_way = life.queued == Some(nonce)
            || life.pending.is_some_and(|pending| pending.nonce == nonce);
        (life.used.contains(&nonce) && !is_under_way).then_some(life.since)
    }

    /// Whether a command with this nonce was taken already.
    pub(super) fn knows(&self, replica: ReplicaId, nonce: Nonce) -> bool {
        self.life(replica).is_some_and(|life| life.used.contains(&nonce))
    }

    /// Whether numbers must go on for some incarnation to take effect.
    pub(super) fn is_anything_owed(&self) -> bool {
        self.0.iter().any(|life| life.pending.is_some() || life.queued.is_some())
    }

    /// Executes a command at `r`. One that was taken before has no effect; one that
    /// comes while another is under way waits. One that comes while another of the same
    /// replica waits is not taken: it would displace the other, which may be the one
    /// that the replica stands by, and who means it asks again.
    pub(super) fn request(
        &mut self,
        replica: ReplicaId,
        nonce: Nonce,
        at: Seq,
        committee: Committee,
        parameters: &Parameters,
    ) {
        if self.knows(replica, nonce) {
            return;
        }
        let Some(life) = self.0.0.get_mut(usize::from(replica.0)) else { return };
        if life.queued.is_some() {
            return;
        }
        life.queued = Some(nonce);
        life.used.0.push(nonce);
        if life.used.len() > MOST_NONCES {
            life.used.0.remove(0);
        }
        self.promote(at, committee, parameters);
    }

    /// Lets queued commands take their turn: at most `f` under way at a time, one per
    /// replica in so many checkpoints.
    fn promote(&mut self, at: Seq, committee: Committee, parameters: &Parameters) {
        let spacing = parameters.recovery_spacing.saturating_mul(parameters.checkpoint_interval);
        let mut under_way = self.0.iter().filter(|life| life.pending.is_some()).count();
        for life in &mut self.0.0 {
            let rested = life.since == Seq::GENESIS || at >= life.since.plus(spacing);
            if under_way >= committee.faults() || life.pending.is_some() || !rested {
                continue;
            }
            if let Some(nonce) = life.queued.take() {
                let at = at.plus(parameters.window).0.div_ceil(parameters.checkpoint_interval);
                let at = Seq(at.saturating_mul(parameters.checkpoint_interval));
                life.pending = Some(Pending { nonce, at });
                under_way += 1;
            }
        }
    }

    /// A checkpoint's number was executed: what is due takes effect, and what is queued
    /// takes its turn. Says whose new life begins.
    pub(super) fn checkpoint(
        &mut self,
        seq: Seq,
        committee: Committee,
        parameters: &Parameters,
    ) -> Vec<(ReplicaId, Incarnation)> {
        let mut begun = Vec::new();
        for (replica, life) in (0..).map(ReplicaId).zip(&mut self.0.0) {
            if let Some(pending) = life.pending
                && pending.at <= seq
            {
                life.current = life.current.next();
                life.since = pending.at;
                life.pending = None;
                begun.push((replica, life.current));
            }
        }
        self.promote(seq, committee, parameters);
        begun
    }
}
