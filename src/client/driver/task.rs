//! The task that owns a session: it hands in what comes and the time, and carries out what
//! the session wants. What is believed, the session decides; here is only the world.

use super::callers::{Answer, Caller, Callers, tell_each};
use super::error::{Error, Missing};
use super::gathering::Gathering;
use super::numbers::Numbers;
use super::{Onlooker, micros};
use crate::client::Session;
use crate::client::outcome::{Freshness, Outcome, SubmitError, Ticket, ToReplica, Unread};
use crate::crypto::Ed25519;
use crate::message::{CheckedGenesis, ToClient};
use crate::net::{Alarm, Link, Reach, Received};
use crate::service::Refusal;
use crate::types::{Committee, Instant, Span};
use crate::wire::{self, Blob};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How often it is seen whether the replicas refuse this client, while it waits.
const LOOK: Span = Span::milliseconds(50);

/// The most frames handled before anything else gets its turn.
const MOST_AT_ONCE: usize = 256;

/// What somebody wants.
#[derive(Clone)]
pub(super) enum Wanted {
    Submit(Vec<Blob>),
    Receipts(Vec<Blob>),
    Read(Blob),
    Prove(Blob, Freshness),
}

/// What comes from the handles.
pub(super) enum Command {
    Ask { wanted: Wanted, deadline: Instant, answer: Answer },
    Close(oneshot::Sender<()>),
}

/// A request that the session has no room for yet.
struct Waiting {
    wanted: Wanted,
    deadline: Instant,
    answer: Answer,
}

/// See the module's head.
pub(super) struct Driver {
    session: Session<Ed25519>,
    numbers: Option<Numbers>,
    links: Vec<Arc<Link>>,
    committee: Committee,
    began: tokio::time::Instant,
    onlooker: Option<Onlooker>,
    waiting: VecDeque<Waiting>,
    gathering: Gathering,
    pending: BTreeMap<Ticket, Callers>,
    /// Those of them that gathered.
    bundles: BTreeSet<Ticket>,
    /// Those of which nothing has left yet.
    unsent: BTreeSet<Ticket>,
    look_due: Instant,
}

impl Driver {
    pub(super) fn new(
        session: Session<Ed25519>,
        numbers: Option<Numbers>,
        links: Vec<Arc<Link>>,
        genesis: &CheckedGenesis,
        began: tokio::time::Instant,
        onlooker: Option<Onlooker>,
    ) -> Driver {
        Driver {
            session,
            numbers,
            links,
            committee: genesis.committee(),
            began,
            onlooker,
            waiting: VecDeque::new(),
            gathering: Gathering::new(&genesis.parameters),
            pending: BTreeMap::new(),
            bundles: BTreeSet::new(),
            unsent: BTreeSet::new(),
            look_due: Instant(0),
        }
    }

