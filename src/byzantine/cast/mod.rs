//! Who lies how. Each behaviour is a few lines, in the file of the part that it plays;
//! what they have in common is in the parent module.

mod checkpoints;
mod clients;
mod forgery;
mod moods;
mod mutation;
mod network;
mod primary;
mod slander;
mod views;
mod votes;

pub use moods::Moods;

use super::{Behaviour, Liar, Role};
use crate::message::PeerMessage;
use crate::types::{Instant, ReplicaId, Span};
use std::collections::VecDeque;

/// Every behaviour there is.
pub fn cast() -> Vec<Role> {
    macro_rules! role {
        ($name:literal, $about:literal, $make:expr) => {
            Role { name: $name, about: $about, play: || Box::new($make) }
        };
    }
    vec![
        role!("silent", "sends nothing at all", Tell(network::silent)),
        role!("selective", "talks to half of the replicas only", Tell(network::selective)),
        role!(
            "repeater",
            "sends every message three times, and old ones again",
            Tell(network::repeat)
        ),
        role!("flooder", "asks for everything, all the time", Tell(network::flood)),
        role!(
            "garbler",
            "sends messages of random content, and its own with bytes changed",
            Tell(network::garble)
        ),
        role!("swapper", "sends an earlier message in place of every tenth", Tell(network::swap)),
        role!("laggard", "sends everything late", Delays::all(Span::milliseconds(400))),
        role!(
            "equivocating",
            "as primary, proposes one batch to some and another to the rest",
            Tell(primary::equivocate)
        ),
        role!(
            "waverer",
            "as primary, proposes one of two batches, another each time that it is asked",
            Tell(primary::waver)
        ),
        role!(
            "two-faced",
            "as primary, proposes two batches, and all liars vote for both, each to its half",
            Tell(primary::equivocate_together)
        ),
        role!(
            "wrong-digest",
            "as primary, proposes a digest that is not the batch's",
            Tell(primary::wrong_digest)
        ),
        role!(
            "forged-request",
            "as primary, puts a request into a batch that its client never signed",
            Tell(primary::forged_request)
        ),
        role!(
            "forging-together",
            "as primary, proposes what no client signed, and all liars vouch for it",
            Tell(primary::forge_together)
        ),
        role!(
            "doubler",
            "as primary, puts every request into the batch twice, and again into the next",
            primary::Doubler::default()
        ),
        role!(
            "sequence-jumper",
            "as primary, leaves gaps and jumps past the end of the window",
            Tell(primary::jump)
        ),
        role!("withholder", "sends bodies to one replica only", Tell(primary::withhold)),
        role!("censor", "as primary, never proposes what client 0 asks", Tell(primary::censor)),
        role!(
            "slow-primary",
            "as primary, holds every proposal back, for almost as long as it is borne",
            primary::Slow::default()
        ),
        role!(
            "time-liar",
            "as primary, proposes times far off and going back",
            Tell(primary::lie_about_time)
        ),
        role!("usurper", "proposes in views that are not its own", Tell(primary::usurp)),
        role!(
            "self-supporter",
            "as primary, prepares and commits its own proposal at once, many times",
            Tell(primary::support_itself)
        ),
        role!("hasty", "commits to whatever it prepares, at once", Tell(votes::hurry)),
        role!("mute-after-prepare", "never commits", Tell(votes::mute_after_prepare)),
        role!("double-voter", "votes for two digests at once", Tell(votes::double_vote)),
        role!(
            "vote-shifter",
            "votes for the right digest at the wrong number and view",
            Tell(votes::shift_vote)
        ),
        role!(
            "vote-replayer",
            "carries its signatures over to other views, clusters and kinds",
            Tell(votes::replay)
        ),
        role!(
            "revenant",
            "votes and asks for views in the name of its lives before and after",
            Tell(votes::other_lives)
        ),
        role!("forger", "votes in the name of others", Tell(votes::forge)),
        role!(
            "reviver",
            "asks for new lives that nobody needs, its own and in the name of others",
            slander::Reviver::default()
        ),
        role!(
            "misquoter",
            "passes on requests that their clients never signed",
            Tell(slander::misquote)
        ),
        role!(
            "slanderer",
            "shows evidence against others that proves nothing",
            Tell(slander::slander)
        ),
        role!(
            "view-spammer",
            "asks for the next view and for far-off ones, all the time",
            Tell(views::spam)
        ),
        role!("hider", "leaves out of its view-changes what it prepared", Tell(views::hide)),
        role!(
            "inventor",
            "binds true signatures to other numbers in its view-changes",
            Tell(views::invent)
        ),
        role!(
            "certificate-forger",
            "shows certificates of too few, doubled, wrong or primary's members",
            Tell(forgery::forge_certificates)
        ),
        role!(
            "bogus-new-view",
            "as new primary, opens the view with other proposals than follow",
            Tell(views::bogus_new_view)
        ),
        role!(
            "stale-new-view",
            "as new primary, opens the view with wishes for another one",
            Tell(views::stale_new_view)
        ),
        role!(
            "partial-new-view",
            "as new primary, shows the opening to one replica only",
            Tell(views::partial_new_view)
        ),
        role!(
            "two-openings",
            "as new primary, opens the view in two ways, both of which follow",
            Tell(views::two_openings)
        ),
        role!(
            "checkpoint-liar",
            "signs wrong state digests, others to others",
            Tell(checkpoints::lie)
        ),
        role!(
            "checkpoint-withholder",
            "sends no checkpoints and no certificates of them",
            Tell(checkpoints::withhold)
        ),
        role!(
            "checkpoint-conspirator",
            "signs the same wrong state digest as the other liars",
            Tell(checkpoints::lie_alike)
        ),
        role!(
            "state-poisoner",
            "answers fetches of state with wrong parts",
            Tell(checkpoints::poison)
        ),
        role!(
            "state-ager",
            "answers fetches of state with parts of an older one",
            checkpoints::Ager::default()
        ),
        role!(
            "state-flooder",
            "answers a fetch of state with parts without end",
            Tell(checkpoints::flood)
        ),
        role!(
            "state-trickler",
            "answers fetches of state one by one, each as late as is borne",
            Delays::parts(Span::milliseconds(280))
        ),
        role!(
            "state-denier",
            "promises a state far ahead, and has none for anybody",
            Tell(checkpoints::deny)
        ),
        role!("client-liar", "tells clients wrong results", clients::Liars::apart()),
        role!(
            "client-conspirator",
            "tells clients the same wrong results as the other liars",
            clients::Liars::alike()
        ),
        role!(
            "prover",
            "shows clients proofs of other states, and under certificates that are none",
            clients::Prover::default()
        ),
        role!("client-denier", "never answers a client", clients::Denier),
        role!("client-refuser", "sends clients away, with one reason or another", clients::Refuser),
        role!(
            "mutator",
            "changes one field of a message a little and signs it again, each field in turn",
            mutation::Mutator::default()
        ),
    ]
}

