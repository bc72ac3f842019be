//! State transfer (§ Stable storage and recovery, catch-up below the log): only the
//! parts that differ, from several replicas at once, each checked against the certified
//! digest when it arrives. It must be faster than the others change the state, whose
//! checkpoints are not kept for long: what a replica had before is asked for by what changed
//! since, thousands of small changes to a part.

use super::catch_up::{QUOTA_INTERVAL, QUOTA_QUESTIONS};
use super::checkpoints::Own;
use super::lives::Lives;
use super::{Notice, Replica, To};
use crate::message::{CheckpointCertificate, Fetch, PeerMessage, Reject, Verified};
use crate::service::tree::{Assembly, Part, Path};
use crate::types::{Instant, ReplicaId, Seq};
use std::collections::{BTreeMap, BTreeSet};

/// How many parts are asked for at a time, of each source.
const PARTS_EACH: usize = 8;

/// How many in the time for which a source counts, of each: no time of the source's own
/// holds more questions than it answers, with some room for others. Bytes are not counted
/// here: a source that has sent all that it may lets a question time out.
const PARTS_EACH_INTERVAL: u64 = QUOTA_QUESTIONS / 2 - 16;

/// The bytes of one part, about.
const PART_BYTES: usize = 256 << 10;

/// A transfer under way.
pub(super) struct Transfer {
    target: Verified<CheckpointCertificate>,
    assembly: Assembly,
    asked: BTreeMap<Path, (ReplicaId, Instant)>,
    /// Sources that sent a wrong part, or said that they have no such state.
    useless: BTreeSet<ReplicaId>,
    /// Sources that let a question time out, and how often.
    slow: BTreeMap<ReplicaId, u64>,
    pace: Pace,
}

/// How often sources may be asked, lest they answer no more.
#[derive(Default)]
struct Pace {
    /// How often each was asked in this interval.
    asked: BTreeMap<ReplicaId, u64>,
    /// When this interval ends.
    ends: Instant,
    /// Whether a question waits for that.
    holds_back: bool,
}

impl Pace {
    fn begin(&mut self, now: Instant) {
        self.holds_back = false;
        if self.ends <= now {
            self.ends = now.plus(QUOTA_INTERVAL);
            self.asked.clear();
        }
    }

    fn allows(&self, source: ReplicaId) -> bool {
        self.asked.get(&source).is_none_or(|asked| *asked < PARTS_EACH_INTERVAL)
    }
}

impl Replica {
    /// Begins to fetch the state of a certified checkpoint, or turns to a later one.
    pub(super) fn begin_transfer(&mut self, target: Verified<CheckpointCertificate>) {
        let (assembly, pace) = match self.transfer.take() {
            Some(transfer) if transfer.target.seq() >= target.seq() => {
                self.transfer = Some(transfer);
                return;
            }
            Some(transfer) => (transfer.assembly.retarget(target.digest()), transfer.pace),
            None => {
                let own = self.executor.state().tree().clone();
                let assembly = match self.checkpoints.diverged {
                    true => Assembly::new(target.digest(), own),
                    false => Assembly::later(target.digest(), own),
                };
                (assembly, Pace::default())
            }
        };
        self.out.notice(Notice::TransferBegan(target.seq()));
        let (asked, useless, slow) = Default::default();
        self.transfer = Some(Transfer { target, assembly, asked, useless, slow, pace });
        self.use_kept_parts();
        self.continue_transfer();
    }

    /// Parts that a restart found on disk are as good as any, where they fit.
    fn use_kept_parts(&mut self) {
        let Some(transfer) = &mut self.transfer else { return };
        for (path, part) in std::mem::take(&mut self.kept_parts) {
            // One that doesn't fit this target is fetched like any other.
            let _ = transfer.assembly.accept(&path, part);
        }
    }

    fn continue_transfer(&mut self) {
        if self.transfer.as_ref().is_some_and(|transfer| transfer.assembly.is_complete()) {
            self.finish_transfer();
        } else {
            self.ask_for_parts();
        }
    }

