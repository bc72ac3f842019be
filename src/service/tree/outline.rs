//! Trees as they travel: nodes in preorder, with digests for what is left out. What
//! arrives is checked here for its shape, without recursion and in memory proportional
//! to its bytes.

use super::node::{branch_digest, leaf_digest, value_digest};
use super::path::{MOST_KEY_BYTES, Path, Prefix, Step, Steps};
use crate::types::{Digest, Seq};
use crate::wire::Blob;
use bincode::{Decode, Encode};

/// A node of an outline. A branch is followed by one item for each of its steps.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(super) enum Item {
    /// A subtree that is left out.
    Hidden(Digest),
    /// A leaf without its value.
    Neighbour { key: Blob, changed: Seq, value: Digest },
    /// A leaf.
    Leaf { key: Blob, changed: Seq, value: Blob },
    /// A branch.
    Branch { changed: Seq, prefix: Prefix, steps: Steps },
}

impl Item {
    /// The bytes that the encoding of a hidden item has: a tag and a digest.
    pub(super) const HIDDEN_BYTES: usize = 4 + 32;

    /// The bytes that the encoding has.
    pub(super) fn encoded_bytes(&self) -> usize {
        match self {
            Item::Hidden(_) => Item::HIDDEN_BYTES,
            Item::Neighbour { key, .. } => 4 + 8 + key.len() + 8 + 32,
            Item::Leaf { key, value, .. } => 4 + 8 + key.len() + 8 + 8 + value.len(),
            Item::Branch { prefix, .. } => 4 + 8 + 8 + prefix.len() + 4,
        }
    }
}

/// Why an outline is not that of any tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Misshapen {
    /// There are more items, or fewer, than the branches have slots.
    #[error("the items do not match the slots of the branches")]
    WrongCount,
    /// The root is not a branch without prefix.
    #[error("the root is not a branch without prefix")]
    NotARoot,
    /// A branch other than the root has fewer than two slots.
    #[error("a branch has fewer than two slots")]
    Needless,
    /// A branch lies deeper than any key reaches, or ends a key between two nibbles.
    #[error("a branch lies where no key leads")]
    Astray,
    /// A leaf hangs where its key does not lead, or a branch where a key ends.
    #[error("a node hangs where its keys do not lead")]
    Misplaced,
}

/// The digests of all items, each that of the subtree that it begins.
pub(super) fn digests(items: &[Item]) -> Result<Vec<Digest>, Misshapen> {
    let mut digests = vec![Digest::default(); items.len()];
    // From the last to the first: the subtrees that no branch has claimed yet, the
    // foremost last.
    let mut loose: Vec<usize> = Vec::new();
    for (index, item) in items.iter().enumerate().rev() {
        digests[index] = match item {
            Item::Hidden(digest) => *digest,
            Item::Neighbour { key, changed, value } => leaf_digest(key, *changed, *value),
            Item::Leaf { key, changed, value } => leaf_digest(key, *changed, value_digest(value)),
            Item::Branch { changed, prefix, steps } => {
                let rest = loose.len().checked_sub(steps.len()).ok_or(Misshapen::WrongCount)?;
                let slots = loose[rest..].iter().rev().map(|&slot| digests[slot]);
                let digest = branch_digest(*changed, prefix, *steps, slots);
                loose.truncate(rest);
                digest
            }
        };
        loose.push(index);
    }
    if loose.len() == 1 { Ok(digests) } else { Err(Misshapen::WrongCount) }
}

/// Shows each item with the path at which it stands, beginning at `path`, once it has
/// been found to be one that may stand there. Ends with the first error.
pub(super) fn walk<'a, E: From<Misshapen>>(
    items: &'a [Item],
    mut path: Path,
    mut visit: impl FnMut(&Path, &'a Item) -> Result<(), E>,
) -> Result<(), E> {
    // The branches on the way: how long the path to their slots is, and the steps left.
    let mut open: Vec<(usize, Steps)> = Vec::new();
    let mut is_over = false;
    for item in items {
        if is_over {
            return Err(Misshapen::WrongCount.into());
        }
        require_place(&path, item)?;
        visit(&path, item)?;
        if let Item::Branch { prefix, steps, .. } = item {
            path.extend(prefix);
            open.push((path.depth(), *steps));
        }
        is_over = !go_on(&mut path, &mut open);
    }
    if is_over { Ok(()) } else { Err(Misshapen::WrongCount.into()) }
}

/// Moves the path to the next slot, if there is one.
fn go_on(path: &mut Path, open: &mut Vec<(usize, Steps)>) -> bool {
    while let Some((depth, steps)) = open.last_mut() {
        if let Some(step) = steps.take_first() {
            path.truncate(*depth);
            path.push(step);
            return true;
        }
        open.pop();
    }
    false
}

/// Refuses an item that stands where no tree has such a one.
fn require_place(path: &Path, item: &Item) -> Result<(), Misshapen> {
    match item {
        Item::Hidden(_) => Ok(()),
        Item::Neighbour { .. } | Item::Leaf { .. } if path.is_root() => Err(Misshapen::NotARoot),
        Item::Neighbour { key, .. } | Item::Leaf { key, .. } => {
            let leads_here = key.len() <= MOST_KEY_BYTES && path.order(key).is_eq();
            if leads_here { Ok(()) } else { Err(Misshapen::Misplaced) }
        }
        Item::Branch { prefix, steps, .. } if path.is_root() => match (prefix.len(), steps) {
            (0, _) => Ok(()),
            _ => Err(Misshapen::NotARoot),
        },
        Item::Branch { prefix, steps, .. } => require_branch(path, prefix, *steps),
    }
}

fn require_branch(path: &Path, prefix: &Prefix, steps: Steps) -> Result<(), Misshapen> {
    if path.is_ended() {
        return Err(Misshapen::Misplaced);
    }
    if steps.len() < 2 {
        return Err(Misshapen::Needless);
    }
    let depth = path.depth() + prefix.len();
    match Path::has_room_at(depth, steps.contains(Step::END)) {
        true => Ok(()),
        false => Err(Misshapen::Astray),
    }
}
