//! The network of a world: what is lost, doubled, held up and delivered.

use super::*;

impl World {
    pub(super) fn send(&mut self, from: ReplicaId, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Peer(to, message) => {
                let everyone = (0..self.plan.replicas).map(ReplicaId).filter(|to| *to != from);
                let recipients: Vec<ReplicaId> = match to {
                    To::Everyone => everyone.collect(),
                    To::Peer(one) => vec![one],
                };
                for to in recipients {
                    self.send_one(from, to, (*message).clone());
                }
            }
            Outgoing::Client(client, message) => self.send_client(from, client, message),
        }
    }

    pub(super) fn send_one(&mut self, from: ReplicaId, to: ReplicaId, message: PeerMessage) {
        self.checker.sends(from, &message);
        let told = match &mut self.node_mut(from).liar {
            None => vec![message],
            Some((liar, behaviour)) => {
                liar.remember(&message);
                behaviour.tell(liar, to, message)
            }
        };
        for message in told {
            self.checker_learns(&message);
            self.fly(from, to, message);
        }
    }

    /// Bodies that only a liar proposed are known to the checker too.
    pub(super) fn checker_learns(&mut self, message: &PeerMessage) {
        if let PeerMessage::Decided(certificate, _) = message {
            self.checker.certificate(certificate.seq(), certificate.commits().len());
        }
    }

    pub(super) fn fly(&mut self, from: ReplicaId, to: ReplicaId, message: PeerMessage) {
        let apart = self.island.contains(&from) != self.island.contains(&to);
        if apart || self.cut.contains(&(from, to)) || self.random.in_thousand(self.weather.lost) {
            return;
        }
        let copies = 1 + u64::from(self.random.in_thousand(self.weather.doubled));
        for _ in 0..copies {
            let at = self.arrival();
            self.plan_at(at, Happening::Arrives { from, to, message: message.clone() });
        }
        if self.random.in_thousand(self.weather.replayed) {
            let at = self.now.plus(Span::milliseconds(self.random.between(500, 5_000)));
            self.coverage.count("fault replayed message");
            self.plan_at(at, Happening::Arrives { from, to, message });
        }
    }

    pub(super) fn arrival(&mut self) -> Instant {
        let delay = Span(self.random.between(100, self.weather.most_delay.0.max(101)));
        self.now.plus(delay).max(self.dam_until)
    }

    pub(super) fn arrives(&mut self, from: ReplicaId, to: ReplicaId, message: PeerMessage) {
        if self.node(to).paused_until > self.now {
            let at = self.node(to).paused_until;
            self.plan_at(at, Happening::Arrives { from, to, message });
            return;
        }
        if self.node(to).replica.is_none() {
            return;
        }
        self.messages += 1;
        match self.verifier.peer(message) {
            Ok(message) => self.input(to, Input::Peer { from, message: Box::new(message) }),
            Err(reject) => self.note(to, &Notice::Rejected(Some(from), reject)),
        }
    }
}
