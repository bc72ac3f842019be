//! A check that cannot fail is worse than none: each invariant is broken by hand here,
//! and must be seen.

use super::ledger::{Claim, digest_of};
use super::*;
use crate::client::{Done, Outcome};
use crate::crypto::SecretKey;
use crate::message::{
    CheckedClient, Checkpoint, CheckpointCertificate, Commit, Genesis, NewView, Parameters,
    PrePrepare, Prepare, PreparedCertificate, RecoveryRequest, Reply, ReplyOutcome, ToClient,
    Verifier, ViewChange,
};
use crate::replica::To;
use crate::replica::effects::Record;
use crate::service::Tree;
use crate::service::kv::{KvOperation, KvResult};
use crate::sim::history::Action;
use crate::sim::model::{Model, ModelSigner};
use crate::types::{Incarnation, Instant, Nonce, RequestNumber, View};
use crate::wire::List;

const A: Digest = Digest([1; 32]);
const B: Digest = Digest([2; 32]);

fn genesis() -> Genesis {
    let key = |seed: u8| SecretKey::from_seed(&[seed; 32]).public();
    Genesis {
        name: b"checked".to_vec().into(),
        replicas: (1..5).map(key).collect(),
        clients: (5..7).map(key).collect(),
        parameters: Parameters {
            checkpoint_interval: 4,
            window: 8,
            batch_items: 2,
            client_window: 64,
            bundle_operations: 8,
            ..Parameters::default()
        },
    }
}

/// Four replicas, of which the last lies.
fn checker() -> Checker {
    let honest = (0..3).map(ReplicaId).collect();
    Checker::new(&genesis(), honest, Box::new(Model))
}

fn r(id: u16) -> ReplicaId {
    ReplicaId(id)
}

fn voter(id: u16) -> Voter {
    Voter { replica: r(id), incarnation: Incarnation(0) }
}

fn sign<T: Body>(body: T) -> Signed<T> {
    let genesis = genesis();
    let key = match body.author() {
        crate::message::Author::Replica(id) => genesis.replicas[usize::from(id.0)],
        crate::message::Author::Client(id) => genesis.clients[id.0 as usize],
    };
    Signed::sign(body, &genesis.cluster(), &ModelSigner(key))
}

fn prepare(by: u16, view: u64, seq: u64, digest: Digest) -> PeerMessage {
    let by = voter(by);
    PeerMessage::Prepare(sign(Prepare { view: View(view), seq: Seq(seq), digest, by }))
}

fn commit(by: u16, view: u64, seq: u64, digest: Digest) -> PeerMessage {
    let by = voter(by);
    PeerMessage::Commit(sign(Commit { view: View(view), seq: Seq(seq), digest, by }))
}

fn wish(by: u16, view: u64) -> Signed<ViewChange> {
    let (view, by) = (View(view), voter(by));
    sign(ViewChange { view, by, stable: None, prepared: List::default() })
}

fn put(first: u64) -> Signed<Request> {
    let operation = KvOperation::Put { key: Blob::from("key"), value: Blob::from("value") };
    let operations: List<Blob> = vec![Blob::from(operation.to_bytes())].into();
    let (client, first) = (ClientId(0), RequestNumber(first));
    sign(Request { client, first, acknowledged: RequestNumber(0), operations })
}

fn batch(items: Vec<Item>) -> Batch {
    Batch::new(Timestamp(1_000), items)
}

fn propose(batch: &Batch) -> PeerMessage {
    let body = PrePrepare { view: View(0), seq: Seq(1), digest: batch.digest(), by: voter(0) };
    PeerMessage::Propose(sign(body), Some(batch.clone()))
}

/// Has a batch executed that holds a put of client 0's.
fn execute_a_put(checker: &mut Checker) -> Batch {
    let request = put(1);
    checker.client_asks(&request.body);
    let batch = batch(vec![Item::Request(request)]);
    checker.learn(&propose(&batch));
    checker.decides(r(0), Seq(1), batch.digest());
    checker.executes(r(0), Seq(1), batch.digest());
    batch
}

fn speak(checker: &mut Checker, message: &PeerMessage) {
    words_of(message).iter().for_each(|word| checker.ledger.spoken(word));
}

