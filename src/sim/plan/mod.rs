//! What a seed decides: who takes part, who lies, what goes wrong and when. A plan is a
//! plain value; one that was changed can be run as well as one that was drawn.

mod calamity;
mod draw;

pub use calamity::{Calamity, MOMENTS, Moment};

use super::Options;
use super::model::Signatures;
use super::random::Random;
use crate::message::Parameters;
use crate::replica::Settings;
use crate::types::{Instant, ReplicaId, Span};
use std::collections::BTreeSet;

/// How bad the network is while anything may happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Weather {
    /// Messages lost, of a thousand.
    pub lost: u64,
    /// Messages that come twice, of a thousand.
    pub doubled: u64,
    /// Messages of which a copy comes again much later, of a thousand.
    pub replayed: u64,
    /// The longest delay.
    pub most_delay: Span,
}

/// The weather after everything has healed.
pub const CALM: Weather =
    Weather { lost: 0, doubled: 0, replayed: 0, most_delay: Span::milliseconds(3) };

/// How a hostile client behaves. It has a listed key of its own, or none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hostility {
    /// Sends each request to everybody, many times.
    Repeats,
    /// Uses a number again, for another operation.
    Reuses,
    /// Signs two requests with one number, and shows each to other replicas.
    Splits,
    /// Asks for far more than it may.
    Floods,
    /// Asks one replica that may not be the primary, and is never heard of again.
    Vanishes,
    /// Uses numbers near the end of the integer.
    Ends,
    /// Is not listed.
    Unlisted,
}

/// Every such way.
pub const HOSTILITIES: [Hostility; 7] = [
    Hostility::Repeats,
    Hostility::Reuses,
    Hostility::Splits,
    Hostility::Floods,
    Hostility::Vanishes,
    Hostility::Ends,
    Hostility::Unlisted,
];

/// A promise that is broken on purpose: more than `f` are faulty, and the checker must
/// see it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Control {
    /// One more than `f` propose and vote for two things at once.
    Equivocators,
    /// All disks say that they synced, and didn't; and all processes end at once.
    LyingDisks,
}

/// Everything that a seed decides before the first step.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// How many replicas.
    pub replicas: u16,
    /// What all agree on.
    pub parameters: Parameters,
    /// Each replica's own settings.
    pub settings: Settings,
    /// How many honest clients.
    pub clients: u32,
    /// Operations for each of them.
    pub operations: u64,
    /// Over how many keys.
    pub keys: u64,
    /// The hostile clients.
    pub hostile: Vec<Hostility>,
    /// Whether their numbers come before those of the honest ones, or after.
    pub hostile_first: bool,
    /// How long a client waits for an answer before it gives up and asks for something else.
    pub timeout: Span,
    /// Whether values are so large that limits in bytes are met.
    pub large_values: bool,
    /// Inputs that come within so much time may be handled together.
    pub gathers: Span,
    /// Who lies, and the name of its behaviour in the cast. Whoever is named more than
    /// once plays its parts in turn.
    pub liars: Vec<(ReplicaId, &'static str)>,
    /// Whether a primary stays in office though evidence convicts it.
    pub bears_convicts: bool,
    /// For so long at a time.
    pub mood: Span,
    /// A replica of which two honest copies run, with one key and two disks.
    pub twins: Option<ReplicaId>,
    /// What goes wrong, and when.
    pub calamities: Vec<(Instant, Calamity)>,
    /// The weather until then.
    pub weather: Weather,
    /// The weather after that.
    pub calm: Weather,
    /// When everything heals but the liars.
    pub healed: Instant,
    /// How signatures are judged.
    pub signatures: Signatures,
    /// The promise that is broken, if one is. Else a calamity that would make more than
    /// `f` replicas faulty at a time does not befall.
    pub control: Option<Control>,
}

impl Plan {
    /// The plan of a seed, with what the options override.
    pub fn of(options: &Options) -> Plan {
        draw::plan(&mut Random::new(options.seed), options)
    }

    /// The parts that a replica plays; none if it is honest.
    pub fn parts_of(&self, id: ReplicaId) -> impl Iterator<Item = &'static str> {
        self.liars.iter().filter(move |(liar, _)| *liar == id).map(|(_, name)| *name)
    }

    /// All who lie.
    pub fn all_liars(&self) -> BTreeSet<ReplicaId> {
        self.liars.iter().map(|(id, _)| *id).collect()
    }

    /// `f`, in the plan's own counting.
    pub fn faults(&self) -> usize {
        usize::from((self.replicas.max(1) - 1) / 3)
    }
}
