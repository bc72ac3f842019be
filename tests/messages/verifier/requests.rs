//! Requests and batches: limits, numbers, and one bad apple (`P4`, `P5`, `P14`, `K4`).

use super::refused;
use crate::support::{Cluster, parameters, request_body};
use quorate::message::Proposed;
use quorate::message::{
    Author, Batch, CheckedPeer, ClientMessage, Item, Parameters, PeerMessage, RecoveryRequest,
    Reject, Signed,
};
use quorate::types::{ClientId, Nonce, ReplicaId, RequestNumber, Timestamp};
use quorate::wire::Blob;

fn judge(
    cluster: &Cluster,
    first: u64,
    acknowledged: u64,
    operations: &[&str],
) -> Result<(), Reject> {
    let request = cluster.sign(request_body(0, first, acknowledged, operations));
    let alone = cluster.verifier.request(request.clone()).map(drop);
    let relayed = cluster.verifier.peer(PeerMessage::Relay(request.clone())).map(drop);
    let sent = cluster.verifier.client(ClientMessage::Request(request.clone())).map(drop);
    let batched = verdict_on(cluster, Batch::new(Timestamp(1), vec![Item::Request(request)]));
    assert_eq!([&relayed, &sent, &batched], [&alone; 3], "whichever way it comes");
    alone
}

#[test]
fn a_bundle_keeps_within_its_limits_in_count_and_bytes() {
    let cluster = Cluster::of(4);
    assert_eq!(judge(&cluster, 1, 0, &["a"; 4]), Ok(()));
    assert_eq!(judge(&cluster, 1, 0, &["a"; 5]), Err(Reject::TooLarge));
    let (most, half) = ("x".repeat(256), "x".repeat(128));
    assert_eq!(judge(&cluster, 1, 0, &[&most]), Ok(()));
    assert_eq!(judge(&cluster, 1, 0, &[&half, &half]), Ok(()));
    assert_eq!(judge(&cluster, 1, 0, &[&most, ""]), Ok(()), "an empty operation is one, too");
    assert_eq!(judge(&cluster, 1, 0, &[&most, "x"]), Err(Reject::TooLarge));
    assert_eq!(judge(&cluster, 1, 0, &[&half, &half, "x"]), Err(Reject::TooLarge));
}

/// K4
#[test]
fn request_numbers_neither_end_nor_acknowledge_themselves() {
    let cluster = Cluster::of(4);
    let end = u64::MAX;
    assert_eq!(judge(&cluster, 1, 0, &[]), Err(Reject::OutOfRange), "nothing to do");
    assert_eq!(judge(&cluster, 0, 0, &["a"]), Err(Reject::OutOfRange), "the first is 1");
    assert_eq!(judge(&cluster, 7, 6, &["a"]), Ok(()));
    assert_eq!(judge(&cluster, 7, 7, &["a"]), Err(Reject::OutOfRange));
    assert_eq!(judge(&cluster, 7, end, &["a"]), Err(Reject::OutOfRange));
    assert_eq!(judge(&cluster, end, end - 1, &["a"]), Ok(()));
    assert_eq!(judge(&cluster, end, 0, &["a", "b"]), Err(Reject::OutOfRange));
    assert_eq!(judge(&cluster, end - 1, 0, &["a", "b"]), Ok(()));
    assert_eq!(judge(&cluster, end - 2, 0, &["a"; 4]), Err(Reject::OutOfRange));
}

/// K7
#[test]
fn an_unknown_client_and_a_wrong_signer_are_told_apart() {
    let cluster = Cluster::of(4);
    let unknown = cluster.request(crate::support::CLIENTS, 1, &["a"]);
    assert_eq!(refused(cluster.verifier.request(unknown)), Reject::UnknownAuthor);
    let body = request_body(0, 1, 0, &["a"]);
    let forged = cluster.sign_as(Author::Client(ClientId(1)), body.clone());
    assert_eq!(refused(cluster.verifier.request(forged)), Reject::BadSignature);
    let mut changed = cluster.sign(body);
    changed.body.operations.0[0] = Blob::from("b");
    assert_eq!(refused(cluster.verifier.request(changed)), Reject::BadSignature);
}

#[test]
fn a_read_keeps_within_the_limit_of_a_bundle() {
    let cluster = Cluster::of(4);
    for (bytes, expected) in [(256, Ok(())), (257, Err(Reject::TooLarge))] {
        let operation = Blob::from(vec![0; bytes]);
        let client = |message| cluster.verifier.client(message).map(drop);
        assert_eq!(client(ClientMessage::Read(RequestNumber(1), operation.clone())), expected);
        assert_eq!(client(ClientMessage::Prove(RequestNumber(1), operation)), expected);
    }
}

fn item(cluster: &Cluster, client: u32, first: u64, operations: &[&str]) -> Item {
    Item::Request(cluster.request(client, first, operations))
}

fn judge_batch(cluster: &Cluster, items: Vec<Item>) -> Result<(), Reject> {
    let batch = Batch::new(Timestamp(1), items);
    // The batch goes with the proposal: an entry that a new view chose is taken whatever is
    // in it, and so the proposal itself is not refused.
    let proposal = cluster.pre_prepare(0, 1, batch.digest());
    let Ok(CheckedPeer::Propose(_, proposed)) =
        cluster.verifier.peer(PeerMessage::Propose(proposal, Some(batch.clone())))
    else {
        panic!("a proposal is taken, and its batch judged beside it")
    };
    assert_eq!(cluster.verifier.proposed(batch.clone()), proposed);
    match proposed {
        Proposed::Null => panic!("there is a batch"),
        Proposed::Unfit(_, reject) => Err(reject),
        Proposed::Unchecked(unchecked) => {
            let checked = cluster.verifier.check(unchecked.clone());
            let together = cluster.verifier.check_all(vec![unchecked.clone(), unchecked]);
            assert_eq!(together, [checked.clone(), checked.clone()]);
            assert_eq!(checked.digest, batch.digest());
            checked.verdict.map(drop)
        }
    }
}