/// It is signed, and leaves.
fn leave(checker: &mut Checker, message: &PeerMessage) {
    speak(checker, message);
    for word in words_of(message) {
        checker.ledger.leaves(&word).expect("nothing else was said");
    }
}

fn send(checker: &mut Checker, from: u16, message: &PeerMessage, records: &[Record]) {
    let states = BTreeMap::new();
    let records = records.iter().collect();
    checker.sends(r(from), message, || OnDisk { records, states: &states, lost_state: false });
}

fn prepare_record(message: &PeerMessage) -> Record {
    match message {
        PeerMessage::Prepare(vote) => Record::Prepare(vote.clone()),
        other => panic!("{other:?} is no prepare"),
    }
}

fn opening(wishes: Vec<Signed<ViewChange>>, proposed: Vec<Digest>) -> NewView {
    let (view, by) = (View(1), voter(1));
    let proposals = (1..).map(Seq).zip(proposed);
    let pre_prepares =
        proposals.map(|(seq, digest)| sign(PrePrepare { view, seq, digest, by })).collect();
    NewView { view, by, view_changes: wishes.into(), pre_prepares }
}

fn wishes_of(checker: &mut Checker, who: &[u16]) -> Vec<Signed<ViewChange>> {
    let wishes: Vec<_> = who.iter().map(|id| wish(*id, 1)).collect();
    for one in &wishes {
        speak(checker, &PeerMessage::ViewChange(one.clone()));
    }
    wishes
}

fn claim(members: &[u16]) -> Claim {
    let members = members.iter().map(|id| voter(*id)).collect();
    Claim { saying: (Kind::Commit, 0, 1, A), members }
}

fn reply(result: &str) -> ToClient {
    ToClient::Reply(Reply {
        client: ClientId(0),
        number: RequestNumber(1),
        view: View(0),
        seq: Seq(1),
        operation: Digest::of(&put(1).body.operations[0]),
        outcome: ReplyOutcome::Executed(Blob::from(result)),
    })
}

fn evidence(by: u16, other: Digest) -> Evidence {
    let vote = |digest| sign(Prepare { view: View(0), seq: Seq(1), digest, by: voter(by) });
    Evidence::Prepare(vote(A), vote(other))
}

/// What a log says of a stable checkpoint.
fn stable_at(seq: u64) -> Record {
    let genesis = genesis().checked().expect("a good genesis");
    let committee = genesis.committee();
    let verifier = Verifier::new(genesis, Model);
    let votes = [0, 1, 2].map(|id| {
        let vote = Checkpoint { seq: Seq(seq), digest: A, by: voter(id) };
        verifier.signed(sign(vote)).expect("well signed")
    });
    let certificate = CheckpointCertificate::new(committee, Seq(seq), A, &votes);
    Record::Stable(certificate.expect("enough").into_inner())
}

/// A certificate that replica 1, in this life, helped to make.
fn prepared_by(incarnation: u64) -> PreparedCertificate {
    let genesis = genesis().checked().expect("a good genesis");
    let committee = genesis.committee();
    let verifier = Verifier::new(genesis, Model);
    let place = PrePrepare { view: View(0), seq: Seq(9), digest: A, by: voter(0) };
    let proposal = verifier.signed(sign(place)).expect("well signed");
    let votes = [(1, incarnation), (2, 0)].map(|(id, life)| {
        let by = Voter { replica: r(id), incarnation: Incarnation(life) };
        let vote = Prepare { view: View(0), seq: Seq(9), digest: A, by };
        verifier.signed(sign(vote)).expect("well signed")
    });
    PreparedCertificate::new(committee, &proposal, &votes).expect("enough").into_inner()
}

/// Somebody who takes part in view 0, holds a request, and looks at its clock.
fn waiting(seconds: u64) -> Glimpse {
    let instant = Instant(0).plus(Span::seconds(seconds));
    Glimpse { instant, waits: true, patience: Span::seconds(1), ..Glimpse::default() }
}

type Break = fn(&mut Checker);

