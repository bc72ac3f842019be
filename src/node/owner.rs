//! The loop that owns the replica and its storage.
//!
//! It takes whatever waits, hands it to the replica, and carries out what that answers: all
//! that was ready shares one sync. Nothing leaves before the disk holds what allows for it; the
//! types see to it ([`crate::replica::Durable`]). No decision of the protocol is made here.

use super::checking::Checking;
use super::clock::Clock;
use super::inbox::Inbox;
use super::metrics::{From, Metrics};
use super::outlet::Outlet;
use super::posts::Posts;
use super::status::{self, Exhibit, PeerStatus, Status, TimerStatus};
use super::watch::{Watch, milliseconds};
use super::{NodeError, Shared};
use crate::crypto::Listed;
use crate::message::{Checked, Received, Reject, Unjudged, Verifier};
use crate::net::{Alarm, Party, Reach};
use crate::replica::{Durable, Effects, Input, Notice, Outgoing, Record, Replica, Standing};
use crate::storage::{Storage, StorageError};
use crate::types::{Committee, Digest, Instant, Seq, Span, View};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The most inputs that one sync serves.
const MOST_INPUTS: usize = 512;

/// A step that answers more than so many bytes is carried out before the next input: the
/// outboxes are bounded, and what waits for a step's end is not.
const MOST_ANSWER_BYTES: usize = 8 << 20;

/// How often what operators see is made anew, at most.
const PUBLISHED_EVERY: Span = Span::milliseconds(200);

/// How often a log that had no room is tried again.
const FULL_RETRY: Duration = Duration::from_secs(1);

/// What comes to the loop.
pub(super) enum Arrival {
    /// For the replica, as soon as its signatures are judged.
    Unjudged(Party, Unjudged),
    /// For the replica.
    Judged(Party, Received),
    /// What came of checking a batch.
    Checked(Checked),
    /// What became of a state that was to be written.
    Saved(Result<(Seq, Digest), StorageError>),
    /// Votes up to here may leave at once.
    Reserved(View, Seq),
}

impl Arrival {
    /// Whether it is a request that a replica passes on.
    pub(super) fn is_relay(&self) -> bool {
        match self {
            Arrival::Unjudged(_, message) => message.is_relay(),
            Arrival::Judged(_, message) => message.is_relay(),
            Arrival::Checked(_) | Arrival::Saved(_) | Arrival::Reserved(..) => false,
        }
    }
}

/// The same, judged.
enum Judged {
    Input(Input),
    Saved(Result<(Seq, Digest), StorageError>),
}

fn input(from: Party, message: Received) -> Judged {
    Judged::Input(match (from, message) {
        (Party::Replica(from), Received::Peer(message)) => Input::Peer { from, message },
        (Party::Client(from), Received::Client(message)) => Input::Client { from, message },
        (Party::Replica(_), Received::Client(_)) | (Party::Client(_), Received::Peer(_)) => {
            unreachable!("connections decode what their party sends")
        }
    })
}

/// See the module's head.
pub(super) struct Owner {
    pub(super) replica: Replica,
    pub(super) committee: Committee,
    pub(super) storage: Storage,
    pub(super) outlet: Box<dyn Outlet>,
    pub(super) posts: Arc<Posts>,
    pub(super) inbox: Arc<Inbox<Arrival>>,
    pub(super) alarm: Alarm,
    pub(super) clock: Clock,
    pub(super) metrics: Arc<Metrics>,
    pub(super) watch: Watch,
    pub(super) shared: Arc<Shared>,
    pub(super) publish_due: Instant,
    /// Why states wait to be written, if there is no room for them.
    pub(super) unsaved: Option<&'static str>,
    pub(super) verifier: Arc<Verifier<Listed>>,
    pub(super) checking: Checking,
    /// Who sent signatures that were not good; at most as many as are listed.
    pub(super) suspects: BTreeSet<Party>,
}

impl Owner {
    /// Runs until the inbox is closed, which is the sign to stop, or until the node cannot
    /// go on.
    pub(super) async fn run(mut self, first: Effects) -> Result<(), NodeError> {
        let ended = self.work(first).await;
        let running = match &ended {
            Ok(()) => "stopped".to_owned(),
            Err(error) => format!("stopped: {error}"),
        };
        self.publish_now(&running);
        ended
    }

    async fn work(&mut self, first: Effects) -> Result<(), NodeError> {
        self.carry_out(first).await?;
        loop {
            self.publish(status::RUNNING);
            let due = self.deadline();
            let arrivals = tokio::select! {
                biased;
                arrivals = self.inbox.take(MOST_INPUTS) => arrivals,
                () = self.alarm.until(due) => Vec::new(),
            };
            let is_over = arrivals.is_empty() && self.inbox.is_closed();
            let effects = self.handle(arrivals).await?;
            self.carry_out(effects).await?;
            if *self.replica.standing() == Standing::Halted {
                return Err(NodeError::RolledBack);
            }
            // First what was said leaves, and more is read: all of it is the next step's.
            if is_over || self.inbox.has_waiting() {
                tokio::task::yield_now().await;
            }
            if is_over {
                let effects = self.replica.handle(self.clock.now(), Input::Stops);
                self.carry_out(effects).await?;
                // Votes that have left may still wait for a sync.
                self.sync(self.storage.has_waiting()).await?;
                return Ok(());
            }
        }
    }

