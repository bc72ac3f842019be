//! What clients ask for (§ Clients).

use super::Replica;
use super::executor::PROTOCOL;
use super::reads::Question;
use crate::message::{
    CheckedClient, Item, Receipt, Reject, Reply, ReplyOutcome, Request, Signed, ToClient, Verified,
};
use crate::service::tree::KeyRange;
use crate::service::{NumberStatus, Refusal};
use crate::types::{ClientId, Digest, Instant, RequestNumber};
use crate::wire::Blob;

/// How many receipts were signed for a client, since when.
pub(super) struct ReceiptsSigned {
    since: Instant,
    count: u64,
}

impl Replica {
    pub(super) fn on_client(
        &mut self,
        from: ClientId,
        message: CheckedClient,
    ) -> Result<(), Reject> {
        match message {
            CheckedClient::Request(request) => self.on_request(from, request),
            CheckedClient::Read(number, operation) => {
                self.on_question(from, Question::Read(number, operation))
            }
            CheckedClient::Prove(number, operation) => self.on_prove(from, number, &operation),
            CheckedClient::Session(nonce) => self.on_question(from, Question::Session(nonce)),
            CheckedClient::Receipt(number) => self.on_receipt(from, number),
        }
    }

    /// A client's request, from the client itself: what was executed is answered, what
    /// is open waits here, and the primary hears of it.
    fn on_request(
        &mut self,
        from: ClientId,
        request: Verified<Signed<Request>>,
    ) -> Result<(), Reject> {
        let body = &request.body;
        if body.client != from {
            return Err(Reject::NotFromAuthor);
        }
        if let Err((refusal, reject)) = self.require_open(body) {
            if let Some(refusal) = refusal {
                self.out.reply(from, ToClient::Refused(body.first, refusal));
            }
            self.tell_if_passed(body);
            self.answer_kept(body);
            return Err(reject);
        }
        self.tell_if_passed(body);
        self.answer_kept(body);
        let item = Item::Request(request.into_inner());
        // What waits here already may have been lost on the way to the primary.
        let (key, now) = (item.key(), self.now.instant);
        let taken = self.take_item(item.clone());
        if self.pool.is_proposed(key) {
            self.note_asked(from);
        }
        let interval = self.settings.status_interval;
        let is_to_be_passed_on = match taken {
            Ok(()) => !self.pool.is_proposed(key),
            Err(_) => self.pool.may_pass_on(key, now, interval),
        };
        if !self.is_primary() && is_to_be_passed_on {
            self.pass_on_item(item);
        }
        taken
    }

    /// A request that another replica passes on.
    pub(super) fn on_relay(&mut self, request: Verified<Signed<Request>>) -> Result<(), Reject> {
        self.require_open(&request.body).map_err(|(_, reject)| reject)?;
        self.take_item(Item::Request(request.into_inner()))
    }

    /// Puts an item where it waits, and proposes it if this is the primary.
    pub(super) fn take_item(&mut self, item: Item) -> Result<(), Reject> {
        let (highest, executed) = (self.highest_proposed(), self.executed());
        let depth = self.settings.pipeline;
        let had_room = self.has_room_to_propose();
        // A proposal far ahead puts the fence no further off than an honest primary's.
        let fence = highest.min(executed.plus(depth.saturating_mul(2))).plus(depth);
        let key = item.key();
        if !self.pool.insert_seen(item, self.now.instant, fence, had_room) {
            return Err(Reject::Duplicate);
        }
        if self.is_under_way(key) {
            self.pool.mark_proposed(key);
        }
        self.tell_status_soon();
        self.propose();
        Ok(())
    }

    /// Whether anything in a request may still be executed, as far as this replica can
    /// tell. It may lag: a number above the window is parked up to twice the window, from what
    /// the request itself acknowledges on.
    pub(super) fn require_open(&self, body: &Request) -> Result<(), (Option<Refusal>, Reject)> {
        let state = self.executor.state();
        if !state.is_listed(body.client) {
            return Err((Some(Refusal::Unlisted), Reject::UnknownClient));
        }
        let Some(last) = body.last() else { return Err((None, Reject::OutOfRange)) };
        let window = self.genesis.parameters.client_window;
        // What the request itself acknowledges counts as it will at its execution.
        let limit = RequestNumber(state.highest(body.client).0.saturating_add(window));
        let floor = state.floor(body.client).max(body.acknowledged.min(limit));
        let end = RequestNumber(floor.0.saturating_add(window));
        if last.0 > end.0.saturating_add(window) {
            return Err((Some(Refusal::BeyondWindow { last: end }), Reject::BeyondWindow));
        }
        let open = (body.first.0..=last.0).map(RequestNumber).any(|number| {
            match state.status(body.client, number) {
                NumberStatus::Open | NumberStatus::BeyondWindow => true,
                NumberStatus::Acknowledged | NumberStatus::Executed(_) => false,
            }
        });
        match open {
            true => Ok(()),
            false => Err((None, Reject::Acknowledged)),
        }
    }

