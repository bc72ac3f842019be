//! The tree's nodes: how they change, and how their digests are formed.
//!
//! A node's digest is kept in the slot that holds the node, not in the node: to hash a
//! branch is then to read one array, however far apart its children lie.

use super::path::{Prefix, Step, Steps, common_nibbles};
use crate::types::{Digest, Seq};
use crate::wire::Blob;
use smallvec::SmallVec;
use std::hint::black_box;
use std::mem;
use std::sync::{Arc, OnceLock};

/// What the tree holds under a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The value.
    pub value: Blob,
    /// The number of the log's entry that last wrote it.
    pub changed: Seq,
}

/// A leaf's key. A short one lies in the leaf: to compare it takes no second look elsewhere.
pub(super) type Key = SmallVec<[u8; 24]>;

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The whole key, so that a leaf is the same wherever in the tree it hangs.
    pub(super) key: Key,
    pub(super) entry: Entry,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Leaf(Arc<Leaf>),
    Branch(Arc<Branch>),
}

/// A place in a branch: the node there, and the node's digest once somebody asked.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) node: Node,
    pub(super) digest: OnceLock<Digest>,
}

/// The keys that begin with the nibbles on the way here and then with the prefix.
#[derive(Debug, Default)]
pub(super) struct Branch {
    /// The latest change, be it a removal, among all the keys that begin so.
    pub(super) changed: Seq,
    pub(super) prefix: Prefix,
    pub(super) steps: Steps,
    /// One for each of the steps, in their order.
    pub(super) slots: Vec<Slot>,
}

const VALUE_TAG: &[u8] = b"quorate tree value";
const LEAF_TAG: &[u8] = b"quorate tree leaf";
const BRANCH_TAG: &[u8] = b"quorate tree branch";

/// The digest of a value, by which a leaf refers to it.
pub(super) fn value_digest(value: &[u8]) -> Digest {
    Digest::of_parts(&[VALUE_TAG, value])
}

/// The digest of a leaf: tag, stamp, length of the key, key, digest of the value.
pub(super) fn leaf_digest(key: &[u8], changed: Seq, value: Digest) -> Digest {
    let (changed, length) = (changed.0.to_le_bytes(), (key.len() as u64).to_le_bytes());
    Digest::of_parts(&[LEAF_TAG, &changed, &length, key, &value.0])
}

/// The digest of a branch: tag, stamp, length of the prefix, its nibbles one to a byte,
/// the set of steps, and the digests of the slots at these steps.
pub(super) fn branch_digest(
    changed: Seq,
    prefix: &Prefix,
    steps: Steps,
    slots: impl Iterator<Item = Digest>,
) -> Digest {
    let mut bytes = Vec::with_capacity(BRANCH_TAG.len() + 20 + prefix.len() + 32 * steps.len());
    bytes.extend_from_slice(BRANCH_TAG);
    bytes.extend_from_slice(&changed.0.to_le_bytes());
    bytes.extend_from_slice(&(prefix.len() as u64).to_le_bytes());
    bytes.extend_from_slice(prefix.nibbles());
    bytes.extend_from_slice(&steps.bits().to_le_bytes());
    slots.for_each(|digest| bytes.extend_from_slice(&digest.0));
    Digest::of(&bytes)
}

impl Leaf {
    fn new(key: &[u8], entry: Entry) -> Arc<Leaf> {
        Arc::new(Leaf { key: key.into(), entry })
    }

    pub(super) fn digest(&self) -> Digest {
        leaf_digest(&self.key, self.entry.changed, value_digest(&self.entry.value))
    }
}

impl Node {
    pub(super) fn is_leaf(&self) -> bool {
        matches!(self, Node::Leaf(_))
    }

    /// The latest change here or below.
    pub(super) fn changed(&self) -> Seq {
        match self {
            Node::Leaf(leaf) => leaf.entry.changed,
            Node::Branch(branch) => branch.changed,
        }
    }

    /// How many hold the node.
    fn holders(&self) -> usize {
        match self {
            Node::Leaf(leaf) => Arc::strong_count(leaf),
            Node::Branch(branch) => Arc::strong_count(branch),
        }
    }

    /// Whether the key's place is here or further below, when they agree up to `depth`.
    fn is_on_the_way(&self, key: &[u8], depth: usize) -> bool {
        match self {
            Node::Leaf(leaf) => *leaf.key == *key,
            Node::Branch(branch) => branch.prefix.order(key, depth).is_eq(),
        }
    }
}

impl Slot {
    /// A slot whose digest is yet to be computed.
    fn new(node: Node) -> Slot {
        Slot { node, digest: OnceLock::new() }
    }

    /// A slot whose digest is known.
    pub(super) fn settled(node: Node, digest: Digest) -> Slot {
        Slot { node, digest: digest.into() }
    }

