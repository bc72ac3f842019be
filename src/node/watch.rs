//! What the loop sees go by: how long entries take, what is rejected, who was heard, what
//! is worth a line in the log. It decides nothing.

use super::metrics::{From, Metrics, Phase};
use super::status::{self, Suspected};
use crate::message::{CheckedPeer, Reject};
use crate::replica::{Input, Notice, Record};
use crate::types::{Instant, ReplicaId, Seq, Span};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most entries whose times are kept: as many as the largest window.
const MOST_TIMED: usize = 1 << 18;

/// What a peer last said of itself.
#[derive(Clone, Copy, Default)]
pub(super) struct Heard {
    /// When anything last came from it.
    pub(super) seen: Option<Instant>,
    /// View, executed and stable, from its last status.
    pub(super) told: Option<(u64, u64, u64)>,
}

#[derive(Clone, Copy)]
struct Times {
    proposed: Instant,
    latest: Instant,
}

/// See the module's head.
pub(super) struct Watch {
    metrics: Arc<Metrics>,
    times: BTreeMap<Seq, Times>,
    heard: BTreeMap<ReplicaId, Heard>,
    suspected: Option<(u64, &'static str, Instant)>,
}

impl Watch {
    pub(super) fn new(metrics: Arc<Metrics>) -> Watch {
        Watch { metrics, times: BTreeMap::new(), heard: BTreeMap::new(), suspected: None }
    }

    /// What was heard of a peer.
    pub(super) fn heard(&self, peer: ReplicaId) -> Heard {
        self.heard.get(&peer).copied().unwrap_or_default()
    }

    /// The last view change that this replica asked for.
    pub(super) fn suspected(&self, now: Instant) -> Option<Suspected> {
        let (view, why, at) = self.suspected?;
        Some(Suspected { view, why: why.to_owned(), ago_ms: milliseconds(now.since(at)) })
    }

    /// An input is about to be handled.
    pub(super) fn on_input(&mut self, now: Instant, input: &Input) {
        let Input::Peer { from, message } = input else { return };
        let heard = self.heard.entry(*from).or_default();
        heard.seen = Some(now);
        match &**message {
            CheckedPeer::Status(status) => {
                heard.told = Some((status.view.0, status.executed.0, status.stable.0));
            }
            CheckedPeer::Part(.., part) => {
                self.metrics.transferred_parts.inc();
                self.metrics.transferred_bytes.inc_by(part.encoded_bytes() as u64);
            }
            _ => {}
        }
    }

    /// Records are about to be written: they show how far entries are.
    pub(super) fn on_records(&mut self, now: Instant, records: &[Record]) {
        for record in records {
            match record {
                Record::PrePrepare(proposal, batch) => {
                    self.on_proposal(now, proposal.body.seq);
                    if let Some(batch) = batch {
                        self.metrics.batch_items.observe(batch.items().len() as f64);
                    }
                }
                Record::Prepare(vote) => self.on_proposal(now, vote.body.seq),
                Record::Prepared(certificate, batch) => {
                    self.on_phase(now, certificate.seq(), Phase::Prepare);
                    if let Some(batch) = batch {
                        self.metrics.batch_items.observe(batch.items().len() as f64);
                    }
                }
                Record::Checkpoint(_)
                | Record::Stable(_)
                | Record::ViewChange(_)
                | Record::NewView(..)
                | Record::Evidence(_)
                | Record::Recovering(_)
                | Record::Recovered(_)
                | Record::Reserved(..) => {}
            }
        }
    }

    fn on_proposal(&mut self, now: Instant, seq: Seq) {
        if self.times.len() < MOST_TIMED {
            self.times.insert(seq, Times { proposed: now, latest: now });
        }
    }

    fn on_phase(&mut self, now: Instant, seq: Seq, phase: Phase) {
        if let Some(times) = self.times.get_mut(&seq) {
            self.metrics.phase(phase, seconds(now.since(times.latest)));
            times.latest = now;
        }
    }

    fn on_executed(&mut self, now: Instant, seq: Seq) {
        self.metrics.executions.inc();
        self.on_phase(now, seq, Phase::Execute);
        if let Some(times) = self.times.remove(&seq) {
            self.metrics.phase(Phase::Whole, seconds(now.since(times.proposed)));
        }
    }

    /// Something happened.
    pub(super) fn on_notice(&mut self, now: Instant, notice: &Notice) {
        match notice {
            Notice::Rejected(from, reject) => self.on_reject(*from, *reject),
            Notice::Decided(seq, _, view) => {
                tracing::trace!(%seq, %view, "decided");
                self.on_phase(now, *seq, Phase::Commit);
            }
            Notice::Executed(seq, _) => {
                tracing::trace!(%seq, "executed");
                self.on_executed(now, *seq);
            }
            Notice::Stable(seq, digest) => {
                tracing::debug!(%seq, %digest, "a checkpoint is stable");
                self.metrics.checkpoints.inc();
                self.times = self.times.split_off(&seq.next());
            }
            Notice::Suspects { asked: view, why: suspicion, .. } => {
                let why = status::why(*suspicion);
                tracing::info!(%view, why, "asks for another view");
                self.metrics.suspicion(&format!("{suspicion:?}"));
                self.suspected = Some((view.0, why, now));
            }
            Notice::Entered(view) => {
                tracing::info!(%view, "entered a view");
                self.metrics.views.inc();
            }
            Notice::Evidence(evidence) => {
                let replica = evidence.accused().replica;
                tracing::warn!(%replica, "signed two things that conflict: it lies, or runs twice");
            }
            Notice::Diverged { seq, certified, own } => tracing::error!(
                %seq, %certified, %own,
                "this replica's state differs from the one that a quorum certified: it is \
                 fetched anew"
            ),
            Notice::TransferBegan(seq) => {
                tracing::info!(%seq, "fetches the state of a checkpoint");
                self.metrics.transfers.inc();
            }
            Notice::TransferDone(seq) => tracing::info!(%seq, "has fetched the state"),
            Notice::MayVote => tracing::info!("votes"),
            Notice::RolledBack => tracing::error!(
                "others hold signatures of this replica that its log lacks: its disk was lost or \
                 has gone back in time, or it runs twice"
            ),
            Notice::Reborn(replica, incarnation) => {
                tracing::info!(%replica, %incarnation, "a replica begins a new life");
            }
            Notice::StartAnswers(count, needed) => {
                tracing::debug!(count, needed, "others say what they know of this replica");
            }
        }
    }

    fn on_reject(&self, from: Option<ReplicaId>, reject: Reject) {
        match from {
            Some(peer) => self.metrics.reject(From::Peer(peer), reject),
            None => self.metrics.reject(From::Clients, reject),
        }
        tracing::trace!(?from, ?reject, "rejected");
    }
}

/// A span in milliseconds.
pub(super) fn milliseconds(span: Span) -> u64 {
    span.0 / 1_000
}

fn seconds(span: Span) -> f64 {
    span.0 as f64 / 1e6
}
