//! The session: one client's dealings with the cluster. See the module's head.

use super::outcome::{Freshness, Outcome, SubmitError, Ticket, ToReplica, Unread};
use super::proved;
use super::reads::{MOST_READS, Reads};
use super::receipts::Receipts;
use super::requests::{Author, Numbers, Requests, Rules};
use super::resume::{Learned, Resume};
use super::views::Views;
use crate::crypto::{Scheme, Signer};
use crate::message::{CheckedGenesis, ClientMessage, Receipt, Reject, Signed, ToClient, Verifier};
use crate::service::Service;
use crate::types::{ClientId, Committee, Instant, Nonce, ReplicaId, RequestNumber, Span};
use crate::wire::Blob;
use std::sync::Arc;

/// The most outcomes that lie untaken before nothing more may be asked for.
pub const MOST_OUTCOMES: usize = 8_192;

/// The most messages that lie unsent. Past it they are dropped as a network would drop
/// them, and asked again later.
pub const MOST_OUTGOING: usize = 8_192;

/// A client's own settings. Nothing here matters for safety.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How long the primary alone has time for a request, before all are asked.
    pub retry: Span,
    /// The longest time between asking and asking again; reached by doubling.
    pub most_retry: Span,
    /// How long those who have not replied have for it at least, after the first has; but as
    /// long as that took, or outcomes usually take, if it took longer. Then they are asked.
    /// Replicas that can be spared reply only then.
    pub reply_patience: Span,
    /// How long the caller waits, before an outcome is unknown.
    pub timeout: Span,
    /// How long a quorum read may take from its first answer on, before it is ordered.
    pub read_patience: Span,
    /// How long one replica has time for a proof, before the next is asked.
    pub proof_patience: Span,
}

impl Settings {
    /// How long a quorum read waits for its first answer, before it is ordered: longer than
    /// from then on, for connections may still be on their way.
    pub(super) fn first_answer_patience(&self) -> Span {
        self.read_patience.times(10).min(Span(self.timeout.0 / 2))
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            retry: Span::milliseconds(500),
            most_retry: Span::seconds(5),
            reply_patience: Span::milliseconds(20),
            timeout: Span::seconds(30),
            read_patience: Span::milliseconds(300),
            proof_patience: Span::milliseconds(500),
        }
    }
}

/// Where the numbers of a session begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// The client's first session ever.
    New,
    /// The client kept count. What it asked for before and had no answer to is taken as
    /// abandoned.
    Continue {
        /// The highest number it gave to an operation, answered or not.
        used: RequestNumber,
        /// The highest number of which it knows that it was executed.
        executed: RequestNumber,
    },
    /// The client lost count: the session asks the replicas first (see
    /// [`super::resume`]).
    Lost,
}

/// Who the session is for, and whom it deals with.
pub struct Setup<S> {
    /// The client.
    pub client: ClientId,
    /// The client's key.
    pub signer: Box<dyn Signer>,
    /// The cluster.
    pub genesis: Arc<CheckedGenesis>,
    /// The service that the cluster replicates, to compute what proofs prove.
    pub service: Arc<dyn Service>,
    /// The rule by which certificates in proofs are judged.
    pub scheme: S,
}

/// What leaves the session.
#[derive(Default)]
pub(super) struct Out {
    outgoing: Vec<(ToReplica, ClientMessage)>,
    outcomes: Vec<(Ticket, Outcome)>,
}

impl Out {
    pub(super) fn send(&mut self, to: ToReplica, message: ClientMessage) {
        if self.outgoing.len() < MOST_OUTGOING {
            self.outgoing.push((to, message));
        }
    }

    pub(super) fn report(&mut self, ticket: Ticket, outcome: Outcome) {
        self.outcomes.push((ticket, outcome));
    }
}

/// The question for lost numbers, on its way.
struct Asking {
    answers: Resume,
    retry_at: Instant,
    pause: Span,
}

/// One client's session with the cluster.
pub struct Session<S> {
    client: ClientId,
    committee: Committee,
    window: u64,
    result_bytes: u64,
    settings: Settings,
    service: Arc<dyn Service>,
    verifier: Verifier<S>,
    nonce: Nonce,
    views: Views,
    requests: Requests,
    reads: Reads,
    receipts: Receipts,
    asking: Option<Asking>,
    /// No number up to here is to be used again, whatever the replicas say.
    least: Option<RequestNumber>,
    is_passed: bool,
    out: Out,
}

