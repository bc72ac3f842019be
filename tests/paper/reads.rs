//! § Reads.

use crate::support::{Behind, Out, Solo, get, put};
use crate::world::parameters;
use quorate::message::{Batch, ClientMessage, Item, PeerMessage, Reject, StartAnswer, ToClient};
use quorate::replica::executor::{Agreed, PROTOCOL};
use quorate::replica::{Settings, Standing};
use quorate::service::KeyRange;
use quorate::service::data::data_key;
use quorate::service::kv::KvOperation;
use quorate::service::state::system_key;
use quorate::types::{ClientId, Digest, Nonce, RequestNumber, Seq, Span, View};
use quorate::wire::{self, Blob, List};

fn read(solo: &mut Solo, operation: &[u8]) -> Out {
    solo.client(0, ClientMessage::Read(RequestNumber(1), Blob::from(operation)))
}

/// The result and the number at which it last changed.
fn answer(solo: &mut Solo, operation: &[u8]) -> (Blob, Seq) {
    let out = read(solo, operation);
    match &out.to_clients()[..] {
        [(ClientId(0), ToClient::ReadAnswer { result, changed, operation: digest, .. })] => {
            assert_eq!(*digest, Digest::of(operation));
            (result.clone(), *changed)
        }
        other => panic!("{other:?}"),
    }
}

fn is_not_ready(solo: &mut Solo) -> bool {
    let out = read(solo, &get("a"));
    out.reject() == Some(Reject::NotReady)
        && out.to_clients() == [(ClientId(0), ToClient::NotReady(RequestNumber(1)))]
}

/// A read that waits for what is under way.
fn waits(solo: &mut Solo) -> bool {
    let out = read(solo, &get("a"));
    out.reject().is_none() && out.to_clients().is_empty()
}

/// How many reads were answered in a step.
fn answered(out: &Out) -> usize {
    let is_answer = |(_, one): &&(ClientId, ToClient)| matches!(one, ToClient::ReadAnswer { .. });
    out.to_clients().iter().filter(is_answer).count()
}

/// How often a client was told in a step which numbers it has used.
fn sessions(out: &Out) -> usize {
    let is_it = |(_, one): &&(ClientId, ToClient)| matches!(one, ToClient::Session { .. });
    out.to_clients().iter().filter(is_it).count()
}

fn write(solo: &mut Solo, seq: u64, operation: &[u8]) {
    let batch = solo.batch_of(&[&solo.request(1, seq, seq - 1, &[operation])]);
    solo.decide(0, seq, &batch);
}

/// Executed on committed state: what is only proposed is not seen.
#[test]
fn a_quorum_read_sees_what_is_committed_and_nothing_else() {
    let mut solo = Solo::new(1);
    let before = answer(&mut solo, &get("k0"));
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    assert_eq!(answer(&mut solo, &get("k0")), before);
    solo.decide(0, 1, &batch);
    assert_ne!(answer(&mut solo, &get("k0")), before);
}

/// K8: what this replica has committed to may have been decided, and told to a client by `W`
/// others that know so. A read waits until it is executed here.
#[test]
fn a_quorum_read_waits_for_what_was_committed_to() {
    let mut solo = Solo::new(1);
    let batches = [solo.batch(1), solo.batch(2)];
    for (seq, batch) in (1..).zip(&batches) {
        solo.propose(0, seq, batch);
        solo.prepare_from(2, 0, seq, batch.digest());
        assert!(waits(&mut solo));
    }
    let ask = ClientMessage::Session(Nonce(3));
    assert_eq!(solo.client(2, ask).bound.len(), 0, "nor is a client told its numbers");
    let told = |out: &Out| (answered(out), sessions(out));
    assert_eq!(told(&solo.decide(0, 1, &batches[0])), (1, 0), "those that came later not yet");
    assert_eq!(told(&solo.decide(0, 2, &batches[1])), (1, 1));
    assert!(!waits(&mut solo));
}

