//! Reads on executed state, and from where on they are answered (§ Reads).
//!
//! A client believes a write of `W` replicas, and what was read of `Q`. So among any `Q` that
//! answer a read there must be an honest one that has executed whatever was believed before.
//! That was decided, so `Q` have committed to it, and one honest replica of these is among the
//! `Q` that answer: whoever has committed to a number answers nothing before it has executed
//! that number, and keeps the question until then. So it does with what it may have committed
//! to before it started.

use super::Replica;
use crate::message::{Reject, ToClient};
use crate::types::{ClientId, Digest, Nonce, RequestNumber, Seq, View};
use crate::wire::Blob;
use std::collections::BTreeMap;

/// The most questions that are kept for one client.
const MOST_KEPT: usize = 1_024;

/// What a client asks of the state as it is.
pub(super) enum Question {
    Read(RequestNumber, Blob),
    /// Which numbers the client has used.
    Session(Nonce),
}

impl Question {
    fn bytes(&self) -> usize {
        match self {
            Question::Read(_, operation) => operation.len(),
            Question::Session(_) => 0,
        }
    }
}

/// When questions are answered.
enum Answers {
    Now,
    /// Once what is under way is executed.
    Soon,
    /// Nobody can tell when.
    NotNow,
}

#[derive(Default)]
pub(super) struct Reads {
    /// Nothing is answered before the highest of these numbers was executed. Each stands
    /// under a view: once one above it is entered, what that one chose counts in its place.
    from: BTreeMap<View, Seq>,
    kept: BTreeMap<ClientId, Vec<Question>>,
}

impl Reads {
    /// How many questions are kept.
    pub(super) fn held(&self) -> usize {
        self.kept.values().map(Vec::len).sum()
    }
}

impl Replica {
    /// A question about the state as it is.
    pub(super) fn on_question(&mut self, from: ClientId, question: Question) -> Result<(), Reject> {
        match self.answers() {
            Answers::Now => self.answer_question(from, question),
            Answers::Soon => return self.keep_question(from, question),
            Answers::NotNow => return self.put_off(from, question),
        }
        Ok(())
    }

    /// Keeps a question for later, if its client has room for it.
    fn keep_question(&mut self, from: ClientId, question: Question) -> Result<(), Reject> {
        let most_bytes = self.genesis.parameters.bundle_bytes;
        let kept = self.reads.kept.entry(from).or_default();
        let bytes: usize = kept.iter().map(Question::bytes).sum();
        if kept.len() >= MOST_KEPT || (bytes + question.bytes()) as u64 > most_bytes {
            return self.put_off(from, question);
        }
        kept.push(question);
        Ok(())
    }

    /// Answers what was kept, as soon as that may be.
    pub(super) fn answer_kept_questions(&mut self) {
        if self.reads.kept.is_empty() {
            return;
        }
        let is_ready = match self.answers() {
            Answers::Now => true,
            Answers::Soon => return,
            Answers::NotNow => false,
        };
        for (client, questions) in std::mem::take(&mut self.reads.kept) {
            for question in questions {
                match is_ready {
                    true => self.answer_question(client, question),
                    false => drop(self.put_off(client, question)),
                }
            }
        }
    }

    /// Tells a client that others have to answer.
    fn put_off(&mut self, from: ClientId, question: Question) -> Result<(), Reject> {
        if let Question::Read(number, _) = question {
            self.out.reply(from, ToClient::NotReady(number));
        }
        Err(Reject::NotReady)
    }

    fn answer_question(&mut self, from: ClientId, question: Question) {
        let state = self.executor.state();
        let message = match question {
            Question::Read(number, operation) => {
                let answer = state.query(from, &operation);
                ToClient::ReadAnswer {
                    number,
                    operation: Digest::of(&operation),
                    result: answer.result.into(),
                    changed: answer.changed,
                }
            }
            Question::Session(nonce) => ToClient::Session {
                nonce,
                acknowledged: state.floor(from),
                highest: state.highest(from),
                view: self.view,
            },
        };
        self.out.reply(from, message);
    }

    fn answers(&self) -> Answers {
        let is_able = self.may_vote() && self.transfer.is_none() && !self.checkpoints.diverged;
        match (is_able, self.is_caught_up()) {
            (true, true) => Answers::Now,
            (true, false) => Answers::Soon,
            (false, _) => Answers::NotNow,
        }
    }

    /// Nothing is answered before this number was executed. What is decided is on nobody's
    /// disk as such, only what led to it: so after a start this is told of the highest number
    /// with a prepared certificate, of its own and of each of the `Q` whose answers the
    /// replica starts with, as of the view of whoever tells it.
    ///
    /// What was prepared need not have been decided: the opening of a later view may leave
    /// it out, and then nobody ever executes that number if nothing more is asked for. But
    /// what was decided before a view, its opening chose. So numbers that an opening has
    /// left out are not told, and those that were told under a view below one that is
    /// entered give way to what that one chose.
    pub(super) fn answer_reads_from(&mut self, view: View, seq: Seq) {
        let from = self.reads.from.entry(view).or_default();
        *from = seq.max(*from);
    }

    /// Whether everything is executed that anybody may have been told of.
    fn is_caught_up(&self) -> bool {
        self.reads.from.values().all(|from| *from <= self.executed())
    }

    /// A view is entered that chose everything up to here.
    pub(super) fn answer_reads_by_opening(&mut self, view: View, chosen_up_to: Seq) {
        match self.is_caught_up() {
            true => self.reads.from.clear(),
            false => {
                self.reads.from.retain(|told, _| *told >= view);
                self.answer_reads_from(view, chosen_up_to);
            }
        }
    }
}
