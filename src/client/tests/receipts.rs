//! Receipts: how they come together, and what they prove.

use super::super::receipt::{NotAReceipt, NotProven, Proven, verify};
use super::*;
use crate::message::{self, ReceiptCertificate, Signed, Verifier, Voter};
use crate::types::{Committee, Incarnation};
use crate::wire;
use proptest::prelude::*;

/// What an honest replica signs.
fn said(by: u16, number: u64, seq: u64, operation: &str, result: &str) -> message::Receipt {
    message::Receipt {
        client: ME,
        number: RequestNumber(number),
        seq: Seq(seq),
        operation: Digest::of(operation.as_bytes()),
        result: Digest::of(result.as_bytes()),
        by: Voter { replica: ReplicaId(by), incarnation: Incarnation::FIRST },
    }
}

fn signed_by(signer: u16, replicas: u16, body: message::Receipt) -> Signed<message::Receipt> {
    Signed::sign(body, &genesis(replicas).cluster(), &replica_key(signer))
}

fn verifier(replicas: u16) -> Verifier<Ed25519> {
    Verifier::new(genesis(replicas).checked().expect("a good genesis"), Ed25519)
}

impl Story {
    fn submit_with_receipts(&mut self, operations: &[&str]) -> Ticket {
        let operations = operations.iter().map(|one| Blob::from(*one)).collect();
        self.session.submit_with_receipts(self.now, operations).expect("within the limits")
    }

    /// Of four: a replica signs.
    fn sign(&mut self, body: message::Receipt) -> Result<(), Reject> {
        let by = body.by.replica.0;
        self.hear(by, ToClient::Receipt(signed_by(by, 4, body)))
    }

    /// Whom the session asks for receipts, and of which numbers.
    fn questions(&mut self) -> Vec<(ToReplica, u64)> {
        let outgoing = self.session.take_outgoing();
        let asked = outgoing.into_iter().filter_map(|(to, message)| match message {
            ClientMessage::Receipt(number) => Some((to, number.0)),
            _ => None,
        });
        asked.collect()
    }

    /// Three of four have executed `a` at 9, under number 1.
    fn executed_one() -> (Story, Ticket) {
        let mut story = Story::new();
        let ticket = story.submit_with_receipts(&["a"]);
        story.all_hear(0..3, &executed(1, 9, "a", "fine"));
        (story, ticket)
    }

    fn only_receipts(&mut self) -> (Ticket, Vec<Done>, Result<Vec<Receipt>, NoReceipts>) {
        match self.only_outcome() {
            (ticket, Outcome::Receipted { done, receipts }) => (ticket, done, receipts),
            other => panic!("no word of receipts: {other:?}"),
        }
    }
}

/// A true receipt.
fn receipt() -> Receipt {
    let (mut story, _) = Story::executed_one();
    for by in [0, 1, 2] {
        story.sign(said(by, 1, 9, "a", "fine")).expect("it is true");
    }
    story.only_receipts().2.expect("three have signed").remove(0)
}

#[test]
fn what_was_executed_is_proved_to_whoever_has_the_genesis() {
    let mut story = Story::new();
    let ticket = story.submit_with_receipts(&["a", "b"]);
    story.all_hear(0..3, &executed(1, 9, "a", "first"));
    assert_eq!(story.questions(), [], "not before all of it is known");
    story.all_hear(0..3, &executed(2, 9, "b", "second"));
    assert_eq!(story.questions(), [(ToReplica::All, 1), (ToReplica::All, 2)]);
    for by in [3, 1, 0] {
        assert_eq!(story.outcomes(), []);
        assert_eq!(story.session.acknowledged(), RequestNumber(0), "they must be kept");
        assert_eq!(story.sign(said(by, 2, 9, "b", "second")), Ok(()));
        assert_eq!(story.sign(said(by, 1, 9, "a", "first")), Ok(()));
    }
    let (told, all, receipts) = story.only_receipts();
    assert_eq!((told, all), (ticket, vec![done(9, "first"), done(9, "second")]));
    assert_eq!(story.session.acknowledged(), RequestNumber(2));
    assert_eq!(story.session.next_deadline(), None);
    let wanted = [(1, "a", "first"), (2, "b", "second")];
    for (receipt, (number, operation, result)) in
        receipts.expect("three have signed").into_iter().zip(wanted)
    {
        let kept = Receipt::from_bytes(&receipt.to_bytes()).expect("it was written");
        assert_eq!(kept, receipt);
        assert_eq!(kept.operation(), Some(&operation.into()));
        let voter = |by| said(by, 1, 9, "", "").by;
        let proven = Proven {
            client: ME,
            number: RequestNumber(number),
            seq: Seq(9),
            operation: operation.into(),
            result: result.into(),
            voters: [0, 1, 3].map(voter).to_vec(),
        };
        assert_eq!(verify(&verifier(4), &kept), Ok(proven));
    }
}

