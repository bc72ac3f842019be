//! Places in the tree: nibbles, steps, the prefixes that branches skip, and paths.

use crate::wire::Blob;
use bincode::de::{Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::fmt;

/// The most bytes of a key, with whatever namespace its owner puts before it. It bounds
/// the depth of the tree, which is all that keeps nested keys from making it deep.
pub const MOST_KEY_BYTES: usize = 1024;

/// The most nibbles on the way from the root to a key's end.
const MOST_NIBBLES: usize = 2 * MOST_KEY_BYTES;

/// How many nibbles a key has.
pub(super) fn nibbles(key: &[u8]) -> usize {
    key.len() * 2
}

/// The key's nibble at an index, high half first.
pub(super) fn nibble(key: &[u8], index: usize) -> u8 {
    match index % 2 {
        0 => key[index / 2] >> 4,
        _ => key[index / 2] & 0xf,
    }
}

/// What comes next in a key: one of sixteen nibbles, or its end. The end comes before
/// every nibble, so a key is ordered before the keys that it is a prefix of, and the
/// order of keys is the order of their steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Step(u8);

impl Step {
    pub(super) const END: Step = Step(0);

    pub(super) fn nibble(nibble: u8) -> Step {
        Step(nibble + 1)
    }

    /// All steps, in their order.
    pub(super) fn all() -> impl DoubleEndedIterator<Item = Step> {
        (0..17).map(Step)
    }

    /// The key's step after so many nibbles.
    pub(super) fn after(key: &[u8], depth: usize) -> Step {
        if depth < nibbles(key) { Step::nibble(nibble(key, depth)) } else { Step::END }
    }

    /// The nibble, unless it is the end.
    pub(super) fn as_nibble(self) -> Option<u8> {
        self.0.checked_sub(1)
    }
}

/// The set of steps at which a branch has slots: bit 0 for the end, the others for the
/// nibbles in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, bincode::Encode)]
pub(super) struct Steps(u32);

impl Steps {
    /// One more than the number of nibbles, for the end.
    const MOST: u32 = 17;

    pub(super) fn bits(self) -> u32 {
        self.0
    }

    pub(super) fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub(super) fn contains(self, step: Step) -> bool {
        self.0 & (1 << step.0) != 0
    }

    pub(super) fn insert(&mut self, step: Step) {
        self.0 |= 1 << step.0;
    }

    pub(super) fn remove(&mut self, step: Step) {
        self.0 &= !(1 << step.0);
    }

    /// How many steps of the set come before this one: its slot's index.
    pub(super) fn rank(self, step: Step) -> usize {
        (self.0 & ((1 << step.0) - 1)).count_ones() as usize
    }

    /// Takes the first step out of the set.
    pub(super) fn take_first(&mut self) -> Option<Step> {
        let first = u8::try_from(self.0.trailing_zeros()).ok().map(Step);
        let first = first.filter(|_| self.0 != 0)?;
        self.remove(first);
        Some(first)
    }
}

impl Iterator for Steps {
    type Item = Step;
    fn next(&mut self) -> Option<Step> {
        self.take_first()
    }
}

impl<C> Decode<C> for Steps {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        match u32::decode(decoder)? {
            bits if bits >> Steps::MOST == 0 => Ok(Steps(bits)),
            _ => Err(DecodeError::Other("a slot at a step that does not exist")),
        }
    }
}

bincode::impl_borrow_decode!(Steps);

/// The nibbles that all keys below a branch have in common and that the branch skips,
/// one to a byte. Few lie in the branch itself: they are looked at on every way through it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Prefix(SmallVec<[u8; 16]>);

impl Prefix {
    /// Nibbles of the key, so many of them from `depth` on.
    pub(super) fn of(key: &[u8], depth: usize, length: usize) -> Prefix {
        Prefix((depth..depth + length).map(|index| nibble(key, index)).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn nibbles(&self) -> &[u8] {
        &self.0
    }

    /// How the keys below the prefix lie to `key`, when prefix and key agree up to
    /// `depth`: before it, after it, or (`Equal`) the key goes on with the whole prefix.
    pub(super) fn order(&self, key: &[u8], depth: usize) -> Ordering {
        let steps = (depth..).map(|index| Step::after(key, index));
        let mut pairs = self.0.iter().map(|&nibble| Step::nibble(nibble)).zip(steps);
        pairs.find_map(|(own, other)| unequal(own, other)).unwrap_or(Ordering::Equal)
    }

    /// How many nibbles of the prefix the key goes on with from `depth`.
    pub(super) fn common(&self, key: &[u8], depth: usize) -> usize {
        let steps = (depth..).map(|index| Step::after(key, index));
        let pairs = self.0.iter().map(|&nibble| Step::nibble(nibble)).zip(steps);
        pairs.take_while(|(own, other)| own == other).count()
    }

    /// What is left below the first `common` nibbles: the step there, and the rest.
    pub(super) fn split_below(&self, common: usize) -> (Step, Prefix) {
        (Step::nibble(self.0[common]), Prefix(SmallVec::from_slice(&self.0[common + 1..])))
    }

    /// The prefix of a branch that takes the place of its parent, which had this one.
    pub(super) fn join(&self, step: Step, rest: &Prefix) -> Prefix {
        let own = self.0.iter().copied();
        Prefix(own.chain(step.as_nibble()).chain(rest.0.iter().copied()).collect())
    }
}

/// How many nibbles two keys have in common from `depth` on.
pub(super) fn common_nibbles(one: &[u8], other: &[u8], depth: usize) -> usize {
    let end = nibbles(one).min(nibbles(other));
    (depth..end).take_while(|&index| nibble(one, index) == nibble(other, index)).count()
}

/// How many nibbles from `depth` on are the highest there is.
pub(super) fn highest_nibbles(key: &[u8], depth: usize) -> usize {
    (depth..nibbles(key)).take_while(|&index| nibble(key, index) == 0xf).count()
}

/// Whether `above` is the least of all keys that come after those which begin with the
/// first `depth + 1` nibbles of `key`, when both agree up to `depth`.
pub(super) fn is_next_after(above: &[u8], key: &[u8], depth: usize) -> bool {
    above.len() == depth / 2 + 1
        && nibble(above, depth) == nibble(key, depth) + 1
        && (depth % 2 == 1 || nibble(above, depth + 1) == 0)
}

fn unequal(one: Step, other: Step) -> Option<Ordering> {
    Some(one.cmp(&other)).filter(|order| order.is_ne())
}

impl Encode for Prefix {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_bytes(&self.0, encoder)
    }
}

impl<C> Decode<C> for Prefix {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let nibbles = Blob::decode(decoder)?;
        if nibbles.len() > MOST_NIBBLES {
            return Err(DecodeError::Other("a prefix longer than any key"));
        }
        if nibbles.iter().any(|&nibble| nibble > 0xf) {
            return Err(DecodeError::Other("a nibble larger than fifteen"));
        }
        Ok(Prefix(SmallVec::from_slice(&nibbles)))
    }
}

