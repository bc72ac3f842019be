//! The fetching side of a transfer: a tree put together from parts, each checked when it
//! arrives, and from what is already at hand.

use super::node::{Branch, Leaf, Node, Slot};
use super::outline::{self, Item, Misshapen};
use super::part::Part;
use super::path::{Path, Prefix, Steps};
use super::{Entry, Tree};
use crate::types::{Digest, Seq};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// How large a part to ask for where something is at hand that may prove to be most of
/// it, nobody knows since when: enough for a branch and the leaves in its slots.
const COMPARING_BYTES: usize = 4096;

/// A branch has at most so many slots.
const MOST_SLOTS: usize = 17;

/// A tree with a known digest in the making.
///
/// Whatever is in it was found to be in the tree with that digest: digests are compared
/// from the root down, and what is at hand is used only where its digest is the one
/// wanted.
#[derive(Clone, Debug)]
pub struct Assembly {
    target: Digest,
    /// The subtrees of which only the digest is known.
    missing: BTreeMap<Path, Missing>,
    /// The branches some of whose slots are not complete.
    open: BTreeMap<Path, Open>,
    /// What was at hand or fetched before and has found no use yet.
    spare: BTreeMap<Path, Spare>,
    /// The number of the last change in what was at hand at first, if that is an earlier
    /// state of the same history.
    earlier: Option<Seq>,
    complete: Option<Arc<Branch>>,
    parts: u64,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Missing {
    digest: Digest,
    /// How much of the path is that of the branch above.
    above: usize,
}

/// A branch without its slots.
#[derive(Clone, Debug)]
struct Head {
    changed: Seq,
    prefix: Prefix,
    steps: Steps,
}

#[derive(Clone, Debug)]
struct Open {
    digest: Digest,
    head: Head,
    /// How much of the path is that of the branch above.
    above: usize,
    slots: Vec<(Digest, Option<Node>)>,
    /// How many slots have nothing in them.
    empty: usize,
}

/// Something at hand: no other spare piece is below one that is complete.
#[derive(Clone, Debug)]
struct Spare {
    digest: Digest,
    piece: Piece,
}

#[derive(Clone, Debug)]
enum Piece {
    /// A complete subtree.
    Whole(Node),
    /// A branch whose subtrees may or may not be at hand.
    Head(Head, Vec<Digest>),
}

/// What came of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// The bytes of the part.
    pub bytes: usize,
    /// The entries in it.
    pub entries: usize,
}

/// How far a transfer has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The parts accepted.
    pub parts: u64,
    /// The bytes accepted.
    pub bytes: u64,
    /// The subtrees known to be missing. What is below them is not known.
    pub missing: usize,
}

/// Why a part was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PartError {
    /// Nothing is missing at that path, or not any more.
    #[error("nothing is missing at that path")]
    Unrequested,
    /// The part is not of the tree wanted.
    #[error("the part has another digest than the one wanted")]
    WrongDigest,
    /// No tree has such a part there.
    #[error("not the outline of a subtree: {0}")]
    Misshapen(#[from] Misshapen),
    /// The part gives a digest, but not the node that was asked for.
    #[error("the part is without content")]
    Hollow,
    /// The part gives the digest of a value in the value's place.
    #[error("a leaf without its value")]
    WithoutValue,
}

impl Assembly {
    /// Begins to put together the tree with the digest `target`. `base` is the tree at
    /// hand: what it has in common with the other is not fetched.
    pub fn new(target: Digest, base: Tree) -> Assembly {
        Assembly::with(target, base, None)
    }

    /// The same, where the tree wanted is what became of the one at hand: what has not
    /// changed since need not even be compared. Should that be wrong, more is asked for.
    pub fn later(target: Digest, base: Tree) -> Assembly {
        let changed = base.root.changed;
        Assembly::with(target, base, Some(changed))
    }

    fn with(target: Digest, base: Tree, earlier: Option<Seq>) -> Assembly {
        let piece = Piece::Whole(Node::Branch(base.root.clone()));
        let spare = Spare { digest: base.digest(), piece };
        Assembly::begin(target, BTreeMap::from([(Path::root(), spare)]), earlier)
    }

    fn begin(target: Digest, spare: BTreeMap<Path, Spare>, earlier: Option<Seq>) -> Assembly {
        let mut assembly = Assembly {
            target,
            missing: BTreeMap::new(),
            open: BTreeMap::new(),
            spare,
            earlier,
            complete: None,
            parts: 0,
            bytes: 0,
        };
        assembly.look_for(Path::root(), 0, target);
        assembly
    }

