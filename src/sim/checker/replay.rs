//! The agreed history, executed once more by the simplest model that can be: maps of
//! keys, and of the numbers that each client used. Every honest replica's sessions,
//! answers and agreed time are compared with it.
//!
//! Must not call the service or the state that it is compared with; it shares their
//! encodings only.

use crate::message::{Batch, Genesis, Item, Request};
use crate::service::kv::{Found, Item as Listed, KvOperation, KvRefusal, KvResult};
use crate::types::{ClientId, Digest, Nonce, ReplicaId, Seq, Timestamp};
use crate::wire::Blob;
use std::collections::{BTreeMap, BTreeSet};

/// The model's own idea of the service's limits.
const LONGEST_KEY: usize = 512;
const LARGEST_VALUE: usize = 1 << 20;
const LONGEST_LIST: u32 = 1_000;

/// What was executed under a client's number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The digest of the operation.
    pub operation: Digest,
    /// Where.
    pub seq: u64,
    /// With this result.
    pub result: Blob,
}

#[derive(Clone, Default)]
struct Session {
    floor: u64,
    highest: u64,
    kept: BTreeMap<u64, usize>,
}

/// Where everything stands after a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// The agreed time.
    pub time: Timestamp,
    /// The chain of executed batches.
    pub chain: Digest,
    /// Of every client: up to where all is acknowledged, and the highest number executed.
    pub sessions: Vec<(u64, u64)>,
}

/// The agreed history so far.
pub struct Replay {
    limits: crate::message::Parameters,
    executed: u64,
    accounts: Vec<Account>,
    sessions: Vec<Session>,
    /// Every value that each key ever had, with the number at which it got it.
    versions: BTreeMap<Blob, Vec<(u64, Option<Blob>)>>,
    answers: BTreeMap<(ClientId, u64), Answer>,
    refused: BTreeSet<(ClientId, u64, u64)>,
    /// Where each replica's recoveries were ordered first.
    recoveries: BTreeMap<(ReplicaId, Nonce), u64>,
}

impl Replay {
    /// Nothing executed yet.
    pub fn new(genesis: &Genesis) -> Replay {
        let clients = genesis.clients.len();
        let sessions = vec![(0, 0); clients];
        let chain = genesis.cluster().0;
        Replay::from(genesis.parameters, Account { time: Timestamp(0), chain, sessions })
    }

    /// The same cluster's history, with nothing executed yet.
    pub fn begun_anew(&self) -> Replay {
        Replay::from(self.limits, self.accounts[0].clone())
    }

    fn from(limits: crate::message::Parameters, account: Account) -> Replay {
        let sessions = vec![Session::default(); account.sessions.len()];
        Replay {
            limits,
            executed: 0,
            accounts: vec![account],
            sessions,
            versions: BTreeMap::new(),
            answers: BTreeMap::new(),
            refused: BTreeSet::new(),
            recoveries: BTreeMap::new(),
        }
    }

    /// The last number executed.
    pub fn executed(&self) -> u64 {
        self.executed
    }

    /// Executes the next entry.
    pub fn execute(&mut self, digest: Digest, batch: Option<&Batch>) {
        self.executed += 1;
        for item in batch.into_iter().flat_map(Batch::items) {
            match item {
                Item::Request(request) => self.request(&request.body),
                Item::Recovery(one) => {
                    let place = (one.body.replica, one.body.nonce);
                    self.recoveries.entry(place).or_insert(self.executed);
                }
            }
        }
        let before = &self.accounts[self.accounts.len() - 1];
        let account = Account {
            time: batch.map_or(before.time, |batch| before.time.max(batch.time())),
            chain: Digest::of_parts(&[&before.chain.0, &digest.0]),
            sessions: self.sessions.iter().map(|one| (one.floor, one.highest)).collect(),
        };
        self.accounts.push(account);
    }

    fn request(&mut self, request: &Request) {
        let client = request.client;
        let Ok(index) = usize::try_from(client.0) else { return };
        if index >= self.sessions.len() || request.operations.is_empty() {
            return;
        }
        if !self.is_in_order(index, request) {
            for number in numbers(request) {
                self.refused.insert((client, number, self.executed));
            }
            return;
        }
        let session = &mut self.sessions[index];
        session.floor = session.floor.max(request.acknowledged.0);
        session.kept = session.kept.split_off(&(session.floor + 1));
        for (number, operation) in numbers(request).zip(&request.operations) {
            self.operation(index, client, number, operation);
        }
    }

