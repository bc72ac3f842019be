//! The rules that need no state: for each, what just keeps it and what just breaks it.

mod certificates;
mod evidence;
mod requests;
mod together;
mod views;

use crate::samples::Samples;
use crate::support::{Cluster, digest, request_body, stable_of, voter};
use quorate::message::{
    Author, Batch, Evidence, Fetch, Item, PeerMessage, Proposed, Reject, Status, ViewChange,
};
use quorate::types::{ClientId, Nonce, ReplicaId, Seq, Timestamp, View};
use quorate::wire::{self, List};
use std::collections::BTreeSet;

/// The sizes that every rule is tried at.
fn clusters() -> [Cluster; 2] {
    [Cluster::of(4), Cluster::of(7)]
}

/// What a message is refused for.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Reject>) -> Reject {
    result.expect_err("it must be refused")
}

/// Whether a cause is found without any state. A new cause must say which it is.
fn is_stateless(reject: Reject) -> bool {
    use Reject::*;
    match reject {
        Malformed | UnknownAuthor | BadSignature | WrongRole | OutOfRange | TooLarge
        | WrongDigest | RepeatedItem | BadCertificate | BadViewChange | BadNewView | NoConflict => {
            true
        }
        NotFromAuthor | FromSelf | OldView | FutureView | ChangingViews | BelowWindow
        | AboveWindow | Duplicate | Conflict | NotChosen | ForgedRequest | BadTime
        | FillUpTooSoon | WrongIncarnation | Unrequested | WrongPart | OverQuota | NotHere
        | NotReady | UnknownClient | BeyondWindow | Acknowledged | WrongNonce | OldCertificate => {
            false
        }
    }
}

/// How many causes [`is_stateless`] says are found without state.
const STATELESS: usize = 12;

mod provoked {
    //! One message for each cause, by the name of the cause.

    use super::*;

    pub(super) fn malformed(cluster: &Cluster) -> Reject {
        refused(cluster.verifier.peer_bytes(b"no message"))
    }

    pub(super) fn unknown_author(cluster: &Cluster) -> Reject {
        let stranger = cluster.commit(cluster.stranger(), 0, 1, digest("a"));
        refused(cluster.verifier.peer(PeerMessage::Commit(stranger)))
    }

    pub(super) fn bad_signature(cluster: &Cluster) -> Reject {
        let body = cluster.commit(1, 0, 1, digest("a")).body;
        let forged = cluster.sign_as(Author::Replica(ReplicaId(2)), body);
        refused(cluster.verifier.peer(PeerMessage::Commit(forged)))
    }

    pub(super) fn wrong_role(cluster: &Cluster) -> Reject {
        let by_primary = cluster.prepare(0, 0, 1, digest("a"));
        refused(cluster.verifier.peer(PeerMessage::Prepare(by_primary)))
    }

    pub(super) fn out_of_range(cluster: &Cluster) -> Reject {
        let at_genesis = cluster.commit(1, 0, 0, digest("a"));
        refused(cluster.verifier.peer(PeerMessage::Commit(at_genesis)))
    }

    pub(super) fn too_large(cluster: &Cluster) -> Reject {
        let bundle = cluster.request(0, 1, &["a"; 5]);
        refused(cluster.verifier.request(bundle))
    }

    pub(super) fn wrong_digest(cluster: &Cluster) -> Reject {
        let proposal = cluster.pre_prepare(0, 1, digest("another batch"));
        refused(cluster.verifier.peer(PeerMessage::Propose(proposal, Some(cluster.batch(1)))))
    }

    pub(super) fn repeated_item(cluster: &Cluster) -> Reject {
        let item = Item::Request(cluster.request(0, 1, &["a"]));
        match cluster.verifier.proposed(Batch::new(Timestamp(1), vec![item.clone(), item])) {
            Proposed::Unfit(_, reject) => reject,
            other => panic!("{other:?} repeats itself"),
        }
    }

    pub(super) fn bad_certificate(cluster: &Cluster) -> Reject {
        let few = stable_of(Seq(4), digest("state"), vec![]);
        refused(cluster.verifier.peer(PeerMessage::Stable(few)))
    }

    pub(super) fn bad_view_change(cluster: &Cluster) -> Reject {
        let body =
            ViewChange { view: View(0), by: voter(1), stable: None, prepared: List::default() };
        refused(cluster.verifier.peer(PeerMessage::ViewChange(cluster.sign(body))))
    }

    pub(super) fn bad_new_view(cluster: &Cluster) -> Reject {
        let empty = cluster.new_view(1, vec![], &[]);
        refused(cluster.verifier.peer(PeerMessage::NewView(empty, None)))
    }

    pub(super) fn no_conflict(cluster: &Cluster) -> Reject {
        let vote = cluster.commit(1, 0, 1, digest("a"));
        refused(cluster.verifier.evidence(Evidence::Commit(vote.clone(), vote)))
    }
}

