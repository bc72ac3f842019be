//! What each node may set for itself. Nothing here needs to be alike on two replicas
//! for safety; progress wants the time limits to be of one size.

use crate::types::Span;

/// A replica's own settings. Times are the replica's own clock's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long a backup waits for a request, or for a new view, before it doubles.
    pub patience: Span,
    /// The longest that it waits. Must exceed the slowest view change that the
    /// deployment can see, state of a laggard's fetched bodies included.
    pub most_patience: Span,
    /// How often it tells the others what it has and lacks.
    pub status_interval: Span,
    /// How long it waits for something fetched before it asks somebody else.
    pub fetch_timeout: Span,
    /// How many numbers the primary keeps in flight.
    pub pipeline: u64,
    /// How many of them it begins however little is in their batches. For more there must
    /// be enough to be worth a round of votes.
    pub eager: u64,
    /// How long it waits at most for as many clients as asked of late, before it begins a
    /// batch with fewer. It never waits for longer than agreement takes. 0 has it wait for
    /// nobody.
    pub gathering: Span,
    /// From so many requests in a batch on, this replica leaves it to others to check what
    /// clients signed, where it is not its turn. Of smaller ones the check costs less than
    /// the time until others have vouched.
    pub vouched_from: usize,
    /// How long it waits for them at least before it checks all the same. If agreement
    /// takes longer, it waits so long, but not more than a quarter of the patience.
    pub vouching_patience: Span,
    /// Of a batch of so many requests, this replica leaves it to others to reply, where
    /// it can be spared. All reply to fewer: that costs little, and the fastest of all are
    /// sooner there than those chosen beforehand, the more so where ways are long or uneven.
    pub spared_from: usize,
    /// How long it replies at once to a client that had to ask it.
    pub replies_for: Span,
    /// So many numbers ahead it reserves, and its votes there need no sync of their own. It
    /// says nothing about those of them that a crash made it forget. 0 has each vote synced.
    pub reserved_votes: u64,
    /// How often the primary proposes a fill-up while numbers must not stand still.
    pub fill_up_interval: Span,
    /// How much longer than agreement itself a primary may take to propose a request
    /// before it counts as slow: so many times the median.
    pub slow_factor: u64,
    /// And never less than this.
    pub slow_floor: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            patience: Span::milliseconds(1_000),
            most_patience: Span::seconds(60),
            status_interval: Span::milliseconds(200),
            fetch_timeout: Span::milliseconds(300),
            pipeline: 8,
            eager: 2,
            gathering: Span::milliseconds(10),
            vouched_from: 16,
            vouching_patience: Span::milliseconds(50),
            spared_from: 16,
            replies_for: Span::seconds(2),
            reserved_votes: 64,
            fill_up_interval: Span::milliseconds(20),
            slow_factor: 10,
            slow_floor: Span::milliseconds(100),
        }
    }
}
