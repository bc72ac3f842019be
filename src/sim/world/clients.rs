//! The honest clients: what they ask for, what they learn, and what they forget.

use super::{Happening, World};
use crate::client::{
    self, Done, Freshness, HowRead, Outcome, Session, Start, Ticket, ToReplica, Unread,
};
use crate::message::{ClientMessage, ToClient};
use crate::service::kv::{KeyValue, KvOperation, KvResult};
use crate::sim::history::{Action, Event};
use crate::sim::model::Signatures;
use crate::sim::plan::Plan;
use crate::sim::random::Random;
use crate::types::{ClientId, Instant, Nonce, ReplicaId, Seq, Span};
use crate::wire::Blob;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// So many things a client waits for at a time.
const MOST_PENDING: usize = 3;

/// What a client waits for.
struct Pending {
    /// The keys, and what is done to each.
    steps: Vec<(Blob, Action)>,
    asked: Instant,
    /// A proof must not be of an older state.
    least: Seq,
    /// It is not one of those that must be answered: see [`World::keep_busy`].
    is_extra: bool,
}

/// An honest client.
pub(super) struct Client {
    session: Session<Signatures>,
    random: Random,
    /// What it still wants done.
    pub(super) left: u64,
    pending: BTreeMap<Ticket, Pending>,
    pub(super) answered: u64,
    wakes_at: Instant,
    /// Values that it ever wrote, by key: a proved read is old, and no older than that.
    wrote: BTreeSet<(Blob, Blob)>,
    /// The highest number at which something of it was executed, as it knows.
    learned: Seq,
    /// Something of its present life was executed, or this life is its first. Whoever
    /// loses count twice without that may sign numbers again that are under way.
    is_known: bool,
    /// It lost count, or gave up on something.
    is_irregular: bool,
    /// When it lost count last.
    began: Instant,
    /// Since when two of its lives may have signed under one number: what it asks for may
    /// turn out to have been done before it asked, or to have been superseded.
    collides_since: Option<Instant>,
}

impl Client {
    pub(super) fn is_served(&self) -> bool {
        self.left == 0 && self.pending.values().all(|one| one.is_extra)
    }

    pub(super) fn describe(&self) -> String {
        let ready = self.session.is_ready();
        format!("{} left, {:?} pending, ready={ready}", self.left, self.pending.keys())
    }

    /// One operation, with what it is in a history.
    fn draw(&mut self, index: usize, plan: &Plan) -> (KvOperation, Blob, Action) {
        let key = Blob::from(format!("key{}", self.random.below(plan.keys)).as_str());
        let unique = self.random.below(1 << 24);
        // What was written before and comes again looks as if nothing had come between.
        let mut value = match self.random.below(4) {
            0 => ["a", "b"][usize::from(self.random.in_thousand(500))].to_string(),
            _ => format!("c{index} {} {unique}", self.left),
        };
        if plan.large_values {
            value += &"+".repeat(usize::try_from(self.random.below(250)).unwrap_or(0));
        }
        let value = Blob::from(value.as_str());
        match self.random.below(6) {
            0 | 1 => {
                let put = KvOperation::Put { key: key.clone(), value: value.clone() };
                (put, key, Action::Put(value))
            }
            2 => (KvOperation::Delete { key: key.clone() }, key, Action::Delete),
            3 => {
                let known = self.wrote.iter().rev().find(|(at, _)| *at == key);
                let known = known.map(|(_, value)| value);
                let expected = known.cloned().filter(|_| self.random.in_thousand(500));
                let action = Action::CompareAndSet(expected.clone(), value.clone(), None);
                (KvOperation::CompareAndSet { key: key.clone(), expected, value }, key, action)
            }
            _ => (KvOperation::Get { key: key.clone() }, key, Action::Get(None)),
        }
    }
}

impl World {
    /// The number under which an honest client is listed.
    pub(super) fn client_id(&self, index: usize) -> ClientId {
        let before = if self.plan.hostile_first { self.plan.hostile.len() } else { 0 };
        ClientId(u32::try_from(before + index).unwrap_or(0))
    }

    /// Which of the honest clients this is, if it is one.
    pub(super) fn client_index(&self, id: ClientId) -> Option<usize> {
        (0..self.clients.len()).find(|index| self.client_id(*index) == id)
    }

