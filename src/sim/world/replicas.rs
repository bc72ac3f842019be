//! The replicas' processes: each starts from its disk, does what its replica wants done,
//! and stops wherever it happens to be.

use super::{Happening, Seat, World};
use crate::byzantine::{Behaviour, Liar};
use crate::message::Unchecked;
use crate::replica::effects::Record;
use crate::replica::{
    Effects, Input, Notice, Now, Origin, Recalled, Recovered, Replica, StartError, Unsynced,
};
use crate::service::kv::KeyValue;
use crate::sim::clock::Clock;
use crate::sim::disk::{Disk, Found};
use crate::sim::plan::Moment;
use crate::sim::random::Random;
use crate::types::{Instant, Nonce, ReplicaId, Span};
use std::collections::VecDeque;
use std::sync::Arc;

/// Somebody who lies, and how.
pub(super) type Lying = (Liar, Box<dyn Behaviour>);

/// Whether a replica still has everything that it ever promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Memory {
    /// It has.
    Whole,
    /// Its disk forgot, or may forget at the next crash: it counts among the `f`.
    Doubtful,
    /// Somebody knows that, and has told it; until its recovery is done it counts too.
    Recovering(Nonce),
}

/// A machine, and the process on it.
pub(super) struct Node {
    pub(super) id: ReplicaId,
    pub(super) replica: Option<Replica>,
    pub(super) disk: Disk,
    pub(super) backup: Option<Disk>,
    pub(super) clock: Clock,
    pub(super) lying: Option<Lying>,
    pub(super) memory: Memory,
    /// Counts starts and stops: what was under way before one never ends.
    pub(super) life: u64,
    /// Sends that wait for a sync, with the position that it must reach.
    pub(super) unsynced: VecDeque<(u64, Unsynced)>,
    pub(super) syncing: Option<u64>,
    /// What is to be done for inputs that are handled together; none if nothing waits.
    gathered: Option<Effects>,
    /// The operator's word for the present recovery is on the disk for good.
    pub(super) recovery_is_noted: bool,
    pub(super) cleaning: bool,
    pub(super) paused_until: Instant,
    /// When the next tick is planned.
    pub(super) wakes_at: Instant,
    /// Where the process is going to end, and how long it is down then.
    pub(super) armed: Option<(Moment, Span)>,
    pub(super) random: Random,
}

/// No tick is planned.
const NEVER: Instant = Instant(u64::MAX);

impl Node {
    pub(super) fn new(id: ReplicaId, lying: Option<Lying>, random: Random) -> Node {
        Node {
            id,
            replica: None,
            disk: Disk::default(),
            backup: None,
            clock: Clock::default(),
            lying,
            memory: Memory::Whole,
            life: 0,
            unsynced: VecDeque::new(),
            syncing: None,
            gathered: None,
            recovery_is_noted: false,
            cleaning: false,
            paused_until: Instant(0),
            wakes_at: NEVER,
            armed: None,
            random,
        }
    }

    /// Whether the replica knows of something that is not on its disk yet.
    pub(super) fn is_ahead_of_its_disk(&self) -> bool {
        self.gathered.is_some() || !self.disk.has_acknowledged(self.disk.end())
    }

    fn begin_life(&mut self) {
        self.life += 1;
        self.unsynced.clear();
        self.syncing = None;
        self.gathered = None;
        self.cleaning = false;
        self.wakes_at = NEVER;
    }
}

