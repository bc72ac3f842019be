//! Whether primaries are left, and kept, as they should be: a backup does not wait for ever
//! for one under whom nothing happens, and whoever serves all in a calm network stays.

use super::{Checker, Glimpse, Invariant};
use crate::replica::effects::Suspicion;
use crate::types::{Instant, ReplicaId};
use std::collections::{BTreeMap, BTreeSet};

/// Whoever was due to suspect somebody, and took so many steps since, will not.
const STEPS: u64 = 8;

/// A wait in which nothing happens.
#[derive(Clone, Copy)]
struct Wait {
    view: u64,
    executed: u64,
    since: Instant,
    /// When it was first seen to be too long, and the steps since.
    late: Option<(Instant, u64)>,
}

/// What is known of waits.
#[derive(Default)]
pub(super) struct Patience {
    waits: BTreeMap<ReplicaId, Wait>,
    /// Those who are reliable, once the network is calm for good.
    calm: Option<BTreeSet<ReplicaId>>,
    /// The view that each entered since.
    entered: BTreeMap<ReplicaId, u64>,
}

impl Patience {
    /// A process ended, and its waits with it.
    pub(super) fn forget(&mut self, id: ReplicaId) {
        self.waits.remove(&id);
        self.entered.remove(&id);
    }
}

impl Checker {
    /// A backup that holds something to be ordered, in a view in which nothing executes and
    /// when nobody is ahead of it, leaves that view when its wait is over.
    pub(super) fn is_patient(&mut self, id: ReplicaId, seen: &Glimpse) {
        let ahead = self.ever_executed.values().any(|other| *other > seen.executed);
        if !seen.waits || ahead || self.cluster.primary(seen.view) == id {
            self.patience.waits.remove(&id);
            return;
        }
        let (view, executed, now) = (seen.view, seen.executed, seen.instant);
        let fresh = Wait { view, executed, since: now, late: None };
        let wait = self.patience.waits.entry(id).or_insert(fresh);
        if (wait.view, wait.executed) != (view, executed) {
            *wait = fresh;
        }
        let since = wait.since;
        if now <= since.plus(seen.patience) {
            return;
        }
        let (first, steps) = wait.late.get_or_insert((now, 0));
        *steps += 1;
        if *steps > STEPS && now > first.plus(seen.patience) {
            let what = format!("{id:?} has waited since {since:?}, and until now: {seen:?}");
            self.fail(Invariant::Progress, what);
        }
    }

    /// From here on the network is calm, and these have what they promised.
    pub fn calms(&mut self, reliable: BTreeSet<ReplicaId>) {
        self.patience.calm = Some(reliable);
    }

    /// Somebody takes part in a view.
    pub(super) fn enters(&mut self, id: ReplicaId, view: u64) {
        if self.patience.calm.is_some() {
            self.patience.entered.insert(id, view);
        }
    }

    /// Nobody leaves a primary as a convict, or passes over one that would have been next,
    /// that was never one.
    pub(super) fn passes_over(&mut self, id: ReplicaId, left: u64, to: u64, why: Suspicion) {
        let is_liars = matches!(why, Suspicion::Convicted | Suspicion::OtherLife);
        let first = if is_liars { left } else { left + 1 };
        if why == Suspicion::Joined {
            return;
        }
        let primaries = (first..to).map(|view| self.cluster.primary(view));
        let wronged: Vec<ReplicaId> =
            primaries.filter(|primary| !self.may_pass_over(id, *primary)).collect();
        if !wronged.is_empty() {
            let what = format!("{id:?} goes from v{left} to v{to} past {wronged:?}: {why:?}");
            self.fail(Invariant::FalseAccusation, what);
        }
    }

    /// Whether a replica may hold evidence against a primary, by all that it can know: of a
    /// liar, of one whose disk forgot, or of such a one's life before.
    pub(super) fn may_pass_over(&self, id: ReplicaId, primary: ReplicaId) -> bool {
        let executed = self.executed.get(&id).map_or(0, |seq| seq.0);
        !self.bears_convicts
            && (self.faulty.contains(&primary)
                || self.is_forgetful(primary)
                || self.excused.contains_key(&primary) && self.is_before_life(primary, executed))
    }

    /// Nobody leaves a reliable primary whose view all reliable replicas entered in calm,
    /// but in an orderly way; or because it seems slow: liars can spoil that measure, which
    /// loosens each time that it was wrong.
    pub(super) fn is_left(&mut self, id: ReplicaId, left: u64, why: Suspicion) {
        let Some(calm) = &self.patience.calm else { return };
        let primary = self.cluster.primary(left);
        let is_excused = matches!(why, Suspicion::Rotation | Suspicion::Reborn | Suspicion::Slow);
        let are_there = calm.iter().all(|one| self.patience.entered.get(one) == Some(&left));
        let is_enough = calm.len() >= self.cluster.quorum();
        let is_left = are_there && is_enough && calm.contains(&primary) && calm.contains(&id);
        self.patience.entered.remove(&id);
        if is_left && !is_excused {
            let what = format!("{id:?} leaves the reliable {primary:?} of view {left}: {why:?}");
            self.fail(Invariant::Progress, what);
        }
    }
}
