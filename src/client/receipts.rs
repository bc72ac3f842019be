//! Receipts under way: who has signed what of a bundle that was executed.
//!
//! The outcome is known by then, so nothing is believed here: a receipt is taken if it
//! says that, and is signed. `Q` of them for each operation, and the caller has something
//! to show to others.

use super::outcome::{Done, NoReceipts, Outcome, Ticket, ToReplica};
use super::receipt;
use super::session::{Out, Settings};
use crate::message::{
    ClientMessage, Receipt, ReceiptCertificate, Reject, Request, Signed, Verified,
};
use crate::types::{ClientId, Committee, Digest, Instant, ReplicaId, RequestNumber, Seq, Span};
use std::collections::BTreeMap;

/// A bundle that was executed, every operation of it, and is to be proved.
pub(super) struct Executed {
    pub(super) ticket: Ticket,
    pub(super) request: Signed<Request>,
    pub(super) done: Vec<Done>,
    pub(super) deadline: Instant,
}

/// What a receipt for one operation must say, and who has signed it.
struct Wanted {
    seq: Seq,
    operation: Digest,
    result: Digest,
    signed: BTreeMap<ReplicaId, Verified<Signed<Receipt>>>,
}

struct Asked {
    bundle: Executed,
    /// For each operation, in order.
    wanted: Vec<Wanted>,
    retry_at: Instant,
    pause: Span,
    again: Again,
}

/// Whether those who have not signed are asked once more before it is time for that. The
/// outcome was believed as soon as so many told it that one is honest: the others may not have
/// executed it when they are asked first.
enum Again {
    /// Nobody has said that it can't sign yet.
    NotDue,
    At(Instant),
    Asked,
}

impl Asked {
    /// When somebody is to be asked.
    fn due(&self) -> Instant {
        match self.again {
            Again::At(again) => again.min(self.retry_at),
            Again::NotDue | Again::Asked => self.retry_at,
        }
    }
}

/// All receipts that are asked for.
pub(super) struct Receipts {
    client: ClientId,
    committee: Committee,
    settings: Settings,
    /// By the first number of the bundle.
    asked: BTreeMap<RequestNumber, Asked>,
    closed: Vec<RequestNumber>,
}

impl Receipts {
    pub(super) fn new(client: ClientId, committee: Committee, settings: Settings) -> Receipts {
        Receipts { client, committee, settings, asked: BTreeMap::new(), closed: Vec::new() }
    }

    /// Bundles whose numbers need not be kept any more.
    pub(super) fn take_closed(&mut self) -> Vec<RequestNumber> {
        std::mem::take(&mut self.closed)
    }

    /// Asks all for receipts of a bundle.
    pub(super) fn ask(&mut self, now: Instant, bundle: Executed, out: &mut Out) {
        let first = bundle.request.body.first;
        let wanted: Vec<Wanted> = bundle
            .request
            .body
            .operations
            .iter()
            .zip(&bundle.done)
            .map(|(operation, done)| Wanted {
                seq: done.seq,
                operation: Digest::of(operation),
                result: Digest::of(&done.result),
                signed: BTreeMap::new(),
            })
            .collect();
        for (number, _) in numbered(first, &wanted) {
            out.send(ToReplica::All, ClientMessage::Receipt(number));
        }
        let pause = self.settings.retry;
        let (retry_at, again) = (now.plus(pause), Again::NotDue);
        self.asked.insert(first, Asked { bundle, wanted, retry_at, pause, again });
    }

    /// Whether a receipt for this number is wanted still.
    pub(super) fn is_wanted(&self, number: RequestNumber) -> bool {
        let quorum = self.committee.quorum();
        self.wanted(number).is_some_and(|wanted| wanted.signed.len() < quorum)
    }

    fn wanted(&self, number: RequestNumber) -> Option<&Wanted> {
        let (first, asked) = self.asked.range(..=number).next_back()?;
        asked.wanted.get(usize::try_from(number.0 - first.0).ok()?)
    }

    /// Whether this receipt is worth the check of its signature.
    pub(super) fn require_wanted(&self, from: ReplicaId, said: &Receipt) -> Result<(), Reject> {
        if said.client != self.client || said.by.replica != from {
            return Err(Reject::NotFromAuthor);
        }
        let wanted = self.wanted(said.number).ok_or(Reject::Unrequested)?;
        if wanted.signed.contains_key(&from) || !self.is_wanted(said.number) {
            return Err(Reject::Duplicate);
        }
        match (said.seq, said.operation, said.result)
            == (wanted.seq, wanted.operation, wanted.result)
        {
            true => Ok(()),
            false => Err(Reject::WrongDigest),
        }
    }

