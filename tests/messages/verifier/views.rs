//! View-changes and new views: what they may show, and what must follow from them
//! (`V3` to `V7`).

use super::{clusters, refused};
use crate::support::{Cluster, digest, stable_of, voter};
use quorate::message::batch::NULL;
use quorate::message::{
    Author, CheckpointCertificate, NewView, PeerMessage, PreparedCertificate, Reject, Signed,
    ViewChange,
};
use quorate::types::{Digest, Incarnation, ReplicaId, Seq, View};
use quorate::wire::List;

fn judge_wish(cluster: &Cluster, wish: Signed<ViewChange>) -> Result<(), Reject> {
    cluster.verifier.peer(PeerMessage::ViewChange(wish)).map(drop)
}

fn wish(
    cluster: &Cluster,
    view: u64,
    stable: Option<CheckpointCertificate>,
    prepared: Vec<PreparedCertificate>,
) -> Result<(), Reject> {
    judge_wish(cluster, cluster.view_change(1, view, stable, prepared))
}

#[test]
fn nobody_asks_for_the_first_view() {
    for cluster in clusters() {
        assert_eq!(wish(&cluster, 0, None, vec![]), Err(Reject::BadViewChange));
        assert_eq!(wish(&cluster, 1, None, vec![]), Ok(()));
    }
}

/// A certificate speaks of the numbers above the stable checkpoint, up to a window.
#[test]
fn prepared_certificates_lie_within_the_window_above_the_stable_checkpoint() {
    for cluster in clusters() {
        let a = digest("a");
        let prepared = |seq| vec![cluster.prepared(1, seq, a)];
        for (seq, fits) in [(1, true), (8, true), (9, false)] {
            let expected = if fits { Ok(()) } else { Err(Reject::BadViewChange) };
            assert_eq!(wish(&cluster, 2, None, prepared(seq)), expected, "{seq}");
        }
        let stable = || Some(cluster.stable(8, digest("state")));
        for (seq, fits) in [(7, false), (8, false), (9, true), (16, true), (17, false)] {
            let expected = if fits { Ok(()) } else { Err(Reject::BadViewChange) };
            assert_eq!(wish(&cluster, 2, stable(), prepared(seq)), expected, "{seq}");
        }
    }
}

/// V7: what was prepared was prepared in an earlier view than the one asked for.
#[test]
fn a_certificate_of_the_wanted_view_or_a_later_one_is_refused() {
    for cluster in clusters() {
        for (view, fits) in [(0, true), (4, true), (5, false), (6, false)] {
            let expected = if fits { Ok(()) } else { Err(Reject::BadViewChange) };
            let prepared = vec![cluster.prepared(view, 1, digest("a"))];
            assert_eq!(wish(&cluster, 5, None, prepared), expected, "{view}");
        }
    }
}

#[test]
fn certificates_stand_in_the_order_of_numbers_and_each_number_once() {
    for cluster in clusters() {
        let a = digest("a");
        let prepared = |places: &[(u64, u64)]| -> Vec<PreparedCertificate> {
            places.iter().map(|(view, seq)| cluster.prepared(*view, *seq, a)).collect()
        };
        assert_eq!(wish(&cluster, 3, None, prepared(&[(2, 1), (0, 3), (1, 8)])), Ok(()));
        for bad in [[(0, 3), (0, 1)], [(0, 3), (0, 3)], [(0, 3), (1, 3)]] {
            let verdict = wish(&cluster, 3, None, prepared(&bad));
            assert_eq!(verdict, Err(Reject::BadViewChange), "{bad:?}");
        }
        let whole: Vec<(u64, u64)> = (1..=8).map(|seq| (0, seq)).collect();
        assert_eq!(wish(&cluster, 3, None, prepared(&whole)), Ok(()));
        let over: Vec<(u64, u64)> = (1..=9).map(|seq| (0, seq)).collect();
        assert_eq!(wish(&cluster, 3, None, prepared(&over)), Err(Reject::BadViewChange));
    }
}

/// V5: far ahead or not, a stable checkpoint needs its certificate.
#[test]
fn a_claimed_checkpoint_needs_its_certificate() {
    for cluster in clusters() {
        let state = digest("state");
        assert_eq!(wish(&cluster, 1, Some(cluster.stable(4_000_000, state)), vec![]), Ok(()));
        let mut few = cluster.checkpoints(&cluster.lowest(), 4_000_000, state);
        few.pop();
        let few = stable_of(Seq(4_000_000), state, few);
        assert_eq!(wish(&cluster, 1, Some(few), vec![]), Err(Reject::BadCertificate));
        let bound = cluster.checkpoints(&cluster.lowest(), 4, state);
        let bound = stable_of(Seq(4_000_000), state, bound);
        assert_eq!(wish(&cluster, 1, Some(bound), vec![]), Err(Reject::BadSignature));
    }
}

