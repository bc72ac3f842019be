//! Whether what replicas tell and clients believe is the agreed history.

use super::ledger::Saying;
use super::replay::Account;
use super::{Checker, Invariant, ledger};
use crate::client::receipt::Receipt as Receipted;
use crate::client::{Answer, Done, Fate, HowRead, Outcome, Ticket};
use crate::message::{CheckedClient, Receipt, ReplyOutcome, ToClient};
use crate::replica::Replica;
use crate::service::kv::KvOperation;
use crate::sim::history::{self as clients, Judgement};
use crate::types::{ClientId, Digest, Nonce, ReplicaId, RequestNumber};
use crate::wire::Blob;
use std::collections::BTreeSet;

/// A question about the state as it is: whose, and which.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Question {
    Read(ClientId, RequestNumber),
    Session(ClientId, Nonce),
}

impl Question {
    fn asked(client: ClientId, message: &CheckedClient) -> Option<Question> {
        match message {
            CheckedClient::Read(number, _) => Some(Question::Read(client, *number)),
            CheckedClient::Session(nonce) => Some(Question::Session(client, *nonce)),
            _ => None,
        }
    }

    pub(super) fn answered(client: ClientId, message: &ToClient) -> Option<Question> {
        match message {
            ToClient::ReadAnswer { number, .. } => Some(Question::Read(client, *number)),
            ToClient::Session { nonce, .. } => Some(Question::Session(client, *nonce)),
            _ => None,
        }
    }
}

/// A list of everything.
fn everything() -> KvOperation {
    KvOperation::List { from: Default::default(), until: None, limit: 1_000 }
}

impl Checker {
    /// A replica that executed up to a number stands where the model stands there.
    pub(super) fn compare(&mut self, id: ReplicaId, seq: u64, account: &Account) {
        let Some(expected) = self.replay.account(seq).cloned() else { return };
        if account.time != expected.time {
            let what = format!("{id:?} agreed on {:?} at s{seq}, not {:?}", account.time, expected);
            self.fail(Invariant::Time, what);
        }
        if account.chain != expected.chain || account.sessions != expected.sessions {
            let what = format!("{id:?} has {account:?} at s{seq}; the history says {expected:?}");
            self.fail(Invariant::Validity, what);
        }
        let latest = self.latest_clock.0.saturating_add(self.cluster.tolerance);
        if account.time.0 > latest {
            let what =
                format!("{:?} was agreed on at s{seq}; no clock is past {latest}", account.time);
            self.fail(Invariant::Time, what);
        }
        let before = seq.checked_sub(1).and_then(|before| self.replay.account(before));
        if before.is_some_and(|before| before.time > account.time) {
            self.fail(Invariant::Time, format!("the agreed time goes back at s{seq}"));
        }
    }

    /// The whole content is what the model has.
    pub(super) fn compare_content(&mut self, id: ReplicaId, replica: &Replica) {
        let seq = replica.executed().0;
        if self.replay.account(seq).is_none() {
            return;
        }
        let operation = everything().to_bytes();
        let content = replica.state().query(ClientId(0), &operation).result;
        self.has_content(id, seq, &content);
    }

    pub(super) fn has_content(&mut self, id: ReplicaId, seq: u64, content: &[u8]) {
        let expected = self.replay.query(&everything().to_bytes(), seq);
        if *content != *expected {
            let what = format!("{id:?} has another content at s{seq} than the history gives");
            self.fail(Invariant::Validity, what);
        }
    }