/// K10
#[test]
fn false_and_forged_receipts_are_refused_and_the_true_ones_are_enough() {
    let truth = |by| said(by, 1, 9, "a", "fine");
    let (mut story, _) = Story::executed_one();
    let lies = [
        (said(3, 1, 9, "a", "a lie"), Reject::WrongDigest),
        (said(3, 1, 8, "a", "fine"), Reject::WrongDigest),
        (said(3, 1, 9, "b", "fine"), Reject::WrongDigest),
        (said(3, 2, 9, "a", "fine"), Reject::Unrequested),
        (message::Receipt { client: ClientId(1), ..truth(3) }, Reject::NotFromAuthor),
    ];
    for (lie, reject) in lies {
        assert_eq!(story.sign(lie), Err(reject), "{lie:?}");
    }
    let in_the_name_of = |named: u16| ToClient::Receipt(signed_by(3, 4, truth(named)));
    assert_eq!(story.hear(3, in_the_name_of(0)), Err(Reject::NotFromAuthor));
    assert_eq!(story.hear(0, in_the_name_of(0)), Err(Reject::BadSignature));
    for by in [0, 1] {
        assert_eq!(story.sign(truth(by)), Ok(()));
        assert_eq!(story.sign(truth(by)), Err(Reject::Duplicate));
    }
    assert_eq!(story.outcomes(), [], "two are no quorum, whatever a liar adds");
    assert_eq!(story.sign(truth(2)), Ok(()));
    assert!(story.only_receipts().2.is_ok());
    assert_eq!(story.sign(truth(3)), Err(Reject::Unrequested));
}

#[test]
fn those_that_have_not_signed_are_asked_again_at_growing_intervals() {
    let (mut story, _) = Story::executed_one();
    assert_eq!(story.questions(), [(ToReplica::All, 1)]);
    assert_eq!(story.sign(said(2, 1, 9, "a", "fine")), Ok(()));
    let others = [0, 1, 3].map(|one| (ToReplica::One(ReplicaId(one)), 1));
    let mut spans = Vec::new();
    for _ in 0..4 {
        spans.push(story.wait_for_deadline().0);
        assert_eq!(story.questions(), others);
    }
    assert_eq!(spans, [100, 200, 400, 400]);
}

/// The outcome is believed before all have executed it. Who has not yet is asked once more soon
/// after, and no more often for saying so again.
#[test]
fn whoever_can_not_sign_yet_is_asked_again_soon_and_once() {
    let settings = Settings { reply_patience: Span(20), ..SETTINGS };
    let mut story = Story::with(4, Start::New, settings);
    story.submit_with_receipts(&["a"]);
    story.all_hear(0..2, &executed(1, 9, "a", "fine"));
    assert_eq!(story.questions(), [(ToReplica::All, 1)]);
    let not_ready = |number| ToClient::NotReady(RequestNumber(number));
    assert_eq!(story.hear(3, not_ready(2)), Err(Reject::Unrequested));
    let others = [0, 1, 2, 3].map(|one| (ToReplica::One(ReplicaId(one)), 1));
    let mut spans = Vec::new();
    for _ in 0..4 {
        assert_eq!(story.hear(3, not_ready(1)), Ok(()));
        spans.push(story.wait_for_deadline().0);
        assert_eq!(story.questions(), others);
    }
    assert_eq!(spans, [20, 80, 200, 400]);
}

#[test]
fn receipts_that_do_not_come_in_time_change_nothing_of_what_was_done() {
    let (mut story, ticket) = Story::executed_one();
    for by in [0, 1] {
        assert_eq!(story.sign(said(by, 1, 9, "a", "fine")), Ok(()));
    }
    story.wait(SETTINGS.timeout);
    let missing = Err(NoReceipts::TimedOut { signed: 2, needed: 3 });
    assert_eq!(story.only_receipts(), (ticket, vec![done(9, "fine")], missing));
    assert_eq!(story.session.acknowledged(), RequestNumber(1));
    assert_eq!(story.session.next_deadline(), None);
}