    /// Runs until it is told to close, or nobody is left who could ask.
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut frames: mpsc::Receiver<Received>,
    ) {
        let mut closed = None;
        let mut taken = Vec::new();
        let mut alarm = Alarm::default();
        'until_closed: loop {
            self.carry_out();
            let due = self.deadline().and_then(|due| self.moment(due));
            tokio::select! {
                count = commands.recv_many(&mut taken, MOST_AT_ONCE), if self.takes_more() => {
                    for command in taken.drain(..) {
                        match command {
                            Command::Ask { wanted, deadline, answer } => {
                                self.take(wanted, deadline, answer);
                            }
                            Command::Close(done) => {
                                closed = Some(done);
                                break 'until_closed;
                            }
                        }
                    }
                    if count == 0 {
                        break;
                    }
                }
                Some(frame) = frames.recv() => {
                    self.on_frame(frame);
                    for _ in 1..MOST_AT_ONCE {
                        let Ok(frame) = frames.try_recv() else { break };
                        self.on_frame(frame);
                    }
                }
                () = alarm.until(due) => {
                    let now = self.now();
                    self.session.on_tick(now);
                    if self.look_due <= now && !self.was_heard() {
                        self.look(now);
                    }
                }
            }
        }
        self.settle();
        if let Some(done) = closed {
            // Whoever closed it need not wait for the end.
            let _ = done.send(());
        }
    }

    fn now(&self) -> Instant {
        Instant(micros(self.began.elapsed()))
    }

    fn moment(&self, due: Instant) -> Option<tokio::time::Instant> {
        self.began.checked_add(Duration::from_micros(due.0))
    }

    fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().map(|one| one.deadline).min();
        let gathering = self.gathering.due(self.bundles.len());
        let is_idle = waiting.is_none() && gathering.is_none() && self.pending.is_empty();
        let look = (!is_idle && !self.was_heard()).then_some(self.look_due);
        [self.session.next_deadline(), waiting, gathering, look].into_iter().flatten().min()
    }

    /// Whether there is room for what else somebody wants.
    fn takes_more(&self) -> bool {
        self.waiting.is_empty() && self.gathering.has_room()
    }

    fn take(&mut self, wanted: Wanted, deadline: Instant, answer: Answer) {
        match wanted {
            Wanted::Submit(operations) => {
                self.gathering.push(self.now(), operations, deadline, answer);
            }
            wanted => self.waiting.push_back(Waiting { wanted, deadline, answer }),
        }
    }

    fn on_frame(&mut self, Received { from, frame, .. }: Received) {
        let Ok(message) = wire::decode::<ToClient>(&frame, wire::MOST_BYTES) else {
            tracing::debug!(%from, "sent what is no answer");
            return;
        };
        if let Some(onlooker) = &self.onlooker {
            onlooker(from, &message);
        }
        let now = self.now();
        if let Err(reject) = self.session.on_message(now, from, message) {
            tracing::trace!(%from, ?reject, "not taken");
        }
    }

    /// Hands over what waits, sends what is to be sent, and tells what came of it.
    fn carry_out(&mut self) {
        self.hand_over();
        // What has ended makes room for what has gathered.
        loop {
            let outcomes = self.session.take_outcomes();
            if outcomes.is_empty() {
                break;
            }
            outcomes.into_iter().for_each(|(ticket, outcome)| self.tell(ticket, outcome));
            self.hand_over();
        }
        if let Err(error) = self.reserve() {
            self.refuse_unsent(&error);
            return;
        }
        self.unsent.clear();
        for (to, message) in self.session.take_outgoing() {
            let frame = Bytes::from(wire::encode(&message));
            match to {
                ToReplica::All => {
                    self.links.iter().for_each(|link| link.outbox().push(frame.clone()));
                }
                ToReplica::One(id) => {
                    if let Some(link) = self.links.get(usize::from(id.0)) {
                        link.outbox().push(frame);
                    }
                }
            }
        }
    }

    fn hand_over(&mut self) {
        let now = self.now();
        while let Some(Waiting { wanted, deadline, answer }) = self.waiting.pop_front() {
            if deadline <= now {
                let missing = self.missing();
                let _ = answer.send(Err(match wanted {
                    Wanted::Submit(_) | Wanted::Receipts(_) => Error::NotSent { missing },
                    Wanted::Read(_) | Wanted::Prove(..) => Error::NoQuorum { missing },
                }));
                continue;
            }
            let asked = match wanted.clone() {
                Wanted::Submit(operations) => self.session.submit(now, operations),
                Wanted::Receipts(operations) => self.session.submit_with_receipts(now, operations),
                Wanted::Read(operation) => self.session.read(now, operation),
                Wanted::Prove(operation, freshness) => {
                    self.session.prove(now, operation, freshness)
                }
            };
            if asked.is_err_and(is_for_now) {
                self.waiting.push_front(Waiting { wanted, deadline, answer });
                break;
            }
            self.note_asked(asked, vec![Caller { answer, operations: 1, deadline }]);
        }
        self.submit_what_has_gathered(now);
    }

    fn submit_what_has_gathered(&mut self, now: Instant) {
        while let Some(answer) = self.gathering.take_late(now) {
            let _ = answer.send(Err(Error::NotSent { missing: self.missing() }));
        }
        while let Some((operations, callers)) = self.gathering.take(now, self.bundles.len()) {
            let asked = self.session.submit(now, operations.clone());
            if asked.is_err_and(is_for_now) {
                self.gathering.put_back(now, operations, callers);
                return;
            }
            self.bundles.extend(asked);
            self.note_asked(asked, callers);
        }
    }

    /// It is under way, or nobody may ask for it.
    fn note_asked(&mut self, asked: Result<Ticket, SubmitError>, callers: Callers) {
        match asked {
            Ok(ticket) => {
                self.pending.insert(ticket, callers);
                self.unsent.insert(ticket);
            }
            Err(error) => {
                callers.into_iter().for_each(|one| one.tell(Err(Error::Illegal(error))));
            }
        }
    }

    /// Who waited for what has ended.
    fn take_callers(&mut self, ticket: Ticket) -> Option<Callers> {
        self.bundles.remove(&ticket);
        self.pending.remove(&ticket)
    }

    fn tell(&mut self, ticket: Ticket, outcome: Outcome) {
        let told = match outcome {
            Outcome::Unknown { declined } => {
                let now = self.now();
                self.session.abandon(now, ticket);
                Err(self.unknown(declined))
            }
            Outcome::NotSent => Err(Error::NotSent { missing: self.missing() }),
            Outcome::Unread(Unread::TimedOut) => Err(Error::NoQuorum { missing: self.missing() }),
            Outcome::Unread(Unread::Declined(refusal)) => Err(declined_by_all(refusal)),
            other => Ok(other),
        };
        if let Some(callers) = self.take_callers(ticket) {
            tell_each(ticket, callers, told);
        }
    }

    /// Nobody knows what became of a request, unless nothing ever left.
    fn unknown(&mut self, declined: Option<Refusal>) -> Error {
        let missing = self.missing();
        if self.is_unheard() {
            return Error::NotSent { missing };
        }
        Error::Unknown { declined, missing }
    }

    /// Whether no replica was ever reached. If so, what waits to be sent is thrown away, so
    /// that it is still true when the next connection comes.
    fn is_unheard(&self) -> bool {
        if !self.was_heard() {
            self.links.iter().for_each(|link| link.outbox().clear());
        }
        !self.was_heard()
    }

    /// Whether any replica was ever reached.
    fn was_heard(&self) -> bool {
        self.links.iter().any(|link| link.was_connected())
    }

    /// Whoever is refused by so many that no quorum is left need not wait.
    fn look(&mut self, now: Instant) {
        self.look_due = now.plus(LOOK);
        let reasons: Vec<Arc<str>> = self
            .links
            .iter()
            .filter_map(|link| match link.reach() {
                Reach::Refused(why) => Some(why),
                Reach::Dialing | Reach::Connected | Reach::Unreached(_) => None,
            })
            .collect();
        let left = self.committee.size() - reasons.len();
        if left < self.committee.quorum()
            && self.is_unheard()
            && let Some(why) = reasons.first()
        {
            self.refuse_all(&Error::NotAuthorised(why.to_string()));
        }
    }

    /// Nothing that is under way is sent or answered any more.
    fn refuse_all(&mut self, error: &Error) {
        self.unsent = self.pending.keys().copied().collect();
        self.refuse_unsent(error);
    }

    /// What was not sent yet never is. What was sent before goes on.
    fn refuse_unsent(&mut self, error: &Error) {
        let now = self.now();
        for ticket in std::mem::take(&mut self.unsent) {
            self.session.abandon(now, ticket);
            if let Some(callers) = self.take_callers(ticket) {
                tell_each(ticket, callers, Err(error.clone()));
            }
        }
        let waiting = std::mem::take(&mut self.waiting).into_iter().map(|one| one.answer);
        for answer in waiting.chain(self.gathering.give_up()) {
            let _ = answer.send(Err(error.clone()));
        }
        // What belongs to others among this is asked again in its time.
        drop(self.session.take_outgoing());
    }

    fn missing(&self) -> Missing {
        let missing = self.links.iter().filter_map(|link| {
            let why = match link.reach() {
                Reach::Connected => return None,
                Reach::Dialing => "no answer yet".to_owned(),
                Reach::Unreached(why) | Reach::Refused(why) => why.to_string(),
            };
            Some((link.to(), why))
        });
        Missing(missing.collect())
    }

    fn reserve(&mut self) -> Result<(), Error> {
        let Some(numbers) = self.numbers.as_mut().filter(|_| self.session.is_ready()) else {
            return Ok(());
        };
        let reserved = numbers.reserve(self.session.to_continue());
        reserved.map_err(|error| Error::Count(error.to_string()))
    }

    /// Writes the count down at the end.
    fn settle(&mut self) {
        let (is_ready, is_passed) = (self.session.is_ready(), self.session.is_passed());
        let Some(numbers) = self.numbers.as_mut().filter(|_| is_ready || is_passed) else { return };
        let settled = match is_ready {
            true => numbers.settle(self.session.to_continue()),
            false => numbers.forget(),
        };
        if let Err(error) = settled {
            tracing::warn!(%error, "the next session will skip some numbers");
        }
    }
}

