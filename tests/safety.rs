//! Stories of promises: what a replica has signed binds it across restarts, compactions
//! and lives, and nothing else does.

mod world;

use quorate::message::{
    Evidence, PeerMessage, Prepare, RecoveryRequest, Signed, ViewChange, Voter,
};
use quorate::replica::{Durable, Input, Outgoing, Record, Standing};
use quorate::service::kv::{KeyValue, KvOperation};
use quorate::service::{self, Context, Data, KeyRange, Service};
use quorate::types::{ClientId, Digest, Incarnation, Nonce, ReplicaId, Seq, Span, View};
use quorate::wire::{Blob, List};
use std::sync::Arc;
use world::{Disk, Flight, World, parameters, replica_key};

const R0: ReplicaId = ReplicaId(0);
const R1: ReplicaId = ReplicaId(1);
const R2: ReplicaId = ReplicaId(2);
const R3: ReplicaId = ReplicaId(3);

/// A replica asks for a view within the very input that makes a checkpoint stable: the
/// log is compacted and the wish recorded at once, and neither may cost the other.
#[test]
fn a_view_asked_for_at_a_checkpoint_is_still_asked_for_after_a_restart() {
    let rotating = quorate::message::Parameters { rotation: 1, ..parameters() };
    let mut world = World::with(4, rotating, Default::default());
    lose(&mut world, |flight| matches!(flight.message, PeerMessage::ViewChange(_)));
    order(&mut world, 1..=8);
    assert_eq!(world.views(), [View(1); 4]);
    assert!(!world.replica(1).is_active());

    world.crash(R1);
    world.start(R1, false);
    assert_eq!(world.replica(1).view(), View(1));
    assert!(!world.replica(1).is_active(), "it would vote in a view that it has left");
    world.deliver_all();
    assert_eq!(*world.replica(1).standing(), Standing::Voting);
}

/// A wish that its author's new life makes void is no wish any more, but it binds its
/// author all the same.
#[test]
fn a_new_life_does_not_lead_back_into_a_view_that_was_left() {
    let mut world = World::new(4);
    order(&mut world, 1..=2);
    isolate(&mut world, R3);
    let request = world.request(1, 1, 0, &[&put("b", "b")]);
    world.submit(&request, R3);
    world.pass(Span::seconds(2));
    assert_eq!(world.replica(3).view(), View(1));

    world.filters.clear();
    lose(&mut world, |flight| {
        let helps = matches!(
            flight.message,
            PeerMessage::Decided(..) | PeerMessage::Status(_) | PeerMessage::Checkpoint(_)
        );
        let asks = matches!(flight.message, PeerMessage::Fetch(_) | PeerMessage::Status(_));
        (flight.to == R3 && !helps) || (flight.from == R3 && !asks)
    });
    late_command(&mut world, R3, Nonce(99));
    // The others keep their logs until it has executed what they have.
    for _ in 0..2 {
        [R0, R1, R2].into_iter().for_each(|id| world.node_mut(id).holds_saves = true);
        world.pass(Span::milliseconds(1_400));
        [R0, R1, R2].into_iter().for_each(|id| world.release_saves(id));
        world.deliver_all();
    }
    assert!(world.replica(3).stable() >= Seq(40));
    assert!(!world.replica(3).is_active());

    world.crash(R3);
    world.start(R3, false);
    assert!(world.replica(3).view() > View(0), "it would vote in a view that it has left");
    assert!(!world.replica(3).is_active());
}

/// The second restart finds what the first one wrote.
#[test]
fn a_recovered_replica_votes_after_every_restart() {
    let mut world = World::new(4);
    order(&mut world, 1..=3);
    lose_disk(&mut world, R3);
    world.pass(Span::seconds(10));
    assert_eq!(*world.replica(3).standing(), Standing::Voting);
    let mut nonces = Vec::new();
    for _ in 0..3 {
        world.crash(R3);
        world.start(R3, false);
        nonces.extend(world.network.iter().find_map(|flight| match flight.message {
            PeerMessage::StartQuery(nonce) if flight.from == R3 => Some(nonce),
            _ => None,
        }));
        world.deliver_all();
        assert_eq!(*world.replica(3).standing(), Standing::Voting);
    }
    nonces.dedup();
    assert_eq!(nonces.len(), 3, "every start asks under a nonce of its own");
}

