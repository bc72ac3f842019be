//! What a new view must start with, computed a second time from the words of the
//! protocol (§ View change), and compared.

use crate::support::{prepared_of, stable_of, voter};
use proptest::prelude::*;
use quorate::crypto::Signature;
use quorate::message::batch::NULL;
use quorate::message::{PrePrepare, PreparedCertificate, Signed, ViewChange, new_view};
use quorate::types::{Digest, Seq, View};
use quorate::wire::List;

/// A view-change by its numbers alone: the stable checkpoint (0 is the genesis), and
/// for each prepared number its view and a letter that stands for the digest.
#[derive(Clone, Debug)]
struct Wish {
    stable: u64,
    prepared: Vec<(u64, u64, u8)>,
}

fn letter(letter: u8) -> Digest {
    Digest([letter; 32])
}

/// Rules of signatures are the verifier's; here there are none.
fn certificate(seq: u64, view: u64, digest: u8) -> PreparedCertificate {
    let (view, seq, digest) = (View(view), Seq(seq), letter(digest));
    let body = PrePrepare { view, seq, digest, by: voter(0) };
    prepared_of(Signed { body, signature: Signature([0; 64]) }, vec![])
}

fn body(by: u16, wish: &Wish) -> ViewChange {
    let stable = (wish.stable > 0).then(|| stable_of(Seq(wish.stable), Digest([0xee; 32]), vec![]));
    let prepared =
        wish.prepared.iter().map(|(seq, view, digest)| certificate(*seq, *view, *digest));
    ViewChange { view: View(100), by: voter(by), stable, prepared: prepared.collect() }
}

/// The words: "`min-s` = the highest stable checkpoint in them, `max-s` = the highest
/// prepared seq. For every seq in between: the digest of the prepared certificate with
/// the highest view, or null."
fn by_the_words(wishes: &[Wish]) -> (u64, Vec<(u64, Digest)>) {
    let mut min = 0;
    let mut max = 0;
    for wish in wishes {
        if wish.stable > min {
            min = wish.stable;
        }
        for (seq, _, _) in &wish.prepared {
            if *seq > max {
                max = *seq;
            }
        }
    }
    let mut chosen = Vec::new();
    let mut seq = min + 1;
    while seq <= max {
        let mut highest: Option<(u64, u8)> = None;
        for wish in wishes {
            for (prepared, view, digest) in &wish.prepared {
                let is_better = match highest {
                    None => true,
                    // Of two digests in one view, which honest quorums never prepare,
                    // the greater, so that all choose alike.
                    Some((best, other)) => *view > best || (*view == best && *digest > other),
                };
                if *prepared == seq && is_better {
                    highest = Some((*view, *digest));
                }
            }
        }
        chosen.push((seq, highest.map_or(NULL, |(_, digest)| letter(digest))));
        seq += 1;
    }
    (min, chosen)
}

fn decide(wishes: &[Wish]) -> (u64, Vec<(u64, Digest)>) {
    let bodies: Vec<ViewChange> = (0..).zip(wishes).map(|(by, wish)| body(by, wish)).collect();
    let outcome = new_view::decide(&bodies);
    (outcome.stable.0, outcome.chosen.into_iter().map(|(seq, digest)| (seq.0, digest)).collect())
}

/// Certificates of one replica: ascending numbers above its checkpoint, with gaps.
fn wish(one_digest_for_each_view: bool) -> impl Strategy<Value = Wish> {
    let step = (1u64..4, 0u64..5, 1u8..4);
    (0u64..5, prop::collection::vec(step, 0..6)).prop_map(move |(checkpoint, steps)| {
        let stable = 4 * checkpoint;
        let mut seq = stable;
        let prepared = steps.into_iter().map(|(gap, view, digest)| {
            seq += gap;
            // In one view and number honest quorums prepare one digest.
            let agreed = u8::try_from((seq * 7 + view * 3) % 5).expect("small") + 1;
            (seq, view, if one_digest_for_each_view { agreed } else { digest })
        });
        Wish { stable, prepared: prepared.collect() }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// V6
    #[test]
    fn the_choice_is_that_of_the_words(
        wishes in prop::collection::vec(wish(true), 0..6),
    ) {
        prop_assert_eq!(decide(&wishes), by_the_words(&wishes));
    }

    /// More than `f` may lie: then nothing is right, but it is wrong everywhere alike.
    #[test]
    fn the_choice_does_not_depend_on_the_order_of_the_view_changes(
        wishes in prop::collection::vec(wish(false), 0..6),
        turn in 0usize..6,
    ) {
        let chosen = decide(&wishes);
        prop_assert_eq!(&chosen, &by_the_words(&wishes));
        let mut turned = wishes;
        let places = turned.len().max(1);
        turned.rotate_left(turn % places);
        prop_assert_eq!(&chosen, &decide(&turned));
        turned.reverse();
        prop_assert_eq!(&chosen, &decide(&turned));
    }
}

#[test]
fn nothing_prepared_is_nothing_chosen() {
    assert_eq!(decide(&[]), (0, vec![]));
    let idle = Wish { stable: 8, prepared: vec![] };
    assert_eq!(decide(&[idle]), (8, vec![]));
}

/// V2, V6: one replica that remembers is enough, whatever the others leave out.
#[test]
fn the_highest_view_decides_and_gaps_are_null() {
    let first = Wish { stable: 0, prepared: vec![(2, 0, 1), (5, 3, 1), (6, 1, 3)] };
    let second = Wish { stable: 4, prepared: vec![(5, 2, 2), (8, 0, 2)] };
    let third = Wish { stable: 0, prepared: vec![] };
    let expected = vec![(5, letter(1)), (6, letter(3)), (7, NULL), (8, letter(2))];
    assert_eq!(decide(&[first, second, third]), (4, expected));
}

#[test]
fn what_lies_at_or_below_the_highest_checkpoint_is_settled() {
    let behind = Wish { stable: 0, prepared: vec![(3, 9, 1), (8, 9, 1)] };
    let ahead = Wish { stable: 8, prepared: vec![] };
    assert_eq!(decide(&[behind.clone(), ahead]), (8, vec![]));
    let at_seven = Wish { stable: 4, prepared: vec![] };
    let (stable, chosen) = decide(&[behind, at_seven]);
    assert_eq!((stable, chosen.len()), (4, 4));
    assert_eq!(List(chosen).last(), Some(&(8, letter(1))));
}