/// Everything that must be seen, and as what.
const BREAKS: &[(&str, Invariant, Break)] = &[
    ("two decisions for one number", Invariant::Agreement, |checker| {
        checker.decides(r(0), Seq(1), A);
        checker.decides(r(1), Seq(1), B);
    }),
    ("two states at one number", Invariant::Agreement, |checker| {
        checker.has_state(r(0), Seq(4), A);
        checker.has_state(r(1), Seq(4), B);
    }),
    ("a replica that finds itself diverged", Invariant::Agreement, |checker| {
        checker.notice(r(0), &Notice::Diverged { seq: Seq(4), certified: A, own: B });
    }),
    ("a request that no client signed", Invariant::Validity, |checker| {
        let batch = batch(vec![Item::Request(put(1))]);
        checker.learn(&propose(&batch));
        checker.is_valid(r(0), batch.digest());
    }),
    ("a request under another's signature", Invariant::Validity, |checker| {
        let mut request = put(1);
        checker.client_asks(&request.body);
        request.signature.0[0] ^= 1;
        let batch = batch(vec![Item::Request(request)]);
        checker.learn(&propose(&batch));
        checker.is_valid(r(0), batch.digest());
    }),
    ("a batch whose body nobody sent", Invariant::Validity, |checker| {
        checker.is_valid(r(0), A);
    }),
    ("a batch that holds a request twice", Invariant::Validity, |checker| {
        let request = put(1);
        checker.client_asks(&request.body);
        let batch = batch(vec![Item::Request(request.clone()), Item::Request(request)]);
        checker.learn(&propose(&batch));
        checker.is_valid(r(0), batch.digest());
    }),
    ("a batch of more items than may be", Invariant::Validity, |checker| {
        let requests: Vec<_> = (1..4).map(put).collect();
        requests.iter().for_each(|request| checker.client_asks(&request.body));
        let batch = batch(requests.into_iter().map(Item::Request).collect());
        checker.learn(&propose(&batch));
        checker.is_valid(r(0), batch.digest());
    }),
    ("a recovery that nobody asked for", Invariant::Validity, |checker| {
        let body = RecoveryRequest { replica: r(0), nonce: Nonce(7) };
        let batch = batch(vec![Item::Recovery(sign(body))]);
        checker.learn(&propose(&batch));
        checker.is_valid(r(1), batch.digest());
    }),
    ("a request executed twice", Invariant::Validity, |checker| {
        execute_a_put(checker);
        let mut account = checker.replay.account(1).cloned().expect("executed");
        account.sessions[0].1 += 1;
        checker.latest_clock = Timestamp(1_000);
        checker.compare(r(0), 1, &account);
    }),
    ("another content than was written", Invariant::Validity, |checker| {
        execute_a_put(checker);
        let nothing = KvResult::Listed { items: List::default(), next: None };
        checker.has_content(r(0), 1, &nothing.to_bytes());
    }),
    ("two votes for one place", Invariant::Honesty, |checker| {
        checker.judged.extend([A, B]);
        let (one, other) = (prepare(1, 0, 1, A), prepare(1, 0, 1, B));
        let records = [prepare_record(&one), prepare_record(&other)];
        send(checker, 1, &one, &records);
        send(checker, 1, &other, &records);
    }),
    ("a new vote in a view that was left", Invariant::Honesty, |checker| {
        checker.judged.insert(A);
        let (left, vote) = (wish(1, 1), prepare(1, 0, 1, A));
        let records = [Record::ViewChange(left.clone()), prepare_record(&vote)];
        send(checker, 1, &PeerMessage::ViewChange(left), &records);
        send(checker, 1, &vote, &records);
    }),
    ("a wish that hides what was committed", Invariant::Honesty, |checker| {
        words_of(&commit(1, 0, 1, A)).iter().for_each(|word| {
            checker.ledger.leaves(word).expect("the first word");
        });
        let left = wish(1, 1);
        let records = [Record::ViewChange(left.clone())];
        send(checker, 1, &PeerMessage::ViewChange(left), &records);
    }),
    ("an honest disk that went back", Invariant::Honesty, |checker| {
        checker.notice(r(0), &Notice::RolledBack);
    }),
    ("an entry that too few committed to", Invariant::Certificates, |checker| {
        speak(checker, &commit(0, 0, 1, A));
        checker.is_decided_by_enough(r(0), 0, 1, A);
    }),
    ("a stable state that nobody signed", Invariant::Certificates, |checker| {
        checker.is_stable_by_enough(r(0), 4, A);
    }),
    ("a view that too few asked for", Invariant::Certificates, |checker| {
        wishes_of(checker, &[0]);
        checker.is_wanted_by_enough(r(0), 1);
    }),
    ("a certificate with a member too few", Invariant::Certificates, |checker| {
        (0..3).for_each(|id| speak(checker, &commit(id, 0, 1, A)));
        checker.stands(r(0), &claim(&[0, 1]), 3);
    }),
    ("a certificate with a member twice", Invariant::Certificates, |checker| {
        (0..3).for_each(|id| speak(checker, &commit(id, 0, 1, A)));
        checker.stands(r(0), &claim(&[0, 1, 1]), 3);
    }),
    ("a certificate with a member that never signed", Invariant::Certificates, |checker| {
        (0..2).for_each(|id| speak(checker, &commit(id, 0, 1, A)));
        checker.stands(r(0), &claim(&[0, 1, 2]), 3);
    }),
    ("a certificate with a member that is nobody", Invariant::Certificates, |checker| {
        (0..2).for_each(|id| speak(checker, &commit(id, 0, 1, A)));
        checker.stands(r(0), &claim(&[0, 1, 9]), 3);
    }),
    ("an opening by too few wishes", Invariant::Certificates, |checker| {
        let wishes = wishes_of(checker, &[0, 1]);
        checker.is_opened(r(0), &opening(wishes, vec![]));
    }),
    ("an opening by a wish that was never made", Invariant::Certificates, |checker| {
        let mut wishes = wishes_of(checker, &[0, 1]);
        wishes.push(wish(2, 1));
        checker.is_opened(r(0), &opening(wishes, vec![]));
    }),
    ("an opening with what does not follow", Invariant::Certificates, |checker| {
        let wishes = wishes_of(checker, &[0, 1, 2]);
        checker.is_opened(r(0), &opening(wishes, vec![A]));
    }),
    ("a life that begins between checkpoints", Invariant::Certificates, |checker| {
        let (who, first) = (r(3), Incarnation(1));
        checker.has_reborn(r(0), 3, &[Notice::Executed(Seq(3), A), Notice::Reborn(who, first)]);
    }),
    ("a life that no command began", Invariant::Certificates, |checker| {
        for seq in (1..5).map(Seq) {
            checker.decides(r(0), seq, NULL);
            checker.executes(r(0), seq, NULL);
        }
        let (who, first) = (r(3), Incarnation(1));
        checker.has_reborn(r(0), 4, &[Notice::Executed(Seq(4), NULL), Notice::Reborn(who, first)]);
    }),
    ("a life that began elsewhere for others", Invariant::Certificates, |checker| {
        let outcome = checker.begins(r(3), Incarnation(1), 8);
        assert_eq!(outcome, Ok(()));
        let outcome = checker.begins(r(3), Incarnation(1), 12);
        checker.require(Invariant::Certificates, outcome);
    }),
    ("a recovery that ends though nothing of it is ordered", Invariant::Certificates, |checker| {
        checker.recovers(r(1), Nonce(7));
        checker.recovered(r(1), 8);
    }),
    ("a start that votes when one other told", Invariant::Certificates, |checker| {
        checker.is_answered(r(1), r(0));
        checker.votes_after_enough_answers(r(1));
    }),
    ("a vote that is written nowhere", Invariant::Durability, |checker| {
        let said = Outgoing::Peer(To::Everyone, Box::new(prepare(1, 0, 1, A)));
        checker.writes_its_votes(r(1), [&said].into_iter(), &[]);
    }),
    ("a reservation beyond the window", Invariant::Bounds, |checker| {
        checker.may_reserve(r(1), 0, 8, (0, 9));
    }),
    ("a reservation in another view", Invariant::Bounds, |checker| {
        checker.may_reserve(r(1), 0, 8, (1, 8));
    }),
    ("a primary that gives up what it never reserved", Invariant::Progress, |checker| {
        checker.may_reserve(r(0), 0, 8, (0, 4));
        checker.glimpse(r(0), Glimpse { executed: 4, ..Glimpse::default() });
        checker.may_abdicate(r(0), 0);
    }),
    ("who is not the primary and gives up its view", Invariant::Progress, |checker| {
        checker.may_reserve(r(1), 0, 8, (0, 4));
        checker.may_abdicate(r(1), 0);
    }),
    ("who follows a primary that stays", Invariant::Certificates, |checker| {
        checker.follows_its_primary(r(1), 0, 1);
    }),
    ("a certificate that counts a life that is over", Invariant::Certificates, |checker| {
        checker.glimpse(r(0), Glimpse { executed: 8, ..Glimpse::default() });
        checker.is_reborn(r(1), Incarnation(1), 8);
        checker.counts_the_living(r(0), &prepared_by(0));
    }),
    ("a word of a life that is over, still counted", Invariant::Certificates, |checker| {
        checker.is_reborn(r(1), Incarnation(1), 8);
        checker.hears_the_living(r(0), 8, [(voter(1), Some(Seq(9)))].into_iter());
    }),
    ("an opening of one's own by a life that is over", Invariant::Certificates, |checker| {
        checker.glimpse(r(1), Glimpse { executed: 8, ..Glimpse::default() });
        checker.is_reborn(r(2), Incarnation(1), 8);
        let wishes = wishes_of(checker, &[0, 1, 2]);
        checker.is_wanted_by_the_living(r(1), &opening(wishes, vec![]));
    }),
    ("a replica that goes on with a disk that went back", Invariant::Honesty, |checker| {
        let words = words_of(&prepare(1, 0, 1, A));
        checker.goes_on(r(1), &words[0]);
    }),
    ("evidence that was shown, and is gone at a start", Invariant::Durability, |checker| {
        send(checker, 1, &PeerMessage::Evidence(evidence(3, B)), &[]);
        checker.remembers_evidence(r(1), &[]);
    }),
    ("a vote that is not on the disk", Invariant::Durability, |checker| {
        checker.judged.insert(A);
        send(checker, 1, &prepare(1, 0, 1, A), &[]);
    }),
    ("a commit without its certificate on the disk", Invariant::Durability, |checker| {
        send(checker, 1, &commit(1, 0, 1, A), &[prepare_record(&prepare(1, 0, 1, A))]);
    }),
    ("a vote in a view whose opening is not on the disk", Invariant::Durability, |checker| {
        checker.judged.insert(A);
        let vote = prepare(2, 1, 1, A);
        send(checker, 2, &vote, &[prepare_record(&vote)]);
    }),
    ("a wish that is not on the disk", Invariant::Durability, |checker| {
        send(checker, 1, &PeerMessage::ViewChange(wish(1, 1)), &[]);
    }),
    ("a checkpoint without its state", Invariant::Durability, |checker| {
        let body = Checkpoint { seq: Seq(4), digest: A, by: voter(1) };
        let vote = sign(body);
        let records = [Record::Checkpoint(vote.clone())];
        send(checker, 1, &PeerMessage::Checkpoint(vote), &records);
    }),
    ("an execution that skips a number", Invariant::Monotony, |checker| {
        checker.executes(r(0), Seq(2), NULL);
    }),
    ("a view that goes back", Invariant::Monotony, |checker| {
        checker.glimpse(r(0), Glimpse { view: 2, ..Glimpse::default() });
        checker.glimpse(r(0), Glimpse { view: 1, ..Glimpse::default() });
    }),
    ("a stable checkpoint that goes back", Invariant::Monotony, |checker| {
        checker.glimpse(r(0), Glimpse { stable: 8, ..Glimpse::default() });
        checker.glimpse(r(0), Glimpse { stable: 4, ..Glimpse::default() });
    }),
    ("another agreed time", Invariant::Time, |checker| {
        execute_a_put(checker);
        checker.latest_clock = Timestamp(1_000);
        let mut account = checker.replay.account(1).cloned().expect("executed");
        account.time.0 += 1;
        checker.compare(r(0), 1, &account);
    }),
    ("a time ahead of every clock", Invariant::Time, |checker| {
        checker.cluster.tolerance = 10;
        checker.latest_clock = Timestamp(500);
        execute_a_put(checker);
        let account = checker.replay.account(1).cloned().expect("executed");
        checker.compare(r(0), 1, &account);
    }),
    ("a reply that is not what happened", Invariant::Clients, |checker| {
        execute_a_put(checker);
        checker.answers(r(0), 1, ClientId(0), &reply("a lie"));
    }),
    ("a read that is not what is there", Invariant::Clients, |checker| {
        execute_a_put(checker);
        let get = Blob::from(KvOperation::Get { key: Blob::from("key") }.to_bytes());
        let read = Ticket::Read(RequestNumber(1));
        checker.client_wants(ClientId(0), read, vec![get.clone()], false);
        let result = Blob::from(KvResult::Got { found: None }.to_bytes());
        let answer = ToClient::ReadAnswer {
            number: RequestNumber(1),
            operation: Digest::of(&get),
            result,
            changed: Seq(0),
        };
        checker.answers(r(0), 1, ClientId(0), &answer);
    }),
    ("a read that is answered by who may not vote", Invariant::Clients, |checker| {
        checker.may_answer_reads(r(0), 4, false);
    }),
    ("a read that is answered on an older state than before", Invariant::Clients, |checker| {
        checker.has_executed(r(0), 8);
        checker.restarted(r(0), Seq(4), std::iter::empty());
        checker.may_answer_reads(r(0), 4, true);
    }),
    (
        "a read that is answered without what is decided by the own word",
        Invariant::Clients,
        |checker| {
            (0..2).for_each(|id| leave(checker, &commit(id, 0, 5, A)));
            let nonce = Nonce(1);
            checker.is_asked(r(0), ClientId(0), &CheckedClient::Session(nonce));
            checker.has_what_it_owed(r(0), 4, Question::Session(ClientId(0), nonce));
        },
    ),
    ("a count that is not that of the history", Invariant::Clients, |checker| {
        execute_a_put(checker);
        let (acknowledged, highest) = (RequestNumber(0), RequestNumber(9));
        let told = ToClient::Session { nonce: Nonce(1), acknowledged, highest, view: View(0) };
        checker.answers(r(0), 1, ClientId(0), &told);
    }),
    ("a client that believes a lie", Invariant::Clients, |checker| {
        execute_a_put(checker);
        let ticket = Ticket::Submitted(RequestNumber(1), RequestNumber(1));
        let operations = put(1).body.operations.to_vec();
        checker.client_wants(ClientId(0), ticket, operations, false);
        let done = Done { seq: Seq(1), result: Blob::from("a lie") };
        checker.client_learns(ClientId(0), ticket, &Outcome::Done(vec![done]));
    }),
    ("a history that no order explains", Invariant::Clients, |checker| {
        let seen = Action::Get(Some(Some(Blob::from("never written"))));
        let event = Event { action: seen, asked: Instant(0), answered: Some(Instant(1)) };
        checker.histories.insert(Blob::from("key"), vec![event]);
        checker.judge_histories();
    }),
    ("more held than the bound", Invariant::Bounds, |checker| {
        let held = crate::replica::Held { slots: 9, ..Default::default() };
        checker.glimpse(r(0), Glimpse { held, ..Glimpse::default() });
    }),
    ("more promises than the bound", Invariant::Bounds, |checker| {
        let held = crate::replica::Held { promises: 100, ..Default::default() };
        checker.glimpse(r(0), Glimpse { held, votes: true, ..Glimpse::default() });
    }),
    ("a word beyond the window", Invariant::Bounds, |checker| {
        words_of(&prepare(1, 0, 9, A)).iter().for_each(|word| checker.is_within_the_window(word));
    }),
    ("a log that keeps what is settled", Invariant::Bounds, |checker| {
        checker.judged.insert(A);
        let stable = stable_at(12);
        let old = (1..8).flat_map(|seq| [prepare(1, 0, seq, A), prepare(1, 1, seq, A)]);
        let records = old.map(|vote| prepare_record(&vote));
        let records: Vec<Record> = records.chain([stable]).collect();
        send(checker, 1, &prepare(1, 0, 1, A), &records);
    }),
    ("a backup that waits for ever", Invariant::Progress, |checker| {
        (0..30).for_each(|seconds| checker.is_patient(r(1), &waiting(seconds)));
    }),
    ("a reliable primary that is left", Invariant::Progress, |checker| {
        checker.calms([r(0), r(1), r(2)].into());
        (0..3).for_each(|id| checker.enters(r(id), 4));
        checker.is_left(r(2), 4, Suspicion::NothingExecuted);
    }),
    ("an honest primary that is left as a convict", Invariant::FalseAccusation, |checker| {
        checker.passes_over(r(2), 4, 5, Suspicion::Convicted);
    }),
    (
        "a liar that is left as a convict where that is borne",
        Invariant::FalseAccusation,
        |checker| {
            checker.bear_convicts();
            checker.passes_over(r(2), 3, 4, Suspicion::Convicted);
        },
    ),
    ("an honest primary that is passed over", Invariant::FalseAccusation, |checker| {
        checker.passes_over(r(2), 3, 5, Suspicion::NothingExecuted);
    }),
    ("somebody who is never answered", Invariant::Progress, |checker| {
        checker.no_progress("c0 waits".to_string());
    }),
    ("evidence against the honest", Invariant::FalseAccusation, |checker| {
        checker.accuses(r(0), &evidence(1, B));
    }),
    ("evidence in which nothing conflicts", Invariant::FalseAccusation, |checker| {
        checker.accuses(r(0), &evidence(3, A));
    }),
    ("evidence that nobody signed", Invariant::FalseAccusation, |checker| {
        let Evidence::Prepare(one, mut other) = evidence(3, B) else { return };
        other.signature.0[0] ^= 1;
        checker.accuses(r(0), &Evidence::Prepare(one, other));
    }),
];