/// K8: it waits for what was committed to when it came. Were it for all that is by now, it would
/// wait for ever where one batch is under way after the other.
#[test]
fn a_read_does_not_wait_for_what_came_later() {
    let mut solo = Solo::new(1);
    let mut last = solo.batch(1);
    solo.propose(0, 1, &last);
    solo.prepare_from(2, 0, 1, last.digest());
    for seq in 2..20 {
        assert!(waits(&mut solo));
        solo.client(2, ClientMessage::Session(Nonce(seq)));
        let next = solo.batch(seq);
        solo.propose(0, seq, &next);
        solo.prepare_from(2, 0, seq, next.digest());
        let out = solo.decide(0, seq - 1, &last);
        assert_eq!((answered(&out), sessions(&out)), (1, 1), "{seq}");
        if (seq - 1).is_multiple_of(8) {
            solo.stabilise(seq - 1);
        }
        last = next;
    }
}

/// A step answers only so much: what else there is to do does not wait for all of it.
#[test]
fn reads_that_waited_are_answered_in_pieces() {
    for (value, most) in [("x", 64), (&*"x".repeat(300_000), 4)] {
        let mut solo = Solo::new(1);
        write(&mut solo, 1, &put("a", value));
        let batch = solo.batch_of(&[&solo.request(1, 2, 1, &[&put("b", "y")])]);
        solo.propose(0, 2, &batch);
        solo.prepare_from(2, 0, 2, batch.digest());
        for client in [0, 2] {
            for number in 0..50 {
                let read = ClientMessage::Read(RequestNumber(number), Blob::from(get("a")));
                assert_eq!(solo.client(client, read).reject(), None);
            }
        }
        let mut told = vec![answered(&solo.decide(0, 2, &batch))];
        while solo.replica().held().questions > 0 {
            let due = solo.replica().next_deadline();
            assert!(due <= solo.now, "there is more to be done at once");
            told.push(answered(&solo.tick()));
        }
        assert_eq!(told.iter().sum::<usize>(), 100);
        assert_eq!(told.iter().max(), Some(&most));
        assert!(solo.replica().next_deadline() > solo.now);
    }
}

/// Who asked long ago has had it ordered since.
#[test]
fn reads_that_have_waited_long_are_not_answered() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    assert!(waits(&mut solo));
    solo.pass(Span::seconds(9));
    assert!(waits(&mut solo));
    solo.pass(Span::seconds(1));
    assert_eq!(answered(&solo.decide(0, 1, &batch)), 1);
    assert_eq!(solo.replica().held().questions, 0);
}

/// K8: what a new view leaves out was never decided, and whoever waited for it is answered.
#[test]
fn what_a_new_view_leaves_out_holds_up_no_read() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    assert!(waits(&mut solo));
    let out = solo.enter(2, vec![]);
    assert_eq!(answered(&out), 1);
}

/// A client has room for so many reads that wait, and for a bundle's bytes of them.
#[test]
fn reads_that_wait_are_bounded_for_each_client() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    let most = usize::try_from(parameters().bundle_bytes).expect("small") / get("a").len();
    let kept = (0..2_000).take_while(|_| waits(&mut solo)).count();
    assert_eq!(kept, most.min(1_024));
    assert!(is_not_ready(&mut solo));
    assert_eq!(solo.replica().held().questions, kept);
    let other = solo.client(1, ClientMessage::Read(RequestNumber(1), Blob::from(get("a"))));
    assert_eq!(other.reject(), None, "another has room of its own");
    let mut told = answered(&solo.decide(0, 1, &batch));
    while solo.replica().held().questions > 0 {
        told += answered(&solo.tick());
    }
    assert_eq!(told, kept + 1);
}

/// Alike includes the number of the last change: x, y, x again is told apart.
#[test]
fn x_then_y_then_x_again_is_told_apart() {
    let mut solo = Solo::new(1);
    let mut numbers = Vec::new();
    for (seq, value) in [(1, "x"), (2, "y"), (3, "x")] {
        write(&mut solo, seq, &put("a", value));
        numbers.push(answer(&mut solo, &get("a")).1);
    }
    assert_eq!(numbers, [Seq(1), Seq(2), Seq(3)]);
}

/// For absence too: what was there and is gone is told from what is gone again.
#[test]
fn absence_carries_the_number_at_which_it_last_changed() {
    let mut solo = Solo::new(1);
    let delete = KvOperation::Delete { key: Blob::from("a") }.to_bytes();
    write(&mut solo, 1, &put("a", "x"));
    write(&mut solo, 2, &delete);
    let gone = answer(&mut solo, &get("a"));
    write(&mut solo, 3, &put("a", "x"));
    write(&mut solo, 4, &delete);
    let again = answer(&mut solo, &get("a"));
    assert_eq!(gone.0, again.0);
    assert!(gone.1 < again.1);
}

