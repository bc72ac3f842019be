//! Trees made again from what was kept of them: entries, and the stamps that do not follow
//! from these.

use super::node::{Branch, Leaf, Node, Slot};
use super::path::{MOST_KEY_BYTES, Prefix, Step, Steps, common_nibbles, nibble};
use super::{Entry, Tree};
use crate::types::Seq;
use crate::wire::Blob;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The stamps of branches that do not follow from what the branches hold, by the nibbles
/// that lead there, one to a byte.
pub type Stamps = BTreeMap<Box<[u8]>, Seq>;

/// Why entries do not make a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoTree {
    /// The keys are not in their order, or one comes twice.
    #[error("the keys are not in their order")]
    Unsorted,
    /// A key is too long.
    #[error("a key is longer than any may be")]
    TooLong,
}

/// A branch in the making: more slots may come.
struct Open {
    /// How many nibbles lead to its slots.
    depth: usize,
    steps: Steps,
    slots: Vec<Slot>,
}

/// A tree in the making. Its nodes are hashed as they are made, while they are at hand.
struct Builder<'a> {
    stamps: &'a Stamps,
    /// The branches on the way to the last entry, the root first.
    open: Vec<Open>,
    last: Option<Arc<Leaf>>,
    len: usize,
}

impl Tree {
    /// The tree of these entries, in the order of their keys, and stamps.
    pub fn rebuild(
        entries: impl IntoIterator<Item = (Box<[u8]>, Entry)>,
        stamps: &Stamps,
    ) -> Result<Tree, NoTree> {
        let root = Open { depth: 0, steps: Steps::default(), slots: Vec::new() };
        let mut builder = Builder { stamps, open: vec![root], last: None, len: 0 };
        for (key, entry) in entries {
            builder.add(Leaf { key: key[..].into(), entry })?;
        }
        Ok(builder.finish())
    }

    /// The tree that differs from this one by these entries, those that are none being
    /// removed, and has these stamps, of which those at `stamped` may differ. Shares
    /// with this one what did not change.
    pub fn with_changes<'a>(
        &self,
        entries: impl IntoIterator<Item = (Box<[u8]>, Option<Entry>)>,
        stamps: &Stamps,
        stamped: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Tree, NoTree> {
        let mut tree = self.clone();
        tree.digest();
        for (key, entry) in entries {
            if key.len() > MOST_KEY_BYTES {
                return Err(NoTree::TooLong);
            }
            match entry {
                Some(Entry { value, changed }) => drop(tree.put(&key, value, changed)),
                None => drop(tree.remove(&key, Seq::GENESIS)),
            }
        }
        tree.digest.take();
        let root = Arc::make_mut(&mut tree.root);
        stamped.into_iter().for_each(|way| root.unsettle(way));
        root.stamp_unsettled(stamps);
        Ok(tree)
    }
}

impl Builder<'_> {
    fn add(&mut self, leaf: Leaf) -> Result<(), NoTree> {
        if leaf.key.len() > MOST_KEY_BYTES {
            return Err(NoTree::TooLong);
        }
        let leaf = Arc::new(leaf);
        if let Some(last) = self.last.replace(leaf.clone()) {
            if last.key >= leaf.key {
                return Err(NoTree::Unsorted);
            }
            self.close_to(&last, common_nibbles(&last.key, &leaf.key, 0));
        }
        self.len += 1;
        Ok(())
    }

    /// Hangs the leaf where it belongs, when what comes next shares `common` nibbles
    /// with it, and closes the branches that nothing more comes to.
    fn close_to(&mut self, leaf: &Arc<Leaf>, common: usize) {
        let mut slot = Slot::settled(Node::Leaf(leaf.clone()), leaf.digest());
        while let Some(open) = self.open.pop_if(|open| open.depth > common) {
            let above = self.open.last().map_or(0, |above| above.depth).max(common);
            // The branch hangs one step below where the one above it ends.
            slot = self.close(open, leaf, slot, above + 1);
        }
        if self.open.last().is_some_and(|open| open.depth < common) {
            self.open.push(Open { depth: common, steps: Steps::default(), slots: Vec::new() });
        }
        let open = self.open.last_mut().expect("the root stays open to the end");
        open.push(leaf, slot);
    }

    /// Closes a branch, whose last slot this is; `begin` is where its prefix begins.
    fn close(&self, mut open: Open, leaf: &Leaf, slot: Slot, begin: usize) -> Slot {
        open.push(leaf, slot);
        let prefix = Prefix::of(&leaf.key, begin, open.depth - begin);
        let way = || (0..open.depth).map(|index| nibble(&leaf.key, index)).collect();
        let branch = self.branch(open.steps, open.slots, prefix, way);
        let digest = branch.hash();
        Slot::settled(Node::Branch(Arc::new(branch)), digest)
    }

    fn branch(
        &self,
        steps: Steps,
        slots: Vec<Slot>,
        prefix: Prefix,
        way: impl Fn() -> Box<[u8]>,
    ) -> Branch {
        let mut branch = Branch { changed: Seq::GENESIS, prefix, steps, slots };
        let own = match self.stamps.is_empty() {
            true => None,
            false => self.stamps.get(&way()),
        };
        branch.changed = own.copied().unwrap_or_else(|| branch.latest_below());
        branch.slots.shrink_to_fit();
        branch
    }

    fn finish(mut self) -> Tree {
        if let Some(last) = self.last.take() {
            self.close_to(&last, 0);
        }
        let root = self.open.pop().expect("the root stays open to the end");
        let root = self.branch(root.steps, root.slots, Prefix::default(), Box::default);
        Tree { root: Arc::new(root), digest: Default::default(), len: self.len }
    }
}

