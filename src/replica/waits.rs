//! How long a backup waits and for what (§ View change): for requests, for what was
//! proposed and is not decided, for numbers that must not stand still. And two reasons
//! to replace a primary that does answer: it is unfair, or far slower than it could be.

use super::executor::Executed;
use super::pool::{Owner, Pool, place};
use super::{Mode, Replica, Settings, Suspicion};
use crate::message::batch::ItemKey;
use crate::message::{Batch, Item, PeerMessage};
use crate::service::NumberStatus;
use crate::types::{ClientId, Instant, Nonce, Seq, Span};
use std::collections::VecDeque;

/// Samples kept of how long things take; old ones make place.
const SAMPLES: usize = 32;

/// One batch, or the filling of one gap, gives at most so many samples: those of what
/// waited longest, since the primary chooses what it puts first.
const SAMPLES_AT_ONCE: usize = 4;

/// A wait is not shortened below the time that so many agreements take one after another.
const AGREEMENTS: u64 = 4;

/// Fewer samples than this accuse nobody.
const LEAST_SAMPLES: usize = 12;

/// The test for a slow primary is loosened at most so far.
const MOST_LOOSENED: u64 = 1 << 10;

/// After so many samples without complaint a view counts as lasting, and the test for a
/// slow primary tightens again.
const LASTING: u64 = 256;

/// How long a backup waits at present, and what it has measured.
pub(super) struct Waits {
    /// The wait of now: doubles when views fail, shrinks when requests execute.
    pub(super) patience: Span,
    /// When anything was last executed here, or the view entered.
    last_progress: Instant,
    /// When an operation of some client was. A primary could execute fill-ups, and
    /// again what was executed before, for ever: nobody's request comes nearer by that.
    last_service: Instant,
    /// When the wait last shrank; it does so step by step.
    shrunk: Instant,
    /// Whether anything that was waited for has executed since the last view change.
    served: bool,
    /// Since when numbers must not stand still, if they must not.
    owed_since: Option<Instant>,
    /// Up to here every number was proposed or is decided.
    ordered_through: Seq,
    /// From a request's arrival here, while the primary had room, to its having a number
    /// and all lower ones being proposed.
    ordering: VecDeque<Span>,
    /// From there to its execution.
    agreement: VecDeque<Span>,
    /// The same, in whichever view.
    agreements: VecDeque<Span>,
    samples_in_view: u64,
    loosened: u64,
    /// Stable checkpoints since this view was entered.
    pub(super) checkpoints_in_view: u64,
    entered_at: Seq,
}

impl Waits {
    pub(super) fn new(settings: &Settings, now: Instant) -> Waits {
        Waits {
            patience: settings.patience,
            last_progress: now,
            last_service: now,
            shrunk: now,
            served: false,
            owed_since: None,
            ordered_through: Seq::GENESIS,
            ordering: VecDeque::new(),
            agreement: VecDeque::new(),
            agreements: VecDeque::new(),
            samples_in_view: 0,
            loosened: 1,
            checkpoints_in_view: 0,
            entered_at: Seq::GENESIS,
        }
    }

    /// Something was executed; `served` says whether for a client.
    pub(super) fn progress(&mut self, served: bool, now: Instant) {
        self.last_progress = now;
        if served {
            self.last_service = now;
        }
    }

    /// No wait counts from earlier than this.
    pub(super) fn start_anew(&mut self, now: Instant) {
        self.last_progress = now;
        self.last_service = now;
    }

    /// The view is left. If nobody was served in it, the next gets twice the time.
    pub(super) fn on_view_change(&mut self, settings: &Settings) {
        if !self.served {
            self.patience = self.patience.times(2).min(settings.most_patience);
        }
        self.served = false;
    }

    /// A view is left for no fault of its primary's: the next gets no more time for that.
    pub(super) fn was_orderly(&mut self) {
        self.served = true;
    }

