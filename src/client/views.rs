//! Guessing the primary.

use super::alike::Alike;
use crate::types::{Committee, ReplicaId, View};

/// The views that replicas say they are in.
#[derive(Debug, Default)]
pub(super) struct Views {
    told: Alike<View>,
}

impl Views {
    /// A replica tells its view. Views only rise: an older word that comes late is none.
    pub(super) fn tell(&mut self, replica: ReplicaId, view: View) {
        let known = self.told.of(replica).copied().unwrap_or(View::FIRST);
        self.told.say(replica, known.max(view));
    }

    /// The primary of the highest view that `W` replicas have reached: one of them is
    /// honest, so no liar moves the guess where nobody is.
    pub(super) fn primary(&self, committee: Committee) -> ReplicaId {
        let reached = self.told.at_least(committee.weak_quorum());
        committee.primary(reached.unwrap_or(View::FIRST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four() -> Committee {
        Committee::new(4).expect("four will do")
    }

    #[test]
    fn the_guess_follows_what_a_weak_quorum_has_reached() {
        let mut views = Views::default();
        assert_eq!(views.primary(four()), ReplicaId(0));
        views.tell(ReplicaId(1), View(1));
        assert_eq!(views.primary(four()), ReplicaId(0), "one voice alone");
        views.tell(ReplicaId(3), View(2));
        assert_eq!(views.primary(four()), ReplicaId(1));
        views.tell(ReplicaId(2), View(2));
        assert_eq!(views.primary(four()), ReplicaId(2));
    }

    /// K1
    #[test]
    fn a_single_liar_moves_the_guess_nowhere() {
        let mut views = Views::default();
        for honest in [0, 1, 2] {
            views.tell(ReplicaId(honest), View(6));
        }
        for lie in [View(7), View(u64::MAX), View(0)] {
            views.tell(ReplicaId(3), lie);
            assert_eq!(views.primary(four()), ReplicaId(2));
        }
    }

    #[test]
    fn an_old_word_that_comes_late_is_none() {
        let mut views = Views::default();
        for replica in [0, 1, 2] {
            views.tell(ReplicaId(replica), View(5));
            views.tell(ReplicaId(replica), View(4));
        }
        assert_eq!(views.primary(four()), ReplicaId(1));
    }
}
