//! Certificates, member by member: `Q` distinct listed replicas in order, one body
//! (`V3`, `V4`, `V5`).

use super::{clusters, refused};
use crate::support::{
    Cluster, committed_of, digest, endorsement, parameters, prepared_of, receipt_body,
    receipted_of, stable_of, voter,
};
use quorate::message::{
    Batch, Commit, CommitCertificate, Endorsement, Parameters, PeerMessage, Prepare,
    PreparedCertificate, Receipt, ReceiptCertificate, Reject, Signed, Verified, Voter,
};
use quorate::types::{
    ClientId, Digest, Incarnation, ReplicaId, RequestNumber, Seq, Timestamp, View,
};

/// Judges a certificate of these members about a place.
type JudgeParts = fn(&Cluster, View, Seq, Digest, Vec<Endorsement>) -> Result<(), Reject>;

/// One kind of certificate, made of any members.
struct Kind {
    name: &'static str,
    /// Whether it is about one view.
    has_view: bool,
    /// Who takes part in a true one.
    members: fn(&Cluster) -> Vec<u16>,
    /// The signatures of these replicas, true ones.
    sign: fn(&Cluster, &[u16], View, Seq, Digest) -> Vec<Endorsement>,
    /// Judges a certificate of these members about `VIEW`, `SEQ` and `a`.
    judge: JudgeParts,
}

const VIEW: View = View(2);
const SEQ: Seq = Seq(4);

const KINDS: [Kind; 4] = [
    Kind {
        name: "prepared",
        has_view: true,
        members: |cluster| cluster.backups(VIEW.0),
        sign: |cluster, by, view, seq, digest| cluster.prepares(by, view.0, seq.0, digest),
        judge: |cluster, view, seq, digest, members| {
            let proposal = cluster.pre_prepare(view.0, seq.0, digest);
            cluster.verifier.certificate(prepared_of(proposal, members)).map(drop)
        },
    },
    Kind {
        name: "commit",
        has_view: true,
        members: Cluster::lowest,
        sign: |cluster, by, view, seq, digest| cluster.commits(by, view.0, seq.0, digest),
        judge: |cluster, view, seq, digest, members| {
            cluster.verifier.certificate(committed_of(view, seq, digest, members)).map(drop)
        },
    },
    Kind {
        name: "checkpoint",
        has_view: false,
        members: Cluster::lowest,
        sign: |cluster, by, _, seq, digest| cluster.checkpoints(by, seq.0, digest),
        judge: |cluster, _, seq, digest, members| {
            cluster.verifier.certificate(stable_of(seq, digest, members)).map(drop)
        },
    },
    Kind {
        name: "receipt",
        has_view: false,
        members: Cluster::lowest,
        sign: |cluster, by, _, seq, digest| cluster.receipts(by, seq.0, digest),
        judge: |cluster, _, seq, digest, members| {
            let forged = receipted_of(receipt_body(seq.0, digest), members);
            cluster.verifier.certificate(forged).map(drop)
        },
    },
];

/// Judges a certificate of these members about one place.
type Judge<'a> = &'a dyn Fn(Vec<Endorsement>) -> Result<(), Reject>;

