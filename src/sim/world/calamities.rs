//! What befalls a world, and how it heals.

use super::replicas::{Memory, Node};
use super::{Happening, Seat, World};
use crate::sim::disk::Disk;
use crate::sim::plan::{CALM, Calamity};
use crate::types::{Instant, ReplicaId};

impl World {
    pub(super) fn befalls(&mut self, calamity: &Calamity) {
        let Some(seat) = self.seat_of(calamity) else { return };
        if is_forgetting(calamity) && !self.may_forget(seat) {
            return self.coverage.count("fault spared, for there would be too many");
        }
        if !matches!(calamity, Calamity::CrashAt(..) | Calamity::FailSync(_)) {
            self.coverage.count(&format!("fault {}", calamity.name()));
        }
        self.tell(|| format!("** {calamity:?}"));
        match calamity {
            Calamity::Crash(_) => self.stop(seat, "a crash"),
            Calamity::Stop(_) => self.ends(seat),
            Calamity::CrashAt(_, moment, span) => self.nodes[seat].armed = Some((*moment, *span)),
            Calamity::CrashPrimary(span) => {
                self.stop(seat, "a crash");
                self.restart_after(seat, *span);
            }
            Calamity::Restart(_) => {
                if !self.is_running(seat) {
                    self.start(seat, false);
                }
            }
            Calamity::Blackout => {
                (0..self.nodes.len()).for_each(|seat| self.stop(seat, "a blackout"));
                (0..self.nodes.len()).for_each(|seat| self.start(seat, false));
            }
            Calamity::Pause(_, span) | Calamity::PausePrimary(span) => {
                self.nodes[seat].paused_until = self.now.plus(*span);
            }
            Calamity::Wipe(_)
            | Calamity::WipeUnnoticed(_)
            | Calamity::Backup(_)
            | Calamity::PutBack(_)
            | Calamity::RotLog(_)
            | Calamity::RotState(_)
            | Calamity::Lie(_)
            | Calamity::FailSync(_)
            | Calamity::Fill(..)
            | Calamity::SlowDisk(_) => self.befalls_disk(seat, calamity),
            Calamity::ClockJump(_, jump) => self.nodes[seat].clock.jump(self.now, *jump),
            Calamity::WallRate(_, rate) => self.nodes[seat].clock.wall_goes_at(self.now, *rate),
            Calamity::Rate(_, rate) => {
                self.nodes[seat].clock.go_at(self.now, *rate);
                self.wake_now(seat);
            }
            Calamity::Partition(_)
            | Calamity::Bridge(..)
            | Calamity::Rotate(_)
            | Calamity::OneWay(..)
            | Calamity::CutClient(..)
            | Calamity::Dam(_)
            | Calamity::Replay(_)
            | Calamity::Mend => self.befalls_network(calamity),
            Calamity::ClientContinues(client) => self.client_restarts(*client, true),
            Calamity::ClientLosesCount(client) => self.client_restarts(*client, false),
            Calamity::ClientAbandons(client) => self.client_abandons(*client),
        }
    }

    fn befalls_disk(&mut self, seat: Seat, calamity: &Calamity) {
        match calamity {
            Calamity::Wipe(_) => {
                self.stop(seat, "its disk is lost");
                self.forgets(seat);
                self.nodes[seat].disk = Disk::default();
                self.start(seat, true);
            }
            Calamity::WipeUnnoticed(_) => {
                self.stop(seat, "its disk is lost");
                self.forgets(seat);
                self.nodes[seat].disk = Disk::default();
                self.start(seat, false);
            }
            Calamity::Backup(_) => {
                self.nodes[seat].backup = Some(self.nodes[seat].disk.copy());
            }
            Calamity::PutBack(_) => {
                if let Some(copy) = self.nodes[seat].backup.take() {
                    self.stop(seat, "a copy of its disk is put back");
                    self.forgets(seat);
                    self.nodes[seat].disk = copy;
                    self.start(seat, false);
                }
            }
            Calamity::RotLog(_) => {
                self.stop(seat, "its log rots");
                self.forgets(seat);
                self.nodes[seat].disk.rotten = true;
            }
            Calamity::RotState(_) => {
                self.stop(seat, "its newest state rots");
                self.nodes[seat].disk.lose_state();
                self.start(seat, false);
            }
            Calamity::Lie(_) => {
                self.forgets(seat);
                self.nodes[seat].disk.lies = true;
            }
            Calamity::FailSync(_) => self.nodes[seat].disk.fails = true,
            Calamity::Fill(_, span) => {
                self.nodes[seat].disk.full = true;
                self.plan_after(*span, Happening::HasRoom { seat });
            }
            _ => self.nodes[seat].disk.slow = true,
        }
    }