#[test]
fn every_cause_that_needs_no_state_is_provoked() {
    use Reject::*;
    type Provocation = fn(&Cluster) -> Reject;
    let provocations: [(Reject, Provocation); STATELESS] = [
        (Malformed, provoked::malformed),
        (UnknownAuthor, provoked::unknown_author),
        (BadSignature, provoked::bad_signature),
        (WrongRole, provoked::wrong_role),
        (OutOfRange, provoked::out_of_range),
        (TooLarge, provoked::too_large),
        (WrongDigest, provoked::wrong_digest),
        (RepeatedItem, provoked::repeated_item),
        (BadCertificate, provoked::bad_certificate),
        (BadViewChange, provoked::bad_view_change),
        (BadNewView, provoked::bad_new_view),
        (NoConflict, provoked::no_conflict),
    ];
    for cluster in clusters() {
        let mut seen = BTreeSet::new();
        for (cause, provoke) in provocations {
            assert_eq!(provoke(&cluster), cause);
            assert!(is_stateless(cause));
            seen.insert(cause);
        }
        assert_eq!(seen.len(), STATELESS, "each cause once");
    }
}

/// B3: a vote in another's name convinces nobody, and no name is taken on trust.
#[test]
fn a_vote_counts_only_by_the_signature_of_whom_it_names() {
    for cluster in clusters() {
        let a = digest("a");
        for signer in 0..=cluster.stranger() {
            let signer = Author::Replica(ReplicaId(signer));
            for named in 0..cluster.size() {
                let expected = match signer == Author::Replica(ReplicaId(named)) {
                    true => Ok(()),
                    false => Err(Reject::BadSignature),
                };
                let commit = cluster.sign_as(signer, cluster.commit(named, 1, 1, a).body);
                let checkpoint = cluster.sign_as(signer, cluster.checkpoint(named, 4, a).body);
                let receipt = cluster.sign_as(signer, cluster.receipt(named, 4, a).body);
                let recovery = cluster.sign_as(signer, cluster.recovery(named, 1).body);
                let wish = cluster.view_change(named, 1, None, vec![]).body;
                let wish = cluster.sign_as(signer, wish);
                let peer = |message| cluster.verifier.peer(message).map(drop);
                assert_eq!(peer(PeerMessage::Commit(commit)), expected);
                assert_eq!(cluster.verifier.signed(receipt).map(drop), expected);
                assert_eq!(peer(PeerMessage::Checkpoint(checkpoint)), expected);
                assert_eq!(peer(PeerMessage::Recovery(recovery)), expected);
                assert_eq!(peer(PeerMessage::ViewChange(wish)), expected);
                if named != cluster.primary(1) {
                    let prepare = cluster.sign_as(signer, cluster.prepare(named, 1, 1, a).body);
                    assert_eq!(peer(PeerMessage::Prepare(prepare)), expected);
                }
            }
        }
    }
}

/// A client's key signs no vote, and a replica's no request.
#[test]
fn replicas_and_clients_of_one_number_are_not_confused() {
    let cluster = Cluster::of(4);
    let request = request_body(1, 1, 0, &["a"]);
    let request = cluster.sign_as(Author::Replica(ReplicaId(1)), request);
    assert_eq!(refused(cluster.verifier.request(request)), Reject::BadSignature);
    let vote = cluster.commit(1, 1, 1, digest("a")).body;
    let vote = cluster.sign_as(Author::Client(ClientId(1)), vote);
    assert_eq!(refused(cluster.verifier.peer(PeerMessage::Commit(vote))), Reject::BadSignature);
}

/// P7: only the primary of a view proposes in it, and it alone does not prepare.
#[test]
fn in_each_view_one_replica_proposes_and_the_others_prepare() {
    for cluster in clusters() {
        let batch = cluster.batch(1);
        for view in 0..u64::from(2 * cluster.size()) {
            for by in 0..cluster.size() {
                let is_primary = by == cluster.primary(view);
                let mut proposal = cluster.pre_prepare(view, 1, batch.digest()).body;
                proposal.by = voter(by);
                let proposal = PeerMessage::Propose(cluster.sign(proposal), Some(batch.clone()));
                let prepare = cluster.prepare(by, view, 1, batch.digest());
                let prepare = PeerMessage::Prepare(prepare);
                let (right, wrong) =
                    if is_primary { (proposal, prepare) } else { (prepare, proposal) };
                assert!(cluster.verifier.peer(right).is_ok());
                assert_eq!(refused(cluster.verifier.peer(wrong)), Reject::WrongRole);
            }
        }
    }
}