/// The log may end between the stable checkpoint that ended a recovery and the record that
/// says so. Then nobody orders anything, and the others are one fewer.
#[test]
fn a_recovery_that_was_done_but_not_recorded_is_done_after_a_restart() {
    let mut world = World::new(4);
    order(&mut world, 1..=3);
    world.node_mut(R3).keeps_whole_log = true;
    lose_disk(&mut world, R3);
    world.pass(Span::seconds(10));
    assert_eq!(*world.replica(3).standing(), Standing::Voting);
    world.crash(R3);
    let log = &mut world.node_mut(R3).disk.log;
    let done = log.iter().position(|record| matches!(record, Record::Recovered(_)));
    log.truncate(done.expect("it said so"));
    assert!(log.iter().any(|record| matches!(record, Record::Recovering(_))));
    world.crash(R0);
    world.start(R3, false);
    world.pass(Span::seconds(1));
    assert_eq!(*world.replica(3).standing(), Standing::Voting);
}

/// What a primary proposed in opening a view binds it also when the log is compacted
/// after that view is over; others who show it prove no rollback.
#[test]
fn a_primary_remembers_the_opening_of_a_view_that_is_over() {
    let mut world = World::new(4);
    order(&mut world, 1..=6);
    lose(&mut world, |flight| matches!(flight.message, PeerMessage::Commit(_)));
    for number in 7..=12 {
        let request = world.request(0, number, number - 1, &[&put("a", "a")]);
        for id in world.ids() {
            world.submit(&request, id);
        }
    }
    world.deliver_all();
    while world.views() != [View(1); 4] || !world.replica(1).is_active() {
        world.pass(Span::milliseconds(100));
    }
    let log = &world.node(R1).disk.log;
    let opening = log.iter().find_map(|record| match record {
        Record::NewView(opening, _) => Some(opening.body.clone()),
        _ => None,
    });
    let last = opening.expect("it opened the view").pre_prepares.last().cloned();
    let last = last.expect("what was prepared is chosen");
    assert!(last.body.seq > Seq(8));
    let batch = world.node(R0).disk.log.iter().find_map(|record| match record {
        Record::PrePrepare(proposal, batch) if proposal.body.digest == last.body.digest => {
            batch.clone()
        }
        _ => None,
    });
    for to in [R0, R2, R3] {
        let message = PeerMessage::Propose(last.clone(), batch.clone());
        world.deliver_certainly(Flight { from: R1, to, message });
    }
    while world.views() != [View(2); 4] {
        world.pass(Span::milliseconds(100));
    }
    world.filters.clear();
    world.pass(Span::seconds(3));
    assert_eq!(world.replica(1).stable(), Seq(8));

    world.crash(R1);
    world.start(R1, false);
    world.deliver_all();
    assert_eq!(*world.replica(1).standing(), Standing::Voting);
}

/// A compaction is a permission. Whether it is made use of before a crash or not, the
/// checkpoint stays stable.
#[test]
fn a_stable_checkpoint_outlives_a_crash_before_the_compaction() {
    let mut world = World::new(4);
    world.nodes.iter_mut().for_each(|node| node.keeps_whole_log = true);
    order(&mut world, 1..=45);
    assert_eq!(world.replica(2).stable(), Seq(40));
    world.crash(R2);
    world.start(R2, false);
    assert_eq!(world.replica(2).stable(), Seq(40));
    assert!(world.replica(2).stable_certificate().is_some());
}

/// A replica that may not vote yet cannot ask for the next view either, and doesn't
/// wake up for it again and again.
#[test]
fn a_starting_replica_does_not_wait_for_the_opening_of_a_view() {
    let mut world = World::new(4);
    order(&mut world, 1..=2);
    isolate(&mut world, R3);
    let request = world.request(1, 1, 0, &[&put("b", "b")]);
    world.submit(&request, R3);
    world.pass(Span::seconds(2));
    assert_eq!(world.replica(3).view(), View(1));
    world.crash(R3);
    world.start(R3, false);
    for other in [R1, R2] {
        let message = wish(&world, other, Incarnation::FIRST, View(1));
        world.deliver_certainly(Flight { from: other, to: R3, message });
    }
    world.pass(Span::seconds(5));
    assert!(world.replica(3).next_deadline() > world.now);
}

