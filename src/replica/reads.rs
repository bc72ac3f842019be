//! Reads on executed state, and from where on they are answered (§ Reads).
//!
//! A client believes a write of `W` replicas, and what was read of `Q`. So among any `Q` that
//! answer a read there must be an honest one that has executed whatever was believed before
//! it was asked. That was decided, so `Q` had committed to it, and one honest replica of these
//! is among the `Q` that answer: whoever has committed to a number answers nothing that is
//! asked later before it has executed that number, and keeps the question until then. So it
//! does with what it may have committed to before it started.

use super::Replica;
use crate::message::{Reject, ToClient, Voter};
use crate::types::{ClientId, Digest, Instant, Nonce, RequestNumber, Seq, Span, View};
use crate::wire::Blob;
use std::collections::{BTreeMap, VecDeque};

/// The most questions that are kept for one client.
const MOST_FOR_ONE: usize = 1_024;

/// The most that are kept in all, and the most bytes of them.
const MOST_IN_ALL: usize = 1 << 16;
const MOST_BYTES_IN_ALL: usize = 16 << 20;

/// Whoever asked so long ago asks no more: it has had the read ordered.
const OLD: Span = Span::seconds(10);

/// The most questions that are answered in one step, and the bytes after which no more are:
/// others wait for what else is to be done.
const MOST_IN_A_STEP: usize = 64;
const MOST_BYTES_IN_A_STEP: usize = 1 << 20;

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

/// A question that waits.
struct Kept {
    client: ClientId,
    question: Question,
    /// What must be executed before it is answered.
    after: Seq,
    since: Instant,
}

#[derive(Default)]
pub(super) struct Reads {
    /// Nothing is answered before the highest of these numbers was executed. Each stands
    /// under the view in which it may have been decided.
    from: BTreeMap<View, Seq>,
    /// In the order in which they came, which is that of what they wait for.
    kept: VecDeque<Kept>,
    /// How many of them, and of how many bytes, each client has; only who has any.
    of_each: BTreeMap<ClientId, (usize, usize)>,
    bytes: usize,
}

impl Reads {
    /// How many questions are kept.
    pub(super) fn held(&self) -> usize {
        self.kept.len()
    }

    /// What must be executed before anything is answered that is asked now.
    fn after(&self) -> Seq {
        self.from.values().max().copied().unwrap_or_default()
    }

    /// Keeps a question, if there is room for it.
    fn keep(&mut self, one: Kept, most_bytes_for_one: u64) -> Result<(), Kept> {
        let bytes = one.question.bytes();
        let (count, of_client) = self.of_each.get(&one.client).copied().unwrap_or_default();
        let has_room = count < MOST_FOR_ONE
            && (of_client + bytes) as u64 <= most_bytes_for_one
            && self.kept.len() < MOST_IN_ALL
            && self.bytes + bytes <= MOST_BYTES_IN_ALL;
        if !has_room {
            return Err(one);
        }
        self.of_each.insert(one.client, (count + 1, of_client + bytes));
        self.bytes += bytes;
        self.kept.push_back(one);
        Ok(())
    }

    /// The first question, if it waits for nothing above this number.
    fn take(&mut self, executed: Seq) -> Option<Kept> {
        self.kept.front().filter(|one| one.after <= executed)?;
        let one = self.kept.pop_front()?;
        let bytes = one.question.bytes();
        self.bytes -= bytes;
        if let Some((count, of_client)) = self.of_each.get_mut(&one.client) {
            (*count, *of_client) = (*count - 1, *of_client - bytes);
            if *count == 0 {
                self.of_each.remove(&one.client);
            }
        }
        Some(one)
    }
}

impl Replica {
    /// A question about the state as it is.
    pub(super) fn on_question(&mut self, from: ClientId, question: Question) -> Result<(), Reject> {
        let (after, executed) = (self.reads.after(), self.executed());
        if !self.may_answer() {
            self.put_off(from, &question);
            return Err(Reject::NotReady);
        }
        if after <= executed {
            self.answer_question(from, &question);
            return Ok(());
        }
        let since = self.now.instant;
        let most_bytes = self.genesis.parameters.bundle_bytes;
        let kept = self.reads.keep(Kept { client: from, question, after, since }, most_bytes);
        kept.map_err(|one| {
            self.put_off(from, &one.question);
            Reject::NotReady
        })
    }

    /// Answers what was kept, as soon as that may be, and not too much at once.
    pub(super) fn answer_kept_questions(&mut self) {
        let mut bytes = 0;
        for _ in 0..MOST_IN_A_STEP {
            let may_answer = self.may_answer();
            let up_to = if may_answer { self.executed() } else { Seq(u64::MAX) };
            let Some(Kept { client, question, since, .. }) = self.reads.take(up_to) else { return };
            if self.now.instant.since(since) >= OLD {
                continue;
            }
            match may_answer {
                true => bytes += self.answer_question(client, &question),
                false => self.put_off(client, &question),
            }
            if bytes >= MOST_BYTES_IN_A_STEP {
                return;
            }
        }
    }