/// N4, D3
#[test]
fn numbers_and_views_near_the_end_of_the_integer_are_refused() {
    let cluster = Cluster::of(4);
    let a = digest("a");
    let status = Samples::new().status();
    let last = u64::MAX / 2 - 1;
    // The last multiple of the interval, and the first number that is too far.
    for (number, expected) in [(last, Ok(())), (last + 1, Err(Reject::OutOfRange))] {
        let peer = |message| cluster.verifier.peer(message).map(drop);
        let backup = (cluster.primary(number) + 1) % cluster.size();
        assert_eq!(peer(PeerMessage::Commit(cluster.commit(1, number, 1, a))), expected);
        assert_eq!(peer(PeerMessage::Commit(cluster.commit(1, 1, number, a))), expected);
        assert_eq!(peer(PeerMessage::Prepare(cluster.prepare(backup, number, 1, a))), expected);
        assert_eq!(peer(PeerMessage::Prepare(cluster.prepare(2, 1, number, a))), expected);
        let wish = cluster.view_change(1, number, None, vec![]);
        assert_eq!(peer(PeerMessage::ViewChange(wish)), expected);
        let fetches = [
            Fetch::NewView(View(number)),
            Fetch::Decided(Seq(number)),
            Fetch::Stable(Seq(number)),
            Fetch::Proposal(View(number), Seq(1)),
            Fetch::Proposal(View(1), Seq(number)),
            Fetch::Part(Seq(number), quorate::service::tree::Path::root(), None, 1),
        ];
        for fetch in fetches {
            assert_eq!(peer(PeerMessage::Fetch(fetch)), expected);
        }
        assert_eq!(peer(PeerMessage::NoState(Seq(number))), expected);
        let part = Samples::new().part();
        let root = quorate::service::tree::Path::root();
        assert_eq!(peer(PeerMessage::Part(Seq(number), root, part)), expected);
        let statuses = [
            Status { view: View(number), ..status.clone() },
            Status { stable: Seq(number), ..status.clone() },
            // Four numbers follow after the one executed.
            Status { executed: Seq(number - 4), ..status.clone() },
        ];
        for status in statuses {
            assert_eq!(peer(PeerMessage::Status(status.clone())), expected, "{status:?}");
        }
        let mut answer = Samples::new().start_answer();
        answer.view = View(number);
        assert_eq!(peer(PeerMessage::StartAnswer(Box::new(answer))), expected);
    }
    let end = PeerMessage::Checkpoint(cluster.checkpoint(1, u64::MAX - 3, a));
    assert_eq!(refused(cluster.verifier.peer(end)), Reject::OutOfRange);
    let end = Status { executed: Seq(u64::MAX), ..status };
    assert_eq!(refused(cluster.verifier.peer(PeerMessage::Status(end))), Reject::OutOfRange);
}

#[test]
fn a_checkpoint_stands_at_a_multiple_of_the_interval() {
    let cluster = Cluster::of(4);
    for seq in 0..=16 {
        let vote = cluster.checkpoint(1, seq, digest("state"));
        let verdict = cluster.verifier.peer(PeerMessage::Checkpoint(vote)).map(drop);
        let expected = match seq != 0 && seq % 4 == 0 {
            true => Ok(()),
            false => Err(Reject::OutOfRange),
        };
        assert_eq!(verdict, expected, "{seq}");
    }
}

#[test]
fn a_status_of_more_than_a_window_or_more_than_all_replicas_is_refused() {
    use quorate::message::SlotStatus::Empty;
    let cluster = Cluster::of(4);
    let status = |slots: usize, ids: u16| {
        let view_changes = (0..ids).map(ReplicaId).collect();
        let slots = List(vec![Empty; slots]);
        PeerMessage::Status(Status { slots, view_changes, ..Samples::new().status() })
    };
    assert!(cluster.verifier.peer(status(8, 4)).is_ok());
    assert_eq!(refused(cluster.verifier.peer(status(9, 4))), Reject::TooLarge);
    assert_eq!(refused(cluster.verifier.peer(status(8, 5))), Reject::TooLarge);
}

/// What a start answer holds is checked one by one.
#[test]
fn a_start_answer_is_as_good_as_its_worst_part() {
    let samples = Samples::new();
    let cluster = &samples.cluster;
    let judge = |answer| cluster.verifier.peer(PeerMessage::StartAnswer(Box::new(answer)));
    assert!(judge(samples.start_answer()).is_ok());

    let mut seven = samples.start_answer();
    seven.held.0.push(samples.held().swap_remove(0));
    assert_eq!(refused(judge(seven)), Reject::TooLarge);

    let mut few = samples.start_answer();
    few.stable = Some(stable_of(Seq(8), digest("state"), vec![]));
    assert_eq!(refused(judge(few)), Reject::BadCertificate);

    for place in 0..6 {
        let mut forged = samples.start_answer();
        let mut bytes = wire::encode(&forged.held[place]);
        // The last byte is the end of the outermost signature.
        *bytes.last_mut().expect("not empty") ^= 1;
        forged.held.0[place] = wire::decode(&bytes, wire::MOST_BYTES).expect("any signature");
        assert_eq!(refused(judge(forged)), Reject::BadSignature, "{place}");
    }
    let mut nonce = samples.start_answer();
    nonce.nonce = Nonce(u64::MAX);
    assert!(judge(nonce).is_ok(), "whether it was asked for is for the replica to know");
}
