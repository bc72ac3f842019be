//! What waits to be done to the states, within bounds: the disk may be slow, or full for
//! days, and neither costs more memory than these say.
//!
//! What is let go of is needed by nobody for good. Parts are fetched again. A state that is
//! not saved is one that this replica does not vote for, and a later one takes its place.

use super::states::Job;
use std::collections::VecDeque;

/// The most states that wait. They share what they have in common, and the replica holds
/// as many itself unless it is overtaken again and again.
pub(super) const MOST_STATES: usize = 64;

/// The most bytes of parts that wait.
pub(super) const MOST_PARTS_BYTES: usize = 64 << 20;

/// See the module's head.
#[derive(Default)]
pub(super) struct Backlog {
    jobs: VecDeque<Job>,
    states: usize,
    parts_bytes: usize,
}

impl Backlog {
    /// Takes one more: perhaps in the place of an older one, or not at all.
    pub(super) fn add(&mut self, job: Job) {
        match &job {
            Job::Save(_) => {
                if self.states == MOST_STATES {
                    self.let_go(|job| matches!(job, Job::Save(_)));
                }
            }
            Job::Forget(_) => self.let_go(|job| matches!(job, Job::Forget(_))),
            Job::Parts(_) if self.parts_bytes + bytes(&job) > MOST_PARTS_BYTES => return,
            Job::Parts(_) => {}
        }
        self.count(&job);
        self.jobs.push_back(job);
    }

    /// Takes out up to so many, the first ones first.
    pub(super) fn take(&mut self, most: usize) -> Vec<Job> {
        let taken: Vec<Job> = self.jobs.drain(..most.min(self.jobs.len())).collect();
        taken.iter().for_each(|job| self.discount(job));
        taken
    }

    /// Puts back what was taken out and could not be done, but for parts.
    pub(super) fn put_back(&mut self, taken: Vec<Job>) {
        let later = std::mem::take(self);
        let taken = taken.into_iter().filter(|job| !matches!(job, Job::Parts(_)));
        taken.chain(later.jobs).for_each(|job| self.add(job));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Backlog::default();
    }

    /// How many states wait.
    pub(super) fn states(&self) -> usize {
        self.states
    }

    /// The oldest of these goes, if there is one.
    fn let_go(&mut self, of: impl Fn(&Job) -> bool) {
        if let Some(job) = self.jobs.iter().position(of).and_then(|at| self.jobs.remove(at)) {
            self.discount(&job);
        }
    }

    fn count(&mut self, job: &Job) {
        self.parts_bytes += bytes(job);
        self.states += usize::from(matches!(job, Job::Save(_)));
    }

    fn discount(&mut self, job: &Job) {
        self.parts_bytes -= bytes(job);
        self.states -= usize::from(matches!(job, Job::Save(_)));
    }
}

fn bytes(job: &Job) -> usize {
    match job {
        Job::Parts(parts) => parts.iter().map(|(.., part)| part.encoded_bytes()).sum(),
        Job::Save(_) | Job::Forget(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::Save;
    use crate::service::Tree;
    use crate::service::tree::Path;
    use crate::types::Seq;

    fn state(seq: u64) -> Job {
        let tree = Tree::new();
        Job::Save(Save { seq: Seq(seq), digest: tree.digest(), tree })
    }

    fn parts() -> Job {
        let mut tree = Tree::new();
        for key in 0..8u8 {
            tree.put(&[key], vec![key; 1 << 20].into(), Seq(1));
        }
        tree.digest();
        let part = tree.part(&Path::default(), 16 << 20).expect("of the whole");
        Job::Parts(vec![(Seq(1), Path::default(), part)])
    }

    fn numbers(jobs: &[Job]) -> Vec<u64> {
        let number = |job: &Job| match job {
            Job::Save(save) => save.seq.0,
            Job::Forget(below) => 1_000 + below.0,
            Job::Parts(_) => 0,
        };
        jobs.iter().map(number).collect()
    }

    /// S7
    #[test]
    fn of_states_the_latest_wait() {
        let mut backlog = Backlog::default();
        (0..200).for_each(|seq| backlog.add(state(seq)));
        assert_eq!(backlog.states(), MOST_STATES);
        let taken = backlog.take(usize::MAX);
        assert_eq!(numbers(&taken), (200 - MOST_STATES as u64..200).collect::<Vec<_>>());
        assert!(backlog.is_empty() && backlog.states() == 0);
    }

    #[test]
    fn the_last_permission_to_forget_is_enough() {
        let mut backlog = Backlog::default();
        for seq in 1..4 {
            backlog.add(Job::Forget(Seq(seq)));
            backlog.add(state(seq));
        }
        assert_eq!(numbers(&backlog.take(usize::MAX)), [1, 2, 1_003, 3]);
    }

    /// S7
    #[test]
    fn parts_have_so_much_room_and_no_more() {
        let mut backlog = Backlog::default();
        (0..20).for_each(|_| backlog.add(parts()));
        let waiting = backlog.take(usize::MAX);
        assert!(waiting.len() < 20);
        assert!(waiting.iter().map(bytes).sum::<usize>() <= MOST_PARTS_BYTES);
        backlog.add(parts());
        assert!(!backlog.is_empty(), "there is room again");
    }

    #[test]
    fn what_could_not_be_done_comes_before_what_came_since() {
        let mut backlog = Backlog::default();
        backlog.add(state(1));
        backlog.add(parts());
        let taken = backlog.take(usize::MAX);
        backlog.add(state(2));
        backlog.put_back(taken);
        assert_eq!(numbers(&backlog.take(usize::MAX)), [1, 2]);
    }
}
