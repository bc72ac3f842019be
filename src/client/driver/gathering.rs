//! Operations that wait to be submitted, and go together.
//!
//! Each bundle costs all replicas a signature to check, and its messages, whatever is in it.
//! So what is asked for while a bundle is under way gathers, and goes in one as soon as that
//! has ended. It does not gather for long, though, for ways may be long; and if a whole bundle
//! has gathered, nothing is gained by waiting. Whoever asks for one thing at a time waits for
//! nobody.

use super::callers::{Answer, Caller, Callers};
use crate::client::requests::{MOST_WAITING_BYTES, MOST_WAITING_OPERATIONS};
use crate::message::Parameters;
use crate::types::{Instant, Span};
use crate::wire::Blob;
use std::collections::VecDeque;

/// Beside a bundle under way what is to be submitted gathers for so long at most.
const GATHERING: Span = Span::milliseconds(5);

/// Beside so many bundles it waits for one of them to end.
const MOST_BUNDLES: usize = 4;

/// What one caller asked for.
struct Write {
    operations: Vec<Blob>,
    since: Instant,
    deadline: Instant,
    answer: Answer,
}

/// See the module's head.
pub(super) struct Gathering {
    writes: VecDeque<Write>,
    /// What is in them.
    operations: u64,
    bytes: u64,
    /// What goes into one bundle.
    most_operations: u64,
    most_bytes: u64,
}

impl Write {
    fn count(&self) -> u64 {
        self.operations.len() as u64
    }

    fn bytes(&self) -> u64 {
        self.operations.iter().map(|one| one.len() as u64).sum()
    }
}

impl Gathering {
    pub(super) fn new(parameters: &Parameters) -> Gathering {
        let Parameters { bundle_operations, bundle_bytes, .. } = *parameters;
        Gathering {
            writes: VecDeque::new(),
            operations: 0,
            bytes: 0,
            most_operations: bundle_operations,
            most_bytes: bundle_bytes,
        }
    }

    pub(super) fn push(
        &mut self,
        now: Instant,
        operations: Vec<Blob>,
        deadline: Instant,
        answer: Answer,
    ) {
        let write = Write { operations, since: now, deadline, answer };
        self.note(&write);
        self.writes.push_back(write);
    }

    fn note(&mut self, write: &Write) {
        self.operations += write.count();
        self.bytes += write.bytes();
    }

    /// What gathers has the same bounds as what waits in the session.
    pub(super) fn has_room(&self) -> bool {
        (self.writes.len() as u64) < MOST_WAITING_OPERATIONS
            && self.operations < MOST_WAITING_OPERATIONS
            && self.bytes < MOST_WAITING_BYTES
    }