impl<S: Scheme> Session<S> {
    /// A session. The nonce is drawn anew for each: it tells answers to this session
    /// from those to an earlier one of the same client.
    pub fn new(
        now: Instant,
        setup: Setup<S>,
        settings: Settings,
        start: Start,
        nonce: Nonce,
    ) -> Session<S> {
        let Setup { client, signer, genesis, service, scheme } = setup;
        let committee = genesis.committee();
        let author = Author { client, cluster: genesis.cluster(), signer };
        let parameters = genesis.parameters;
        let rules = Rules { committee, parameters, settings };
        let mut session = Session {
            client,
            committee,
            window: parameters.client_window,
            result_bytes: parameters.result_bytes,
            settings,
            service,
            verifier: Verifier::new(genesis, scheme),
            nonce,
            views: Views::default(),
            requests: Requests::new(author, rules),
            reads: Reads::new(committee, settings, nonce),
            receipts: Receipts::new(client, committee, settings),
            asking: None,
            least: None,
            is_passed: false,
            out: Out::default(),
        };
        match start {
            Start::New => {}
            Start::Continue { used, executed } => {
                session.requests.go_on_from(Numbers { used: used.max(executed), executed });
            }
            Start::Lost => session.ask_for_numbers(now),
        }
        session
    }

    /// For a client that lost count and knows of a number that it used: where the state
    /// takes it, this session's own begin above it.
    pub fn begin_above(&mut self, used: RequestNumber) {
        self.least = Some(used);
    }

    /// Whether operations can be submitted: not before lost numbers are learned.
    pub fn is_ready(&self) -> bool {
        self.asking.is_none()
    }

    /// Whether another session with this key was found ahead: what this one knew of its
    /// numbers before is of no use to a later one.
    pub fn is_passed(&self) -> bool {
        self.is_passed
    }

    /// Where a later session of this client may [`Start::Continue`]. Whoever relies on
    /// it has it on disk before what was submitted is sent. A session that has not
    /// learned its numbers yet has none to go on from.
    pub fn to_continue(&self) -> Start {
        if !self.is_ready() {
            return Start::Lost;
        }
        let Numbers { used, executed } = self.requests.numbers();
        Start::Continue { used, executed }
    }

    /// Everything up to this number is answered or given up.
    pub fn acknowledged(&self) -> RequestNumber {
        self.requests.acknowledged()
    }

    /// The replica that is believed to be primary.
    pub fn primary(&self) -> ReplicaId {
        self.views.primary(self.committee)
    }

    /// Submits operations to be executed in order, under one signature.
    pub fn submit(&mut self, now: Instant, operations: Vec<Blob>) -> Result<Ticket, SubmitError> {
        let ticket = self.take(now, operations)?;
        self.pump(now);
        Ok(ticket)
    }

    /// The same, and asks for receipts of all of them once they are executed. If they
    /// are, the outcome is [`Outcome::Receipted`], at the latest when the caller's time
    /// is over.
    pub fn submit_with_receipts(
        &mut self,
        now: Instant,
        operations: Vec<Blob>,
    ) -> Result<Ticket, SubmitError> {
        let ticket = self.take(now, operations)?;
        self.requests.want_receipts(ticket);
        self.pump(now);
        Ok(ticket)
    }

    fn take(&mut self, now: Instant, operations: Vec<Blob>) -> Result<Ticket, SubmitError> {
        self.requests.require_legal(&operations)?;
        self.require_taken()?;
        if !self.is_ready() {
            return Err(SubmitError::Resuming);
        }
        self.requests.require_room(&operations)?;
        let deadline = now.plus(self.settings.timeout);
        self.requests.take(operations, None, deadline)
    }

    /// Reads by quorum, and by order if that fails. The caller answers for it that the
    /// operation only reads.
    pub fn read(&mut self, now: Instant, operation: Blob) -> Result<Ticket, SubmitError> {
        self.require_readable(&operation)?;
        Ok(self.reads.read(now, operation, &mut self.out))
    }

