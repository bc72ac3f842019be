//! The verifier: the only way from what somebody sent to what the replica takes.
//!
//! It holds the genesis and nothing else, so it can run anywhere, on any thread, for
//! many messages at once. Every rule here needs no state; the rules that do are the
//! replica's. The signatures of one message, nested certificates included, are
//! collected first and then judged together; one that stands in several certificates
//! is judged once.

use super::batch::{Batch, Item, NULL};
use super::bodies::{
    Author, Body, NewView, PrePrepare, Prepare, Receipt, RecoveryRequest, Request, Signed,
    ViewChange, Voter,
};
use super::certificate::{
    CheckpointCertificate, CommitCertificate, Endorsement, PreparedCertificate, ReceiptCertificate,
};
use super::evidence::Evidence;
use super::genesis::{CheckedGenesis, Genesis};
use super::genuine::{Checked, Genuine, Proposed, Unchecked};
use super::new_view;
use super::reject::Reject;
use super::travel::{
    CheckedClient, CheckedPeer, CheckedStart, ClientMessage, Fetch, Held, PeerMessage, StartAnswer,
    Status,
};
use super::verified::Verified;
use crate::crypto::{self, Check, ClusterId, PublicKey, Scheme};
use crate::types::{Committee, ReplicaId, RequestNumber, Seq, View};
use crate::wire;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most signed messages of the asker in one start answer: one of each kind.
const MOST_HELD: usize = 6;

/// Checks messages against the genesis, by one rule for signatures.
#[derive(Clone)]
pub struct Verifier<S> {
    genesis: Arc<CheckedGenesis>,
    scheme: S,
}

type Verdict = Result<(), Reject>;

impl<S: Scheme> Verifier<S> {
    /// A verifier for this cluster.
    pub fn new(genesis: Arc<CheckedGenesis>, scheme: S) -> Verifier<S> {
        Verifier { genesis, scheme }
    }

    /// The same, with another rule for signatures.
    pub(super) fn judging_by<T: Scheme>(&self, scheme: T) -> Verifier<T> {
        Verifier { genesis: Arc::clone(&self.genesis), scheme }
    }

    /// Whether these signatures are good, every one of them.
    pub(super) fn are_good(&self, checks: &[Check]) -> bool {
        self.scheme.verify_all(checks)
    }

    /// Decodes and checks what a peer sent.
    pub fn peer_bytes(&self, bytes: &[u8]) -> Result<CheckedPeer, Reject> {
        self.peer(wire::decode(bytes, wire::MOST_BYTES).map_err(|_| Reject::Malformed)?)
    }

    /// Decodes and checks what a client sent.
    pub fn client_bytes(&self, bytes: &[u8]) -> Result<CheckedClient, Reject> {
        self.client(wire::decode(bytes, wire::MOST_BYTES).map_err(|_| Reject::Malformed)?)
    }

    /// Checks what a peer sent.
    pub fn peer(&self, message: PeerMessage) -> Result<CheckedPeer, Reject> {
        Ok(match message {
            PeerMessage::Relay(request) => CheckedPeer::Relay(self.request(request)?),
            PeerMessage::Recovery(recovery) => CheckedPeer::Recovery(self.signed(recovery)?),
            PeerMessage::Propose(proposal, batch) => self.proposal(proposal, batch)?,
            PeerMessage::Prepare(vote) => CheckedPeer::Prepare(self.signed(vote)?),
            PeerMessage::Commit(vote) => CheckedPeer::Commit(self.signed(vote)?),
            PeerMessage::Checkpoint(vote) => CheckedPeer::Checkpoint(self.signed(vote)?),
            PeerMessage::ViewChange(wish) => CheckedPeer::ViewChange(self.signed(wish)?),
            PeerMessage::NewView(opening, shown) => {
                let shown = shown.map(|certificate| self.certificate(certificate)).transpose()?;
                CheckedPeer::NewView(self.signed(opening)?, shown)
            }
            PeerMessage::Stable(certificate) => CheckedPeer::Stable(self.certificate(certificate)?),
            PeerMessage::Status(status) => CheckedPeer::Status(self.status(status)?),
            PeerMessage::Fetch(fetch) => CheckedPeer::Fetch(self.fetch(fetch)?),
            PeerMessage::Batch(batch) => CheckedPeer::Batch(batch),
            PeerMessage::Decided(certificate, batch) => self.decided(certificate, batch)?,
            PeerMessage::Part(seq, path, part) => {
                require_number(seq)?;
                CheckedPeer::Part(seq, path, part)
            }
            PeerMessage::NoState(seq) => {
                require_number(seq)?;
                CheckedPeer::NoState(seq)
            }
            PeerMessage::StartQuery(nonce) => CheckedPeer::StartQuery(nonce),
            PeerMessage::StartAnswer(answer) => self.start_answer(*answer)?,
            PeerMessage::Evidence(evidence) => CheckedPeer::Evidence(self.evidence(evidence)?),
        })
    }

