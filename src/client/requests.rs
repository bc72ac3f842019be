//! Operations to be ordered: their numbers, who told what of each, and when to ask
//! again.

use super::alike::Alike;
use super::outcome::{
    Answer, Done, Fate, HowRead, NoReceipts, Outcome, SubmitError, Ticket, ToReplica, Unread,
};
use super::patience::Patience;
use super::receipts::Executed;
use super::session::{Out, Settings};
use crate::crypto::{ClusterId, Signer};
use crate::message::{ClientMessage, Parameters, Reject, Reply, ReplyOutcome, Request, Signed};
use crate::service::Refusal;
use crate::types::{ClientId, Committee, Digest, Instant, ReplicaId, RequestNumber, Seq, Span};
use crate::wire::Blob;
use std::collections::{BTreeMap, BTreeSet};

/// The most operations that wait for the window, in operations.
pub const MOST_WAITING_OPERATIONS: u64 = 4_096;

/// The most bytes of operations that wait for the window.
pub const MOST_WAITING_BYTES: u64 = 16 << 20;

/// Who signs the requests, and for which cluster.
pub(super) struct Author {
    pub(super) client: ClientId,
    pub(super) cluster: ClusterId,
    pub(super) signer: Box<dyn Signer>,
}

/// What is the same for all requests.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) committee: Committee,
    pub(super) parameters: Parameters,
    pub(super) settings: Settings,
}

/// Which numbers are used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Numbers {
    /// The last number given to an operation.
    pub(super) used: RequestNumber,
    /// The highest number that is known to be executed.
    pub(super) executed: RequestNumber,
}

/// What one replica tells of one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Word {
    operation: Digest,
    outcome: Told,
    seq: Seq,
}

/// Results are compared by their digests: the one that makes them enough is beside it in
/// full, so none needs to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Refused(Refusal),
    Executed(Digest),
}

impl Word {
    /// A later word takes the place of an earlier one. An operation may be refused at
    /// several places in the order, and executed at one; that it was, stands.
    fn rank(&self) -> (bool, Seq) {
        (self.is_executed(), self.seq)
    }

    fn is_executed(&self) -> bool {
        matches!(self.outcome, Told::Executed(_))
    }
}

/// An operation whose outcome is open.
struct Operation {
    /// The first number of its bundle.
    bundle: RequestNumber,
    digest: Digest,
    words: Alike<Word>,
}

/// Whether the caller still waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Waits,
    WasToldUnknown,
}

/// Whether the caller wants receipts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Receipts {
    NotWanted,
    Wanted,
    /// They were, and there will be none.
    Missing(NoReceipts),
}

struct Bundle {
    ticket: Ticket,
    operations: Vec<Blob>,
    fates: Vec<Option<Fate>>,
    deadline: Instant,
    caller: Caller,
    receipts: Receipts,
    /// None while it waits for the window.
    sent: Option<Sent>,
    /// Which replicas say that they don't take it.
    hints: Alike<Refusal>,
    /// Why it was last refused without an outcome.
    declined: Option<Refusal>,
}

struct Sent {
    request: Signed<Request>,
    /// Since when it is asked for in this form.
    since: Instant,
    /// When the primary, or all, were asked last.
    asked: Instant,
    /// Whether all were shown it as soon as it was made.
    was_shown: bool,
    retry_at: Instant,
    pause: Span,
    /// When those who have not replied are to be asked for it, since another has.
    ask_rest_at: Option<Instant>,
}

impl Sent {
    /// When something is to be sent again.
    fn due(&self) -> Instant {
        self.ask_rest_at.map_or(self.retry_at, |due| due.min(self.retry_at))
    }
}

impl Bundle {
    fn bytes(&self) -> u64 {
        bytes(&self.operations)
    }
}

fn bytes(operations: &[Blob]) -> u64 {
    operations.iter().map(|operation| operation.len() as u64).sum()
}

