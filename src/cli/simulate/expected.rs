//! What enough seeds must have covered. Something in here that never fired says that the
//! generator lost it: no run means anything about it.

use crate::byzantine::cast;
use crate::sim::Coverage;
use crate::sim::plan::{HOSTILITIES, MOMENTS};

/// From so many seeds on, everything expected must have fired.
pub const ENOUGH_SEEDS: u64 = 10_000;

const FAULTS: &[&str] = &[
    "Backup",
    "Blackout",
    "Bridge",
    "ClientAbandons",
    "ClientContinues",
    "ClientLosesCount",
    "ClockJump",
    "Crash",
    "CrashPrimary",
    "CutClient",
    "Dam",
    "Fill",
    "Lie",
    "Mend",
    "OneWay",
    "Partition",
    "Pause",
    "PausePrimary",
    "PutBack",
    "Rate",
    "Replay",
    "Restart",
    "RotLog",
    "RotState",
    "Rotate",
    "SlowDisk",
    "Stop",
    "WallRate",
    "Wipe",
    "WipeUnnoticed",
    "failed sync",
    "no room on disk",
    "refuses to start",
    "replayed message",
    "rollback detected",
    "unsynced records lost",
];

const EVENTS: &[&str] = &[
    "Entered",
    "Executed",
    "MayVote",
    "Reborn",
    "RolledBack",
    "Stable",
    "TransferBegan",
    "TransferDone",
    "evidence",
    "recovery done",
    "suspects Abdicates",
    "suspects Joined",
    "suspects NewViewLate",
    "suspects NothingExecuted",
    "suspects PrimaryLeft",
    "suspects Rotation",
    "suspects Slow",
    "suspects Unfair",
];

const READS: &[&str] = &[
    "bundle of several operations",
    "inputs gathered",
    "no receipts",
    "read by quorum",
    "read of a range",
    "read ordered",
    "read proved",
    "receipts",
    "request superseded",
    "silent replicas asked",
    "ticket abandoned",
    "ticket timed out",
];

const SHOWN: &[&str] = &[
    "checkpoint certificate",
    "commit certificate",
    "evidence",
    "new view with nulls",
    "part of a state",
    "prepared certificates",
];

const REJECTS: &[&str] = &[
    "AboveWindow",
    "Acknowledged",
    "BadCertificate",
    "BadNewView",
    "BadSignature",
    "BadTime",
    "BadViewChange",
    "BelowWindow",
    "BeyondWindow",
    "ChangingViews",
    "Conflict",
    "Duplicate",
    "FillUpTooSoon",
    "ForgedRequest",
    "FromSelf",
    "FutureView",
    "NotHere",
    "NotReady",
    "OldCertificate",
    "OldView",
    "OutOfRange",
    "OverQuota",
    "RepeatedItem",
    "TooLarge",
    "UnknownAuthor",
    "Unrequested",
    "WrongDigest",
    "WrongIncarnation",
    "WrongNonce",
    "WrongPart",
    "WrongRole",
];

/// Everything expected, by the name that the coverage has for it.
pub fn expected() -> Vec<String> {
    let prefixed = |prefix: &'static str, names: &'static [&'static str]| {
        names.iter().map(move |name| format!("{prefix} {name}"))
    };
    let behaviours = cast().into_iter().map(|role| format!("behaviour {}", role.name));
    behaviours
        .chain(["behaviour twins".to_string()])
        .chain(prefixed("fault", FAULTS))
        .chain(MOMENTS.iter().map(|moment| format!("fault crash at {moment:?}")))
        .chain(HOSTILITIES.iter().map(|hostility| format!("hostile client {hostility:?}")))
        .chain(prefixed("event", EVENTS))
        .chain(prefixed("reject", REJECTS))
        .chain(prefixed("shown", SHOWN))
        .chain(READS.iter().map(|name| (*name).to_string()))
        .collect()
}

/// What of that never fired.
pub fn missing(coverage: &Coverage) -> Vec<String> {
    expected().into_iter().filter(|what| !coverage.0.contains_key(what)).collect()
}
