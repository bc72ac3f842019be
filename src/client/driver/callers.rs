//! Who waits for what is under way: several, where their operations travel as one bundle.

use super::error::Error;
use crate::client::outcome::{Outcome, Ticket};
use crate::client::requests::submitted;
use crate::types::{Instant, RequestNumber};
use tokio::sync::oneshot;

/// Where an answer is waited for.
pub(super) type Answer = oneshot::Sender<Result<Outcome, Error>>;

/// Who waits for something under way, and for how many operations of it.
pub(super) struct Caller {
    pub(super) answer: Answer,
    pub(super) operations: usize,
    pub(super) deadline: Instant,
}

/// In the order of their operations; at least one.
pub(super) type Callers = Vec<Caller>;

impl Caller {
    /// Whoever no longer waits for an answer needs none.
    pub(super) fn tell(self, outcome: Result<Outcome, Error>) {
        let _ = self.answer.send(outcome);
    }
}

/// Tells each caller what became of its own operations.
pub(super) fn tell_each(ticket: Ticket, mut callers: Callers, told: Result<Outcome, Error>) {
    if callers.len() == 1 {
        let caller = callers.remove(0);
        return caller.tell(told);
    }
    let first = match ticket {
        Ticket::Submitted(first, _) => first,
        Ticket::Read(_) | Ticket::Proof(_) => unreachable!("what is read has one caller"),
    };
    match told {
        Ok(Outcome::Done(mut done)) => {
            for caller in callers.into_iter().rev() {
                let own = done.split_off(done.len() - caller.operations);
                caller.tell(Ok(Outcome::Done(own)));
            }
        }
        Ok(Outcome::Refused { mut fates, .. } | Outcome::Superseded { mut fates, .. }) => {
            for caller in callers.into_iter().rev() {
                let own = fates.split_off(fates.len() - caller.operations);
                let first = RequestNumber(first.0 + fates.len() as u64);
                caller.tell(Ok(submitted(first, own)));
            }
        }
        other => callers.into_iter().for_each(|caller| caller.tell(other.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::outcome::{Done, Fate};
    use crate::service::Refusal;
    use crate::types::Seq;
    use crate::wire::Blob;

    fn caller(operations: usize) -> (Caller, oneshot::Receiver<Result<Outcome, Error>>) {
        let (answer, answered) = oneshot::channel();
        (Caller { answer, operations, deadline: Instant(0) }, answered)
    }

    fn done(result: u8) -> Done {
        Done { seq: Seq(1), result: Blob::from(vec![result]) }
    }

    fn told(told: Outcome) -> Vec<Outcome> {
        let (callers, answers): (Vec<_>, Vec<_>) = [1, 2, 1].map(caller).into_iter().unzip();
        let ticket = Ticket::Submitted(RequestNumber(10), RequestNumber(13));
        tell_each(ticket, callers, Ok(told));
        let answer = |mut one: oneshot::Receiver<Result<Outcome, Error>>| {
            one.try_recv().expect("everybody is told").expect("an outcome")
        };
        answers.into_iter().map(answer).collect()
    }

    #[test]
    fn callers_of_one_bundle_hear_of_their_own_operations() {
        let all = (0..4).map(done).collect();
        assert_eq!(
            told(Outcome::Done(all)),
            [
                Outcome::Done(vec![done(0)]),
                Outcome::Done(vec![done(1), done(2)]),
                Outcome::Done(vec![done(3)]),
            ]
        );
    }

    #[test]
    fn what_befell_one_callers_operation_is_no_others() {
        let refusal = Refusal::NumbersEnd;
        let executed = crate::types::Digest([1; 32]);
        let superseded = Fate::Superseded { executed, done: done(9) };
        let fates = vec![
            Fate::Done(done(0)),
            Fate::Done(done(1)),
            superseded.clone(),
            Fate::Refused(refusal),
        ];
        assert_eq!(
            told(Outcome::Superseded { number: RequestNumber(12), fates }),
            [
                Outcome::Done(vec![done(0)]),
                Outcome::Superseded {
                    number: RequestNumber(12),
                    fates: vec![Fate::Done(done(1)), superseded],
                },
                Outcome::Refused { reason: refusal, fates: vec![Fate::Refused(refusal)] },
            ]
        );
    }
}