/// V3: one bad certificate spoils the view-change that shows it, and no other.
#[test]
fn a_view_change_with_an_invented_certificate_is_refused() {
    for cluster in clusters() {
        let good = cluster.prepared(0, 1, digest("a"));
        let forged: PreparedCertificate = {
            let prepares = cluster.prepares(&cluster.backups(0), 0, 2, digest("b"));
            crate::support::prepared_of(cluster.pre_prepare(0, 2, digest("a")), prepares)
        };
        let verdict = wish(&cluster, 1, None, vec![good.clone(), forged]);
        assert_eq!(verdict, Err(Reject::BadSignature));
        assert_eq!(wish(&cluster, 1, None, vec![good]), Ok(()));
    }
}

/// A quorum's view-changes and the new view that follows from them, to be spoiled.
struct Opening {
    cluster: Cluster,
    view: u64,
    changes: Vec<Signed<ViewChange>>,
    proposals: Vec<(u64, Digest)>,
}

/// In view 3: number 5 was prepared as `a` in view 0 and as `b` in view 2, number 6 by
/// nobody, number 7 as `c`; and 4 is the highest stable checkpoint that anybody shows.
fn opening(n: u16) -> Opening {
    let cluster = Cluster::of(n);
    let (a, b, c) = (digest("a"), digest("b"), digest("c"));
    let mut changes: Vec<Signed<ViewChange>> =
        (0..cluster.quorum()).map(|by| cluster.view_change(by, 3, None, vec![])).collect();
    let (below, five) = (cluster.prepared(0, 3, c), cluster.prepared(0, 5, a));
    changes[0] = cluster.view_change(0, 3, None, vec![below, five]);
    let stable = cluster.stable(4, digest("state"));
    let prepared = vec![cluster.prepared(2, 5, b), cluster.prepared(1, 7, c)];
    changes[1] = cluster.view_change(1, 3, Some(stable), prepared);
    Opening { cluster, view: 3, changes, proposals: vec![(5, b), (6, NULL), (7, c)] }
}

impl Opening {
    fn sign(&self) -> Signed<NewView> {
        self.cluster.new_view(self.view, self.changes.clone(), &self.proposals)
    }

    fn judge(&self) -> Result<(), Reject> {
        self.judge_signed(self.sign())
    }

    fn judge_signed(&self, opening: Signed<NewView>) -> Result<(), Reject> {
        self.cluster.verifier.peer(PeerMessage::NewView(opening, None)).map(drop)
    }
}

/// Spoils a good opening in some way and shows what comes of it.
#[track_caller]
fn spoiled(cause: Reject, spoil: impl Fn(&mut Opening)) {
    for n in [4, 7] {
        let mut opening = opening(n);
        assert_eq!(opening.judge(), Ok(()), "it was good before");
        spoil(&mut opening);
        assert_eq!(opening.judge(), Err(cause), "of {n}");
    }
}

/// V7
#[test]
fn a_new_view_stands_on_exactly_a_quorum_in_order() {
    spoiled(Reject::BadNewView, |opening| drop(opening.changes.pop()));
    spoiled(Reject::BadNewView, |opening| {
        let last = opening.cluster.size() - 1;
        opening.changes.push(opening.cluster.view_change(last, 3, None, vec![]));
    });
    spoiled(Reject::BadNewView, |opening| opening.changes.swap(1, 2));
    spoiled(Reject::BadNewView, |opening| {
        // A quorum only if one is counted twice.
        opening.changes[2] = opening.changes[1].clone();
    });
    spoiled(Reject::BadNewView, |opening| {
        opening.changes.push(opening.changes.last().expect("a quorum").clone());
    });
}

/// V7: a replica counts once, in whatever life it speaks.
#[test]
fn two_lives_of_one_replica_are_not_two_of_a_quorum() {
    spoiled(Reject::BadNewView, |opening| {
        let mut reborn = opening.changes[1].body.clone();
        reborn.by.incarnation = Incarnation(1);
        opening.changes[2] = opening.cluster.sign(reborn);
    });
}

/// V7: neither an older wish nor a newer one is a wish for this view.
#[test]
fn view_changes_for_another_view_do_not_open_this_one() {
    for view in [2, 4, 7] {
        spoiled(Reject::BadNewView, |opening| {
            let by = opening.cluster.quorum() - 1;
            *opening.changes.last_mut().expect("a quorum") =
                opening.cluster.view_change(by, view, None, vec![]);
        });
    }
}

