//! Reads with proof, from one replica after another.

use super::*;
use crate::message::{Checkpoint, CheckpointCertificate, Verified, Voter};
use crate::replica::executor::{Agreed, PROTOCOL};
use crate::service::data::data_key;
use crate::service::kv::{Found, KvOperation, KvResult};
use crate::service::state::system_key;
use crate::service::tree::Proof;
use crate::service::{KeyRange, Limits, Moment, RequestRef, State, Tree};
use crate::types::{Committee, Incarnation, Timestamp};
use crate::wire;

const CHECKPOINT: Seq = Seq(128);
const TIME: Timestamp = Timestamp(5_000);

fn put(key: &str, value: &str) -> Blob {
    KvOperation::Put { key: key.into(), value: value.into() }.to_bytes().into()
}

fn get(key: &str) -> Blob {
    KvOperation::Get { key: key.into() }.to_bytes().into()
}

/// The state of an honest replica at the checkpoint, with one key in it.
fn state(value: &str) -> Tree {
    let mut state = State::genesis(Arc::new(KeyValue), Limits::default(), [ME]);
    let request = RequestRef {
        client: ME,
        first: RequestNumber(1),
        acknowledged: RequestNumber(0),
        operations: &[put("key", value)],
    };
    state.execute(&Moment { seq: Seq(100), time: TIME }, request);
    let agreed = Agreed {
        seq: CHECKPOINT,
        time: TIME,
        chain: Digest::default(),
        parameters: genesis(4).parameters,
        lives: wire::decode(&wire::encode(&List::<u8>::default()), 8).expect("no lives"),
    };
    state.set_system(PROTOCOL, wire::encode(&agreed).into(), CHECKPOINT);
    state.tree().clone()
}

fn certificate(digest: Digest, signers: [u16; 3]) -> CheckpointCertificate {
    let cluster = genesis(4).cluster();
    let votes: Vec<_> = (0..3)
        .map(|index| {
            let by = Voter { replica: ReplicaId(index), incarnation: Incarnation::FIRST };
            let body = Checkpoint { seq: CHECKPOINT, digest, by };
            let signer = replica_key(signers[usize::from(index)]);
            Verified::sign(body, &cluster, &signer)
        })
        .collect();
    let committee = Committee::new(4).expect("four will do");
    let certificate = CheckpointCertificate::new(committee, CHECKPOINT, digest, &votes);
    certificate.expect("three are a quorum").into_inner()
}

fn shown(tree: &Tree, key: &str) -> Shown {
    let content = tree.prove(&KeyRange::single(&data_key(key.as_bytes())));
    let protocol = tree.prove(&KeyRange::single(&system_key(PROTOCOL)));
    (certificate(tree.digest(), [0, 1, 2]), content, protocol)
}

fn message((certificate, proof, time): Shown) -> ToClient {
    ToClient::Proved { number: READ, certificate, proof, time }
}

fn prove(story: &mut Story, key: &str, freshness: Freshness) -> Ticket {
    story.session.prove(story.now, get(key), freshness).expect("a get can be proved")
}

/// Whom the session asks now.
fn asked(story: &mut Story) -> Vec<u16> {
    let asked = story.session.take_outgoing().into_iter().map(|one| match one {
        (ToReplica::One(replica), ClientMessage::Prove(READ, _)) => replica.0,
        other => panic!("not a question for a proof: {other:?}"),
    });
    asked.collect()
}

fn got(found: Option<Found>) -> Blob {
    KvResult::Got { found }.to_bytes().into()
}

/// The first that is asked, of four, for the read's number.
const FIRST: u16 = 3;

#[test]
fn a_value_is_proved_by_one_replica_alone() {
    let mut story = Story::new();
    let freshness = Freshness { seq: CHECKPOINT, time: TIME };
    let ticket = prove(&mut story, "key", freshness);
    assert_eq!(asked(&mut story), [FIRST]);
    assert_eq!(story.hear(FIRST, message(shown(&state("value"), "key"))), Ok(()));
    let (told, Outcome::Read(answer)) = story.only_outcome() else { panic!("nothing was read") };
    let found = Found { value: "value".into(), written: Seq(100) };
    assert_eq!((told, answer.result), (ticket, got(Some(found))));
    let HowRead::Proved(proved) = answer.how else { panic!("not by proof") };
    assert_eq!((proved.seq(), proved.time), (CHECKPOINT, TIME));
    assert_eq!(story.session.next_deadline(), None);
}

#[test]
fn absence_is_proved_too() {
    let mut story = Story::new();
    prove(&mut story, "nothing", Freshness::default());
    assert_eq!(story.hear(FIRST, message(shown(&state("value"), "nothing"))), Ok(()));
    let Outcome::Read(answer) = story.only_outcome().1 else { panic!("nothing was read") };
    assert_eq!(answer.result, got(None));
}