    /// A request that was waited for executed: the wait shrinks, one step at a time, but not
    /// to where agreement itself would be taken for a failure. (A primary can hold up its
    /// proposals, and so what is waited for; what agreement takes from there is not its to
    /// choose.)
    fn serve(&mut self, settings: &Settings, now: Instant) {
        self.served = true;
        if now.since(self.shrunk) >= self.patience {
            self.shrunk = now;
            let are_some = self.agreements.len() as u64 >= AGREEMENTS;
            let usual = if are_some { median(&self.agreements) } else { Span(0) };
            let least = settings.patience.max(usual.times(AGREEMENTS));
            self.patience = self.patience.halved().max(least.min(self.patience));
        }
    }

    /// Measures how long the primary took to order what was known here before.
    fn note_ordered(&mut self, mut known: Vec<Instant>, now: Instant) {
        known.sort_unstable();
        for since in known.into_iter().take(SAMPLES_AT_ONCE) {
            push(&mut self.ordering, now.since(since));
            self.samples_in_view += 1;
        }
        if self.samples_in_view >= LASTING {
            self.samples_in_view = 0;
            self.loosened = (self.loosened / 2).max(1);
        }
    }

    /// Measures how long agreement took once nothing but that was lacking.
    pub(super) fn note_executed(&mut self, ordered: Option<Instant>, now: Instant) {
        if let Some(ordered) = ordered {
            push(&mut self.agreement, now.since(ordered));
            push(&mut self.agreements, now.since(ordered));
        }
    }

    /// How long agreement takes of late; nothing while nothing was agreed on.
    pub(super) fn usual_agreement(&self) -> Span {
        median(&self.agreement)
    }

    /// How long agreement takes, in whichever view; nothing before there was any.
    pub(super) fn usual_of_any_view(&self) -> Option<Span> {
        (!self.agreements.is_empty()).then(|| median(&self.agreements))
    }

    /// Whether the primary takes far longer to propose than agreement takes.
    fn is_slow(&self, settings: &Settings) -> bool {
        if self.ordering.len() < LEAST_SAMPLES || self.agreement.len() < LEAST_SAMPLES {
            return false;
        }
        let allowed = median(&self.agreement).times(settings.slow_factor).max(settings.slow_floor);
        median(&self.ordering) > allowed.times(self.loosened)
    }

    fn loosen(&mut self) {
        self.loosened = self.loosened.saturating_mul(2).min(MOST_LOOSENED);
    }
}

/// Since when this replica knows of what is in a batch and the primary had room for, as
/// many of the longest as are measured.
pub(super) fn longest_known(pool: &Pool, batch: &Batch) -> Vec<Instant> {
    let known = batch.items().iter().filter_map(|item| pool.known_with_room(item.key()));
    let mut known: Vec<Instant> = known.collect();
    known.sort_unstable();
    known.truncate(SAMPLES_AT_ONCE);
    known
}

fn push(samples: &mut VecDeque<Span>, sample: Span) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

