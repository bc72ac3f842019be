//! The network: what is lost, doubled, held up, cut off, and delivered.

use super::{Happening, Seat, World};
use crate::byzantine;
use crate::message::batch::NULL;
use crate::message::{CheckedPeer, ClientMessage, PeerMessage, Reject, ToClient, Verifier};
use crate::replica::{Input, Notice, Outgoing, Standing, To};
use crate::sim::checker::Word;
use crate::sim::model::Signatures;
use crate::sim::plan::{Plan, Weather};
use crate::sim::random::Random;
use crate::types::{ClientId, Instant, ReplicaId, Span};
use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::rc::Rc;

/// So many messages are remembered, to be delivered once more some day.
const MOST_RECORDED: usize = 128;

/// A message under way, perhaps to many and more than once. All come to one verdict on
/// it, so it is judged once.
pub(super) struct Flight {
    /// Until it is judged.
    message: Cell<Option<Box<PeerMessage>>>,
    verdict: OnceCell<Result<CheckedPeer, Reject>>,
}

impl Flight {
    fn new(message: PeerMessage) -> Rc<Flight> {
        let message = Cell::new(Some(Box::new(message)));
        Rc::new(Flight { message, verdict: OnceCell::new() })
    }

    fn judged(&self, verifier: &Verifier<Signatures>) -> Result<CheckedPeer, Reject> {
        let judge = || verifier.peer(*self.message.take().expect("it is judged once"));
        self.verdict.get_or_init(judge).clone()
    }
}

/// To which of two twins somebody is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Face {
    First,
    Second,
    Both,
}

/// Everything between the processes.
pub(super) struct Links {
    pub(super) random: Random,
    pub(super) weather: Weather,
    /// Who doesn't reach whom.
    pub(super) cut: BTreeSet<(ReplicaId, ReplicaId)>,
    /// Which client and which replica don't reach each other.
    pub(super) cut_clients: BTreeSet<(ClientId, ReplicaId)>,
    pub(super) dam_until: Instant,
    /// Counts mendings: a rotation that began before one is over.
    pub(super) rotates_until: Instant,
    recorded: Vec<(ReplicaId, ReplicaId, Rc<Flight>)>,
    twins: Option<ReplicaId>,
    faces: Vec<Face>,
}

impl Links {
    pub(super) fn new(random: Random, plan: &Plan) -> Links {
        Links {
            random,
            weather: plan.weather,
            cut: BTreeSet::new(),
            cut_clients: BTreeSet::new(),
            dam_until: Instant(0),
            rotates_until: Instant(0),
            recorded: Vec::new(),
            twins: plan.twins,
            faces: vec![Face::Both; usize::from(plan.replicas)],
        }
    }

    /// All links are whole.
    pub(super) fn mend(&mut self) {
        self.cut.clear();
        self.cut_clients.clear();
        self.rotates_until = Instant(0);
    }

    /// And quick, and lose nothing.
    pub(super) fn calm(&mut self, weather: Weather) {
        self.mend();
        self.weather = weather;
        self.dam_until = Instant(0);
    }

    /// These and the others don't reach each other, but through `bridge`.
    pub(super) fn part(&mut self, plan: &Plan, island: &[ReplicaId], bridge: Option<ReplicaId>) {
        let all = || (0..plan.replicas).map(ReplicaId).filter(|id| Some(*id) != bridge);
        for one in all().filter(|one| island.contains(one)) {
            for other in all().filter(|other| !island.contains(other)) {
                self.cut.extend([(one, other), (other, one)]);
            }
        }
    }

    fn arrival(&mut self, now: Instant) -> Instant {
        let delay = Span(self.random.between(100, self.weather.most_delay.0.max(101)));
        now.plus(delay).max(self.dam_until)
    }

    fn loses(&mut self) -> bool {
        self.random.in_thousand(self.weather.lost)
    }

    fn record(&mut self, from: ReplicaId, to: ReplicaId, flight: &Rc<Flight>) {
        let record = (from, to, Rc::clone(flight));
        if self.recorded.len() < MOST_RECORDED {
            return self.recorded.push(record);
        }
        // The old ones are as likely to be kept as the new ones.
        let index = self.random.below(8 * MOST_RECORDED as u64);
        if let Some(place) = usize::try_from(index).ok().and_then(|at| self.recorded.get_mut(at)) {
            *place = record;
        }
    }

    /// The seats in which `other` finds a replica.
    fn seats(&self, id: ReplicaId, other: usize) -> impl Iterator<Item = Seat> + use<> {
        let first = usize::from(id.0);
        let second = self.faces.len();
        let face = match self.twins == Some(id) {
            true => self.faces[other % self.faces.len()],
            false => Face::First,
        };
        let seats = match face {
            Face::First => [Some(first), None],
            Face::Second => [None, Some(second)],
            Face::Both => [Some(first), Some(second)],
        };
        seats.into_iter().flatten()
    }
}