    fn deadline(&self) -> Option<tokio::time::Instant> {
        let due = self.replica.next_deadline();
        let due = self.clock.at(self.outlet.next().map_or(due, |next| next.min(due)));
        due.map(tokio::time::Instant::from_std)
    }

    /// Hands over what came, and tells the replica the time if it is due.
    async fn handle(&mut self, arrivals: Vec<Arrival>) -> Result<Effects, NodeError> {
        let mut effects = Effects::default();
        if !arrivals.is_empty() {
            self.metrics.inputs.observe(arrivals.len() as f64);
        }
        for arrival in self.judge(arrivals) {
            let mut input = match arrival {
                Judged::Input(input) => input,
                Judged::Saved(Ok((seq, digest))) => {
                    self.unsaved = None;
                    self.metrics.saves.inc();
                    Input::Saved(seq, digest)
                }
                // It is written once there is room; until then, nothing is forgotten.
                Judged::Saved(Err(error)) if error.is_full() => {
                    tracing::error!(
                        %error,
                        "states wait to be written; this replica goes on by itself with them"
                    );
                    self.unsaved = Some(status::want_of_room(&error));
                    continue;
                }
                Judged::Saved(Err(error)) => return Err(NodeError::Storage(error)),
            };
            if let Input::Peer { message, .. } = &mut input {
                self.outlet.hear(message);
            }
            let now = self.clock.now();
            self.watch.on_input(now.instant, &input);
            effects.merge(self.replica.handle(now, input));
            if effects.answer_bytes() > MOST_ANSWER_BYTES {
                self.carry_out(std::mem::take(&mut effects)).await?;
                // Much to say takes long, and who connects meanwhile is not kept waiting.
                tokio::task::yield_now().await;
            }
        }
        let now = self.clock.now();
        if self.replica.next_deadline() <= now.instant {
            effects.merge(self.replica.handle(now, Input::Tick));
        }
        self.outlet.on_time(&self.posts, now.instant);
        Ok(effects)
    }

    /// Checks the batches that the replica wants checked: here and now, or beside this.
    fn check(&mut self, effects: &mut Effects) {
        loop {
            let checks = self.checking.take(effects.take_checks());
            if checks.is_empty() {
                return;
            }
            for checked in self.verifier.check_all(checks) {
                let now = self.clock.now();
                effects.merge(self.replica.handle(now, Input::Checked(checked)));
            }
        }
    }

    /// Judges the signatures of all that came, together. What is not good is counted, and
    /// from then on its sender's messages are judged apart: it makes others' no dearer.
    fn judge(&mut self, arrivals: Vec<Arrival>) -> Vec<Judged> {
        let mut judged = Vec::with_capacity(arrivals.len());
        let mut trusted = (Vec::new(), Vec::new());
        let mut suspect = (Vec::new(), Vec::new());
        for arrival in arrivals {
            match arrival {
                Arrival::Saved(saved) => judged.push(Judged::Saved(saved)),
                Arrival::Reserved(view, up_to) => {
                    judged.push(Judged::Input(Input::Reserved(view, up_to)));
                }
                Arrival::Judged(from, message) => judged.push(input(from, message)),
                Arrival::Checked(checked) => judged.push(Judged::Input(Input::Checked(checked))),
                Arrival::Unjudged(from, message) => {
                    let is_suspect = self.suspects.contains(&from);
                    let (parties, messages) = if is_suspect { &mut suspect } else { &mut trusted };
                    parties.push(from);
                    messages.push(message);
                }
            }
        }
        let verdicts = self.verifier.judge_all(trusted.1);
        let apart = suspect.1.into_iter().flat_map(|one| self.verifier.judge_all(vec![one]));
        let verdicts: Vec<_> = verdicts.into_iter().chain(apart).collect();
        for (from, verdict) in trusted.0.into_iter().chain(suspect.0).zip(verdicts) {
            match verdict {
                Ok(message) => judged.push(input(from, message)),
                Err(reject) => self.reject(from, reject),
            }
        }
        judged
    }

    fn reject(&mut self, party: Party, reject: Reject) {
        self.suspects.insert(party);
        let from = match party {
            Party::Replica(id) => From::Peer(id),
            Party::Client(_) => From::Clients,
        };
        self.metrics.reject(from, reject);
    }