    /// Tells a client up to which number of its request all is acknowledged. If it still
    /// waits for one of these, another session with its key went past it.
    fn tell_if_passed(&mut self, body: &Request) {
        let floor = self.executor.state().floor(body.client);
        if let Some(last) = body.last().filter(|_| body.first <= floor) {
            let passed = last.min(floor);
            self.out.reply(body.client, ToClient::Refused(passed, Refusal::Acknowledged));
        }
    }

    /// Tells again what came of the numbers that were executed.
    fn answer_kept(&mut self, body: &Request) {
        if self.is_recovering() {
            return;
        }
        let Some(last) = body.last() else { return };
        for number in (body.first.0..=last.0).map(RequestNumber) {
            if let Some(kept) = self.executor.state().kept(body.client, number) {
                self.note_asked(body.client);
                let reply = Reply {
                    client: body.client,
                    number,
                    view: self.view,
                    seq: kept.seq,
                    operation: kept.operation,
                    outcome: ReplyOutcome::Executed(kept.result),
                };
                self.out.reply(body.client, ToClient::Reply(reply));
            }
        }
    }

    /// A read to be answered with a proof against the stable checkpoint.
    fn on_prove(
        &mut self,
        from: ClientId,
        number: RequestNumber,
        operation: &Blob,
    ) -> Result<(), Reject> {
        let range = self.executor.state().proof_range(operation);
        // The content is of keys, values and what proves them. What is larger has to be
        // asked for in pieces, or read by quorum.
        let largest = usize::try_from(self.genesis.parameters.result_bytes).unwrap_or(usize::MAX);
        let most_bytes = largest.saturating_mul(2);
        let certificate = self.checkpoints.certificate.clone();
        let proved = certificate.zip(range).and_then(|(certificate, range)| {
            let tree = self.snapshot(certificate.seq())?;
            let protocol = KeyRange::single(&crate::service::state::system_key(PROTOCOL));
            Some(ToClient::Proved {
                number,
                proof: tree.prove_within(&range, most_bytes)?,
                time: tree.prove(&protocol),
                certificate: certificate.into_inner(),
            })
        });
        match proved {
            Some(message) => {
                self.out.reply(from, message);
                Ok(())
            }
            None => {
                self.out.reply(from, ToClient::NotReady(number));
                Err(Reject::NotReady)
            }
        }
    }

    /// A receipt for an operation that was executed and is not acknowledged yet. What was
    /// executed stays executed, so this is no promise that could be broken; but a replica
    /// that knows its own state to be wrong, or may not vote, signs nothing.
    fn on_receipt(&mut self, from: ClientId, number: RequestNumber) -> Result<(), Reject> {
        let kept = self.executor.state().kept(from, number);
        let Some(kept) = kept.filter(|_| self.may_vote() && !self.checkpoints.diverged) else {
            self.out.reply(from, ToClient::NotReady(number));
            return Err(Reject::NotReady);
        };
        self.charge_receipt(from)?;
        let receipt = Receipt {
            client: from,
            number,
            seq: kept.seq,
            operation: kept.operation,
            result: Digest::of(&kept.result),
            by: self.voter_about(kept.seq),
        };
        let receipt = self.promises.sign_freely(receipt).into_inner();
        self.out.reply(from, ToClient::Receipt(receipt));
        Ok(())
    }

    /// Counts what a client has signed for it: in the time of one status, as much as its
    /// window has numbers.
    fn charge_receipt(&mut self, from: ClientId) -> Result<(), Reject> {
        let now = self.now.instant;
        let interval = self.settings.status_interval;
        let fresh = || ReceiptsSigned { since: now, count: 0 };
        let signed = self.receipts_signed.entry(from).or_insert_with(fresh);
        if now.since(signed.since) >= interval {
            *signed = fresh();
        }
        if signed.count >= self.genesis.parameters.client_window {
            return Err(Reject::OverQuota);
        }
        signed.count += 1;
        Ok(())
    }
}
