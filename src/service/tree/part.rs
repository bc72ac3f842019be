//! Parts of a tree, as one replica fetches them from another.

use super::node::{Branch, Leaf, Node, Slot};
use super::outline::Item;
use crate::types::Seq;
use crate::wire::{Blob, List};
use bincode::{Decode, Encode};

/// A subtree, or the upper nodes of one with digests for what is below, or for what has not
/// changed since a number. Leaves are given with their values in full.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub struct Part {
    pub(super) items: List<Item>,
}

impl Part {
    /// The part that begins with this node of a settled tree.
    ///
    /// It is filled in the order of keys, one branch with all leaves in its slots at a
    /// time, up to the first that finds no room. What is left out is then few subtrees,
    /// each large, and not many single leaves; and all below the first node that has not
    /// changed since.
    pub(super) fn new(node: &Node, since: Option<Seq>, budget_bytes: usize) -> Part {
        let (items, open) = (Vec::new(), Vec::new());
        let mut filler = Filler { items, open, since, left: budget_bytes };
        filler.begin(node);
        while let Some(slots) = filler.open.last_mut() {
            match slots.next() {
                Some(slot) => filler.fill(slot),
                None => drop(filler.open.pop()),
            }
        }
        Part { items: filler.items.into() }
    }

    /// The bytes that the encoding has.
    pub fn encoded_bytes(&self) -> usize {
        8 + self.items.iter().map(Item::encoded_bytes).sum::<usize>()
    }
}

/// A part in the making.
struct Filler<'a> {
    items: Vec<Item>,
    /// The branches on the way: what is left of their slots.
    open: Vec<std::slice::Iter<'a, Slot>>,
    /// What has not changed since is hidden.
    since: Option<Seq>,
    /// The bytes left, when all that is below the open branches is counted as hidden but
    /// for the leaves for which there is room already.
    left: usize,
}

/// What a leaf's or branch's encoding takes beyond that of its digest.
fn surplus(item: &Item) -> usize {
    item.encoded_bytes().saturating_sub(Item::HIDDEN_BYTES)
}

impl<'a> Filler<'a> {
    fn begin(&mut self, node: &'a Node) {
        match node {
            Node::Leaf(leaf) => self.items.push(leaf.item()),
            Node::Branch(branch) => {
                let least = branch.item().encoded_bytes() + branch.slots.len() * Item::HIDDEN_BYTES;
                self.left = self.left.saturating_sub(8 + least);
                self.show(branch);
            }
        }
    }

    fn show(&mut self, branch: &'a Branch) {
        self.items.push(branch.item());
        self.open.push(branch.slots.iter());
    }

    /// Goes on with a slot: shows or hides what is in it.
    fn fill(&mut self, slot: &'a Slot) {
        let is_uppermost = self.open.len() == 1;
        match &slot.node {
            node if !self.has_changed(node) => self.hide(slot),
            // There was room for it when its branch was shown.
            Node::Leaf(leaf) if !is_uppermost => self.items.push(leaf.item()),
            Node::Leaf(leaf) => {
                let bytes = surplus(&leaf.item());
                if self.takes(bytes) { self.items.push(leaf.item()) } else { self.hide(slot) }
            }
            Node::Branch(branch) => {
                let bytes = self.bytes_with_leaves(branch);
                if self.takes(bytes) { self.show(branch) } else { self.close_and_hide(slot) }
            }
        }
    }

    fn has_changed(&self, node: &Node) -> bool {
        self.since.is_none_or(|since| node.changed() > since)
    }

    /// What it takes to show a branch with its leaves instead of its digest.
    fn bytes_with_leaves(&self, branch: &Branch) -> usize {
        let slots = branch.slots.iter().map(|slot| match &slot.node {
            Node::Leaf(leaf) if self.has_changed(&slot.node) => leaf.item().encoded_bytes(),
            Node::Leaf(_) | Node::Branch(_) => Item::HIDDEN_BYTES,
        });
        let bytes = branch.item().encoded_bytes() + slots.sum::<usize>();
        bytes - Item::HIDDEN_BYTES
    }

    /// Uses so many of the bytes left, if there are so many.
    fn takes(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    fn hide(&mut self, slot: &Slot) {
        self.items.push(Item::Hidden(slot.known_digest()));
    }

    /// Hides a branch, and whatever is not promised yet along with it.
    fn close_and_hide(&mut self, slot: &Slot) {
        self.left = 0;
        self.hide(slot);
    }
}

impl Leaf {
    fn item(&self) -> Item {
        let (key, value) = (Blob::from(&*self.key), self.entry.value.clone());
        Item::Leaf { key, changed: self.entry.changed, value }
    }
}

impl Branch {
    /// The branch itself, without what is in its slots.
    pub(super) fn item(&self) -> Item {
        Item::Branch { changed: self.changed, prefix: self.prefix.clone(), steps: self.steps }
    }
}
