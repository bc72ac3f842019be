//! The replicated state: an ordered, authenticated tree with snapshots for free.
//!
//! # Structure
//!
//! A radix trie over the nibbles of the keys, sixteen ways at a branch, with paths
//! compressed: a branch says which nibbles it skips (its *prefix*), and, but for the
//! root, holds at least two *slots*. There is a slot for each nibble that comes next in
//! some key, and one before them for the key that ends at the branch. In a slot hangs a
//! leaf (one key, in full) or another branch. The root is a branch without prefix, with
//! any number of slots.
//!
//! The shape follows from the set of keys alone, whatever the order in which they came,
//! so replicas that hold the same content hold the same tree. Its depth is bounded by the
//! length of the longest key ([`MOST_KEY_BYTES`]), whoever chooses the keys. That is why
//! it is neither a treap nor a prolly tree: these draw their balance from hashes of the
//! keys, and a client can try keys until their hashes degenerate the tree. It is keyed by
//! the keys, not by their hashes, so that ranges are together and provable.
//!
//! # Snapshots
//!
//! Nodes are shared between a tree and its clones. A clone is one pointer; a change then
//! copies the nodes on its way that somebody else still holds, and no others. Without
//! clones everything is changed in place.
//!
//! # Stamps
//!
//! A leaf carries the number of the log's entry that last wrote it, a branch that of the
//! latest change, be it a removal, among all keys that begin as the branch says. Hence
//! [`Tree::last_change`]: no key of a range was put or removed after the number it gives.
//! Stamps are under the digests, so who fetches the state gets them verified. When all
//! changes carry the same stamp, the digest says what the content is and nothing about
//! how it came about; only the root of a tree that was emptied keeps that it was.
//!
//! # Digests
//!
//! SHA-256; integers are little-endian and eight bytes long, but for the set of steps,
//! which has four. With `H` the digest of the concatenation:
//!
//! ```text
//! value   H("quorate tree value", value)
//! leaf    H("quorate tree leaf", stamp, length of key, key, digest of value)
//! branch  H("quorate tree branch", stamp, length of prefix, prefix, steps, digests of slots)
//! ```
//!
//! The prefix has one nibble to a byte. The steps are a set of bits: 0 for the key that
//! ends here, `1 + n` for nibble `n`; the digests follow in the same order. A leaf refers
//! to its value by digest so that a proof can show a key without what it holds. The
//! digest of the tree is that of its root; nodes are hashed when somebody asks, once
//! after each change.
//!
//! # Proofs and transfer
//!
//! Both send trees as outlines: nodes in preorder, with digests for what is left out.
//! A [`Proof`] shows the whole content of a range to somebody who knows the digest alone;
//! an empty result proves absence. A [`Part`] is what a replica fetches from another, and
//! an [`Assembly`] puts parts together, checks each on arrival, and uses what the
//! replica's own old tree already has: it asks for what has changed since.
//!
//! Nothing here reads clocks, files or random numbers, and nothing recurses by the depth
//! of a tree except to free it.

mod assembly;
mod build;
mod difference;
mod node;
mod outline;
mod part;
mod path;
mod proof;
mod range;

pub use assembly::{Accepted, Assembly, PartError, Progress};
pub use build::{NoTree, Stamps};
pub use difference::{Changes, Difference};
pub use node::Entry;
pub use outline::Misshapen;
pub use part::Part;
pub use path::{MOST_KEY_BYTES, Path};
pub use proof::{Proof, ProofError};
pub use range::{Entries, KeyRange};

use crate::types::{Digest, Seq};
use crate::wire::Blob;
use node::{Branch, Node};
use path::Step;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The authenticated, ordered map from keys to [`Entry`]s. Cloning it is taking a snapshot.
#[derive(Clone, Default)]
pub struct Tree {
    root: Arc<Branch>,
    digest: OnceLock<Digest>,
    len: usize,
}

