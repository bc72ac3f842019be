//! A simulated disk: a log of records by their positions, of which a crash leaves what
//! was synced and any beginning of the rest, and states that are there once they are
//! written whole.

use super::checker::OnDisk;
use crate::replica::effects::Record;
use crate::replica::{Compaction, Save};
use crate::service::Tree;
use crate::service::tree::{Part, Path};
use crate::types::Seq;
use std::collections::BTreeMap;

/// One entry of the log.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all entries are of the large kind")]
enum Entry {
    Record(Record),
    /// The log begins anew here: of what stands before it, what is about numbers at or
    /// below `below`, or about none, counts no more.
    Begins {
        below: Seq,
        head: Vec<Record>,
    },
}

/// One replica's disk.
#[derive(Clone, Default)]
pub struct Disk {
    /// Each entry with its position. Those that a later beginning has settled may be gone.
    log: Vec<(u64, Entry)>,
    /// The position that the next entry gets.
    end: u64,
    /// What stands before this position was synced, as the disk says.
    acknowledged: u64,
    /// What stands before this position survives a crash.
    durable: u64,
    states: BTreeMap<Seq, Tree>,
    /// States of which a disk that lies only says that they are written.
    promised_states: Vec<Seq>,
    /// Parts of a state that is being fetched.
    parts: Vec<(Path, Part)>,
    /// The latest beginning, if what it settled may still be there.
    uncleaned: Option<u64>,
    /// It says that it synced, and did not.
    pub lies: bool,
    /// It takes its time.
    pub slow: bool,
    /// It has no room.
    pub full: bool,
    /// Its next sync fails.
    pub fails: bool,
    /// The log is damaged somewhere in its middle.
    pub rotten: bool,
    /// A state that was written is there no more.
    pub lost_state: bool,
}

/// What a disk still holds at a start.
pub struct Found {
    /// The log's records, with what later beginnings have settled left out.
    pub records: Vec<Record>,
    /// Whole states.
    pub states: BTreeMap<Seq, Tree>,
    /// Parts of a state that was being fetched.
    pub parts: Vec<(Path, Part)>,
}

