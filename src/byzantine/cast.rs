//! Who lies how. Each behaviour is a few lines; what they have in common is in the
//! parent module.

use super::{Behaviour, Liar, Role};
use crate::message::batch::NULL;
use crate::message::{
    Batch, Item, NewView, PeerMessage, PrePrepare, PreparedCertificate, ReplyOutcome, ToClient,
    ViewChange,
};
use crate::types::{ClientId, Digest, ReplicaId, Seq, Timestamp, View};
use crate::wire::{Blob, List};

/// Every behaviour there is.
pub fn cast() -> Vec<Role> {
    macro_rules! role {
        ($name:literal, $about:literal, $make:expr) => {
            Role { name: $name, about: $about, play: || Box::new($make) }
        };
    }
    vec![
        role!("silent", "sends nothing at all", Tell(|_, _, _| vec![])),
        role!("mute-after-prepare", "never commits", Tell(mute_after_prepare)),
        role!("selective", "talks to half of the replicas only", Tell(selective)),
        role!(
            "equivocating",
            "as primary, proposes one batch to some and another to the rest",
            Tell(equivocate)
        ),
        role!(
            "wrong-digest",
            "as primary, proposes a digest that is not the batch's",
            Tell(wrong_digest)
        ),
        role!(
            "forged-request",
            "as primary, adds a request that its client never signed",
            Tell(forged_request)
        ),
        role!(
            "sequence-jumper",
            "as primary, leaves gaps and jumps to the end of the window",
            Tell(jump)
        ),
        role!("withholder", "as primary, sends the batch to one replica only", Tell(withhold)),
        role!("repeater", "sends every message three times, and old ones again", Tell(repeat)),
        role!("double-voter", "votes for two digests at once", Tell(double_vote)),
        role!(
            "vote-shifter",
            "votes for the right digest at the wrong number and view",
            Tell(shift_vote)
        ),
        role!("view-spammer", "asks for far-off views all the time", Tell(spam_views)),
        role!("hider", "leaves out of its view-changes what it prepared", Tell(hide)),
        role!(
            "inventor",
            "binds true signatures to other numbers in its view-changes",
            Tell(invent)
        ),
        role!(
            "bogus-new-view",
            "as new primary, opens the view with other proposals than follow",
            Tell(bogus_new_view)
        ),
        role!(
            "partial-new-view",
            "as new primary, shows the opening to one replica only",
            Tell(partial_new_view)
        ),
        role!("censor", "as primary, never proposes what client 0 asks", Censor),
        role!(
            "checkpoint-liar",
            "signs wrong state digests, others to others",
            Tell(lie_about_checkpoints)
        ),
        role!("state-poisoner", "answers fetches of state with wrong parts", Tell(poison)),
        role!("state-denier", "has no state for anybody", Tell(deny)),
        role!("client-liar", "tells clients wrong results", LieToClients),
        role!(
            "time-liar",
            "as primary, proposes times far off and going back",
            Tell(lie_about_time)
        ),
        role!("flooder", "asks for everything, all the time", Tell(flood)),
        role!("swapper", "sends an earlier message in place of every tenth", Tell(swap)),
        role!(
            "mutator",
            "changes one field of a message a little and signs it again",
            Tell(mutate)
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

fn mute_after_prepare(_: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Commit(_) => vec![],
        other => vec![other],
    }
}

fn selective(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    if liar.is_favoured(to) { vec![message] } else { vec![] }
}

/// The same proposal for another batch: the same requests at a later time.
fn other_proposal(liar: &Liar, proposal: &PrePrepare, batch: &Batch) -> PeerMessage {
    let other = Batch::new(Timestamp(batch.time().0 + 1), batch.items().to_vec());
    let body = PrePrepare { digest: other.digest(), ..*proposal };
    PeerMessage::Propose(liar.sign(body), Some(other))
}

fn equivocate(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match &message {
        PeerMessage::Propose(proposal, Some(batch))
            if !liar.is_favoured(to) && proposal.body.by.replica == liar.id =>
        {
            vec![other_proposal(liar, &proposal.body, batch)]
        }
        _ => vec![message],
    }
}

fn wrong_digest(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Propose(proposal, batch) if proposal.body.by.replica == liar.id => {
            let digest = Digest::of(&proposal.body.digest.0);
            vec![PeerMessage::Propose(liar.sign(PrePrepare { digest, ..proposal.body }), batch)]
        }
        other => vec![other],
    }
}

fn forged_request(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let PeerMessage::Propose(proposal, Some(batch)) = &message else { return vec![message] };
    let Some(Item::Request(request)) = batch.items().first() else { return vec![message] };
    if proposal.body.by.replica != liar.id {
        return vec![message];
    }
    let mut forged = request.clone();
    forged.body.operations = List(vec![Blob::from("a forgery")]);
    let mut items = batch.items().to_vec();
    items[0] = Item::Request(forged);
    let batch = Batch::new(batch.time(), items);
    let body = PrePrepare { digest: batch.digest(), ..proposal.body };
    vec![PeerMessage::Propose(liar.sign(body), Some(batch))]
}

fn jump(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Propose(proposal, batch) if proposal.body.by.replica == liar.id => {
            let far = liar.random.between(1, 12);
            let seq = proposal.body.seq.plus(far);
            vec![PeerMessage::Propose(liar.sign(PrePrepare { seq, ..proposal.body }), batch)]
        }
        other => vec![other],
    }
}