    fn ask_for_parts(&mut self) {
        let now = self.now.instant;
        let due = now.plus(self.settings.fetch_timeout);
        let others: Vec<ReplicaId> = self.others().collect();
        let Some(transfer) = &mut self.transfer else { return };
        if others.iter().all(|one| transfer.useless.contains(one)) {
            // Everybody may have been slow to get there, or have moved on: anew.
            transfer.useless.clear();
        }
        let mut sources: Vec<ReplicaId> =
            others.into_iter().filter(|one| !transfer.useless.contains(one)).collect();
        sources.sort_by_key(|one| (transfer.slow.get(one).copied().unwrap_or(0), *one));
        let mut load: BTreeMap<ReplicaId, usize> = BTreeMap::new();
        for (source, _) in transfer.asked.values() {
            *load.entry(*source).or_default() += 1;
        }
        let wanted = transfer.assembly.wanted(PARTS_EACH * sources.len() * 2);
        let seq = transfer.target.seq();
        transfer.pace.begin(now);
        let mut questions = Vec::new();
        for (path, _) in wanted {
            if transfer.asked.contains_key(&path) {
                continue;
            }
            let allowed = sources.iter().filter(|one| transfer.pace.allows(**one));
            let least = allowed.min_by_key(|one| load.get(one).copied().unwrap_or(0));
            let Some(source) = least.copied() else {
                transfer.pace.holds_back = true;
                break;
            };
            let busy = load.entry(source).or_default();
            if *busy >= PARTS_EACH {
                // Whoever is left may be silent: the others are asked as soon as they may be.
                let paced = sources.iter().any(|one| !transfer.pace.allows(*one));
                transfer.pace.holds_back = paced;
                break;
            }
            *busy += 1;
            *transfer.pace.asked.entry(source).or_default() += 1;
            transfer.asked.insert(path.clone(), (source, due));
            let (since, bytes) = transfer.assembly.question(&path, PART_BYTES);
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            questions.push((source, PeerMessage::Fetch(Fetch::Part(seq, path, since, bytes))));
        }
        for (source, question) in questions {
            self.out.send_free(To::Peer(source), question);
        }
    }

    /// A part of the state, from whoever has been asked for it last or, more slowly,
    /// before. A wrong one costs its sender its place as a source.
    pub(super) fn on_part(
        &mut self,
        from: ReplicaId,
        seq: Seq,
        path: Path,
        part: Part,
    ) -> Result<(), Reject> {
        let transfer = self.transfer.as_mut().ok_or(Reject::Unrequested)?;
        if transfer.target.seq() != seq || !transfer.asked.contains_key(&path) {
            return Err(Reject::Unrequested);
        }
        if transfer.assembly.accept(&path, part.clone()).is_err() {
            transfer.useless.insert(from);
            transfer.asked.retain(|_, (source, _)| *source != from);
            self.ask_for_parts();
            return Err(Reject::WrongPart);
        }
        transfer.asked.remove(&path);
        self.out.keep_part(seq, path, part);
        self.continue_transfer();
        Ok(())
    }

    /// A source has no such state, or not any more. Once `W` say so, one of them honest,
    /// a later checkpoint is the better target.
    pub(super) fn on_no_state(&mut self, from: ReplicaId, seq: Seq) -> Result<(), Reject> {
        let transfer = self.transfer.as_mut().ok_or(Reject::Unrequested)?;
        if transfer.target.seq() != seq {
            return Err(Reject::Unrequested);
        }
        transfer.useless.insert(from);
        transfer.asked.retain(|_, (source, _)| *source != from);
        self.ask_on();
        Ok(())
    }

    /// Asks for what is wanted next: of a later state, if one is certified and enough
    /// say that they do not have this one. The later certificate may be the last to come.
    fn ask_on(&mut self) {
        let weak_quorum = self.committee.weak_quorum();
        let Some(transfer) = &self.transfer else { return };
        let is_gone = transfer.useless.len() >= weak_quorum;
        let target = transfer.target.seq();
        let best = self.checkpoints.best.clone();
        match best.filter(|best| is_gone && best.seq() > target) {
            Some(best) => self.begin_transfer(best),
            None => self.ask_for_parts(),
        }
    }

