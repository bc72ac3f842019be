//! What changed from one tree to another, found without looking at what they share.
//!
//! Entries are not all of a tree: a branch remembers removals by its stamp. Such a stamp
//! is told as well, where it is later than all that the branch still holds; every other
//! follows from the entries.

use super::node::{Branch, Node, Slot};
use super::path::{Step, nibble, nibbles};
use super::{Entry, Tree};
use crate::types::Seq;
use std::iter;

/// One difference between two trees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference<'a> {
    /// The entry is new, or another than it was.
    Put(&'a [u8], &'a Entry),
    /// The entry is there no more.
    Remove(&'a [u8]),
    /// The branch at the end of these nibbles, one to a byte, has such a stamp now; or
    /// none of its own, or is there no more.
    Stamp(Box<[u8]>, Option<Seq>),
}

/// The differences, found as they are asked for; each key and each branch once.
pub struct Changes<'a> {
    /// What is still to be compared, the next last.
    open: Vec<Pair<'a>>,
    /// What was found out at a branch, beside what is below it.
    found: Option<Difference<'a>>,
}

/// What there is on both sides below one place. Not both are none.
#[derive(Clone, Copy)]
struct Pair<'a> {
    /// How many nibbles of keys lead to the place.
    depth: usize,
    before: Option<Side<'a>>,
    after: Option<Side<'a>>,
}

/// A node, of whose prefix so much lies above the place.
#[derive(Clone, Copy)]
struct Side<'a> {
    node: &'a Node,
    slot: Option<&'a Slot>,
    skipped: usize,
}

impl Tree {
    /// What must be done to `before` to make it this tree, in the order of keys.
    pub fn changes_since<'a>(&'a self, before: &'a Tree) -> Changes<'a> {
        self.digest();
        before.digest();
        let mut changes = Changes { open: Vec::new(), found: None };
        if self.digest() != before.digest() {
            changes.compare_branches(0, &before.root, &self.root);
        }
        changes
    }
}

impl<'a> Side<'a> {
    fn of(slot: &'a Slot) -> Side<'a> {
        Side { node: &slot.node, slot: Some(slot), skipped: 0 }
    }

    /// How keys go on from the place, in all that is below: for a leaf to the key's end.
    fn steps(self, depth: usize) -> impl Iterator<Item = Step> + 'a {
        let (prefix, key): (&[u8], Option<&[u8]>) = match self.node {
            Node::Branch(branch) => (&branch.prefix.nibbles()[self.skipped..], None),
            Node::Leaf(leaf) => (&[], Some(&leaf.key)),
        };
        let ends = key.into_iter().flat_map(move |key| {
            let rest = (depth..nibbles(key)).map(|index| Step::nibble(nibble(key, index)));
            rest.chain(iter::once(Step::END))
        });
        prefix.iter().map(|nibble| Step::nibble(*nibble)).chain(ends)
    }

    /// The same node, seen from so many steps further down.
    fn skip(self, steps: usize) -> Side<'a> {
        Side { slot: None, skipped: self.skipped + steps, ..self }
    }

    fn is_same(self, other: Side) -> bool {
        match (self.slot, other.slot) {
            (Some(one), Some(other)) => one.known_digest() == other.known_digest(),
            _ => false,
        }
    }
}

impl Branch {
    /// The stamp, where it does not follow from what the branch holds.
    pub(super) fn own_stamp(&self) -> Option<Seq> {
        Some(self.changed).filter(|changed| *changed > self.latest_below())
    }

    /// The latest stamp in the slots.
    pub(super) fn latest_below(&self) -> Seq {
        self.slots.iter().map(|slot| slot.node.changed()).max().unwrap_or_default()
    }

    /// The nibbles that lead to the branch's slots, of which there are `depth`.
    fn way(&self, depth: usize) -> Box<[u8]> {
        let mut branch = self;
        loop {
            match branch.slots.first().map(|slot| &slot.node) {
                None => return Box::default(),
                Some(Node::Branch(below)) => branch = below,
                Some(Node::Leaf(leaf)) => {
                    return (0..depth).map(|index| nibble(&leaf.key, index)).collect();
                }
            }
        }
    }
}

impl<'a> Changes<'a> {
    /// Compares two branches that end at the same place: their stamps now, their slots
    /// later.
    fn compare_branches(&mut self, depth: usize, before: &'a Branch, after: &'a Branch) {
        let stamp = after.own_stamp();
        if stamp != before.own_stamp() {
            // Either may be an empty root.
            self.found = Some(Difference::Stamp(after.way(depth), stamp));
        }
        for step in Step::all().rev() {
            let (before, after) = (before.slot(step), after.slot(step));
            let (before, after) = (before.map(Side::of), after.map(Side::of));
            self.push(Pair { depth: depth + 1, before, after });
        }
    }