fn withhold(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let confidant = ReplicaId((liar.id.0 + 1) % liar.committee.size() as u16);
    match &message {
        PeerMessage::Propose(..) | PeerMessage::Batch(_) | PeerMessage::Decided(..)
            if to != confidant =>
        {
            vec![]
        }
        _ => vec![message],
    }
}

fn repeat(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = vec![message.clone(), message.clone(), message];
    let earlier = liar.earlier.clone();
    told.extend(liar.random.pick(&earlier).cloned());
    told
}

fn double_vote(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let mut told = vec![message.clone()];
    match message {
        PeerMessage::Prepare(mut vote) => {
            vote.body.digest = Digest::of(&vote.body.digest.0);
            told.push(PeerMessage::Prepare(liar.sign(vote.body)));
        }
        PeerMessage::Commit(mut vote) => {
            vote.body.digest = Digest::of(&vote.body.digest.0);
            told.push(PeerMessage::Commit(liar.sign(vote.body)));
        }
        _ => {}
    }
    told
}

fn shift_vote(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Prepare(mut vote) => {
            vote.body.seq = Seq(vote.body.seq.0.saturating_add(liar.random.below(3)));
            vote.body.view = View(vote.body.view.0 + liar.random.below(2));
            vec![PeerMessage::Prepare(liar.sign(vote.body))]
        }
        PeerMessage::Commit(mut vote) => {
            vote.body.seq = Seq(vote.body.seq.0.saturating_sub(liar.random.below(3)).max(1));
            vec![PeerMessage::Commit(liar.sign(vote.body))]
        }
        other => vec![other],
    }
}

fn spam_views(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let PeerMessage::Status(status) = &message else { return vec![message] };
    let by = crate::message::Voter { replica: liar.id, incarnation: Default::default() };
    let view = View(status.view.0 + 1 + liar.random.below(1_000_000));
    let wish = ViewChange { view, by, stable: None, prepared: List::default() };
    vec![PeerMessage::ViewChange(liar.sign(wish)), message]
}

fn hide(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::ViewChange(wish) if wish.body.by.replica == liar.id => {
            let body = ViewChange { prepared: List::default(), ..wish.body };
            vec![PeerMessage::ViewChange(liar.sign(body))]
        }
        other => vec![other],
    }
}