/// A behaviour without memory of its own.
struct Tell(fn(&mut Liar, ReplicaId, PeerMessage) -> Vec<PeerMessage>);

impl Behaviour for Tell {
    fn tell(&mut self, liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        (self.0)(liar, to, message)
    }
}

/// Messages that are held back, in the order in which they are due.
#[derive(Default)]
struct HeldBack(VecDeque<(Instant, ReplicaId, PeerMessage)>);

/// How many messages are held back; more go out at once.
const MOST_HELD_BACK: usize = 4_096;

impl HeldBack {
    /// Holds one back; none of those before it goes later.
    fn hold(&mut self, due: Instant, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        if self.0.len() >= MOST_HELD_BACK {
            return vec![message];
        }
        let due = self.0.back().map_or(due, |(last, ..)| due.max(*last));
        self.0.push_back((due, to, message));
        vec![]
    }

    fn due(&mut self, now: Instant) -> Vec<(ReplicaId, PeerMessage)> {
        let mut due = Vec::new();
        while self.next().is_some_and(|next| next <= now) {
            due.extend(self.0.pop_front().map(|(_, to, message)| (to, message)));
        }
        due
    }

    fn next(&self) -> Option<Instant> {
        self.0.front().map(|(due, ..)| *due)
    }
}

/// Sends some of its messages late.
struct Delays {
    delay: Span,
    is_meant: fn(&PeerMessage) -> bool,
    held: HeldBack,
}

impl Delays {
    fn all(delay: Span) -> Delays {
        Delays { delay, is_meant: |_| true, held: HeldBack::default() }
    }

    fn parts(delay: Span) -> Delays {
        let is_meant = |message: &PeerMessage| matches!(message, PeerMessage::Part(..));
        Delays { delay, is_meant, held: HeldBack::default() }
    }
}

impl Behaviour for Delays {
    fn tell(&mut self, liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        match (self.is_meant)(&message) {
            true => self.held.hold(liar.now.plus(self.delay), to, message),
            false => vec![message],
        }
    }

    fn on_time(&mut self, _: &mut Liar, now: Instant) -> Vec<(ReplicaId, PeerMessage)> {
        self.held.due(now)
    }

    fn next(&self) -> Option<Instant> {
        self.held.next()
    }
}
