//! One value, one encoding; and no bytes that anything stumbles over (`D1` to `D3`).

use crate::samples::{self, Samples};
use crate::support::{Cluster, committed_of, prepared_of, receipted_of, stable_of};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use quorate::crypto::{Check, PublicKey, Scheme, Signature};
use quorate::message::{
    Batch, Checkpoint, CheckpointCertificate, ClientMessage, Commit, CommitCertificate,
    Endorsement, Evidence, Fetch, Genesis, Held, Item, NewView, Parameters, PeerMessage,
    PrePrepare, Prepare, PreparedCertificate, Receipt, ReceiptCertificate, RecoveryRequest, Reject,
    Reply, ReplyOutcome, Request, Signed, StartAnswer, Status, ToClient, Verifier, ViewChange,
    Voter,
};
use quorate::replica::Record;
use quorate::service::Refusal;
use quorate::service::tree::Path;
use quorate::types::{
    ClientId, Digest, Incarnation, Nonce, ReplicaId, RequestNumber, Seq, Span, Timestamp, View,
};
use quorate::wire::{self, Blob, List, Malformed, Wire};
use std::fmt::Debug;
use std::sync::Arc;

/// Small numbers, which fit together, and those at the edges, which don't.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => 0u64..20,
        1 => select(vec![u64::MAX, u64::MAX - 1, u64::MAX / 2, u64::MAX / 2 - 1, 1 << 32]),
        1 => any::<u64>(),
    ]
}

fn digest() -> impl Strategy<Value = Digest> {
    prop_oneof![Just(Digest([0; 32])), any::<[u8; 32]>().prop_map(Digest)]
}

fn signature() -> impl Strategy<Value = Signature> {
    vec(any::<u8>(), 64).prop_map(|bytes| Signature(bytes.try_into().expect("64 bytes")))
}

fn signed<T: Debug>(body: impl Strategy<Value = T>) -> impl Strategy<Value = Signed<T>> {
    (body, signature()).prop_map(|(body, signature)| Signed { body, signature })
}

fn replica() -> impl Strategy<Value = ReplicaId> {
    prop_oneof![8 => 0u16..5, 1 => any::<u16>()].prop_map(ReplicaId)
}

fn by() -> impl Strategy<Value = Voter> {
    let incarnation = prop_oneof![4 => Just(0), 1 => number()].prop_map(Incarnation);
    (replica(), incarnation).prop_map(|(replica, incarnation)| Voter { replica, incarnation })
}

fn blob() -> impl Strategy<Value = Blob> {
    vec(any::<u8>(), 0..12).prop_map(Blob::from)
}

fn place() -> impl Strategy<Value = (View, Seq, Digest, Voter)> {
    (number().prop_map(View), number().prop_map(Seq), digest(), by())
}

fn pre_prepare() -> impl Strategy<Value = Signed<PrePrepare>> {
    signed(place().prop_map(|(view, seq, digest, by)| PrePrepare { view, seq, digest, by }))
}

fn prepare() -> impl Strategy<Value = Signed<Prepare>> {
    signed(place().prop_map(|(view, seq, digest, by)| Prepare { view, seq, digest, by }))
}

fn commit() -> impl Strategy<Value = Signed<Commit>> {
    signed(place().prop_map(|(view, seq, digest, by)| Commit { view, seq, digest, by }))
}

fn checkpoint() -> impl Strategy<Value = Signed<Checkpoint>> {
    signed(place().prop_map(|(_, seq, digest, by)| Checkpoint { seq, digest, by }))
}

fn members() -> impl Strategy<Value = Vec<Endorsement>> {
    let ordered = (0..4u16, signature()).prop_map(|(skipped, signature)| {
        let ids = (0..4).filter(|id| *id != skipped);
        ids.map(|id| Endorsement { by: crate::support::voter(id), signature }).collect()
    });
    let any = (by(), signature()).prop_map(|(by, signature)| Endorsement { by, signature });
    prop_oneof![ordered, vec(any, 0..4)]
}