    /// Reads from one replica, with a proof no older than this.
    pub fn prove(
        &mut self,
        now: Instant,
        operation: Blob,
        freshness: Freshness,
    ) -> Result<Ticket, SubmitError> {
        self.require_readable(&operation)?;
        if self.service.proof_range(&operation).is_none() {
            return Err(SubmitError::NoSuchProof);
        }
        Ok(self.reads.prove(now, operation, freshness, &mut self.out))
    }

    /// Gives up on a bundle: no outcome of it is reported any more, and its numbers are
    /// acknowledged. With the next request that is executed it is certain that the
    /// bundle was executed before, or never will be. False if it is not open.
    ///
    /// The state takes no numbers that are more than two windows above what it executed
    /// last. Where so much is abandoned while nothing is executed, the session asks for
    /// other numbers, and what else is open has an unknown outcome.
    pub fn abandon(&mut self, now: Instant, ticket: Ticket) -> bool {
        let is_open = match ticket {
            Ticket::Submitted(first, _) => {
                self.requests.abandon(first) || self.receipts.abandon(first)
            }
            Ticket::Read(_) | Ticket::Proof(_) => false,
        };
        self.pump(now);
        is_open
    }

    /// Takes what a replica sent. What is rejected has no effect but the count of it.
    pub fn on_message(
        &mut self,
        now: Instant,
        from: ReplicaId,
        message: ToClient,
    ) -> Result<(), Reject> {
        if !self.committee.has(from) {
            return Err(Reject::UnknownAuthor);
        }
        let verdict = match message {
            ToClient::Reply(reply) => {
                if reply.client == self.client {
                    self.views.tell(from, reply.view);
                }
                self.requests.on_reply(now, from, reply, &mut self.out)
            }
            ToClient::Refused(number, refusal) => {
                self.requests.on_hint(from, number, refusal, &mut self.out)
            }
            ToClient::ReadAnswer { result, .. } if result.len() as u64 > self.result_bytes => {
                Err(Reject::TooLarge)
            }
            ToClient::ReadAnswer { number, operation, result, changed } => {
                let told = (result, changed);
                self.reads.on_answer(now, from, number, operation, told, &mut self.out)
            }
            ToClient::NotReady(number) => self.on_not_ready(now, from, number),
            ToClient::Receipt(receipt) => self.on_receipt(from, receipt),
            ToClient::Proved { number, certificate, proof, time } => {
                self.on_proved(now, from, number, (certificate, proof, time))
            }
            ToClient::Session { nonce, acknowledged, highest, view } => {
                self.views.tell(from, view);
                self.on_session(from, nonce, highest, acknowledged)
            }
        };
        if self.requests.are_over() {
            self.begin_anew(now);
        }
        self.pump(now);
        verdict
    }

    /// Nothing comes of this session's numbers any more: it asks for others as if it had lost
    /// them, and what it waited for is unknown.
    fn begin_anew(&mut self, now: Instant) {
        self.is_passed |= self.requests.are_passed();
        self.requests.begin_anew(&mut self.out);
        self.nonce = Nonce(self.nonce.0.wrapping_add(1));
        self.ask_for_numbers(now);
    }

    /// Does what it is time for.
    pub fn on_tick(&mut self, now: Instant) {
        self.requests.on_tick(now, &mut self.out);
        self.reads.on_tick(now, &mut self.out);
        self.receipts.on_tick(now, &mut self.out);
        if let Some(asking) = self.asking.as_mut().filter(|asking| asking.retry_at <= now) {
            asking.pause = asking.pause.times(2).min(self.settings.most_retry);
            asking.retry_at = now.plus(asking.pause);
            self.out.send(ToReplica::All, ClientMessage::Session(self.nonce));
        }
        self.pump(now);
    }