/// All that is to be ordered.
pub(super) struct Requests {
    author: Author,
    rules: Rules,
    numbers: Numbers,
    bundles: BTreeMap<RequestNumber, Bundle>,
    open: BTreeMap<RequestNumber, Operation>,
    /// Bundles from here on have not been sent.
    unsent_from: RequestNumber,
    /// Bundles that were refused for lack of room, to be signed again with more
    /// acknowledged.
    starved: BTreeSet<RequestNumber>,
    /// Bundles of which nothing is acknowledged before they have their receipts.
    held: BTreeSet<RequestNumber>,
    /// Bundles that were executed, and want theirs.
    executed: Vec<Executed>,
    waiting_operations: u64,
    waiting_bytes: u64,
    /// How long the primary alone has for one.
    patience: Patience,
    /// Why nothing comes of our numbers any more, if that is so.
    is_over: Option<Refusal>,
}

impl Requests {
    pub(super) fn new(author: Author, rules: Rules) -> Requests {
        Requests {
            author,
            rules,
            numbers: Numbers::default(),
            bundles: BTreeMap::new(),
            open: BTreeMap::new(),
            unsent_from: RequestNumber(0),
            starved: BTreeSet::new(),
            held: BTreeSet::new(),
            executed: Vec::new(),
            waiting_operations: 0,
            waiting_bytes: 0,
            patience: Patience::default(),
            is_over: None,
        }
    }

    /// Goes on after these numbers. Nothing has been asked for yet.
    pub(super) fn go_on_from(&mut self, numbers: Numbers) {
        assert!(self.bundles.is_empty(), "numbers in use don't change");
        self.numbers = numbers;
        self.unsent_from = numbers.used;
    }

    /// The most operations of one bundle.
    pub(super) fn most_operations(&self) -> u64 {
        self.rules.parameters.bundle_operations
    }

    /// Whether so many have said what means that nothing comes of our numbers any more, nor of
    /// those that follow on them.
    pub(super) fn are_over(&self) -> bool {
        self.is_over.is_some()
    }

    /// Whether that is so since another session with this key is ahead.
    pub(super) fn are_passed(&self) -> bool {
        self.is_over == Some(Refusal::Acknowledged)
    }

    /// Gives up everything under these numbers, to go on from others.
    pub(super) fn begin_anew(&mut self, out: &mut Out) {
        let Some(refusal) = self.is_over else { return };
        let all: Vec<RequestNumber> = self.bundles.keys().copied().collect();
        for first in all {
            self.decline(first, refusal, out);
            self.forget(first);
        }
        self.held.clear();
        self.is_over = None;
    }

    /// How many reads are being ordered.
    pub(super) fn reads(&self) -> usize {
        self.bundles.values().filter(|one| matches!(one.ticket, Ticket::Read(_))).count()
    }

    pub(super) fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// Everything up to here may be forgotten by the replicas: all below the lowest open
    /// number, but no more than the state takes.
    pub(super) fn acknowledged(&self) -> RequestNumber {
        let settled =
            self.lowest_needed().map_or(self.numbers.used, |one| RequestNumber(one.0 - 1));
        settled.min(self.window_above(self.numbers.executed))
    }

    /// The lowest number whose outcome is open, or of which receipts are.
    fn lowest_needed(&self) -> Option<RequestNumber> {
        self.open.keys().next().into_iter().chain(self.held.first()).min().copied()
    }

    fn window_above(&self, number: RequestNumber) -> RequestNumber {
        RequestNumber(number.0.saturating_add(self.rules.parameters.client_window))
    }

    /// Checks what the caller gives against the limits.
    pub(super) fn require_legal(&self, operations: &[Blob]) -> Result<(), SubmitError> {
        let parameters = &self.rules.parameters;
        let count = operations.len() as u64;
        let limit = parameters.bundle_operations;
        if count == 0 {
            return Err(SubmitError::Empty);
        }
        if count > limit {
            return Err(SubmitError::TooManyOperations { operations: count, limit });
        }
        let (bytes, limit) = (bytes(operations), parameters.bundle_bytes);
        if bytes > limit {
            return Err(SubmitError::TooManyBytes { bytes, limit });
        }
        Ok(())
    }