fn prepared() -> impl Strategy<Value = PreparedCertificate> {
    (pre_prepare(), members()).prop_map(|(proposal, mut members)| {
        members.retain(|one| one.by.replica != proposal.body.by.replica);
        members.truncate(2);
        prepared_of(proposal, members)
    })
}

fn committed() -> impl Strategy<Value = CommitCertificate> {
    (place(), members())
        .prop_map(|((view, seq, digest, _), members)| committed_of(view, seq, digest, members))
}

fn stable() -> impl Strategy<Value = CheckpointCertificate> {
    (place(), members()).prop_map(|((_, seq, digest, _), members)| stable_of(seq, digest, members))
}

fn receipt() -> impl Strategy<Value = Receipt> {
    (number(), number(), number(), digest(), digest(), by()).prop_map(
        |(client, number, seq, operation, result, by)| Receipt {
            client: ClientId(u32::try_from(client % 1000).expect("small")),
            number: RequestNumber(number),
            seq: Seq(seq),
            operation,
            result,
            by,
        },
    )
}

fn receipted() -> impl Strategy<Value = ReceiptCertificate> {
    (receipt(), members()).prop_map(|(said, members)| receipted_of(said, members))
}

fn view_change() -> impl Strategy<Value = Signed<ViewChange>> {
    let parts = (number(), by(), prop::option::of(stable()), vec(prepared(), 0..3));
    signed(parts.prop_map(|(view, by, stable, prepared)| ViewChange {
        view: View(view),
        by,
        stable,
        prepared: List(prepared),
    }))
}

fn new_view() -> impl Strategy<Value = Signed<NewView>> {
    let parts = (number(), by(), vec(view_change(), 0..4), vec(pre_prepare(), 0..4));
    signed(parts.prop_map(|(view, by, view_changes, pre_prepares)| NewView {
        view: View(view),
        by,
        view_changes: List(view_changes),
        pre_prepares: List(pre_prepares),
    }))
}

fn request() -> impl Strategy<Value = Signed<Request>> {
    let client = prop_oneof![4 => 0u32..4, 1 => any::<u32>()];
    let parts = (client, number(), number(), vec(blob(), 0..4));
    signed(parts.prop_map(|(client, first, acknowledged, operations)| Request {
        client: ClientId(client),
        first: RequestNumber(first),
        acknowledged: RequestNumber(acknowledged),
        operations: List(operations),
    }))
}

fn recovery() -> impl Strategy<Value = Signed<RecoveryRequest>> {
    let parts = (replica(), number());
    signed(parts.prop_map(|(replica, nonce)| RecoveryRequest { replica, nonce: Nonce(nonce) }))
}

fn item() -> impl Strategy<Value = Item> {
    prop_oneof![request().prop_map(Item::Request), recovery().prop_map(Item::Recovery)]
}

fn batch() -> impl Strategy<Value = Batch> {
    (number(), vec(item(), 0..4)).prop_map(|(time, items)| Batch::new(Timestamp(time), items))
}

fn evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![
        (pre_prepare(), pre_prepare()).prop_map(|(one, other)| Evidence::PrePrepare(one, other)),
        (prepare(), prepare()).prop_map(|(one, other)| Evidence::Prepare(one, other)),
        (commit(), commit()).prop_map(|(one, other)| Evidence::Commit(one, other)),
        (checkpoint(), checkpoint()).prop_map(|(one, other)| Evidence::Checkpoint(one, other)),
        (view_change(), view_change())
            .prop_map(|(one, other)| Evidence::ViewChange(one.into(), other.into())),
        (new_view(), new_view())
            .prop_map(|(one, other)| Evidence::NewView(one.into(), other.into())),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    vec(0u8..16, 0..8).prop_map(|nibbles| samples::path(&nibbles))
}

