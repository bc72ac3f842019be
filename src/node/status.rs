//! What a node tells of itself to operators: plain data with stable names.

use super::outlet::Confession;
use crate::message::Evidence;
use crate::replica::{Replica, Standing, Suspicion};
use crate::storage::StorageError;
use crate::wire;
use serde::{Deserialize, Serialize};

/// What a node was like, not long ago. The names are part of the interface.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The replica's number.
    pub id: u16,
    /// The version of the program.
    pub version: String,
    /// The name of the way in which it lies, if it was made to: absent from honest ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malicious: Option<String>,
    /// What it said in place of what, if it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confession: Option<Confession>,
    /// The cluster's name, in hex.
    pub cluster: String,
    /// For how long it has run, in milliseconds.
    pub up_ms: u64,
    /// The view that it is in, or asks for.
    pub view: u64,
    /// Whether it is in that view, or waits for its opening.
    pub active: bool,
    /// The primary of that view.
    pub primary: u16,
    /// `primary` or `backup`.
    pub role: String,
    /// `starting`, `recovering`, `voting` or `halted`.
    pub standing: String,
    /// `running`, or why it takes no steps: `disk full`, `disk read-only`, or `stopped` and
    /// for what.
    pub running: String,
    /// Why states wait to be written though it takes steps: `disk full` or
    /// `disk read-only`. Until they are, it votes for no checkpoint. Absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsaved: Option<String>,
    /// The last number executed.
    pub executed: u64,
    /// The stable checkpoint.
    pub stable: u64,
    /// Its certificate, in the protocol's own encoding, in hex; none before the first.
    pub stable_certificate: Option<String>,
    /// Whether it is fetching a state.
    pub transferring: bool,
    /// Whether its own state was found to be wrong and is not replaced yet.
    pub diverged: bool,
    /// How long it waits at present before it suspects the primary, in milliseconds.
    pub patience_ms: u64,
    /// In how long it acts by itself if nothing comes, in milliseconds.
    pub wakes_in_ms: u64,
    /// Which wait for a primary runs, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<TimerStatus>,
    /// How long ago the replica took the step after which this was written, in milliseconds.
    /// All other times are counted on from there.
    #[serde(default)]
    pub age_ms: u64,
    /// The last view change that it asked for.
    pub suspicion: Option<Suspected>,
    /// The records of lies that it holds.
    pub evidence: Vec<Accusation>,
    /// What it knows of the others.
    pub peers: Vec<PeerStatus>,
    /// What it holds in memory, by kind.
    pub held: HeldStatus,
}

/// A view change that a replica asked for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Suspected {
    /// The view asked for.
    pub view: u64,
    /// Why.
    pub why: String,
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
}

/// A wait for a primary, which ends by itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TimerStatus {
    /// The primary that is suspected when it ends.
    pub suspects: u16,
    /// The view that is asked for then.
    pub asks_for: u64,
    /// In how long, in milliseconds.
    pub in_ms: u64,
}

/// A record of a lie.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Accusation {
    /// The replica that signed two things that conflict.
    pub replica: u16,
    /// Of what kind they are.
    pub kind: String,
}

/// The same with the record itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Exhibit {
    /// Who lied, and how.
    #[serde(flatten)]
    pub accusation: Accusation,
    /// Both signed bodies, in the protocol's own encoding, in hex.
    pub record: String,
}

/// What a node knows of another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its number.
    pub id: u16,
    /// Whether there is a connection to it.
    pub connected: bool,
    /// Why there is none.
    pub reason: Option<String>,
    /// How long ago anything came from it, in milliseconds; none if nothing ever did.
    pub seen_ms: Option<u64>,
    /// The view that it says it is in.
    pub view: Option<u64>,
    /// What it says it has executed.
    pub executed: Option<u64>,
    /// What it says is its stable checkpoint.
    pub stable: Option<u64>,
}

/// What a replica holds in memory, in pieces. See [`crate::replica::Held`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct HeldStatus {
    /// Numbers of the current view.
    pub slots: usize,
    /// Prepared certificates.
    pub prepared: usize,
    /// Decided entries.
    pub decided: usize,
    /// Batches.
    pub bodies: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Promises remembered.
    pub promises: usize,
}

