//! The replicas' lives: whether a new one begins on what is stable, whether words of an
//! old one still count, and whether a disk that went back is noticed.

use super::disk::OnDisk;
use super::ledger::{self, Word};
use super::{Checker, Invariant};
use crate::message::{CheckedStart, Held, NewView, PeerMessage, PreparedCertificate, Voter};
use crate::replica::Notice;
use crate::types::{Incarnation, Nonce, ReplicaId, Seq};
use std::collections::BTreeMap;

/// What is known of the replicas' lives.
#[derive(Default)]
pub(super) struct Lives {
    /// The command by which each recovers.
    recovering: BTreeMap<ReplicaId, Nonce>,
    /// The life that each is in, and where whoever told so first stood then.
    current: BTreeMap<ReplicaId, (Incarnation, u64)>,
    /// The number by whose execution each life began.
    begun: BTreeMap<(ReplicaId, Incarnation), u64>,
}

impl Checker {
    /// A replica has the operator's word that its disk forgot something.
    pub fn recovers(&mut self, id: ReplicaId, nonce: Nonce) {
        self.lives.recovering.insert(id, nonce);
    }

    /// A recovery is over only once a state in which its command was executed is stable.
    pub(super) fn recovered(&mut self, id: ReplicaId, stable: u64) {
        let Some(nonce) = self.lives.recovering.get(&id) else { return };
        let ordered = self.replay.recovery(id, *nonce);
        if ordered.is_none_or(|seq| seq > stable) {
            let what = format!("{id:?} ends its recovery at s{stable}; it was {ordered:?} ordered");
            self.fail(Invariant::Certificates, what);
        }
    }

    /// What a replica says in one step of lives that begin. Where it says so right after it
    /// executed a number, that is where the life begins.
    pub(super) fn has_reborn(&mut self, id: ReplicaId, executed: u64, notices: &[Notice]) {
        let mut at = None;
        for notice in notices {
            match notice {
                Notice::Executed(seq, _) => at = Some(seq.0),
                Notice::Reborn(other, incarnation) => {
                    self.is_reborn(*other, *incarnation, executed);
                    if let Some(at) = at {
                        let outcome = self.begins(*other, *incarnation, at);
                        let outcome = outcome.map_err(|why| {
                            format!("{id:?} begins {incarnation:?} of {other:?} at s{at}: {why}")
                        });
                        self.require(Invariant::Certificates, outcome);
                    }
                }
                _ => {}
            }
        }
    }

    /// A life begins at a checkpoint that lies a window above the command for it, after a
    /// rest since the life before, and while no more than `f` are on their way.
    pub(super) fn begins(
        &mut self,
        replica: ReplicaId,
        incarnation: Incarnation,
        at: u64,
    ) -> Result<(), String> {
        match self.lives.begun.insert((replica, incarnation), at) {
            Some(before) if before == at => return Ok(()),
            Some(before) => return Err(format!("for others it began at s{before}")),
            None => {}
        }
        let (interval, window) = (self.cluster.interval, self.cluster.window);
        let commands = self.replay.recoveries(replica, at.saturating_sub(window)) as u64;
        if !at.is_multiple_of(interval) || self.replay.executed() >= at && commands < incarnation.0
        {
            return Err(format!("{commands} commands were ordered a window before"));
        }
        let former = incarnation.0.checked_sub(1).map(|number| (replica, Incarnation(number)));
        if let Some(since) = former.and_then(|former| self.lives.begun.get(&former)) {
            let rest = self.cluster.recovery_spacing.saturating_mul(interval);
            if at < since.saturating_add(rest).saturating_add(window) {
                return Err(format!("the life before began at s{since}"));
            }
        }
        // Each was on its way for a window at least: all that begin within one were so
        // together.
        let together = |first: u64| {
            let all = self.lives.begun.values();
            all.filter(|one| (first..first.saturating_add(window)).contains(one)).count()
        };
        let mut around = self.lives.begun.values().filter(|one| **one <= at);
        if around.any(|first| {
            first.saturating_add(window) > at && together(*first) > self.cluster.faults()
        }) {
            return Err("more than f were on their way together".to_string());
        }
        Ok(())
    }

    /// Another has answered a replica that starts, in its present life.
    pub fn is_answered(&mut self, id: ReplicaId, by: ReplicaId) {
        self.answered.entry(id).or_default().insert(by);
    }

    /// Whoever has started votes once a quorum has told what it knows, itself included.
    pub(super) fn votes_after_enough_answers(&mut self, id: ReplicaId) {
        let mut told = self.answered.get(&id).cloned().unwrap_or_default();
        told.insert(id);
        if told.len() < self.cluster.quorum() {
            self.fail(Invariant::Certificates, format!("{id:?} votes when only {told:?} told"));
        }
    }

