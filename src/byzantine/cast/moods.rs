//! A liar of several parts: it plays one for a while, then the next, and round again. What
//! one part has prepared another makes use of.

use super::{Behaviour, Liar};
use crate::message::{PeerMessage, ToClient};
use crate::types::{ClientId, Instant, ReplicaId, Span};

/// Plays its parts in turn.
pub struct Moods {
    parts: Vec<Box<dyn Behaviour>>,
    turn: Span,
}

impl Moods {
    /// Plays each part for so long at a time. There must be one at least.
    pub fn new(parts: Vec<Box<dyn Behaviour>>, turn: Span) -> Moods {
        assert!(!parts.is_empty(), "a liar plays a part");
        Moods { parts, turn: Span(turn.0.max(1)) }
    }

    fn present(&mut self, now: Instant) -> &mut dyn Behaviour {
        let turns = now.0 / self.turn.0;
        let index = usize::try_from(turns % self.parts.len() as u64).unwrap_or(0);
        self.parts[index].as_mut()
    }
}

impl Behaviour for Moods {
    fn tell(&mut self, liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        self.present(liar.now).tell(liar, to, message)
    }

    fn tell_client(&mut self, liar: &mut Liar, to: ClientId, message: ToClient) -> Vec<ToClient> {
        self.present(liar.now).tell_client(liar, to, message)
    }

    fn on_time(&mut self, liar: &mut Liar, now: Instant) -> Vec<(ReplicaId, PeerMessage)> {
        self.parts.iter_mut().flat_map(|part| part.on_time(liar, now)).collect()
    }

    fn next(&self) -> Option<Instant> {
        self.parts.iter().filter_map(|part| part.next()).min()
    }
}