/// Tells a story of each kind in each cluster, beginning with the members of a true one.
fn each(story: impl Fn(&Cluster, &Kind, Vec<Endorsement>, Judge<'_>)) {
    for cluster in clusters() {
        for kind in KINDS {
            let members = (kind.members)(&cluster);
            let signed = (kind.sign)(&cluster, &members, VIEW, SEQ, digest("a"));
            let judge = |members| (kind.judge)(&cluster, VIEW, SEQ, digest("a"), members);
            assert_eq!(judge(signed.clone()), Ok(()), "{} of {}", kind.name, cluster.size());
            story(&cluster, &kind, signed, &judge);
        }
    }
}

/// The members of a kind's certificate may be any, even all but the lowest.
#[test]
fn any_quorum_will_do() {
    for cluster in clusters() {
        let highest: Vec<u16> = (cluster.size() - cluster.quorum()..cluster.size()).collect();
        for kind in &KINDS[1..] {
            let members = (kind.sign)(&cluster, &highest, VIEW, SEQ, digest("a"));
            assert_eq!((kind.judge)(&cluster, VIEW, SEQ, digest("a"), members), Ok(()));
        }
    }
}

/// V3: neither fewer nor more, be they all true.
#[test]
fn one_member_less_or_more_is_no_certificate() {
    each(|cluster, kind, members, judge| {
        let mut few = members.clone();
        few.pop();
        assert_eq!(judge(few), Err(Reject::BadCertificate), "{}", kind.name);
        assert_eq!(judge(vec![]), Err(Reject::BadCertificate), "{}", kind.name);
        let last = cluster.size() - 1;
        assert!(members.iter().all(|one| one.by.replica.0 < last), "{} is free", last);
        let mut many = members;
        many.extend((kind.sign)(cluster, &[last], VIEW, SEQ, digest("a")));
        assert_eq!(judge(many), Err(Reject::BadCertificate), "{}", kind.name);
    });
}

/// V3: one certificate for a set of votes, and no vote twice.
#[test]
fn doubled_or_unordered_members_are_refused() {
    each(|_, kind, members, judge| {
        let mut doubled = members.clone();
        doubled[1] = doubled[0];
        assert_eq!(judge(doubled), Err(Reject::BadCertificate), "{}", kind.name);
        let mut swapped = members.clone();
        swapped.swap(0, 1);
        assert_eq!(judge(swapped), Err(Reject::BadCertificate), "{}", kind.name);
        let mut reversed = members;
        reversed.reverse();
        assert_eq!(judge(reversed), Err(Reject::BadCertificate), "{}", kind.name);
    });
}

/// V3: two lives of one replica are one replica.
#[test]
fn two_incarnations_of_one_replica_count_once() {
    for cluster in clusters() {
        let mut members = cluster.commits(&cluster.lowest(), VIEW.0, SEQ.0, digest("a"));
        let by = Voter { replica: members[0].by.replica, incarnation: Incarnation(1) };
        let again = Commit { view: VIEW, seq: SEQ, digest: digest("a"), by };
        members[1] = endorsement(&cluster.sign(again));
        let forged = committed_of(VIEW, SEQ, digest("a"), members);
        assert_eq!(refused(cluster.verifier.certificate(forged)), Reject::BadCertificate);
    }
}

/// V3: an incarnation is signed, and cannot be put in place of another.
#[test]
fn a_member_in_another_incarnation_than_it_signed_is_refused() {
    each(|_, kind, mut members, judge| {
        members[1].by.incarnation = Incarnation(1);
        assert_eq!(judge(members), Err(Reject::BadSignature), "{}", kind.name);
    });
}

/// V3
#[test]
fn a_member_that_nobody_listed_is_refused() {
    each(|cluster, kind, mut members, judge| {
        let stranger = (kind.sign)(cluster, &[cluster.stranger()], VIEW, SEQ, digest("a"));
        *members.last_mut().expect("a quorum") = stranger[0];
        assert_eq!(judge(members), Err(Reject::UnknownAuthor), "{}", kind.name);
    });
}

/// V3: neither the signature of another nor a broken one.
#[test]
fn one_wrong_signature_spoils_a_certificate_wherever_it_stands() {
    each(|_, kind, members, judge| {
        for place in 0..members.len() {
            let mut broken = members.clone();
            broken[place].signature.0[40] ^= 1;
            assert_eq!(judge(broken), Err(Reject::BadSignature), "{} at {place}", kind.name);
            let mut others = members.clone();
            others[place].signature = members[(place + 1) % members.len()].signature;
            assert_eq!(judge(others), Err(Reject::BadSignature), "{} at {place}", kind.name);
        }
    });
}

/// V4: what was signed about one place proves nothing about another.
#[test]
fn true_signatures_bound_to_something_else_are_refused() {
    for cluster in clusters() {
        for kind in KINDS {
            let members = (kind.members)(&cluster);
            let a = digest("a");
            // The view comes round to the same primary, so that only the view differs.
            let other_view = View(VIEW.0 + u64::from(cluster.size()));
            let mut others =
                vec![(VIEW, Seq(8), a), (VIEW, SEQ, digest("b")), (VIEW, SEQ, Digest([0; 32]))];
            if kind.has_view {
                others.push((other_view, SEQ, a));
            }
            for (view, seq, digest) in others {
                let signed = (kind.sign)(&cluster, &members, view, seq, digest);
                let verdict = (kind.judge)(&cluster, VIEW, SEQ, a, signed);
                assert_eq!(verdict, Err(Reject::BadSignature), "{} {view} {seq}", kind.name);
            }
        }
    }
}

/// B4: prepares are no commits, whatever they are put into.
#[test]
fn votes_of_another_kind_are_refused() {
    for cluster in clusters() {
        let members = (KINDS[0].sign)(&cluster, &cluster.lowest(), VIEW, SEQ, digest("a"));
        let verdict = (KINDS[1].judge)(&cluster, VIEW, SEQ, digest("a"), members);
        assert_eq!(verdict, Err(Reject::BadSignature));
    }
}

/// V3: the primary has proposed; that it prepares too adds nothing.
#[test]
fn the_primarys_own_prepare_does_not_count() {
    for cluster in clusters() {
        let primary = cluster.primary(VIEW.0);
        let mut members = cluster.backups(VIEW.0);
        *members.last_mut().expect("backups") = primary;
        members.sort_unstable();
        let signed = cluster.prepares(&members, VIEW.0, SEQ.0, digest("a"));
        let verdict = (KINDS[0].judge)(&cluster, VIEW, SEQ, digest("a"), signed);
        assert_eq!(verdict, Err(Reject::BadCertificate));
    }
}

/// V3: a prepared certificate begins with the true proposal of that view's primary.
#[test]
fn a_prepared_certificate_needs_the_primarys_proposal() {
    for cluster in clusters() {
        let a = digest("a");
        let prepares = cluster.prepares(&cluster.backups(VIEW.0), VIEW.0, SEQ.0, a);
        let mut forged = cluster.pre_prepare(VIEW.0, SEQ.0, a);
        forged.signature.0[0] ^= 1;
        let verdict = cluster.verifier.certificate(prepared_of(forged, prepares.clone()));
        assert_eq!(refused(verdict), Reject::BadSignature);
        let mut usurped = cluster.pre_prepare(VIEW.0, SEQ.0, a).body;
        usurped.by = voter(cluster.size() - 1);
        let verdict = cluster.verifier.certificate(prepared_of(cluster.sign(usurped), prepares));
        assert_eq!(refused(verdict), Reject::WrongRole);
    }
}

/// D3: certificates about places that do not exist.
#[test]
fn certificates_about_impossible_places_are_refused() {
    for cluster in clusters() {
        let far = u64::MAX / 2;
        for kind in KINDS {
            let members = (kind.members)(&cluster);
            let mut places = vec![(VIEW, Seq::GENESIS), (VIEW, Seq(far / 4 * 4 + 4))];
            if kind.has_view {
                places.push((View(far), SEQ));
            }
            if kind.name == "checkpoint" {
                places.push((VIEW, Seq(5)));
            }
            for (view, seq) in places {
                let signed = (kind.sign)(&cluster, &members, view, seq, digest("a"));
                let verdict = (kind.judge)(&cluster, view, seq, digest("a"), signed);
                assert_eq!(verdict, Err(Reject::OutOfRange), "{} {view} {seq}", kind.name);
            }
        }
    }
}

/// What was signed about one operation proves nothing about another.
#[test]
fn receipts_say_all_of_it_alike() {
    for cluster in clusters() {
        let said = receipt_body(SEQ.0, digest("a"));
        let members = cluster.receipts(&cluster.lowest(), SEQ.0, digest("a"));
        let judge =
            |said, members| cluster.verifier.certificate(receipted_of(said, members)).map(drop);
        assert_eq!(judge(said, members.clone()), Ok(()));
        let others = [
            Receipt { client: ClientId(2), ..said },
            Receipt { number: RequestNumber(8), ..said },
            Receipt { seq: Seq(5), ..said },
            Receipt { operation: digest("another"), ..said },
            Receipt { result: digest("another"), ..said },
        ];
        for other in others {
            assert_eq!(judge(other, members.clone()), Err(Reject::BadSignature), "{other:?}");
            // One member that says otherwise spoils it, whatever the others say.
            let mut mixed = members.clone();
            let by = mixed[1].by;
            mixed[1] = endorsement(&cluster.sign(Receipt { by, ..other }));
            assert_eq!(judge(said, mixed), Err(Reject::BadSignature), "{other:?}");
        }
    }
}

/// Nobody executes for a client that is not listed, nor a number that is none.
#[test]
fn receipts_about_nobody_and_nothing_are_refused() {
    for cluster in clusters() {
        let said = receipt_body(SEQ.0, digest("a"));
        let nobody = Receipt { client: ClientId(crate::support::CLIENTS), ..said };
        let nothing = Receipt { number: RequestNumber(0), ..said };
        for (other, expected) in [(nobody, Reject::UnknownAuthor), (nothing, Reject::OutOfRange)] {
            let sign = |by: &u16| cluster.sign(Receipt { by: voter(*by), ..other });
            let members = cluster.lowest().iter().map(|by| endorsement(&sign(by))).collect();
            let forged = receipted_of(other, members);
            assert_eq!(refused(cluster.verifier.certificate(forged)), expected);
            assert_eq!(refused(cluster.verifier.signed(sign(&1))), expected);
        }
    }
}

/// `B4`: a receipt of one cluster is none in another, be the keys the same.
#[test]
fn receipts_of_another_cluster_are_refused() {
    let cluster = Cluster::of(4);
    let other = Cluster::with(4, Parameters { batch_items: 4, ..parameters() });
    assert_eq!(cluster.genesis.replicas, other.genesis.replicas);
    let receipted = other.receipted(SEQ.0, digest("a"));
    assert!(other.verifier.certificate(receipted.clone()).is_ok());
    assert_eq!(refused(cluster.verifier.certificate(receipted)), Reject::BadSignature);
    let receipt = other.receipt(1, SEQ.0, digest("a"));
    assert_eq!(refused(cluster.verifier.signed(receipt)), Reject::BadSignature);
}

/// The body beside a certificate or proposal must hash to the digest in it (`P4`).
#[test]
fn a_body_must_hash_to_the_digest_beside_it() {
    use quorate::message::batch::NULL;
    let cluster = Cluster::of(4);
    let (batch, other) = (cluster.batch(1), cluster.batch(2));
    let fill_up = Batch::new(Timestamp(1), vec![]);
    let judge = |digest: Digest, body: Option<&Batch>| {
        let proposal = cluster.pre_prepare(0, 1, digest);
        let proposed = cluster.verifier.peer(PeerMessage::Propose(proposal, body.cloned()));
        let certificate = cluster.committed(0, 1, digest);
        let decided = cluster.verifier.peer(PeerMessage::Decided(certificate, body.cloned()));
        let verdict = proposed.map(drop);
        assert_eq!(verdict, decided.map(drop));
        verdict
    };
    assert_eq!(judge(batch.digest(), Some(&batch)), Ok(()));
    assert_eq!(judge(fill_up.digest(), Some(&fill_up)), Ok(()));
    assert_eq!(judge(NULL, None), Ok(()));
    assert_eq!(judge(batch.digest(), Some(&other)), Err(Reject::WrongDigest));
    assert_eq!(judge(batch.digest(), None), Err(Reject::WrongDigest));
    assert_eq!(judge(NULL, Some(&batch)), Err(Reject::WrongDigest));
    assert_eq!(judge(NULL, Some(&fill_up)), Err(Reject::WrongDigest));
}

/// What is made of verified votes is what the verifier accepts, and nothing less.
#[test]
fn certificates_made_here_are_accepted_there() {
    for cluster in clusters() {
        let committee = cluster.genesis.committee();
        let a = digest("a");
        let verified = |vote: Signed<Prepare>| -> Verified<Signed<Prepare>> {
            cluster.verifier.signed(vote).expect("a true vote")
        };
        let proposal = cluster.pre_prepare(VIEW.0, SEQ.0, a);
        let proposal = cluster.verifier.signed(proposal).expect("a true proposal");
        // Every backup's, in an order of no meaning, with strays about other places.
        let mut votes: Vec<Verified<Signed<Prepare>>> = Vec::new();
        for by in (0..cluster.size()).rev().filter(|by| *by != cluster.primary(VIEW.0)) {
            votes.push(verified(cluster.prepare(by, VIEW.0, SEQ.0 + 1, a)));
            votes.push(verified(cluster.prepare(by, VIEW.0, SEQ.0, digest("b"))));
            let matching: Vec<_> = votes.iter().filter(|vote| vote.body.digest == a).collect();
            let before = PreparedCertificate::new(committee, &proposal, matching);
            let enough = votes.len() / 3 >= usize::from(cluster.quorum() - 1);
            assert_eq!(before.is_some(), enough);
            votes.push(verified(cluster.prepare(by, VIEW.0, SEQ.0, a)));
        }
        let made = PreparedCertificate::new(committee, &proposal, &votes).expect("enough");
        assert!(cluster.verifier.certificate(made.into_inner()).is_ok());

        let commits: Vec<Verified<Signed<Commit>>> = (0..cluster.size())
            .rev()
            .map(|by| cluster.verifier.signed(cluster.commit(by, VIEW.0, SEQ.0, a)).expect("true"))
            .collect();
        let few = commits.iter().take(usize::from(cluster.quorum()) - 1);
        assert!(CommitCertificate::new(committee, VIEW, SEQ, a, few).is_none());
        let doubled = commits.iter().take(usize::from(cluster.quorum()) - 1).cycle().take(50);
        assert!(CommitCertificate::new(committee, VIEW, SEQ, a, doubled).is_none());
        let receipts: Vec<Verified<Signed<Receipt>>> = (0..cluster.size())
            .rev()
            .flat_map(|by| [cluster.receipt(by, SEQ.0, digest("b")), cluster.receipt(by, SEQ.0, a)])
            .map(|receipt| cluster.verifier.signed(receipt).expect("true"))
            .collect();
        let said = receipt_body(SEQ.0, a);
        let few = receipts.iter().take(2 * usize::from(cluster.quorum()) - 1);
        assert!(ReceiptCertificate::new(committee, &said, few).is_none());
        let made = ReceiptCertificate::new(committee, &said, &receipts).expect("enough");
        assert_eq!(made.receipt_of(&made.receipts()[0]), Receipt { by: voter(0), ..said });
        assert!(cluster.verifier.certificate(made.into_inner()).is_ok());

        let made = CommitCertificate::new(committee, VIEW, SEQ, a, &commits).expect("enough");
        let voters: Vec<ReplicaId> = made.voters().map(|voter| voter.replica).collect();
        assert_eq!(voters, cluster.lowest().into_iter().map(ReplicaId).collect::<Vec<_>>());
        assert!(cluster.verifier.certificate(made.into_inner()).is_ok());
    }
}