fn fetch() -> impl Strategy<Value = Fetch> {
    prop_oneof![
        digest().prop_map(Fetch::Batch),
        number().prop_map(|seq| Fetch::Decided(Seq(seq))),
        number().prop_map(|view| Fetch::NewView(View(view))),
        (number(), path(), option::of(number()), any::<u32>()).prop_map(
            |(seq, path, since, bytes)| Fetch::Part(Seq(seq), path, since.map(Seq), bytes)
        ),
        number().prop_map(|seq| Fetch::Stable(Seq(seq))),
        (number(), number()).prop_map(|(view, seq)| Fetch::Proposal(View(view), Seq(seq))),
    ]
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        pre_prepare().prop_map(Held::PrePrepare),
        prepare().prop_map(Held::Prepare),
        commit().prop_map(Held::Commit),
        checkpoint().prop_map(Held::Checkpoint),
        view_change().prop_map(Held::ViewChange),
        new_view().prop_map(Held::NewView),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    let slots = vec(select(Samples::new().slots()), 0..10);
    let parts = (number(), any::<bool>(), number(), number(), slots, vec(replica(), 0..6));
    parts.prop_map(|(view, active, stable, executed, slots, view_changes)| Status {
        view: View(view),
        active,
        stable: Seq(stable),
        executed: Seq(executed),
        slots: List(slots),
        view_changes: List(view_changes),
    })
}

fn start_answer() -> impl Strategy<Value = StartAnswer> {
    let certificates = (prop::option::of(prepared()), prop::option::of(stable()));
    (number(), number(), certificates, vec(held(), 0..3)).prop_map(
        |(nonce, view, (highest, stable), held)| StartAnswer {
            nonce: Nonce(nonce),
            view: View(view),
            highest,
            stable,
            held: List(held),
        },
    )
}

fn peer_message() -> impl Strategy<Value = PeerMessage> {
    let body = || prop::option::of(batch());
    prop_oneof![
        request().prop_map(PeerMessage::Relay),
        recovery().prop_map(PeerMessage::Recovery),
        (pre_prepare(), body()).prop_map(|(proposal, body)| PeerMessage::Propose(proposal, body)),
        prepare().prop_map(PeerMessage::Prepare),
        commit().prop_map(PeerMessage::Commit),
        checkpoint().prop_map(PeerMessage::Checkpoint),
        view_change().prop_map(PeerMessage::ViewChange),
        (new_view(), prop::option::of(committed()))
            .prop_map(|(opening, shown)| PeerMessage::NewView(opening, shown)),
        stable().prop_map(PeerMessage::Stable),
        status().prop_map(PeerMessage::Status),
        fetch().prop_map(PeerMessage::Fetch),
        batch().prop_map(PeerMessage::Batch),
        (committed(), body()).prop_map(|(proof, body)| PeerMessage::Decided(proof, body)),
        (number(), path()).prop_map(|(seq, path)| PeerMessage::Part(
            Seq(seq),
            path,
            Samples::new().part()
        )),
        number().prop_map(|seq| PeerMessage::NoState(Seq(seq))),
        number().prop_map(|nonce| PeerMessage::StartQuery(Nonce(nonce))),
        start_answer().prop_map(|answer| PeerMessage::StartAnswer(Box::new(answer))),
        evidence().prop_map(PeerMessage::Evidence),
    ]
}

fn client_message() -> impl Strategy<Value = ClientMessage> {
    prop_oneof![
        request().prop_map(ClientMessage::Request),
        (number(), blob())
            .prop_map(|(number, read)| { ClientMessage::Read(RequestNumber(number), read) }),
        (number(), blob())
            .prop_map(|(number, read)| { ClientMessage::Prove(RequestNumber(number), read) }),
        number().prop_map(|nonce| ClientMessage::Session(Nonce(nonce))),
        number().prop_map(|number| ClientMessage::Receipt(RequestNumber(number))),
    ]
}

fn refusal() -> impl Strategy<Value = Refusal> {
    select(Samples::new().refusals())
}

fn outcome() -> impl Strategy<Value = ReplyOutcome> {
    let refused = refusal().prop_map(ReplyOutcome::Refused);
    prop_oneof![blob().prop_map(ReplyOutcome::Executed), refused]
}

