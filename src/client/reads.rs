//! Reads that are not ordered: by quorum, and with proof (§ Reads).

use super::alike::Alike;
use super::outcome::{Answer, Freshness, HowRead, Outcome, Ticket, ToReplica, Unread};
use super::proved::{NotProved, Proved};
use super::session::{Out, Settings};
use crate::message::{ClientMessage, Reject};
use crate::types::{Committee, Digest, Instant, Nonce, ReplicaId, RequestNumber, Seq, Timestamp};
use crate::wire::Blob;
use std::collections::{BTreeMap, BTreeSet};

/// The most reads under way, with and without proof.
pub const MOST_READS: usize = 1_024;

/// What a replica tells of a read: the digest of the result and when it last changed, or
/// that it can't answer.
type Told = Option<(Digest, Seq)>;

struct QuorumRead {
    operation: Blob,
    digest: Digest,
    told: Alike<Told>,
    /// Until here the quorum may form; then the read is ordered. The patience begins with
    /// the first answer: before, connections may still be on their way.
    until: Instant,
    /// Until here the caller waits.
    deadline: Instant,
}

struct ProofRead {
    operation: Blob,
    freshness: Freshness,
    /// Who was asked, the last one now.
    asked: Vec<ReplicaId>,
    heard: BTreeSet<ReplicaId>,
    /// Until here the last one asked may answer.
    until: Instant,
    /// The newest of the proofs that were too old.
    too_old: Option<(Seq, Timestamp)>,
}

/// A read that must be ordered after all.
pub(super) struct Fallback {
    pub(super) ticket: Ticket,
    pub(super) operation: Blob,
    pub(super) deadline: Instant,
}

pub(super) struct Reads {
    committee: Committee,
    settings: Settings,
    /// Reads are numbered on from a number drawn for this session, so that no answer to
    /// an earlier one of this client is taken for an answer to this.
    next: RequestNumber,
    by_quorum: BTreeMap<RequestNumber, QuorumRead>,
    with_proof: BTreeMap<RequestNumber, ProofRead>,
    fallbacks: Vec<Fallback>,
}

impl Reads {
    pub(super) fn new(committee: Committee, settings: Settings, nonce: Nonce) -> Reads {
        Reads {
            committee,
            settings,
            next: RequestNumber(nonce.0),
            by_quorum: BTreeMap::new(),
            with_proof: BTreeMap::new(),
            fallbacks: Vec::new(),
        }
    }

    /// How many are under way.
    pub(super) fn open(&self) -> usize {
        self.by_quorum.len() + self.with_proof.len() + self.fallbacks.len()
    }

    /// Those that must be ordered.
    pub(super) fn take_fallbacks(&mut self) -> Vec<Fallback> {
        std::mem::take(&mut self.fallbacks)
    }

    fn number(&mut self) -> RequestNumber {
        let number = self.next;
        self.next = RequestNumber(number.0.wrapping_add(1));
        number
    }

    /// Asks all.
    pub(super) fn read(&mut self, now: Instant, operation: Blob, out: &mut Out) -> Ticket {
        let number = self.number();
        out.send(ToReplica::All, ClientMessage::Read(number, operation.clone()));
        let read = QuorumRead {
            digest: Digest::of(&operation),
            operation,
            told: Alike::default(),
            until: now.plus(self.settings.first_answer_patience()),
            deadline: now.plus(self.settings.timeout),
        };
        self.by_quorum.insert(number, read);
        Ticket::Read(number)
    }

    /// Asks one, and after it the next.
    pub(super) fn prove(
        &mut self,
        now: Instant,
        operation: Blob,
        freshness: Freshness,
        out: &mut Out,
    ) -> Ticket {
        let number = self.number();
        let read = ProofRead {
            operation,
            freshness,
            asked: Vec::new(),
            heard: BTreeSet::new(),
            until: now,
            too_old: None,
        };
        self.with_proof.insert(number, read);
        self.ask_next(now, number, out);
        Ticket::Proof(number)
    }

    /// An answer to a quorum read.
    pub(super) fn on_answer(
        &mut self,
        now: Instant,
        from: ReplicaId,
        number: RequestNumber,
        operation: Digest,
        (result, changed): (Blob, Seq),
        out: &mut Out,
    ) -> Result<(), Reject> {
        let read = self.by_quorum.get_mut(&number).ok_or(Reject::Unrequested)?;
        if operation != read.digest {
            return Err(Reject::WrongDigest);
        }
        if read.told.of(from).is_some() {
            return Err(Reject::Duplicate);
        }
        read.until = read.until.min(now.plus(self.settings.read_patience));
        if read.told.say(from, Some((Digest::of(&result), changed))) >= self.committee.quorum() {
            self.by_quorum.remove(&number);
            let answer = Answer { result, how: HowRead::Quorum { changed } };
            out.report(Ticket::Read(number), Outcome::Read(answer));
            return Ok(());
        }
        self.order_if_hopeless(number);
        Ok(())
    }

    /// A replica can't answer a read now.
    pub(super) fn on_not_ready(
        &mut self,
        now: Instant,
        from: ReplicaId,
        number: RequestNumber,
        out: &mut Out,
    ) -> Result<(), Reject> {
        if let Some(read) = self.by_quorum.get_mut(&number) {
            if read.told.of(from).is_some() {
                return Err(Reject::Duplicate);
            }
            read.until = read.until.min(now.plus(self.settings.read_patience));
            read.told.say(from, None);
            self.order_if_hopeless(number);
            return Ok(());
        }
        self.hear(from, number)?;
        self.ask_next_after(now, from, number, out);
        Ok(())
    }