/// What comes of a batch, proposed or not.
fn verdict_on(cluster: &Cluster, batch: Batch) -> Result<(), Reject> {
    match cluster.verifier.proposed(batch) {
        Proposed::Null => panic!("there is a batch"),
        Proposed::Unfit(_, reject) => Err(reject),
        Proposed::Unchecked(batch) => cluster.verifier.check(batch).verdict.map(drop),
    }
}

/// P14
#[test]
fn a_batch_keeps_within_its_limits_in_count_and_bytes() {
    let cluster = Cluster::of(4);
    assert_eq!(judge_batch(&cluster, vec![]), Ok(()), "a fill-up");
    let items: Vec<Item> = (1..=4).map(|first| item(&cluster, 0, first, &["a"])).collect();
    assert_eq!(judge_batch(&cluster, items[..3].to_vec()), Ok(()));
    assert_eq!(judge_batch(&cluster, items), Err(Reject::TooLarge));

    let largest = "x".repeat(256);
    let bytes = |cluster: &Cluster| {
        let items = (0..2).map(|client| item(cluster, client, 1, &[&largest])).collect();
        Batch::new(Timestamp(1), items)
    };
    let size = bytes(&cluster).size() as u64;
    for (limit, expected) in [(size, Ok(())), (size - 1, Err(Reject::TooLarge))] {
        let cluster = Cluster::with(4, Parameters { batch_bytes: limit, ..parameters() });
        assert_eq!(verdict_on(&cluster, bytes(&cluster)), expected);
    }
}

/// The largest legal bundle fits in a batch under any parameters that are accepted.
#[test]
fn the_largest_bundle_fits_in_the_smallest_batch() {
    let tight = Parameters { batch_items: 1, batch_bytes: 256 + 16 * 4 + 256, ..parameters() };
    let cluster = Cluster::with(4, tight);
    let quarter = "x".repeat(64);
    assert_eq!(judge_batch(&cluster, vec![item(&cluster, 0, 1, &[quarter.as_str(); 4])]), Ok(()));
}

/// P12
#[test]
fn a_batch_that_holds_an_item_twice_is_refused() {
    let cluster = Cluster::of(4);
    let one = item(&cluster, 0, 1, &["a"]);
    let verdict = judge_batch(&cluster, vec![one.clone(), one.clone()]);
    assert_eq!(verdict, Err(Reject::RepeatedItem));
    // One number is one item, whatever it says (`K3`).
    let other = item(&cluster, 0, 1, &["b"]);
    let verdict = judge_batch(&cluster, vec![one.clone(), other]);
    assert_eq!(verdict, Err(Reject::RepeatedItem));
    let others = vec![one, item(&cluster, 1, 1, &["a"]), item(&cluster, 0, 2, &["a"])];
    assert_eq!(judge_batch(&cluster, others), Ok(()));
    let recovery = |nonce| Item::Recovery(cluster.recovery(2, nonce));
    assert_eq!(judge_batch(&cluster, vec![recovery(1), recovery(2)]), Ok(()));
    assert_eq!(judge_batch(&cluster, vec![recovery(1), recovery(1)]), Err(Reject::RepeatedItem));
}

/// P5
#[test]
fn one_bad_request_spoils_the_batch_wherever_it_stands() {
    let cluster = Cluster::of(4);
    let good: Vec<Item> = (1..=3).map(|first| item(&cluster, 0, first, &["a"])).collect();
    let spoilers: [(Reject, Item); 5] = [
        (Reject::ForgedRequest, {
            let body = request_body(1, 1, 0, &["a"]);
            Item::Request(cluster.sign_as(Author::Client(ClientId(2)), body))
        }),
        (Reject::UnknownAuthor, item(&cluster, crate::support::CLIENTS, 1, &["a"])),
        (Reject::OutOfRange, item(&cluster, 1, 1, &[])),
        (Reject::TooLarge, item(&cluster, 1, 1, &["a"; 5])),
        (Reject::BadSignature, {
            let body = RecoveryRequest { replica: ReplicaId(1), nonce: Nonce(1) };
            let Signed { body, mut signature } = cluster.sign(body);
            signature.0[0] ^= 1;
            Item::Recovery(Signed { body, signature })
        }),
    ];
    for (cause, spoiler) in spoilers {
        for place in 0..3 {
            let mut items = good.clone();
            items[place] = spoiler.clone();
            assert_eq!(judge_batch(&cluster, items), Err(cause), "at {place}");
        }
    }
}

/// D2: a batch is the bytes that came, and there is one way to write it.
#[test]
fn a_batch_is_known_by_the_bytes_that_came() {
    let cluster = Cluster::of(4);
    let batch = cluster.batch(1);
    let bytes = quorate::wire::encode(&batch);
    let again: Batch = quorate::wire::decode(&bytes, 1 << 20).expect("it was encoded");
    assert_eq!(again.digest(), batch.digest());
    assert_eq!(again.items(), batch.items());
    let mut longer = batch_content(&bytes).to_vec();
    longer.push(0);
    let longer = quorate::wire::encode(&Blob::from(longer));
    assert!(quorate::wire::decode::<Batch>(&longer, 1 << 20).is_err(), "a byte too many within");
    assert_eq!(batch.digest(), quorate::types::Digest::of(batch_content(&bytes)));
}

fn batch_content(encoded: &[u8]) -> &[u8] {
    &encoded[8..]
}