impl World {
    /// Starts a process from what its disk holds. `recover` is the operator's word that
    /// the disk forgot something.
    pub(super) fn start(&mut self, seat: Seat, recover: bool) {
        let now = self.now;
        let node = &mut self.nodes[seat];
        node.begin_life();
        node.clock.restart(now);
        if node.disk.rotten {
            return self.refuses_to_start(seat, "its log is damaged");
        }
        let Found { records, states, parts } = node.disk.read();
        // A copy of the disk from amid a recovery goes on with that one.
        for record in &records {
            if let Record::Recovering(nonce) = record {
                self.checker.recovers(node.id, *nonce);
            }
        }
        self.checker.recalls(node.id, &records);
        let is_forgotten = is_recovery_forgotten(node.memory, &records);
        if is_forgotten && node.recovery_is_noted {
            let id = node.id;
            self.checker.has_lost(id, "that it recovers");
        }
        let node = &mut self.nodes[seat];
        let recover = recover || is_forgotten;
        let nonce = Nonce(node.random.any());
        if recover {
            node.memory = Memory::Recovering(nonce);
            node.recovery_is_noted = false;
        }
        let executed = states.keys().next_back().copied().unwrap_or_default();
        let recalled = records.into_iter().map(|record| Recalled::verify(&self.verifier, record));
        let records: Vec<Recalled> = match recalled.collect() {
            Ok(records) => records,
            // With half of its log gone it may have signed what nobody takes.
            Err(_) if node.memory != Memory::Whole => {
                return self.refuses_to_start(seat, "its log does not verify");
            }
            Err(reject) => panic!("{:?}'s own log does not verify: {reject:?}", node.id),
        };
        let origin = Origin {
            id: node.id,
            genesis: Arc::clone(&self.genesis),
            settings: self.plan.settings,
            signer: self.plan.signatures.signer(usize::from(node.id.0)),
            service: Arc::new(KeyValue),
            nonce,
            disk_was_lost: recover,
        };
        let read = node.clock.read(now);
        match Replica::start(read, origin, Recovered { records, states, parts }) {
            Err(error) => self.cannot_start(seat, &error),
            Ok((mut replica, effects)) => {
                if self.plan.bears_convicts {
                    replica.bear_convicts();
                }
                let id = node.id;
                self.checker.restarted(id, executed, replica.voices());
                node.replica = Some(replica);
                self.tell(|| format!("{id:?} starts{}", if recover { " to recover" } else { "" }));
                self.follow(seat, &effects);
                self.carry_out(seat, effects);
                self.look(seat);
                self.clean_later(seat);
            }
        }
    }

    fn cannot_start(&mut self, seat: Seat, error: &StartError) {
        let node = &self.nodes[seat];
        let has_a_reason = node.memory != Memory::Whole || node.disk.lost_state;
        if !has_a_reason && self.plan.control.is_none() {
            let id = node.id;
            self.checker.no_progress(format!("{id:?} cannot start from its own disk: {error}"));
        }
        self.refuses_to_start(seat, &error.to_string());
    }

    /// The process ends, wherever it is; what the disk had not synced is lost but for a
    /// beginning of it.
    pub(super) fn stop(&mut self, seat: Seat, why: &str) {
        let node = &mut self.nodes[seat];
        if node.replica.take().is_none() {
            return;
        }
        node.begin_life();
        let entries = node.random.below(node.disk.unsynced() + 1);
        let parts = usize::try_from(node.random.below(64)).unwrap_or(0);
        if entries < node.disk.unsynced() {
            self.coverage.count("fault unsynced records lost");
        }
        let node = &mut self.nodes[seat];
        node.disk.crash(entries, parts);
        let id = node.id;
        self.checker.died(id, &node.disk.surviving());
        self.tell(|| format!("{id:?} stops: {why}"));
    }

    /// The process ends in good order: what it has to write is on the disk, if that can be.
    pub(super) fn ends(&mut self, seat: Seat) {
        self.input(seat, Input::Stops);
        if let Some(gathered) = self.nodes[seat].gathered.take() {
            self.carry_out(seat, gathered);
        }
        let disk = &mut self.nodes[seat].disk;
        if !disk.full && !disk.fails {
            disk.sync(disk.end());
        }
        self.stop(seat, "in good order");
    }

    /// Whether the process ends at this moment, because it was to.
    pub(super) fn ends_at(&mut self, seat: Seat, moment: Moment) -> bool {
        let Some((armed, span)) = self.nodes[seat].armed else { return false };
        if armed != moment || self.nodes[seat].replica.is_none() {
            return false;
        }
        self.nodes[seat].armed = None;
        self.coverage.count(&format!("fault crash at {moment:?}"));
        self.stop(seat, &format!("{moment:?}"));
        self.restart_after(seat, span);
        true
    }

