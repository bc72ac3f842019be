//! Which votes may leave before they are on the disk (§ Optimisations, Reserved votes).
//!
//! A proposal or a prepare would need a sync of its own before it is sent, and everybody
//! waits for that. Instead a range of numbers is reserved ahead: once the disk holds that
//! this replica *may* vote there, its votes leave at once, and their records follow with
//! whatever is synced next. After a restart it does not know what it said in the range but
//! for what the log still has, so it says nothing else there: others go on without it, or
//! in the next view, where it is bound by nothing. A commit never leaves before its prepared
//! certificate is on the disk, nor a view-change, nor what opens a view.

use super::effects::{Record, Suspicion};
use super::{Outgoing, Replica};
use crate::message::PeerMessage;
use crate::replica::To;
use crate::types::{Seq, View};

/// How far this replica's votes in a view may leave without their records.
#[derive(Clone, Copy, Default)]
pub(super) struct Reserved {
    view: View,
    /// It has voted up to here, or may have before it started.
    used: Seq,
    /// Up to here the disk holds that it may.
    durable: Seq,
    /// Up to here the log does, and the disk will.
    recorded: Seq,
    /// The view that it started in, and up to where it may have voted in that.
    recalled: (View, Seq),
}

impl Replica {
    /// Sends a proposal or a prepare about a number: at once where that is reserved, or
    /// else with its record.
    pub(super) fn send_vote(&mut self, seq: Seq, message: PeerMessage) {
        self.reserve(seq);
        match seq <= self.reserved.durable {
            true => self.out.send_free(To::Everyone, message),
            false => self.out.send(To::Everyone, message),
        }
    }

    /// Reserves more as soon as half of what was is used. A range lies in the window.
    fn reserve(&mut self, seq: Seq) {
        if self.reserved.view != self.view {
            let recalled = self.reserved.recalled;
            self.reserved = Reserved { view: self.view, recalled, ..Reserved::default() };
        }
        self.reserved.used = self.reserved.used.max(seq);
        let ahead = self.settings.reserved_votes;
        let up_to = seq.plus(ahead).min(self.window_end());
        let is_used = seq.plus(ahead / 2) > self.reserved.recorded;
        if ahead > 0 && is_used && up_to > self.reserved.recorded {
            self.reserved.recorded = up_to;
            self.out.record(Record::Reserved(self.view, up_to));
            self.out.hear(Outgoing::Reserved(self.view, up_to));
        }
    }

    /// A range is on the disk.
    pub(super) fn on_reserved(&mut self, view: View, up_to: Seq) {
        if self.reserved.view == view {
            self.reserved.durable = up_to.max(self.reserved.durable);
        }
    }

    /// What a log that begins anew must say of it.
    pub(super) fn reservation(&self) -> Option<Record> {
        let Reserved { view, recorded, .. } = self.reserved;
        let is_needed = view == self.view && recorded > self.stable();
        is_needed.then_some(Record::Reserved(view, recorded))
    }

    /// The process ends in good order: nothing more is said, and all that was is in the log.
    /// What was not used of the range is given back, and the next start forgets nothing.
    pub(super) fn give_back(&mut self) {
        let Reserved { view, used, recorded, .. } = self.reserved;
        if view == self.view && used < recorded {
            (self.reserved.recorded, self.reserved.durable) = (used, used);
            self.out.record(Record::Reserved(view, used));
        }
    }

    // After a start.

    /// The log says that votes up to here may have left.
    pub(super) fn recall_reserved(&mut self, view: View, up_to: Seq) {
        self.reserved =
            Reserved { view, used: up_to, durable: up_to, recorded: up_to, ..self.reserved };
    }

    /// All is recalled: whatever may have been said in the view that it is in, and is not in
    /// the log, is not said again, nor anything else. What the opening chose is known.
    pub(super) fn abstain_from_what_is_lost(&mut self) {
        let Reserved { view, recorded, .. } = self.reserved;
        let up_to = if view == self.view { recorded } else { Seq::GENESIS };
        self.reserved.recalled = (self.view, up_to);
        let chosen = self.active().map_or(up_to, |active| active.chosen_up_to);
        self.promises.abstain(self.view, chosen, up_to);
    }

    /// Whether a proposal or a prepare may be lacking in the log though the disk is what it
    /// was. Of views that were left the log no longer says what was reserved.
    pub(super) fn may_be_lost(&self, in_view: View, seq: Seq) -> bool {
        let (view, up_to) = self.reserved.recalled;
        in_view < view || in_view == view && seq <= up_to
    }

    /// A primary that may not propose the next number gives its view up at once.
    pub(super) fn give_up_what_is_lost(&mut self) {
        let next = self.active().map(|active| active.next.max(self.executed().next()));
        if self.is_primary() && next.is_some_and(|next| self.promises.is_lost(self.view, next)) {
            self.waits.was_orderly();
            self.suspect(Suspicion::Abdicates);
        }
    }
}
