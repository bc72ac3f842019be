//! Who tells a client what came of its operations (§ Normal case, 6).
//!
//! A client needs `W` alike replies. Where all is well the other replicas' are wasted, so of
//! a large batch, for each client all backups but `f`, others for the next client, leave it
//! to the rest to reply: `W` with the primary. Whoever misses replies asks all who have not
//! told it; and a replica that a client had to ask replies to it at once for a while, so that
//! a silent or lying replica delays few requests of a client and not all.
//!
//! Safe, because a client believes nothing less than before, and live, because what is kept
//! back is in the session table: whoever asks is told. What is not kept, that an operation
//! was refused where it was ordered, everybody tells.

use super::Replica;
use super::executor::Answer;
use crate::message::ReplyOutcome;
use crate::types::{ClientId, Committee, ReplicaId, View};

/// The backups that a client can spare: the next ones for the next client.
fn spares(committee: Committee, view: View, client: ClientId) -> impl Iterator<Item = ReplicaId> {
    let spared = committee.size() - committee.weak_quorum();
    committee.backups_from(view, u64::from(client.0)).take(spared)
}

impl Replica {
    /// Whether this replica says nothing of what it has executed in a batch of so many items,
    /// unless it is asked.
    pub(super) fn leaves_to_others(&self, answer: &Answer, items: usize) -> bool {
        let is_kept = matches!(answer.outcome, ReplyOutcome::Executed(_));
        let now = self.now.instant;
        let was_asked = self.asked_by.get(&answer.client).is_some_and(|until| now < *until);
        let is_large = items >= self.settings.spared_from;
        is_large && is_kept && !was_asked && self.is_spared(answer.client)
    }

    /// Whether this is one of the backups that a client can spare.
    fn is_spared(&self, client: ClientId) -> bool {
        self.is_active() && spares(self.committee, self.view, client).any(|spare| spare == self.id)
    }

    /// A client asks this replica itself for what is proposed or executed. Of the primary that
    /// is no news; of another it shows that the client misses replies.
    pub(super) fn note_asked(&mut self, client: ClientId) {
        if !self.is_primary() && self.executor.state().is_listed(client) {
            let until = self.now.instant.plus(self.settings.replies_for);
            self.asked_by.insert(client, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `W` are left, so that one is honest, and the primary is among them.
    #[test]
    fn no_more_are_spared_than_a_client_can_spare() {
        for replicas in 4..=13 {
            let committee = Committee::new(replicas).expect("enough");
            for client in (0..20).map(ClientId) {
                let view = View(u64::from(replicas) + 1);
                let spared: Vec<ReplicaId> = spares(committee, view, client).collect();
                let others = committee.replicas().filter(|one| !spared.contains(one));
                assert_eq!(others.count(), committee.weak_quorum());
                assert!(!spared.contains(&committee.primary(view)));
            }
        }
    }
}
