//! Execution: the agreed order meets the replicated state (§ Normal case, 5).
//!
//! Holds the state and what the protocol itself keeps in it: the agreed time, the hash
//! chain of executed batches and the incarnations. At a checkpoint those are written
//! into the state's tree, so that its digest covers all that later behaviour depends on.

use super::lives::Lives;
use crate::message::batch::{ItemKey, NULL};
use crate::message::{Batch, Genesis, Item, Parameters, ReplyOutcome, Request};
use crate::service::{Limits, Moment, Outcome, RequestRef, Service, State, Tree};
use crate::types::{
    ClientId, Committee, Digest, Incarnation, ReplicaId, RequestNumber, Seq, Timestamp,
};
use crate::wire;
use bincode::{Decode, Encode};
use std::sync::Arc;

/// The name under which the protocol's own part stands in the state.
pub const PROTOCOL: &[u8] = b"protocol";

/// The protocol's own part of the state.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Agreed {
    /// The last number executed.
    pub seq: Seq,
    /// The agreed time of it; never goes back.
    pub time: Timestamp,
    /// The digest of all batches executed, in their order.
    pub chain: Digest,
    /// The parameters in force.
    pub parameters: Parameters,
    /// Who speaks in which life.
    pub lives: Lives,
}

/// What became of one operation, to be told to its client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Whose.
    pub client: ClientId,
    /// Its number.
    pub number: RequestNumber,
    /// The entry that executed it, now or earlier.
    pub seq: Seq,
    /// The digest of the operation that was executed.
    pub operation: Digest,
    /// What came of it.
    pub outcome: ReplyOutcome,
}

/// One item of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Done {
    /// Which.
    pub key: ItemKey,
    /// The last number that it used.
    pub last: u64,
    /// Whether it was its owner's turn: it was executed, or refused, for the first time.
    pub is_turn: bool,
}

/// What came of executing one entry.
#[derive(Default)]
pub struct Executed {
    /// To be told to clients.
    pub answers: Vec<Answer>,
    /// The items that it held.
    pub items: Vec<Done>,
    /// Whether any operation in it was executed, and not only told again or refused.
    pub served: bool,
    /// Whose new life begins with this entry.
    pub begun: Vec<(ReplicaId, Incarnation)>,
    /// The state at this checkpoint, if it is one.
    pub checkpoint: Option<Tree>,
}

/// The state that a tree holds is not one of this protocol's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state holds no record of the protocol: it is another version's, or no state at all")]
pub struct NotAState;

/// The replicated state and the place it stands at.
pub struct Executor {
    committee: Committee,
    service: Arc<dyn Service>,
    state: State,
    agreed: Agreed,
}

impl Executor {
    /// The state of a new cluster.
    pub(super) fn genesis(
        genesis: &Genesis,
        committee: Committee,
        service: Arc<dyn Service>,
    ) -> Executor {
        let parameters = genesis.parameters;
        let clients = (0..).map(ClientId).take(genesis.clients.len());
        let state = State::genesis(Arc::clone(&service), limits(&parameters), clients);
        let agreed = Agreed {
            seq: Seq::GENESIS,
            time: Timestamp::default(),
            chain: genesis.cluster().0,
            parameters,
            lives: Lives::new(committee),
        };
        Executor { committee, service, state, agreed }
    }

    /// The state that a checkpoint's tree holds.
    pub(super) fn restore(
        committee: Committee,
        service: Arc<dyn Service>,
        tree: Tree,
    ) -> Result<Executor, NotAState> {
        let state = State::from_tree(Arc::clone(&service), tree).map_err(|_| NotAState)?;
        let agreed = state.system(PROTOCOL).ok_or(NotAState)?;
        let agreed = wire::decode(agreed, wire::MOST_BYTES).map_err(|_| NotAState)?;
        Ok(Executor { committee, service, state, agreed })
    }

    /// The same service on another state, as transferred.
    pub(super) fn replace(&self, tree: Tree) -> Result<Executor, NotAState> {
        Executor::restore(self.committee, Arc::clone(&self.service), tree)
    }

    /// The last number executed.
    pub(super) fn executed(&self) -> Seq {
        self.agreed.seq
    }

    /// What the protocol itself has agreed on.
    pub(super) fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Who speaks in which life.
    pub(super) fn lives(&self) -> &Lives {
        &self.agreed.lives
    }

