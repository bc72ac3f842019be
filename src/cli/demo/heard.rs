//! What each replica answered to one request: what comes late to an earlier one is left out.

use crate::message::ToClient;
use crate::node::lying;
use crate::types::{ReplicaId, RequestNumber};
use std::collections::BTreeMap;

/// Requests and reads are numbered apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Request,
    Read,
}

/// See the module's head.
#[derive(Default)]
pub(super) struct Heard {
    words: BTreeMap<ReplicaId, String>,
    /// The highest number that each has answered.
    highest: BTreeMap<Kind, BTreeMap<ReplicaId, RequestNumber>>,
    /// What has no higher number is an answer to something earlier.
    earlier: BTreeMap<Kind, RequestNumber>,
}

impl Heard {
    /// A replica said something.
    pub(super) fn hear(&mut self, from: ReplicaId, message: &ToClient) {
        let (kind, number) = match message {
            ToClient::Reply(reply) => (Kind::Request, reply.number),
            ToClient::Refused(number, _) => (Kind::Request, *number),
            ToClient::ReadAnswer { number, .. }
            | ToClient::Proved { number, .. }
            | ToClient::NotReady(number) => (Kind::Read, *number),
            ToClient::Session { .. } | ToClient::Receipt(_) => return,
        };
        let highest = self.highest.entry(kind).or_default().entry(from).or_insert(number);
        *highest = number.max(*highest);
        if self.earlier.get(&kind).is_none_or(|earlier| number > *earlier) {
            self.words.insert(from, lying::answer_in_words(message));
        }
    }

    /// All that was asked so far is done: none of its answers counts any more, not those
    /// either that are under way. So many replicas may lie about what they answer.
    pub(super) fn forget(&mut self, faults: usize) {
        self.words.clear();
        for (kind, highest) in &self.highest {
            let mut numbers: Vec<RequestNumber> = highest.values().copied().collect();
            numbers.sort_unstable();
            // More than can lie have answered what is done.
            if let Some(number) = numbers.into_iter().rev().nth(faults) {
                self.earlier.insert(*kind, number);
            }
        }
    }

    /// What each answered since.
    pub(super) fn words(&self) -> BTreeMap<ReplicaId, String> {
        self.words.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Reply, ReplyOutcome};
    use crate::types::{ClientId, Digest, Seq, View};

    fn reply(number: u64, seq: u64) -> ToClient {
        ToClient::Reply(Reply {
            client: ClientId(0),
            number: RequestNumber(number),
            view: View(0),
            seq: Seq(seq),
            operation: Digest([0; 32]),
            outcome: ReplyOutcome::Executed("".into()),
        })
    }

    #[test]
    fn what_comes_late_is_no_answer_to_what_was_asked_since() {
        let mut heard = Heard::default();
        for id in [0, 1, 3] {
            heard.hear(ReplicaId(id), &reply(7, 70));
        }
        // A liar's number moves nothing.
        heard.hear(ReplicaId(3), &reply(u64::MAX, 70));
        heard.forget(1);
        heard.hear(ReplicaId(2), &reply(7, 70));
        assert!(heard.words().is_empty());
        heard.hear(ReplicaId(0), &reply(8, 71));
        heard.hear(ReplicaId(2), &reply(8, 71));
        heard.hear(ReplicaId(1), &reply(7, 70));
        let who: Vec<ReplicaId> = heard.words().into_keys().collect();
        assert_eq!(who, [ReplicaId(0), ReplicaId(2)]);
    }
}