    pub(super) fn transfer_deadline(&self) -> Option<Instant> {
        let transfer = self.transfer.as_ref()?;
        let held_back = transfer.pace.holds_back.then_some(transfer.pace.ends);
        transfer.asked.values().map(|(_, due)| *due).chain(held_back).min()
    }

    pub(super) fn tick_transfer(&mut self) {
        let now = self.now.instant;
        let Some(transfer) = &mut self.transfer else { return };
        let seq = transfer.target.seq();
        let late: Vec<(Path, ReplicaId)> = transfer
            .asked
            .iter()
            .filter(|(_, (_, due))| *due <= now)
            .map(|(path, (source, _))| (path.clone(), *source))
            .collect();
        for (path, source) in &late {
            transfer.asked.remove(path);
            *transfer.slow.entry(*source).or_default() += 1;
        }
        let may_ask = transfer.pace.holds_back && transfer.pace.ends <= now;
        let stuck = !late.is_empty() || transfer.asked.is_empty() || may_ask;
        if stuck {
            self.ask_on();
        }
        if !late.is_empty() {
            self.out.send_free(To::Everyone, PeerMessage::Fetch(Fetch::Stable(seq)));
        }
    }

    /// The state is whole, and is what the certificate says: it takes the place of this
    /// replica's own.
    fn finish_transfer(&mut self) {
        let Some(transfer) = self.transfer.take() else { return };
        let (seq, digest) = (transfer.target.seq(), transfer.target.digest());
        let Ok(tree) = transfer.assembly.finish() else { return };
        assert_eq!(tree.digest(), digest, "a complete assembly is what was asked for");
        let replaced = self.executor.replace(tree.clone());
        let Some(executor) = replaced.ok().filter(|executor| executor.executed() == seq) else {
            // More than `f` certified what is no state of that number: nothing can be done.
            return;
        };
        let before = std::mem::replace(&mut self.executor, executor);
        self.begin_lives_since(before.lives());
        let stable = self.stable();
        let was_wrong = std::mem::take(&mut self.checkpoints.diverged);
        if was_wrong {
            // It goes back before some of what it told.
            self.answer_reads_from(self.entered(), before.executed());
        }
        self.checkpoints.own.retain(|number, _| match was_wrong {
            true => *number <= stable && *number < seq,
            false => *number < seq,
        });
        self.checkpoints.own.insert(seq, Own { digest, tree: tree.clone(), saved: false });
        self.checkpoints.keep(transfer.target);
        self.out.save(seq, digest, tree);
        self.out.notice(Notice::TransferDone(seq));
        self.settle_pool();
        self.mark_what_is_proposed();
        self.waits.start_anew(self.now.instant);
        self.note_what_is_owed();
        self.execute_ready();
        self.finish_recovery();
        self.propose();
    }

    /// After a jump over entries: what was refused in them waits for another place.
    fn mark_what_is_proposed(&mut self) {
        self.pool.forget_proposed();
        let slots = self.active().into_iter().flat_map(|active| &active.slots);
        let proposed = slots.filter_map(|(seq, slot)| {
            let batch = self.bodies.get(&slot.digest()?)?;
            Some((*seq, batch.clone()))
        });
        let proposed: Vec<_> = proposed.collect();
        proposed.iter().for_each(|(seq, batch)| self.mark_proposed(*seq, batch));
    }

    /// After a jump over entries: the lives that began in them have begun here too.
    fn begin_lives_since(&mut self, before: &Lives) {
        for replica in self.committee.replicas() {
            let current = self.executor.lives().current(replica);
            if current != before.current(replica) {
                self.on_new_life(replica, current);
            }
        }
    }

    /// Somebody fetches a part of a state that this replica may have.
    pub(super) fn on_fetch_part(
        &mut self,
        from: ReplicaId,
        seq: Seq,
        path: &Path,
        since: Option<Seq>,
        bytes: u32,
    ) -> Result<(), Reject> {
        let bytes = usize::try_from(bytes).unwrap_or(PART_BYTES).min(PART_BYTES);
        let part = self.snapshot(seq).and_then(|tree| tree.part_since(path, since, bytes));
        let message = match part {
            Some(part) => PeerMessage::Part(seq, path.clone(), part),
            None => PeerMessage::NoState(seq),
        };
        self.answer(from, message);
        Ok(())
    }
}