    fn push(&mut self, pair: Pair<'a>) {
        let is_same = match (pair.before, pair.after) {
            (None, None) => true,
            (Some(before), Some(after)) => before.is_same(after),
            _ => false,
        };
        if !is_same {
            self.open.push(pair);
        }
    }

    fn compare(&mut self, pair: Pair<'a>) -> Option<Difference<'a>> {
        match (pair.before, pair.after) {
            (None, None) => None,
            (Some(side), None) | (None, Some(side)) => {
                self.compare_with_nothing(pair.depth, side, pair.after.is_some())
            }
            (Some(before), Some(after)) => self.compare_both(pair.depth, before, after),
        }
    }

    /// All that is below a node came, or went.
    fn compare_with_nothing(
        &mut self,
        depth: usize,
        side: Side<'a>,
        has_come: bool,
    ) -> Option<Difference<'a>> {
        let branch = match side.node {
            Node::Leaf(leaf) if has_come => return Some(Difference::Put(&leaf.key, &leaf.entry)),
            Node::Leaf(leaf) => return Some(Difference::Remove(&leaf.key)),
            Node::Branch(branch) => branch,
        };
        let depth = depth + branch.prefix.len() - side.skipped;
        for slot in branch.slots.iter().rev() {
            let slot = Some(Side::of(slot));
            let (before, after) = if has_come { (None, slot) } else { (slot, None) };
            self.push(Pair { depth: depth + 1, before, after });
        }
        let stamp = branch.own_stamp()?;
        Some(Difference::Stamp(branch.way(depth), Some(stamp).filter(|_| has_come)))
    }

    fn compare_both(
        &mut self,
        depth: usize,
        before: Side<'a>,
        after: Side<'a>,
    ) -> Option<Difference<'a>> {
        let (mut steps, mut others) = (before.steps(depth), after.steps(depth));
        let mut common = 0;
        loop {
            match (steps.next(), others.next()) {
                (Some(one), Some(other)) if one == other => common += 1,
                (Some(one), Some(other)) => {
                    // They lie apart; the first in the order of keys comes first.
                    let went = Pair { depth, before: Some(before), after: None };
                    let came = Pair { depth, before: None, after: Some(after) };
                    let (first, second) = if one < other { (went, came) } else { (came, went) };
                    self.push(second);
                    self.push(first);
                    return None;
                }
                (None, None) => return self.compare_ends(depth + common, before, after),
                (None, Some(step)) => {
                    let further = after.skip(common + 1);
                    return self.compare_below(depth + common, before, step, further, false);
                }
                (Some(step), None) => {
                    let further = before.skip(common + 1);
                    return self.compare_below(depth + common, after, step, further, true);
                }
            }
        }
    }

    /// Two nodes that end at one place: two branches there, or two leaves of one key.
    fn compare_ends(
        &mut self,
        depth: usize,
        before: Side<'a>,
        after: Side<'a>,
    ) -> Option<Difference<'a>> {
        match (before.node, after.node) {
            (Node::Leaf(before), Node::Leaf(after)) => {
                (before.entry != after.entry).then_some(Difference::Put(&after.key, &after.entry))
            }
            (Node::Branch(before), Node::Branch(after)) => {
                self.compare_branches(depth, before, after);
                self.found.take()
            }
            _ => unreachable!("a leaf's steps end with the key's end, a branch's never do"),
        }
    }

    /// A branch on one side only ends here; on the other side something lies further
    /// down, in the branch's slot at the step.
    fn compare_below(
        &mut self,
        depth: usize,
        side: Side<'a>,
        at: Step,
        further: Side<'a>,
        has_come: bool,
    ) -> Option<Difference<'a>> {
        let Node::Branch(branch) = side.node else {
            unreachable!("nothing lies below the end of a key")
        };
        for step in Step::all().rev() {
            let own = branch.slot(step).map(Side::of);
            let other = Some(further).filter(|_| step == at);
            let (before, after) = if has_come { (other, own) } else { (own, other) };
            self.push(Pair { depth: depth + 1, before, after });
        }
        let stamp = branch.own_stamp()?;
        Some(Difference::Stamp(branch.way(depth), Some(stamp).filter(|_| has_come)))
    }
}

impl<'a> Iterator for Changes<'a> {
    type Item = Difference<'a>;

    fn next(&mut self) -> Option<Difference<'a>> {
        if let Some(found) = self.found.take() {
            return Some(found);
        }
        loop {
            let pair = self.open.pop()?;
            if let Some(change) = self.compare(pair) {
                return Some(change);
            }
        }
    }
}