/// The caller was told that the outcome is unknown, and no longer waits.
#[test]
fn an_outcome_that_comes_too_late_comes_without_receipts() {
    let mut story = Story::new();
    let ticket = story.submit_with_receipts(&["a"]);
    story.wait(SETTINGS.timeout);
    assert_eq!(story.only_outcome(), (ticket, Outcome::Unknown { declined: None }));
    story.all_hear(0..3, &executed(1, 9, "a", "fine"));
    let missing = Err(NoReceipts::TooLate);
    assert_eq!(story.only_receipts(), (ticket, vec![done(9, "fine")], missing));
    assert_eq!(story.questions(), []);
}

#[test]
fn what_was_refused_has_no_receipts() {
    let mut story = Story::new();
    let ticket = story.submit_with_receipts(&["a"]);
    story.all_hear(0..3, &refused(1, 9, "a", Refusal::NumbersEnd));
    let (told, outcome) = story.only_outcome();
    assert_eq!(told, ticket);
    assert!(matches!(outcome, Outcome::Refused { .. }));
    assert_eq!(story.questions(), []);
    assert_eq!(story.session.acknowledged(), RequestNumber(1));
}

#[test]
fn whoever_abandons_waits_for_receipts_no_more() {
    let mut story = Story::new();
    let open = story.submit_with_receipts(&["a"]);
    let done = story.submit_with_receipts(&["b"]);
    story.all_hear(0..3, &executed(2, 9, "b", "fine"));
    assert_eq!(story.session.acknowledged(), RequestNumber(0));
    assert!(story.session.abandon(story.now, open));
    assert_eq!(story.session.acknowledged(), RequestNumber(1));
    assert!(story.session.abandon(story.now, done));
    assert!(!story.session.abandon(story.now, done));
    assert_eq!(story.session.acknowledged(), RequestNumber(2));
    assert_eq!((story.outcomes(), story.session.next_deadline()), (vec![], None));
}

/// Those that are to be proved stay in one request.
#[test]
fn a_bundle_that_found_no_room_is_signed_again_whole() {
    let mut story = Story::new();
    story.submit(&["a"]);
    story.submit_with_receipts(&["b", "c"]);
    story.all_hear(0..3, &executed(2, 9, "b", "fine"));
    story.all_hear(0..3, &refused(3, 9, "c", NO_ROOM));
    story.requests();
    story.all_hear(0..3, &executed(1, 9, "a", "fine"));
    let (to, again) = story.requests().remove(0);
    assert_eq!((to, again.first, again.operations.len()), (ToReplica::All, RequestNumber(2), 2));
    assert_eq!(again.acknowledged, RequestNumber(1));
    story.outcomes();
    story.all_hear(0..3, &executed(3, 10, "c", "fine"));
    for (number, seq, operation) in [(2, 9, "b"), (3, 10, "c")] {
        for by in [0, 1, 2] {
            assert_eq!(story.sign(said(by, number, seq, operation, "fine")), Ok(()));
        }
    }
    let receipts = story.only_receipts().2.expect("three have signed");
    assert!(receipts.iter().all(|one| verify(&verifier(4), one).is_ok()));
}

/// Else the rest of the bundle would never be executed.
#[test]
fn a_bundle_whose_own_results_leave_no_room_goes_on_without_receipts() {
    let mut story = Story::new();
    let ticket = story.submit_with_receipts(&["a", "b"]);
    story.requests();
    story.all_hear(0..3, &refused(2, 9, "b", NO_ROOM));
    assert_eq!(story.requests(), []);
    story.all_hear(0..3, &executed(1, 9, "a", "fine"));
    let (_, rest) = story.requests().remove(0);
    assert_eq!((rest.first, rest.acknowledged), (RequestNumber(2), RequestNumber(1)));
    story.all_hear(0..3, &executed(2, 10, "b", "fine"));
    let all = vec![done(9, "fine"), done(10, "fine")];
    assert_eq!(story.only_receipts(), (ticket, all, Err(NoReceipts::NoRoom)));
}

/// Two sessions of one client ask for the same: it was executed, and can be proved.
#[test]
fn what_was_executed_before_it_was_sent_is_proved_too() {
    let mut story = Story::new();
    for _ in 0..WINDOW {
        story.submit(&["filler"]);
    }
    story.submit_with_receipts(&["a"]);
    let number = WINDOW + 1;
    story.all_hear(0..3, &executed(number, 9, "a", "fine"));
    for by in [0, 1, 2] {
        assert_eq!(story.sign(said(by, number, 9, "a", "fine")), Ok(()));
    }
    let receipts = story.only_receipts().2.expect("three have signed");
    assert!(verify(&verifier(4), &receipts[0]).is_ok());
}

