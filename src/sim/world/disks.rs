//! The replicas' disks at work: syncing, saving states, cleaning up.

use super::replicas::Memory;
use super::{Happening, Seat, World};
use crate::replica::effects::Record;
use crate::replica::{Durable, Input, Save};
use crate::sim::plan::Moment;
use crate::types::{Digest, Seq, Span, View};

/// So many settled things are removed at a time.
const CLEANED_AT_ONCE: usize = 16;

impl World {
    pub(super) fn begin_sync(&mut self, seat: Seat) {
        let node = &mut self.nodes[seat];
        if node.syncing.is_some() || node.unsynced.is_empty() {
            return;
        }
        let delay = match node.disk.slow {
            true => node.random.between(5_000, 40_000),
            false => node.random.between(50, 2_000),
        };
        node.syncing = Some(node.disk.end());
        let life = node.life;
        self.plan_after(Span(delay), Happening::Synced { seat, life });
    }

    pub(super) fn synced(&mut self, seat: Seat, life: u64) {
        if self.nodes[seat].life != life {
            return;
        }
        if self.is_paused(seat) {
            let at = self.nodes[seat].paused_until;
            return self.plan_at(at, Happening::Synced { seat, life });
        }
        let node = &mut self.nodes[seat];
        if std::mem::take(&mut node.disk.fails) {
            return self.sync_failed(seat);
        }
        let Some(up_to) = node.syncing.take() else { return };
        node.disk.sync(up_to);
        if let Memory::Recovering(nonce) = node.memory {
            let is_there = node.disk.surviving().has(&Record::Recovering(nonce));
            node.recovery_is_noted |= is_there && !node.disk.lies;
        }
        if self.ends_at(seat, Moment::Synced) {
            return;
        }
        let node = &mut self.nodes[seat];
        let mut released = Vec::new();
        while let Some((needs, bound)) = node.unsynced.pop_front() {
            if !node.disk.has_acknowledged(needs) {
                node.unsynced.push_front((needs, bound));
                break;
            }
            released.extend(bound.release(&Durable::after_sync()));
        }
        let half = released.len() / 2;
        for (sent, outgoing) in released.into_iter().enumerate() {
            if sent > 0 && sent == half && self.ends_at(seat, Moment::HalfSent) {
                return;
            }
            self.send(seat, outgoing);
        }
        self.begin_sync(seat);
        self.clean_later(seat);
    }

    /// Nothing that waited for the sync may leave, and the process ends. What is on disk
    /// nobody knows before the next start.
    fn sync_failed(&mut self, seat: Seat) {
        self.coverage.count("fault failed sync");
        self.stop(seat, "the sync failed");
        let span = Span::milliseconds(self.nodes[seat].random.between(50, 2_000));
        self.restart_after(seat, span);
    }

    pub(super) fn begin_save(&mut self, seat: Seat, save: Save) {
        let node = &mut self.nodes[seat];
        let most = if node.disk.slow { 200_000 } else { 20_000 };
        let (delay, life) = (Span(node.random.between(100, most)), node.life);
        self.plan_after(delay, Happening::Written { seat, life, save: Box::new(save) });
    }

    /// A state is on the disk; the replica is told a little later.
    pub(super) fn written(&mut self, seat: Seat, life: u64, save: Save) {
        if self.nodes[seat].life != life {
            return;
        }
        let saved = Box::new((save.seq, save.digest));
        let node = &mut self.nodes[seat];
        node.disk.save(save);
        let delay = Span(node.random.between(10, 500));
        if !self.ends_at(seat, Moment::StateWritten) {
            self.plan_after(delay, Happening::Saved { seat, life, saved });
        }
    }

    pub(super) fn saved(&mut self, seat: Seat, life: u64, saved: (Seq, Digest)) {
        if self.nodes[seat].life != life {
            return;
        }
        if self.is_paused(seat) {
            let at = self.nodes[seat].paused_until;
            let saved = Box::new(saved);
            return self.plan_at(at, Happening::Saved { seat, life, saved });
        }
        self.input(seat, Input::Saved(saved.0, saved.1));
    }

    /// A replica hears that its reservation is on the disk.
    pub(super) fn reserved(&mut self, seat: Seat, life: u64, view: View, up_to: Seq) {
        if self.nodes[seat].life != life {
            return;
        }
        if self.is_paused(seat) {
            let at = self.nodes[seat].paused_until;
            return self.plan_at(at, Happening::Reserved { seat, life, view, up_to });
        }
        self.input(seat, Input::Reserved(view, up_to));
    }

    pub(super) fn clean_later(&mut self, seat: Seat) {
        let node = &mut self.nodes[seat];
        if node.cleaning || !node.disk.wants_cleaning() {
            return;
        }
        node.cleaning = true;
        let (delay, life) = (Span(node.random.between(100, 20_000)), node.life);
        self.plan_after(delay, Happening::Cleans { seat, life });
    }

    pub(super) fn cleans(&mut self, seat: Seat, life: u64) {
        if self.nodes[seat].life != life {
            return;
        }
        let node = &mut self.nodes[seat];
        node.cleaning = false;
        let is_more = (0..CLEANED_AT_ONCE).all(|_| node.disk.clean());
        if is_more && !self.ends_at(seat, Moment::HalfCleaned) {
            self.clean_later(seat);
        }
    }
}