/// K1
#[test]
fn what_is_forged_is_refused_and_the_next_replica_asked() {
    let honest = || shown(&state("value"), "key");
    let other = || shown(&state("a lie"), "key");
    let forgeries: [(&str, Shown, Reject); 6] = [
        ("a value", (honest().0, other().1, honest().2), Reject::WrongPart),
        (
            "absence",
            (honest().0, shown(&state("value"), "nothing").1, honest().2),
            Reject::WrongPart,
        ),
        ("a time", (honest().0, honest().1, other().2), Reject::WrongPart),
        ("no time", (honest().0, honest().1, honest().1), Reject::WrongPart),
        (
            "signatures",
            (certificate(state("a lie").digest(), [0, 1, 1]), other().1, other().2),
            Reject::BadSignature,
        ),
        ("another state's certificate", (other().0, honest().1, honest().2), Reject::WrongPart),
    ];
    for (what, forged, reject) in forgeries {
        let mut story = Story::new();
        prove(&mut story, "key", Freshness::default());
        assert_eq!(asked(&mut story), [FIRST]);
        assert_eq!(story.hear(FIRST, message(forged)), Err(reject), "{what}");
        assert_eq!(story.outcomes(), [], "{what}");
        assert_eq!(asked(&mut story), [0], "{what}");
        assert_eq!(story.hear(0, message(honest())), Ok(()), "{what}");
        assert!(matches!(story.only_outcome().1, Outcome::Read(_)), "{what}");
    }
}

/// A tree that is no replica's state, under a true certificate, would need a quorum of
/// liars; that its record can't be read is another version's doing.
#[test]
fn a_state_without_a_readable_record_proves_no_time() {
    let mut tree = state("value");
    tree.put(&system_key(PROTOCOL), Blob::from("unreadable"), CHECKPOINT);
    let mut story = Story::new();
    prove(&mut story, "key", Freshness::default());
    assert_eq!(story.hear(FIRST, message(shown(&tree, "key"))), Err(Reject::WrongPart));
}

#[test]
fn what_is_too_old_is_refused_and_told_when_nobody_has_better() {
    let later = Timestamp(TIME.0 + 1);
    for freshness in [
        Freshness { seq: CHECKPOINT.next(), time: TIME },
        Freshness { seq: CHECKPOINT, time: later },
    ] {
        let mut story = Story::new();
        let ticket = prove(&mut story, "key", freshness);
        for replica in [3, 0, 1, 2] {
            assert_eq!(asked(&mut story), [replica]);
            let answer = message(shown(&state("value"), "key"));
            assert_eq!(story.hear(replica, answer), Err(Reject::OldCertificate));
        }
        let why = Unread::TooOld { seq: CHECKPOINT, time: TIME };
        assert_eq!(story.only_outcome(), (ticket, Outcome::Unread(why)));
    }
}

#[test]
fn silent_and_unready_replicas_are_passed_over_one_after_the_other() {
    let mut story = Story::new();
    let ticket = prove(&mut story, "key", Freshness::default());
    assert_eq!(asked(&mut story), [3]);
    assert_eq!(story.wait_for_deadline(), SETTINGS.proof_patience);
    assert_eq!(asked(&mut story), [0]);
    assert_eq!(story.hear(0, ToClient::NotReady(READ)), Ok(()));
    assert_eq!(story.hear(0, ToClient::NotReady(READ)), Err(Reject::Duplicate));
    assert_eq!(asked(&mut story), [1]);
    assert_eq!(story.hear(1, ToClient::NotReady(READ)), Ok(()));
    assert_eq!(asked(&mut story), [2]);
    story.wait(SETTINGS.proof_patience);
    assert_eq!(story.only_outcome(), (ticket, Outcome::Unread(Unread::NoProof)));
}

#[test]
fn an_answer_that_comes_late_is_as_good_and_moves_nothing_on() {
    let mut story = Story::new();
    prove(&mut story, "key", Freshness::default());
    story.wait(SETTINGS.proof_patience);
    assert_eq!(asked(&mut story), [3, 0]);
    assert_eq!(story.hear(1, ToClient::NotReady(READ)), Err(Reject::Unrequested));
    assert_eq!(story.hear(3, ToClient::NotReady(READ)), Ok(()));
    assert_eq!(asked(&mut story), [0; 0], "the one that was asked last has time still");
    assert_eq!(story.hear(0, message(shown(&state("value"), "key"))), Ok(()));
    assert!(matches!(story.only_outcome().1, Outcome::Read(_)));
}

#[test]
fn what_can_not_be_proved_is_not_asked_for() {
    let mut story = Story::new();
    let refused = story.session.prove(story.now, put("key", "value"), Freshness::default());
    assert_eq!(refused, Err(SubmitError::NoSuchProof));
}

/// A proof is checked by whoever holds the genesis, without a session.
#[test]
fn a_proof_can_be_shown_to_others() {
    let verifier =
        crate::message::Verifier::new(genesis(4).checked().expect("a good genesis"), Ed25519);
    let check = |shown: Shown, operation: &Blob| {
        super::super::prove(&verifier, &KeyValue, ME, operation, shown).map(|proved| proved.result)
    };
    let tree = state("value");
    assert!(check(shown(&tree, "key"), &get("key")).is_ok());
    assert_eq!(check(shown(&tree, "key"), &put("key", "")), Err(NotProved::NoSuchProof));
    let (certificate, _, protocol) = shown(&tree, "key");
    let nothing = wire::decode::<Proof>(&[0; 8], 8).expect("a proof of nothing");
    let checked = check((certificate, nothing, protocol), &get("key"));
    assert!(matches!(checked, Err(NotProved::Content(_))), "{checked:?}");
}