/// Whatever is changed in a receipt, the error says what doesn't fit.
#[test]
fn a_receipt_that_was_changed_proves_nothing() {
    let verifier = verifier(4);
    let not_proven = |receipt: &Receipt| verify(&verifier, receipt).expect_err("it was changed");
    let resigned = |request: Request| Signed::sign(request, &genesis(4).cluster(), &client_key());
    let truth = receipt();
    assert!(verify(&verifier, &truth).is_ok());

    let mut other = truth.clone();
    other.result = "a lie".into();
    assert_eq!(not_proven(&other), NotProven::OtherResult);

    let mut other = truth.clone();
    other.request.body.operations.0[0] = "b".into();
    assert_eq!(not_proven(&other), NotProven::Request(Reject::BadSignature));

    // A client may sign what it likes; what was executed under the number is known.
    let mut other = truth.clone();
    other.request.body.operations.0[0] = "b".into();
    other.request = resigned(other.request.body);
    assert_eq!(not_proven(&other), NotProven::OtherOperation(RequestNumber(1)));
    other.request.body.first = RequestNumber(2);
    other.request = resigned(other.request.body);
    assert_eq!(not_proven(&other), NotProven::OtherNumber(RequestNumber(1)));

    let mut members = truth.certificate.receipts().to_vec();
    members.pop();
    let mut other = truth.clone();
    other.certificate = certificate(said(0, 1, 9, "a", "fine"), members);
    assert_eq!(not_proven(&other), NotProven::Certificate(Reject::BadCertificate));

    let elsewhere = Verifier::new(
        Genesis { name: List(b"another story".to_vec()), ..genesis(4) }
            .checked()
            .expect("a good genesis"),
        Ed25519,
    );
    let elsewhere = verify(&elsewhere, &truth);
    assert_eq!(elsewhere, Err(NotProven::Request(Reject::BadSignature)));
}

/// Two clients of one cluster: the one's request is not proved by the other's receipt.
#[test]
fn a_receipt_of_another_client_proves_nothing() {
    let second = SecretKey::from_seed(&[201; 32]);
    let mut both = genesis(4);
    both.clients.0.push(second.public());
    let cluster = both.cluster();
    let request = Request {
        client: ClientId(1),
        first: RequestNumber(1),
        acknowledged: RequestNumber(0),
        operations: List(vec!["a".into()]),
    };
    let members = [0, 1, 2].map(|by| {
        let body = said(by, 1, 9, "a", "fine");
        let signature = Signed::sign(body, &cluster, &replica_key(by)).signature;
        message::Endorsement { by: body.by, signature }
    });
    let receipt = Receipt {
        request: Signed::sign(request, &cluster, &second),
        result: "fine".into(),
        certificate: certificate(said(0, 1, 9, "a", "fine"), members.to_vec()),
    };
    let verifier = Verifier::new(both.checked().expect("a good genesis"), Ed25519);
    let expected = NotProven::OtherClient { asked: ClientId(1), said: ME };
    assert_eq!(verify(&verifier, &receipt), Err(expected));
}

