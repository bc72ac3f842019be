//! Progress under random schedules: anything may break for a while; then the network
//! heals, at most `f` replicas stay liars, and every client must be answered in time.
//!
//! Covers N1, N2, N3, B5, P1, P3, P8, V1, V8, V10, V11, S13, S15 and S18 by chance; each
//! seed that ever failed, and each rule that one seed alone would not pin down, is a
//! story of its own further down.

mod world;

use quorate::crypto::SecretKey;
use quorate::message::{
    Batch, Commit, Fetch, Item, PeerMessage, PrePrepare, Reject, Reply, Request, Signed,
    SlotStatus, Status, ToClient, ViewChange, Voter,
};
use quorate::replica::{Input, Notice, Record, Replica, Settings, Standing, Suspicion};
use quorate::service::kv::KvOperation;
use quorate::types::{
    ClientId, Digest, Incarnation, Instant, ReplicaId, Seq, Span, Timestamp, View,
};
use quorate::wire::{self, Blob};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use world::{Disk, Flight, World};

// Chance.

/// SplitMix64: small, and good enough to shuffle a schedule.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

// Clients.

/// A client with one operation under way at a time.
struct Client {
    id: u32,
    number: u64,
    request: Option<Signed<Request>>,
    retry_at: Instant,
    answers: BTreeMap<ReplicaId, Reply>,
    done: u64,
}

const RETRY: Span = Span::milliseconds(400);

impl Client {
    fn new(id: u32) -> Client {
        let answers = BTreeMap::new();
        Client { id, number: 0, request: None, retry_at: Instant(0), answers, done: 0 }
    }

    fn take(&mut self, from: ReplicaId, reply: &Reply, quorum: usize) -> bool {
        if self.request.is_none() || reply.number.0 != self.number {
            return false;
        }
        self.answers.insert(from, reply.clone());
        let alike = self.answers.values().filter(|one| {
            (one.operation, &one.outcome, one.seq) == (reply.operation, &reply.outcome, reply.seq)
        });
        let accepted = alike.count() >= quorum;
        if accepted {
            self.request = None;
            self.done += 1;
        }
        accepted
    }
}

// Liars.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    /// Says nothing at all.
    Silent,
    /// Follows, and never leads: no proposals and no openings.
    NeverLeads,
    /// Tells one half something else.
    Equivocates,
    /// Proposes to one backup only.
    TellsOne,
    /// Beside its part: votes at the window's end, far views, statuses of nonsense.
    Floods,
    /// Loses half of what it says.
    Mumbles,
}

const LIES: [Lie; 6] =
    [Lie::Silent, Lie::NeverLeads, Lie::Equivocates, Lie::TellsOne, Lie::Floods, Lie::Mumbles];

fn key(id: ReplicaId) -> SecretKey {
    world::replica_key(id.0)
}

// The schedule.

struct Run {
    world: World,
    chance: Chance,
    clients: Vec<Client>,
    wire: BTreeMap<(Instant, u64), Flight>,
    serial: u64,
    liar: Option<(ReplicaId, Lie)>,
    /// Who reaches whom: pairs that are cut.
    cut: BTreeSet<(ReplicaId, ReplicaId)>,
    loss: u64,
    doubling: u64,
    delay: u64,
    sent: u64,
    think: Span,
    /// Whose messages take longer, both ways, and by how many microseconds.
    slow: Option<(ReplicaId, u64)>,
}

