//! Evidence convicts a liar by its own signatures, and nobody else (`P1`, `B1`).

use super::{clusters, refused};
use crate::samples::Samples;
use crate::support::{Cluster, digest};
use quorate::message::{
    Author, Checkpoint, Commit, Evidence, PeerMessage, PrePrepare, Prepare, Reject, Signed, Voter,
};
use quorate::types::{Digest, Incarnation, ReplicaId, Seq, View};

#[test]
fn two_bodies_that_conflict_convict_their_author() {
    let samples = Samples::new();
    let accused: Vec<u16> = samples
        .evidence()
        .into_iter()
        .map(|evidence| {
            let proved = samples.cluster.verifier.evidence(evidence).expect("a true record");
            proved.accused().replica.0
        })
        .collect();
    assert_eq!(accused, [2, 1, 1, 1, 2, 2]);
}

fn by(replica: u16, incarnation: u64) -> Voter {
    Voter { replica: ReplicaId(replica), incarnation: Incarnation(incarnation) }
}

type Place = (Voter, View, Seq, Digest);

/// The four kinds that say one digest about one place.
fn pairs(cluster: &Cluster, one: Place, other: Place) -> [Evidence; 4] {
    macro_rules! vote {
        ($kind:ident, $place:expr) => {{
            let (by, view, seq, digest) = $place;
            cluster.sign($kind { view, seq, digest, by })
        }};
    }
    let checkpoint = |(by, _, seq, digest): Place| -> Signed<Checkpoint> {
        cluster.sign(Checkpoint { seq, digest, by })
    };
    [
        Evidence::PrePrepare(vote!(PrePrepare, one), vote!(PrePrepare, other)),
        Evidence::Prepare(vote!(Prepare, one), vote!(Prepare, other)),
        Evidence::Commit(vote!(Commit, one), vote!(Commit, other)),
        Evidence::Checkpoint(checkpoint(one), checkpoint(other)),
    ]
}

#[test]
fn two_bodies_that_do_not_conflict_convict_nobody() {
    for cluster in clusters() {
        let (a, b) = (digest("a"), digest("b"));
        let place = (by(1, 0), View(1), Seq(4), a);
        let conflict = (by(1, 0), View(1), Seq(4), b);
        for evidence in pairs(&cluster, place, conflict) {
            assert!(cluster.verifier.evidence(evidence).is_ok());
        }
        let harmless: [Place; 4] = [
            place,
            (by(1, 0), View(1), Seq(8), b),
            (by(2, 0), View(1), Seq(4), b),
            // A disk lost and declared lost is no lie.
            (by(1, 1), View(1), Seq(4), b),
        ];
        for other in harmless {
            for evidence in pairs(&cluster, place, other) {
                let verdict = cluster.verifier.peer(PeerMessage::Evidence(evidence));
                assert_eq!(refused(verdict), Reject::NoConflict, "{other:?}");
            }
        }
        // Another view is another place for votes; a checkpoint knows no view.
        let elsewhere = (by(1, 0), View(2), Seq(4), b);
        let [pre_prepares, prepares, commits, _] = pairs(&cluster, place, elsewhere);
        for evidence in [pre_prepares, prepares, commits] {
            assert_eq!(refused(cluster.verifier.evidence(evidence)), Reject::NoConflict);
        }
    }
}

#[test]
fn view_changes_conflict_only_within_one_view_and_life() {
    let samples = Samples::new();
    let cluster = &samples.cluster;
    let wish = samples.view_change(2);
    let judge = |other: Signed<_>| {
        let evidence = Evidence::ViewChange(Box::new(wish.clone()), Box::new(other));
        cluster.verifier.evidence(evidence).map(drop)
    };
    assert_eq!(judge(wish.clone()), Err(Reject::NoConflict));
    assert_eq!(judge(cluster.view_change(2, 2, None, vec![])), Ok(()));
    assert_eq!(judge(cluster.view_change(2, 3, None, vec![])), Err(Reject::NoConflict));
    assert_eq!(judge(cluster.view_change(1, 2, None, vec![])), Err(Reject::NoConflict));
    let mut reborn = cluster.view_change(2, 2, None, vec![]).body;
    reborn.by.incarnation = Incarnation(1);
    assert_eq!(judge(cluster.sign(reborn)), Err(Reject::NoConflict));
}

/// B3: nobody is convicted by what another signed.
#[test]
fn evidence_needs_both_signatures_of_the_accused() {
    let cluster = Cluster::of(4);
    let (one, other) = (cluster.commit(1, 0, 1, digest("a")), cluster.commit(1, 0, 1, digest("b")));
    let forged = cluster.sign_as(Author::Replica(ReplicaId(2)), other.body);
    for evidence in
        [Evidence::Commit(one.clone(), forged.clone()), Evidence::Commit(forged, one.clone())]
    {
        assert_eq!(refused(cluster.verifier.evidence(evidence)), Reject::BadSignature);
    }
    let stranger = |text| cluster.commit(cluster.stranger(), 0, 1, digest(text));
    let evidence = Evidence::Commit(stranger("a"), stranger("b"));
    assert_eq!(refused(cluster.verifier.evidence(evidence)), Reject::UnknownAuthor);
    assert!(cluster.verifier.evidence(Evidence::Commit(one, other)).is_ok());
}