    /// The state, to be read.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// Executes the next entry: a batch, or null.
    pub(super) fn execute(&mut self, digest: Digest, batch: Option<&Batch>) -> Executed {
        assert_eq!(batch.map_or(NULL, Batch::digest), digest, "the body of another entry");
        let agreed = &mut self.agreed;
        agreed.seq = agreed.seq.next();
        agreed.chain = Digest::of_parts(&[&agreed.chain.0, &digest.0]);
        if let Some(batch) = batch {
            agreed.time = agreed.time.max(batch.time());
        }
        let mut executed = Executed::default();
        for item in batch.into_iter().flat_map(Batch::items) {
            let is_turn = match item {
                Item::Request(request) => self.apply(&request.body, &mut executed),
                Item::Recovery(recovery) => {
                    let Agreed { seq, parameters, lives, .. } = &mut self.agreed;
                    let body = &recovery.body;
                    let is_new = !lives.knows(body.replica, body.nonce);
                    lives.request(body.replica, body.nonce, *seq, self.committee, parameters);
                    is_new
                }
            };
            executed.items.push(Done { key: item.key(), last: item.last(), is_turn });
        }
        if self.agreed.seq.0.is_multiple_of(self.agreed.parameters.checkpoint_interval) {
            self.seal(&mut executed);
        }
        executed
    }

    /// Executes a request. Says whether anything came of it that had not come before.
    fn apply(&mut self, request: &Request, executed: &mut Executed) -> bool {
        let mut is_turn = false;
        let moment = Moment { seq: self.agreed.seq, time: self.agreed.time };
        let reference = RequestRef {
            client: request.client,
            first: request.first,
            acknowledged: request.acknowledged,
            operations: &request.operations,
        };
        for one in self.state.execute(&moment, reference) {
            let (seq, operation, outcome) = match one.outcome {
                Outcome::Executed(kept) => {
                    executed.served = true;
                    is_turn = true;
                    (kept.seq, kept.operation, ReplyOutcome::Executed(kept.result))
                }
                Outcome::Repeated(kept) => {
                    (kept.seq, kept.operation, ReplyOutcome::Executed(kept.result))
                }
                Outcome::Refused(refusal) => {
                    is_turn = true;
                    (moment.seq, one.operation, ReplyOutcome::Refused(refusal))
                }
                Outcome::Acknowledged => continue,
            };
            let (client, number) = (request.client, one.number);
            executed.answers.push(Answer { client, number, seq, operation, outcome });
        }
        is_turn
    }

    /// Writes the protocol's own part and the sessions into the state, and takes the snapshot.
    fn seal(&mut self, executed: &mut Executed) {
        let Agreed { seq, parameters, lives, .. } = &mut self.agreed;
        executed.begun = lives.checkpoint(*seq, self.committee, parameters);
        let bytes = wire::encode(&self.agreed);
        self.state.set_system(PROTOCOL, bytes.into(), self.agreed.seq);
        executed.checkpoint = Some(self.state.seal(self.agreed.seq).clone());
    }
}

fn limits(parameters: &Parameters) -> Limits {
    Limits {
        window: parameters.client_window,
        kept_bytes: parameters.client_kept_bytes,
        result_bytes: parameters.result_bytes,
        operation_bytes: parameters.bundle_bytes,
        bundle_operations: parameters.bundle_operations,
        bundle_bytes: parameters.bundle_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edges() -> impl Strategy<Value = u64> {
        prop_oneof![
            0..3u64,
            (0..27u32).prop_map(|bits| 1 << bits),
            (24..27u32).prop_map(|bits| (1 << bits) + 1),
            Just(u64::MAX),
        ]
    }

    proptest! {
        /// D3: a genesis that is taken starts a state, whatever somebody typed.
        #[test]
        fn parameters_that_are_taken_make_limits_that_fit_together(
            operations in edges(),
            bundle in edges(),
            result in edges(),
            more in prop::sample::select(vec![0u64, 1, 1 << 40]),
        ) {
            let parameters = Parameters {
                bundle_operations: operations,
                bundle_bytes: bundle,
                batch_bytes: 32 << 20,
                client_window: operations.saturating_add(more),
                result_bytes: result,
                client_kept_bytes: result.saturating_add(more),
                ..Parameters::default()
            };
            if parameters.check().is_ok() {
                prop_assert_eq!(limits(&parameters).check(), Ok(()));
            }
        }
    }
}