fn to_client() -> impl Strategy<Value = ToClient> {
    let numbers = || (number(), number(), number(), number());
    prop_oneof![
        (numbers(), digest(), outcome()).prop_map(
            |((client, number, view, seq), operation, outcome)| {
                ToClient::Reply(Reply {
                    client: ClientId(u32::try_from(client % 1000).expect("small")),
                    number: RequestNumber(number),
                    view: View(view),
                    seq: Seq(seq),
                    operation,
                    outcome,
                })
            }
        ),
        (numbers(), digest(), blob()).prop_map(|((number, _, _, changed), operation, result)| {
            let (number, changed) = (RequestNumber(number), Seq(changed));
            ToClient::ReadAnswer { number, operation, result, changed }
        }),
        (number(), stable()).prop_map(|(number, certificate)| ToClient::Proved {
            number: RequestNumber(number),
            certificate,
            proof: Samples::new().proof(),
            time: Samples::new().proof(),
        }),
        number().prop_map(|number| ToClient::NotReady(RequestNumber(number))),
        (number(), refusal())
            .prop_map(|(number, refusal)| ToClient::Refused(RequestNumber(number), refusal)),
        numbers().prop_map(|(nonce, acknowledged, highest, view)| ToClient::Session {
            nonce: Nonce(nonce),
            acknowledged: RequestNumber(acknowledged),
            highest: RequestNumber(highest),
            view: View(view),
        }),
        signed(receipt()).prop_map(ToClient::Receipt),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    let body = || prop::option::of(batch());
    prop_oneof![
        (pre_prepare(), body()).prop_map(|(proposal, body)| Record::PrePrepare(proposal, body)),
        prepare().prop_map(Record::Prepare),
        (prepared(), body()).prop_map(|(proof, body)| Record::Prepared(proof, body)),
        checkpoint().prop_map(Record::Checkpoint),
        stable().prop_map(Record::Stable),
        view_change().prop_map(Record::ViewChange),
        (new_view(), prop::option::of(committed()))
            .prop_map(|(opening, shown)| Record::NewView(opening, shown)),
        evidence().prop_map(Record::Evidence),
        number().prop_map(|nonce| Record::Recovering(Nonce(nonce))),
        number().prop_map(|incarnation| Record::Recovered(Incarnation(incarnation))),
        (number(), number()).prop_map(|(view, seq)| Record::Reserved(View(view), Seq(seq))),
    ]
}

fn genesis() -> impl Strategy<Value = Genesis> {
    let keys = || vec(any::<[u8; 32]>().prop_map(PublicKey), 0..5);
    let name = vec(any::<u8>(), 0..5);
    (name, keys(), keys(), vec(number(), 12)).prop_map(|(name, replicas, clients, numbers)| {
        let parameters = Parameters {
            checkpoint_interval: numbers[0],
            window: numbers[1],
            batch_items: numbers[2],
            batch_bytes: numbers[3],
            bundle_operations: numbers[4],
            bundle_bytes: numbers[5],
            client_window: numbers[6],
            client_kept_bytes: numbers[7],
            result_bytes: numbers[8],
            time_tolerance: Span(numbers[9]),
            recovery_spacing: numbers[10],
            rotation: numbers[11],
        };
        Genesis { name: List(name), replicas: List(replicas), clients: List(clients), parameters }
    })
}

/// Whatever decodes is the one encoding of what it decodes to.
fn require_canonical<T: Wire>(bytes: &[u8]) -> Option<T> {
    let value: T = wire::decode(bytes, wire::MOST_BYTES).ok()?;
    assert_eq!(wire::encode(&value), bytes, "two encodings of one value");
    Some(value)
}

/// The bits to flip: all in short encodings, some in long ones, and always those of the
/// beginning, where the tags and lengths are.
fn bits(length: usize) -> impl Iterator<Item = usize> {
    let step = (length / 60).max(1);
    (0..8 * length).filter(move |bit| *bit < 200 || bit / 8 % step == bit % 8)
}

/// D2: round trip, and nothing near an encoding is another of the same value.
fn require_one_encoding<T: Wire + PartialEq + Debug>(value: &T) {
    let bytes = wire::encode(value);
    let again: T = require_canonical(&bytes).expect("it was encoded");
    assert_eq!(again, *value);
    for bit in bits(bytes.len()) {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Some(other) = require_canonical::<T>(&flipped) {
            assert_ne!(other, *value, "bit {bit} makes no difference");
        }
    }
    let step = (bytes.len() / 100).max(1);
    for length in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
        assert!(require_canonical::<T>(&bytes[..length]).is_none(), "{length} of its bytes");
    }
    let mut longer = bytes;
    longer.push(0);
    let trailing = wire::decode::<T>(&longer, wire::MOST_BYTES).expect_err("a byte too many");
    assert_eq!(trailing, Malformed::Trailing { extra: 1 });
}