    /// Checks that there is room to wait for one more bundle.
    pub(super) fn require_room(&self, operations: &[Blob]) -> Result<(), SubmitError> {
        let count = operations.len() as u64;
        let fits = self.numbers.used.checked_plus(count).is_some_and(|last| {
            self.waiting_operations == 0 && last <= self.window_above(self.acknowledged())
        });
        let (waiting, limit) = (self.waiting_operations + count, MOST_WAITING_OPERATIONS);
        if !fits && waiting > limit {
            let oldest = self.lowest_needed().unwrap_or(self.numbers.used);
            return Err(SubmitError::QueueFull { waiting: self.waiting_operations, limit, oldest });
        }
        let (bytes, limit) = (self.waiting_bytes + bytes(operations), MOST_WAITING_BYTES);
        if !fits && bytes > limit {
            return Err(SubmitError::QueueTooLarge { bytes, limit });
        }
        Ok(())
    }

    /// Gives numbers to operations and puts them where they wait for the window.
    /// Without a ticket of its own, the bundle's is made of its numbers.
    pub(super) fn take(
        &mut self,
        operations: Vec<Blob>,
        ticket: Option<Ticket>,
        deadline: Instant,
    ) -> Result<Ticket, SubmitError> {
        let count = operations.len() as u64;
        let ends = || SubmitError::NumbersEnd;
        let first = self.numbers.used.next().ok_or_else(ends)?;
        let last = self.numbers.used.checked_plus(count).ok_or_else(ends)?;
        self.numbers.used = last;
        self.waiting_operations += count;
        self.waiting_bytes += bytes(&operations);
        for (number, operation) in (first.0..=last.0).map(RequestNumber).zip(&operations) {
            let digest = Digest::of(operation);
            self.open.insert(number, Operation { bundle: first, digest, words: Alike::default() });
        }
        let ticket = ticket.unwrap_or(Ticket::Submitted(first, last));
        let bundle = Bundle {
            ticket,
            fates: vec![None; operations.len()],
            operations,
            deadline,
            caller: Caller::Waits,
            receipts: Receipts::NotWanted,
            sent: None,
            hints: Alike::default(),
            declined: None,
        };
        self.bundles.insert(first, bundle);
        Ok(ticket)
    }

    /// Nothing of this bundle is acknowledged before it has receipts.
    pub(super) fn want_receipts(&mut self, ticket: Ticket) {
        let Ticket::Submitted(first, _) = ticket else { return };
        if let Some(bundle) = self.bundles.get_mut(&first) {
            bundle.receipts = Receipts::Wanted;
            self.held.insert(first);
        }
    }

    /// Bundles that were executed since, and are to have receipts.
    pub(super) fn take_executed(&mut self) -> Vec<Executed> {
        std::mem::take(&mut self.executed)
    }

    /// The receipts of a bundle are there, or given up.
    pub(super) fn release(&mut self, first: RequestNumber) {
        self.held.remove(&first);
    }

    /// An open bundle goes on without receipts.
    fn give_up_receipts(&mut self, first: RequestNumber, why: NoReceipts) {
        if let Some(bundle) = self.bundles.get_mut(&first)
            && bundle.receipts == Receipts::Wanted
        {
            bundle.receipts = Receipts::Missing(why);
            self.held.remove(&first);
        }
    }

    /// Where everything before a bundle is acknowledged, and there is no room still, its
    /// own results take it. They must be acknowledged, or the rest is never executed.
    fn make_room(&mut self) {
        let is_full = |first: &RequestNumber| {
            self.bundles.get(first).is_some_and(|bundle| {
                let acknowledged = bundle.sent.as_ref().map(|sent| sent.request.body.acknowledged);
                acknowledged.and_then(RequestNumber::next) == Some(*first)
                    && bundle.fates.iter().any(Option::is_some)
            })
        };
        let full: Vec<RequestNumber> = self.starved.iter().copied().filter(is_full).collect();
        full.into_iter().for_each(|first| self.give_up_receipts(first, NoReceipts::NoRoom));
    }