    /// The first missing subtrees in the order of keys, at most so many: where they begin
    /// and what their digests are. They are wanted until they are accepted.
    pub fn wanted(&self, limit: usize) -> Vec<(Path, Digest)> {
        let missing = self.missing.iter().take(limit);
        missing.map(|(path, missing)| (path.clone(), missing.digest)).collect()
    }

    /// What part to ask for at a wanted path, if parts may have `most` bytes: what changed
    /// since which number, and how large. Where much of the region may be at hand already,
    /// and nobody knows since when, small parts find that out.
    pub fn question(&self, path: &Path, most: usize) -> (Option<Seq>, usize) {
        let here = self.spare.get(path).map(|spare| &spare.piece);
        match (here, self.earlier) {
            (Some(Piece::Whole(node)), Some(_)) => (Some(node.changed()), most),
            (Some(Piece::Whole(Node::Leaf(_))), None) => (None, most),
            _ if self.at_hand_below(path).next().is_none() => (None, most),
            // Much of it was fetched, and nobody knows which.
            (_, earlier) => (earlier, most.min(COMPARING_BYTES)),
        }
    }

    /// What is at hand in the path's region.
    fn at_hand_below(&self, path: &Path) -> impl Iterator<Item = (&Path, &Spare)> {
        let from = self.spare.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
        from.take_while(move |(spare, _)| path.leads_to(spare))
    }

    /// Takes a part in, if it is what is missing at the path. Else nothing changes.
    pub fn accept(&mut self, path: &Path, part: Part) -> Result<Accepted, PartError> {
        let wanted = self.missing.get(path).ok_or(PartError::Unrequested)?;
        require_content(path, &part)?;
        let digests = outline::digests(&part.items)?;
        if digests.first() != Some(&wanted.digest) {
            return Err(PartError::WrongDigest);
        }
        let above = wanted.above;
        self.missing.remove(path);
        self.plant(path, above, &part, &digests);
        let accepted = Accepted {
            bytes: part.encoded_bytes(),
            entries: part.items.iter().filter(|item| matches!(item, Item::Leaf { .. })).count(),
        };
        self.parts += 1;
        self.bytes += accepted.bytes as u64;
        Ok(accepted)
    }

    /// Whether what was at hand at first is taken for an earlier state.
    #[cfg(test)]
    pub(in crate::service) fn trusts_base(&self) -> bool {
        self.earlier.is_some()
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.complete.is_some()
    }

    /// The tree, if it is complete. Shares with the base what was taken from it.
    #[expect(clippy::result_large_err, reason = "nothing failed: it is handed back to go on with")]
    pub fn finish(self) -> Result<Tree, Assembly> {
        match &self.complete {
            Some(root) => Ok(Tree::with_root(root.clone(), self.target)),
            None => Err(self),
        }
    }

    /// Goes for another tree instead. What was fetched as a whole and is in that tree too is
    /// not fetched again.
    pub fn retarget(self, target: Digest) -> Assembly {
        let Assembly { open, spare, earlier, complete, parts, bytes, target: former, .. } = self;
        let mut spare = spare;
        if let Some(root) = complete {
            spare.clear();
            let piece = Piece::Whole(Node::Branch(root));
            spare.insert(Path::root(), Spare { digest: former, piece });
        }
        for (path, open) in open {
            open.save(path, &mut spare);
        }
        Assembly { parts, bytes, ..Assembly::begin(target, spare, earlier) }
    }

    /// What was done, and what is known to be left.
    pub fn progress(&self) -> Progress {
        Progress { parts: self.parts, bytes: self.bytes, missing: self.missing.len() }
    }

    /// Takes in the items of a part that was found to be right for the path, of which so
    /// much is that of the branch above.
    fn plant(&mut self, path: &Path, above: usize, part: &Part, digests: &[Digest]) {
        // How long the paths of the opened branches are on the way to the item.
        let mut parents: Vec<usize> = Vec::new();
        // The same of the last subtree that was at hand as a whole.
        let mut found: Option<usize> = None;
        let mut digests = digests.iter();
        let walked = outline::walk(&part.items, path.clone(), |path, item| {
            let digest = *digests.next().expect("there is a digest for each item");
            found = found.filter(|found| path.depth() > *found);
            if found.is_some() {
                return Ok::<(), Misshapen>(());
            }
            while parents.last().is_some_and(|parent| path.depth() <= *parent) {
                parents.pop();
            }
            let above = parents.last().copied().unwrap_or(above);
            self.note(path, above, digest);
            match self.plant_item(path.clone(), above, item, digest) {
                Planted::Open => parents.push(path.depth()),
                Planted::Whole => found = Some(path.depth()),
            }
            Ok(())
        });
        walked.expect("the part was walked before");
    }

