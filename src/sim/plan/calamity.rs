//! What can go wrong in a world, or right again.

use crate::types::{ClientId, ReplicaId, Span};

/// Something that goes wrong, or right again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Calamity {
    /// A replica's process ends at once.
    Crash(ReplicaId),
    /// Its process is told to end, and has the time to.
    Stop(ReplicaId),
    /// Its process ends the next time that it gets to this moment, and is started again
    /// so much later.
    CrashAt(ReplicaId, Moment, Span),
    /// The process of whoever is primary ends, and is started again so much later.
    CrashPrimary(Span),
    /// It is started again from its disk.
    Restart(ReplicaId),
    /// All processes end at once, and are started again.
    Blackout,
    /// The process is stopped, and goes on later.
    Pause(ReplicaId, Span),
    /// The process of whoever is primary is stopped, and goes on later.
    PausePrimary(Span),

    /// The disk is lost, and the replica is started with the operator's word for that.
    Wipe(ReplicaId),
    /// The disk is lost, and the replica is started as if it were new.
    WipeUnnoticed(ReplicaId),
    /// A copy of the disk is made.
    Backup(ReplicaId),
    /// The copy takes the place of the disk.
    PutBack(ReplicaId),
    /// The log is damaged in its middle, and the process ends.
    RotLog(ReplicaId),
    /// The newest saved state is damaged, and the process ends.
    RotState(ReplicaId),
    /// The disk says from here on that it synced, and doesn't; until the next crash.
    Lie(ReplicaId),
    /// The next sync fails.
    FailSync(ReplicaId),
    /// The disk has no room for so long.
    Fill(ReplicaId, Span),
    /// The disk is slow from here on.
    SlowDisk(ReplicaId),

    /// These are cut off from the others.
    Partition(Vec<ReplicaId>),
    /// These are cut off from the others, and only this one reaches both sides.
    Bridge(ReplicaId, Vec<ReplicaId>),
    /// One after the other is cut off, each for so long.
    Rotate(Span),
    /// What one sends to another is lost.
    OneWay(ReplicaId, ReplicaId),
    /// A client and these replicas don't reach each other.
    CutClient(ClientId, Vec<ReplicaId>),
    /// Everything is held up for so long, and then comes at once.
    Dam(Span),
    /// So many messages of any age come once more.
    Replay(u64),
    /// All links are whole again.
    Mend,

    /// The clock on the wall jumps by so many microseconds.
    ClockJump(ReplicaId, i64),
    /// The clock on the wall goes at so many thousandths of its rate; 0 stops it.
    WallRate(ReplicaId, u64),
    /// All of a machine's time goes at so many thousandths of its rate.
    Rate(ReplicaId, u64),

    /// A client's process ends, and is started again: it kept count.
    ClientContinues(ClientId),
    /// A client's process ends, and is started again: it lost count.
    ClientLosesCount(ClientId),
    /// A client gives up on what it waits for.
    ClientAbandons(ClientId),
}

impl Calamity {
    /// Its name, without what it befalls.
    pub fn name(&self) -> String {
        let whole = format!("{self:?}");
        match self {
            Calamity::CrashAt(_, moment, _) => format!("CrashAt {moment:?}"),
            _ => whole.split('(').next().unwrap_or("").to_string(),
        }
    }
}

/// A moment in a replica's life at which its process may end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Moment {
    /// It has decided what to do, and nothing of it is on its disk.
    BeforeAppend,
    /// Its records are in the log, nothing is sent.
    Appended,
    /// What may leave at once is sent, nothing is synced.
    FreeSent,
    /// The sync is done, and what waited for it is not sent.
    Synced,
    /// Half of what waited for the sync is sent.
    HalfSent,
    /// The log begins anew, and that is not synced.
    Compacted,
    /// The log began anew, and half of what stood before is removed.
    HalfCleaned,
    /// A state is written, and the replica doesn't know yet.
    StateWritten,
    /// A part of a state that is being fetched is kept.
    PartKept,
}

/// Every such moment.
pub const MOMENTS: [Moment; 9] = [
    Moment::BeforeAppend,
    Moment::Appended,
    Moment::FreeSent,
    Moment::Synced,
    Moment::HalfSent,
    Moment::Compacted,
    Moment::HalfCleaned,
    Moment::StateWritten,
    Moment::PartKept,
];
