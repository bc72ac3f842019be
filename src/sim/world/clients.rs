//! The clients of a world: what they ask for, and what they learn.

use super::*;

impl World {
    pub(super) fn asks(&mut self, client: usize, to: ReplicaId, message: ClientMessage) {
        if self.node(to).replica.is_none() || self.node(to).paused_until > self.now {
            return;
        }
        self.messages += 1;
        let from = ClientId(u32::try_from(client).unwrap_or(0));
        match self.verifier.client(message) {
            Ok(message) => self.input(to, Input::Client { from, message }),
            Err(reject) => self.note(to, &Notice::Rejected(None, reject)),
        }
    }

    pub(super) fn send_client(&mut self, from: ReplicaId, to: ClientId, message: ToClient) {
        let told = match &mut self.node_mut(from).liar {
            None => vec![message],
            Some((liar, behaviour)) => behaviour.tell_client(liar, to, message),
        };
        let client = usize::try_from(to.0).unwrap_or(0);
        for message in told {
            if client < self.clients.len() && !self.random.in_thousand(self.weather.lost) {
                let at = self.arrival();
                self.plan_at(at, Happening::Answers { from, client, message });
            }
        }
    }

    /// A client with nothing on its way asks for something more.
    pub(super) fn maybe_ask(&mut self, index: usize) {
        let keys = self.plan.keys;
        let now = self.now;
        let client = &mut self.clients[index];
        if client.left == 0 || client.pending.len() >= 3 {
            return;
        }
        let key = Blob::from(format!("key{}", client.random.below(keys)).as_str());
        let value = Blob::from(format!("c{index} {}", client.left).as_str());
        let get = KvOperation::Get { key: key.clone() };
        let (operation, action) = match client.random.below(6) {
            0 | 1 => {
                (KvOperation::Put { key: key.clone(), value: value.clone() }, Action::Put(value))
            }
            2 => (KvOperation::Delete { key: key.clone() }, Action::Delete),
            3 => {
                let other = client.left + 1 + client.random.below(3);
                let expected = client
                    .random
                    .in_thousand(500)
                    .then(|| Blob::from(format!("c{index} {other}").as_str()));
                let action = Action::CompareAndSet(expected.clone(), value.clone(), None);
                (KvOperation::CompareAndSet { key: key.clone(), expected, value }, action)
            }
            _ => (get.clone(), Action::Get(None)),
        };
        let bytes = Blob::from(operation.to_bytes());
        let quorum_read = operation == get && client.random.in_thousand(700);
        let asked = match quorum_read {
            true => client.session.read(now, bytes.clone()),
            false => client.session.submit(now, vec![bytes.clone()]),
        };
        if let Ok(ticket) = asked {
            client.left -= 1;
            client.pending.insert(ticket, (key, action, now));
        }
        let pause = Span::milliseconds(client.random.below(300));
        self.plan_at(now.plus(pause), Happening::ClientWakes { client: index });
    }

    pub(super) fn after_client(&mut self, index: usize) {
        let now = self.now;
        let outcomes = self.clients[index].session.take_outcomes();
        let had_some = !outcomes.is_empty();
        for (ticket, outcome) in outcomes {
            self.learn_outcome(index, ticket, outcome);
        }
        let id = ClientId(u32::try_from(index).unwrap_or(0));
        for (to, message) in self.clients[index].session.take_outgoing() {
            if let ClientMessage::Request(request) = &message {
                let body = &request.body;
                self.checker.client_asks(id, body.first.0, body.operations.0.clone());
            }
            let recipients: Vec<ReplicaId> = match to {
                ToReplica::One(one) => vec![one],
                ToReplica::All => (0..self.plan.replicas).map(ReplicaId).collect(),
            };
            for to in recipients {
                if !self.random.in_thousand(self.weather.lost) {
                    let at = self.arrival();
                    self.plan_at(
                        at,
                        Happening::Asks { client: index, to, message: message.clone() },
                    );
                }
            }
        }
        if had_some && self.clients[index].left > 0 {
            self.plan_at(now.plus(Span(1_000)), Happening::ClientWakes { client: index });
        }
        if let Some(due) = self.clients[index].session.next_deadline() {
            let due = due.max(Instant(now.0 + 1));
            let client = &mut self.clients[index];
            if due < client.wakes_at || client.wakes_at <= now {
                client.wakes_at = due;
                self.plan_at(due, Happening::ClientWakes { client: index });
            }
        }
    }

    pub(super) fn learn_outcome(&mut self, index: usize, ticket: Ticket, outcome: Outcome) {
        let Some((key, action, asked)) = self.clients[index].pending.remove(&ticket) else {
            return;
        };
        let result = match outcome {
            Outcome::Done(done) => done.into_iter().next().map(|done| done.result),
            Outcome::Read(answer) => {
                let how = match answer.how {
                    HowRead::Quorum { .. } => "read by quorum",
                    HowRead::Ordered { .. } => "read ordered",
                    HowRead::Proved(_) => "read proved",
                };
                self.coverage.count(how);
                Some(answer.result)
            }
            other => {
                self.checker.client_fooled(format!("c{index} {ticket:?} got {other:?}"));
                None
            }
        };
        let seen = result.and_then(|bytes| KvResult::from_bytes(&bytes).ok());
        let action = match (action, seen) {
            (Action::Get(_), Some(KvResult::Got { found })) => {
                Action::Get(Some(found.map(|found| found.value)))
            }
            (Action::CompareAndSet(expected, value, _), Some(KvResult::Set { .. })) => {
                Action::CompareAndSet(expected, value, Some(true))
            }
            (Action::CompareAndSet(expected, value, _), Some(KvResult::Mismatch { .. })) => {
                Action::CompareAndSet(expected, value, Some(false))
            }
            (put @ Action::Put(_), Some(KvResult::Put { .. })) => put,
            (Action::Delete, Some(KvResult::Deleted { .. })) => Action::Delete,
            (action, seen) => {
                self.checker
                    .client_fooled(format!("c{index} asked {action:?} and was told {seen:?}"));
                action
            }
        };
        self.clients[index].answered += 1;
        self.tell(|| format!("c{index} learns {action:?} of {key:?}"));
        let event = Event { action, asked, answered: Some(self.now) };
        self.checker.histories.entry(key).or_default().push(event);
    }
}