/// And for ranges.
#[test]
fn a_range_carries_the_number_at_which_it_last_changed() {
    let mut solo = Solo::new(1);
    let list = KvOperation::list_prefix(b"a", 10).to_bytes();
    write(&mut solo, 1, &put("a1", "x"));
    let one = answer(&mut solo, &list);
    write(&mut solo, 2, &put("a1", "y"));
    let two = answer(&mut solo, &list);
    assert!(one.1 < two.1);
}

/// Two replicas with the same history give the same answer, number included.
#[test]
fn two_replicas_answer_alike() {
    let (mut one, mut other) = (Solo::new(1), Solo::new(2));
    for solo in [&mut one, &mut other] {
        write(solo, 1, &put("a", "x"));
        write(solo, 2, &put("b", "y"));
    }
    for operation in [get("a"), get("b"), get("c"), KvOperation::list_prefix(b"", 9).to_bytes()] {
        assert_eq!(answer(&mut one, &operation), answer(&mut other, &operation));
    }
}

/// One that has just started answers none before `Q` start answers.
#[test]
fn no_read_is_answered_before_the_start_answers() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(3);
    let _ = solo.start(false);
    assert!(is_not_ready(&mut solo));
    solo.answer_start_from(0, Vec::new());
    assert!(is_not_ready(&mut solo));
    solo.answer_start_from(2, Vec::new());
    assert!(!is_not_ready(&mut solo));
}

/// Nor before it has executed through the highest number in its own log.
#[test]
fn no_read_is_answered_before_the_highest_number_in_the_own_log() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    solo.commit_from(2, 0, 1, batch.digest());
    solo.commit_from(3, 0, 1, batch.digest());
    assert_eq!(solo.executed(), 1);
    solo.restart();
    assert_eq!(*solo.standing(), Standing::Voting);
    assert_eq!(solo.executed(), 0, "decisions are not on disk");
    assert!(waits(&mut solo));
    assert_eq!(answered(&solo.decide(0, 1, &batch)), 1);
    assert!(!waits(&mut solo));
}

/// § Clients, K2: nor does it tell a client which numbers it has used. It would name lower
/// ones than before the start, and the client would use again what it believed in.
#[test]
fn no_numbers_are_told_before_the_highest_number_in_the_own_log() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.decide(0, 1, &batch);
    let ask = |solo: &mut Solo| solo.client(2, ClientMessage::Session(Nonce(3)));
    assert_eq!(sessions(&ask(&mut solo)), 1);
    solo.propose(0, 2, &solo.batch(2));
    let second = solo.batch(2);
    solo.prepare_from(2, 0, 2, second.digest());
    solo.restart();
    assert_eq!((solo.executed(), sessions(&ask(&mut solo))), (0, 0));
    assert_eq!(sessions(&solo.decide(0, 1, &batch)), 0);
    assert_eq!(sessions(&ask(&mut solo)), 0);
    assert_eq!(sessions(&solo.decide(0, 2, &second)), 2);
    assert_eq!(sessions(&ask(&mut solo)), 1);
}

/// What a new view left out was never decided, and is not waited for: an idle cluster would
/// never come to it.
#[test]
fn what_an_opening_left_out_is_not_waited_for() {
    let mut solo = Solo::new(1);
    let batch = solo.batch(1);
    solo.propose(0, 1, &batch);
    solo.prepare_from(2, 0, 1, batch.digest());
    solo.restart();
    assert!(waits(&mut solo), "it is prepared here");
    solo.enter(2, vec![]);
    assert!(!waits(&mut solo));
    solo.restart();
    assert_eq!(solo.view(), 2);
    assert!(!waits(&mut solo));
}

