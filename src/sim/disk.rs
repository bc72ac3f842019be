//! A simulated disk: what was appended is lost in a crash unless it was synced, and a
//! state is there once it is written whole.

use crate::replica::effects::Record;
use crate::replica::{Compaction, Save};
use crate::service::Tree;
use crate::service::tree::{Part, Path};
use crate::types::Seq;
use std::collections::BTreeMap;

/// One replica's disk.
#[derive(Clone, Default)]
pub struct Disk {
    /// The log, in order; the first `durable` of it survive a crash.
    pub log: Vec<Record>,
    /// How many records are synced.
    pub durable: usize,
    /// Whole states.
    pub states: BTreeMap<Seq, Tree>,
    /// Parts of a state that is being fetched.
    pub parts: Vec<(Path, Part)>,
}

impl Disk {
    /// Appends, without a promise.
    pub fn append(&mut self, records: Vec<Record>) {
        self.log.extend(records);
    }

    /// Everything appended so far survives from here on.
    pub fn sync(&mut self, up_to: usize) {
        self.durable = self.durable.max(up_to.min(self.log.len()));
    }

    /// A crash: of what was not synced, only a part is left.
    pub fn crash(&mut self, surviving: usize) {
        self.log.truncate((self.durable + surviving).min(self.log.len()));
        self.durable = self.log.len();
    }

    /// A state is written.
    pub fn save(&mut self, save: Save) {
        self.states.insert(save.seq, save.tree);
    }

    /// Forgets what a stable checkpoint has settled. The new beginning is synced with
    /// everything before the old one goes.
    pub fn compact(&mut self, compaction: Compaction) {
        let below = compaction.below;
        let mut log = compaction.head;
        let still_needed = |record: &Record| record.seq().is_some_and(|seq| seq > below);
        log.extend(self.log.drain(..).filter(still_needed));
        self.log = log;
        self.durable = self.log.len();
        self.states = self.states.split_off(&below);
        self.parts.clear();
    }
}