    /// A read is ordered as soon as no quorum can be alike any more.
    fn order_if_hopeless(&mut self, number: RequestNumber) {
        let Some(read) = self.by_quorum.get(&number) else { return };
        let silent = self.committee.size() - read.told.heard();
        if read.told.most_alike(Option::is_some) + silent < self.committee.quorum() {
            self.order(number);
        }
    }

    fn order(&mut self, number: RequestNumber) {
        let Some(read) = self.by_quorum.remove(&number) else { return };
        let QuorumRead { operation, deadline, .. } = read;
        self.fallbacks.push(Fallback { ticket: Ticket::Read(number), operation, deadline });
    }

    /// Whether this replica's answer to a proof read is wanted; once.
    pub(super) fn hear(&mut self, from: ReplicaId, number: RequestNumber) -> Result<(), Reject> {
        let read = self.with_proof.get_mut(&number).ok_or(Reject::Unrequested)?;
        if !read.asked.contains(&from) {
            return Err(Reject::Unrequested);
        }
        match read.heard.insert(from) {
            true => Ok(()),
            false => Err(Reject::Duplicate),
        }
    }

    /// The operation to be proved.
    pub(super) fn operation(&self, number: RequestNumber) -> Option<&Blob> {
        self.with_proof.get(&number).map(|read| &read.operation)
    }

    /// What came of checking an answer with proof that was heard.
    pub(super) fn on_checked(
        &mut self,
        now: Instant,
        from: ReplicaId,
        number: RequestNumber,
        checked: Result<Proved, NotProved>,
        out: &mut Out,
    ) -> Result<(), Reject> {
        let read = self.with_proof.get_mut(&number).ok_or(Reject::Unrequested)?;
        let verdict = match checked {
            Ok(proved) => {
                let (seq, time) = (proved.seq(), proved.time);
                if seq >= read.freshness.seq && time >= read.freshness.time {
                    self.with_proof.remove(&number);
                    let result = proved.result.clone();
                    let answer = Answer { result, how: HowRead::Proved(Box::new(proved)) };
                    out.report(Ticket::Proof(number), Outcome::Read(answer));
                    return Ok(());
                }
                read.too_old = read.too_old.max(Some((seq, time)));
                Reject::OldCertificate
            }
            Err(NotProved::Certificate(reject)) => reject,
            Err(
                NotProved::NoSuchProof
                | NotProved::Content(_)
                | NotProved::Time(_)
                | NotProved::NoRecord,
            ) => Reject::WrongPart,
        };
        self.ask_next_after(now, from, number, out);
        Err(verdict)
    }

    /// Asks the next replica, if it was this one that was waited for.
    fn ask_next_after(
        &mut self,
        now: Instant,
        from: ReplicaId,
        number: RequestNumber,
        out: &mut Out,
    ) {
        let read = self.with_proof.get(&number);
        if read.is_some_and(|read| read.asked.last() == Some(&from)) {
            self.ask_next(now, number, out);
        }
    }

    /// Asks the next replica for a proof, or gives up when all were asked. Reads begin
    /// at different replicas, so that none has all the work.
    fn ask_next(&mut self, now: Instant, number: RequestNumber, out: &mut Out) {
        let Some(read) = self.with_proof.get_mut(&number) else { return };
        let size = self.committee.size();
        if read.asked.len() == size {
            let why = match read.too_old {
                Some((seq, time)) => Unread::TooOld { seq, time },
                None => Unread::NoProof,
            };
            self.with_proof.remove(&number);
            out.report(Ticket::Proof(number), Outcome::Unread(why));
            return;
        }
        let index = (number.0 % size as u64) as usize + read.asked.len();
        let mut replicas = self.committee.replicas();
        let next = replicas.nth(index % size).expect("a remainder of their number");
        read.asked.push(next);
        read.until = now.plus(self.settings.proof_patience);
        let message = ClientMessage::Prove(number, read.operation.clone());
        out.send(ToReplica::One(next), message);
    }

    pub(super) fn on_tick(&mut self, now: Instant, out: &mut Out) {
        let late = |until: Instant| until <= now;
        let reads = self.by_quorum.iter().filter(|(_, read)| late(read.until));
        let hopeless: Vec<RequestNumber> = reads.map(|(number, _)| *number).collect();
        hopeless.into_iter().for_each(|number| self.order(number));
        let proofs = self.with_proof.iter().filter(|(_, read)| late(read.until));
        let silent: Vec<RequestNumber> = proofs.map(|(number, _)| *number).collect();
        silent.into_iter().for_each(|number| self.ask_next(now, number, out));
        let (over, open) =
            std::mem::take(&mut self.fallbacks).into_iter().partition(|one| late(one.deadline));
        self.fallbacks = open;
        let over: Vec<Fallback> = over;
        for fallback in over {
            out.report(fallback.ticket, Outcome::Unread(Unread::TimedOut));
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let by_quorum = self.by_quorum.values().map(|read| read.until);
        let with_proof = self.with_proof.values().map(|read| read.until);
        let fallbacks = self.fallbacks.iter().map(|fallback| fallback.deadline);
        by_quorum.chain(with_proof).chain(fallbacks).min()
    }
}
