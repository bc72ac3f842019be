//! Many messages judged together: the verdict on each is the one that it gets alone (`P6`).

use crate::samples::Samples;
use crate::support::{request_body, voter};
use bytes::Bytes;
use quorate::message::{
    Author, Batch, Item, PeerMessage, PrePrepare, Received, Reject, Unjudged, Verifier,
};
use quorate::types::{ClientId, Seq, Timestamp, View};
use quorate::wire;

/// From whom a frame comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    Peer,
    Client,
}

fn frames(samples: &Samples) -> Vec<(From, Bytes)> {
    let peers = samples.peer_messages().into_iter();
    let clients = samples.client_messages().into_iter();
    let peers = peers.map(|message| (From::Peer, Bytes::from(wire::encode(&message))));
    let clients = clients.map(|message| (From::Client, Bytes::from(wire::encode(&message))));
    peers.chain(clients).collect()
}

/// What a verdict says, in a form that can be compared.
fn shown(verdict: Result<Received, Reject>) -> String {
    format!("{verdict:?}")
}

fn alone<S: quorate::crypto::Scheme>(verifier: &Verifier<S>, from: From, frame: &[u8]) -> String {
    shown(match from {
        From::Peer => verifier.peer_bytes(frame).map(|peer| Received::Peer(Box::new(peer))),
        From::Client => verifier.client_bytes(frame).map(Received::Client),
    })
}

/// Judges all of these together; what is refused before is refused at once.
fn together<S: quorate::crypto::Scheme>(
    verifier: &Verifier<S>,
    frames: &[(From, Bytes)],
) -> Vec<String> {
    let unjudged = |(from, frame): &(From, Bytes)| match from {
        From::Peer => verifier.peer_unjudged(frame.clone()),
        From::Client => verifier.client_unjudged(frame.clone()),
    };
    let (mut verdicts, mut places, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for (place, result) in frames.iter().map(unjudged).enumerate() {
        match result {
            Ok(message) => {
                verdicts.push(String::new());
                places.push(place);
                waiting.push(message);
            }
            Err(reject) => verdicts.push(shown(Err(reject))),
        }
    }
    for (place, verdict) in places.into_iter().zip(verifier.judge_all(waiting)) {
        verdicts[place] = shown(verdict);
    }
    verdicts
}

#[test]
fn good_messages_are_taken_together_as_each_alone() {
    let samples = Samples::new();
    let verifier = &samples.cluster.verifier;
    let frames = frames(&samples);
    let expected: Vec<String> =
        frames.iter().map(|(from, frame)| alone(verifier, *from, frame)).collect();
    assert!(expected.iter().all(|verdict| verdict.starts_with("Ok")), "{expected:?}");
    assert_eq!(together(verifier, &frames), expected);
}

/// The last bytes of most messages are those of a signature.
#[test]
fn one_spoiled_message_changes_no_verdict_but_its_own() {
    let samples = Samples::new();
    let verifier = &samples.cluster.verifier;
    let good = frames(&samples);
    let mut refused = 0;
    for spoiled in 0..good.len() {
        let mut frames = good.clone();
        let mut bytes = frames[spoiled].1.to_vec();
        *bytes.last_mut().expect("no message is empty") ^= 1;
        frames[spoiled].1 = Bytes::from(bytes);
        let expected: Vec<String> =
            frames.iter().map(|(from, frame)| alone(verifier, *from, frame)).collect();
        assert_eq!(together(verifier, &frames), expected, "with {spoiled} spoiled");
        refused += usize::from(expected[spoiled].contains("BadSignature"));
    }
    assert!(refused > 5, "only {refused} signatures were spoiled");
}

/// A proposal whose batch holds a forged request is good as far as its own signature goes,
/// and nobody has looked at the batch's.
#[test]
fn a_forged_request_within_a_proposal_is_told_apart_from_a_forged_proposal() {
    let samples = Samples::new();
    let verifier = &samples.cluster.verifier;
    let body = request_body(0, 1, 0, &["a"]);
    let forged = samples.cluster.sign_as(Author::Client(ClientId(1)), body);
    let batch = Batch::new(Timestamp(1), vec![Item::Request(forged)]);
    let (view, seq) = (View::FIRST, Seq(1));
    let proposal = PrePrepare { view, seq, digest: batch.digest(), by: voter(0) };
    let proposal = samples.cluster.sign(proposal);
    let message = PeerMessage::Propose(proposal, Some(batch));
    let frame = Bytes::from(wire::encode(&message));
    let unjudged: Unjudged = verifier.peer_unjudged(frame.clone()).expect("but for signatures");
    let verdicts: Vec<String> = verifier.judge_all(vec![unjudged]).into_iter().map(shown).collect();
    assert_eq!(verdicts, [alone(verifier, From::Peer, &frame)]);
    assert!(verdicts[0].contains("Unchecked"), "{verdicts:?}");
}
