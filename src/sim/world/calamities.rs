//! What befalls a world, and how it heals.

use super::*;

impl World {
    pub(super) fn befalls(&mut self, calamity: Calamity) {
        let name = format!("{calamity:?}");
        let name = name.split('(').next().unwrap_or("").to_string();
        self.coverage.count(&format!("fault {name}"));
        self.tell(|| format!("** {calamity:?}"));
        match calamity {
            Calamity::Crash(id) => self.crash(id),
            Calamity::Restart(id) => {
                if self.node(id).replica.is_none() {
                    self.start(id, false);
                }
            }
            Calamity::Wipe(id) => {
                self.crash(id);
                self.node_mut(id).disk = Disk::default();
                self.checker.forgive(id);
                self.start(id, true);
            }
            Calamity::Pause(id, span) => {
                let until = self.now.plus(span);
                self.node_mut(id).paused_until = until;
            }
            Calamity::Partition(island) => self.island = island.into_iter().collect(),
            Calamity::OneWay(from, to) => {
                self.cut.insert((from, to));
            }
            Calamity::Dam(span) => self.dam_until = self.now.plus(span),
            Calamity::Mend => {
                self.island.clear();
                self.cut.clear();
            }
            Calamity::ClockJump(id, jump) => self.node_mut(id).clock_offset += jump,
            Calamity::SlowDisk(id) => self.node_mut(id).slow_disk = true,
            Calamity::Blackout => {
                for id in (0..self.plan.replicas).map(ReplicaId) {
                    self.crash(id);
                }
                for id in (0..self.plan.replicas).map(ReplicaId) {
                    self.start(id, false);
                }
            }
        }
    }

    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.weather = CALM;
        self.island.clear();
        self.cut.clear();
        self.tell(|| "** everything heals but the liars".to_string());
        for id in (0..self.plan.replicas).map(ReplicaId) {
            self.node_mut(id).clock_offset = 0;
            self.node_mut(id).slow_disk = false;
            if self.node(id).replica.is_none() {
                self.start(id, false);
            }
        }
    }
}