    /// Whose time is over.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Answer> {
        let late = self.pop_if(|first| first.deadline <= now)?;
        Some(late.answer)
    }

    fn pop_if(&mut self, goes: impl FnOnce(&Write) -> bool) -> Option<Write> {
        self.writes.front().filter(|first| goes(first))?;
        let first = self.writes.pop_front()?;
        self.operations -= first.count();
        self.bytes -= first.bytes();
        Some(first)
    }

    /// What goes now, with so many bundles under way. What becomes of each operation is told
    /// to whoever asked for it.
    pub(super) fn take(&mut self, now: Instant, under_way: usize) -> Option<(Vec<Blob>, Callers)> {
        let first = self.writes.front()?;
        let is_over = first.since.plus(GATHERING) <= now || self.is_whole();
        let goes = under_way == 0 || under_way < MOST_BUNDLES && is_over;
        goes.then(|| self.bundle())
    }

    /// When something goes, or is late, if nothing ends before that.
    pub(super) fn due(&self, under_way: usize) -> Option<Instant> {
        let first = self.writes.front()?;
        let goes = (1..MOST_BUNDLES).contains(&under_way).then(|| first.since.plus(GATHERING));
        goes.into_iter().chain([first.deadline]).min()
    }

    /// There was no room for it: it gathers again, in its order.
    pub(super) fn put_back(&mut self, now: Instant, mut all: Vec<Blob>, callers: Callers) {
        for Caller { answer, operations, deadline } in callers.into_iter().rev() {
            let operations = all.split_off(all.len() - operations);
            let write = Write { operations, since: now, deadline, answer };
            self.note(&write);
            self.writes.push_front(write);
        }
    }

    /// All who wait, and nothing of theirs will go.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = Answer> + use<> {
        (self.operations, self.bytes) = (0, 0);
        std::mem::take(&mut self.writes).into_iter().map(|one| one.answer)
    }

    /// Whether about a bundle has gathered.
    fn is_whole(&self) -> bool {
        self.operations >= self.most_operations || self.bytes >= self.most_bytes / 2
    }

    fn bundle(&mut self) -> (Vec<Blob>, Callers) {
        let (mut all, mut callers, mut bytes) = (Vec::new(), Vec::new(), 0);
        let (most_operations, most_bytes) = (self.most_operations, self.most_bytes);
        while let Some(next) = self.pop_if(|next| {
            let fits = all.len() as u64 + next.count() <= most_operations
                && bytes + next.bytes() <= most_bytes;
            // What is no bundle by itself is refused by itself.
            callers.is_empty() || !all.is_empty() && next.count() > 0 && fits
        }) {
            bytes += next.bytes();
            let Write { operations, deadline, answer, .. } = next;
            callers.push(Caller { answer, operations: operations.len(), deadline });
            all.extend(operations);
        }
        (all, callers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    const LATE: Instant = Instant(1_000_000);

    fn gathering() -> Gathering {
        Gathering::new(&Parameters {
            bundle_operations: 4,
            bundle_bytes: 40,
            ..Parameters::default()
        })
    }

    fn push(gathering: &mut Gathering, now: Instant, operations: &[&str]) {
        let (answer, _) = oneshot::channel();
        let operations = operations.iter().map(|one| Blob::from(*one)).collect();
        gathering.push(now, operations, LATE, answer);
    }

    fn sizes(taken: Option<(Vec<Blob>, Callers)>) -> Option<(usize, Vec<usize>)> {
        let (operations, callers) = taken?;
        Some((operations.len(), callers.iter().map(|one| one.operations).collect()))
    }

    #[test]
    fn what_is_asked_for_while_a_bundle_is_under_way_goes_together_after_it() {
        let (mut gathering, now) = (gathering(), Instant(0));
        push(&mut gathering, now, &["a"]);
        assert_eq!(sizes(gathering.take(now, 0)), Some((1, vec![1])));
        push(&mut gathering, now, &["b", "c"]);
        push(&mut gathering, now, &["d"]);
        assert_eq!(sizes(gathering.take(now, 1)), None);
        assert_eq!(sizes(gathering.take(now, 0)), Some((3, vec![2, 1])));
        assert_eq!(gathering.due(0), None);
    }

    #[test]
    fn it_does_not_gather_for_long_but_beside_many_bundles() {
        let (mut gathering, now) = (gathering(), Instant(7));
        push(&mut gathering, now, &["a"]);
        let due = now.plus(GATHERING);
        assert_eq!(gathering.due(1), Some(due));
        assert_eq!(gathering.due(MOST_BUNDLES), Some(LATE));
        assert_eq!(sizes(gathering.take(Instant(due.0 - 1), 1)), None);
        assert_eq!(sizes(gathering.take(due, MOST_BUNDLES)), None);
        assert_eq!(sizes(gathering.take(due, MOST_BUNDLES - 1)), Some((1, vec![1])));
    }

    #[test]
    fn a_whole_bundle_goes_at_once() {
        for operations in [&["a", "b", "c", "d"][..], &["a bundle's half of bytes"]] {
            let (mut gathering, now) = (gathering(), Instant(0));
            push(&mut gathering, now, operations);
            assert_eq!(sizes(gathering.take(now, MOST_BUNDLES)), None);
            let whole = Some((operations.len(), vec![operations.len()]));
            assert_eq!(sizes(gathering.take(now, 1)), whole);
        }
    }

    #[test]
    fn a_bundle_keeps_its_limits_and_what_is_none_stands_alone() {
        let (mut gathering, now) = (gathering(), Instant(0));
        let long = "a bundle of more bytes than it may have by itself";
        for operations in [&["a", "b", "c"][..], &["d", "e"], &[], &[long], &["f"]] {
            push(&mut gathering, now, operations);
        }
        let taken: Vec<Vec<usize>> =
            std::iter::from_fn(|| sizes(gathering.take(now, 0))).map(|(_, all)| all).collect();
        assert_eq!(taken, [vec![3], vec![2], vec![0], vec![1], vec![1]]);
    }

    #[test]
    fn what_had_no_room_gathers_again_in_its_order() {
        let (mut gathering, now) = (gathering(), Instant(0));
        push(&mut gathering, now, &["a", "b"]);
        push(&mut gathering, now, &["c"]);
        let (operations, callers) = gathering.take(now, 0).expect("it goes");
        gathering.put_back(now, operations.clone(), callers);
        push(&mut gathering, now, &["d"]);
        let (again, callers) = gathering.take(now, 0).expect("it goes");
        assert_eq!(again[..3], operations);
        assert_eq!(callers.len(), 3);
    }

    #[test]
    fn whoever_waited_too_long_is_told_so() {
        let mut gathering = gathering();
        push(&mut gathering, Instant(0), &["a"]);
        assert!(gathering.take_late(Instant(LATE.0 - 1)).is_none());
        assert!(gathering.take_late(LATE).is_some());
        assert_eq!(gathering.due(0), None);
    }
}