    /// When [`Session::on_tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let asking = self.asking.as_ref().map(|asking| asking.retry_at);
        let own = [
            self.requests.next_deadline(),
            self.reads.next_deadline(),
            self.receipts.next_deadline(),
            asking,
        ];
        own.into_iter().flatten().min()
    }

    /// What is to be sent, in order.
    pub fn take_outgoing(&mut self) -> Vec<(ToReplica, ClientMessage)> {
        std::mem::take(&mut self.out.outgoing)
    }

    /// What is to be told to the caller, in order.
    pub fn take_outcomes(&mut self) -> Vec<(Ticket, Outcome)> {
        std::mem::take(&mut self.out.outcomes)
    }

    fn require_taken(&self) -> Result<(), SubmitError> {
        match self.out.outcomes.len() {
            untaken if untaken >= MOST_OUTCOMES => Err(SubmitError::OutcomesNotTaken(untaken)),
            _ => Ok(()),
        }
    }

    fn require_readable(&self, operation: &Blob) -> Result<(), SubmitError> {
        self.requests.require_legal(std::slice::from_ref(operation))?;
        self.require_taken()?;
        match self.reads.open() + self.requests.reads() {
            open if open >= MOST_READS => Err(SubmitError::TooManyReads(open)),
            _ => Ok(()),
        }
    }

    fn ask_for_numbers(&mut self, now: Instant) {
        let pause = self.settings.retry;
        let answers = Resume::default();
        self.asking = Some(Asking { answers, retry_at: now.plus(pause), pause });
        self.out.send(ToReplica::All, ClientMessage::Session(self.nonce));
    }

    fn on_session(
        &mut self,
        from: ReplicaId,
        nonce: Nonce,
        executed: RequestNumber,
        acknowledged: RequestNumber,
    ) -> Result<(), Reject> {
        if nonce != self.nonce {
            return Err(Reject::WrongNonce);
        }
        let asking = self.asking.as_mut().ok_or(Reject::Unrequested)?;
        asking.answers.tell(from, executed, acknowledged);
        if let Learned::Reached(executed) = asking.answers.learned(self.committee, self.window) {
            let used = self.free_above(executed);
            self.requests.go_on_from(Numbers { used, executed });
            self.asking = None;
        }
        Ok(())
    }

    /// The number after which this session's own begin, when so much was executed: above
    /// all that an earlier life used, as far as that is known and the state takes it.
    fn free_above(&self, executed: RequestNumber) -> RequestNumber {
        let acknowledged = executed.0.saturating_add(self.window);
        // A whole bundle must find room behind it, or nothing might ever be executed.
        let room = self.window.saturating_sub(self.requests.most_operations());
        let least = self.least.filter(|least| least.0 <= acknowledged.saturating_add(room));
        RequestNumber(acknowledged).max(least.unwrap_or_default())
    }

    fn on_proved(
        &mut self,
        now: Instant,
        from: ReplicaId,
        number: RequestNumber,
        shown: proved::Shown,
    ) -> Result<(), Reject> {
        self.reads.hear(from, number)?;
        let operation = self.reads.operation(number).expect("it was heard for it").clone();
        let checked = proved::prove(&self.verifier, &*self.service, self.client, &operation, shown);
        self.reads.on_checked(now, from, number, checked, &mut self.out)
    }

    /// A replica can't answer a read, or sign a receipt. For that it is asked again.
    fn on_not_ready(
        &mut self,
        now: Instant,
        from: ReplicaId,
        number: RequestNumber,
    ) -> Result<(), Reject> {
        match self.reads.on_not_ready(now, from, number, &mut self.out) {
            Err(Reject::Unrequested) if self.receipts.is_wanted(number) => {
                self.receipts.put_off(now, number);
                Ok(())
            }
            verdict => verdict,
        }
    }

    fn on_receipt(&mut self, from: ReplicaId, receipt: Signed<Receipt>) -> Result<(), Reject> {
        self.receipts.require_wanted(from, &receipt.body)?;
        let receipt = self.verifier.signed(receipt)?;
        self.receipts.take(receipt, &mut self.out);
        Ok(())
    }

    /// Asks for receipts, orders what must be, and sends what can be.
    fn pump(&mut self, now: Instant) {
        if !self.is_ready() {
            return;
        }
        for bundle in self.requests.take_executed() {
            self.receipts.ask(now, bundle, &mut self.out);
        }
        for first in self.receipts.take_closed() {
            self.requests.release(first);
        }
        for fallback in self.reads.take_fallbacks() {
            let ticket = fallback.ticket;
            let taken =
                self.requests.take(vec![fallback.operation], Some(ticket), fallback.deadline);
            if taken.is_err() {
                self.out.report(ticket, Outcome::Unread(Unread::NumbersEnd));
            }
        }
        self.requests.pump(now, self.views.primary(self.committee), &mut self.out);
    }
}