    pub(super) fn add_client(&mut self, index: usize, mut random: Random) {
        let id = self.client_id(index);
        let session = self.session(id, Start::New, &mut random);
        let at = Instant(random.below(500_000));
        self.clients.push(Client {
            session,
            random,
            left: self.plan.operations,
            pending: BTreeMap::new(),
            answered: 0,
            wakes_at: Instant(u64::MAX),
            wrote: BTreeSet::new(),
            learned: Seq::GENESIS,
            is_known: true,
            is_irregular: false,
            began: Instant(0),
            collides_since: None,
        });
        self.plan_at(at, Happening::ClientAsks { client: index });
    }

    fn session(&self, id: ClientId, start: Start, random: &mut Random) -> Session<Signatures> {
        let key = usize::from(self.plan.replicas) + usize::try_from(id.0).unwrap_or(0);
        let setup = client::Setup {
            client: id,
            signer: self.plan.signatures.signer(key),
            genesis: Arc::clone(&self.genesis),
            service: Arc::new(KeyValue),
            scheme: self.plan.signatures,
        };
        let settings = client::Settings {
            retry: Span::milliseconds(random.between(50, 500)),
            most_retry: Span::seconds(2),
            reply_patience: Span::milliseconds(random.between(5, 300)),
            timeout: self.plan.timeout,
            ..client::Settings::default()
        };
        Session::new(self.now, setup, settings, start, Nonce(random.any()))
    }

    pub(super) fn client_wakes(&mut self, index: usize) {
        let now = self.now;
        self.clients[index].session.on_tick(now);
        self.after_client(index);
    }

    pub(super) fn answers(&mut self, from: ReplicaId, index: usize, message: ToClient) {
        let now = self.now;
        // What a session doesn't take has no effect.
        let _ = self.clients[index].session.on_message(now, from, message);
        self.after_client(index);
    }

    /// A client that doesn't wait for too much asks for something more.
    pub(super) fn client_asks(&mut self, index: usize) {
        let is_done = self.clients[index].left == 0;
        if is_done && !self.is_anybody_waiting() {
            return;
        }
        if self.clients[index].pending.len() < MOST_PENDING {
            self.ask_something(index);
        }
        let pause = Span::milliseconds(self.clients[index].random.between(1, 300));
        self.plan_after(pause, Happening::ClientAsks { client: index });
        self.after_client(index);
    }