    /// Sends what the window has room for: the first time to the primary alone, mostly.
    pub(super) fn pump(&mut self, now: Instant, primary: ReplicaId, out: &mut Out) {
        self.make_room();
        let acknowledged = self.acknowledged();
        let end = self.window_above(acknowledged);
        let settings = self.rules.settings;
        let mut sent_through = None;
        for (first, bundle) in self.bundles.range_mut(self.unsent_from..) {
            if bundle.sent.is_some() {
                continue;
            }
            let count = bundle.operations.len() as u64;
            let last = first.0 + (count - 1);
            if last > end.0 {
                break;
            }
            let request = sign(&self.author, *first, acknowledged, &bundle.operations);
            let bytes = bundle.bytes();
            let was_shown = self.patience.is_to_be_shown(now, bytes, &settings);
            let to = if was_shown { ToReplica::All } else { ToReplica::One(primary) };
            out.send(to, ClientMessage::Request(request.clone()));
            let pause = self.patience.pause(bytes, &settings);
            let (retry_at, ask_rest_at) = (now.plus(pause), None);
            bundle.sent = Some(Sent {
                request,
                since: now,
                asked: now,
                was_shown,
                retry_at,
                pause,
                ask_rest_at,
            });
            self.waiting_operations -= count;
            self.waiting_bytes -= bytes;
            sent_through = Some(RequestNumber(last));
        }
        self.unsent_from = sent_through.unwrap_or(self.unsent_from);
        self.ask_for_room(now, acknowledged, out);
    }

    /// The first outcome of a bundle says how long it took.
    fn learn_usual(&mut self, now: Instant, bundle: RequestNumber) {
        let bundle = self.bundles.get(&bundle);
        if let Some(bundle) = bundle.filter(|one| one.fates.iter().all(Option::is_none))
            && let Some(sent) = &bundle.sent
        {
            self.patience.learn(bundle.bytes(), sent.was_shown, now.since(sent.asked));
        }
    }

    /// What was refused for lack of room is signed again, as soon as more is
    /// acknowledged than when it was signed last.
    fn ask_for_room(&mut self, now: Instant, acknowledged: RequestNumber, out: &mut Out) {
        let Requests { author, bundles, starved, .. } = self;
        starved.retain(|first| {
            let Some(bundle) = bundles.get_mut(first) else { return false };
            let Some(sent) = &mut bundle.sent else { return false };
            if sent.request.body.acknowledged >= acknowledged {
                return true;
            }
            // What is to be proved stays whole.
            let settled = match bundle.receipts {
                Receipts::Wanted => 0,
                Receipts::NotWanted | Receipts::Missing(_) => {
                    bundle.fates.iter().take_while(|fate| fate.is_some()).count()
                }
            };
            let rest = RequestNumber(first.0 + settled as u64);
            sent.request = sign(author, rest, acknowledged, &bundle.operations[settled..]);
            (sent.since, sent.asked, sent.ask_rest_at) = (now, now, None);
            out.send(ToReplica::All, ClientMessage::Request(sent.request.clone()));
            false
        });
    }

    /// A replica tells the outcome of an operation.
    pub(super) fn on_reply(
        &mut self,
        now: Instant,
        from: ReplicaId,
        reply: Reply,
        out: &mut Out,
    ) -> Result<(), Reject> {
        if reply.client != self.author.client {
            return Err(Reject::NotFromAuthor);
        }
        if reply.number <= self.acknowledged() {
            return Err(Reject::Acknowledged);
        }
        let Some(operation) = self.open.get_mut(&reply.number) else {
            return Err(Reject::Unrequested);
        };
        let outcome = match &reply.outcome {
            ReplyOutcome::Refused(refusal) => Told::Refused(*refusal),
            ReplyOutcome::Executed(result) => {
                if result.len() as u64 > self.rules.parameters.result_bytes {
                    return Err(Reject::TooLarge);
                }
                Told::Executed(Digest::of(result))
            }
        };
        let word = Word { operation: reply.operation, outcome, seq: reply.seq };
        if operation
            .words
            .of(from)
            .is_some_and(|known| *known == word || known.rank() > word.rank())
        {
            return Err(Reject::Duplicate);
        }
        let bundle = operation.bundle;
        let is_ours = operation.digest == word.operation;
        let is_first = operation.words.of(from).is_none();
        let alike = operation.words.say(from, word);
        if let Some(bundle) = self.bundles.get_mut(&bundle) {
            bundle.hints.forget(from);
        }
        if is_ours && is_first && word.is_executed() {
            self.ask_the_rest_soon(now, bundle);
        }
        if alike < self.rules.committee.weak_quorum() {
            return Ok(());
        }
        self.learn_usual(now, bundle);
        let Reply { number, seq, operation, outcome, .. } = reply;
        match outcome {
            ReplyOutcome::Executed(result) => {
                self.numbers.executed = self.numbers.executed.max(number);
                let done = Done { seq, result };
                let fate = match is_ours {
                    true => Fate::Done(done),
                    false => Fate::Superseded { executed: operation, done },
                };
                self.settle(number, fate, out);
            }
            ReplyOutcome::Refused(refusal) if is_ours => self.on_refused(number, refusal, out),
            // Of what else was asked for under our number, nothing came: ours may yet.
            ReplyOutcome::Refused(_) => {}
        }
        Ok(())
    }

