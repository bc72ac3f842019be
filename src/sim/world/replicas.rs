//! The replicas of a world: starting and stopping them, and doing what they ask for.

use super::*;

impl World {
    pub(super) fn start(&mut self, id: ReplicaId, disk_was_lost: bool) {
        let nonce = Nonce(self.random.any());
        let now = self.now_of(id);
        let verifier = self.verifier.clone();
        let genesis = Arc::clone(&self.genesis);
        let settings = self.plan.settings;
        let signer = Box::new(ModelSigner(genesis.replicas[usize::from(id.0)]));
        let node = self.node_mut(id);
        node.life += 1;
        node.unsynced.clear();
        node.syncing = None;
        node.wakes_at = Instant(u64::MAX);
        let records = node.disk.log.iter().map(|record| {
            Recalled::verify(&verifier, record.clone()).expect("a replica's own log verifies")
        });
        let records = records.collect();
        let states = node.disk.states.clone();
        let parts = node.disk.parts.clone();
        let executed = states.keys().next_back().copied().unwrap_or_default();
        let recovered = Recovered { records, states, parts };
        let service = Arc::new(KeyValue);
        let origin = Origin { id, genesis, settings, signer, service, nonce, disk_was_lost };
        let (replica, effects) =
            Replica::start(now, origin, recovered).expect("a replica starts from its own disk");
        self.node_mut(id).replica = Some(replica);
        self.checker.restarted(id, executed);
        self.tell(|| format!("{id:?} starts{}", if disk_was_lost { " to recover" } else { "" }));
        self.carry_out(id, effects);
    }

    pub(super) fn crash(&mut self, id: ReplicaId) {
        let surviving = usize::try_from(self.random.below(4)).unwrap_or(0);
        let node = self.node_mut(id);
        if node.replica.take().is_none() {
            return;
        }
        node.life += 1;
        node.disk.crash(surviving);
        node.unsynced.clear();
        node.syncing = None;
        self.tell(|| format!("{id:?} crashes"));
    }

    pub(super) fn now_of(&self, id: ReplicaId) -> Now {
        let wall = DAWN + self.now.0;
        let offset = self.nodes.get(usize::from(id.0)).map_or(0, |node| node.clock_offset);
        Now { instant: self.now, wall: Timestamp(wall.saturating_add_signed(offset)) }
    }

    pub(super) fn input(&mut self, id: ReplicaId, input: Input) {
        let now = self.now_of(id);
        let node = self.node_mut(id);
        let Some(replica) = &mut node.replica else { return };
        let effects = replica.handle(now, input);
        self.carry_out(id, effects);
    }

    pub(super) fn carry_out(&mut self, id: ReplicaId, effects: Effects) {
        let parts = effects.into_parts();
        for notice in &parts.notices {
            self.note(id, notice);
        }
        let node = self.node_mut(id);
        if let Some(compaction) = parts.compaction {
            node.disk.compact(compaction);
        }
        node.disk.append(parts.records);
        node.disk.parts.extend(parts.parts.into_iter().map(|(_, path, part)| (path, part)));
        let (needs, life, slow) = (node.disk.log.len(), node.life, node.slow_disk);
        if !parts.bound.is_empty() {
            node.unsynced.push_back((needs, parts.bound));
            self.begin_sync(id);
        }
        for outgoing in parts.free {
            self.send(id, outgoing);
        }
        for save in parts.saves {
            let delay = if slow { 200_000 } else { 20_000 };
            let at = self.now.plus(Span(self.random.between(100, delay)));
            self.plan_at(at, Happening::Saved { id, life, save });
        }
        if let Some(replica) = &self.nodes[usize::from(id.0)].replica {
            let wakes_at = replica.next_deadline().max(Instant(self.now.0 + 1));
            self.checker.look(id, replica);
            let planned = self.node(id).wakes_at;
            if wakes_at < planned || planned <= self.now {
                self.node_mut(id).wakes_at = wakes_at;
                self.plan_at(wakes_at, Happening::Wakes { id });
            }
        }
    }

    pub(super) fn note(&mut self, id: ReplicaId, notice: &Notice) {
        self.checker.notice(id, notice);
        let honest = self.node(id).liar.is_none();
        match notice {
            Notice::Rejected(_, reject) if honest => {
                self.coverage.count(&format!("reject {reject:?}"));
            }
            Notice::Rejected(..) | Notice::StartAnswers(..) | Notice::Decided(..) => {}
            other => {
                let kind = format!("{other:?}");
                let kind = kind.split(['(', ' ']).next().unwrap_or("").to_string();
                let kind = match other {
                    Notice::Suspects(_, why) => format!("suspects {why:?}"),
                    Notice::Evidence(_) => "evidence".to_string(),
                    _ => kind,
                };
                self.coverage.count(&format!("event {kind}"));
                if let Notice::Evidence(evidence) = other {
                    let accused = evidence.accused();
                    self.tell(|| format!("{id:?} has evidence against {accused:?}"));
                } else {
                    let what = format!("{other:?}");
                    self.tell(|| format!("{id:?} {what}"));
                }
            }
        }
    }

    pub(super) fn begin_sync(&mut self, id: ReplicaId) {
        let delay = match self.node(id).slow_disk {
            true => self.random.between(5_000, 40_000),
            false => self.random.between(50, 2_000),
        };
        let at = self.now.plus(Span(delay));
        let node = self.node_mut(id);
        if node.syncing.is_some() || node.unsynced.is_empty() {
            return;
        }
        node.syncing = Some(node.disk.log.len());
        let life = node.life;
        self.plan_at(at, Happening::Synced { id, life });
    }

    pub(super) fn synced(&mut self, id: ReplicaId, life: u64) {
        let node = self.node_mut(id);
        if node.life != life {
            return;
        }
        let Some(up_to) = node.syncing.take() else { return };
        node.disk.sync(up_to);
        let durable = Durable::after_sync();
        let mut released = Vec::new();
        // A compaction may have shortened the log since: then all of it is durable.
        let length = node.disk.log.len();
        while let Some((needs, _)) = node.unsynced.front() {
            if *needs > up_to && *needs <= length && node.disk.durable < *needs {
                break;
            }
            if let Some((_, bound)) = node.unsynced.pop_front() {
                released.extend(bound.release(&durable));
            }
        }
        for outgoing in released {
            self.send(id, outgoing);
        }
        self.begin_sync(id);
    }

    pub(super) fn wakes(&mut self, id: ReplicaId) {
        let paused = self.node(id).paused_until;
        if paused > self.now {
            self.node_mut(id).wakes_at = paused;
            self.plan_at(paused, Happening::Wakes { id });
            return;
        }
        let due = self.node(id).replica.as_ref().map(Replica::next_deadline);
        self.node_mut(id).wakes_at = Instant(u64::MAX);
        match due {
            Some(due) if due <= self.now => self.input(id, Input::Tick),
            Some(due) => {
                self.node_mut(id).wakes_at = due;
                self.plan_at(due, Happening::Wakes { id });
            }
            None => {}
        }
    }
}