/// Whether waiting helps.
fn is_for_now(error: SubmitError) -> bool {
    match error {
        SubmitError::QueueFull { .. }
        | SubmitError::QueueTooLarge { .. }
        | SubmitError::TooManyReads(_)
        | SubmitError::OutcomesNotTaken(_)
        | SubmitError::Resuming => true,
        SubmitError::Empty
        | SubmitError::TooManyOperations { .. }
        | SubmitError::TooManyBytes { .. }
        | SubmitError::NoSuchProof
        | SubmitError::NumbersEnd => false,
    }
}

fn declined_by_all(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Unlisted => Error::NotAuthorised(refusal.to_string()),
        other => Error::Refused(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Settings, Setup, Start};
    use crate::crypto::{ClusterId, SecretKey};
    use crate::message::{Genesis, Parameters, Reply, ReplyOutcome};
    use crate::service::kv::KeyValue;
    use crate::types::{ClientId, Digest, Nonce, ReplicaId, RequestNumber, Seq, View};

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_seed(&[seed; 32])
    }

    fn genesis() -> Arc<CheckedGenesis> {
        let genesis = Genesis {
            name: b"story".to_vec().into(),
            replicas: (0..4).map(|one| key(one).public()).collect(),
            clients: [key(9).public()].into_iter().collect(),
            parameters: Parameters::default(),
        };
        genesis.checked().expect("a good genesis")
    }

    fn session(genesis: &Arc<CheckedGenesis>) -> Session<Ed25519> {
        let setup = Setup {
            client: ClientId(0),
            signer: Box::new(key(9)),
            genesis: Arc::clone(genesis),
            service: Arc::new(KeyValue),
            scheme: Ed25519,
        };
        Session::new(Instant(0), setup, Settings::default(), Start::New, Nonce(7))
    }

    fn driver(numbers: Option<Numbers>) -> Driver {
        let committee = Committee::new(4).expect("enough");
        let links: Vec<Arc<Link>> =
            committee.replicas().map(|replica| Arc::new(Link::new(replica))).collect();
        links.iter().for_each(|link| link.connected());
        let genesis = genesis();
        let began = tokio::time::Instant::now();
        Driver::new(session(&genesis), numbers, links, &genesis, began, None)
    }

    type Answered = oneshot::Receiver<Result<Outcome, Error>>;

    /// As if asked for so late that nothing goes since it has gathered for long.
    const LATER: Instant = Instant(u64::MAX / 2);

    fn ask(driver: &mut Driver, wanted: fn(Vec<Blob>) -> Wanted) -> Answered {
        let (answer, answered) = oneshot::channel();
        match wanted(vec![Blob::from("x")]) {
            Wanted::Submit(operations) => {
                driver.gathering.push(LATER, operations, Instant(u64::MAX), answer);
            }
            wanted => driver.take(wanted, Instant(u64::MAX), answer),
        }
        driver.carry_out();
        answered
    }

    /// Enough tell what came of a number.
    fn hear(driver: &mut Driver, number: u64) {
        for replica in (0..2).map(ReplicaId) {
            let reply = Reply {
                client: ClientId(0),
                number: RequestNumber(number),
                view: View(0),
                seq: Seq(number),
                operation: Digest::of(b"x"),
                outcome: ReplyOutcome::Executed(Blob::from("fine")),
            };
            let heard = driver.session.on_message(driver.now(), replica, ToClient::Reply(reply));
            heard.expect("it was asked for");
        }
        driver.carry_out();
    }

    fn sent_to_primary(driver: &Driver) -> usize {
        driver.links[0].outbox().depth().0
    }

    /// Nobody else need ask, and no other answer come.
    #[tokio::test]
    async fn what_gathers_beside_a_bundle_goes_as_soon_as_that_has_ended() {
        let mut driver = driver(None);
        let mut first = ask(&mut driver, Wanted::Submit);
        let mut others = [ask(&mut driver, Wanted::Submit), ask(&mut driver, Wanted::Submit)];
        assert_eq!(sent_to_primary(&driver), 1, "they gather");
        hear(&mut driver, 1);
        assert!(matches!(first.try_recv(), Ok(Ok(Outcome::Done(_)))));
        assert_eq!(sent_to_primary(&driver), 2, "and go together");
        hear(&mut driver, 2);
        hear(&mut driver, 3);
        others.iter_mut().for_each(|other| {
            assert!(matches!(other.try_recv(), Ok(Ok(Outcome::Done(_)))));
        });
        assert_eq!(driver.deadline(), None);
    }

    /// What is to be proved is sent by itself, however much of it is under way.
    #[tokio::test]
    async fn what_is_to_have_receipts_holds_nothing_up() {
        let mut driver = driver(None);
        for _ in 0..8 {
            drop(ask(&mut driver, Wanted::Receipts));
        }
        assert_eq!(sent_to_primary(&driver), 8);
        drop(ask(&mut driver, Wanted::Submit));
        assert_eq!(sent_to_primary(&driver), 9);
    }

    /// K9: that a later number cannot be written down says nothing of what was sent before.
    #[tokio::test]
    async fn a_lost_count_fails_what_was_not_sent_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("session");
        let cluster = ClusterId(crate::types::Digest([7; 32]));
        let opened = Numbers::open(&path, cluster, ClientId(0), Duration::ZERO);
        let (numbers, _) = opened.expect("nobody else has it");
        let mut driver = driver(Some(numbers));

        let mut sent = ask(&mut driver, Wanted::Submit);
        assert_eq!(sent_to_primary(&driver), 1);
        driver.numbers.as_mut().expect("it has them").lose_disk();
        let mut unsent = ask(&mut driver, Wanted::Receipts);
        assert!(matches!(unsent.try_recv(), Ok(Err(Error::Count(_)))));
        assert!(sent.try_recv().is_err(), "it is under way still");
        assert_eq!(sent_to_primary(&driver), 1, "and nothing else is");
    }
}
