//! The operator: starts again what has stopped, and says of a disk that it forgot when
//! that has come out.

use super::replicas::Memory;
use super::{Happening, Seat, World};
use crate::sim::disk::Disk;
use crate::types::Span;

impl World {
    pub(super) fn restart_after(&mut self, seat: Seat, span: Span) {
        let life = self.nodes[seat].life;
        self.plan_after(span, Happening::Operates { seat, life, recover: false });
    }

    /// A replica found out that its disk went back in time, and stopped.
    pub(super) fn recover_later(&mut self, seat: Seat) {
        self.coverage.count("fault rollback detected");
        let node = &mut self.nodes[seat];
        let (life, span) = (node.life, Span::milliseconds(node.random.between(50, 2_000)));
        self.plan_after(span, Happening::Operates { seat, life, recover: true });
    }

    /// A disk with damage is replaced by an empty one.
    pub(super) fn refuses_to_start(&mut self, seat: Seat, why: &str) {
        self.coverage.count("fault refuses to start");
        let id = self.nodes[seat].id;
        self.tell(|| format!("{id:?} refuses to start: {why}"));
        self.forgets(seat);
        let node = &mut self.nodes[seat];
        node.disk = Disk::default();
        let (life, span) = (node.life, Span::milliseconds(node.random.between(50, 2_000)));
        self.plan_after(span, Happening::Operates { seat, life, recover: true });
    }

    pub(super) fn operates(&mut self, seat: Seat, life: u64, recover: bool) {
        if self.nodes[seat].life != life {
            return;
        }
        self.stop(seat, "the operator stops it");
        self.start(seat, recover);
    }

    /// The disk forgot something, or may: until a recovery is done, what this replica
    /// signs is not held against it.
    pub(super) fn forgets(&mut self, seat: Seat) {
        let node = &mut self.nodes[seat];
        node.memory = Memory::Doubtful;
        if self.plan.control.is_none() {
            self.checker.excuse(node.id);
        }
    }

    /// How many replicas are faulty now.
    pub(super) fn faulty(&self) -> usize {
        let twins = usize::from(self.plan.twins.is_some());
        let forgetful = self.nodes.iter().filter(|node| {
            node.lying.is_none() && self.plan.twins != Some(node.id) && node.memory != Memory::Whole
        });
        self.plan.all_liars().len() + twins + forgetful.count()
    }

    /// Whether this disk may forget something without there being too many faults.
    pub(super) fn may_forget(&self, seat: Seat) -> bool {
        let node = &self.nodes[seat];
        let is_counted = node.lying.is_some()
            || self.plan.twins == Some(node.id)
            || node.memory != Memory::Whole;
        is_counted || self.plan.control.is_some() || self.faulty() < self.plan.faults()
    }
}