fn settings() -> Settings {
    Settings { most_patience: Span::seconds(4), ..Settings::default() }
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut chance = Chance(seed);
        let replicas = if seed % 5 == 4 { 7 } else { 4 };
        let mut parameters = world::parameters();
        if chance.percent(20) {
            parameters.rotation = 3;
        }
        let world = World::with(replicas, parameters, settings());
        let liar = chance.percent(60).then(|| {
            let id = ReplicaId(chance.below(u64::from(replicas)) as u16);
            (id, LIES[chance.below(LIES.len() as u64) as usize])
        });
        Run {
            world,
            chance,
            clients: (0..3).map(Client::new).collect(),
            wire: BTreeMap::new(),
            serial: 0,
            liar,
            cut: BTreeSet::new(),
            loss: 0,
            doubling: 0,
            delay: 4_000,
            sent: 0,
            think: Span::milliseconds(60),
            slow: None,
        }
    }

    fn quorum(&self) -> usize {
        let n = self.world.nodes.len();
        (n + (n - 1) / 3 + 2) / 2
    }

    fn is_honest(&self, id: ReplicaId) -> bool {
        self.liar.is_none_or(|(liar, _)| liar != id)
    }

    fn honest(&self) -> Vec<ReplicaId> {
        self.world.ids().filter(|id| self.is_honest(*id)).collect()
    }

    /// Puts what was sent on the wire, each with its own fate.
    fn ship(&mut self) {
        while let Some(flight) = self.world.network.pop_front() {
            self.sent += 1;
            for flight in self.as_the_liar_would(flight) {
                if self.chance.percent(self.loss) {
                    continue;
                }
                let copies = if self.chance.percent(self.doubling) { 2 } else { 1 };
                for _ in 0..copies {
                    let is_slow =
                        |(one, _): &(ReplicaId, u64)| *one == flight.from || *one == flight.to;
                    let more = self.slow.filter(is_slow).map_or(0, |(_, more)| more);
                    let due = self.world.now.0 + 200 + more + self.chance.below(self.delay);
                    self.serial += 1;
                    self.wire.insert((Instant(due), self.serial), flight.clone());
                }
            }
        }
    }

    fn as_the_liar_would(&mut self, flight: Flight) -> Vec<Flight> {
        let Some((liar, lie)) = self.liar.filter(|(liar, _)| *liar == flight.from) else {
            return vec![flight];
        };
        let leads = matches!(flight.message, PeerMessage::Propose(..) | PeerMessage::NewView(..));
        match lie {
            Lie::Silent => vec![],
            Lie::NeverLeads if leads => vec![],
            Lie::Mumbles if self.chance.percent(50) => vec![],
            Lie::TellsOne if leads && flight.to.0 != (liar.0 + 1) % 4 => vec![],
            Lie::Equivocates if flight.to.0.is_multiple_of(2) => match &flight.message {
                PeerMessage::Propose(proposal, Some(batch)) => {
                    let batch = Batch::new(Timestamp(batch.time().0 + 1), batch.items().to_vec());
                    let body = PrePrepare { digest: batch.digest(), ..proposal.body };
                    let cluster = self.world.genesis.cluster();
                    let proposal = Signed::sign(body, &cluster, &key(liar));
                    let message = PeerMessage::Propose(proposal, Some(batch));
                    vec![Flight { message, ..flight }]
                }
                _ => vec![flight],
            },
            Lie::Floods if self.chance.percent(15) => {
                let noise = self.noise(liar, flight.to);
                vec![flight, noise]
            }
            _ => vec![flight],
        }
    }

    fn noise(&mut self, liar: ReplicaId, to: ReplicaId) -> Flight {
        let cluster = self.world.genesis.cluster();
        let by = Voter { replica: liar, incarnation: Incarnation::FIRST };
        let (view, stable, executed) = match &self.world.node(to).replica {
            Some(replica) => (replica.view(), replica.stable(), replica.executed()),
            None => (View(0), Seq(0), Seq(0)),
        };
        let message = match self.chance.below(3) {
            0 => {
                let seq = Seq(stable.0 + 1 + self.chance.below(32));
                let digest = Digest([7; 32]);
                PeerMessage::Commit(Signed::sign(
                    Commit { view, seq, digest, by },
                    &cluster,
                    &key(liar),
                ))
            }
            1 => {
                let view = View(view.0 + 1 + self.chance.below(50));
                let body = ViewChange { view, by, stable: None, prepared: Vec::new().into() };
                PeerMessage::ViewChange(Signed::sign(body, &cluster, &key(liar)))
            }
            _ => {
                let executed = match self.chance.percent(50) {
                    true => Seq(executed.0 + 1_000),
                    false => Seq(0),
                };
                let slots = vec![SlotStatus::Empty; self.chance.below(4) as usize];
                PeerMessage::Status(Status {
                    view,
                    active: self.chance.percent(50),
                    stable: Seq(0),
                    executed,
                    slots: slots.into(),
                    view_changes: Vec::new().into(),
                })
            }
        };
        Flight { from: liar, to, message }
    }

    /// Lets everything happen up to this time, or until the condition holds.
    fn until(&mut self, end: Instant, is_done: impl Fn(&Run) -> bool) -> bool {
        let mut stuck = 0;
        loop {
            self.ship();
            self.hear_answers();
            if is_done(self) {
                return true;
            }
            let deadlines = self.world.nodes.iter().filter_map(|node| node.replica.as_ref());
            let deadline = deadlines.map(Replica::next_deadline).min();
            let arrival = self.wire.keys().next().map(|(due, _)| *due);
            let retry = self.clients.iter().map(|client| client.retry_at).min();
            let next = [deadline, arrival, retry].into_iter().flatten().min().unwrap_or(end);
            if next > end {
                self.world.now = end.max(self.world.now);
                return false;
            }
            stuck = if next > self.world.now { 0 } else { stuck + 1 };
            assert!(stuck < 5_000, "time stands still: a deadline is due and stays due");
            self.world.now = next.max(self.world.now);
            self.deliver_due();
            self.tick_due();
            self.clients_go_on();
        }
    }

    fn deliver_due(&mut self) {
        while let Some(entry) = self.wire.first_entry() {
            if entry.key().0 > self.world.now {
                return;
            }
            let flight = entry.remove();
            if !self.cut.contains(&(flight.from, flight.to)) {
                self.world.deliver_certainly(flight);
            }
        }
    }

    fn tick_due(&mut self) {
        for id in self.world.ids() {
            let due = self.world.node(id).replica.as_ref().map(Replica::next_deadline);
            if due.is_some_and(|due| due <= self.world.now) {
                self.world.input(id, Input::Tick);
            }
        }
    }

    fn clients_go_on(&mut self) {
        for index in 0..self.clients.len() {
            if self.clients[index].retry_at > self.world.now {
                continue;
            }
            let client = &mut self.clients[index];
            let is_new = client.request.is_none();
            if is_new {
                client.number += 1;
                client.answers.clear();
                let key = format!("k{}", client.number % 5);
                let value = Blob::from(client.number.to_string().as_str());
                let operation = KvOperation::Put { key: Blob::from(key.as_str()), value };
                let (id, number) = (client.id, client.number);
                let request = self.world.request(id, number, number - 1, &[&operation.to_bytes()]);
                self.clients[index].request = Some(request);
            }
            let request = self.clients[index].request.clone().expect("just made");
            let all = !is_new || self.chance.percent(20);
            let one = ReplicaId(self.chance.below(self.world.nodes.len() as u64) as u16);
            for id in self.world.ids().filter(|id| all || *id == one) {
                if !self.chance.percent(self.loss) {
                    self.world.submit(&request, id);
                }
            }
            self.clients[index].retry_at = self.world.now.plus(RETRY);
        }
    }

    fn hear_answers(&mut self) {
        let quorum = self.quorum();
        for (from, to, message) in std::mem::take(&mut self.world.to_clients) {
            let lost = self.chance.percent(self.loss) || !self.is_honest(from);
            let ToClient::Reply(reply) = message else { continue };
            let Some(client) = self.clients.iter_mut().find(|one| ClientId(one.id) == to) else {
                continue;
            };
            if !lost && client.take(from, &reply, quorum) {
                client.retry_at = self.world.now.plus(self.think);
            }
        }
    }

    /// Anything may break.
    fn chaos(&mut self) {
        self.loss = self.chance.below(35);
        self.doubling = self.chance.below(20);
        self.delay = [2_000, 20_000, 300_000][self.chance.below(3) as usize];
        for _ in 0..(4 + self.chance.below(8)) {
            self.break_something();
            let end = self.world.now.plus(Span::milliseconds(100 + self.chance.below(1_500)));
            self.until(end, |_| false);
            self.require_bounds();
        }
    }

    fn break_something(&mut self) {
        let n = self.world.nodes.len() as u64;
        let id = ReplicaId(self.chance.below(n) as u16);
        match self.chance.below(9) {
            0 => {
                for one in self.world.ids() {
                    for other in self.world.ids() {
                        if self.chance.percent(30) {
                            self.cut.insert((one, other));
                        }
                    }
                }
            }
            1 => {
                for other in self.world.ids() {
                    self.cut.insert((other, id));
                    if self.chance.percent(50) {
                        self.cut.insert((id, other));
                    }
                }
            }
            2 => self.cut.clear(),
            3 | 4 if self.is_honest(id) => self.world.crash(id),
            5 => {
                for id in self.honest() {
                    self.world.crash(id);
                }
                self.start_all();
            }
            6 => self.start_all(),
            7 => {
                let hour = 3_600_000_000;
                let offset = [0, hour, -hour, 5_000_000][self.chance.below(4) as usize];
                self.world.node_mut(id).wall_offset = offset;
            }
            _ => self.world.node_mut(id).holds_saves = true,
        }
    }

    fn start_all(&mut self) {
        for id in self.world.ids() {
            if self.world.node(id).replica.is_none() {
                self.world.start(id, false);
            }
        }
    }

    /// Where there is room for one more among the `f`, somebody's disk may be lost.
    fn lose_a_disk(&mut self) {
        let n = self.world.nodes.len() as u64;
        let id = ReplicaId(self.chance.below(n) as u16);
        let room = self.liar.is_none() || n == 7;
        if room && self.is_honest(id) && self.chance.percent(40) {
            self.world.crash(id);
            self.world.node_mut(id).disk = Disk::default();
            self.world.start(id, true);
        }
    }

    fn heal(&mut self) {
        self.cut.clear();
        self.wire.retain(|_, flight| flight.from.0 % 2 == 0);
        (self.loss, self.doubling, self.delay) = (0, 0, 4_000);
        self.start_all();
        for id in self.world.ids() {
            self.world.node_mut(id).wall_offset = 0;
            self.world.release_saves(id);
        }
    }

    fn require_bounds(&self) {
        let window = self.world.genesis.parameters.window as usize;
        let n = self.world.nodes.len();
        for id in self.honest() {
            let Some(replica) = &self.world.node(id).replica else { continue };
            let held = replica.held();
            assert!(held.slots <= window, "{id:?} {held:?}");
            assert!(held.prepared <= window, "{id:?} {held:?}");
            assert!(held.decided <= window, "{id:?} {held:?}");
            assert!(held.bodies <= 3 * window, "{id:?} {held:?}");
            assert!(held.wanted <= 3 * window, "{id:?} {held:?}");
            assert!(held.wishes <= n, "{id:?} {held:?}");
        }
    }

    fn describe(&self) -> String {
        let mut text = format!("liar {:?}\n", self.liar);
        for client in &self.clients {
            let open = client.request.is_some();
            text += &format!("client {} number {} open {open}\n", client.id, client.number);
        }
        for id in self.world.ids() {
            let node = self.world.node(id);
            let Some(replica) = &node.replica else { continue };
            let mut rejects: BTreeMap<String, u64> = BTreeMap::new();
            for notice in node.notices.iter().rev().take(400) {
                if let Notice::Rejected(from, reject) = notice {
                    *rejects.entry(format!("{from:?} {reject:?}")).or_default() += 1;
                }
            }
            let other = node.notices.iter().filter(|one| {
                !matches!(one, Notice::Rejected(..) | Notice::Decided(..) | Notice::Executed(..))
            });
            let other: Vec<_> = other.collect();
            let last = other.len().saturating_sub(12);
            text += &format!(
                "{id:?} view {:?} active {} {:?} stable {:?} executed {:?} patience {:?} transfer {} \
                 diverged {} waits {} {:?}\n   {:?}\n   {rejects:?}\n",
                replica.view(),
                replica.is_active(),
                replica.standing(),
                replica.stable(),
                replica.executed(),
                replica.patience(),
                replica.is_in_transfer(),
                replica.is_diverged(),
                replica.waits_for(),
                replica.held(),
                &other[last..],
            );
        }
        text
    }

    /// The promise: after healing, within so many of the longest patience.
    fn require_progress(&mut self) {
        let goal: Vec<u64> = self.clients.iter().map(|client| client.done + 6).collect();
        let end = self.world.now.plus(settings().most_patience.times(8));
        let answered = self.until(end, |run| {
            run.clients.iter().zip(&goal).all(|(client, goal)| client.done >= *goal)
        });
        assert!(answered, "a client waits for ever\n{}", self.describe());
        // No client asks for anything new; all come to rest in one place.
        self.think = Span::seconds(1_000_000);
        for client in self.clients.iter_mut().filter(|client| client.request.is_none()) {
            client.retry_at = self.world.now.plus(self.think);
        }
        let end = self.world.now.plus(settings().most_patience.times(6));
        let together = self.until(end, |run| run.is_together());
        assert!(together, "they never come together\n{}", self.describe());
        self.require_bounds();
    }

    fn is_together(&self) -> bool {
        let honest = self.honest();
        let replicas: Vec<&Replica> =
            honest.iter().filter_map(|id| self.world.node(*id).replica.as_ref()).collect();
        let first = replicas[0];
        replicas.len() == honest.len()
            && self.clients.iter().all(|client| client.request.is_none())
            && replicas.iter().all(|one| {
                *one.standing() == Standing::Voting
                    && one.executed() == first.executed()
                    && one.state().digest() == first.state().digest()
                    && !one.is_in_transfer()
                    && !one.is_diverged()
            })
            && self.is_one_view(&replicas)
    }

    /// All in one view, but for at most `f` that alone have asked for another.
    fn is_one_view(&self, replicas: &[&Replica]) -> bool {
        let faults = (self.world.nodes.len() - 1) / 3;
        let active: Vec<View> =
            replicas.iter().filter(|one| one.is_active()).map(|one| one.view()).collect();
        active.len() + faults >= replicas.len() && active.windows(2).all(|pair| pair[0] == pair[1])
    }

    /// Where nobody wants anything, only statuses are said, and no view changes.
    fn require_quiet(&mut self) {
        let settle = self.world.now.plus(Span::seconds(3));
        self.until(settle, |_| false);
        let views = self.world.views();
        let (before, pairs) =
            (self.sent, (self.world.nodes.len() * (self.world.nodes.len() - 1)) as u64);
        let end = self.world.now.plus(Span::seconds(10));
        self.until(end, |_| false);
        if self.liar.is_none() {
            assert_eq!(self.world.views(), views, "{}", self.describe());
            let sent = self.sent - before;
            // Who alone has asked for another view says so a little more often.
            let all_active = self
                .world
                .ids()
                .all(|id| self.world.node(id).replica.as_ref().is_some_and(Replica::is_active));
            let most = pairs * if all_active { 12 } else { 30 };
            assert!(sent <= most, "{sent} messages in quiet\n{}", self.describe());
        }
    }
}