    /// Takes in one item; those that are below it come next.
    fn plant_item(&mut self, path: Path, above: usize, item: &Item, digest: Digest) -> Planted {
        match item {
            Item::Hidden(_) => self.look_for_hidden(path, above, digest),
            Item::Neighbour { .. } => unreachable!("such parts were refused"),
            Item::Leaf { key, changed, value } => {
                let entry = Entry { value: value.clone(), changed: *changed };
                let leaf = Leaf { key: key[..].into(), entry };
                self.place(path, above, Node::Leaf(Arc::new(leaf)));
            }
            Item::Branch { changed, prefix, steps } => match self.take_spare(&path, digest) {
                Some(Piece::Whole(node)) => self.place(path, above, node),
                Some(Piece::Head(..)) | None => {
                    self.break_up(&path);
                    let (changed, prefix, steps) = (*changed, prefix.clone(), *steps);
                    let slots = vec![Digest::default(); steps.len()];
                    self.open_branch(path, above, digest, Head { changed, prefix, steps }, slots);
                    return Planted::Open;
                }
            },
        }
        Planted::Whole
    }

    /// Looks for what a part leaves out. Below a branch that has not changed since, all must
    /// be at hand; else what was at hand at first is no earlier state.
    fn look_for_hidden(&mut self, path: Path, above: usize, digest: Digest) {
        let (missing, parent) = (self.missing.len(), path.up_to(above));
        self.look_for(path, above, digest);
        let is_new =
            |branch: &Open| self.earlier.is_none_or(|earlier| branch.head.changed > earlier);
        if self.missing.len() > missing && !self.open.get(&parent).is_some_and(is_new) {
            self.earlier = None;
        }
    }

    /// Puts what is at hand in the slot at the path, or lists it as missing.
    fn look_for(&mut self, path: Path, above: usize, digest: Digest) {
        let mut sought = vec![(path, above, digest)];
        while let Some((path, above, digest)) = sought.pop() {
            match self.take_spare(&path, digest) {
                None => drop(self.missing.insert(path, Missing { digest, above })),
                Some(Piece::Whole(node)) => self.place(path, above, node),
                Some(Piece::Head(head, digests)) => {
                    let below = head.steps.zip(&digests).map(|(step, digest)| {
                        (path.below(&head.prefix, step), path.depth(), *digest)
                    });
                    sought.extend(below);
                    self.open_branch(path, above, digest, head, digests);
                }
            }
        }
    }

    /// Puts a branch with empty slots in the slot at the path.
    fn open_branch(
        &mut self,
        path: Path,
        above: usize,
        digest: Digest,
        head: Head,
        slots: Vec<Digest>,
    ) {
        if slots.is_empty() {
            return self.place(path, above, Node::Branch(head.into_branch(Vec::new())));
        }
        let empty = slots.len();
        let slots = slots.into_iter().map(|digest| (digest, None)).collect();
        self.open.insert(path, Open { digest, head, above, slots, empty });
    }

    /// Notes the digest of a slot in a branch that was opened before.
    fn note(&mut self, path: &Path, above: usize, digest: Digest) {
        if let Some(open) = self.open.get_mut(&path.up_to(above)).filter(|_| !path.is_root()) {
            open.slot_mut(path, above).0 = digest;
        }
    }

    /// Puts a complete subtree in the slot at the path. Branches that are complete by
    /// that are put in theirs.
    fn place(&mut self, mut path: Path, mut above: usize, mut node: Node) {
        while !path.is_root() {
            let parent = path.up_to(above);
            let open = self.open.get_mut(&parent).expect("what is placed has an open parent");
            open.slot_mut(&path, above).1 = Some(node);
            open.empty -= 1;
            if open.empty > 0 {
                return;
            }
            let open = self.open.remove(&parent).expect("it was just there");
            path = parent;
            above = open.above;
            node = open.into_node();
        }
        match node {
            Node::Branch(root) => self.complete = Some(root),
            Node::Leaf(_) => unreachable!("a leaf at the root is refused"),
        }
    }

    /// Takes the piece with this digest from what is at hand, if it is at the path. Pieces on
    /// the way there are broken up. One with another digest stays until it is known what is
    /// there instead.
    fn take_spare(&mut self, path: &Path, digest: Digest) -> Option<Piece> {
        loop {
            let near = self.spare.range::<Path, _>(..=path).next_back();
            let (near, spare) = near.filter(|(near, _)| near.leads_to(path)).unzip();
            match (near, spare) {
                (Some(near), Some(spare)) if near == path => {
                    if spare.digest == digest {
                        return self.spare.remove(path).map(|spare| spare.piece);
                    }
                    return self.take_moved_leaf(path, digest);
                }
                (Some(near), Some(Spare { piece: Piece::Whole(_), .. })) => {
                    let near = near.clone();
                    self.break_up(&near);
                }
                _ => return self.take_moved_leaf(path, digest),
            }
        }
    }