impl Status {
    /// What can be read off the replica itself; the rest is filled in by its owner.
    pub(super) fn of(replica: &Replica, cluster: String, primary: u16) -> Status {
        let id = replica.id().0;
        let held = replica.held();
        Status {
            id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            malicious: None,
            confession: None,
            cluster,
            up_ms: 0,
            view: replica.view().0,
            active: replica.is_active(),
            primary,
            role: if id == primary { "primary" } else { "backup" }.to_owned(),
            standing: standing(replica.standing()).to_owned(),
            running: RUNNING.to_owned(),
            unsaved: None,
            executed: replica.executed().0,
            stable: replica.stable().0,
            stable_certificate: replica
                .stable_certificate()
                .map(|certificate| hex(&wire::encode(&**certificate))),
            transferring: replica.is_in_transfer(),
            diverged: replica.is_diverged(),
            patience_ms: replica.patience().0 / 1_000,
            wakes_in_ms: 0,
            timer: None,
            age_ms: 0,
            suspicion: None,
            evidence: replica.evidence().iter().map(|evidence| accusation(evidence)).collect(),
            peers: Vec::new(),
            held: HeldStatus {
                slots: held.slots,
                prepared: held.prepared,
                decided: held.decided,
                bodies: held.bodies,
                waiting: held.waiting,
                promises: held.promises,
            },
        }
    }

    /// The same after a while in which nothing was written anew.
    pub(super) fn after(&self, passed_ms: u64) -> Status {
        let mut later = self.clone();
        later.age_ms += passed_ms;
        later.up_ms += passed_ms;
        later.wakes_in_ms = later.wakes_in_ms.saturating_sub(passed_ms);
        if let Some(timer) = &mut later.timer {
            timer.in_ms = timer.in_ms.saturating_sub(passed_ms);
        }
        if let Some(suspicion) = &mut later.suspicion {
            suspicion.ago_ms += passed_ms;
        }
        later
            .peers
            .iter_mut()
            .filter_map(|peer| peer.seen_ms.as_mut())
            .for_each(|ms| *ms += passed_ms);
        later
    }

    /// Whether it should have taken a step since, and has not for long.
    pub fn stands_still(&self) -> bool {
        self.wakes_in_ms == 0 && self.age_ms >= STANDS_STILL_MS
    }

    /// Whether it is the primary of its view.
    pub fn is_primary(&self) -> bool {
        self.id == self.primary
    }

    /// Whether it may vote.
    pub fn is_voting(&self) -> bool {
        self.standing == VOTING
    }

    /// How many numbers it is behind what an honest peer has executed, by their words.
    pub fn lag(&self) -> u64 {
        // Of the others, no more than a third may lie.
        let furthest =
            backed(self.peers.iter().filter_map(|peer| peer.executed), self.peers.len() / 3);
        furthest.unwrap_or(0).saturating_sub(self.executed)
    }

    /// What stands in the way of serving clients: empty if nothing does. A quorum of so
    /// many must be reached, this node included.
    pub fn obstacles(&self, quorum: usize) -> Vec<String> {
        let mut obstacles = Vec::new();
        if self.running != RUNNING {
            obstacles.push(format!("it takes no steps: {}", self.running));
        } else if self.stands_still() {
            let seconds = self.age_ms / 1_000;
            obstacles.push(format!("it has taken no step for {seconds} s: its disk may hang"));
        }
        if let Some(why) = &self.unsaved {
            obstacles.push(format!("its checkpoints wait for the disk: {why}"));
        }
        if !self.is_voting() {
            obstacles.push(format!("it does not vote: it is {}", self.standing));
        }
        if !self.active {
            obstacles.push(format!("it waits for view {} to open", self.view));
        }
        if self.transferring {
            obstacles.push("it is fetching the state".to_owned());
        }
        if self.diverged {
            obstacles.push("its own state was wrong and is being replaced".to_owned());
        }
        let reached = 1 + self.peers.iter().filter(|peer| peer.connected).count();
        if reached < quorum {
            obstacles.push(format!("{reached} replicas are connected, and {quorum} are needed"));
        }
        obstacles
    }
}

/// The highest number of which an honest one is sure to claim as much, if so many of those
/// that claim may lie; none if no more claim than that.
pub fn backed(claims: impl Iterator<Item = u64>, faults: usize) -> Option<u64> {
    let mut claims: Vec<u64> = claims.collect();
    claims.sort_unstable();
    claims.into_iter().rev().nth(faults)
}