    /// A replica can't sign one that is wanted yet.
    pub(super) fn put_off(&mut self, now: Instant, number: RequestNumber) {
        let asked = self.asked.range_mut(..=number).next_back().map(|(_, asked)| asked);
        if let Some(asked) = asked.filter(|asked| matches!(asked.again, Again::NotDue)) {
            asked.again = Again::At(now.plus(self.settings.reply_patience));
        }
    }

    /// Takes a receipt that is wanted.
    pub(super) fn take(&mut self, receipt: Verified<Signed<Receipt>>, out: &mut Out) {
        let Receipt { number, by, .. } = receipt.body;
        let Some((first, asked)) = self.asked.range_mut(..=number).next_back() else { return };
        let first = *first;
        let index = usize::try_from(number.0 - first.0).ok();
        let Some(wanted) = index.and_then(|index| asked.wanted.get_mut(index)) else { return };
        wanted.signed.insert(by.replica, receipt);
        let quorum = self.committee.quorum();
        if asked.wanted.iter().all(|wanted| wanted.signed.len() >= quorum) {
            let asked = self.close(first).expect("it was here just now");
            let receipts = Ok(asked.receipts(self.committee));
            let Executed { ticket, done, .. } = asked.bundle;
            out.report(ticket, Outcome::Receipted { done, receipts });
        }
    }

    /// Gives up on the receipts of a bundle, and on its outcome.
    pub(super) fn abandon(&mut self, first: RequestNumber) -> bool {
        self.close(first).is_some()
    }

    fn close(&mut self, first: RequestNumber) -> Option<Asked> {
        let asked = self.asked.remove(&first)?;
        self.closed.push(first);
        Some(asked)
    }

    /// Asks again where it is time, and gives up where the caller's is over.
    pub(super) fn on_tick(&mut self, now: Instant, out: &mut Out) {
        let late: Vec<RequestNumber> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.bundle.deadline <= now)
            .map(|(first, _)| *first)
            .collect();
        let needed = self.committee.quorum();
        for first in late {
            let asked = self.close(first).expect("it was here just now");
            let signed = asked.wanted.iter().map(|wanted| wanted.signed.len()).min().unwrap_or(0);
            let Executed { ticket, done, .. } = asked.bundle;
            let receipts = Err(NoReceipts::TimedOut { signed, needed });
            out.report(ticket, Outcome::Receipted { done, receipts });
        }
        for (first, asked) in self.asked.iter_mut().filter(|(_, asked)| asked.due() <= now) {
            if asked.retry_at <= now {
                asked.pause = asked.pause.times(2).min(self.settings.most_retry);
                asked.retry_at = now.plus(asked.pause);
            }
            asked.again = Again::Asked;
            for (number, wanted) in numbered(*first, &asked.wanted) {
                if wanted.signed.len() >= needed {
                    continue;
                }
                let silent = |one: &ReplicaId| !wanted.signed.contains_key(one);
                for replica in self.committee.replicas().filter(silent) {
                    out.send(ToReplica::One(replica), ClientMessage::Receipt(number));
                }
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.asked.values().map(|asked| asked.bundle.deadline.min(asked.due())).min()
    }
}

fn numbered(
    first: RequestNumber,
    wanted: &[Wanted],
) -> impl Iterator<Item = (RequestNumber, &Wanted)> {
    (first.0..).map(RequestNumber).zip(wanted)
}

impl Asked {
    /// One receipt for each operation, all of which have their signatures.
    fn receipts(&self, committee: Committee) -> Vec<receipt::Receipt> {
        let Executed { request, done, .. } = &self.bundle;
        let receipt = |(wanted, done): (&Wanted, &Done)| {
            let said = &wanted.signed.first_key_value().expect("a quorum is some").1.body;
            let certificate = ReceiptCertificate::new(committee, said, wanted.signed.values());
            receipt::Receipt {
                request: request.clone(),
                result: done.result.clone(),
                certificate: certificate.expect("a quorum, and all alike").into_inner(),
            }
        };
        self.wanted.iter().zip(done).map(receipt).collect()
    }
}