    /// Checks what a client sent. That the channel is the author's, the replica sees.
    pub fn client(&self, message: ClientMessage) -> Result<CheckedClient, Reject> {
        let largest = self.genesis.parameters.bundle_bytes;
        let limit = |operation: &[u8]| match operation.len() as u64 <= largest {
            true => Ok(()),
            false => Err(Reject::TooLarge),
        };
        Ok(match message {
            ClientMessage::Request(request) => CheckedClient::Request(self.request(request)?),
            ClientMessage::Read(number, operation) => {
                limit(&operation)?;
                CheckedClient::Read(number, operation)
            }
            ClientMessage::Prove(number, operation) => {
                limit(&operation)?;
                CheckedClient::Prove(number, operation)
            }
            ClientMessage::Session(nonce) => CheckedClient::Session(nonce),
            ClientMessage::Receipt(number) => CheckedClient::Receipt(number),
        })
    }

    /// Checks one signed body with all that is nested in it.
    pub fn signed<T: Body + Rules>(
        &self,
        signed: Signed<T>,
    ) -> Result<Verified<Signed<T>>, Reject> {
        let mut checks = Checks::new(self.context());
        checks.signed(&signed)?;
        self.judge(checks)?;
        Ok(Verified::vouch(signed))
    }

    /// Checks a client's request.
    pub fn request(&self, request: Signed<Request>) -> Result<Verified<Signed<Request>>, Reject> {
        self.signed(request)
    }

    /// Checks a certificate that travels by itself.
    pub fn certificate<T: Certificate>(&self, certificate: T) -> Result<Verified<T>, Reject> {
        let mut checks = Checks::new(self.context());
        certificate.collect(&mut checks)?;
        self.judge(checks)?;
        Ok(Verified::vouch(certificate))
    }

    /// Checks a record of evidence.
    pub fn evidence(&self, evidence: Evidence) -> Result<Verified<Evidence>, Reject> {
        if !evidence.is_conflict() {
            return Err(Reject::NoConflict);
        }
        let mut checks = Checks::new(self.context());
        // Only the two signatures matter: a liar's body need not follow the rules.
        match &evidence {
            Evidence::PrePrepare(one, other) => checks.bare_pair(one, other)?,
            Evidence::Prepare(one, other) => checks.bare_pair(one, other)?,
            Evidence::Commit(one, other) => checks.bare_pair(one, other)?,
            Evidence::Checkpoint(one, other) => checks.bare_pair(one, other)?,
            Evidence::ViewChange(one, other) => checks.bare_pair(&**one, &**other)?,
            Evidence::NewView(one, other) => checks.bare_pair(&**one, &**other)?,
        }
        self.judge(checks)?;
        Ok(Verified::vouch(evidence))
    }

    fn proposal(
        &self,
        proposal: Signed<PrePrepare>,
        batch: Option<Batch>,
    ) -> Result<CheckedPeer, Reject> {
        require_body(proposal.body.digest, batch.as_ref())?;
        let proposal = self.signed(proposal)?;
        let proposed = batch.map_or(Proposed::Null, |batch| self.proposed(batch));
        Ok(CheckedPeer::Propose(proposal, proposed))
    }

    fn decided(
        &self,
        certificate: CommitCertificate,
        batch: Option<Batch>,
    ) -> Result<CheckedPeer, Reject> {
        require_body(certificate.digest(), batch.as_ref())?;
        Ok(CheckedPeer::Decided(self.certificate(certificate)?, batch))
    }

    /// Whether a batch keeps within the limits. Who signed what it holds is another
    /// question, and dear.
    pub fn proposed(&self, batch: Batch) -> Proposed {
        let parameters = &self.genesis.parameters;
        if batch.items().len() as u64 > parameters.batch_items
            || batch.size() as u64 > parameters.batch_bytes
        {
            return Proposed::Unfit(batch, Reject::TooLarge);
        }
        if batch.repeats_an_item() {
            return Proposed::Unfit(batch, Reject::RepeatedItem);
        }
        Proposed::Unchecked(Unchecked::within_limits(batch))
    }

