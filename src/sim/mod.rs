//! The simulated world: whole clusters that live through faults and lies, decided by one
//! seed and replayed from it.
//!
//! Every part of the protocol in here is the real one: [`crate::replica::Replica`], the
//! service, the client's session. What is simulated is what surrounds them: network,
//! disks, clocks. Each run has two phases. First anything may happen; then everything
//! heals but the liars, and every client must be answered within a bound and all honest
//! replicas must agree. The [`checker`] looks after every step.

pub mod checker;
pub mod clock;
pub mod disk;
pub mod history;
pub mod model;
pub mod plan;
pub mod shrink;

pub mod world;

pub use crate::random;
pub use checker::{Invariant, Violation};
pub use plan::{Control, Plan};

use crate::types::{Digest, Span};
use std::collections::BTreeMap;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// How many replicas, instead of what the seed would choose.
    pub replicas: Option<u16>,
    /// How the liars lie, instead of what the seed would choose.
    pub behaviour: Option<String>,
    /// The most events.
    pub steps: Option<u64>,
    /// Whether to keep a line for every event.
    pub trace: bool,
    /// Which promise to break, to see that the checker sees it.
    pub control: Option<Control>,
}

/// What was covered: how often each thing happened.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Coverage(pub BTreeMap<String, u64>);

impl Coverage {
    /// It happened once more.
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// It happened so many times more.
    pub fn add(&mut self, what: &str, times: u64) {
        match self.0.get_mut(what) {
            Some(count) => *count += times,
            None => {
                self.0.insert(what.to_string(), times);
            }
        }
    }

    /// What happened elsewhere too.
    pub fn merge(&mut self, other: &Coverage) {
        for (what, count) in &other.0 {
            *self.0.entry(what.clone()).or_default() += count;
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// How many events there were.
    pub steps: u64,
    /// How many messages were delivered.
    pub messages: u64,
    /// How many operations clients had answered.
    pub requests: u64,
    /// How much time passed in the world.
    pub simulated: Span,
    /// What happened how often.
    pub coverage: Coverage,
    /// Of every event: two runs of a seed are the same run.
    pub digest: Digest,
    /// What was wrong, if anything was.
    pub violation: Option<Violation>,
    /// The last events.
    pub story: Vec<String>,
    /// All events, if they were asked for.
    pub trace: Vec<String>,
    /// What the seed decided.
    pub plan: Plan,
}

/// Runs the world of a seed.
pub fn run(options: &Options) -> Report {
    run_plan(Plan::of(options), options)
}

/// Runs a world by a plan that may have been changed since it was drawn. Chance within
/// the run is the seed's, and none of it is shared between things that have nothing to
/// do with each other: what is left of a plan goes much as it would have gone.
pub fn run_plan(plan: Plan, options: &Options) -> Report {
    world::World::new(plan, options).run(options)
}
