//! Whether a world came to rest as it should.

use super::World;
use super::replicas::{Memory, Node};
use crate::replica::Standing;
use crate::sim::Options;
use crate::sim::Report;
use crate::sim::checker::{Invariant, Violation};
use crate::types::{Digest, Seq, Span};
use std::collections::BTreeMap;

impl World {
    /// Healed, everybody served, and everybody reliable at one place.
    pub(super) fn is_over(&self) -> bool {
        self.healed && self.clients.iter().all(super::Client::is_served) && self.is_settled()
    }

    /// Those of whom something can be asked at the end.
    pub(super) fn reliable(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| {
            let is_known = node.memory != Memory::Doubtful || is_known_to_forget(node);
            node.lying.is_none() && self.plan.twins != Some(node.id) && is_known
        })
    }

    /// All reliable replicas stand at the same place and may vote. One that suspected the
    /// primary alone may wait in its view change until others join it: it has promised
    /// not to vote in the old view, and an idle cluster gives nobody a reason to.
    fn is_settled(&self) -> bool {
        let mut reliable = self.reliable();
        let place = |node: &Node| {
            let replica = node.replica.as_ref()?;
            (*replica.standing() == Standing::Voting).then(|| replica.executed())
        };
        let Some(first) = reliable.next().and_then(place) else { return false };
        let places = std::iter::once(Some(first)).chain(reliable.map(place));
        let Some(places) = places.collect::<Option<Vec<Seq>>>() else { return false };
        let (least, most) = (places.iter().min(), places.iter().max());
        // Whoever asks for ever new lives keeps the numbers moving, and nobody can be faulted
        // for being some of them behind.
        let is_moving = self.plan.liars.iter().any(|(_, part)| *part == "reviver");
        let apart = if is_moving { self.plan.parameters.window } else { 0 };
        most.zip(least).is_some_and(|(most, least)| most.0 - least.0 <= apart)
    }

    pub(super) fn describe_missing(&self) -> String {
        let replicas: Vec<String> = self.nodes.iter().map(describe).collect();
        let clients: Vec<String> = self.clients.iter().map(super::Client::describe).collect();
        format!(
            "not settled at {:?} after {} events; {:?} from the healing on are enough\n  {}\n  \
             clients: {clients:?}",
            self.now,
            self.steps,
            self.grace(),
            replicas.join("\n  ")
        )
    }

    pub(super) fn finish(mut self, options: &Options) -> Report {
        for node in &self.nodes {
            if let Some(replica) = &node.replica {
                self.checker.look_last(node.id, replica);
            }
        }
        if self.checker.violation.is_none() {
            self.compare_states();
        }
        (0..self.clients.len()).for_each(|index| self.forget_all_pending(index));
        let tangled = self.checker.judge_histories();
        if tangled > 0 {
            self.coverage.add("history too tangled to judge", tangled);
        }
        for (reject, count) in &self.rejects {
            self.coverage.add(&format!("reject {reject:?}"), *count);
        }
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

    fn compare_states(&mut self) {
        let mut same: BTreeMap<u64, Digest> = BTreeMap::new();
        let mut other = None;
        for node in self.reliable() {
            let Some(replica) = &node.replica else { continue };
            let (seq, digest) = (replica.executed(), replica.state().digest());
            if *same.entry(seq.0).or_insert(digest) != digest {
                other = Some(format!("{:?} ends with another state at {seq:?}", node.id));
            }
        }
        if let Some(what) = other {
            self.checker.violation = Some(Violation { invariant: Invariant::Agreement, what });
        }
    }
}

/// It found out itself, or it cannot start: the operator is on the way.
fn is_known_to_forget(node: &Node) -> bool {
    node.replica.as_ref().is_none_or(|replica| *replica.standing() == Standing::Halted)
}

fn describe(node: &Node) -> String {
    let id = node.id;
    let (memory, is_liar) = (node.memory, node.lying.is_some());
    match &node.replica {
        None => format!("{id:?}: down, memory {memory:?}"),
        Some(replica) => format!(
            "{id:?}{}: {:?} active={} executed {:?} stable {:?} {:?}{} memory {memory:?} {:?} waits {:?}",
            if is_liar { " (liar)" } else { "" },
            replica.view(),
            replica.is_active(),
            replica.executed(),
            replica.stable(),
            replica.standing(),
            if replica.is_in_transfer() { " in transfer" } else { "" },
            replica.held(),
            replica.patience(),
        ),
    }
}
