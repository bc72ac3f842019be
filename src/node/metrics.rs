//! What a node counts and measures, under the names that a monitoring system scrapes.
//!
//! Each node has a registry of its own, so that several can live in one process. What
//! mirrors the replica's state is set when somebody scrapes, from the last [`Status`].

use super::inbox::Depth;
use super::status::Status;
use crate::message::Reject;
use crate::types::ReplicaId;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::{Mutex, PoisonError};

/// Something that was not taken: whose it was and why.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RejectLabels {
    from: String,
    cause: String,
}

/// One of several causes or kinds.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CauseLabel {
    cause: String,
}

/// One of the peers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct PeerLabel {
    peer: u64,
}

/// Replicas or clients.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ToLabel {
    to: &'static str,
}

/// The phases that an entry goes through here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// From the proposal to the prepared certificate.
    Prepare,
    /// From there to the decision.
    Commit,
    /// From there to the execution.
    Execute,
    /// From the proposal to the execution.
    Whole,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

impl Phase {
    fn label(self) -> PhaseLabel {
        let phase = match self {
            Phase::Prepare => "prepare",
            Phase::Commit => "commit",
            Phase::Execute => "execute",
            Phase::Whole => "whole",
        };
        PhaseLabel { phase }
    }
}

/// Where something that was not taken came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum From {
    /// A peer.
    Peer(ReplicaId),
    /// Any client: there may be too many to name.
    Clients,
}

fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 18))
}

fn sizes() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 12))
}

/// See the module's head.
pub(super) struct Metrics {
    registry: Mutex<Registry>,
    rejects: Family<RejectLabels, Counter>,
    phases: Family<PhaseLabel, Histogram, fn() -> Histogram>,
    /// Items in a batch that was proposed or agreed to.
    pub(super) batch_items: Histogram,
    /// Seconds that a sync of the log took.
    pub(super) syncs: Histogram,
    /// Inputs handled between two syncs.
    pub(super) inputs: Histogram,
    /// View changes that this replica asked for, by reason.
    suspicions: Family<CauseLabel, Counter>,
    /// Entries executed.
    pub(super) executions: Counter,
    /// Stable checkpoints.
    pub(super) checkpoints: Counter,
    /// State transfers begun.
    pub(super) transfers: Counter,
    /// Parts of a state received and found right.
    pub(super) transferred_parts: Counter,
    /// Their bytes.
    pub(super) transferred_bytes: Counter,
    /// Views entered.
    pub(super) views: Counter,
    /// States that are on disk.
    pub(super) saves: Counter,
    /// Relayed requests dropped because too many waited.
    pub(super) relays_dropped: Counter,
    /// Connections ended for what came over them.
    disconnections: Family<CauseLabel, Counter>,
    refusals: Family<CauseLabel, Counter>,
    posted: Family<ToLabel, Counter>,
    dropped: Family<PeerLabel, Counter>,
    states: States,
}

/// What mirrors the replica's state.
#[derive(Default)]
struct States {
    view: Gauge,
    is_primary: Gauge,
    is_voting: Gauge,
    is_running: Gauge,
    is_saving: Gauge,
    waiting_states: Gauge,
    executed: Gauge,
    stable: Gauge,
    lag: Gauge,
    patience: Gauge<f64, std::sync::atomic::AtomicU64>,
    evidence: Gauge,
    transferring: Gauge,
    peers_connected: Gauge,
    clients_connected: Gauge,
    waiting_peers: Gauge,
    waiting_clients: Gauge,
    waiting_bytes: Gauge,
    outbox_bytes: Family<PeerLabel, Gauge>,
}