/// Nor through the highest that the start answers show.
#[test]
fn no_read_is_answered_before_the_highest_number_in_the_start_answers() {
    let mut solo = Solo::new(1);
    let _ = solo.start(false);
    let batches = [solo.batch(1), solo.batch(2)];
    let highest = solo.prepared(0, 2, batches[1].digest(), &[2, 3]);
    let answer = StartAnswer {
        nonce: solo.nonce(),
        view: View(0),
        highest: Some(highest),
        stable: None,
        held: List(Vec::new()),
    };
    solo.peer(0, PeerMessage::StartAnswer(Box::new(answer)));
    solo.answer_start_from(2, Vec::new());
    assert_eq!(*solo.standing(), Standing::Voting);
    assert!(waits(&mut solo));
    solo.decide(0, 1, &batches[0]);
    assert!(waits(&mut solo));
    assert_eq!(answered(&solo.decide(0, 2, &batches[1])), 2);
    assert!(!waits(&mut solo));
}

/// One that recovers answers none before its checkpoint `a`.
#[test]
fn no_read_is_answered_by_one_that_recovers() {
    let mut solo = Solo::before_start(4, 3, parameters(), Settings::default());
    let _ = solo.start(true);
    assert!(is_not_ready(&mut solo));
    let nonce = solo.nonce().0;
    let recovery = Batch::new(solo.wall(), vec![Item::Recovery(solo.recovery(3, nonce))]);
    solo.decide(0, 1, &recovery);
    solo.advance_to(32);
    solo.decide_up_to(40);
    assert!(is_not_ready(&mut solo), "`a` is executed and not stable");
    solo.stabilise(40);
    assert_eq!(*solo.standing(), Standing::Voting);
    assert!(!is_not_ready(&mut solo));
}

/// One in transfer answers none.
#[test]
fn no_read_is_answered_in_transfer() {
    let mut behind = Behind::new(1);
    assert!(is_not_ready(&mut behind.solo));
    behind.finish();
    assert!(!is_not_ready(&mut behind.solo));
}

/// Nor does one that has diverged.
#[test]
fn no_read_is_answered_by_one_that_has_diverged() {
    let mut solo = Solo::new(1);
    solo.decide_up_to(8);
    let certificate = solo.certified(8, Digest::of(b"another state"));
    solo.peer(2, PeerMessage::Stable(certificate));
    assert!(solo.replica().is_diverged());
    assert!(is_not_ready(&mut solo));
}

/// A write sent as a query is refused and changes nothing.
#[test]
fn a_read_changes_nothing() {
    let mut solo = Solo::new(1);
    let before = solo.replica().state().digest();
    answer(&mut solo, &put("a", "x"));
    assert_eq!(solo.replica().state().digest(), before);
}

/// Proved: value and absence against a state digest that has a certificate, with its
/// age, which the client checks alone.
#[test]
fn a_proved_read_shows_value_absence_and_age_against_a_certificate() {
    let mut solo = Solo::new(1);
    for seq in 1..=8 {
        write(&mut solo, seq, &put("a", &seq.to_string()));
    }
    let prove = |solo: &mut Solo, key: &str| {
        solo.client(0, ClientMessage::Prove(RequestNumber(5), Blob::from(get(key))))
    };
    assert_eq!(prove(&mut solo, "a").reject(), Some(Reject::NotReady), "nothing is stable");
    solo.stabilise(8);
    write(&mut solo, 9, &put("a", "9"));
    for (key, expected) in [("a", vec![(Blob::from("8"), Seq(8))]), ("b", vec![])] {
        let out = prove(&mut solo, key);
        let [(_, ToClient::Proved { certificate, proof, time, number })] = &out.to_clients()[..]
        else {
            panic!("{:?}", out.to_clients())
        };
        assert_eq!(*number, RequestNumber(5));
        assert!(solo.verifier.certificate(certificate.clone()).is_ok());
        let range = KeyRange::single(&data_key(key.as_bytes()));
        let content = proof.verify(certificate.digest(), &range).expect("it proves it");
        let content: Vec<_> =
            content.into_iter().map(|(_, value, changed)| (value, changed)).collect();
        assert_eq!(content, expected);
        let range = KeyRange::single(&system_key(PROTOCOL));
        let shown = time.verify(certificate.digest(), &range).expect("it proves it");
        let agreed: Agreed = wire::decode(&shown[0].1, 1 << 20).expect("the protocol's own");
        assert_eq!(agreed.seq, certificate.seq());
    }
}