/// Bytes from anywhere.
#[test]
fn what_is_no_receipt_is_told_by_what_it_is() {
    let bytes = receipt().to_bytes();
    assert_eq!(Receipt::from_bytes(b""), Err(NotAReceipt::NoHead));
    assert_eq!(Receipt::from_bytes(b"quorate receipt"), Err(NotAReceipt::NoHead));
    assert_eq!(Receipt::from_bytes(&bytes[1..]), Err(NotAReceipt::NoHead));
    let mut later = bytes.clone();
    later[15] = b'2';
    assert_eq!(Receipt::from_bytes(&later), Err(NotAReceipt::OtherVersion));
    for length in 16..bytes.len() {
        let cut = Receipt::from_bytes(&bytes[..length]);
        assert!(matches!(cut, Err(NotAReceipt::Malformed(_))), "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(Receipt::from_bytes(&longer), Err(NotAReceipt::Malformed(_))));
}

/// No bit of it can be changed.
#[test]
fn a_receipt_with_a_bit_changed_proves_nothing() {
    let verifier = verifier(4);
    let bytes = receipt().to_bytes();
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let proven = Receipt::from_bytes(&flipped).is_ok_and(|one| verify(&verifier, &one).is_ok());
        assert!(!proven, "bit {bit}");
    }
}

/// A certificate of any parts: the library makes none with a fault.
fn certificate(said: message::Receipt, members: Vec<message::Endorsement>) -> ReceiptCertificate {
    let message::Receipt { client, number, seq, operation, result, .. } = said;
    let parts = (client, number, seq, operation, result, List(members));
    wire::decode(&wire::encode(&parts), wire::MOST_BYTES).expect("the parts of one")
}

/// What somebody sends when receipts are asked for.
#[derive(Clone, Debug)]
enum Sent {
    /// The truth, signed.
    Truth { by: u16 },
    /// A liar's word, in its own or another's name.
    Lie { liar: u16, named: u16, result: u8, seq: u64 },
    /// What an honest replica signed, sent by a liar.
    Copy { liar: u16, of: u16 },
}

fn sent(replicas: u16, faults: u16) -> impl Strategy<Value = Sent> {
    let (any, liar) = (|| 0..replicas, || 0..faults);
    prop_oneof![
        2 => any().prop_map(|by| Sent::Truth { by }),
        3 => (liar(), any(), 0u8..3, 8u64..10)
            .prop_map(|(liar, named, result, seq)| Sent::Lie { liar, named, result, seq }),
        1 => (liar(), any()).prop_map(|(liar, of)| Sent::Copy { liar, of }),
    ]
}

fn cases() -> impl Strategy<Value = (u16, u16, Vec<Sent>)> {
    prop::sample::select(vec![(4u16, 1u16), (6, 1), (7, 2)]).prop_flat_map(|(replicas, faults)| {
        let all = prop::collection::vec(sent(replicas, faults), 0..30);
        (Just(replicas), Just(faults), all)
    })
}

const RESULTS: [&str; 3] = ["fine", "a lie", "another"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// K10: whatever liars send, the session's receipts are true, and in the end there.
    #[test]
    fn every_receipt_is_true_and_the_honest_are_enough((replicas, faults, all) in cases()) {
        let mut story = Story::of(replicas, Start::New);
        story.submit_with_receipts(&["a"]);
        story.all_hear(faults..replicas, &executed(1, 9, "a", "fine"));
        let truth = |by| said(by, 1, 9, "a", "fine");
        for one in all {
            let (from, receipt) = match one {
                Sent::Truth { by } => (by, signed_by(by, replicas, truth(by))),
                Sent::Lie { liar, named, result, seq } => {
                    let lie = said(named, 1, seq, "a", RESULTS[usize::from(result)]);
                    (named, signed_by(liar, replicas, lie))
                }
                Sent::Copy { liar, of } => (liar, signed_by(of, replicas, truth(of))),
            };
            let _ = story.hear(from, ToClient::Receipt(receipt));
        }
        for by in faults..replicas {
            let _ = story.hear(by, ToClient::Receipt(signed_by(by, replicas, truth(by))));
        }
        let receipts = story.only_receipts().2.expect("the honest are a quorum");
        let proven = verify(&verifier(replicas), &receipts[0]).expect("it is true");
        prop_assert_eq!((proven.seq, proven.result), (Seq(9), "fine".into()));
    }

    /// K10: `f` liars with all that the honest ever signed make no receipt of a lie, in
    /// whatever names they sign.
    #[test]
    fn liars_never_make_a_receipt_of_a_lie(
        (replicas, faults) in prop::sample::select(vec![(4u16, 1u16), (6, 1), (7, 2)]),
        picks in prop::collection::vec((any::<bool>(), 0u16..7, 0u16..7), 0..7),
        incarnation in 0u64..2,
    ) {
        let lie = said(0, 1, 9, "a", "a lie");
        let committee = Committee::new(replicas).expect("within the limits");
        let mut members: Vec<message::Endorsement> = picks
            .into_iter()
            .map(|(honest, signer, named)| {
                let (signer, named) = match honest {
                    true => (faults + signer % (replicas - faults), None),
                    false => (signer % faults, Some(named % replicas)),
                };
                let mut by = said(named.unwrap_or(signer), 1, 9, "", "").by;
                by.incarnation = Incarnation(incarnation);
                let body = match honest {
                    true => message::Receipt { by, ..said(signer, 1, 9, "a", "fine") },
                    false => message::Receipt { by, ..lie },
                };
                let signature = signed_by(signer, replicas, body).signature;
                message::Endorsement { by, signature }
            })
            .collect();
        members.sort_by_key(|one| one.by.replica);
        members.dedup_by_key(|one| one.by.replica);
        members.truncate(committee.quorum());
        let request = Request {
            client: ME,
            first: RequestNumber(1),
            acknowledged: RequestNumber(0),
            operations: List(vec!["a".into()]),
        };
        let receipt = Receipt {
            request: Signed::sign(request, &genesis(replicas).cluster(), &client_key()),
            result: "a lie".into(),
            certificate: certificate(lie, members),
        };
        prop_assert!(matches!(
            verify(&verifier(replicas), &receipt),
            Err(NotProven::Certificate(_))
        ));
    }
}