    /// What an honest replica that executed up to a number tells a client.
    pub(super) fn answers(
        &mut self,
        id: ReplicaId,
        executed: u64,
        client: ClientId,
        message: &ToClient,
    ) {
        let is_true = match message {
            ToClient::Reply(reply) => {
                let (number, seq) = (reply.number.0, reply.seq.0);
                match &reply.outcome {
                    ReplyOutcome::Executed(result) => {
                        self.replay.answer(client, number).is_none_or(|answer| {
                            (answer.operation, answer.seq) == (reply.operation, seq)
                                && answer.result == *result
                        }) && (self.replay.answer(client, number).is_some()
                            || self.replay.executed() < seq)
                    }
                    ReplyOutcome::Refused(_) => {
                        self.replay.executed() < seq || self.replay.was_refused(client, number, seq)
                    }
                }
            }
            ToClient::ReadAnswer { operation, result, changed, .. } => {
                let operation = self.queries.get(operation);
                operation.is_none_or(|operation| {
                    self.replay.executed() < executed
                        || self.replay.query(operation, executed) == *result
                            && (self.replay.last_change(operation, executed)..=executed)
                                .contains(&changed.0)
                })
            }
            ToClient::Session { acknowledged, highest, .. } => {
                let index = usize::try_from(client.0).unwrap_or(usize::MAX);
                let account = self.replay.account(executed);
                let session = account.and_then(|account| account.sessions.get(index));
                session.is_none_or(|session| *session == (acknowledged.0, highest.0))
            }
            ToClient::Proved { .. } | ToClient::NotReady(_) | ToClient::Refused(..) => true,
            ToClient::Receipt(receipt) => {
                let Receipt { client: whose, number, seq, operation, result, by } = receipt.body;
                self.receipts.insert((by.replica, whose, number.0, seq.0, operation, result));
                let answer = self.replay.answer(whose, number.0);
                by.replica == id
                    && whose == client
                    && answer.is_some_and(|answer| {
                        (answer.operation, answer.seq) == (operation, seq.0)
                            && Digest::of(&answer.result) == result
                    })
            }
        };
        if !is_true {
            let what = format!("{id:?} at s{executed} tells {client:?} {message:?}");
            self.fail(Invariant::Clients, what);
        }
    }

    /// A read is answered by nobody who may not vote, and on no state older than one that
    /// the same replica answered for before: what it executed then, it told clients.
    pub(super) fn may_answer_reads(&mut self, id: ReplicaId, executed: u64, votes: bool) {
        let ever = self.ever_executed.get(&id).copied().unwrap_or_default();
        let is_behind = executed < ever && !self.is_forgetful(id);
        if !votes || is_behind {
            let what =
                format!("{id:?} at s{executed} answers reads; votes={votes}, once at s{ever}");
            self.fail(Invariant::Clients, what);
        }
    }

    /// A question about the state as it is reaches a replica. From here on its answer must hold
    /// what is decided by this replica's own word: others may have told clients of that.
    pub fn is_asked(&mut self, id: ReplicaId, client: ClientId, message: &CheckedClient) {
        let Some(question) = Question::asked(client, message) else { return };
        if !self.honest.contains(&id) || self.is_forgetful(id) {
            return;
        }
        let is_decided = |saying: &Saying| {
            let signers = self.ledger.left(saying);
            signers.union(&self.faulty).count() >= self.cluster.quorum()
        };
        let executed = self.executed.get(&id).copied().unwrap_or_default().0;
        let decided = self.ledger.committed_above(id, executed).filter(is_decided);
        let owed = decided.map(|(_, _, seq, _)| seq).max().unwrap_or_default();
        self.owed.entry((id, question)).or_default().push(owed);
    }

    /// A question is answered. What arrived more than once may be answered more than once, and
    /// nobody sees which is which.
    pub(super) fn has_what_it_owed(&mut self, id: ReplicaId, executed: u64, question: Question) {
        let of_each = self.owed.entry((id, question)).or_default();
        let least = (0..of_each.len()).min_by_key(|index| of_each[*index]);
        let owed = least.map_or(0, |index| of_each.swap_remove(index));
        if executed < owed && !self.is_forgetful(id) {
            let what = format!(
                "{id:?} at s{executed} answers {question:?}; it had committed to s{owed} with others"
            );
            self.fail(Invariant::Clients, what);
        }
    }

    /// What a client believes is what happened.
    pub fn client_learns(&mut self, client: ClientId, ticket: Ticket, outcome: &Outcome) {
        let (operations, known) = self.tickets.get(&(client, ticket)).cloned().unwrap_or_default();
        match (ticket, outcome) {
            (Ticket::Submitted(first, _), Outcome::Done(done)) => {
                self.are_executed(client, first.0, &operations, done);
            }
            (Ticket::Submitted(first, _), Outcome::Receipted { done, receipts }) => {
                self.are_executed(client, first.0, &operations, done);
                for ((number, done), receipt) in
                    (first.0..).zip(done).zip(receipts.iter().flatten())
                {
                    self.is_proved(client, number, done, receipt);
                }
            }
            (Ticket::Submitted(first, _), Outcome::Superseded { fates, .. }) => {
                for ((number, operation), fate) in (first.0..).zip(&operations).zip(fates) {
                    match fate {
                        Fate::Done(done) => {
                            self.is_executed(client, number, Digest::of(operation), done);
                        }
                        Fate::Superseded { executed, done } => {
                            self.is_executed(client, number, *executed, done);
                        }
                        Fate::Refused(_) => {}
                    }
                }
            }
            (Ticket::Read(_) | Ticket::Proof(_), Outcome::Read(answer)) => {
                if let Some(operation) = operations.first() {
                    self.is_true_read(client, operation, known, answer);
                }
            }
            _ => {}
        }
    }