#[test]
fn every_invariant_is_seen_to_trip() {
    let mut tripped = BTreeSet::new();
    for (what, invariant, break_it) in BREAKS {
        let mut checker = checker();
        break_it(&mut checker);
        let seen = checker.violation.unwrap_or_else(|| panic!("{what} is not seen"));
        assert_eq!(seen.invariant, *invariant, "{what} is seen as {seen}");
        tripped.insert(*invariant);
    }
    assert_eq!(tripped, BTreeSet::from(Invariant::ALL), "an invariant that nothing breaks");
}

#[test]
fn what_is_right_trips_nothing() {
    let mut checker = checker();
    let batch = execute_a_put(&mut checker);
    checker.latest_clock = Timestamp(1_000);
    let account = checker.replay.account(1).cloned().expect("executed");
    checker.compare(r(0), 1, &account);
    let true_result = KvResult::Put { replaced: None }.to_bytes();
    let ToClient::Reply(mut told) = reply("") else { unreachable!() };
    told.outcome = ReplyOutcome::Executed(true_result.into());
    checker.answers(r(0), 1, ClientId(0), &ToClient::Reply(told));
    let vote = prepare(1, 0, 1, batch.digest());
    send(&mut checker, 1, &vote, &[prepare_record(&vote)]);
    send(&mut checker, 1, &vote, &[prepare_record(&vote)]);
    (0..2).for_each(|id| speak(&mut checker, &commit(id, 0, 1, A)));
    checker.is_decided_by_enough(r(0), 0, 1, A);
    checker.stands(r(0), &claim(&[0, 1, 3]), 3);
    let wishes = wishes_of(&mut checker, &[0, 1, 2]);
    checker.is_opened(r(0), &opening(wishes, vec![]));
    checker.is_wanted_by_enough(r(0), 1);
    checker.accuses(r(0), &evidence(3, B));
    checker.recovers(r(1), Nonce(7));
    [0, 2].into_iter().for_each(|id| checker.is_answered(r(1), r(id)));
    checker.votes_after_enough_answers(r(1));
    checker.counts_the_living(r(0), &prepared_by(0));
    checker.may_answer_reads(r(0), 1, true);
    leave(&mut checker, &commit(0, 0, 2, A));
    speak(&mut checker, &commit(1, 0, 2, A));
    let question = (ClientId(0), Nonce(1));
    checker.is_asked(r(0), question.0, &CheckedClient::Session(question.1));
    leave(&mut checker, &commit(1, 0, 2, A));
    checker.has_what_it_owed(r(0), 1, Question::Session(question.0, question.1));
    checker.is_reborn(r(1), Incarnation(1), 8);
    let (settled, own) = ((voter(1), Some(Seq(8))), (voter(1), None));
    checker.hears_the_living(r(0), 8, [settled].into_iter());
    checker.hears_the_living(r(1), 8, [own].into_iter());
    assert_eq!(checker.violation, None);
}