    /// When there is more to be answered than fitted into a step.
    pub(super) fn questions_deadline(&self) -> Option<Instant> {
        let first = self.reads.kept.front()?;
        let is_due = first.after <= self.executed() || !self.may_answer();
        is_due.then_some(self.now.instant)
    }

    /// Tells a client that others have to answer.
    fn put_off(&mut self, from: ClientId, question: &Question) {
        if let Question::Read(number, _) = question {
            self.out.reply(from, ToClient::NotReady(*number));
        }
    }

    /// Says of how many bytes the answer is.
    fn answer_question(&mut self, from: ClientId, question: &Question) -> usize {
        let state = self.executor.state();
        let mut bytes = 0;
        let message = match question {
            Question::Read(number, operation) => {
                let answer = state.query(from, operation);
                bytes = answer.result.len();
                ToClient::ReadAnswer {
                    number: *number,
                    operation: Digest::of(operation),
                    result: answer.result.into(),
                    changed: answer.changed,
                }
            }
            Question::Session(nonce) => ToClient::Session {
                nonce: *nonce,
                acknowledged: state.floor(from),
                highest: state.highest(from),
                view: self.view,
            },
        };
        self.out.reply(from, message);
        bytes
    }

    /// Whether this replica answers at all.
    fn may_answer(&self) -> bool {
        self.may_vote() && self.transfer.is_none() && !self.checkpoints.diverged
    }

    /// Nothing is answered before this number was executed. What is decided is on nobody's
    /// disk as such, only what led to it: so after a start this is told of the highest number
    /// with a prepared certificate, of its own and of each of the `Q` whose answers the
    /// replica starts with, under the view of that certificate.
    ///
    /// What was prepared need not have been decided: the opening of a later view may leave
    /// it out, and then nobody ever executes that number if nothing more is asked for. But
    /// what was decided before a view, its opening chose. So numbers that an opening has
    /// [left out](Replica::is_left_out) are not told, and not waited for.
    pub(super) fn answer_reads_from(&mut self, view: View, seq: Seq) {
        let from = self.reads.from.entry(view).or_default();
        *from = seq.max(*from);
    }

    /// The view was entered whose opening this replica has. What it leaves out nobody waits
    /// for any more, whoever has asked; what it chose counts.
    pub(super) fn answer_reads_by_opening(&mut self, view: View, chosen_up_to: Seq) {
        if self.reads.after() <= self.executed() {
            self.reads.from.clear();
        }
        let mut from = std::mem::take(&mut self.reads.from);
        from.retain(|told, seq| !self.is_left_out(*told, *seq));
        self.reads.from = from;
        self.answer_reads_from(view, chosen_up_to);
        let after = self.reads.after();
        self.reads.kept.iter_mut().for_each(|one| one.after = one.after.min(after));
    }

    /// Whether what may have been decided in a view surely was not, since the opening of the
    /// view entered last does not have it. That opening must rest on words that count about
    /// the number: for one of an old life, another may have voted since.
    pub(super) fn is_left_out(&self, told: View, seq: Seq) -> bool {
        let Some(opening) = &self.opening else { return false };
        let body = &opening.new_view.body;
        let lives = self.executor.lives();
        let counts = |by: Voter| by.incarnation >= lives.incarnation_about(by.replica, seq);
        told < body.view
            && seq > opening.chosen_up_to()
            && counts(body.by)
            && body.view_changes.iter().all(|wish| counts(wish.body.by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(client: u32, bytes: usize) -> Kept {
        let question = Question::Read(RequestNumber(1), vec![0; bytes].into());
        Kept { client: ClientId(client), question, after: Seq(1), since: Instant(0) }
    }

    /// How many questions find room, one for each client.
    fn kept(reads: &mut Reads, bytes: usize) -> usize {
        let all = 0..2 * MOST_IN_ALL as u32;
        all.take_while(|client| reads.keep(question(*client, bytes), 1 << 20).is_ok()).count()
    }

    /// K6: however many clients there are; and what is answered leaves its room.
    #[test]
    fn what_is_kept_for_all_clients_together_is_bounded() {
        for (bytes, most) in [(0, MOST_IN_ALL), (1 << 20, MOST_BYTES_IN_ALL >> 20)] {
            let mut reads = Reads::default();
            for _ in 0..2 {
                assert_eq!(kept(&mut reads, bytes), most);
                assert_eq!(reads.held(), most);
                assert!(reads.take(Seq(0)).is_none(), "what it waits for is not executed");
                while reads.take(Seq(1)).is_some() {}
                assert!(reads.of_each.is_empty() && reads.bytes == 0);
            }
        }
    }
}