/// What is read off the connections at a scrape.
#[derive(Default)]
pub(super) struct Traffic {
    /// Waiting for the replica.
    pub(super) depth: Depth,
    /// How many clients are connected.
    pub(super) clients: usize,
    /// For each peer: whether connected, bytes waiting, frames dropped.
    pub(super) links: Vec<(ReplicaId, bool, usize, u64)>,
    /// Bytes of frames that were put where they wait to be sent, since the start.
    pub(super) posted: [(&'static str, u64); 2],
    /// Connections refused, by cause.
    pub(super) refusals: Vec<(&'static str, u64)>,
}

impl Metrics {
    pub(super) fn new() -> Metrics {
        let metrics = Metrics {
            registry: Mutex::default(),
            rejects: Family::default(),
            phases: Family::new_with_constructor(durations),
            batch_items: sizes(),
            syncs: durations(),
            inputs: sizes(),
            suspicions: Family::default(),
            executions: Counter::default(),
            checkpoints: Counter::default(),
            transfers: Counter::default(),
            transferred_parts: Counter::default(),
            transferred_bytes: Counter::default(),
            views: Counter::default(),
            saves: Counter::default(),
            relays_dropped: Counter::default(),
            disconnections: Family::default(),
            refusals: Family::default(),
            posted: Family::default(),
            dropped: Family::default(),
            states: States::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let quorate = registry.sub_registry_with_prefix("quorate");
        quorate.register("rejects", "Messages not taken", self.rejects.clone());
        quorate.register("phase_seconds", "Time in each phase of an entry", self.phases.clone());
        quorate.register("batch_items", "Items in a batch", self.batch_items.clone());
        quorate.register("sync_seconds", "Time of a sync of the log", self.syncs.clone());
        quorate.register("step_inputs", "Inputs that one sync served", self.inputs.clone());
        quorate.register("suspicions", "View changes asked for", self.suspicions.clone());
        quorate.register("executions", "Entries executed", self.executions.clone());
        quorate.register("checkpoints", "Stable checkpoints", self.checkpoints.clone());
        quorate.register("transfers", "State transfers begun", self.transfers.clone());
        quorate.register(
            "transferred_parts",
            "Parts of a state received and verified",
            self.transferred_parts.clone(),
        );
        quorate.register(
            "transferred_bytes",
            "Bytes of parts of a state received and verified",
            self.transferred_bytes.clone(),
        );
        quorate.register("views_entered", "Views entered", self.views.clone());
        quorate.register("saves", "States of checkpoints written to disk", self.saves.clone());
        quorate.register("posted_bytes", "Bytes of frames to be sent", self.posted.clone());
        quorate.register(
            "relays_dropped",
            "Relayed requests dropped because too many waited",
            self.relays_dropped.clone(),
        );
        quorate.register(
            "disconnections",
            "Connections ended for what came over them",
            self.disconnections.clone(),
        );
        quorate.register("refusals", "Connections refused", self.refusals.clone());
        quorate.register("dropped", "Frames dropped for lack of room", self.dropped.clone());
        let states = &self.states;
        quorate.register("view", "The view", states.view.clone());
        quorate.register("is_primary", "1 if primary of its view", states.is_primary.clone());
        quorate.register("is_voting", "1 if it may vote", states.is_voting.clone());
        quorate.register(
            "is_running",
            "1 if it takes steps, 0 if it has no room for its log",
            states.is_running.clone(),
        );
        quorate.register(
            "is_saving",
            "1 if states can be written, 0 if there is no room for them",
            states.is_saving.clone(),
        );
        quorate.register(
            "states_waiting",
            "States of checkpoints waiting to be written",
            states.waiting_states.clone(),
        );
        quorate.register("executed", "The last number executed", states.executed.clone());
        quorate.register("stable", "The stable checkpoint", states.stable.clone());
        quorate.register(
            "lag",
            "Numbers behind what an honest peer has executed",
            states.lag.clone(),
        );
        quorate.register("patience_seconds", "Wait before a view change", states.patience.clone());
        quorate.register("evidence", "Records of lies held", states.evidence.clone());
        quorate.register("transferring", "1 while it fetches a state", states.transferring.clone());
        quorate.register("peers_connected", "Peers reached", states.peers_connected.clone());
        quorate.register("clients_connected", "Clients here", states.clients_connected.clone());
        quorate.register("inbox_peers", "Messages of peers waiting", states.waiting_peers.clone());
        quorate.register(
            "inbox_clients",
            "Messages of clients waiting",
            states.waiting_clients.clone(),
        );
        quorate.register("inbox_bytes", "Bytes waiting", states.waiting_bytes.clone());
        quorate.register("outbox_bytes", "Bytes to be sent", states.outbox_bytes.clone());
    }

    /// Something was not taken.
    pub(super) fn reject(&self, from: From, reject: Reject) {
        let from = match from {
            From::Peer(id) => format!("replica {id}"),
            From::Clients => "clients".to_owned(),
        };
        let labels = RejectLabels { from, cause: format!("{reject:?}") };
        self.rejects.get_or_create(&labels).inc();
    }

    /// An entry was so long in a phase.
    pub(super) fn phase(&self, phase: Phase, seconds: f64) {
        self.phases.get_or_create(&phase.label()).observe(seconds);
    }

    /// This replica asks for another view.
    pub(super) fn suspicion(&self, cause: &str) {
        self.suspicions.get_or_create(&CauseLabel { cause: cause.to_owned() }).inc();
    }

    /// So many states wait to be written.
    pub(super) fn on_waiting_states(&self, count: usize) {
        self.states.waiting_states.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A connection was ended for what came over it.
    pub(super) fn disconnection(&self, cause: &str) {
        self.disconnections.get_or_create(&CauseLabel { cause: cause.to_owned() }).inc();
    }

    /// All of it as text, in the format of OpenMetrics.
    pub(super) fn scrape(&self, status: &Status, traffic: &Traffic) -> String {
        self.mirror(status, traffic);
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)
            .expect("writing to a string does not fail");
        text
    }

    fn mirror(&self, status: &Status, traffic: &Traffic) {
        let states = &self.states;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        states.view.set(number(status.view));
        states.is_primary.set(i64::from(status.is_primary()));
        states.is_voting.set(i64::from(status.is_voting()));
        states.is_running.set(i64::from(status.running == super::status::RUNNING));
        states.is_saving.set(i64::from(status.unsaved.is_none()));
        states.executed.set(number(status.executed));
        states.stable.set(number(status.stable));
        states.lag.set(number(status.lag()));
        states.patience.set(status.patience_ms as f64 / 1e3);
        states.evidence.set(count(status.evidence.len()));
        states.transferring.set(i64::from(status.transferring));
        states.clients_connected.set(count(traffic.clients));
        states.waiting_peers.set(count(traffic.depth.peers));
        states.waiting_clients.set(count(traffic.depth.clients));
        states.waiting_bytes.set(count(traffic.depth.bytes));
        let connected = traffic.links.iter().filter(|(_, connected, ..)| *connected).count();
        states.peers_connected.set(count(connected));
        for (peer, _, bytes, dropped) in &traffic.links {
            let label = PeerLabel { peer: u64::from(peer.0) };
            states.outbox_bytes.get_or_create(&label).set(count(*bytes));
            raise(&self.dropped.get_or_create(&label), *dropped);
        }
        for (to, bytes) in traffic.posted {
            raise(&self.posted.get_or_create(&ToLabel { to }), bytes);
        }
        for (cause, count) in &traffic.refusals {
            let label = CauseLabel { cause: (*cause).to_owned() };
            raise(&self.refusals.get_or_create(&label), *count);
        }
    }
}

/// A counter that follows one kept elsewhere.
fn raise(counter: &Counter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