bincode::impl_borrow_decode!(Prefix);

fn encode_bytes<E: Encoder>(bytes: &[u8], encoder: &mut E) -> Result<(), EncodeError> {
    use bincode::enc::write::Writer;
    (bytes.len() as u64).encode(encoder)?;
    encoder.writer().write(bytes)
}

/// The way from the root to a node: the steps taken and the prefixes skipped. It names
/// the region of all keys that begin so, or the one key that ends so. Paths are ordered
/// as the keys in their regions are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Vec<u8>);

impl Path {
    /// The path of the root.
    pub fn root() -> Path {
        Path::default()
    }

    /// The whole way to a key, however soon its leaf parts from others.
    pub(super) fn to_key(key: &[u8]) -> Path {
        Path((0..=nibbles(key)).map(|depth| Step::after(key, depth).0).collect())
    }

    /// Whether it is the root's.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// How many steps it has.
    pub fn depth(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, step: Step) {
        self.0.push(step.0);
    }

    pub(super) fn extend(&mut self, prefix: &Prefix) {
        self.0.extend(prefix.0.iter().map(|&nibble| Step::nibble(nibble).0));
    }

    pub(super) fn truncate(&mut self, depth: usize) {
        self.0.truncate(depth);
    }

    /// The path one step further, behind a prefix.
    pub(super) fn below(&self, prefix: &Prefix, step: Step) -> Path {
        let mut path = self.clone();
        path.extend(prefix);
        path.push(step);
        path
    }

    /// The first steps of the path, so many.
    pub(super) fn up_to(&self, depth: usize) -> Path {
        Path(self.0[..depth].to_vec())
    }

    /// Whether the path is that of one key, which ends there.
    pub(super) fn is_ended(&self) -> bool {
        self.0.last() == Some(&Step::END.0)
    }

    /// Whether keys can go on after so many nibbles, or end there.
    pub(super) fn has_room_at(depth: usize, some_end: bool) -> bool {
        depth < MOST_NIBBLES && (!some_end || depth.is_multiple_of(2))
    }

    /// The steps from `depth` on.
    pub(super) fn steps(&self, depth: usize) -> impl Iterator<Item = Step> {
        self.0[depth..].iter().map(|&step| Step(step))
    }

    /// The step after `depth`, unless the path ends there.
    pub(super) fn step(&self, depth: usize) -> Option<Step> {
        self.0.get(depth).map(|&step| Step(step))
    }

    /// Whether the path goes on with the prefix from `depth`.
    pub(super) fn goes_on_with(&self, prefix: &Prefix, depth: usize) -> bool {
        let nibbles = prefix.0.iter().map(|&nibble| Step::nibble(nibble));
        self.0.len() >= depth + prefix.len() && nibbles.eq(self.steps(depth).take(prefix.len()))
    }

    /// Whether the other path is this one or goes on from it.
    pub(super) fn leads_to(&self, other: &Path) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Whether the path is one that some key may take: short enough, and with an end
    /// only at its end and between whole bytes.
    pub(super) fn is_possible(&self) -> bool {
        let (nibbles, ends) = match self.0.last() {
            Some(&step) if Step(step) == Step::END => (&self.0[..self.0.len() - 1], true),
            _ => (&self.0[..], false),
        };
        nibbles.len() <= MOST_NIBBLES
            && (!ends || nibbles.len().is_multiple_of(2))
            && nibbles.iter().all(|&step| (1..=16).contains(&step))
    }

    /// How the region lies to `key`: all before it, all after it, or around it.
    pub(super) fn order(&self, key: &[u8]) -> Ordering {
        let steps = (0..).map(|index| Step::after(key, index));
        let mut pairs = self.steps(0).zip(steps);
        pairs.find_map(|(own, other)| unequal(own, other)).unwrap_or(Ordering::Equal)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "/")?;
        self.steps(0).try_for_each(|step| match step.as_nibble() {
            Some(nibble) => write!(out, "{nibble:x}"),
            None => write!(out, "."),
        })
    }
}

impl Encode for Path {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        encode_bytes(&self.0, encoder)
    }
}

impl<C> Decode<C> for Path {
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let path = Path(Blob::decode(decoder)?.to_vec());
        match path.is_possible() {
            true => Ok(path),
            false => Err(DecodeError::Other("a path that no key takes")),
        }
    }
}

bincode::impl_borrow_decode!(Path);