    /// Whether the request as a whole may have an effect.
    fn is_in_order(&self, index: usize, request: &Request) -> bool {
        let bytes: usize = request.operations.iter().map(|one| one.len()).sum();
        let count = request.operations.len() as u64;
        let reach = self.sessions[index].highest.saturating_add(self.limits.client_window);
        count <= self.limits.bundle_operations
            && bytes as u64 <= self.limits.bundle_bytes
            && request.first.0.checked_add(count - 1).is_some()
            && request.acknowledged.0 < request.first.0
            && request.acknowledged.0 <= reach
    }

    fn operation(&mut self, index: usize, client: ClientId, number: u64, operation: &Blob) {
        let session = &self.sessions[index];
        if number <= session.floor || session.kept.contains_key(&number) {
            return;
        }
        let last = session.floor.saturating_add(self.limits.client_window);
        let kept: usize = session.kept.values().sum();
        // The lowest number that is open leaves room for one result, others for two.
        let is_lowest = (session.floor + 1..number).all(|below| session.kept.contains_key(&below));
        let room = if is_lowest { 1 } else { 2 } * self.limits.result_bytes;
        if number > last || kept as u64 + room > self.limits.client_kept_bytes {
            self.refused.insert((client, number, self.executed));
            return;
        }
        let result: Blob = self.apply(operation).to_bytes().into();
        let session = &mut self.sessions[index];
        session.highest = session.highest.max(number);
        session.kept.insert(number, result.len());
        let answer = Answer { operation: Digest::of(operation), seq: self.executed, result };
        self.answers.insert((client, number), answer);
    }

    fn apply(&mut self, operation: &[u8]) -> KvResult {
        let operation = match KvOperation::from_bytes(operation) {
            Ok(operation) => operation,
            Err(_) => return KvResult::Refused(KvRefusal::Unreadable),
        };
        if let Some(refusal) = refusal(&operation) {
            return KvResult::Refused(refusal);
        }
        let now = self.executed;
        match operation {
            KvOperation::Put { key, value } => {
                let replaced = self.found(&key, now).map(|found| found.written);
                self.write(key, Some(value));
                KvResult::Put { replaced }
            }
            KvOperation::Delete { key } => {
                let removed = self.found(&key, now).map(|found| found.written);
                if removed.is_some() {
                    self.write(key, None);
                }
                KvResult::Deleted { removed }
            }
            KvOperation::CompareAndSet { key, expected, value } => {
                let found = self.found(&key, now);
                if found.as_ref().map(|found| &found.value) != expected.as_ref() {
                    return KvResult::Mismatch { found };
                }
                self.write(key, Some(value));
                KvResult::Set { replaced: found.map(|found| found.written) }
            }
            read @ (KvOperation::Get { .. } | KvOperation::List { .. }) => {
                self.read(&read, now).unwrap_or(KvResult::Refused(KvRefusal::WriteAsQuery))
            }
        }
    }

    fn write(&mut self, key: Blob, value: Option<Blob>) {
        self.versions.entry(key).or_default().push((self.executed, value));
    }

    fn found(&self, key: &[u8], at: u64) -> Option<Found> {
        let versions = self.versions.get(key)?;
        let (written, value) = versions.iter().rev().find(|(seq, _)| *seq <= at)?;
        value.clone().map(|value| Found { value, written: Seq(*written) })
    }

    fn read(&self, operation: &KvOperation, at: u64) -> Option<KvResult> {
        match operation {
            KvOperation::Get { key } => Some(KvResult::Got { found: self.found(key, at) }),
            KvOperation::List { from, until, limit } => {
                let mut items = Vec::new();
                let is_within = |key: &Blob| until.as_ref().is_none_or(|until| key < until);
                for key in self.versions.keys().filter(|key| *key >= from && is_within(key)) {
                    let Some(found) = self.found(key, at) else { continue };
                    if items.len() as u32 == (*limit).min(LONGEST_LIST) {
                        let next = Some(key.clone());
                        return Some(KvResult::Listed { items: items.into(), next });
                    }
                    items.push(Listed { key: key.clone(), found });
                }
                Some(KvResult::Listed { items: items.into(), next: None })
            }
            KvOperation::Put { .. }
            | KvOperation::Delete { .. }
            | KvOperation::CompareAndSet { .. } => None,
        }
    }