/// A state that is fetched may lie beyond the beginning of somebody's new life; what
/// that one said about views before is void as if it had been executed here.
#[test]
fn a_transfer_past_a_new_life_voids_the_old_wish() {
    let mut world = World::new(4);
    order(&mut world, 1..=2);
    let old = wish(&world, R2, Incarnation::FIRST, View(1));
    world.deliver_certainly(Flight { from: R2, to: R3, message: old });
    isolate(&mut world, R3);
    late_command(&mut world, R2, Nonce(99));
    world.pass(Span::seconds(5));
    order(&mut world, 3..=60);
    world.filters.clear();
    world.pass(Span::seconds(3));
    assert_eq!(world.executed()[3], world.executed()[0]);
    assert_eq!(world.views(), [View(0); 4]);

    let message = wish(&world, R1, Incarnation::FIRST, View(1));
    world.deliver_certainly(Flight { from: R1, to: R3, message });
    assert_eq!(world.replica(3).view(), View(0), "one true wish is not enough to join");
}

/// Somebody kept an old command of a replica and releases it while the fresh one waits
/// for its turn.
#[test]
fn an_old_recovery_released_late_does_not_displace_the_fresh_one() {
    let mut world = World::new(4);
    order(&mut world, 1..=3);
    late_command(&mut world, R2, Nonce(99));
    lose_disk(&mut world, R3);
    world.pass(Span::milliseconds(300));
    late_command(&mut world, R3, Nonce(98));
    world.pass(Span::seconds(20));
    assert_eq!(*world.replica(3).standing(), Standing::Voting);
}

/// Somebody prepares what was never proposed, and is shown the proposal: but no sooner
/// than that is on disk, or a crash would let the primary propose otherwise.
#[test]
fn a_proposal_is_shown_to_a_liar_only_when_it_is_on_disk() {
    let mut world = World::new(4);
    let request = world.request(0, 1, 0, &[&put("a", "a")]);
    world.submit(&request, R0);
    let by = Voter { replica: R3, incarnation: Incarnation::FIRST };
    let body = Prepare { view: View(0), seq: Seq(1), digest: Digest::of(b"else"), by };
    let vote = Signed::sign(body, &world.genesis.cluster(), &replica_key(3));
    let message = world.verifier.peer(PeerMessage::Prepare(vote)).expect("well signed");
    let now = world.now_at(R0);
    let primary = world.node_mut(R0).replica.as_mut().expect("it runs");
    let effects = primary.handle(now, Input::Peer { from: R3, message: Box::new(message) });
    let parts = effects.into_parts();
    let is_proposal = |outgoing: &Outgoing| matches!(outgoing, Outgoing::Peer(_, message) if matches!(**message, PeerMessage::Propose(..)));
    assert!(!parts.free.iter().any(is_proposal));
    assert!(parts.bound.release(&Durable::after_sync()).iter().any(is_proposal));
}

/// A replica enters a view whose numbers lie above its window. When its window has moved,
/// what the view chose for them is acceptable like before, and the view lasts.
#[test]
fn a_laggard_takes_part_in_what_a_view_chose_once_it_has_caught_up() {
    let mut world = World::new(4);
    isolate(&mut world, R3);
    order(&mut world, 1..=40);
    lose(&mut world, |flight| matches!(flight.message, PeerMessage::Commit(_)));
    order(&mut world, 41..=43);
    world.crash(R0);
    world.filters.clear();
    lose(&mut world, |flight| {
        let helps = matches!(flight.message, PeerMessage::Part(..) | PeerMessage::Decided(..));
        matches!(flight.message, PeerMessage::Commit(_)) || (flight.to == R3 && helps)
    });
    let request = world.request(1, 1, 0, &[&put("b", "b")]);
    for id in [R1, R2, R3] {
        world.submit(&request, id);
    }
    while !(world.replica(3).view() == View(1) && world.replica(3).is_active()) {
        world.pass(Span::milliseconds(50));
    }
    assert_eq!(world.replica(3).executed(), Seq(0));
    world.filters.clear();
    world.pass(Span::milliseconds(1_500));
    assert_eq!(world.executed()[1..], [44; 3]);
    assert_eq!(world.views(), [View(1); 3]);
}

/// Lives can be made up; liars can't.
#[test]
fn one_liar_is_convicted_once_however_many_lives_it_makes_up() {
    let mut world = World::new(4);
    for life in 0..3 {
        let sign = |what: &[u8]| {
            let by = Voter { replica: R3, incarnation: Incarnation(life) };
            let body = Prepare { view: View(0), seq: Seq(1), digest: Digest::of(what), by };
            Signed::sign(body, &world.genesis.cluster(), &replica_key(3))
        };
        let message = PeerMessage::Evidence(Evidence::Prepare(sign(b"one"), sign(b"other")));
        world.deliver_certainly(Flight { from: R3, to: R1, message });
    }
    assert_eq!(world.replica(1).evidence().len(), 1);
}

