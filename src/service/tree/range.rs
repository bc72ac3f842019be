//! Ranges of keys, and the walk over a range.

use super::node::{Branch, Entry, Node, Slot};
use super::path::{Path, Step, common_nibbles, highest_nibbles, is_next_after, nibbles};
use crate::wire::Blob;
use bincode::{Decode, Encode};
use std::cmp::Ordering;

/// The keys from one on up to before another, or without an upper end.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode)]
pub struct KeyRange {
    /// The first key of the range.
    pub from: Blob,
    /// The first key after the range.
    pub until: Option<Blob>,
}

impl KeyRange {
    /// All keys.
    pub fn all() -> KeyRange {
        KeyRange { from: Blob::default(), until: None }
    }

    /// One key alone.
    pub fn single(key: &[u8]) -> KeyRange {
        KeyRange::between(key, &[key, &[0]].concat())
    }

    /// All keys that begin so.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        let until = prefix.iter().rposition(|&byte| byte < 0xff).map(|last| {
            let mut until = prefix[..=last].to_vec();
            until[last] += 1;
            Blob::from(until)
        });
        KeyRange { from: prefix.into(), until }
    }

    /// The keys from one on up to before another.
    pub fn between(from: &[u8], until: &[u8]) -> KeyRange {
        KeyRange { from: from.into(), until: Some(until.into()) }
    }

    /// Whether the key lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.from[..] <= *key && self.is_before_end(key)
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        !self.is_before_end(&self.from)
    }

    /// Whether only one key can lie in the range: its first.
    pub fn is_single(&self) -> bool {
        let until = self.until.as_ref().and_then(|until| until.split_last());
        until.is_some_and(|(&last, rest)| last == 0 && *rest == self.from[..])
    }

    fn is_before_end(&self, key: &[u8]) -> bool {
        self.until.as_ref().is_none_or(|until| *key < until[..])
    }

    /// Whether a key in the path's region may lie in the range. May say so of a few
    /// regions of which it is not true, and then prover and verifier agree on that.
    pub(super) fn may_meet(&self, path: &Path) -> bool {
        let ends_before = || path.order(&self.from) == Ordering::Less;
        let begins_after = |until: &Blob| match path.order(until) {
            Ordering::Less => false,
            Ordering::Equal => path.depth() >= nibbles(until),
            Ordering::Greater => true,
        };
        !self.is_empty() && !ends_before() && !self.until.as_ref().is_some_and(begins_after)
    }

    /// How many of the first key's nibbles all keys that can lie in the range begin with.
    pub(super) fn shared_nibbles(&self) -> usize {
        let Some(until) = &self.until else { return highest_nibbles(&self.from, 0) };
        let common = common_nibbles(&self.from, until, 0);
        if common == nibbles(&self.from) || self.is_empty() {
            return common;
        }
        match is_next_after(until, &self.from, common) {
            true => common + 1 + highest_nibbles(&self.from, common + 1),
            false => common,
        }
    }
}

/// The entries of a range in the order of their keys, found as they are asked for.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    /// What is still to be visited, the next last.
    open: Vec<std::slice::Iter<'a, Slot>>,
    range: KeyRange,
}

impl<'a> Entries<'a> {
    pub(super) fn new(root: &'a Branch, range: &KeyRange) -> Entries<'a> {
        let mut entries = Entries { open: Vec::new(), range: range.clone() };
        entries.seek(root);
        entries
    }

    /// Opens the branches on the way to the range's first key, each from there on.
    fn seek(&mut self, root: &'a Branch) {
        let (mut next, mut depth) = (Some(root), 0);
        while let Some(branch) = next {
            let step = Step::after(&self.range.from, depth);
            let mut slots = branch.slots_from(step).iter();
            next = None;
            if let Some(Slot { node: Node::Branch(child), .. }) = branch.slot(step) {
                let order = child.prefix.order(&self.range.from, depth + 1);
                if order.is_le() {
                    slots.next();
                }
                next = Some(&**child).filter(|_| order.is_eq());
                depth += 1 + child.prefix.len();
            }
            self.open.push(slots);
        }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a Entry);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(slot) = self.open.last_mut()?.next() else {
                self.open.pop();
                continue;
            };
            match &slot.node {
                Node::Branch(branch) => self.open.push(branch.slots.iter()),
                // The one leaf that shares its slot with the range's first key.
                Node::Leaf(leaf) if *leaf.key < self.range.from[..] => {}
                Node::Leaf(leaf) if self.range.is_before_end(&leaf.key) => {
                    return Some((&leaf.key, &leaf.entry));
                }
                Node::Leaf(_) => self.open.clear(),
            }
        }
    }
}