    pub(super) fn now_of(&self, seat: Seat) -> Now {
        self.nodes[seat].clock.read(self.now)
    }

    pub(super) fn is_running(&self, seat: Seat) -> bool {
        self.nodes[seat].replica.is_some()
    }

    pub(super) fn is_paused(&self, seat: Seat) -> bool {
        self.nodes[seat].paused_until > self.now
    }

    pub(super) fn input(&mut self, seat: Seat, input: Input) {
        let now = self.now_of(seat);
        let Some(replica) = &mut self.nodes[seat].replica else { return };
        let effects = replica.handle(now, input);
        self.follow(seat, &effects);
        self.gather(seat, effects);
        self.look(seat);
    }

    /// A step was taken; what follows from it has yet to be done.
    fn follow(&mut self, seat: Seat, effects: &Effects) {
        if let Some(replica) = &self.nodes[seat].replica {
            self.checker.acts(self.nodes[seat].id, replica, effects);
        }
        for notice in effects.notices() {
            self.note(seat, notice);
        }
    }

    /// As in a node, one sync serves all inputs that come together: in some worlds what
    /// follows from one waits a little for what follows from others.
    fn gather(&mut self, seat: Seat, effects: Effects) {
        let most = self.plan.gathers.0;
        let node = &mut self.nodes[seat];
        if let Some(gathered) = &mut node.gathered {
            return gathered.merge(effects);
        }
        if most == 0 || node.random.in_thousand(500) {
            return self.carry_out(seat, effects);
        }
        node.gathered = Some(effects);
        let (wait, life) = (Span(node.random.between(1, most)), node.life);
        self.plan_after(wait, Happening::CarriesOut { seat, life });
    }

    /// What was gathered is done.
    pub(super) fn carries_out(&mut self, seat: Seat, life: u64) {
        if self.nodes[seat].life != life {
            return;
        }
        if self.is_paused(seat) {
            let at = self.nodes[seat].paused_until;
            return self.plan_at(at, Happening::CarriesOut { seat, life });
        }
        if let Some(gathered) = self.nodes[seat].gathered.take() {
            self.coverage.count("inputs gathered");
            self.carry_out(seat, gathered);
        }
    }

    fn carry_out(&mut self, seat: Seat, effects: Effects) {
        let parts = effects.into_parts();
        if self.ends_at(seat, Moment::BeforeAppend) {
            return;
        }
        let writes = !parts.records.is_empty() || parts.compaction.is_some();
        if writes && self.nodes[seat].disk.full {
            self.coverage.count("fault no room on disk");
            return self.stop(seat, "no room on disk");
        }
        let recovered = parts.records.iter().find_map(|record| match record {
            Record::Recovered(incarnation) => Some(*incarnation),
            _ => None,
        });
        let begins_anew = parts.compaction.is_some();
        let keeps_parts = !parts.parts.is_empty();
        let node = &mut self.nodes[seat];
        node.disk.append(parts.compaction, parts.records);
        parts.parts.into_iter().for_each(|(_, path, part)| node.disk.keep_part(path, part));
        // A disk that lies by now may forget this recovery, too.
        if let (Some(incarnation), Memory::Recovering(_)) = (recovered, node.memory)
            && !node.disk.lies
        {
            node.memory = Memory::Whole;
            self.checker.absolve(node.id, incarnation);
            self.coverage.count("event recovery done");
        }
        if keeps_parts && self.ends_at(seat, Moment::PartKept)
            || begins_anew && self.ends_at(seat, Moment::Compacted)
            || writes && self.ends_at(seat, Moment::Appended)
        {
            return;
        }
        let node = &mut self.nodes[seat];
        if !parts.bound.is_empty() {
            node.unsynced.push_back((node.disk.end(), parts.bound));
            self.begin_sync(seat);
        }
        let sends_freely = !parts.free.is_empty();
        for outgoing in parts.free {
            self.send(seat, outgoing);
        }
        if sends_freely && writes && self.ends_at(seat, Moment::FreeSent) {
            return;
        }
        for save in parts.saves {
            self.begin_save(seat, save);
        }
        for batch in parts.checks {
            self.begin_check(seat, batch);
        }
    }