    /// One more replica knows what came of an operation, so the others soon do. (That it was
    /// refused, everybody tells unasked.)
    fn ask_the_rest_soon(&mut self, now: Instant, first: RequestNumber) {
        let Some(bundle) = self.bundles.get_mut(&first) else { return };
        let bytes = bundle.bytes();
        let Some(sent) = bundle.sent.as_mut().filter(|sent| sent.ask_rest_at.is_none()) else {
            return;
        };
        // Where the first took long, the rest may too, and is not to be burdened more. The
        // first may be a liar, who takes no time.
        let settings = &self.rules.settings;
        let took = self.patience.usual(bytes, settings).max(now.since(sent.since));
        let soonest = now.plus(settings.reply_patience);
        sent.ask_rest_at = Some(soonest.max(sent.since.plus(took.times(2))));
    }

    /// Enough tell that an operation was refused where it was ordered.
    fn on_refused(&mut self, number: RequestNumber, refusal: Refusal, out: &mut Out) {
        let bundle = self.open.get(&number).expect("the number is open").bundle;
        match refusal {
            Refusal::TooMuchKept { .. } | Refusal::BeyondWindow { .. } => {
                self.starved.insert(bundle);
                // So much was given up while nothing was executed that no more can be
                // acknowledged: there never will be room.
                if self.lowest_needed() == Some(number) && self.acknowledged().next() < Some(number)
                {
                    self.is_over = Some(refusal);
                }
                let bundle = self.bundles.get_mut(&bundle).expect("open, so its bundle is too");
                bundle.declined = Some(refusal);
            }
            Refusal::Unlisted | Refusal::Acknowledged => self.decline(bundle, refusal, out),
            Refusal::BundleTooLong { .. }
            | Refusal::BundleTooLarge { .. }
            | Refusal::OperationTooLarge { .. }
            | Refusal::NumbersEnd
            | Refusal::AcknowledgesItself
            | Refusal::AcknowledgesTooFar { .. } => {
                self.settle(number, Fate::Refused(refusal), out);
            }
        }
    }

    /// A replica says that it doesn't take a request. It may be behind, or lie; if `Q`
    /// say the same, the others are too few to accept the request.
    pub(super) fn on_hint(
        &mut self,
        from: ReplicaId,
        number: RequestNumber,
        refusal: Refusal,
        out: &mut Out,
    ) -> Result<(), Reject> {
        let (first, bundle) =
            self.bundles.range_mut(..=number).next_back().ok_or(Reject::Unrequested)?;
        let is_within = number.0 - first.0 < bundle.operations.len() as u64;
        if !is_within || bundle.sent.is_none() {
            return Err(Reject::Unrequested);
        }
        // No session acknowledges what it waits for. What it has its answers to, it does.
        let waits = self.open.range(*first..=number).next().is_some();
        if refusal == Refusal::Acknowledged && !waits {
            return Err(Reject::Acknowledged);
        }
        if bundle.hints.of(from) == Some(&refusal) {
            return Err(Reject::Duplicate);
        }
        let first = *first;
        if bundle.hints.say(from, refusal) >= self.rules.committee.quorum() {
            self.decline(first, refusal, out);
        }
        Ok(())
    }