/// V7: what is wrong with a view-change by itself is wrong within a new view.
#[test]
fn a_bad_view_change_spoils_the_new_view() {
    spoiled(Reject::BadSignature, |opening| {
        opening.changes[2].signature.0[0] ^= 1;
    });
    spoiled(Reject::BadSignature, |opening| {
        let body = opening.changes[2].body.clone();
        opening.changes[2] = opening.cluster.sign_as(Author::Replica(ReplicaId(0)), body);
    });
    spoiled(Reject::UnknownAuthor, |opening| {
        let stranger = opening.cluster.stranger();
        *opening.changes.last_mut().expect("a quorum") =
            opening.cluster.view_change(stranger, 3, None, vec![]);
    });
    spoiled(Reject::BadViewChange, |opening| {
        let late = opening.cluster.prepared(3, 1, digest("late"));
        opening.changes[2] = opening.cluster.view_change(2, 3, None, vec![late]);
    });
    spoiled(Reject::BadCertificate, |opening| {
        let few = stable_of(Seq(8), digest("state"), vec![]);
        opening.changes[2] = opening.cluster.view_change(2, 3, Some(few), vec![]);
    });
}

/// V6: what is proposed must follow from the view-changes, all of it and nothing else.
#[test]
fn proposals_that_do_not_follow_are_refused() {
    // The null in the gap is missing, or something stands in its place.
    spoiled(Reject::BadNewView, |opening| {
        opening.proposals.remove(1);
    });
    spoiled(Reject::BadNewView, |opening| opening.proposals[1].1 = digest("a"));
    // The certificate of the lower view is chosen, or nobody's.
    spoiled(Reject::BadNewView, |opening| opening.proposals[0].1 = digest("a"));
    spoiled(Reject::BadNewView, |opening| opening.proposals[0].1 = NULL);
    // The last is left out, or one more follows.
    spoiled(Reject::BadNewView, |opening| {
        opening.proposals.pop();
    });
    spoiled(Reject::BadNewView, |opening| opening.proposals.push((8, NULL)));
    spoiled(Reject::BadNewView, |opening| opening.proposals.push((8, digest("new"))));
    // What lies below the stable checkpoint is proposed again.
    spoiled(Reject::BadNewView, |opening| opening.proposals.insert(0, (3, digest("c"))));
    spoiled(Reject::BadNewView, |opening| opening.proposals.insert(0, (4, NULL)));
    // All of it, in another order, or twice.
    spoiled(Reject::BadNewView, |opening| opening.proposals.swap(0, 2));
    spoiled(Reject::BadNewView, |opening| opening.proposals.insert(0, (5, digest("b"))));
    spoiled(Reject::BadNewView, |opening| opening.proposals.clear());
}

/// V6: the highest stable checkpoint shown decides, whoever shows it.
#[test]
fn leaving_out_the_highest_checkpoint_changes_what_must_follow() {
    spoiled(Reject::BadNewView, |opening| {
        opening.changes[1] = opening.cluster.view_change(1, 3, None, vec![]);
    });
    for n in [4, 7] {
        let mut opening = opening(n);
        opening.changes[1] = opening.cluster.view_change(1, 3, None, vec![]);
        let (a, c) = (digest("a"), digest("c"));
        opening.proposals = vec![(1, NULL), (2, NULL), (3, c), (4, NULL), (5, a)];
        assert_eq!(opening.judge(), Ok(()));
    }
}

/// P7, V6: the proposals are the new primary's, of that view and in that life.
#[test]
fn proposals_of_another_author_view_or_life_are_refused() {
    for n in [4, 7] {
        let opening = opening(n);
        let cluster = &opening.cluster;
        let spoil = |change: &dyn Fn(&mut NewView)| {
            let mut body = opening.sign().body;
            change(&mut body);
            opening.judge_signed(cluster.sign(body))
        };
        let other_author = spoil(&|body| {
            let mut proposal = body.pre_prepares[0].body;
            proposal.by = voter(0);
            body.pre_prepares.0[0] = cluster.sign(proposal);
        });
        assert_eq!(other_author, Err(Reject::BadNewView));
        let other_signer = spoil(&|body| {
            let proposal = body.pre_prepares[0].body;
            body.pre_prepares.0[0] = cluster.sign_as(Author::Replica(ReplicaId(0)), proposal);
        });
        assert_eq!(other_signer, Err(Reject::BadSignature));
        let other_view = spoil(&|body| {
            let mut proposal = body.pre_prepares[0].body;
            proposal.view = View(3 + u64::from(n));
            body.pre_prepares.0[0] = cluster.sign(proposal);
        });
        assert_eq!(other_view, Err(Reject::BadNewView));
        let other_life = spoil(&|body| {
            let mut proposal = body.pre_prepares[0].body;
            proposal.by.incarnation = Incarnation(1);
            body.pre_prepares.0[0] = cluster.sign(proposal);
        });
        assert_eq!(other_life, Err(Reject::BadNewView));
    }
}