#[test]
fn nobody_is_left_but_for_a_reason() {
    let mut checker = checker();
    // The wait begins anew when something executes, and when the process does.
    for seconds in 0..30 {
        checker.is_patient(r(1), &Glimpse { executed: seconds, ..waiting(seconds) });
        checker.restarted(r(2), Seq(0), std::iter::empty());
        checker.is_patient(r(2), &waiting(seconds));
    }
    // Who is reliable may leave a liar, or what not all have entered.
    checker.calms([r(0), r(1), r(2)].into());
    (0..3).for_each(|id| checker.enters(r(id), 3));
    checker.is_left(r(1), 3, Suspicion::NothingExecuted);
    (0..2).for_each(|id| checker.enters(r(id), 4));
    checker.is_left(r(0), 4, Suspicion::NothingExecuted);
    assert_eq!(checker.violation, None);
}

/// The first replica decides by its own commit, another's that has left, and the liar's.
fn decides_by_its_own_vote(checker: &mut Checker) -> Digest {
    let batch = execute_a_put(checker);
    let digest = batch.digest();
    checker.decides_in(r(0), 0, Seq(1), digest);
    words_of(&commit(1, 0, 1, digest)).iter().for_each(|word| {
        checker.ledger.spoken(word);
        checker.ledger.leaves(word).expect("the first word");
    });
    speak(checker, &commit(0, 0, 1, digest));
    digest
}