    /// Whoever has all that it wanted asks for more for as long as somebody else waits:
    /// a cluster that is busy must serve everybody nevertheless.
    pub(super) fn keep_busy(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].left == 0 {
                self.plan_after(Span(1), Happening::ClientAsks { client });
            }
        }
    }

    fn is_anybody_waiting(&self) -> bool {
        self.healed && self.clients.iter().any(|client| !client.is_served())
    }

    fn ask_something(&mut self, index: usize) {
        let (plan, now) = (&self.plan, self.now);
        let most = plan.parameters.bundle_operations.min(3);
        let client = &mut self.clients[index];
        let (operation, key, action) = client.draw(index, plan);
        let mut least = Seq::GENESIS;
        let bytes = Blob::from(operation.to_bytes());
        let mut operations = vec![bytes.clone()];
        let mut steps = vec![(key, action)];
        let reads = matches!(operation, KvOperation::Get { .. });
        let asked = match client.random.below(12) {
            10 | 11 if reads => {
                steps.clear();
                let range = KvOperation::List {
                    from: Blob::from("key"),
                    until: Some(Blob::from("kez")),
                    limit: if client.random.in_thousand(500) { 1_000 } else { 2 },
                };
                let bytes = Blob::from(range.to_bytes());
                operations = vec![bytes.clone()];
                client.session.read(now, bytes)
            }
            0 | 1 if reads => {
                steps.clear();
                if client.random.in_thousand(300) {
                    least = client.learned;
                }
                let freshness = Freshness { seq: least, ..Freshness::default() };
                client.session.prove(now, bytes, freshness)
            }
            2..=7 if reads => client.session.read(now, bytes),
            8.. => {
                let mut bundle = vec![bytes];
                for _ in 1..client.random.between(1, most) {
                    let (operation, key, action) = client.draw(index, plan);
                    bundle.push(Blob::from(operation.to_bytes()));
                    steps.push((key, action));
                }
                operations.clone_from(&bundle);
                match client.random.in_thousand(300) {
                    true => client.session.submit_with_receipts(now, bundle),
                    false => client.session.submit(now, bundle),
                }
            }
            _ => client.session.submit(now, vec![bytes]),
        };
        // It may be too early to ask: a session that lost its numbers learns them first.
        let Ok(ticket) = asked else { return };
        let is_extra = client.left == 0;
        client.left = client.left.saturating_sub(1);
        let asked = client.collides_since.unwrap_or(now);
        let values = steps.iter().filter_map(|(key, action)| match action {
            Action::Put(value) | Action::CompareAndSet(_, value, _) => {
                Some((key.clone(), value.clone()))
            }
            Action::Delete | Action::Get(_) => None,
        });
        client.wrote.extend(values);
        client.pending.insert(ticket, Pending { steps, asked, least, is_extra });
        let id = self.client_id(index);
        let collides = self.clients[index].collides_since.is_some();
        self.checker.client_wants(id, ticket, operations, collides);
    }

    fn after_client(&mut self, index: usize) {
        for (ticket, outcome) in self.clients[index].session.take_outcomes() {
            self.learn_outcome(index, ticket, outcome);
        }
        let id = self.client_id(index);
        for (to, message) in self.clients[index].session.take_outgoing() {
            if let ClientMessage::Request(request) = &message {
                self.checker.client_asks(&request.body);
            }
            let primary = self.clients[index].session.primary();
            let is_request = matches!(message, ClientMessage::Request(_));
            if is_request && matches!(to, ToReplica::One(one) if one != primary) {
                self.coverage.count("silent replicas asked");
            }
            let message = Rc::new(message);
            match to {
                ToReplica::One(one) => self.ask(id, one, &message),
                ToReplica::All => self.replicas().for_each(|to| self.ask(id, to, &message)),
            }
        }
        let now = self.now;
        let client = &mut self.clients[index];
        if let Some(due) = client.session.next_deadline() {
            let due = due.max(Instant(now.0 + 1));
            if due < client.wakes_at || client.wakes_at <= now {
                client.wakes_at = due;
                self.plan_at(due, Happening::ClientWakes { client: index });
            }
        }
    }

    fn learn_outcome(&mut self, index: usize, ticket: Ticket, outcome: Outcome) {
        let Some(pending) = self.clients[index].pending.remove(&ticket) else { return };
        self.clients[index].answered += 1;
        self.clients[index].is_known |=
            matches!(outcome, Outcome::Done(_) | Outcome::Receipted { .. });
        let id = self.client_id(index);
        self.checker.client_learns(id, ticket, &outcome);
        let results: Vec<Blob> = match outcome {
            Outcome::Done(done) => self.learn_done(index, done),
            Outcome::Receipted { done, receipts } => {
                let what = if receipts.is_ok() { "receipts" } else { "no receipts" };
                self.coverage.count(what);
                self.learn_done(index, done)
            }
            Outcome::Read(answer) => {
                let how = match &answer.how {
                    HowRead::Quorum { .. } => "read by quorum",
                    HowRead::Ordered { .. } => "read ordered",
                    HowRead::Proved(proved) if proved.seq() < pending.least => {
                        let what = format!("c{index} {ticket:?} was too old: {answer:?}");
                        return self.checker.client_fooled(what);
                    }
                    HowRead::Proved(_) => return self.coverage.count("read proved"),
                };
                self.coverage.count(how);
                vec![answer.result]
            }
            Outcome::Unread(Unread::NoProof | Unread::TimedOut | Unread::TooOld { .. })
                if pending.steps.is_empty() =>
            {
                return self.coverage.count("read not proved");
            }
            // Requests of an earlier life came after this one had learned its numbers, or it
            // gave up so much that it has to learn them again.
            Outcome::Unknown { declined: Some(_) }
            | Outcome::Unread(Unread::Declined(_))
            | Outcome::NotSent
                if self.clients[index].is_irregular =>
            {
                self.coverage.count("session begun anew");
                let client = &mut self.clients[index];
                client.collides_since.get_or_insert(client.began);
                return self.forget(pending);
            }
            Outcome::Unknown { .. }
            | Outcome::NotSent
            | Outcome::Unread(Unread::TimedOut | Unread::Declined(_))
                if self.now >= pending.asked.plus(self.plan.timeout) =>
            {
                return self.gives_up(index, ticket, pending);
            }
            Outcome::Superseded { .. } | Outcome::Refused { .. } | Outcome::Unread(_)
                if self.clients[index].collides_since.is_some() =>
            {
                self.coverage.count("request superseded");
                return self.forget(pending);
            }
            other => {
                let what = format!("c{index} {ticket:?} got {other:?}");
                return self.checker.client_fooled(what);
            }
        };
        if pending.steps.is_empty() {
            return self.coverage.count("read of a range");
        }
        if results.len() != pending.steps.len() {
            let what = format!("c{index} {ticket:?} got {} results", results.len());
            return self.checker.client_fooled(what);
        }
        if results.len() > 1 {
            self.coverage.count("bundle of several operations");
        }
        for ((key, action), result) in pending.steps.into_iter().zip(results) {
            let action = match seen(action, KvResult::from_bytes(&result).ok()) {
                Ok(action) => action,
                Err(what) => return self.checker.client_fooled(format!("c{index} {what}")),
            };
            self.tell(|| format!("c{index} learns {action:?} of {key:?}"));
            let event = Event { action, asked: pending.asked, answered: Some(self.now) };
            self.checker.histories.entry(key).or_default().push(event);
        }
    }

    fn learn_done(&mut self, index: usize, done: Vec<Done>) -> Vec<Blob> {
        let client = &mut self.clients[index];
        for one in &done {
            client.learned = client.learned.max(one.seq);
        }
        done.into_iter().map(|done| done.result).collect()
    }

    /// Its time is over: the client goes on to something else, and has that to ask for still.
    fn gives_up(&mut self, index: usize, ticket: Ticket, pending: Pending) {
        self.coverage.count("ticket timed out");
        let now = self.now;
        let client = &mut self.clients[index];
        client.session.abandon(now, ticket);
        client.is_irregular = true;
        if !pending.is_extra {
            client.left += 1;
        }
        self.forget(pending);
        if !self.clients[index].is_served() {
            self.plan_after(Span(1), Happening::ClientAsks { client: index });
        }
    }

    /// What a client no longer waits for may have happened at any time, or never.
    fn forget_pending(&mut self, index: usize, ticket: Ticket) {
        if let Some(pending) = self.clients[index].pending.remove(&ticket) {
            self.forget(pending);
        }
    }

    fn forget(&mut self, pending: Pending) {
        for (key, action) in pending.steps {
            if action != Action::Get(None) {
                let event = Event { action, asked: pending.asked, answered: None };
                self.checker.histories.entry(key).or_default().push(event);
            }
        }
    }

    pub(super) fn forget_all_pending(&mut self, index: usize) {
        let tickets: Vec<Ticket> = self.clients[index].pending.keys().copied().collect();
        tickets.into_iter().for_each(|ticket| self.forget_pending(index, ticket));
    }

    /// A client's process ends, and is started again.
    pub(super) fn client_restarts(&mut self, id: ClientId, keeps_count: bool) {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        if index >= self.clients.len() {
            return;
        }
        let id = self.client_id(index);
        self.forget_all_pending(index);
        let now = self.now;
        let client = &mut self.clients[index];
        let mut random = client.random.fork();
        let start = match keeps_count {
            true => client.session.to_continue(),
            false => Start::Lost,
        };
        if start == Start::Lost {
            if !client.is_known && client.session.is_ready() {
                client.collides_since.get_or_insert(client.began);
            }
            client.began = now;
            client.is_irregular = true;
        }
        client.is_known &= start != Start::Lost;
        self.clients[index].session = self.session(id, start, &mut random);
        self.after_client(index);
    }

    /// A client gives up on everything it has submitted.
    pub(super) fn client_abandons(&mut self, id: ClientId) {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        let now = self.now;
        let Some(client) = self.clients.get_mut(index) else { return };
        let tickets: Vec<Ticket> = client.pending.keys().copied().collect();
        for ticket in tickets {
            if self.clients[index].session.abandon(now, ticket) {
                self.coverage.count("ticket abandoned");
                self.clients[index].is_irregular = true;
                self.forget_pending(index, ticket);
            }
        }
        self.after_client(index);
    }
}

/// What was done, now that it is known what came of it.
fn seen(action: Action, result: Option<KvResult>) -> Result<Action, String> {
    match (action, result) {
        (Action::Get(_), Some(KvResult::Got { found })) => {
            Ok(Action::Get(Some(found.map(|found| found.value))))
        }
        (Action::CompareAndSet(expected, value, _), Some(KvResult::Set { .. })) => {
            Ok(Action::CompareAndSet(expected, value, Some(true)))
        }
        (Action::CompareAndSet(expected, value, _), Some(KvResult::Mismatch { .. })) => {
            Ok(Action::CompareAndSet(expected, value, Some(false)))
        }
        (put @ Action::Put(_), Some(KvResult::Put { .. })) => Ok(put),
        (Action::Delete, Some(KvResult::Deleted { .. })) => Ok(Action::Delete),
        (action, result) => Err(format!("asked {action:?} and was told {result:?}")),
    }
}