    /// Looks at every signature in a batch.
    pub fn check(&self, batch: Unchecked) -> Checked {
        let digest = batch.digest();
        let mut checks = Checks::new(self.context());
        let collected = collect_items(&batch, &mut checks);
        let verdict = match collected.and_then(|()| self.judge(checks)) {
            Ok(()) => Ok(Genuine::checked(batch)),
            Err(Reject::BadSignature) => Err(Reject::ForgedRequest),
            Err(reject) => Err(reject),
        };
        Checked { digest, verdict }
    }

    /// The same for several batches: together, and each by itself only if one of them is
    /// not good.
    pub fn check_all(&self, batches: Vec<Unchecked>) -> Vec<Checked> {
        let mut checks = Checks::new(self.context());
        let are_good = batches.len() > 1
            && batches.iter().all(|batch| collect_items(batch, &mut checks).is_ok())
            && self.judge(checks).is_ok();
        let check = |batch: Unchecked| match are_good {
            true => Checked { digest: batch.digest(), verdict: Ok(Genuine::checked(batch)) },
            false => self.check(batch),
        };
        batches.into_iter().map(check).collect()
    }

    fn status(&self, status: Status) -> Result<Status, Reject> {
        let slots = status.slots.len() as u64;
        if slots > self.genesis.parameters.window
            || status.view_changes.len() > self.genesis.committee().size()
        {
            return Err(Reject::TooLarge);
        }
        require_view(status.view)?;
        require_number(status.stable)?;
        require_number(status.executed.plus(slots))?;
        Ok(status)
    }

    fn fetch(&self, fetch: Fetch) -> Result<Fetch, Reject> {
        match fetch {
            Fetch::NewView(view) => require_view(view)?,
            Fetch::Decided(seq) | Fetch::Part(seq, ..) | Fetch::Stable(seq) => require_number(seq)?,
            Fetch::Proposal(view, seq) => {
                require_view(view)?;
                require_number(seq)?;
            }
            Fetch::Batch(_) => {}
        }
        Ok(fetch)
    }

    fn start_answer(&self, answer: StartAnswer) -> Result<CheckedPeer, Reject> {
        if answer.held.len() > MOST_HELD {
            return Err(Reject::TooLarge);
        }
        require_view(answer.view)?;
        let mut checks = Checks::new(self.context());
        if let Some(certificate) = &answer.highest {
            certificate.collect(&mut checks)?;
        }
        if let Some(certificate) = &answer.stable {
            certificate.collect(&mut checks)?;
        }
        for held in &answer.held {
            match held {
                Held::PrePrepare(signed) => checks.signed(signed)?,
                Held::Prepare(signed) => checks.signed(signed)?,
                Held::Commit(signed) => checks.signed(signed)?,
                Held::Checkpoint(signed) => checks.signed(signed)?,
                Held::ViewChange(signed) => checks.signed(signed)?,
                Held::NewView(signed) => checks.signed(signed)?,
            }
        }
        self.judge(checks)?;
        Ok(CheckedPeer::StartAnswer(Box::new(CheckedStart {
            nonce: answer.nonce,
            view: answer.view,
            highest: answer.highest.map(Verified::vouch),
            stable: answer.stable.map(Verified::vouch),
            held: answer.held.into_iter().map(Verified::vouch).collect(),
        })))
    }

    fn context(&self) -> Context<'_> {
        Context {
            genesis: &self.genesis,
            committee: self.genesis.committee(),
            cluster: self.genesis.cluster(),
        }
    }

    fn judge(&self, checks: Checks<'_>) -> Verdict {
        let distinct: Vec<Check> = checks.collected.into_iter().collect();
        match self.scheme.verify_all(&distinct) {
            true => Ok(()),
            false => Err(Reject::BadSignature),
        }
    }
}

#[derive(Clone, Copy)]
struct Context<'a> {
    genesis: &'a Genesis,
    committee: Committee,
    cluster: ClusterId,
}

/// The signatures that a message stands on, gathered while its rules are checked.
pub struct Checks<'a> {
    context: Context<'a>,
    collected: BTreeSet<Check>,
}

/// The stateless rules of one kind of body, nested ones included.
pub trait Rules {
    /// Checks the rules and gathers the signatures nested in the body.
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict;
}