#[test]
fn what_nobody_keeps_was_not_decided() {
    let states = BTreeMap::new();
    let empty = OnDisk { records: vec![], states: &states, lost_state: false };
    let mut lost = checker();
    decides_by_its_own_vote(&mut lost);
    lost.died(r(0), &empty);
    assert_eq!(lost.replay.executed(), 0);
    lost.decides(r(1), Seq(1), NULL);
    assert_eq!(lost.violation, None, "its vote is lost with it");

    let mut kept = checker();
    let digest = decides_by_its_own_vote(&mut kept);
    let stable = stable_at(4);
    let on_disk = OnDisk { records: vec![&stable], states: &states, lost_state: false };
    kept.died(r(0), &on_disk);
    assert_eq!(kept.decided.get(&Seq(1)), Some(&digest), "its disk has settled it");
    kept.decides_in(r(0), 1, Seq(1), digest);
    kept.died(r(0), &empty);
    assert_eq!(kept.decided.get(&Seq(1)), Some(&digest), "whatever becomes of it in later views");

    let mut shared = checker();
    let digest = decides_by_its_own_vote(&mut shared);
    shared.decides_in(r(1), 0, Seq(1), digest);
    shared.died(r(0), &empty);
    assert_eq!(shared.decided.get(&Seq(1)), Some(&digest), "another goes on with it");
    assert_eq!(shared.replay.executed(), 1);
}