    fn befalls_network(&mut self, calamity: &Calamity) {
        match calamity {
            Calamity::Partition(island) => self.links.part(&self.plan, island, None),
            Calamity::Bridge(bridge, island) => {
                self.links.part(&self.plan, island, Some(*bridge));
            }
            Calamity::Rotate(every) => {
                let until = self.plan.healed;
                self.links.rotates_until = until;
                self.turns(0, *every, until);
            }
            Calamity::OneWay(from, to) => {
                self.links.cut.insert((*from, *to));
            }
            Calamity::CutClient(client, replicas) => {
                let client = self.client_id(usize::try_from(client.0).unwrap_or(0));
                let cut = replicas.iter().map(|id| (client, *id));
                self.links.cut_clients.extend(cut);
            }
            Calamity::Dam(span) => self.links.dam_until = self.now.plus(*span),
            Calamity::Replay(count) => self.replay(*count),
            _ => self.links.mend(),
        }
    }

    /// Where it befalls. None if there is no such replica (the plan was changed).
    fn seat_of(&self, calamity: &Calamity) -> Option<Seat> {
        let id = match calamity {
            Calamity::Crash(id)
            | Calamity::Stop(id)
            | Calamity::CrashAt(id, ..)
            | Calamity::Restart(id)
            | Calamity::Pause(id, _)
            | Calamity::Wipe(id)
            | Calamity::WipeUnnoticed(id)
            | Calamity::Backup(id)
            | Calamity::PutBack(id)
            | Calamity::RotLog(id)
            | Calamity::RotState(id)
            | Calamity::Lie(id)
            | Calamity::FailSync(id)
            | Calamity::Fill(id, _)
            | Calamity::SlowDisk(id)
            | Calamity::ClockJump(id, _)
            | Calamity::WallRate(id, _)
            | Calamity::Rate(id, _) => *id,
            Calamity::CrashPrimary(_) | Calamity::PausePrimary(_) => self.primary(),
            _ => ReplicaId(0),
        };
        (id.0 < self.plan.replicas).then_some(usize::from(id.0))
    }

    /// The primary of the highest view that anybody takes part in.
    fn primary(&self) -> ReplicaId {
        let replicas = self.nodes.iter().filter_map(|node| node.replica.as_ref());
        let active = replicas.filter(|replica| replica.is_active());
        let view = active.map(|replica| replica.view()).max().unwrap_or_default();
        self.genesis.committee().primary(view)
    }

    fn wake_now(&mut self, seat: Seat) {
        let at = Instant(self.now.0 + 1);
        self.nodes[seat].wakes_at = at;
        self.plan_at(at, Happening::Wakes { seat });
    }

    pub(super) fn has_room(&mut self, seat: Seat) {
        self.nodes[seat].disk.full = false;
        if !self.is_running(seat) {
            self.start(seat, false);
        }
    }

    /// Everything heals but the liars, and what nobody knows about.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.links.calm(self.plan.calm);
        self.tell(|| "** everything heals but the liars".to_string());
        // Whoever lost something asks for it again within its patience.
        let settings = &self.plan.settings;
        let again = settings.status_interval.max(settings.fetch_timeout).times(4);
        // A client that asks one backup for more than the primary has places for, and is refused
        // all of it, makes an honest primary seem idle or slow to that backup.
        let is_calm = self.plan.calm == CALM && self.plan.hostile.is_empty();
        if is_calm && settings.patience >= again {
            // What a pause or a slow disk holds up may still take its time.
            let is_quick = |node: &&Node| node.paused_until <= self.now && !node.disk.slow;
            let whole = self.reliable().filter(|node| node.memory == Memory::Whole);
            let reliable = whole.filter(is_quick).map(|node| node.id).collect();
            self.checker.calms(reliable);
        }
        self.keep_busy();
        for seat in 0..self.nodes.len() {
            let now = self.now;
            let node = &mut self.nodes[seat];
            node.clock.mend(now);
            node.paused_until = now;
            node.armed = None;
            (node.disk.slow, node.disk.full, node.disk.fails) = (false, false, false);
            if node.disk.lies {
                node.disk.stop_lying();
            }
            match self.is_running(seat) {
                true => self.wake_now(seat),
                false => self.start(seat, false),
            }
        }
    }
}

/// Whether it makes a disk forget something, now or at the next crash.
fn is_forgetting(calamity: &Calamity) -> bool {
    matches!(
        calamity,
        Calamity::Wipe(_)
            | Calamity::WipeUnnoticed(_)
            | Calamity::PutBack(_)
            | Calamity::RotLog(_)
            | Calamity::RotState(_)
            | Calamity::Lie(_)
    )
}