impl World {
    pub(super) fn send(&mut self, from: Seat, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Peer(to, message) => {
                let own = self.nodes[from].id;
                let recipients: Vec<ReplicaId> = match to {
                    To::Everyone => self.replicas().filter(|id| *id != own).collect(),
                    To::Peer(one) => vec![one],
                };
                self.send_to_all(from, &recipients, *message);
            }
            Outgoing::Client(client, message) => self.send_client(from, client, message),
            Outgoing::Reserved(view, up_to) => {
                let node = &mut self.nodes[from];
                let (delay, life) = (Span(node.random.between(1, 200)), node.life);
                self.plan_after(delay, Happening::Reserved { seat: from, life, view, up_to });
            }
        }
    }

    fn send_to_all(&mut self, from: Seat, recipients: &[ReplicaId], message: PeerMessage) {
        let id = self.nodes[from].id;
        if let Some(what) = shown(&message) {
            self.coverage.count(what);
        }
        self.checker.sends(id, &message, || self.nodes[from].disk.surviving());
        if self.nodes[from].lying.is_some() {
            for to in recipients {
                self.lie(from, *to, message.clone());
            }
            return;
        }
        self.checker.learn(&message);
        let flight = Flight::new(message);
        for to in recipients {
            self.fly(from, *to, &flight);
        }
    }

    fn lie(&mut self, from: Seat, to: ReplicaId, message: PeerMessage) {
        let Some((liar, behaviour)) = &mut self.nodes[from].lying else { return };
        liar.now = self.now;
        liar.remember(&message);
        let told = behaviour.tell(liar, to, message);
        told.into_iter().for_each(|told| self.tell_lie(from, to, told));
        self.plan_liar(from);
    }

    fn tell_lie(&mut self, from: Seat, to: ReplicaId, told: PeerMessage) {
        // What a liar invents may be executed, too.
        self.checker.learn(&told);
        self.fly(from, to, &Flight::new(told));
    }

    /// Plans when a liar lets go of what it holds back.
    fn plan_liar(&mut self, seat: Seat) {
        let now = self.now;
        let Some((liar, behaviour)) = &mut self.nodes[seat].lying else { return };
        let Some(due) = behaviour.next().map(|due| due.max(Instant(now.0 + 1))) else { return };
        if due < liar.wakes_at || liar.wakes_at <= now {
            liar.wakes_at = due;
            self.plan_at(due, Happening::LiarWakes { seat });
        }
    }

    /// A liar lets go of what is due.
    pub(super) fn liar_wakes(&mut self, seat: Seat) {
        let now = self.now;
        let Some((liar, behaviour)) = &mut self.nodes[seat].lying else { return };
        liar.now = now;
        let due = behaviour.on_time(liar, now);
        due.into_iter().for_each(|(to, told)| self.tell_lie(seat, to, told));
        self.plan_liar(seat);
    }

    fn fly(&mut self, seat: Seat, to: ReplicaId, flight: &Rc<Flight>) {
        let from = self.nodes[seat].id;
        let is_connected = self.links.seats(from, usize::from(to.0)).any(|one| one == seat);
        if !is_connected || self.links.cut.contains(&(from, to)) || self.links.loses() {
            return;
        }
        self.links.record(from, to, flight);
        let copies = 1 + u64::from(self.links.random.in_thousand(self.links.weather.doubled));
        for _ in 0..copies {
            let at = self.links.arrival(self.now);
            self.deliver_at(at, from, to, flight);
        }
        if self.links.random.in_thousand(self.links.weather.replayed) {
            let late = Span::milliseconds(self.links.random.between(500, 5_000));
            self.coverage.count("fault replayed message");
            self.deliver_at(self.now.plus(late), from, to, flight);
        }
    }

    fn deliver_at(&mut self, at: Instant, from: ReplicaId, to: ReplicaId, flight: &Rc<Flight>) {
        for seat in self.links.seats(to, usize::from(from.0)) {
            let flight = Rc::clone(flight);
            self.plan_at(at, Happening::Arrives { from, to: seat, flight });
        }
    }

    /// So many messages of any age come once more.
    pub(super) fn replay(&mut self, count: u64) {
        for _ in 0..count {
            let Some((from, to, flight)) = self.links.random.pick(&self.links.recorded).cloned()
            else {
                return;
            };
            let at = self.links.arrival(self.now);
            self.deliver_at(at, from, to, &flight);
        }
    }

    /// One replica after the other is an island.
    pub(super) fn turns(&mut self, island: u16, every: Span, until: Instant) {
        if self.links.rotates_until != until || self.now >= until {
            return;
        }
        self.links.cut.clear();
        let alone = ReplicaId(island % self.plan.replicas);
        self.links.part(&self.plan, &[alone], None);
        let next = island.wrapping_add(1);
        self.plan_after(every, Happening::Turns { island: next, every, until });
    }

    /// Who talks to which of the twins changes now and then.
    pub(super) fn twins_turn(&mut self) {
        for other in 0..self.links.faces.len() {
            let face = match self.links.random.below(5) {
                0 | 1 => Face::First,
                2 | 3 => Face::Second,
                _ => Face::Both,
            };
            self.links.faces[other] = face;
        }
        let pause = Span::milliseconds(self.links.random.between(100, 2_000));
        self.plan_after(pause, Happening::TwinsTurn);
    }

    pub(super) fn arrives(&mut self, from: ReplicaId, to: Seat, flight: Rc<Flight>) {
        if self.is_paused(to) {
            let at = self.nodes[to].paused_until;
            return self.plan_at(at, Happening::Arrives { from, to, flight });
        }
        if !self.is_running(to) {
            return;
        }
        self.messages += 1;
        match flight.judged(&self.verifier) {
            Ok(mut message) => {
                if self.nodes[to].lying.is_some() {
                    byzantine::overheard(&mut message);
                }
                self.note_start_answer(from, to, &message);
                let forgot = self.is_shown_what_it_forgot(to, &message);
                self.input(to, Input::Peer { from, message: Box::new(message) });
                if let Some(word) = forgot
                    && let Some(replica) = &self.nodes[to].replica
                    && *replica.standing() != Standing::Halted
                {
                    self.checker.goes_on(self.nodes[to].id, &word);
                }
            }
            Err(reject) => self.note(to, &Notice::Rejected(Some(from), reject)),
        }
    }

    fn note_start_answer(&mut self, from: ReplicaId, to: Seat, message: &CheckedPeer) {
        let CheckedPeer::StartAnswer(answer) = message else { return };
        let node = &self.nodes[to];
        let standing = node.replica.as_ref().map(|replica| replica.standing());
        if matches!(standing, Some(Standing::Starting { nonce, .. }) if *nonce == answer.nonce) {
            self.checker.is_answered(node.id, from);
        }
    }

    /// What an answer to a starting replica holds of it that its disk doesn't.
    fn is_shown_what_it_forgot(&self, to: Seat, message: &CheckedPeer) -> Option<Word> {
        let CheckedPeer::StartAnswer(answer) = message else { return None };
        let node = &self.nodes[to];
        if node.is_ahead_of_its_disk() {
            return None;
        }
        match node.replica.as_ref()?.standing() {
            Standing::Starting { nonce, .. } if *nonce == answer.nonce => {
                self.checker.is_shown(node.id, answer, &node.disk.surviving())
            }
            _ => None,
        }
    }

    // Clients.

    /// A client's message is on its way to a replica.
    pub(super) fn ask(&mut self, client: ClientId, to: ReplicaId, message: &Rc<ClientMessage>) {
        if self.links.cut_clients.contains(&(client, to)) || self.links.loses() {
            return;
        }
        let index = usize::try_from(client.0).unwrap_or(0);
        let copies = 1 + u64::from(self.links.random.in_thousand(self.links.weather.doubled));
        for _ in 0..copies {
            let at = self.links.arrival(self.now);
            for to in self.links.seats(to, index) {
                let message = Rc::clone(message);
                self.plan_at(at, Happening::Asks { client: index, to, message });
            }
        }
    }

    pub(super) fn asks(&mut self, client: usize, to: Seat, message: Rc<ClientMessage>) {
        if !self.is_running(to) || self.is_paused(to) {
            return;
        }
        self.messages += 1;
        let from = ClientId(u32::try_from(client).unwrap_or(0));
        match self.verifier.client(ClientMessage::clone(&message)) {
            Ok(message) => {
                self.checker.is_asked(self.nodes[to].id, from, &message);
                self.input(to, Input::Client { from, message });
            }
            Err(reject) => self.note(to, &Notice::Rejected(None, reject)),
        }
    }

    fn send_client(&mut self, from: Seat, to: ClientId, message: ToClient) {
        let node = &mut self.nodes[from];
        let id = node.id;
        let told = match &mut node.lying {
            None => vec![message],
            Some((liar, behaviour)) => behaviour.tell_client(liar, to, message),
        };
        let Some(client) = self.client_index(to) else { return };
        if self.links.cut_clients.contains(&(to, id)) {
            return;
        }
        for message in told {
            if !self.links.loses() {
                let at = self.links.arrival(self.now);
                let message = Box::new(message);
                self.plan_at(at, Happening::Answers { from: id, client, message });
            }
        }
    }
}

/// The proof that a message carries, for the count.
fn shown(message: &PeerMessage) -> Option<&'static str> {
    match message {
        PeerMessage::Decided(..) => Some("shown commit certificate"),
        PeerMessage::Stable(_) => Some("shown checkpoint certificate"),
        PeerMessage::ViewChange(wish) if !wish.body.prepared.is_empty() => {
            Some("shown prepared certificates")
        }
        PeerMessage::NewView(opening, _) => {
            let has_null = opening.body.pre_prepares.iter().any(|one| one.body.digest == NULL);
            has_null.then_some("shown new view with nulls")
        }
        PeerMessage::Part(..) => Some("shown part of a state"),
        PeerMessage::Evidence(_) => Some("shown evidence"),
        _ => None,
    }
}
