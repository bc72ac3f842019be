//! Which wait of the replica runs at present, and when it ends: for operators, who ask that
//! when nothing moves. The replica tells no more than when it wants to be called again, so
//! this follows its rules (§ View change) by what goes into it and what comes out.

use super::status::TimerStatus;
use super::watch::milliseconds;
use crate::message::CheckedPeer;
use crate::replica::{Input, Notice, Replica, Standing};
use crate::types::{Committee, Instant, ReplicaId, View};
use std::collections::BTreeMap;

/// See the module's head.
pub(super) struct Timer {
    committee: Committee,
    /// Since when requests wait here without a pause.
    waiting: Option<Instant>,
    /// Since when something proposed is not executed.
    undecided: Option<Instant>,
    /// Nothing counts from earlier than this: something was executed, or a view begun.
    anew: Instant,
    /// The highest view that each of the others asked for.
    wishes: BTreeMap<ReplicaId, View>,
    /// When it gives up on the primary of the view that it asked for, if that was told to
    /// open it.
    gives_up: Option<Instant>,
}

impl Timer {
    pub(super) fn new(committee: Committee) -> Timer {
        Timer {
            committee,
            waiting: None,
            undecided: None,
            anew: Instant(0),
            wishes: BTreeMap::new(),
            gives_up: None,
        }
    }

    /// An input is about to be handled.
    pub(super) fn on_input(&mut self, input: &Input) {
        let Input::Peer { message, .. } = input else { return };
        if let CheckedPeer::ViewChange(wish) = &**message {
            let highest = self.wishes.entry(wish.body.by.replica).or_default();
            *highest = wish.body.view.max(*highest);
        }
    }

    /// Something happened.
    pub(super) fn on_notice(&mut self, now: Instant, notice: &Notice) {
        match notice {
            Notice::Executed(..) | Notice::Entered(_) | Notice::TransferDone(_) => self.anew = now,
            Notice::Suspects(..) => self.gives_up = None,
            _ => {}
        }
    }

    /// A step is done. The oldest proposal that is not executed is of that time.
    pub(super) fn on_step(&mut self, now: Instant, replica: &Replica, undecided: Option<Instant>) {
        let is_waiting = replica.held().waiting > 0;
        self.waiting = is_waiting.then(|| self.waiting.unwrap_or(now));
        self.undecided = undecided;
        let view = replica.view();
        let others = self.wishes.values().filter(|wish| **wish >= view).count();
        let is_asked = !replica.is_active() && 1 + others >= self.committee.quorum();
        self.gives_up = match is_asked {
            true => self.gives_up.or(Some(now.plus(replica.patience()))),
            false => None,
        };
    }

    /// What it does by itself unless something comes, and when; nothing, if it waits for
    /// others without end.
    pub(super) fn runs(&self, now: Instant, replica: &Replica) -> Option<TimerStatus> {
        if *replica.standing() != Standing::Voting {
            return None;
        }
        let primary = self.committee.primary(replica.view());
        let due = match replica.is_active() {
            false => self.gives_up?,
            true if primary == replica.id() || replica.is_in_transfer() => return None,
            true => {
                let since = self.waiting.into_iter().chain(self.undecided).min()?;
                since.max(self.anew).plus(replica.patience())
            }
        };
        // It does nothing before it wants to be called.
        let due = due.max(replica.next_deadline());
        Some(TimerStatus {
            suspects: primary.0,
            asks_for: replica.view().next().0,
            in_ms: milliseconds(due.since(now)),
        })
    }
}