    /// Somebody who executed so far says that another's new life has begun.
    pub(super) fn is_reborn(&mut self, replica: ReplicaId, incarnation: Incarnation, at: u64) {
        let known = self.lives.current.entry(replica).or_insert((incarnation, at));
        if incarnation > known.0 {
            *known = (incarnation, at);
        } else if incarnation == known.0 {
            known.1 = known.1.min(at);
        }
    }

    /// Whether whoever executed so far has not seen the life begin that a replica is in.
    pub(super) fn is_before_life(&self, replica: ReplicaId, executed: u64) -> bool {
        self.lives.current.get(&replica).is_some_and(|(_, since)| executed < *since)
    }

    /// Whether whoever executed so far knows that this voter's life is over about a
    /// number.
    fn is_over(&self, by: Voter, seq: Option<u64>, executed: u64) -> bool {
        self.lives.current.get(&by.replica).is_some_and(|(current, since)| {
            by.incarnation < *current && executed >= *since && seq.is_none_or(|seq| seq > *since)
        })
    }

    /// What a replica itself counted together holds nobody's word of an old life.
    pub(super) fn counts_the_living(&mut self, id: ReplicaId, certificate: &PreparedCertificate) {
        let executed = self.glimpses.get(&id).map_or(0, |glimpse| glimpse.executed);
        let seq = certificate.seq().0;
        if let Some(by) = certificate.voters().find(|by| self.is_over(*by, Some(seq), executed)) {
            let what = format!("{id:?} at s{executed} counts {by:?} about s{seq}");
            self.fail(Invariant::Certificates, what);
        }
    }

    /// When a life begins, or a state is fetched in which one has, no word of the life before
    /// counts any longer. One's own wish stays, as a promise.
    pub(super) fn hears_the_living(
        &mut self,
        id: ReplicaId,
        executed: u64,
        mut voices: impl Iterator<Item = (Voter, Option<Seq>)>,
    ) {
        let heard = voices.find(|(by, seq)| {
            by.replica != id && self.is_over(*by, seq.map(|seq| seq.0), executed)
        });
        if let Some((by, seq)) = heard {
            let what = format!("{id:?} at s{executed} still counts {by:?} about {seq:?}");
            self.fail(Invariant::Certificates, what);
        }
    }

    /// A replica opens a view of its own by nobody's wish of an old life.
    pub(super) fn is_wanted_by_the_living(&mut self, id: ReplicaId, opening: &NewView) {
        if opening.by.replica != id {
            return;
        }
        let executed = self.glimpses.get(&id).map_or(0, |glimpse| glimpse.executed);
        let wishes = opening.view_changes.iter().map(|wish| wish.body.by);
        if let Some(by) = wishes.into_iter().find(|by| self.is_over(*by, None, executed)) {
            let what = format!("{id:?} at s{executed} opens {:?} by {by:?}", opening.view);
            self.fail(Invariant::Certificates, what);
        }
    }

    /// What another holds of a starting replica and its disk doesn't: its disk went back,
    /// and it must stop.
    pub(super) fn forgot(
        &self,
        id: ReplicaId,
        answer: &CheckedStart,
        on_disk: &OnDisk<'_>,
    ) -> Option<Word> {
        let life = self.lives.current.get(&id).map_or(Incarnation::FIRST, |(life, _)| *life);
        // An opening speaks of proposals, too; whoever is past its view has left those behind.
        let held = answer.held.iter().filter(|held| !matches!(***held, Held::NewView(_)));
        let held = held.flat_map(|held| ledger::words_of(&said(held)));
        let mut own = held.filter(|word| word.by == Voter { replica: id, incarnation: life });
        own.find(|word| !on_disk.remembers(word))
    }

    /// A replica goes on though its disk forgot what it was just shown.
    pub fn goes_on(&mut self, id: ReplicaId, word: &Word) {
        let what = format!("{id:?} was shown {word:?}, has it nowhere, and goes on");
        self.fail(Invariant::Honesty, what);
    }

    /// See `Checker::forgot`; none of a replica that is not held to anything.
    pub fn is_shown(
        &self,
        id: ReplicaId,
        answer: &CheckedStart,
        disk: &OnDisk<'_>,
    ) -> Option<Word> {
        self.honest.contains(&id).then(|| self.forgot(id, answer, disk)).flatten()
    }
}

fn said(held: &Held) -> PeerMessage {
    match held {
        Held::PrePrepare(one) => PeerMessage::Propose(one.clone(), None),
        Held::Prepare(one) => PeerMessage::Prepare(one.clone()),
        Held::Commit(one) => PeerMessage::Commit(one.clone()),
        Held::Checkpoint(one) => PeerMessage::Checkpoint(one.clone()),
        Held::ViewChange(one) => PeerMessage::ViewChange(one.clone()),
        Held::NewView(one) => PeerMessage::NewView(one.clone(), None),
    }
}