#[test]
fn a_checkpoint_with_its_state_on_the_disk_may_leave() {
    let mut checker = checker();
    let tree = Tree::new();
    let body = Checkpoint { seq: Seq(4), digest: tree.digest(), by: voter(1) };
    let vote = sign(body);
    let record = Record::Checkpoint(vote.clone());
    let states = BTreeMap::from([(Seq(4), tree)]);
    let on_disk = || OnDisk { records: vec![&record], states: &states, lost_state: false };
    checker.sends(r(1), &PeerMessage::Checkpoint(vote), on_disk);
    assert_eq!(checker.violation, None);
}

#[test]
fn who_lost_its_disk_is_bound_again_once_it_has_recovered() {
    let mut checker = checker();
    checker.excuse(r(1));
    checker.judged.insert(A);
    send(&mut checker, 1, &prepare(1, 0, 1, A), &[]);
    assert_eq!(checker.violation, None);
    checker.absolve(r(1), Incarnation(0));
    send(&mut checker, 1, &prepare(1, 0, 2, A), &[]);
    let seen = checker.violation.map(|violation| violation.invariant);
    assert_eq!(seen, Some(Invariant::Durability));
}

#[test]
fn what_a_replica_executed_while_it_recovered_it_told_nobody() {
    let mut checker = checker();
    checker.excuse(r(1));
    checker.has_executed(r(1), 8);
    checker.restarted(r(1), Seq(4), std::iter::empty());
    checker.absolve(r(1), Incarnation(1));
    checker.may_answer_reads(r(1), 4, true);
    assert_eq!(checker.violation, None);
    checker.may_answer_reads(r(1), 3, true);
    assert!(checker.violation.is_some());
}

#[test]
fn two_wishes_are_told_apart_by_their_content() {
    assert_ne!(digest_of(&wish(1, 1).body), digest_of(&wish(1, 2).body));
    assert_eq!(digest_of(&wish(1, 1).body), digest_of(&wish(1, 1).body));
}