/// A certificate that can be judged by itself.
pub trait Certificate {
    /// Checks the members and gathers their signatures.
    fn collect(&self, checks: &mut Checks<'_>) -> Verdict;
}

impl<'a> Checks<'a> {
    fn new(context: Context<'a>) -> Checks<'a> {
        Checks { context, collected: BTreeSet::new() }
    }

    fn key(&self, author: Author) -> Result<PublicKey, Reject> {
        let genesis = self.context.genesis;
        let key = match author {
            Author::Replica(id) => genesis.replicas.get(usize::from(id.0)),
            Author::Client(id) => {
                usize::try_from(id.0).ok().and_then(|index| genesis.clients.get(index))
            }
        };
        key.copied().ok_or(Reject::UnknownAuthor)
    }

    fn signed<T: Body + Rules>(&mut self, signed: &Signed<T>) -> Verdict {
        signed.body.rules(self)?;
        self.bare(signed)
    }

    fn bare<T: Body>(&mut self, signed: &Signed<T>) -> Verdict {
        self.add(&signed.body, signed.signature)
    }

    fn bare_pair<T: Body>(&mut self, one: &Signed<T>, other: &Signed<T>) -> Verdict {
        self.bare(one)?;
        self.bare(other)
    }

    fn add<T: Body>(&mut self, body: &T, signature: crypto::Signature) -> Verdict {
        let key = self.key(body.author())?;
        let statement = crypto::statement(&T::TAG, &self.context.cluster, body);
        self.collected.insert(Check { key, statement, signature });
        Ok(())
    }

    /// Exactly as many members as needed, in strict order of replicas.
    fn members(&self, members: &[Endorsement], needed: usize) -> Verdict {
        let ordered = members.windows(2).all(|pair| pair[0].by.replica < pair[1].by.replica);
        match members.len() == needed && ordered {
            true => Ok(()),
            false => Err(Reject::BadCertificate),
        }
    }

    fn require_primary(&self, by: Voter, view: View) -> Verdict {
        match self.context.committee.primary(view) == by.replica {
            true => Ok(()),
            false => Err(Reject::WrongRole),
        }
    }

    fn window(&self) -> u64 {
        self.context.genesis.parameters.window
    }
}

fn collect_items(batch: &Unchecked, checks: &mut Checks<'_>) -> Verdict {
    batch.items().iter().try_for_each(|item| match item {
        Item::Request(request) => checks.signed(request),
        Item::Recovery(recovery) => checks.signed(recovery),
    })
}

/// The null digest has no body, and every other digest only the one that hashes to it.
fn require_body(digest: crate::types::Digest, batch: Option<&Batch>) -> Verdict {
    let matches = match batch {
        Some(batch) => batch.digest() == digest,
        None => digest == NULL,
    };
    match matches {
        true => Ok(()),
        false => Err(Reject::WrongDigest),
    }
}

fn require_view(view: View) -> Verdict {
    match view.is_plausible() {
        true => Ok(()),
        false => Err(Reject::OutOfRange),
    }
}

/// Numbers near the end of the integer are refused before anybody counts on from them.
fn require_number(seq: Seq) -> Verdict {
    match seq.0 < u64::MAX / 2 {
        true => Ok(()),
        false => Err(Reject::OutOfRange),
    }
}

fn require_place(view: View, seq: Seq) -> Verdict {
    if seq == Seq::GENESIS {
        return Err(Reject::OutOfRange);
    }
    require_view(view)?;
    require_number(seq)
}

impl Rules for Request {
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict {
        let parameters = &checks.context.genesis.parameters;
        let bytes: u64 = self.operations.iter().map(|one| one.len() as u64).sum();
        if self.operations.len() as u64 > parameters.bundle_operations
            || bytes > parameters.bundle_bytes
        {
            return Err(Reject::TooLarge);
        }
        match self.acknowledged < self.first && self.last().is_some() {
            true => Ok(()),
            false => Err(Reject::OutOfRange),
        }
    }
}

impl Rules for RecoveryRequest {
    fn rules(&self, _: &mut Checks<'_>) -> Verdict {
        Ok(())
    }
}

impl Rules for PrePrepare {
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict {
        require_place(self.view, self.seq)?;
        checks.require_primary(self.by, self.view)
    }
}

impl Rules for Prepare {
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict {
        require_place(self.view, self.seq)?;
        // The primary's proposal is its only word; its prepare must not count twice.
        match checks.require_primary(self.by, self.view) {
            Ok(()) => Err(Reject::WrongRole),
            Err(_) => Ok(()),
        }
    }
}

impl Rules for super::bodies::Commit {
    fn rules(&self, _: &mut Checks<'_>) -> Verdict {
        require_place(self.view, self.seq)
    }
}

impl Rules for super::bodies::Checkpoint {
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict {
        require_place(View::FIRST, self.seq)?;
        match self.seq.0.is_multiple_of(checks.context.genesis.parameters.checkpoint_interval) {
            true => Ok(()),
            false => Err(Reject::OutOfRange),
        }
    }
}

impl Rules for ViewChange {
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict {
        require_view(self.view)?;
        if self.view == View::FIRST || self.prepared.len() as u64 > checks.window() {
            return Err(Reject::BadViewChange);
        }
        if let Some(certificate) = &self.stable {
            certificate.collect(checks)?;
        }
        let mut previous = self.stable_seq();
        let end = previous.plus(checks.window());
        for certificate in &self.prepared {
            let in_order = previous < certificate.seq() && certificate.seq() <= end;
            if !in_order || certificate.view() >= self.view {
                return Err(Reject::BadViewChange);
            }
            certificate.collect(checks)?;
            previous = certificate.seq();
        }
        Ok(())
    }
}

impl Rules for NewView {
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict {
        require_view(self.view)?;
        if self.view == View::FIRST {
            return Err(Reject::BadNewView);
        }
        checks.require_primary(self.by, self.view)?;
        self.check_view_changes(checks)?;
        self.check_pre_prepares(checks)
    }
}

impl Rules for Receipt {
    fn rules(&self, checks: &mut Checks<'_>) -> Verdict {
        require_place(View::FIRST, self.seq)?;
        if self.number == RequestNumber(0) {
            return Err(Reject::OutOfRange);
        }
        checks.key(Author::Client(self.client)).map(drop)
    }
}

impl NewView {
    fn check_view_changes(&self, checks: &mut Checks<'_>) -> Verdict {
        let replicas: BTreeMap<ReplicaId, &ViewChange> =
            self.view_changes.iter().map(|one| (one.body.by.replica, &one.body)).collect();
        let in_order = self
            .view_changes
            .windows(2)
            .all(|pair| pair[0].body.by.replica < pair[1].body.by.replica);
        if replicas.len() != checks.context.committee.quorum()
            || self.view_changes.len() != replicas.len()
            || !in_order
            || self.view_changes.iter().any(|one| one.body.view != self.view)
        {
            return Err(Reject::BadNewView);
        }
        self.view_changes.iter().try_for_each(|one| checks.signed(one))
    }