fn invent(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::ViewChange(wish) if wish.body.by.replica == liar.id => {
            let mut body = wish.body;
            let last = body.prepared.0.last().cloned();
            body.prepared.0.extend(last.as_ref().and_then(|one| moved(liar, one)));
            vec![PeerMessage::ViewChange(liar.sign(body))]
        }
        other => vec![other],
    }
}

/// A certificate with its signatures bound to another number, by way of its bytes.
fn moved(liar: &Liar, certificate: &PreparedCertificate) -> Option<PreparedCertificate> {
    let body = PrePrepare {
        seq: certificate.seq().next(),
        by: crate::message::Voter { replica: liar.id, ..certificate.proposal().body.by },
        ..certificate.proposal().body
    };
    let mut bytes = crate::wire::encode(&liar.sign(body));
    let original = crate::wire::encode(certificate);
    bytes.extend_from_slice(original.get(bytes.len()..)?);
    crate::wire::decode(&bytes, crate::wire::MOST_BYTES).ok()
}

fn bogus_new_view(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::NewView(opening, shown) if opening.body.by.replica == liar.id => {
            let mut body: NewView = opening.body;
            let choice = liar.random.below(3);
            match body.pre_prepares.0.last_mut() {
                Some(last) if choice == 0 => {
                    let digest = if last.body.digest == NULL { Digest::of(b"other") } else { NULL };
                    *last = liar.sign(PrePrepare { digest, ..last.body });
                }
                Some(_) if choice == 1 => drop(body.pre_prepares.0.pop()),
                _ => drop(body.view_changes.0.pop()),
            }
            vec![PeerMessage::NewView(liar.sign(body), shown)]
        }
        other => vec![other],
    }
}

fn partial_new_view(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let confidant = ReplicaId((liar.id.0 + 1) % liar.committee.size() as u16);
    match message {
        PeerMessage::NewView(..) if to != confidant => vec![],
        other => vec![other],
    }
}

struct Censor;

impl Behaviour for Censor {
    fn tell(&mut self, liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        let PeerMessage::Propose(proposal, Some(batch)) = &message else { return vec![message] };
        if proposal.body.by.replica != liar.id {
            return vec![message];
        }
        let kept: Vec<Item> =
            batch.items().iter().filter(|item| !is_of_first(item)).cloned().collect();
        let batch = Batch::new(batch.time(), kept);
        let body = PrePrepare { digest: batch.digest(), ..proposal.body };
        vec![PeerMessage::Propose(liar.sign(body), Some(batch))]
    }
}

fn is_of_first(item: &Item) -> bool {
    matches!(item, Item::Request(request) if request.body.client == ClientId(0))
}

fn lie_about_checkpoints(liar: &mut Liar, to: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Checkpoint(mut vote) => {
            vote.body.digest = Digest::of(&to.0.to_le_bytes());
            vec![PeerMessage::Checkpoint(liar.sign(vote.body))]
        }
        other => vec![other],
    }
}

fn poison(_: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Part(seq, path, _) => {
            let tree = {
                let mut tree = crate::service::Tree::new();
                tree.put(b"poison", Blob::from("poison"), Seq(1));
                tree
            };
            let part = tree.part(&crate::service::tree::Path::root(), 1 << 16);
            part.map(|part| PeerMessage::Part(seq, path, part)).into_iter().collect()
        }
        other => vec![other],
    }
}

fn deny(_: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match message {
        PeerMessage::Part(seq, ..) => vec![PeerMessage::NoState(seq)],
        PeerMessage::Decided(..) | PeerMessage::Batch(_) => vec![],
        other => vec![other],
    }
}

struct LieToClients;

impl Behaviour for LieToClients {
    fn tell(&mut self, _: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
        vec![message]
    }

    fn tell_client(&mut self, _: &mut Liar, _: ClientId, message: ToClient) -> Vec<ToClient> {
        match message {
            ToClient::Reply(mut reply) => {
                reply.outcome = ReplyOutcome::Executed(Blob::from("a lie"));
                vec![ToClient::Reply(reply)]
            }
            ToClient::ReadAnswer { number, operation, changed, .. } => {
                let result = Blob::from("a lie");
                vec![ToClient::ReadAnswer { number, operation, result, changed }]
            }
            other => vec![other],
        }
    }
}