fn run(seed: u64) {
    let mut run = Run::new(seed);
    let end = run.world.now.plus(Span::seconds(1));
    run.until(end, |_| false);
    run.chaos();
    run.lose_a_disk();
    run.heal();
    run.require_progress();
    run.require_quiet();
}

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("FIRST_SEED").unwrap_or(0);
    first..first + number("SEEDS").unwrap_or(16)
}

#[test]
fn after_any_schedule_every_client_is_answered_and_all_come_together() {
    let mut failed = Vec::new();
    for seed in seeds() {
        let outcome = std::panic::catch_unwind(|| run(seed));
        if outcome.is_err() {
            eprintln!("^^^ seed {seed}\n");
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?} failed");
}

// Stories.

fn put(value: u64) -> Vec<u8> {
    put_under("k", value)
}

fn put_under(key: &str, value: u64) -> Vec<u8> {
    let value = value.to_string();
    KvOperation::Put { key: Blob::from(key), value: Blob::from(value.as_str()) }.to_bytes()
}

/// Client 0 writes these numbers one after the other, through one replica.
fn write(world: &mut World, numbers: std::ops::RangeInclusive<u64>, to: u16) {
    for number in numbers {
        let request = world.request(0, number, number - 1, &[&put(number)]);
        world.submit(&request, ReplicaId(to));
        world.deliver_all();
    }
}

fn suspicions(world: &World, id: u16) -> usize {
    let notices = world.nodes[usize::from(id)].notices.iter();
    notices.filter(|notice| matches!(notice, Notice::Suspects { .. })).count()
}

fn lose(world: &mut World, rule: impl Fn(&Flight) -> bool + 'static) {
    world.filters.push((String::new(), Box::new(rule)));
}

/// What a primary of the first view proposes, whoever really sends it.
fn propose(world: &mut World, primary: ReplicaId, seq: u64, batch: Batch) {
    let by = Voter { replica: primary, incarnation: Incarnation::FIRST };
    let body = PrePrepare { view: View(0), seq: Seq(seq), digest: batch.digest(), by };
    let proposal = Signed::sign(body, &world.genesis.cluster(), &key(primary));
    for to in world.ids().filter(|to| *to != primary) {
        let message = PeerMessage::Propose(proposal.clone(), Some(batch.clone()));
        world.deliver_certainly(Flight { from: primary, to, message });
    }
}

/// A primary that serves everybody in turn is fair, though each has more waiting than is
/// served within anybody's patience.
#[test]
fn a_backlog_that_is_served_in_turn_moves_no_view() {
    let parameters = quorate::message::Parameters { batch_items: 1, ..world::parameters() };
    let mut run = Run::new(0);
    run.world = World::with(4, parameters, settings());
    (run.liar, run.delay) = (None, 250_000);
    run.clients.clear();
    for number in 1..=40 {
        for client in 0..2 {
            let request = run.world.request(client, number, 0, &[&put(number)]);
            (0..4).for_each(|id| run.world.submit(&request, ReplicaId(id)));
        }
    }
    let end = run.world.now.plus(Span::seconds(60));
    run.until(end, |run| run.world.executed().iter().all(|executed| *executed >= 80));
    assert!(run.world.now.0 > 4_000_000, "the backlog lasted longer than anybody's patience");
    assert_eq!(run.world.views(), [View(0); 4], "{}", run.describe());
}

/// P11: the primary proposes everything at once, but for one number below, which it leaves
/// out until just before anybody's patience is over. It has half a pipeline in flight all
/// the time, and orders nothing.
#[test]
fn a_primary_that_is_slow_to_fill_its_gaps_is_replaced() {
    let mut world = World::new(4);
    world.crash(ReplicaId(0));
    for round in 0..8 {
        let gap = 1 + 5 * round;
        for place in 1..=4 {
            let number = 4 * round + place;
            let request = world.request(0, number, number - 1, &[&put(number)]);
            (1..4).for_each(|id| world.submit(&request, ReplicaId(id)));
            let time = world.now_at(ReplicaId(0)).wall;
            let batch = Batch::new(time, vec![Item::Request(request)]);
            propose(&mut world, ReplicaId(0), gap + place, batch);
        }
        world.pass(Span::milliseconds(900));
        let time = world.now_at(ReplicaId(0)).wall;
        propose(&mut world, ReplicaId(0), gap, Batch::new(time, vec![]));
        world.pass(Span::milliseconds(10));
    }
    let slow = |notice: &Notice| matches!(notice, Notice::Suspects { why: Suspicion::Slow, .. });
    assert!(world.nodes[1].notices.iter().any(slow), "{:?}", world.executed());
}

/// T6: what is large is not asked for as often as what is small.
#[test]
fn a_flood_of_questions_for_large_entries_is_answered_with_so_many_bytes() {
    let mut world = World::new(4);
    let value = Blob::from(vec![7; 1 << 20]);
    for number in 1..=7 {
        let operation = KvOperation::Put { key: Blob::from("k"), value: value.clone() };
        let request = world.request(0, number, number - 1, &[&operation.to_bytes()]);
        world.submit(&request, ReplicaId(0));
        world.deliver_all();
    }
    for _ in 0..200 {
        let message = PeerMessage::Fetch(Fetch::Decided(Seq(1)));
        world.deliver_certainly(Flight { from: ReplicaId(3), to: ReplicaId(0), message });
    }
    let answers = world.network.drain(..).map(|flight| wire::size(&flight.message));
    let bytes: usize = answers.sum();
    assert!(bytes > 60 << 20, "an honest laggard gets what it needs: {bytes}");
    assert!(bytes < 80 << 20, "{bytes}");
    assert!(world.rejects(0).contains(&Reject::OverQuota));
    world.pass(Span::seconds(2));
    let message = PeerMessage::Fetch(Fetch::Decided(Seq(1)));
    world.deliver_certainly(Flight { from: ReplicaId(3), to: ReplicaId(0), message });
    assert!(!world.network.is_empty(), "the quota is for a while");
}

#[test]
fn a_wish_recorded_behind_a_compaction_survives_it() {
    let parameters = quorate::message::Parameters { rotation: 1, ..world::parameters() };
    let mut world = World::with(4, parameters, settings());
    lose(&mut world, |flight| matches!(flight.message, PeerMessage::ViewChange(_)));
    write(&mut world, 1..=8, 0);
    for id in world.ids() {
        let log = &world.node(id).disk.log;
        assert!(log.iter().any(|record| matches!(record, Record::ViewChange(_))), "{id:?}");
        world.crash(id);
    }
    world.filters.clear();
    world.ids().for_each(|id| world.start(id, false));
    world.pass(Span::seconds(3));
    assert_eq!(world.views(), [View(1); 4]);
}

#[test]
fn a_decided_entry_whose_batch_is_gone_everywhere_is_passed_by_transfer() {
    let mut world = World::new(4);
    lose(&mut world, |flight| {
        use PeerMessage::{Batch, Decided, Propose};
        flight.to == ReplicaId(3) && matches!(flight.message, Propose(..) | Batch(_) | Decided(..))
    });
    write(&mut world, 1..=20, 0);
    world.filters.clear();
    world.pass(Span::seconds(5));
    assert_eq!(world.executed(), [20; 4]);
}

#[test]
fn a_replica_that_may_not_vote_yet_sets_no_deadline_that_it_cannot_meet() {
    let mut world = World::new(4);
    lose(&mut world, |flight| {
        flight.to == ReplicaId(1) && matches!(flight.message, PeerMessage::ViewChange(_))
    });
    world.crash(ReplicaId(0));
    let request = world.request(0, 1, 0, &[&put(1)]);
    (1..4).for_each(|id| world.submit(&request, ReplicaId(id)));
    world.pass(Span::milliseconds(1_500));
    world.crash(ReplicaId(3));
    lose(&mut world, |flight| {
        flight.to == ReplicaId(3) && matches!(flight.message, PeerMessage::StartAnswer(_))
    });
    world.start(ReplicaId(3), false);
    world.pass(Span::seconds(20));
}

#[test]
fn a_primary_that_orders_nothing_but_fill_ups_is_replaced() {
    let mut world = World::new(4);
    world.crash(ReplicaId(0));
    let request = world.request(0, 1, 0, &[&put(1)]);
    (1..4).for_each(|id| world.submit(&request, ReplicaId(id)));
    for seq in 1..=30 {
        let time = world.now_at(ReplicaId(0)).wall;
        propose(&mut world, ReplicaId(0), seq, Batch::new(time, vec![]));
        world.pass(Span::milliseconds(100));
    }
    assert!(world.replies(0, 1).len() >= 3, "{:?} {:?}", world.views(), world.executed());
}

#[test]
fn a_primary_that_orders_nothing_but_what_was_executed_is_replaced() {
    let mut world = World::new(4);
    let old = world.request(0, 1, 0, &[&put(1)]);
    world.submit(&old, ReplicaId(0));
    world.deliver_all();
    world.crash(ReplicaId(0));
    let request = world.request(0, 2, 0, &[&put(2)]);
    (1..4).for_each(|id| world.submit(&request, ReplicaId(id)));
    for seq in 2..=30 {
        let time = world.now_at(ReplicaId(0)).wall;
        propose(&mut world, ReplicaId(0), seq, Batch::new(time, vec![Item::Request(old.clone())]));
        world.pass(Span::milliseconds(100));
    }
    assert!(world.replies(0, 2).len() >= 3, "{:?} {:?}", world.views(), world.executed());
}

#[test]
fn a_transfer_whose_state_is_gone_turns_to_a_later_one_though_a_source_is_silent() {
    let to_the_last = |flight: &Flight| flight.to == ReplicaId(3);
    let mut world = World::new(4);
    lose(&mut world, move |flight| to_the_last(flight));
    write(&mut world, 1..=20, 0);
    world.filters.clear();
    lose(&mut world, move |flight| {
        to_the_last(flight) && matches!(flight.message, PeerMessage::Part(..))
    });
    world.pass(Span::seconds(2));
    assert!(world.replica(3).is_in_transfer());
    lose(&mut world, move |flight| {
        use PeerMessage::{Checkpoint, Stable};
        to_the_last(flight) && matches!(flight.message, Stable(_) | Checkpoint(_))
    });
    write(&mut world, 21..=50, 0);
    world.crash(ReplicaId(2));
    world.pass(Span::seconds(2));
    world.filters.clear();
    world.pass(Span::seconds(5));
    assert_eq!(world.executed(), [50, 50, 0, 50]);
}

#[test]
fn a_part_that_comes_late_is_taken_all_the_same() {
    let mut world = World::new(4);
    lose(&mut world, |flight| flight.to == ReplicaId(3));
    write(&mut world, 1..=20, 0);
    world.filters.clear();
    // Everything that concerns the last takes longer than it waits for an answer.
    let mut run = Run::new(0);
    run.liar = None;
    run.world = world;
    run.clients.clear();
    (run.delay, run.slow) = (1_000, Some((ReplicaId(3), 350_000)));
    let end = run.world.now.plus(Span::seconds(20));
    run.until(end, |_| false);
    assert_eq!(run.world.executed(), [20; 4], "{}", run.describe());
}

#[test]
fn a_recovery_that_was_skipped_by_transfer_is_waited_for_no_more() {
    let patient = Settings { patience: Span::seconds(20), ..Settings::default() };
    let mut world = World::with(7, world::parameters(), patient);
    write(&mut world, 1..=3, 0);
    lose(&mut world, |flight| {
        flight.to == ReplicaId(5) && !matches!(flight.message, PeerMessage::Recovery(_))
    });
    world.crash(ReplicaId(6));
    world.node_mut(ReplicaId(6)).disk = Disk::default();
    world.start(ReplicaId(6), true);
    world.pass(Span::seconds(5));
    world.filters.clear();
    world.pass(Span::seconds(60));
    assert_eq!(*world.replica(6).standing(), Standing::Voting);
    assert_eq!(suspicions(&world, 5), 0);
}

#[test]
fn a_slow_disk_after_a_recovery_is_not_taken_for_a_faulty_primary() {
    let mut world = World::new(7);
    write(&mut world, 1..=3, 0);
    world.node_mut(ReplicaId(5)).holds_saves = true;
    world.crash(ReplicaId(6));
    world.node_mut(ReplicaId(6)).disk = Disk::default();
    world.start(ReplicaId(6), true);
    world.pass(Span::seconds(20));
    assert_eq!(*world.replica(6).standing(), Standing::Voting);
    assert_eq!(suspicions(&world, 5), 0);
}

#[test]
fn agreed_time_ahead_of_all_clocks_stops_nobody() {
    let mut world = World::new(4);
    world.nodes.iter_mut().for_each(|node| node.wall_offset = 3_600_000_000);
    write(&mut world, 1..=1, 0);
    world.nodes.iter_mut().for_each(|node| node.wall_offset = 0);
    write(&mut world, 2..=2, 0);
    assert_eq!(world.executed(), [2; 4]);
}

#[test]
fn a_flood_of_statuses_is_answered_at_a_bounded_rate() {
    let mut world = World::new(4);
    write(&mut world, 1..=7, 0);
    world.pass(Span::seconds(2));
    for _ in 0..100 {
        let status = Status {
            view: View(0),
            active: true,
            stable: Seq(0),
            executed: Seq(0),
            slots: Vec::new().into(),
            view_changes: Vec::new().into(),
        };
        let message = PeerMessage::Status(status);
        world.deliver_certainly(Flight { from: ReplicaId(3), to: ReplicaId(0), message });
    }
    assert!(world.network.len() <= 3 * 7, "{} answers", world.network.len());
}

#[test]
fn an_orderly_rotation_makes_nobody_wait_longer() {
    let parameters = quorate::message::Parameters { rotation: 1, ..world::parameters() };
    let mut world = World::with(4, parameters, settings());
    for number in 1..=60 {
        let primary = (world.replica(1).view().0 % 4) as u16;
        write(&mut world, number..=number, primary);
    }
    for id in 0..4 {
        assert_eq!(world.replica(id).patience(), settings().patience);
    }
}

#[test]
fn what_was_chosen_above_a_laggards_window_is_voted_on_once_the_window_moves() {
    let mut world = World::new(4);
    write(&mut world, 1..=3, 0);
    world.node_mut(ReplicaId(3)).holds_saves = true;
    write(&mut world, 4..=40, 0);
    world.pass(Span::seconds(2));
    lose(
        &mut world,
        |flight| matches!(&flight.message, PeerMessage::Commit(vote) if vote.body.seq > Seq(40)),
    );
    write(&mut world, 41..=44, 0);
    world.crash(ReplicaId(0));
    world.pass(Span::milliseconds(1_300));
    world.filters.clear();
    assert_eq!(world.views(), [View(1); 3]);
    world.release_saves(ReplicaId(3));
    world.pass(Span::milliseconds(600));
    assert_eq!(world.executed(), [0, 44, 44, 44]);
    assert_eq!(world.views(), [View(1); 3]);
}

#[test]
fn what_the_log_holds_undecided_is_waited_for_after_a_restart() {
    let mut world = World::new(4);
    lose(&mut world, |flight| {
        let is_prepare = matches!(flight.message, PeerMessage::Prepare(_));
        matches!(flight.message, PeerMessage::Commit(_)) || is_prepare && flight.to != ReplicaId(1)
    });
    write(&mut world, 1..=1, 0);
    world.ids().for_each(|id| world.crash(id));
    world.filters.clear();
    (1..4).for_each(|id| world.start(ReplicaId(id), false));
    world.pass(Span::seconds(6));
    assert_eq!(world.executed(), [0, 1, 1, 1]);
}

#[test]
fn a_lost_relay_in_an_idle_cluster_is_made_good_by_the_next_status() {
    let mut world = World::new(4);
    world.pass(Span::milliseconds(3_010));
    lose(&mut world, |flight| matches!(flight.message, PeerMessage::Relay(_)));
    let request = world.request(0, 1, 0, &[&put(1)]);
    world.submit(&request, ReplicaId(1));
    world.deliver_all();
    world.filters.clear();
    world.pass(settings().status_interval.times(2));
    assert_eq!(world.executed(), [1; 4]);
}

#[test]
fn batches_that_no_view_decided_are_not_kept_for_ever() {
    let mut world = World::with(4, world::parameters(), settings());
    lose(&mut world, |flight| matches!(flight.message, PeerMessage::Prepare(_)));
    let request = world.request(0, 1, 0, &[&put(1)]);
    (0..4).for_each(|id| world.submit(&request, ReplicaId(id)));
    world.pass(Span::seconds(120));
    for id in 0..4 {
        assert!(world.replica(id).held().bodies <= 2, "{:?}", world.replica(id).held());
    }
}

#[test]
fn a_vote_far_ahead_does_not_put_off_the_fair_round() {
    let mut world = World::new(4);
    world.crash(ReplicaId(0));
    let by = Voter { replica: ReplicaId(0), incarnation: Incarnation::FIRST };
    let far = Commit { view: View(0), seq: Seq(32), digest: Digest([7; 32]), by };
    let far = Signed::sign(far, &world.genesis.cluster(), &key(ReplicaId(0)));
    for to in (1..4).map(ReplicaId) {
        let message = PeerMessage::Commit(far.clone());
        world.deliver_certainly(Flight { from: ReplicaId(0), to, message });
    }
    let request = world.request(0, 1, 0, &[&put(1)]);
    (1..4).for_each(|id| world.submit(&request, ReplicaId(id)));
    for seq in 1..=25 {
        let time = world.now_at(ReplicaId(0)).wall;
        let other = world.request(1, seq, seq - 1, &[&put(seq)]);
        propose(&mut world, ReplicaId(0), seq, Batch::new(time, vec![Item::Request(other)]));
        world.pass(Span::milliseconds(300));
    }
    assert!(world.replies(0, 1).len() >= 3, "{:?} {:?}", world.views(), world.executed());
}

#[test]
fn numbers_beyond_any_window_do_not_wait_across_a_view_change() {
    let mut world = World::new(4);
    world.crash(ReplicaId(0));
    lose(&mut world, |flight| matches!(flight.message, PeerMessage::Prepare(_)));
    let far = (1..=50).map(|number| world.request(1, 1_000_000 * number, 0, &[&put(1)]));
    let far = far.map(Item::Request).collect();
    let time = world.now_at(ReplicaId(0)).wall;
    propose(&mut world, ReplicaId(0), 1, Batch::new(time, far));
    world.pass(Span::milliseconds(1_500));
    assert_eq!(world.views(), [View(1); 3]);
    assert_eq!(world.replica(2).held().waiting, 0);
}

#[test]
fn a_decided_entry_whose_batch_comes_with_its_proposal_is_executed() {
    let mut world = World::new(4);
    lose(&mut world, |flight| {
        use PeerMessage::{Batch, Decided, Propose};
        flight.to == ReplicaId(3) && matches!(flight.message, Propose(..) | Batch(_) | Decided(..))
    });
    let request = world.request(0, 1, 0, &[&put(1)]);
    world.submit(&request, ReplicaId(0));
    let is_late = |flight: &&Flight| {
        flight.to == ReplicaId(3) && matches!(flight.message, PeerMessage::Propose(..))
    };
    let late = world.network.iter().find(is_late).expect("it was proposed").clone();
    world.deliver_all();
    world.deliver_certainly(late);
    assert_eq!(world.executed(), [1; 4]);
}

#[test]
fn what_was_executed_before_a_restart_is_voted_on_again_for_who_lacks_it() {
    let mut world = World::new(4);
    world.crash(ReplicaId(2));
    lose(&mut world, |flight| {
        use PeerMessage::{Checkpoint, Commit, Decided, Stable};
        flight.to == ReplicaId(3)
            && matches!(flight.message, Commit(_) | Decided(..) | Checkpoint(_) | Stable(_))
    });
    write(&mut world, 1..=9, 0);
    assert_eq!(world.executed(), [9, 9, 0, 0]);
    lose(&mut world, |flight| {
        matches!(flight.message, PeerMessage::Prepare(_) | PeerMessage::Propose(..))
    });
    let request = world.request(0, 10, 9, &[&put(10)]);
    world.ids().for_each(|id| world.submit(&request, id));
    world.pass(Span::milliseconds(1_500));
    assert_eq!(world.views(), [View(1); 3]);
    let three = [0, 1, 3].map(ReplicaId);
    three.into_iter().for_each(|id| world.crash(id));
    world.filters.clear();
    three.into_iter().for_each(|id| world.start(id, false));
    world.pass(Span::seconds(3));
    assert_eq!(world.executed(), [10, 10, 0, 10]);
}

/// None of its questions is refused, though its sources answer at once, and with as little
/// as may be: it would wait in vain for the answer.
#[test]
fn a_fetching_replica_keeps_within_its_sources_quotas() {
    const KEYS: u64 = 20_000;
    let mut world = World::new(4);
    world.crash(ReplicaId(3));
    for (bundle, keys) in (0..KEYS).collect::<Vec<_>>().chunks(256).enumerate() {
        let puts: Vec<Vec<u8>> = keys.iter().map(|key| put_under(&key.to_string(), 1)).collect();
        let puts: Vec<&[u8]> = puts.iter().map(Vec::as_slice).collect();
        let number = 1 + 256 * bundle as u64;
        let request = world.request(0, number, number - 1, &puts);
        world.submit(&request, ReplicaId(0));
        world.deliver_all();
    }
    let asked = Rc::new(Cell::new(0));
    let count = Rc::clone(&asked);
    world.alters = Some(Box::new(move |flight| {
        if let PeerMessage::Fetch(Fetch::Part(_, _, since, bytes)) = &mut flight.message {
            (*since, *bytes) = (None, 0);
            count.set(count.get() + 1);
        }
    }));
    world.start(ReplicaId(3), false);
    let begin = world.now;
    while world.executed()[3] < world.executed()[0] {
        world.pass(Span::milliseconds(10));
        assert!(world.now.since(begin) < Span::seconds(60), "{:?}", world.executed());
    }
    for source in 0..3 {
        assert!(!world.rejects(source).contains(&Reject::OverQuota), "{source}");
    }
    // More than they would have answered at once.
    assert!(asked.get() > 3 * 1_024, "{}", asked.get());
}