/// A replica takes a step whenever it wants to act by itself. One that wanted to, and has taken
/// none for so long, hangs, most likely in its disk.
const STANDS_STILL_MS: u64 = 10_000;

/// It takes steps.
pub const RUNNING: &str = "running";

/// Why it takes none, or writes no states, in two words.
pub(super) fn want_of_room(error: &StorageError) -> &'static str {
    match error.is_read_only() {
        true => "disk read-only",
        false => "disk full",
    }
}

const VOTING: &str = "voting";

fn standing(standing: &Standing) -> &'static str {
    match standing {
        Standing::Starting { .. } => "starting",
        Standing::Recovering { .. } => "recovering",
        Standing::Voting => VOTING,
        Standing::Halted => "halted",
    }
}

/// A record as it is shown. It proves itself: nobody needs to believe the node.
pub(super) fn exhibit(evidence: &Evidence) -> Exhibit {
    Exhibit { accusation: accusation(evidence), record: hex(&wire::encode(evidence)) }
}

fn accusation(evidence: &Evidence) -> Accusation {
    let kind = match evidence {
        Evidence::PrePrepare(..) => "pre-prepare",
        Evidence::Prepare(..) => "prepare",
        Evidence::Commit(..) => "commit",
        Evidence::Checkpoint(..) => "checkpoint",
        Evidence::ViewChange(..) => "view-change",
        Evidence::NewView(..) => "new-view",
    };
    Accusation { replica: evidence.accused().replica.0, kind: kind.to_owned() }
}

/// Why a view change was asked for, in words.
pub(super) fn why(suspicion: Suspicion) -> &'static str {
    match suspicion {
        Suspicion::NothingExecuted => "nothing was executed while something waited",
        Suspicion::Unfair => "others were served, and one client was not",
        Suspicion::Slow => "the primary orders far more slowly than it could",
        Suspicion::NewViewLate => "the new view did not open in time",
        Suspicion::Joined => "enough others asked",
        Suspicion::Rotation => "an orderly rotation",
        Suspicion::Reborn => "its wish for the view before became void with its old life",
        Suspicion::Abdicates => "as the primary it may have proposed what a crash made it forget",
        Suspicion::PrimaryLeft => "the primary itself asked for another",
        Suspicion::Convicted => "evidence convicts the primary",
        Suspicion::OtherLife => "the primary speaks in the name of a life that it is not in",
    }
}

/// Bytes in hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
        text
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// What a replica tells that is in view 0 and waits for nothing, but for these fields.
    pub(crate) fn said(id: u16, but_for: &Value) -> Status {
        let mut told = json!({
            "id": id, "version": "0", "cluster": "", "up_ms": 1, "view": 0, "active": true,
            "primary": 0, "role": if id == 0 { "primary" } else { "backup" },
            "standing": "voting", "running": "running", "executed": 7, "stable": 0,
            "stable_certificate": null, "transferring": false, "diverged": false,
            "patience_ms": 2_000, "wakes_in_ms": 100, "suspicion": null, "evidence": [],
            "peers": [], "held": {
                "slots": 0, "prepared": 0, "decided": 0, "bodies": 0, "waiting": 0, "promises": 0,
            },
        });
        for (name, value) in but_for.as_object().expect("an object") {
            told[name] = value.clone();
        }
        serde_json::from_value(told).expect("all fields are there")
    }

    #[test]
    fn a_peer_that_claims_more_than_any_other_leaves_nobody_behind() {
        let lag = |executed: [Option<u64>; 3]| {
            let peer = |executed: &Option<u64>| {
                json!({
                    "id": 1, "connected": true, "reason": null, "seen_ms": null, "view": null,
                    "executed": executed, "stable": null,
                })
            };
            let peers: Vec<Value> = executed.iter().map(peer).collect();
            said(0, &json!({ "peers": peers })).lag()
        };
        assert_eq!(lag([Some(u64::MAX), Some(7), Some(5)]), 0);
        assert_eq!(lag([Some(u64::MAX), Some(9), Some(5)]), 2);
        assert_eq!(lag([Some(u64::MAX), None, None]), 0);
    }
}