/// A service that is not alike everywhere.
struct Odd;

impl Service for Odd {
    fn apply(&self, context: &Context, operation: &[u8], data: &mut Data<'_>) -> Vec<u8> {
        data.put(b"odd", "one out");
        KeyValue.apply(context, operation, data)
    }

    fn query(&self, client: ClientId, operation: &[u8], data: &service::View<'_>) -> Vec<u8> {
        KeyValue.query(client, operation, data)
    }

    fn proof_range(&self, operation: &[u8]) -> Option<KeyRange> {
        KeyValue.proof_range(operation)
    }
}

/// S16: a state that was found to be wrong is not the only one. Those after it followed from
/// it, and the next start must not go on from there.
#[test]
fn a_diverged_replica_does_not_start_from_what_followed_from_its_wrong_state() {
    let mut world = World::new(4);
    world.crash(R3);
    world.service = Arc::new(Odd);
    world.start(R3, false);
    world.deliver_all();
    world.service = Arc::new(KeyValue);
    lose(&mut world, |flight| {
        let tells = matches!(flight.message, PeerMessage::Checkpoint(_) | PeerMessage::Stable(_));
        flight.to == R3 && tells
    });
    order(&mut world, 1..=17);
    [R0, R1, R2].into_iter().for_each(|id| world.node_mut(id).holds_saves = true);
    order(&mut world, 18..=26);
    assert!(world.node(R3).disk.states.contains_key(&Seq(24)));

    world.crash(R3);
    world.filters.clear();
    lose(&mut world, |flight| {
        let orders = matches!(flight.message, PeerMessage::Commit(_) | PeerMessage::Decided(..));
        flight.to == R3 && orders
    });
    world.start(R3, false);
    world.pass(Span::seconds(2));
    assert_eq!(world.replica(3).stable(), Seq(16), "it has found out, and has the true state");
    world.crash(R3);
    world.start(R3, false);
    assert_eq!(world.executed()[3], 16);
    world.filters.clear();
    [R0, R1, R2].into_iter().for_each(|id| world.release_saves(id));
    world.pass(Span::seconds(2));
    assert_eq!(world.digests()[3], world.digests()[0]);
}

/// S10: everybody restarts, and one comes back without its disk. What the others heard of
/// it they have forgotten, but its votes stand in their certificates.
#[test]
fn a_wiped_replica_is_found_out_by_its_votes_in_certificates() {
    let mut world = World::new(4);
    isolate(&mut world, R2);
    order(&mut world, 1..=3);
    world.ids().for_each(|id| world.crash(id));
    world.node_mut(R3).disk = Disk::default();
    world.ids().for_each(|id| world.start(id, false));
    world.deliver_all();
    assert_eq!(*world.replica(3).standing(), Standing::Halted);
}

// What the stories are told with.

fn put(key: &str, value: &str) -> Vec<u8> {
    KvOperation::Put { key: Blob::from(key), value: Blob::from(value) }.to_bytes()
}

/// Lets client 0 write so often, one after the other.
fn order(world: &mut World, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        let request = world.request(0, number, number - 1, &[&put("a", &number.to_string())]);
        world.submit(&request, R0);
        world.deliver_all();
    }
}

fn lose(world: &mut World, rule: impl Fn(&Flight) -> bool + 'static) {
    world.filters.push(("a story's".into(), Box::new(rule)));
}

fn isolate(world: &mut World, id: ReplicaId) {
    lose(world, move |flight| flight.to == id || flight.from == id);
}

fn lose_disk(world: &mut World, id: ReplicaId) {
    world.crash(id);
    world.node_mut(id).disk = Disk::default();
    world.start(id, true);
}

/// Shows the primary a recovery command that a replica signed some time.
fn late_command(world: &mut World, replica: ReplicaId, nonce: Nonce) {
    let body = RecoveryRequest { replica, nonce };
    let signed = Signed::sign(body, &world.genesis.cluster(), &replica_key(replica.0));
    let message = PeerMessage::Recovery(signed);
    world.deliver_certainly(Flight { from: R1, to: R0, message });
    world.deliver_all();
}

fn wish(world: &World, replica: ReplicaId, incarnation: Incarnation, view: View) -> PeerMessage {
    let by = Voter { replica, incarnation };
    let body = ViewChange { view, by, stable: None, prepared: List::default() };
    PeerMessage::ViewChange(Signed::sign(body, &world.genesis.cluster(), &replica_key(replica.0)))
}