impl Disk {
    /// What would survive a crash now, by the disk's own word.
    pub fn surviving(&self) -> OnDisk<'_> {
        let mut records: Vec<&Record> = Vec::new();
        for (_, entry) in self.log.iter().take_while(|(position, _)| *position < self.acknowledged)
        {
            match entry {
                Entry::Record(record) => records.push(record),
                Entry::Begins { below, head } => {
                    records.retain(|record| record.seq().is_some_and(|seq| seq > *below));
                    records.extend(head);
                }
            }
        }
        OnDisk { records, states: &self.states, lost_state: self.lost_state }
    }

    /// The position that a sync must reach to cover everything appended so far.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many entries a crash could take.
    pub fn unsynced(&self) -> u64 {
        self.end - self.durable
    }

    /// Appends, without a promise.
    pub fn append(&mut self, compaction: Option<Compaction>, records: Vec<Record>) {
        let begins = compaction.map(|Compaction { below, head }| Entry::Begins { below, head });
        if begins.is_some() {
            self.uncleaned = Some(self.end);
        }
        for entry in begins.into_iter().chain(records.into_iter().map(Entry::Record)) {
            self.log.push((self.end, entry));
            self.end += 1;
        }
    }

    /// Everything before this position survives from here on, or so the disk says.
    pub fn sync(&mut self, up_to: u64) {
        self.acknowledged = self.acknowledged.max(up_to);
        if !self.lies {
            self.durable = self.acknowledged;
        }
    }

    /// Whether it said so of everything before this position.
    pub fn has_acknowledged(&self, position: u64) -> bool {
        position <= self.acknowledged
    }

    /// A state is written, or so the disk says.
    pub fn save(&mut self, save: Save) {
        if self.lies {
            self.promised_states.push(save.seq);
        }
        self.states.insert(save.seq, save.tree);
    }

    /// A verified part of a state is kept.
    pub fn keep_part(&mut self, path: Path, part: Part) {
        self.parts.push((path, part));
    }

    /// Whatever was promised is kept from here on.
    pub fn stop_lying(&mut self) {
        self.lies = false;
        self.durable = self.acknowledged;
        self.promised_states.clear();
    }

    /// A crash: of what was not synced, so many entries are left, and so many parts.
    pub fn crash(&mut self, entries: u64, parts: usize) {
        self.end = self.end.min(self.durable.saturating_add(entries));
        self.log.retain(|(position, _)| *position < self.end);
        self.parts.truncate(parts);
        for seq in std::mem::take(&mut self.promised_states) {
            self.states.remove(&seq);
        }
        self.lies = false;
        self.uncleaned = self.uncleaned.filter(|position| *position < self.end);
        self.durable = self.end;
        self.acknowledged = self.end;
    }

    /// Only what survived so far: the disk as a backup would have it.
    pub fn copy(&self) -> Disk {
        let mut copy = self.clone();
        copy.crash(0, 0);
        Disk { slow: false, full: false, fails: false, rotten: false, ..copy }
    }

    /// The newest state rots: it is found not to be what it was, and counts as lost.
    pub fn lose_state(&mut self) {
        self.lost_state |= self.states.pop_last().is_some();
    }

    /// Whether a synced beginning has settled something that was not removed yet.
    pub fn wants_cleaning(&self) -> bool {
        self.uncleaned.is_some_and(|position| position < self.acknowledged)
    }

    /// Removes one thing that a synced beginning has settled, the oldest first. False
    /// if there is none.
    pub fn clean(&mut self) -> bool {
        let last = self.log.iter().rev().find_map(|(position, entry)| match entry {
            Entry::Begins { below, .. } if *position < self.acknowledged => {
                Some((*position, *below))
            }
            _ => None,
        });
        let Some((begins, below)) = last else { return false };
        let is_settled = |(position, entry): &(u64, Entry)| {
            *position < begins
                && match entry {
                    Entry::Record(record) => record.seq().is_none_or(|seq| seq <= below),
                    Entry::Begins { .. } => true,
                }
        };
        if let Some(index) = self.log.iter().position(is_settled) {
            self.log.remove(index);
            return true;
        }
        if !self.parts.is_empty() {
            self.parts.clear();
            return true;
        }
        match self.states.first_key_value().map(|(seq, _)| *seq).filter(|seq| *seq < below) {
            Some(seq) => self.states.remove(&seq).is_some(),
            None => {
                self.uncleaned = self.uncleaned.filter(|position| *position > begins);
                false
            }
        }
    }

    /// What a start finds.
    pub fn read(&self) -> Found {
        let mut records = Vec::new();
        for (_, entry) in &self.log {
            match entry {
                Entry::Record(record) => records.push(record.clone()),
                Entry::Begins { below, head } => {
                    records.retain(|record: &Record| record.seq().is_some_and(|seq| seq > *below));
                    records.splice(0..0, head.iter().cloned());
                }
            }
        }
        Found { records, states: self.states.clone(), parts: self.parts.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{ClusterId, PublicKey};
    use crate::message::{Prepare, Signed, Voter};
    use crate::sim::model::ModelSigner;
    use crate::types::{Digest, Incarnation, Nonce, ReplicaId, View};

    fn vote(seq: u64) -> Record {
        let by = Voter { replica: ReplicaId(1), incarnation: Incarnation::FIRST };
        let body = Prepare { view: View(0), seq: Seq(seq), digest: Digest::default(), by };
        let signer = ModelSigner(PublicKey([1; 32]));
        Record::Prepare(Signed::sign(body, &ClusterId(Digest::default()), &signer))
    }

    fn votes(range: std::ops::RangeInclusive<u64>) -> Vec<Record> {
        range.map(vote).collect()
    }

    fn begins(below: u64) -> Option<Compaction> {
        Some(Compaction { below: Seq(below), head: vec![Record::Recovering(Nonce(below))] })
    }

    fn save(seq: u64) -> Save {
        Save { seq: Seq(seq), digest: Digest::default(), tree: Tree::new() }
    }

    #[test]
    fn a_crash_leaves_what_was_synced_and_a_beginning_of_the_rest() {
        for kept in 0..=3 {
            let mut disk = Disk::default();
            disk.append(None, votes(1..=2));
            disk.sync(disk.end());
            disk.append(None, votes(3..=5));
            assert_eq!(disk.unsynced(), 3);
            disk.crash(kept, 0);
            assert_eq!(disk.read().records, votes(1..=2 + kept));
            disk.append(None, votes(9..=9));
            assert_eq!(disk.read().records.last(), Some(&vote(9)));
        }
    }

    #[test]
    fn a_new_beginning_may_be_lost_and_then_all_before_it_counts() {
        let mut disk = Disk::default();
        disk.append(None, votes(1..=6));
        disk.sync(disk.end());
        disk.append(begins(4), votes(7..=7));
        assert!(!disk.wants_cleaning(), "it is not synced");
        let mut lost = disk.clone();
        lost.crash(0, 0);
        assert_eq!(lost.read().records, votes(1..=6));
        disk.crash(1, 0);
        let head = vec![Record::Recovering(Nonce(4))];
        assert_eq!(disk.read().records, [head, votes(5..=6)].concat());
    }

    #[test]
    fn what_a_beginning_settled_is_removed_and_nothing_else() {
        let mut disk = Disk::default();
        (1..=3).for_each(|seq| disk.save(save(seq)));
        disk.append(begins(1), votes(2..=6));
        disk.append(begins(3), votes(7..=8));
        disk.sync(disk.end());
        let before = disk.read().records;
        assert!(disk.wants_cleaning());
        while disk.clean() {
            assert_eq!(disk.read().records, before, "half done, it is as good");
        }
        assert!(!disk.wants_cleaning());
        assert_eq!(disk.read().states.into_keys().collect::<Vec<_>>(), [Seq(3)]);
        assert_eq!(disk.log.len(), 6);
    }

    #[test]
    fn a_disk_that_lies_loses_what_it_said_it_kept() {
        let mut disk = Disk::default();
        disk.append(None, votes(1..=1));
        disk.sync(disk.end());
        disk.lies = true;
        disk.append(None, votes(2..=2));
        disk.save(save(2));
        disk.sync(disk.end());
        assert!(disk.has_acknowledged(disk.end()));
        let copy = disk.copy();
        disk.crash(0, 0);
        for disk in [copy, disk] {
            assert_eq!(disk.read().records, votes(1..=1));
            assert!(disk.read().states.is_empty());
        }
    }
}