    /// A batch is checked beside the replica, mostly at once, and now and then far too late.
    fn begin_check(&mut self, seat: Seat, batch: Unchecked) {
        let node = &mut self.nodes[seat];
        let most = if node.random.in_thousand(50) { 300_000 } else { 3_000 };
        let (delay, life) = (Span(node.random.between(1, most)), node.life);
        self.plan_after(delay, Happening::Checked { seat, life, batch: Box::new(batch) });
    }

    pub(super) fn checked(&mut self, seat: Seat, life: u64, batch: Unchecked) {
        if self.nodes[seat].life != life {
            return;
        }
        if self.is_paused(seat) {
            let (at, batch) = (self.nodes[seat].paused_until, Box::new(batch));
            return self.plan_at(at, Happening::Checked { seat, life, batch });
        }
        let checked = self.verifier.check(batch);
        self.input(seat, Input::Checked(checked));
    }

    /// The checker looks, and the next tick is planned.
    fn look(&mut self, seat: Seat) {
        let node = &mut self.nodes[seat];
        let Some(replica) = &node.replica else { return };
        self.checker.look(node.id, replica, node.clock.read(self.now));
        let due = node.clock.moment_of(replica.next_deadline()).max(Instant(self.now.0 + 1));
        if due < node.wakes_at || node.wakes_at <= self.now {
            node.wakes_at = due;
            self.plan_at(due, Happening::Wakes { seat });
        }
    }

    pub(super) fn wakes(&mut self, seat: Seat) {
        let (now, now_here) = (self.now, self.now_of(seat));
        let node = &mut self.nodes[seat];
        // Only the tick planned last counts, or each would plan another.
        if node.wakes_at > now {
            return;
        }
        let Some(replica) = &node.replica else { return };
        let due = replica.next_deadline();
        if node.paused_until > now {
            node.wakes_at = node.paused_until;
        } else if due > now_here.instant {
            node.wakes_at = node.clock.moment_of(due).max(Instant(now.0 + 1));
        } else {
            node.wakes_at = NEVER;
            return self.input(seat, Input::Tick);
        }
        let at = node.wakes_at;
        self.plan_at(at, Happening::Wakes { seat });
    }

    pub(super) fn note(&mut self, seat: Seat, notice: &Notice) {
        let node = &self.nodes[seat];
        let (id, is_honest) = (node.id, node.lying.is_none() && self.plan.twins != Some(node.id));
        let kind = match notice {
            Notice::Rejected(_, reject) => {
                if is_honest {
                    *self.rejects.entry(*reject).or_default() += 1;
                }
                return;
            }
            Notice::StartAnswers(..) | Notice::Decided(..) => return,
            Notice::Suspects { why, .. } => format!("suspects {why:?}"),
            Notice::Evidence(_) => "evidence".to_string(),
            Notice::Executed(..) => "Executed".to_string(),
            Notice::Stable(..) => "Stable".to_string(),
            other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_string(),
        };
        self.coverage.count(&format!("event {kind}"));
        match notice {
            Notice::Evidence(evidence) => {
                let accused = evidence.accused();
                self.tell(|| format!("{id:?} has evidence against {accused:?}"));
            }
            other => self.tell(|| format!("{id:?} {other:?}")),
        }
        if *notice == Notice::RolledBack {
            self.recover_later(seat);
        }
    }
}

/// Whether the operator's word was given, and the disk lost it again.
fn is_recovery_forgotten(memory: Memory, records: &[Record]) -> bool {
    match memory {
        Memory::Recovering(nonce) => !records.contains(&Record::Recovering(nonce)),
        Memory::Whole | Memory::Doubtful => false,
    }
}