impl Tree {
    /// A tree without entries.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is under the key.
    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        self.root.get(key)
    }

    /// Puts a value under the key, as the log's entry `changed` says, and returns the
    /// entry that was there. Stamps never decrease from one change to the next.
    ///
    /// # Panics
    ///
    /// If the key is longer than [`MOST_KEY_BYTES`]: whoever takes keys from clients
    /// refuses such ones before.
    pub fn put(&mut self, key: &[u8], value: Blob, changed: Seq) -> Option<Entry> {
        assert!(key.len() <= MOST_KEY_BYTES, "a key of {} bytes reached the tree", key.len());
        self.digest.take();
        let old = Arc::make_mut(&mut self.root).put(key, Entry { value, changed });
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes what is under the key, as the log's entry `changed` says, and returns its
    /// value. Where there is nothing, nothing changes, stamps included.
    pub fn remove(&mut self, key: &[u8], changed: Seq) -> Option<Blob> {
        self.get(key)?;
        self.digest.take();
        self.len -= 1;
        Some(Arc::make_mut(&mut self.root).remove(key, changed))
    }

    /// The digest of content and stamps. Costs what has changed since the last time.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| self.root.settle())
    }

    /// The entries of the range in the order of their keys. Costs the depth of the tree
    /// and then what is taken.
    pub fn range(&self, range: &KeyRange) -> Entries<'_> {
        Entries::new(&self.root, range)
    }

    /// A number after which no key of the range was put or removed: for a key that is
    /// there the number that wrote it, else the stamp of the deepest branch that all keys
    /// of the range, there or not, would be under. May be later than the last change, as
    /// it may be that of a neighbour; is never earlier.
    pub fn last_change(&self, range: &KeyRange) -> Seq {
        let shared = range.shared_nibbles();
        let (mut branch, mut depth) = (&*self.root, 0);
        loop {
            match branch.slot(Step::after(&range.from, depth)).map(|slot| &slot.node) {
                Some(Node::Leaf(leaf)) if range.is_single() && *leaf.key == range.from[..] => {
                    return leaf.entry.changed;
                }
                Some(Node::Branch(child))
                    if depth + 1 + child.prefix.len() <= shared
                        && child.prefix.order(&range.from, depth + 1).is_eq() =>
                {
                    depth += 1 + child.prefix.len();
                    branch = child;
                }
                _ => return branch.changed,
            }
        }
    }

    /// A proof of all that the range holds, for whoever knows the tree's digest.
    pub fn prove(&self, range: &KeyRange) -> Proof {
        self.prove_within(range, usize::MAX).expect("no memory holds so many bytes")
    }

    /// The same, unless it has more bytes than this.
    pub fn prove_within(&self, range: &KeyRange, most_bytes: usize) -> Option<Proof> {
        self.digest();
        Proof::within(self, range, most_bytes)
    }

    /// The subtree at the path, if there is one that begins exactly there, cut to so many
    /// encoded bytes; what is left out is given by digest. The uppermost node is always
    /// given: a leaf in full, a branch at least with the digests of its slots.
    pub fn part(&self, path: &Path, budget_bytes: usize) -> Option<Part> {
        self.part_since(path, None, budget_bytes)
    }

    /// The same, but that what has not changed since is left out wherever it is, for whoever
    /// has this tree as it was then.
    pub fn part_since(&self, path: &Path, since: Option<Seq>, budget_bytes: usize) -> Option<Part> {
        self.digest();
        Some(Part::new(&self.node_at(path)?, since, budget_bytes))
    }

    /// Whether both trees are the same in memory, not only in content.
    pub fn ptr_eq(&self, other: &Tree) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }

    /// How many nodes of this tree are the same in memory as nodes of the other.
    pub fn shares_with(&self, other: &Tree) -> usize {
        let others: BTreeSet<*const ()> = other.addresses().collect();
        self.addresses().filter(|address| others.contains(address)).count()
    }

    fn addresses(&self) -> impl Iterator<Item = *const ()> {
        let mut open = vec![Node::Branch(self.root.clone())];
        std::iter::from_fn(move || {
            Some(match open.pop()? {
                Node::Leaf(leaf) => Arc::as_ptr(&leaf).cast(),
                Node::Branch(branch) => {
                    open.extend(branch.slots.iter().map(|slot| slot.node.clone()));
                    Arc::as_ptr(&branch).cast()
                }
            })
        })
    }

    /// The tree with this root.
    fn with_root(root: Arc<Branch>, digest: Digest) -> Tree {
        let len = root.count_leaves();
        Tree { root, digest: digest.into(), len }
    }

    /// The node in the slot at the path.
    fn node_at(&self, path: &Path) -> Option<Node> {
        if path.is_root() {
            return Some(Node::Branch(self.root.clone()));
        }
        let (mut branch, mut depth) = (&self.root, 0);
        loop {
            let slot = branch.slot(path.step(depth)?)?;
            depth += 1;
            match &slot.node {
                node if depth == path.depth() => return Some(node.clone()),
                Node::Branch(child) if path.goes_on_with(&child.prefix, depth) => {
                    depth += child.prefix.len();
                    branch = child;
                }
                _ => return None,
            }
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a tree of {} entries", self.len)
    }
}

#[cfg(test)]
mod tests;