fn lie_about_time(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let PeerMessage::Propose(proposal, Some(batch)) = &message else { return vec![message] };
    if proposal.body.by.replica != liar.id {
        return vec![message];
    }
    let hours = liar.random.between(0, 4) * 3_600_000_000;
    let time = Timestamp((batch.time().0 + hours).saturating_sub(2 * 3_600_000_000));
    let batch = Batch::new(time, batch.items().to_vec());
    let body = PrePrepare { digest: batch.digest(), ..proposal.body };
    vec![PeerMessage::Propose(liar.sign(body), Some(batch))]
}

fn flood(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    use crate::message::Fetch;
    if !matches!(message, PeerMessage::Status(_)) {
        return vec![message];
    }
    let mut told = vec![message];
    for _ in 0..20 {
        let seq = Seq(liar.random.below(50));
        told.push(PeerMessage::Fetch(match liar.random.below(4) {
            0 => Fetch::Decided(seq),
            1 => Fetch::Stable(seq),
            2 => Fetch::Part(seq, crate::service::tree::Path::root(), u32::MAX),
            _ => Fetch::NewView(View(seq.0)),
        }));
        told.push(PeerMessage::StartQuery(crate::types::Nonce(seq.0)));
    }
    told
}

fn swap(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let earlier = liar.earlier.clone();
    match liar.random.in_thousand(100) {
        true => vec![liar.random.pick(&earlier).cloned().unwrap_or(message)],
        false => vec![message],
    }
}

/// Any of its own signed messages, with one field off by a little.
fn mutate(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    if !liar.random.in_thousand(200) {
        return vec![message];
    }
    let up = liar.random.between(1, 2);
    let choice = liar.random.below(4);
    macro_rules! vary {
        ($signed:expr, $kind:path) => {{
            let mut body = $signed.body;
            match choice {
                0 => body.seq = Seq(body.seq.0 + up),
                1 => body.seq = Seq(body.seq.0.saturating_sub(up).max(1)),
                2 => body.view = View(body.view.0 + up),
                _ => body.digest = Digest::of(&body.digest.0),
            }
            vec![$kind(liar.sign(body))]
        }};
    }
    match message {
        PeerMessage::Prepare(vote) => vary!(vote, PeerMessage::Prepare),
        PeerMessage::Commit(vote) => vary!(vote, PeerMessage::Commit),
        PeerMessage::Propose(proposal, batch) if proposal.body.by.replica == liar.id => {
            let mut body = proposal.body;
            match choice {
                0 => body.seq = Seq(body.seq.0 + up),
                1 => body.view = View(body.view.0 + up),
                2 => {
                    return vec![PeerMessage::Propose(
                        liar.sign(PrePrepare { digest: NULL, ..body }),
                        None,
                    )];
                }
                _ => body.by.incarnation.0 += up,
            }
            vec![PeerMessage::Propose(liar.sign(body), batch)]
        }
        PeerMessage::ViewChange(wish) if wish.body.by.replica == liar.id => {
            let mut body = wish.body;
            match choice {
                0 => body.view = View(body.view.0 + up),
                1 => drop(body.prepared.0.pop()),
                2 => body.stable = None,
                _ => body.by.incarnation.0 += up,
            }
            vec![PeerMessage::ViewChange(liar.sign(body))]
        }
        PeerMessage::Status(mut status) => {
            match choice {
                0 => status.executed = Seq(status.executed.0 + 1_000),
                1 => status.stable = Seq(0),
                2 => status.view = View(status.view.0 + up),
                _ => status.slots = List::default(),
            }
            vec![PeerMessage::Status(status)]
        }
        other => vec![other],
    }
}