fn median(samples: &VecDeque<Span>) -> Span {
    let mut sorted: Vec<Span> = samples.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// When a view is entered, its primary is told of so many items of each owner.
const MOST_PASSED_ON: usize = 64;

/// Permission for something at a bounded rate, with a small reserve.
#[derive(Clone, Copy, Default)]
pub(super) struct Allowance {
    since: Instant,
}

/// How many fill-ups may come at once after a pause.
const RESERVE: u64 = 16;

impl Allowance {
    /// Takes one, if one is there. They come back at twice the rate that an honest
    /// primary uses them.
    pub(super) fn take(&mut self, now: Instant, interval: Span) -> bool {
        let step = interval.halved();
        let earliest = Instant(now.0.saturating_sub(step.times(RESERVE).0));
        let next = self.since.max(earliest).plus(step);
        let granted = next <= now;
        if granted {
            self.since = next;
        }
        granted
    }
}

impl Replica {
    // What is waited for.

    /// From when on the longest wait counts: a request that was not executed, a
    /// proposal that was not decided, or numbers that stand still though they must not.
    fn longest_wait(&self) -> Option<Instant> {
        // What was restored at the start was executed, and has to be decided once more: who
        // lacks it finds nobody else to learn it from.
        let undecided = self.active().and_then(|active| {
            let open = active.slots.range(self.shown().next()..);
            let is_open = |seq| seq > self.executed() || !self.decided.contains_key(&seq);
            let open = open.filter(|(seq, _)| is_open(**seq));
            open.filter_map(|(_, slot)| slot.proposed()).min()
        });
        let numbers = undecided.into_iter().chain(self.waits.owed_since).min();
        let numbers = numbers.map(|since| since.max(self.waits.last_progress));
        let requests = self.pool.oldest().map(|since| since.max(self.waits.last_service));
        numbers.into_iter().chain(requests).min()
    }

    /// Whether this replica is behind what others have, so that the fault is not the
    /// primary's: a certificate lies above what it executed, and the log or a
    /// checkpoint will bring it there. A certificate above a gap that nobody could
    /// have executed is the primary's fault after all.
    fn is_behind(&self) -> bool {
        let ahead = self.peers.values().filter(|peer| peer.executed() > self.executed()).count();
        let certified = self.decided.keys().next_back().is_some_and(|seq| *seq > self.executed());
        self.checkpoints.known() > self.executed()
            || self.transfer.is_some()
            || (certified && ahead >= self.committee.weak_quorum())
    }

    /// Numbers up to which the primary has proposed without a gap. A primary that leaves
    /// one has room, however much it proposes above it, and whatever is above is not in
    /// order before the gap is filled.
    pub(super) fn note_ordered(&mut self) {
        let now = self.now.instant;
        let mut through = self.ordered_through();
        let mut known = Vec::new();
        let Mode::Active(active) = &mut self.mode else { return };
        loop {
            let next = through.next();
            let slot = active.slots.get_mut(&next).filter(|slot| slot.proposal.is_some());
            match slot {
                Some(slot) => {
                    slot.ordered = Some(now);
                    known.append(&mut slot.known);
                }
                None if self.decided.contains_key(&next) => {}
                None => break,
            }
            through = next;
        }
        self.waits.ordered_through = through;
        self.waits.note_ordered(known, now);
    }

    fn ordered_through(&self) -> Seq {
        self.waits.ordered_through.max(self.executed())
    }

    /// Whether the primary, as far as this replica can see, has room for what comes now:
    /// in its pipeline, and before what waits already.
    pub(super) fn has_room_to_propose(&self) -> bool {
        let ordered = self.ordered_through();
        let in_flight = ordered.since(self.executed());
        let (items, bytes) = self.pool.backlog();
        let parameters = &self.genesis.parameters;
        in_flight < self.settings.pipeline.div_ceil(2)
            && self.bytes_in_flight(ordered) < parameters.batch_bytes.div_ceil(2)
            && (items as u64) < parameters.batch_items
            && (bytes as u64) < parameters.batch_bytes
    }

    /// When the wait for the primary ends.
    pub(super) fn wait_deadline(&self) -> Option<Instant> {
        let waits = self.watches_primary() && !self.is_behind();
        let since = self.longest_wait().filter(|_| waits)?;
        Some(since.plus(self.waits.patience))
    }

    pub(super) fn tick_waits(&mut self) {
        let now = self.now.instant;
        self.note_what_is_owed();
        if self.is_behind() {
            self.waits.start_anew(now);
        }
        if !self.watches_primary() {
            return;
        }
        if self.wait_deadline().is_some_and(|due| due <= now) {
            self.suspect(Suspicion::NothingExecuted);
        } else if self.is_anybody_passed_over() {
            self.suspect(Suspicion::Unfair);
        } else if self.waits.is_slow(&self.settings) {
            self.waits.loosen();
            self.suspect(Suspicion::Slow);
        }
    }

    /// Whether, its patience over, somebody still waits while others are served again
    /// and again.
    fn is_anybody_passed_over(&self) -> bool {
        let (now, patience) = (self.now.instant, self.waits.patience);
        !self.is_behind()
            && self.turns.is_anybody_passed_over(
                self.pool
                    .oldest_of_each()
                    .filter(|(_, waiting)| waiting.since.plus(patience) <= now)
                    .map(|(owner, waiting)| (owner, waiting.fence)),
            )
    }

    /// Whether this replica would replace the primary for what it does.
    fn watches_primary(&self) -> bool {
        self.may_vote() && self.is_active() && !self.is_primary()
    }

    /// Forgets turns that lie before every fence.
    pub(super) fn forget_turns(&mut self) {
        match self.pool.lowest_fence() {
            Some(fence) => self.turns.forget_through(fence),
            None => self.turns.forget(),
        }
    }

    /// Numbers must go on while executed state owes somebody a checkpoint.
    pub(super) fn note_what_is_owed(&mut self) {
        let owed = self.is_anything_owed();
        let now = self.now.instant;
        if owed && self.waits.owed_since.is_none() {
            self.tell_status_soon();
        }
        self.waits.owed_since = owed.then(|| self.waits.owed_since.unwrap_or(now));
    }

    pub(super) fn is_anything_owed(&self) -> bool {
        self.executor.lives().is_anything_owed() || self.is_recovery_unsettled()
    }

    /// A new life needs its beginning to be stable before its replica votes. Once it is
    /// certified, what is left is each replica's own disk, and numbers are no help.
    fn is_recovery_unsettled(&self) -> bool {
        self.committee
            .replicas()
            .any(|replica| self.executor.lives().began(replica) > self.checkpoints.known())
    }

    /// When a fill-up may be proposed, if one is wanted.
    pub(super) fn fill_up_deadline(&self) -> Option<Instant> {
        let wanted = self.is_anything_owed() && self.place_to_propose().is_some();
        wanted.then_some(self.fill_up_due)
    }

    pub(super) fn is_fill_up_due(&self) -> bool {
        self.fill_up_deadline().is_some_and(|due| due <= self.now.instant)
    }

    // What ends waits.

    /// An entry was executed: the waits for what it held end.
    pub(super) fn end_waits(&mut self, seq: Seq, executed: &Executed) {
        for done in &executed.items {
            if self.pool.executed(done.key) {
                self.waits.serve(&self.settings, self.now.instant);
            }
            if done.is_turn && self.watches_primary() {
                let (owner, number) = place(done.key);
                self.turns.note(seq, owner, number);
            }
            if let ItemKey::Request(client, first) = done.key {
                let (state, longest) =
                    (self.executor.state(), self.genesis.parameters.bundle_operations);
                let is_open = |number| is_open(state.status(client, number));
                let floor = state.floor(client);
                self.pool.settle(client, floor, first.0..=done.last, longest, is_open);
            }
        }
        self.note_what_is_owed();
    }

    /// After a jump over entries: ends the waits for whatever they settled.
    pub(super) fn settle_pool(&mut self) {
        let state = self.executor.state();
        for client in (0..).map(ClientId).take(self.genesis.clients.len()) {
            let is_open = |number| is_open(state.status(client, number));
            self.pool.settle_all(client, state.floor(client), is_open);
        }
        let lives = self.executor.lives();
        self.pool.settle_recoveries(|replica, nonce| lives.knows(replica, nonce));
    }

    /// Whether an item may still be executed, and has a place to wait in.
    pub(super) fn is_open(&self, item: &Item) -> bool {
        match item {
            Item::Request(request) => self.require_open(&request.body).is_ok(),
            Item::Recovery(recovery) => {
                let body = &recovery.body;
                !self.is_recovery_known(body.replica, body.nonce)
            }
        }
    }

    pub(super) fn is_recovery_known(&self, replica: crate::types::ReplicaId, nonce: Nonce) -> bool {
        self.executor.lives().knows(replica, nonce)
    }

    /// A view begins: every wait starts anew.
    pub(super) fn start_waits_anew(&mut self, fence: Seq) {
        let now = self.now.instant;
        self.pool.start_anew(now, fence.plus(self.settings.pipeline));
        self.turns.forget();
        self.waits.start_anew(now);
        self.waits.owed_since = None;
        self.waits.ordered_through = Seq::GENESIS;
        self.waits.ordering.clear();
        self.waits.agreement.clear();
        self.waits.samples_in_view = 0;
        self.waits.checkpoints_in_view = 0;
        self.waits.entered_at = fence;
        self.note_what_is_owed();
    }

    // Passing requests on.

    /// Sends what waits to the new primary; of each client no more than a primary takes at
    /// once, and of what is large only some. The rest follows with its client's own
    /// repetitions, and in its turn.
    pub(super) fn pass_on_everything(&mut self) {
        if self.is_primary() || !self.is_active() {
            return;
        }
        let waiting = self.pool.earliest_of_each(MOST_PASSED_ON, usize::from(self.id.0));
        waiting.into_iter().for_each(|item| self.pass_on_item(item));
    }

    /// Sends the primary again what waits longest of each client and it has not proposed.
    pub(super) fn pass_on(&mut self) {
        if self.is_primary() || !self.is_active() {
            return;
        }
        let (now, beginning) = (self.now.instant, usize::from(self.id.0));
        let (interval, longest) = (self.settings.status_interval, self.waits.patience.halved());
        let due = self.pool.due_to_pass_on(now, interval, longest, beginning);
        due.into_iter().for_each(|item| self.pass_on_item(item));
    }

    pub(super) fn pass_on_item(&mut self, item: Item) {
        let message = match item {
            Item::Request(request) => PeerMessage::Relay(request),
            Item::Recovery(recovery) => PeerMessage::Recovery(recovery),
        };
        self.out.send_free(super::To::Peer(self.primary()), message);
    }

    // Rotation.

    /// After so many stable checkpoints in one view, an orderly change to the next.
    pub(super) fn consider_rotation(&mut self) {
        if self.stable() > self.waits.entered_at {
            self.waits.checkpoints_in_view += 1;
            // Whether or not this replica was the one to wait, the view did its work.
            self.waits.was_orderly();
        }
        let every = self.genesis.parameters.rotation;
        let due = every > 0 && self.waits.checkpoints_in_view >= every;
        if due && matches!(self.mode, Mode::Active(_)) {
            self.suspect(Suspicion::Rotation);
        }
    }

    /// Whether an owner is a client with something open; for tests and status.
    pub fn waits_for(&self) -> usize {
        self.pool.oldest_of_each().filter(|(owner, _)| matches!(owner, Owner::Client(_))).count()
    }
}

fn is_open(status: NumberStatus) -> bool {
    match status {
        NumberStatus::Open | NumberStatus::BeyondWindow => true,
        NumberStatus::Acknowledged | NumberStatus::Executed(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N1: where agreement takes longer than the first wait, the wait settles above it.
    #[test]
    fn a_wait_does_not_shrink_to_where_agreement_would_be_a_failure() {
        let settings = Settings { patience: Span::milliseconds(100), ..Settings::default() };
        let mut now = Instant(0);
        let mut waits = Waits::new(&settings, now);
        (0..6).for_each(|_| waits.on_view_change(&settings));
        assert_eq!(waits.patience, Span::milliseconds(6_400));
        let slow = Span::milliseconds(400);
        (0..AGREEMENTS).for_each(|_| waits.note_executed(Some(now), now.plus(slow)));
        let mut serve = |waits: &mut Waits, agreement: Span| {
            let ordered = now.plus(waits.patience);
            now = ordered.plus(agreement);
            waits.note_executed(Some(ordered), now);
            waits.serve(&settings, now);
        };
        (0..20).for_each(|_| serve(&mut waits, slow));
        assert_eq!(waits.patience, Span::milliseconds(1_600));
        (0..2 * SAMPLES).for_each(|_| serve(&mut waits, Span::milliseconds(1)));
        assert_eq!(waits.patience, settings.patience);
    }
}