fn for_any<T: Wire + PartialEq + Debug>(cases: u32, values: impl Strategy<Value = T>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&values, |value| {
        require_one_encoding(&value);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// D2
#[test]
fn peer_messages_have_one_encoding_each() {
    for_any(200, peer_message());
}

/// D2
#[test]
fn client_messages_and_answers_have_one_encoding_each() {
    for_any(100, client_message());
    for_any(100, to_client());
}

/// D2
#[test]
fn records_have_one_encoding_each() {
    for_any(100, record());
}

/// D2
#[test]
fn everything_else_has_one_encoding_each() {
    for_any(40, genesis());
    for_any(40, batch());
    for_any(20, item());
    for_any(20, fetch());
    for_any(40, held());
    for_any(40, evidence());
    for_any(20, prepared());
    for_any(20, committed());
    for_any(20, stable());
    for_any(20, receipted());
    for_any(10, outcome());
    for_any(10, refusal());
    for_any(4, select(Samples::new().slots()));
}

/// D2: also of what only a tree makes.
#[test]
fn parts_and_proofs_have_one_encoding_each() {
    let samples = Samples::new();
    require_one_encoding(&samples.part());
    require_one_encoding(&samples.proof());
    require_one_encoding(&samples::path(&[6, 6, 7]));
}

/// A rule that takes every signature, so that odd values get past it to the rules.
#[derive(Clone, Copy)]
struct Credulous;

impl Scheme for Credulous {
    fn verify(&self, _: &Check) -> bool {
        true
    }
}

fn credulous() -> Verifier<Credulous> {
    Verifier::new(Arc::clone(&Cluster::of(4).genesis), Credulous)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// D3
    #[test]
    fn no_values_bring_the_verifier_down(
        peer in peer_message(),
        client in client_message(),
        receipt in signed(receipt()),
        receipted in receipted(),
    ) {
        let verifier = credulous();
        let _ = verifier.signed(receipt);
        let _ = verifier.certificate(receipted);
        let expected = verifier.peer(peer.clone()).err();
        prop_assert_eq!(verifier.peer_bytes(&wire::encode(&peer)).err(), expected);
        let expected = verifier.client(client.clone()).err();
        prop_assert_eq!(verifier.client_bytes(&wire::encode(&client)).err(), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    /// D3
    #[test]
    fn no_bytes_bring_the_verifier_down(tag in 0u8..20, bytes in vec(any::<u8>(), 0..300)) {
        let verifier = credulous();
        let tagged = [&[tag, 0, 0, 0], bytes.as_slice()].concat();
        let zeroed: Vec<u8> = tagged.iter().map(|byte| if *byte < 200 { 0 } else { *byte }).collect();
        for bytes in [bytes, tagged, zeroed] {
            let _ = verifier.peer_bytes(&bytes);
            let _ = verifier.client_bytes(&bytes);
        }
    }

    /// D3: one message's head on another's body, bytes exchanged, doubled or lost.
    #[test]
    fn no_mutation_of_a_true_message_brings_the_verifier_down(
        which in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 0usize..40,
        byte in any::<u8>(),
    ) {
        let (verifier, encoded) = mutants();
        let (one, other) = (which.get(encoded), other.get(encoded));
        let (at, from) = (at.index(one.len()), from.index(other.len()));
        let piece = &other[from..(from + length).min(other.len())];
        let end = (at + length).min(one.len());
        let overwritten = [&one[..at], piece, &one[end..]].concat();
        let inserted = [&one[..at], piece, &one[at..]].concat();
        let lost = [&one[..at], &one[end..]].concat();
        let mut changed = one.clone();
        changed[at] = byte;
        for bytes in [overwritten, inserted, lost, changed] {
            let _ = verifier.peer_bytes(&bytes);
            let _ = verifier.client_bytes(&bytes);
            require_canonical::<PeerMessage>(&bytes);
        }
    }
}

/// The true messages and a verifier for them, made once.
fn mutants() -> &'static (Verifier<Credulous>, Vec<Vec<u8>>) {
    static MUTANTS: std::sync::OnceLock<(Verifier<Credulous>, Vec<Vec<u8>>)> =
        std::sync::OnceLock::new();
    MUTANTS.get_or_init(|| {
        let samples = Samples::new();
        let peers = samples.peer_messages();
        let clients = samples.client_messages();
        let encoded = peers.iter().map(wire::encode).chain(clients.iter().map(wire::encode));
        (credulous(), encoded.collect())
    })
}

/// No flip of a bit in a signed message is accepted, by the rule for signatures that
/// counts: what is signed is all of it.
#[test]
fn no_bit_of_a_signed_message_is_unsigned() {
    let samples = Samples::new();
    let verifier = &samples.cluster.verifier;
    for message in samples.peer_messages() {
        let is_signed_as_a_whole = match &message {
            PeerMessage::Relay(_)
            | PeerMessage::Recovery(_)
            | PeerMessage::Prepare(_)
            | PeerMessage::Commit(_)
            | PeerMessage::Checkpoint(_)
            | PeerMessage::ViewChange(_)
            | PeerMessage::Stable(_)
            | PeerMessage::Evidence(_) => true,
            // Of these a part is judged elsewhere, or by its digest, or not at all.
            PeerMessage::Propose(..)
            | PeerMessage::NewView(..)
            | PeerMessage::Decided(..)
            | PeerMessage::Status(_)
            | PeerMessage::Fetch(_)
            | PeerMessage::Batch(_)
            | PeerMessage::Part(..)
            | PeerMessage::NoState(_)
            | PeerMessage::StartQuery(_)
            | PeerMessage::StartAnswer(_) => false,
        };
        if !is_signed_as_a_whole {
            continue;
        }
        let bytes = wire::encode(&message);
        let name = samples::name_of_peer(&message);
        for bit in bits(bytes.len()).filter(|bit| *bit >= 32) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(verifier.peer_bytes(&flipped).is_err(), "{name}, bit {bit}");
        }
    }
}

/// The same for receipts, and certificates of them.
#[test]
fn no_bit_of_a_receipt_is_unsigned() {
    let cluster = Cluster::of(4);
    let result = Digest::of(b"done");
    let receipt = wire::encode(&cluster.receipt(3, 9, result));
    let receipted = wire::encode(&cluster.receipted(9, result));
    for bit in bits(receipt.len()) {
        let mut flipped = receipt.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let other = wire::decode(&flipped, wire::MOST_BYTES);
        let taken =
            other.is_ok_and(|other: Signed<Receipt>| cluster.verifier.signed(other).is_ok());
        assert!(!taken, "a receipt, bit {bit}");
    }
    for bit in bits(receipted.len()) {
        let mut flipped = receipted.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let other = wire::decode::<ReceiptCertificate>(&flipped, wire::MOST_BYTES);
        let taken = other.is_ok_and(|other| cluster.verifier.certificate(other).is_ok());
        assert!(!taken, "a certificate of receipts, bit {bit}");
    }
}

/// The same for the two parts of a proposal and a decided entry, and a whole new view.
#[test]
fn no_bit_of_a_proposal_or_decision_makes_another() {
    let samples = Samples::new();
    let verifier = &samples.cluster.verifier;
    for message in samples.peer_messages() {
        let has_body = matches!(
            message,
            PeerMessage::Propose(..) | PeerMessage::Decided(..) | PeerMessage::NewView(..)
        );
        let bytes = wire::encode(&message);
        for bit in bits(bytes.len()).filter(|bit| has_body && *bit >= 32) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let name = samples::name_of_peer(&message);
            assert!(verifier.peer_bytes(&flipped).is_err(), "{name}, bit {bit}");
        }
    }
}

mod bombs {
    //! Lengths that claim more than there is (`D1`). Measured in a process of its own,
    //! so that no other test's memory is counted.

    use super::*;
    use std::process::Command;

    const ALONE: &str = "QUORATE_ALONE";

    /// The most resident and the most address space so far, in bytes.
    fn peaks() -> Option<(u64, u64)> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
        };
        Some((field("VmHWM:")?, field("VmPeak:")?))
    }

    /// Every place at which a length could stand claims what is not there.
    fn throw(message: &[u8], verifier: &Verifier<Credulous>) {
        for at in 0..message.len().saturating_sub(8).min(700) {
            for claim in [1u64 << 20, 1 << 32, 1 << 40, 1 << 62, u64::MAX] {
                let mut bomb = message.to_vec();
                bomb[at..at + 8].copy_from_slice(&claim.to_le_bytes());
                let _ = verifier.peer_bytes(&bomb);
                let _ = verifier.client_bytes(&bomb);
                let _ = wire::decode::<Record>(&bomb, wire::MOST_BYTES);
            }
        }
    }

    /// A message of a megabyte whose lists claim as many elements as bytes follow: the
    /// most that a length can claim unrefused, though each element takes many.
    fn padded(head: &[u8]) -> Vec<u8> {
        let mut bytes = head.to_vec();
        bytes.extend((1u64 << 20).to_le_bytes());
        bytes.resize(bytes.len() + (1 << 20), 0xff);
        bytes
    }

    fn bang() {
        let samples = Samples::new();
        let verifier = credulous();
        let messages: Vec<Vec<u8>> = samples.peer_messages().iter().map(wire::encode).collect();
        let records: Vec<Vec<u8>> = samples.records().iter().map(wire::encode).collect();
        let view_change = wire::encode(&samples.view_change(2));
        let Some((resident, space)) = peaks() else { return };
        for message in messages.iter().chain(&records) {
            throw(message, &verifier);
            for cut in 4..message.len().min(200) {
                let _ = verifier.peer_bytes(&padded(&message[..cut]));
            }
        }
        for cut in 0..view_change.len().min(200) {
            let bomb = padded(&view_change[..cut]);
            let _ = wire::decode::<List<Signed<ViewChange>>>(&bomb, wire::MOST_BYTES);
        }
        let (resident_after, space_after) = peaks().expect("it was there before");
        let (resident, space) = (resident_after - resident, space_after - space);
        assert!(resident < 16 << 20, "{resident} bytes more are resident");
        assert!(space < 32 << 20, "{space} bytes more are reserved");
    }

    /// D1
    #[test]
    fn nested_length_bombs_allocate_little() {
        if std::env::var_os(ALONE).is_some() {
            return bang();
        }
        let own = std::env::current_exe().expect("the path of this test");
        let mut alone = Command::new(own);
        alone.args(["properties::bombs::nested_length_bombs_allocate_little", "--exact"]);
        let output = alone.env(ALONE, "1").output().expect("to run this test again");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "it has another name: {text}");
    }
}

/// More than any message may have is refused unread.
#[test]
fn a_frame_beyond_the_limit_is_malformed() {
    let bytes = vec![0; wire::MOST_BYTES + 1];
    assert_eq!(credulous().peer_bytes(&bytes).expect_err("too large"), Reject::Malformed);
}