    /// A quorum refuses to take a bundle. That is no outcome, but a reason not to wait.
    fn decline(&mut self, first: RequestNumber, refusal: Refusal, out: &mut Out) {
        let bundle = self.bundles.get_mut(&first).expect("declined are open bundles");
        bundle.declined = Some(refusal);
        // Another session with this key has gone past these numbers.
        if refusal == Refusal::Acknowledged {
            self.is_over = Some(refusal);
        }
        self.stop_waiting(first, out);
    }

    fn settle(&mut self, number: RequestNumber, fate: Fate, out: &mut Out) {
        let operation = self.open.remove(&number).expect("only what is open is settled");
        let first = operation.bundle;
        let bundle = self.bundles.get_mut(&first).expect("open, so its bundle is too");
        let index = usize::try_from(number.0 - first.0).expect("a place in the bundle");
        bundle.fates[index] = Some(fate);
        if bundle.fates.iter().all(Option::is_some) {
            let mut bundle = self.forget(first).expect("it was here just now");
            let fates = std::mem::take(&mut bundle.fates).into_iter().flatten().collect();
            match outcome(bundle.ticket, first, fates) {
                Outcome::Done(done) => self.on_done(first, bundle, done, out),
                other => out.report(bundle.ticket, other),
            }
        }
    }

    /// A bundle is done: that is all, or it is to be proved.
    fn on_done(&mut self, first: RequestNumber, bundle: Bundle, done: Vec<Done>, out: &mut Out) {
        let Bundle { ticket, operations, deadline, sent, receipts, .. } = bundle;
        match receipts {
            Receipts::NotWanted => out.report(ticket, Outcome::Done(done)),
            Receipts::Missing(why) => {
                out.report(ticket, Outcome::Receipted { done, receipts: Err(why) });
            }
            Receipts::Wanted => {
                // Not sent yet, and done: somebody else with this key asked for the same.
                let request = sent.map_or_else(
                    || sign(&self.author, first, RequestNumber(0), &operations),
                    |sent| sent.request,
                );
                self.held.insert(first);
                self.executed.push(Executed { ticket, request, done, deadline });
            }
        }
    }

    /// The caller has waited long enough.
    fn stop_waiting(&mut self, first: RequestNumber, out: &mut Out) {
        let Some(bundle) = self.bundles.get_mut(&first) else { return };
        if bundle.caller == Caller::WasToldUnknown {
            return;
        }
        let (ticket, declined) = (bundle.ticket, bundle.declined);
        match ticket {
            Ticket::Submitted(..) if bundle.sent.is_some() => {
                bundle.caller = Caller::WasToldUnknown;
                self.give_up_receipts(first, NoReceipts::TooLate);
                out.report(ticket, Outcome::Unknown { declined });
            }
            Ticket::Submitted(..) => {
                self.forget(first);
                out.report(ticket, Outcome::NotSent);
            }
            // A read has no effect that anybody could miss.
            Ticket::Read(_) | Ticket::Proof(_) => {
                self.forget(first);
                let why = declined.map_or(Unread::TimedOut, Unread::Declined);
                out.report(ticket, Outcome::Unread(why));
            }
        }
    }

    /// Gives a bundle up: its numbers are settled as far as this session is concerned.
    pub(super) fn abandon(&mut self, first: RequestNumber) -> bool {
        self.forget(first).is_some()
    }

    fn forget(&mut self, first: RequestNumber) -> Option<Bundle> {
        let bundle = self.bundles.remove(&first)?;
        self.starved.remove(&first);
        self.held.remove(&first);
        let last = first.0 + (bundle.operations.len() as u64 - 1);
        for number in (first.0..=last).map(RequestNumber) {
            self.open.remove(&number);
        }
        if bundle.sent.is_none() {
            self.waiting_operations -= bundle.operations.len() as u64;
            self.waiting_bytes -= bundle.bytes();
        }
        Some(bundle)
    }