    /// The digest, of a slot in a branch that is settled.
    pub(super) fn known_digest(&self) -> Digest {
        *self.digest.get().expect("the tree was settled before it was read, and not changed since")
    }

    /// Puts a branch in this place, which holds what was here and a new leaf. Both share
    /// `depth` nibbles, and differ in some that follow.
    fn fork(&mut self, key: &[u8], depth: usize, entry: Entry) {
        let before = self.node.changed();
        let common = match &self.node {
            Node::Leaf(leaf) => common_nibbles(&leaf.key, key, depth),
            Node::Branch(branch) => branch.prefix.common(key, depth),
        };
        let mut fork = Branch {
            changed: before.max(entry.changed),
            prefix: Prefix::of(key, depth, common),
            steps: Steps::default(),
            slots: Vec::new(),
        };
        let leaf = Leaf::new(key, entry);
        let mut old = mem::replace(self, Slot::new(Node::Leaf(leaf.clone())));
        let step = old.sink(depth, common);
        fork.insert(step, old);
        fork.insert(Step::after(key, depth + common), Slot::new(Node::Leaf(leaf)));
        self.node = Node::Branch(Arc::new(fork));
    }

    /// Makes the slot's node one that hangs below a branch with the next `common`
    /// nibbles; returns the step at which.
    fn sink(&mut self, depth: usize, common: usize) -> Step {
        match &mut self.node {
            Node::Leaf(leaf) => Step::after(&leaf.key, depth + common),
            Node::Branch(branch) => {
                let (step, rest) = branch.prefix.split_below(common);
                Arc::make_mut(branch).prefix = rest;
                self.digest.take();
                step
            }
        }
    }

    /// Makes the slot's node one that hangs where its only remaining parent hung.
    fn rise(mut self, parent: &Prefix, step: Step) -> Slot {
        if let Node::Branch(branch) = &mut self.node {
            Arc::make_mut(branch).prefix = parent.join(step, &branch.prefix);
            self.digest.take();
        }
        self
    }
}

impl Clone for Branch {
    fn clone(&self) -> Branch {
        self.touch();
        let Branch { changed, prefix, steps, slots } = self;
        let (changed, prefix, steps) = (*changed, prefix.clone(), *steps);
        Branch { changed, prefix, steps, slots: slots.clone() }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.touch();
    }
}

impl Branch {
    /// The index of the slot at a step.
    pub(super) fn index(&self, step: Step) -> Option<usize> {
        self.steps.contains(step).then(|| self.steps.rank(step))
    }

    /// The slot at a step.
    pub(super) fn slot(&self, step: Step) -> Option<&Slot> {
        self.index(step).map(|index| &self.slots[index])
    }

    /// The slots at this step and after.
    pub(super) fn slots_from(&self, step: Step) -> &[Slot] {
        &self.slots[self.steps.rank(step)..]
    }

    fn insert(&mut self, step: Step, slot: Slot) {
        // Most branches stay as they are once they have formed: no room is kept.
        self.slots.reserve_exact(1);
        self.slots.insert(self.steps.rank(step), slot);
        self.steps.insert(step);
    }

    fn take(&mut self, step: Step) -> Slot {
        let slot = self.slots.remove(self.steps.rank(step));
        self.steps.remove(step);
        slot
    }

    /// Reads the counts of who holds the nodes in the slots, before all of them are counted up or
    /// down. The nodes lie all over the memory: changing one count waits for the one before,
    /// reading does not.
    fn touch(&self) {
        for slot in &self.slots {
            black_box(slot.node.holders());
        }
    }

    fn stamp(&mut self, changed: Seq) {
        self.changed = self.changed.max(changed);
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        let (mut branch, mut depth) = (self, 0);
        loop {
            match &branch.slot(Step::after(key, depth))?.node {
                Node::Leaf(leaf) => return (*leaf.key == *key).then_some(&leaf.entry),
                Node::Branch(child) if child.prefix.order(key, depth + 1).is_eq() => {
                    depth += 1 + child.prefix.len();
                    branch = child;
                }
                Node::Branch(_) => return None,
            }
        }
    }

    /// Puts an entry below the root; returns the one that it replaces.
    pub(super) fn put(&mut self, key: &[u8], entry: Entry) -> Option<Entry> {
        let (mut branch, mut depth) = (self, 0);
        loop {
            branch.stamp(entry.changed);
            let step = Step::after(key, depth);
            let Some(index) = branch.index(step) else {
                branch.insert(step, Slot::new(Node::Leaf(Leaf::new(key, entry))));
                return None;
            };
            let slot = &mut branch.slots[index];
            depth += 1;
            if !slot.node.is_on_the_way(key, depth) {
                slot.fork(key, depth, entry);
                return None;
            }
            slot.digest.take();
            match &mut slot.node {
                Node::Leaf(leaf) => {
                    return Some(mem::replace(&mut Arc::make_mut(leaf).entry, entry));
                }
                Node::Branch(child) => {
                    depth += child.prefix.len();
                    branch = Arc::make_mut(child);
                }
            }
        }
    }

