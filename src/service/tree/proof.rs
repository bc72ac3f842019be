//! Proofs of what a range holds, made from a tree and checked without one.

use super::Tree;
use super::node::{Branch, Node, Slot, value_digest};
use super::outline::{self, Item, Misshapen};
use super::path::Path;
use super::range::KeyRange;
use crate::types::{Digest, Seq};
use crate::wire::{Blob, List};
use bincode::{Decode, Encode};

/// A proof of the whole content of a range: the nodes that the range may lie under, with
/// the values in the range in full, and digests for all else. For each tree and range
/// there is one proof and no other.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Proof {
    pub(super) items: List<Item>,
}

/// Why a proof shows nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError {
    /// No tree has such an outline.
    #[error("not the outline of a tree: {0}")]
    Misshapen(#[from] Misshapen),
    /// It is the proof of another state.
    #[error("the proof is about another state than the one asked for")]
    WrongRoot,
    /// Something in the range may be left out.
    #[error("part of the range is hidden")]
    Hidden,
    /// Something is shown that is not asked for.
    #[error("something outside of the range is shown")]
    Superfluous,
}

impl Proof {
    /// The proof from a settled tree, unless it has more bytes than this. No more of the
    /// tree is looked at than fits.
    pub(super) fn within(tree: &Tree, range: &KeyRange, most_bytes: usize) -> Option<Proof> {
        let (items, open, path) = (Vec::new(), Vec::new(), Path::root());
        let mut maker = Maker { range, items, bytes: 8, open, path };
        maker.show_root(tree);
        while let Some((depth, steps, slots)) = maker.open.last_mut() {
            match (steps.take_first(), slots.next()) {
                (Some(step), Some(slot)) => {
                    maker.path.truncate(*depth);
                    maker.path.push(step);
                    maker.show(slot);
                }
                _ => drop(maker.open.pop()),
            }
            if maker.bytes > most_bytes {
                return None;
            }
        }
        Some(Proof { items: maker.items.into() })
    }

    /// What the range holds in the state with this digest, if the proof shows it: keys
    /// in order, each with its value and the number of the log's entry that wrote it.
    /// Keys of the range that are not among them are not in that state.
    pub fn verify(
        &self,
        root: Digest,
        range: &KeyRange,
    ) -> Result<Vec<(Blob, Blob, Seq)>, ProofError> {
        let mut content = Vec::new();
        outline::walk(&self.items, Path::root(), |path, item| {
            let meets = range.may_meet(path);
            match item {
                Item::Hidden(_) if meets => Err(ProofError::Hidden),
                Item::Hidden(_) => Ok(()),
                _ if !meets => Err(ProofError::Superfluous),
                Item::Neighbour { key, .. } if range.contains(key) => Err(ProofError::Hidden),
                Item::Neighbour { .. } | Item::Branch { .. } => Ok(()),
                Item::Leaf { key, .. } if !range.contains(key) => Err(ProofError::Superfluous),
                Item::Leaf { key, changed, value } => {
                    content.push((key.clone(), value.clone(), *changed));
                    Ok(())
                }
            }
        })?;
        match outline::digests(&self.items)?.first() {
            Some(digest) if *digest == root => Ok(content),
            _ => Err(ProofError::WrongRoot),
        }
    }

    /// The bytes that the encoding has.
    pub fn encoded_bytes(&self) -> usize {
        8 + self.items.iter().map(Item::encoded_bytes).sum::<usize>()
    }
}

/// A proof in the making.
struct Maker<'a> {
    range: &'a KeyRange,
    items: Vec<Item>,
    /// The bytes that the encoding of these has.
    bytes: usize,
    /// The branches on the way: how long the path to their slots is, and what is left.
    open: Vec<(usize, super::path::Steps, std::slice::Iter<'a, Slot>)>,
    path: Path,
}

impl<'a> Maker<'a> {
    fn add(&mut self, item: Item) {
        self.bytes += item.encoded_bytes();
        self.items.push(item);
    }

    fn show_root(&mut self, tree: &'a Tree) {
        match self.range.may_meet(&self.path) {
            true => self.show_branch(&tree.root),
            false => self.add(Item::Hidden(tree.digest())),
        }
    }

    fn show(&mut self, slot: &'a Slot) {
        match &slot.node {
            _ if !self.range.may_meet(&self.path) => {
                self.add(Item::Hidden(slot.known_digest()));
            }
            Node::Branch(branch) => self.show_branch(branch),
            Node::Leaf(leaf) => {
                let (key, changed) = (Blob::from(&*leaf.key), leaf.entry.changed);
                let value = &leaf.entry.value;
                self.add(match self.range.contains(&key) {
                    true => Item::Leaf { key, changed, value: value.clone() },
                    false => Item::Neighbour { key, changed, value: value_digest(value) },
                });
            }
        }
    }

    fn show_branch(&mut self, branch: &'a Branch) {
        self.add(branch.item());
        self.path.extend(&branch.prefix);
        self.open.push((self.path.depth(), branch.steps, branch.slots.iter()));
    }
}