impl Open {
    /// Takes the last slot, in which the leaf is.
    fn push(&mut self, leaf: &Leaf, slot: Slot) {
        self.steps.insert(Step::after(&leaf.key, self.depth));
        self.slots.push(slot);
    }
}

impl Branch {
    /// Forgets the digests on the way to the branch at the end of these nibbles.
    fn unsettle(&mut self, way: &[u8]) {
        let (mut branch, mut depth) = (self, 0);
        while let Some(next) = way.get(depth).filter(|nibble| **nibble <= 0xf) {
            let Some(index) = branch.index(Step::nibble(*next)) else { return };
            let slot = &mut branch.slots[index];
            let Node::Branch(child) = &mut slot.node else { return };
            depth += 1 + child.prefix.len();
            slot.digest.take();
            branch = Arc::make_mut(child);
        }
    }

    /// Gives every branch that is not settled the stamp that is listed for it, or the
    /// latest of what it holds.
    fn stamp_unsettled(&mut self, stamps: &Stamps) {
        let found = self.unsettled_stamps(stamps);
        let (mut found, mut open) = (found.into_iter(), vec![self]);
        while let Some(branch) = open.pop() {
            branch.changed = found.next().expect("as many as were found, in the same order");
            let unsettled = branch.slots.iter_mut().filter(|slot| slot.digest.get().is_none());
            open.extend(unsettled.filter_map(|slot| match &mut slot.node {
                Node::Branch(branch) => Some(Arc::make_mut(branch)),
                Node::Leaf(_) => None,
            }));
        }
    }

    /// The stamps of the branches that are not settled, each before what is below it.
    fn unsettled_stamps(&self, stamps: &Stamps) -> Vec<Seq> {
        let mut found: Vec<(Seq, usize)> = Vec::new();
        let mut own: Vec<bool> = Vec::new();
        let mut open: Vec<(&Branch, usize, Vec<u8>)> = vec![(self, 0, Vec::new())];
        while let Some((branch, above, way)) = open.pop() {
            let index = found.len();
            let listed = stamps.get(&way[..]).copied();
            own.push(listed.is_some());
            found.push((listed.unwrap_or_default(), above));
            for (step, slot) in branch.steps.zip(&branch.slots) {
                match &slot.node {
                    Node::Branch(below) if slot.digest.get().is_none() => {
                        let mut way = way.clone();
                        way.extend(step.as_nibble());
                        way.extend_from_slice(below.prefix.nibbles());
                        open.push((below, index, way));
                    }
                    node if listed.is_none() => found[index].0 = found[index].0.max(node.changed()),
                    _ => {}
                }
            }
        }
        for index in (1..found.len()).rev() {
            let (stamp, above) = found[index];
            if !own[above] {
                found[above].0 = found[above].0.max(stamp);
            }
        }
        found.into_iter().map(|(stamp, _)| stamp).collect()
    }
}

/// An entry as it is kept: its stamp, then its value.
impl Entry {
    /// Adds the bytes to keep.
    pub fn keep_in(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.changed.0.to_le_bytes());
        bytes.extend_from_slice(&self.value);
    }

    /// How many these are; never none.
    pub fn kept_bytes(&self) -> usize {
        size_of::<Seq>() + self.value.len()
    }

    /// The entry that was kept in these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Entry> {
        let (changed, value) = bytes.split_first_chunk::<8>()?;
        Some(Entry { value: Blob::from(value), changed: Seq(u64::from_le_bytes(*changed)) })
    }
}