    /// A leaf hangs where its key parts from others: higher or lower, if these have changed.
    fn take_moved_leaf(&mut self, path: &Path, digest: Digest) -> Option<Piece> {
        if let Some(Spare { piece: Piece::Whole(Node::Branch(branch)), .. }) = self.spare.get(path)
        {
            let is_it = |slot: &&Slot| slot.node.is_leaf() && slot.known_digest() == digest;
            return branch.slots.iter().find(is_it).map(|slot| Piece::Whole(slot.node.clone()));
        }
        let is_it = |spare: &Spare| {
            spare.digest == digest && matches!(&spare.piece, Piece::Whole(node) if node.is_leaf())
        };
        let found = self.at_hand_below(path).take(MOST_SLOTS).find(|(_, spare)| is_it(spare));
        let leaf = found.map(|(path, _)| path.clone())?;
        self.spare.remove(&leaf).map(|spare| spare.piece)
    }

    /// Breaks a piece up that is not wanted as a whole: what is below it may find a use.
    fn break_up(&mut self, path: &Path) {
        match self.spare.remove(path) {
            Some(Spare { piece: Piece::Whole(Node::Branch(branch)), .. }) => {
                self.spare_slots(path, &branch);
            }
            Some(Spare { piece: Piece::Whole(Node::Leaf(leaf)), digest }) => {
                let piece = Piece::Whole(Node::Leaf(leaf.clone()));
                self.spare.insert(Path::to_key(&leaf.key), Spare { digest, piece });
            }
            Some(Spare { piece: Piece::Head(..), .. }) | None => {}
        }
    }

    fn spare_slots(&mut self, path: &Path, branch: &Branch) {
        for (step, slot) in branch.steps.zip(&branch.slots) {
            let piece = Piece::Whole(slot.node.clone());
            let spare = Spare { digest: slot.known_digest(), piece };
            self.spare.insert(path.below(&branch.prefix, step), spare);
        }
    }
}

/// What became of an item.
enum Planted {
    /// It is a branch that waits for what is in its slots.
    Open,
    /// Nothing that comes below it is needed.
    Whole,
}

/// Refuses what has not the shape of a part at the path, or gives digests where nodes
/// are asked for. Keeps nothing: so far anybody may have made the part.
fn require_content(path: &Path, part: &Part) -> Result<(), PartError> {
    if let Some(Item::Hidden(_)) = part.items.first() {
        return Err(PartError::Hollow);
    }
    outline::walk(&part.items, path.clone(), |_, item| match item {
        Item::Neighbour { .. } => Err(PartError::WithoutValue),
        Item::Hidden(_) | Item::Leaf { .. } | Item::Branch { .. } => Ok(()),
    })
}

impl Head {
    fn into_branch(self, slots: Vec<Slot>) -> Arc<Branch> {
        let Head { changed, prefix, steps } = self;
        Arc::new(Branch { changed, prefix, steps, slots })
    }
}

impl Open {
    /// The slot at the path, which goes on from this branch's own.
    fn slot_mut(&mut self, path: &Path, own_depth: usize) -> &mut (Digest, Option<Node>) {
        let step = path.step(own_depth + self.head.prefix.len());
        let step = step.expect("the path of a slot is longer than that of its branch");
        &mut self.slots[self.head.steps.rank(step)]
    }

    /// The branch, when all its slots are complete.
    fn into_node(self) -> Node {
        let slots = self
            .slots
            .into_iter()
            .map(|(digest, node)| Slot::settled(node.expect("no slot is empty any more"), digest));
        Node::Branch(self.head.into_branch(slots.collect()))
    }

    /// Keeps the branch, and what is complete in it, as something at hand.
    fn save(self, path: Path, spare: &mut BTreeMap<Path, Spare>) {
        let mut digests = Vec::with_capacity(self.slots.len());
        for (step, (digest, node)) in self.head.steps.zip(self.slots) {
            digests.push(digest);
            if let Some(node) = node {
                let below = path.below(&self.head.prefix, step);
                clear_region(&below, spare);
                spare.insert(below, Spare { digest, piece: Piece::Whole(node) });
            }
        }
        spare.insert(path, Spare { digest: self.digest, piece: Piece::Head(self.head, digests) });
    }
}

/// Drops all pieces in the path's region: a complete one takes their place.
fn clear_region(path: &Path, spare: &mut BTreeMap<Path, Spare>) {
    loop {
        let mut region = spare.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
        match region.next() {
            Some((other, _)) if path.leads_to(other) => {
                let other = other.clone();
                spare.remove(&other);
            }
            _ => return,
        }
    }
}