    /// Asks again where it is time, and tells callers whose time is over.
    pub(super) fn on_tick(&mut self, now: Instant, out: &mut Out) {
        let most_retry = self.rules.settings.most_retry;
        let (mut over, mut silent) = (Vec::new(), Vec::new());
        for (first, bundle) in &mut self.bundles {
            if bundle.caller == Caller::Waits && bundle.deadline <= now {
                over.push(*first);
            }
            let Some(sent) = bundle.sent.as_mut().filter(|sent| sent.due() <= now) else {
                continue;
            };
            if sent.retry_at > now {
                sent.ask_rest_at = None;
                silent.push((*first, sent.request.clone()));
                continue;
            }
            sent.pause = match bundle.caller {
                Caller::Waits => sent.pause.times(2).min(most_retry),
                Caller::WasToldUnknown => most_retry,
            };
            (sent.asked, sent.retry_at) = (now, now.plus(sent.pause));
            sent.ask_rest_at = None;
            out.send(ToReplica::All, ClientMessage::Request(sent.request.clone()));
        }
        over.into_iter().for_each(|first| self.stop_waiting(first, out));
        for (first, request) in silent {
            for replica in self.silent_about(first) {
                out.send(ToReplica::One(replica), ClientMessage::Request(request.clone()));
            }
        }
    }

    /// Who has not said of some open operation of a bundle that it was executed.
    fn silent_about(&self, first: RequestNumber) -> Vec<ReplicaId> {
        let open = || self.open.range(first..).map(|(_, one)| one);
        let open = || open().take_while(|one| one.bundle == first);
        let has_told =
            |one: &Operation, replica| one.words.of(replica).is_some_and(Word::is_executed);
        let is_silent = |replica: &ReplicaId| open().any(|one| !has_told(one, *replica));
        self.rules.committee.replicas().filter(is_silent).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let of = |bundle: &Bundle| {
            let deadline = (bundle.caller == Caller::Waits).then_some(bundle.deadline);
            deadline.into_iter().chain(bundle.sent.as_ref().map(Sent::due)).min()
        };
        self.bundles.values().filter_map(of).min()
    }
}

fn sign(
    author: &Author,
    first: RequestNumber,
    acknowledged: RequestNumber,
    operations: &[Blob],
) -> Signed<Request> {
    let operations = operations.to_vec().into();
    let body = Request { client: author.client, first, acknowledged, operations };
    Signed::sign(body, &author.cluster, &*author.signer)
}

/// What the fates of a bundle come to, in the words of what was asked for.
fn outcome(ticket: Ticket, first: RequestNumber, fates: Vec<Fate>) -> Outcome {
    match ticket {
        Ticket::Submitted(..) => submitted(first, fates),
        Ticket::Read(_) | Ticket::Proof(_) => match fates.into_iter().next() {
            Some(Fate::Done(Done { seq, result })) => {
                Outcome::Read(Answer { result, how: HowRead::Ordered { seq } })
            }
            Some(Fate::Refused(refusal)) => Outcome::Unread(Unread::Refused(refusal)),
            Some(Fate::Superseded { .. }) | None => Outcome::Unread(Unread::Superseded),
        },
    }
}

/// What the fates of a bundle that begins with this number come to.
pub(super) fn submitted(first: RequestNumber, fates: Vec<Fate>) -> Outcome {
    let is_superseded = |fate: &Fate| matches!(fate, Fate::Superseded { .. });
    if let Some(index) = fates.iter().position(is_superseded) {
        return Outcome::Superseded { number: RequestNumber(first.0 + index as u64), fates };
    }
    let refused = fates.iter().find_map(|fate| match fate {
        Fate::Refused(refusal) => Some(*refusal),
        Fate::Done(_) | Fate::Superseded { .. } => None,
    });
    if let Some(reason) = refused {
        return Outcome::Refused { reason, fates };
    }
    let done = fates.into_iter().filter_map(|fate| match fate {
        Fate::Done(done) => Some(done),
        Fate::Refused(_) | Fate::Superseded { .. } => None,
    });
    Outcome::Done(done.collect())
}