    /// What was read was so: where the answer says, or else at some place that nobody had
    /// learned of being passed when it was asked for.
    fn is_true_read(&mut self, client: ClientId, operation: &Blob, known: u64, answer: &Answer) {
        let is_true = match &answer.how {
            HowRead::Proved(proved) => {
                let seq = proved.seq().0;
                let claim = ledger::checkpoint_claim(&proved.certificate);
                self.stands(ReplicaId(u16::MAX), &claim, self.cluster.quorum());
                let account = self.replay.account(seq);
                account.is_none_or(|account| account.time == proved.time)
                    && self.replay.query(operation, seq) == answer.result
            }
            HowRead::Ordered { seq } => {
                seq.0 >= known
                    && self.replay.was_answered(client, Digest::of(operation), *seq, &answer.result)
            }
            HowRead::Quorum { .. } => (known..=self.replay.executed())
                .any(|seq| self.replay.query(operation, seq) == answer.result),
        };
        if !is_true {
            let what = format!("{client:?} believes {answer:?}, which was not so");
            self.fail(Invariant::Clients, what);
        }
    }

    /// A receipt says of an operation what came of it, and enough have signed that.
    fn is_proved(&mut self, client: ClientId, number: u64, done: &Done, receipt: &Receipted) {
        let certificate = &receipt.certificate;
        let result = Digest::of(&done.result);
        let (operation, seq) = (certificate.operation(), done.seq.0);
        let says_so = certificate.client() == client
            && certificate.number().0 == number
            && (certificate.seq().0, certificate.result()) == (seq, result)
            && receipt.result == done.result;
        let members: BTreeSet<ReplicaId> = certificate.voters().map(|by| by.replica).collect();
        let may_lie = |id: &ReplicaId| self.faulty.contains(id);
        let said =
            |id: &ReplicaId| self.receipts.contains(&(*id, client, number, seq, operation, result));
        let are_enough = members.len() >= self.cluster.quorum()
            && members.iter().all(|id| may_lie(id) || said(id));
        if !says_so || !are_enough {
            let what = format!("{client:?} takes {receipt:?} for a receipt of #{number}");
            self.fail(Invariant::Clients, what);
        }
    }

    /// This came of these operations, under numbers from `first` on.
    fn are_executed(&mut self, client: ClientId, first: u64, operations: &[Blob], done: &[Done]) {
        for ((number, operation), done) in (first..).zip(operations).zip(done) {
            self.learned = self.learned.max(done.seq.0);
            self.is_executed(client, number, Digest::of(operation), done);
        }
    }

    /// This came of an operation under this number of the client.
    fn is_executed(&mut self, client: ClientId, number: u64, operation: Digest, done: &Done) {
        let is_true = self.replay.answer(client, number).is_some_and(|answer| {
            (answer.operation, answer.seq) == (operation, done.seq.0)
                && answer.result == done.result
        });
        if !is_true {
            let what = format!("{client:?} believes {done:?} of #{number}");
            self.fail(Invariant::Clients, what);
        }
    }

    /// A client accepted something impossible.
    pub fn client_fooled(&mut self, what: String) {
        self.fail(Invariant::Clients, what);
    }

    /// The end: the whole content of a replica, and whether what the clients saw could
    /// have happened in one order.
    pub fn look_last(&mut self, id: ReplicaId, replica: &Replica) {
        if self.honest.contains(&id) {
            self.compare_content(id, replica);
        }
    }

    /// Whether what the clients saw could have happened in one order. Says of how many
    /// keys that was not found out.
    pub fn judge_histories(&mut self) -> u64 {
        let mut tangled = 0;
        let histories = std::mem::take(&mut self.histories);
        for (key, events) in &histories {
            match clients::judge(events) {
                Judgement::Linearizable => {}
                Judgement::Tangled => tangled += 1,
                Judgement::Impossible => {
                    let what = format!("the history of {key:?} is not linearizable: {events:?}");
                    self.fail(Invariant::Clients, what);
                }
            }
        }
        self.histories = histories;
        tangled
    }
}