    /// Removes an entry, which must be there, from below the root. A branch left with a
    /// single slot gives its place to what is in it.
    pub(super) fn remove(&mut self, key: &[u8], changed: Seq) -> Blob {
        let (mut branch, mut depth) = (self, 0);
        loop {
            branch.stamp(changed);
            let step = Step::after(key, depth);
            let index = branch.index(step).expect("the key was looked up before");
            let Node::Branch(child) = &branch.slots[index].node else {
                return branch.take(step).into_value();
            };
            depth += 1 + child.prefix.len();
            let step = Step::after(key, depth);
            if child.is_pair_with_leaf(step) {
                let (removed, left) = branch.open(index).break_up(step);
                branch.slots[index] = left;
                return removed.into_value();
            }
            branch = branch.open(index);
        }
    }

    /// The branch in a slot, to be changed.
    fn open(&mut self, index: usize) -> &mut Branch {
        let slot = &mut self.slots[index];
        slot.digest.take();
        match &mut slot.node {
            Node::Branch(branch) => Arc::make_mut(branch),
            Node::Leaf(_) => unreachable!("only branches are opened"),
        }
    }

    /// Whether the branch has two slots, and a leaf in the one at the step.
    fn is_pair_with_leaf(&self, step: Step) -> bool {
        let is_leaf = self.slot(step).is_some_and(|slot| matches!(slot.node, Node::Leaf(_)));
        self.slots.len() == 2 && is_leaf
    }

    /// Takes the slot at the step out of a pair, and then what is left of the branch.
    fn break_up(&mut self, step: Step) -> (Slot, Slot) {
        let removed = self.take(step);
        let other = self.steps.take_first().expect("one of two is left");
        let left = self.slots.pop().expect("one of two is left");
        (removed, left.rise(&self.prefix, other))
    }

    /// The digest. Computes that of every changed node below, children first.
    pub(super) fn settle(&self) -> Digest {
        let mut branches = Vec::new();
        let mut leaves = Vec::with_capacity(LEAVES_AT_ONCE);
        self.list_unsettled(&mut branches, &mut leaves);
        let mut next = 0;
        while let Some((_, branch)) = branches.get(next) {
            branch.list_unsettled(&mut branches, &mut leaves);
            next += 1;
        }
        settle_leaves(&mut leaves);
        for (slot, branch) in branches.iter().rev() {
            slot.digest.get_or_init(|| branch.hash());
        }
        self.hash()
    }

    /// How many leaves there are below.
    pub(super) fn count_leaves(&self) -> usize {
        let (mut open, mut count) = (vec![self], 0);
        while let Some(branch) = open.pop() {
            for slot in &branch.slots {
                match &slot.node {
                    Node::Leaf(_) => count += 1,
                    Node::Branch(child) => open.push(child),
                }
            }
        }
        count
    }

    /// Lists the unsettled branches in the slots, and the leaves, which are settled when
    /// enough are together.
    fn list_unsettled<'a>(
        &'a self,
        branches: &mut Vec<(&'a Slot, &'a Branch)>,
        leaves: &mut Vec<(&'a Slot, &'a Leaf)>,
    ) {
        for slot in self.slots.iter().filter(|slot| slot.digest.get().is_none()) {
            match &slot.node {
                Node::Branch(branch) => branches.push((slot, branch)),
                Node::Leaf(leaf) => leaves.push((slot, leaf)),
            }
            if leaves.len() == LEAVES_AT_ONCE {
                settle_leaves(leaves);
            }
        }
    }

    /// The digest of a branch whose slots are settled.
    pub(super) fn hash(&self) -> Digest {
        let digests = self.slots.iter().map(Slot::known_digest);
        branch_digest(self.changed, &self.prefix, self.steps, digests)
    }
}

/// How many leaves are read before they are hashed.
const LEAVES_AT_ONCE: usize = 64;

/// Settles slots with leaves in them. The leaves lie all over the memory: it is read for
/// many of them at a time, as one at a time most of the time would go into waiting.
fn settle_leaves(leaves: &mut Vec<(&Slot, &Leaf)>) {
    for (_, leaf) in leaves.iter() {
        let value = &leaf.entry.value;
        black_box((leaf.key.first().copied(), value.first().copied(), value.last().copied()));
    }
    for (slot, leaf) in leaves.drain(..) {
        slot.digest.get_or_init(|| leaf.digest());
    }
}

impl Slot {
    /// The value of the leaf that was in the slot.
    fn into_value(self) -> Blob {
        match self.node {
            Node::Leaf(leaf) => leaf.entry.value.clone(),
            Node::Branch(_) => unreachable!("only a leaf is removed"),
        }
    }
}