    /// Computes what must follow, and compares.
    fn check_pre_prepares(&self, checks: &mut Checks<'_>) -> Verdict {
        let expected = new_view::decide(self.view_changes.iter().map(|one| &one.body));
        let matches = expected.chosen.len() == self.pre_prepares.len()
            && expected.chosen.iter().zip(&self.pre_prepares).all(|((seq, digest), shown)| {
                let body = &shown.body;
                body.seq == *seq
                    && body.digest == *digest
                    && body.view == self.view
                    && body.by == self.by
            });
        if !matches {
            return Err(Reject::BadNewView);
        }
        self.pre_prepares.iter().try_for_each(|one| checks.signed(one))
    }
}

impl Certificate for PreparedCertificate {
    fn collect(&self, checks: &mut Checks<'_>) -> Verdict {
        checks.members(self.prepares(), checks.context.committee.quorum() - 1)?;
        checks.signed(self.proposal())?;
        for member in self.prepares() {
            let vote: Prepare = self.prepare_of(member);
            vote.rules(checks).map_err(|_| Reject::BadCertificate)?;
            checks.add(&vote, member.signature)?;
        }
        Ok(())
    }
}

impl Certificate for CommitCertificate {
    fn collect(&self, checks: &mut Checks<'_>) -> Verdict {
        checks.members(self.commits(), checks.context.committee.quorum())?;
        for member in self.commits() {
            let vote = self.commit_of(member);
            vote.rules(checks)?;
            checks.add(&vote, member.signature)?;
        }
        Ok(())
    }
}

impl Certificate for CheckpointCertificate {
    fn collect(&self, checks: &mut Checks<'_>) -> Verdict {
        checks.members(self.checkpoints(), checks.context.committee.quorum())?;
        for member in self.checkpoints() {
            let vote = self.checkpoint_of(member);
            vote.rules(checks)?;
            checks.add(&vote, member.signature)?;
        }
        Ok(())
    }
}

impl Certificate for ReceiptCertificate {
    fn collect(&self, checks: &mut Checks<'_>) -> Verdict {
        checks.members(self.receipts(), checks.context.committee.quorum())?;
        for member in self.receipts() {
            let receipt = self.receipt_of(member);
            receipt.rules(checks)?;
            checks.add(&receipt, member.signature)?;
        }
        Ok(())
    }
}