    /// Where everything stood after a number, if it was executed.
    pub fn account(&self, seq: u64) -> Option<&Account> {
        usize::try_from(seq).ok().and_then(|seq| self.accounts.get(seq))
    }

    /// What a query must have seen after a number was executed.
    pub fn query(&self, operation: &[u8], at: u64) -> Blob {
        let result = match KvOperation::from_bytes(operation) {
            Err(_) => KvResult::Refused(KvRefusal::Unreadable),
            Ok(operation) => match refusal(&operation) {
                Some(refusal) => KvResult::Refused(refusal),
                None => {
                    let refused = KvResult::Refused(KvRefusal::WriteAsQuery);
                    self.read(&operation, at).unwrap_or(refused)
                }
            },
        };
        result.to_bytes().into()
    }

    /// The last number up to here that changed what a query reads.
    pub fn last_change(&self, operation: &[u8], at: u64) -> u64 {
        let of = |versions: &Vec<(u64, Option<Blob>)>| {
            versions.iter().map(|(seq, _)| *seq).filter(|seq| *seq <= at).max()
        };
        match KvOperation::from_bytes(operation) {
            Ok(KvOperation::Get { key }) => self.versions.get(&key).and_then(of).unwrap_or(0),
            Ok(KvOperation::List { from, until, limit }) if limit >= LONGEST_LIST => {
                let is_within =
                    |key: &Blob| *key >= from && until.as_ref().is_none_or(|until| key < until);
                let within = self.versions.iter().filter(|(key, _)| is_within(key));
                within.filter_map(|(_, versions)| of(versions)).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// What was executed under a client's number.
    pub fn answer(&self, client: ClientId, number: u64) -> Option<&Answer> {
        self.answers.get(&(client, number))
    }

    /// Where a replica's recovery was ordered, if it was.
    pub fn recovery(&self, replica: ReplicaId, nonce: Nonce) -> Option<u64> {
        self.recoveries.get(&(replica, nonce)).copied()
    }

    /// How many recoveries of a replica were ordered up to a number.
    pub fn recoveries(&self, replica: ReplicaId, up_to: u64) -> usize {
        let all = self.recoveries.iter();
        all.filter(|((of, _), seq)| *of == replica && **seq <= up_to).count()
    }

    /// Whether an operation of a client was executed there, with this result.
    pub fn was_answered(
        &self,
        client: ClientId,
        operation: Digest,
        seq: Seq,
        result: &Blob,
    ) -> bool {
        self.answers.range((client, 0)..=(client, u64::MAX)).any(|(_, answer)| {
            (answer.operation, answer.seq, &answer.result) == (operation, seq.0, result)
        })
    }

    /// Whether a number was refused where it was ordered.
    pub fn was_refused(&self, client: ClientId, number: u64, seq: u64) -> bool {
        self.refused.contains(&(client, number, seq))
    }
}

fn numbers(request: &Request) -> impl Iterator<Item = u64> + use<> {
    let first = request.first.0;
    let count = request.operations.len() as u64;
    (0..count).map_while(move |index| first.checked_add(index))
}

fn refusal(operation: &KvOperation) -> Option<KvRefusal> {
    let long = |key: &Blob| {
        let bytes = key.len() as u64;
        (key.len() > LONGEST_KEY).then_some(KvRefusal::KeyTooLong { bytes })
    };
    let bad_key = |key: &Blob| if key.is_empty() { Some(KvRefusal::KeyEmpty) } else { long(key) };
    let large = |value: &Blob| {
        let bytes = value.len() as u64;
        (value.len() > LARGEST_VALUE).then_some(KvRefusal::ValueTooLarge { bytes })
    };
    match operation {
        KvOperation::Put { key, value } => bad_key(key).or(large(value)),
        KvOperation::Get { key } | KvOperation::Delete { key } => bad_key(key),
        KvOperation::CompareAndSet { key, expected, value } => {
            bad_key(key).or(expected.as_ref().and_then(large)).or(large(value))
        }
        KvOperation::List { from, until, limit } => {
            let nothing = (*limit == 0).then_some(KvRefusal::ListOfNothing);
            long(from).or(until.as_ref().and_then(long)).or(nothing)
        }
    }
}
