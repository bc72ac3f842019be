//! Liars about views: what they ask for, what they show, and how they open one.

use super::Liar;
use super::forgery;
use crate::message::batch::NULL;
use crate::message::{NewView, PeerMessage, PrePrepare, Signed, ViewChange, Voter, new_view};
use crate::types::{Digest, ReplicaId, View};
use crate::wire::List;

pub(super) fn spam(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    let PeerMessage::Status(status) = &message else { return vec![message] };
    let furthest = if liar.random.in_thousand(500) { 1 } else { 1_000_000 };
    let view = View(status.view.0.saturating_add(1 + liar.random.below(furthest)));
    let mut told = Vec::new();
    for replica in liar.conspirators() {
        let by = Voter { replica, incarnation: Default::default() };
        let wish = ViewChange { view, by, stable: None, prepared: List::default() };
        told.extend(liar.sign_as(replica, wish).map(PeerMessage::ViewChange));
    }
    told.push(message);
    told
}

/// Its own wish, to be told otherwise.
fn own_wish(liar: &Liar, message: &PeerMessage) -> Option<ViewChange> {
    match message {
        PeerMessage::ViewChange(wish) if liar.is_me(wish.body.by) => Some(wish.body.clone()),
        _ => None,
    }
}

/// Its own opening, to be told otherwise.
fn own_opening(liar: &Liar, message: &PeerMessage) -> Option<NewView> {
    match message {
        PeerMessage::NewView(opening, _) if liar.is_me(opening.body.by) => {
            Some(opening.body.clone())
        }
        _ => None,
    }
}

pub(super) fn hide(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match own_wish(liar, &message) {
        Some(wish) => {
            let body = ViewChange { prepared: List::default(), ..wish };
            vec![PeerMessage::ViewChange(liar.sign(body))]
        }
        None => vec![message],
    }
}

pub(super) fn invent(liar: &mut Liar, _: ReplicaId, message: PeerMessage) -> Vec<PeerMessage> {
    match own_wish(liar, &message) {
        Some(mut body) => {
            let last = body.prepared.0.last().cloned();
            body.prepared.0.extend(last.as_ref().and_then(|one| forgery::moved(liar, one)));
            vec![PeerMessage::ViewChange(liar.sign(body))]
        }
        None => vec![message],
    }
}

pub(super) fn bogus_new_view(
    liar: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    let Some(mut body) = own_opening(liar, &message) else { return vec![message] };
    let choice = liar.random.below(6);
    match body.pre_prepares.0.last_mut() {
        Some(last) if choice == 0 => {
            let digest = if last.body.digest == NULL { Digest::of(b"other") } else { NULL };
            *last = liar.sign(PrePrepare { digest, ..last.body });
        }
        Some(_) if choice == 1 => drop(body.pre_prepares.0.pop()),
        Some(last) if choice == 2 => {
            let next = PrePrepare { seq: last.body.seq.next(), ..last.body };
            body.pre_prepares.0.push(liar.sign(next));
        }
        _ if choice == 3 => drop(body.view_changes.0.pop()),
        // By the wishes of too few, or without what the last one shows; and with what
        // follows from that.
        _ if choice == 4 => {
            body.view_changes.0.pop();
            follow(liar, &mut body);
        }
        _ => {
            for wish in &mut body.view_changes.0 {
                if liar.is_me(wish.body.by) {
                    let bare =
                        ViewChange { stable: None, prepared: List::default(), ..wish.body.clone() };
                    *wish = liar.sign(bare);
                }
            }
            follow(liar, &mut body);
        }
    }
    vec![PeerMessage::NewView(liar.sign(body), None)]
}

/// Proposes what follows from the wishes that an opening shows.
fn follow(liar: &Liar, body: &mut NewView) {
    let decided = new_view::decide(body.view_changes.iter().map(|one| &one.body));
    let (view, by) = (body.view, body.by);
    let chosen = decided.chosen.into_iter();
    body.pre_prepares = chosen
        .map(|(seq, digest)| -> Signed<PrePrepare> {
            liar.sign(PrePrepare { view, seq, digest, by })
        })
        .collect();
}

/// With its own wish for an earlier view, with one twice, or an earlier opening whole.
pub(super) fn stale_new_view(
    liar: &mut Liar,
    _: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    let Some(mut body) = own_opening(liar, &message) else { return vec![message] };
    let earlier = liar.earlier.iter().find_map(|one| match one {
        PeerMessage::NewView(opening, _) if opening.body.view < body.view => Some(one.clone()),
        _ => None,
    });
    match (liar.random.below(3), earlier) {
        (0, Some(earlier)) => return vec![earlier],
        (1, _) => {
            if let Some(first) = body.view_changes.0.first().cloned() {
                body.view_changes.0.pop();
                body.view_changes.0.insert(0, first);
            }
        }
        _ => {
            for wish in &mut body.view_changes.0 {
                if liar.is_me(wish.body.by) {
                    let view = View(wish.body.view.0.saturating_sub(1).max(1));
                    *wish = liar.sign(ViewChange { view, ..wish.body.clone() });
                }
            }
        }
    }
    vec![PeerMessage::NewView(liar.sign(body), None)]
}

pub(super) fn partial_new_view(
    liar: &mut Liar,
    to: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    match message {
        PeerMessage::NewView(..) if to != liar.confidant() => vec![],
        other => vec![other],
    }
}

/// One half gets an opening in which no liar has prepared anything. It follows from the
/// wishes that it shows, as the other does.
pub(super) fn two_openings(
    liar: &mut Liar,
    to: ReplicaId,
    message: PeerMessage,
) -> Vec<PeerMessage> {
    if liar.is_favoured(to) {
        return vec![message];
    }
    let Some(mut body) = own_opening(liar, &message) else { return vec![message] };
    for wish in &mut body.view_changes.0 {
        let bare = ViewChange { prepared: List::default(), ..wish.body.clone() };
        if let Some(resigned) = liar.sign_as(wish.body.by.replica, bare) {
            *wish = resigned;
        }
    }
    follow(liar, &mut body);
    vec![PeerMessage::NewView(liar.sign(body), None)]
}