/// P7: only the primary of a view opens it, and the first view is open from the start.
#[test]
fn a_new_view_by_anybody_but_its_primary_is_refused() {
    for n in [4, 7] {
        let opening = opening(n);
        for by in (0..n).filter(|by| *by != 3) {
            let mut body = opening.sign().body;
            body.by = voter(by);
            let proposals: List<_> = body
                .pre_prepares
                .iter()
                .map(|one| {
                    let mut proposal = one.body;
                    proposal.by = voter(by);
                    opening.cluster.sign(proposal)
                })
                .collect();
            body.pre_prepares = proposals;
            let signed = opening.cluster.sign(body);
            assert_eq!(opening.judge_signed(signed), Err(Reject::WrongRole));
        }
        let body = opening.sign().body;
        let forged = opening.cluster.sign_as(Author::Replica(ReplicaId(1)), body);
        assert_eq!(opening.judge_signed(forged), Err(Reject::BadSignature));
        let first = opening.cluster.new_view(0, vec![], &[]);
        assert_eq!(opening.judge_signed(first), Err(Reject::BadNewView));
        let far = opening.cluster.new_view(u64::MAX / 2, vec![], &[]);
        assert_eq!(opening.judge_signed(far), Err(Reject::OutOfRange));
    }
}

/// The certificate that excuses a void view-change is checked like any other.
#[test]
fn the_certificate_beside_a_new_view_is_checked() {
    let opening = opening(4);
    let cluster = &opening.cluster;
    let judge =
        |shown| cluster.verifier.peer(PeerMessage::NewView(opening.sign(), Some(shown))).map(drop);
    assert_eq!(judge(cluster.committed(3, 5, digest("b"))), Ok(()));
    let few = crate::support::committed_of(View(3), Seq(5), digest("b"), vec![]);
    assert_eq!(judge(few), Err(Reject::BadCertificate));
    assert_eq!(
        refused(cluster.verifier.peer(PeerMessage::NewView(
            opening.sign(),
            Some(crate::support::committed_of(
                View(3),
                Seq(5),
                digest("b"),
                cluster.commits(&cluster.lowest(), 3, 5, digest("c")),
            ),)
        ))),
        Reject::BadSignature
    );
}

/// The largest new view there can be is as large as the genesis reckons: a cluster that
/// is accepted can send it, and twice over as evidence.
#[test]
fn the_largest_new_view_of_an_accepted_cluster_fits_in_a_message() {
    use quorate::message::genesis::{BadGenesis, Genesis, Parameters};
    use quorate::wire::{MOST_BYTES, encode};
    for cluster in clusters() {
        let (a, window) = (digest("a"), 8);
        let prepared: Vec<_> = (5..5 + window).map(|seq| cluster.prepared(0, seq, a)).collect();
        let stable = cluster.stable(4, digest("state"));
        let changes = (0..cluster.quorum())
            .map(|by| cluster.view_change(by, 1, Some(stable.clone()), prepared.clone()))
            .collect();
        let proposals: Vec<(u64, Digest)> = (5..5 + window).map(|seq| (seq, a)).collect();
        let opening = cluster.new_view(1, changes, &proposals);
        let bytes = encode(&opening).len() as u64;
        assert!(cluster.verifier.peer(PeerMessage::NewView(opening, None)).is_ok());
        // What a window of one more adds to all the view-changes and to the proposals.
        let certificate = encode(&prepared[0]).len() as u64;
        let proposal = encode(prepared[0].proposal()).len() as u64;
        let each = u64::from(cluster.quorum()) * certificate + proposal;
        let largest = (MOST_BYTES as u64 - (64 << 10)) / 2;
        let most_window = window + (largest - bytes) / each;
        let check = |window| {
            let parameters = Parameters { window, ..cluster.genesis.parameters };
            Genesis { parameters, ..Genesis::clone(&cluster.genesis) }.check()
        };
        assert!(check(most_window).is_ok(), "{most_window} fits");
        assert!(matches!(check(most_window + 1), Err(BadGenesis::Parameters(_))));
    }
}
