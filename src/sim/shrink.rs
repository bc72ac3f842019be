//! A smaller world that fails in the same way: of the plan, everything is taken away that
//! the failure can do without.
//!
//! What is left of a plan runs with the same chance as before, so most of what is taken
//! away changes little of the rest.

use super::plan::{CALM, Calamity, Plan};
use super::{Invariant, Options, Report, run_plan};
use crate::types::ReplicaId;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a run fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failing {
    /// It breaks this.
    Invariant(Invariant),
    /// A replica panics.
    Panic,
}

/// What came of shrinking.
pub struct Shrunk {
    /// The smallest plan found that fails alike.
    pub plan: Plan,
    /// Its report; none if it panics.
    pub report: Option<Report>,
    /// How many runs it took.
    pub runs: u64,
}

/// The most runs that one shrinking takes.
pub const MOST_RUNS: u64 = 400;

struct Search<'a> {
    options: &'a Options,
    failing: Failing,
    runs: u64,
    plan: Plan,
    report: Option<Report>,
}

/// Takes away from a failing plan whatever its failure can do without. None if the plan
/// as it is doesn't fail like that.
pub fn shrink(options: &Options, plan: Plan, failing: Failing) -> Option<Shrunk> {
    let mut search = Search { options, failing, runs: 0, plan: plan.clone(), report: None };
    if !search.takes(plan) {
        return None;
    }
    loop {
        let before = search.plan.clone();
        search.fewer_calamities();
        search.fewer_people();
        search.less_to_do();
        if search.plan == before || search.runs >= MOST_RUNS {
            break;
        }
    }
    let Search { plan, report, runs, .. } = search;
    Some(Shrunk { plan, report, runs })
}

impl Search<'_> {
    /// Whether this plan fails alike; then it is the best so far.
    fn takes(&mut self, plan: Plan) -> bool {
        if self.runs >= MOST_RUNS {
            return false;
        }
        self.runs += 1;
        // A world that panicked is dropped with all its state.
        let outcome = catch_unwind(AssertUnwindSafe(|| run_plan(plan.clone(), self.options)));
        let report = outcome.ok();
        let failing = match &report {
            None => Some(Failing::Panic),
            Some(report) => {
                report.violation.as_ref().map(|violation| Failing::Invariant(violation.invariant))
            }
        };
        if failing != Some(self.failing) {
            return false;
        }
        self.plan = plan;
        self.report = report;
        true
    }

    /// The best so far, with a change.
    fn tries(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.plan.clone();
        change(&mut plan);
        plan != self.plan && self.takes(plan)
    }

    /// Drops ever smaller stretches of what goes wrong.
    fn fewer_calamities(&mut self) {
        let mut stretch = self.plan.calamities.len();
        while stretch > 0 {
            let mut from = 0;
            while from < self.plan.calamities.len() {
                let to = (from + stretch).min(self.plan.calamities.len());
                if !self.tries(|plan| drop(plan.calamities.drain(from..to))) {
                    from = to;
                }
            }
            stretch /= 2;
        }
    }

    fn fewer_people(&mut self) {
        for index in (0..self.plan.liars.len()).rev() {
            self.tries(|plan| _ = plan.liars.remove(index));
        }
        for index in (0..self.plan.hostile.len()).rev() {
            self.tries(|plan| _ = plan.hostile.remove(index));
        }
        self.tries(|plan| plan.twins = None);
        for replicas in 4..self.plan.replicas {
            if self.tries(|plan| only_among(plan, replicas)) {
                break;
            }
        }
        while self.plan.clients > 1 && self.tries(|plan| plan.clients -= 1) {}
    }

    fn less_to_do(&mut self) {
        self.tries(|plan| plan.weather = CALM);
        self.tries(|plan| plan.weather.replayed = 0);
        self.tries(|plan| plan.weather.doubled = 0);
        self.tries(|plan| plan.weather.lost = 0);
        while self.plan.operations > 1 && self.tries(|plan| plan.operations /= 2) {}
        self.tries(|plan| plan.operations = plan.operations.saturating_sub(1).max(1));
        self.tries(|plan| plan.keys = 1);
        self.tries(|plan| plan.parameters.rotation = 0);
        self.tries(|plan| plan.healed.0 = plan.healed.0 * 2 / 3);
    }
}

/// The same with fewer replicas, without those who are there no more, and with no more
/// faults than so many bear.
fn only_among(plan: &mut Plan, replicas: u16) {
    let is_there = |id: &ReplicaId| id.0 < replicas;
    plan.replicas = replicas;
    plan.liars.retain(|(id, _)| is_there(id));
    plan.twins = plan.twins.filter(is_there);
    plan.calamities.retain(|(_, calamity)| named(calamity).iter().all(is_there));
    if plan.control.is_none() {
        let twins = usize::from(plan.twins.is_some());
        let most = plan.faults().saturating_sub(twins);
        let kept: Vec<ReplicaId> = plan.all_liars().into_iter().take(most).collect();
        plan.liars.retain(|(id, _)| kept.contains(id));
    }
}

/// Whom a calamity befalls.
fn named(calamity: &Calamity) -> Vec<ReplicaId> {
    match calamity {
        Calamity::Crash(id)
        | Calamity::Stop(id)
        | Calamity::CrashAt(id, ..)
        | Calamity::Restart(id)
        | Calamity::Pause(id, _)
        | Calamity::Wipe(id)
        | Calamity::WipeUnnoticed(id)
        | Calamity::Backup(id)
        | Calamity::PutBack(id)
        | Calamity::RotLog(id)
        | Calamity::RotState(id)
        | Calamity::Lie(id)
        | Calamity::FailSync(id)
        | Calamity::Fill(id, _)
        | Calamity::SlowDisk(id)
        | Calamity::ClockJump(id, _)
        | Calamity::WallRate(id, _)
        | Calamity::Rate(id, _) => vec![*id],
        Calamity::OneWay(from, to) => vec![*from, *to],
        Calamity::Partition(island) | Calamity::CutClient(_, island) => island.clone(),
        Calamity::Bridge(bridge, island) => {
            island.iter().copied().chain(std::iter::once(*bridge)).collect()
        }
        Calamity::CrashPrimary(_)
        | Calamity::Blackout
        | Calamity::PausePrimary(_)
        | Calamity::Rotate(_)
        | Calamity::Dam(_)
        | Calamity::Replay(_)
        | Calamity::Mend
        | Calamity::ClientContinues(_)
        | Calamity::ClientLosesCount(_)
        | Calamity::ClientAbandons(_) => vec![],
    }
}
