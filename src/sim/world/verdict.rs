//! Whether a world came to rest as it should.

use super::*;

impl World {
    pub(super) fn is_everybody_served(&self) -> bool {
        self.clients.iter().all(|client| client.left == 0 && client.pending.is_empty())
    }

    /// All honest replicas stand at the same place and may vote. One that suspected the
    /// primary alone may wait in its view change until others join it: it has promised
    /// not to vote in the old view, and an idle cluster gives nobody a reason to.
    pub(super) fn is_settled(&self) -> bool {
        let mut honest = self.nodes.iter().filter(|node| node.liar.is_none());
        let place = |node: &Node| {
            let replica = node.replica.as_ref()?;
            (*replica.standing() == Standing::Voting).then(|| replica.executed())
        };
        let Some(first) = honest.next().and_then(place) else { return false };
        honest.all(|node| place(node) == Some(first))
    }

    pub(super) fn describe_missing(&self) -> String {
        let replicas: Vec<String> = self
            .nodes
            .iter()
            .enumerate()
            .map(|(id, node)| match &node.replica {
                Some(replica) => format!(
                    "r{id}{}: {:?} active={} executed {:?} stable {:?} {:?}{} {:?} waits {:?}",
                    if node.liar.is_some() { " (liar)" } else { "" },
                    replica.view(),
                    replica.is_active(),
                    replica.executed(),
                    replica.stable(),
                    replica.standing(),
                    if replica.is_in_transfer() { " in transfer" } else { "" },
                    replica.held(),
                    replica.patience(),
                ),
                None => format!("r{id}: down"),
            })
            .collect();
        let clients: Vec<String> = self
            .clients
            .iter()
            .map(|client| format!("{} left, {:?} pending", client.left, client.pending.keys()))
            .collect();
        format!(
            "not settled {GRACE:?} after healing\n  {}\n  clients: {clients:?}",
            replicas.join("\n  ")
        )
    }

    pub(super) fn finish(mut self, options: &Options) -> Report {
        if self.checker.violation.is_none() {
            let honest = self.nodes.iter().enumerate().filter(|(_, node)| node.liar.is_none());
            let states: Vec<(ReplicaId, crate::types::Seq, Digest)> = honest
                .filter_map(|(id, node)| {
                    let replica = node.replica.as_ref()?;
                    let id = ReplicaId(u16::try_from(id).ok()?);
                    Some((id, replica.executed(), replica.state().digest()))
                })
                .collect();
            let mut same: BTreeMap<u64, Digest> = BTreeMap::new();
            for (id, seq, digest) in states {
                if *same.entry(seq.0).or_insert(digest) != digest {
                    self.checker.violation = Some(Violation {
                        invariant: crate::sim::checker::Invariant::Agreement,
                        what: format!("{id:?} ends with another state at {seq:?}"),
                    });
                }
            }
        }
        // What was never answered may have happened at any time, or never.
        for client in &mut self.clients {
            for (key, action, asked) in std::mem::take(&mut client.pending).into_values() {
                let event = Event { action, asked, answered: None };
                self.checker.histories.entry(key).or_default().push(event);
            }
        }
        self.checker.judge_histories();
        Report {
            seed: options.seed,
            steps: self.steps,
            messages: self.messages,
            requests: self.clients.iter().map(|client| client.answered).sum(),
            simulated: Span(self.now.0),
            coverage: self.coverage,
            digest: self.digest,
            violation: self.checker.violation,
            story: self.story.into_iter().collect(),
            trace: self.trace.unwrap_or_default(),
            plan: self.plan,
        }
    }
}