    /// Writes what must be written, and sends what may be sent when it may.
    async fn carry_out(&mut self, mut effects: Effects) -> Result<(), NodeError> {
        self.check(&mut effects);
        let parts = effects.into_parts();
        let now = self.clock.now().instant;
        self.watch.on_records(now, &parts.records);
        parts.notices.iter().for_each(|notice| self.notice(now, notice));
        let must_sync = !parts.bound.is_empty()
            || parts.compaction.is_some()
            || !parts.records.iter().all(Record::can_wait);
        if parts.compaction.is_some() || !parts.records.is_empty() {
            self.storage.append(parts.compaction, &parts.records)?;
        }
        if !parts.free.is_empty() {
            parts.free.into_iter().for_each(|outgoing| self.send(outgoing));
            tokio::task::yield_now().await;
        }
        if must_sync {
            let durable = self.sync(self.storage.has_waiting()).await?;
            let released = parts.bound.release(&durable);
            released.into_iter().for_each(|outgoing| self.send(outgoing));
        }
        parts.saves.into_iter().for_each(|save| self.storage.save(save));
        if !parts.parts.is_empty() {
            self.storage.keep_parts(parts.parts);
        }
        Ok(())
    }

    /// Makes what was appended durable. While the disk is full, this replica takes no
    /// steps: it is as good as down, and goes on where it stopped (S7).
    async fn sync(&mut self, is_measured: bool) -> Result<Durable, NodeError> {
        let mut was_full = false;
        loop {
            let before = std::time::Instant::now();
            match self.storage.sync() {
                Ok(durable) => {
                    if is_measured {
                        self.metrics.syncs.observe(before.elapsed().as_secs_f64());
                    }
                    if was_full {
                        tracing::info!("there is room on the disk again: this replica goes on");
                    }
                    return Ok(durable);
                }
                Err(error) if error.is_full() => {
                    if !was_full {
                        tracing::error!(
                            %error,
                            "this replica takes no steps until then, and goes on by itself"
                        );
                    }
                    was_full = true;
                    self.publish_now(status::want_of_room(&error));
                    if self.inbox.wait_until_closed(FULL_RETRY).await {
                        return Err(NodeError::NoRoomToStop(error));
                    }
                }
                Err(error) => return Err(NodeError::Storage(error)),
            }
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Peer(to, message) => self.outlet.tell_peers(&self.posts, to, *message),
            Outgoing::Client(client, message) => {
                self.outlet.tell_client(&self.posts, client, message);
            }
            Outgoing::Reserved(view, up_to) => {
                self.inbox.put_urgent(Arrival::Reserved(view, up_to));
            }
        }
    }

    fn notice(&mut self, now: Instant, notice: &Notice) {
        self.watch.on_notice(now, notice);
        if matches!(notice, Notice::Evidence(_)) {
            let evidence = self.replica.evidence().iter();
            let exhibits: Vec<Exhibit> = evidence.map(|one| status::exhibit(one)).collect();
            self.shared.show_evidence(exhibits);
        }
    }

    fn publish(&mut self, running: &str) {
        let now = self.clock.now().instant;
        if now >= self.publish_due {
            self.publish_due = now.plus(PUBLISHED_EVERY);
            self.publish_now(running);
        }
    }

    fn publish_now(&mut self, running: &str) {
        let now = self.clock.now().instant;
        let primary = self.committee.primary(self.replica.view()).0;
        self.metrics.on_waiting_states(self.storage.states_waiting());
        let confession = self.outlet.confession();
        let status = Status {
            malicious: confession.as_ref().map(|confession| confession.behaviour.clone()),
            confession,
            running: running.to_owned(),
            unsaved: self.unsaved.map(str::to_owned),
            up_ms: milliseconds(Span(now.0)),
            wakes_in_ms: milliseconds(self.replica.next_deadline().since(now)),
            timer: self.replica.suspects_at().map(|due| TimerStatus {
                suspects: primary,
                asks_for: self.replica.view().next().0,
                in_ms: milliseconds(due.since(now)),
            }),
            suspicion: self.watch.suspected(now),
            peers: self.peers(now),
            ..Status::of(&self.replica, self.shared.cluster(), primary)
        };
        self.shared.show(status);
    }

    fn peers(&self, now: Instant) -> Vec<PeerStatus> {
        let peer = |link: &Arc<crate::net::Link>| {
            let heard = self.watch.heard(link.to());
            let reach = link.reach();
            PeerStatus {
                id: link.to().0,
                connected: reach == Reach::Connected,
                reason: match reach {
                    Reach::Unreached(why) | Reach::Refused(why) => Some(why.to_string()),
                    Reach::Connected | Reach::Dialing => None,
                },
                seen_ms: heard.seen.map(|seen| milliseconds(now.since(seen))),
                view: heard.told.map(|(view, ..)| view),
                executed: heard.told.map(|(_, executed, _)| executed),
                stable: heard.told.map(|(.., stable)| stable),
            }
        };
        self.posts.links().map(peer).collect()
    }
}
