//! The numbers of the protocol, each a type of its own, and the one place where the
//! size of a quorum is computed.
//!
//! No type here converts from a bare integer by itself: whoever makes a [`Seq`] out of
//! a number says so. Arithmetic on what a peer may have sent is checked.

use bincode::{Decode, Encode};
use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{}", self.0)
            }
        }
    };
}

number!(
    /// A view: a period in which one replica is the primary.
    View(u64), "v"
);
number!(
    /// A sequence number: the place of a batch in the one total order. The first is 1.
    Seq(u64), "s"
);
number!(
    /// A replica's number in the genesis file, from 0.
    ReplicaId(u16), "r"
);
number!(
    /// A client's number in the genesis file, from 0.
    ClientId(u32), "c"
);
number!(
    /// The number that a client gives to one operation. The first is 1.
    RequestNumber(u64), "#"
);
number!(
    /// How often a replica has lost its disk and come back; votes of different
    /// incarnations are never held against each other.
    Incarnation(u64), "i"
);
number!(
    /// Wall-clock time in microseconds since 1970: proposed by primaries, agreed on by
    /// all, and never read by the core from a clock of its own.
    Timestamp(u64), "t"
);
number!(
    /// A reading of the replica's own monotonic clock, in microseconds since some
    /// moment of its choice. Handed in with every input.
    Instant(u64), "@"
);
number!(
    /// A span of time in microseconds.
    Span(u64), "+"
);
number!(
    /// A number used once, drawn at random outside the core.
    Nonce(u64), "n"
);

impl View {
    /// The first view of a new cluster.
    pub const FIRST: View = View(0);

    /// The view after this one. A view that a peer names is bounded by
    /// [`View::is_plausible`] before anybody counts on from it.
    pub fn next(self) -> View {
        View(self.0.saturating_add(1))
    }

    /// Far-off views are refused before they are stored: no honest cluster gets near.
    pub fn is_plausible(self) -> bool {
        self.0 < u64::MAX / 2
    }
}

impl Seq {
    /// The state before anything was ordered.
    pub const GENESIS: Seq = Seq(0);

    /// The number after this one.
    pub fn next(self) -> Seq {
        Seq(self.0.saturating_add(1))
    }

    /// The number before this one; genesis has none before it.
    pub fn previous(self) -> Seq {
        Seq(self.0.saturating_sub(1))
    }

    /// This number and `count` more.
    pub fn plus(self, count: u64) -> Seq {
        Seq(self.0.saturating_add(count))
    }

    /// How many numbers lie from `earlier` up to this one; 0 where there are none.
    pub fn since(self, earlier: Seq) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl RequestNumber {
    /// This number and `count` more, unless numbers end before.
    pub fn checked_plus(self, count: u64) -> Option<RequestNumber> {
        self.0.checked_add(count).map(RequestNumber)
    }

    /// The number after this one, unless numbers end here.
    pub fn next(self) -> Option<RequestNumber> {
        self.checked_plus(1)
    }
}

impl Incarnation {
    /// The incarnation that every replica starts with.
    pub const FIRST: Incarnation = Incarnation(0);

    /// The one after this.
    pub fn next(self) -> Incarnation {
        Incarnation(self.0.saturating_add(1))
    }
}

impl Timestamp {
    /// How far apart two times are, whichever is first.
    pub fn distance(self, other: Timestamp) -> Span {
        Span(self.0.abs_diff(other.0))
    }
}

impl Instant {
    /// The moment `span` later.
    pub fn plus(self, span: Span) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }

    /// The time that passed since `earlier`; nothing if that is yet to come.
    pub fn since(self, earlier: Instant) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// So many milliseconds.
    pub const fn milliseconds(count: u64) -> Span {
        Span(count * 1_000)
    }

    /// So many seconds.
    pub const fn seconds(count: u64) -> Span {
        Span(count * 1_000_000)
    }

    /// This span so many times over.
    pub fn times(self, factor: u64) -> Span {
        Span(self.0.saturating_mul(factor))
    }

    /// Half of this span.
    pub fn halved(self) -> Span {
        Span(self.0 / 2)
    }
}

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        use sha2::Digest as _;
        Digest(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of these parts, one after the other. The caller's parts must be
    /// such that their concatenation can be read in one way only.
    pub fn of_parts(parts: &[&[u8]]) -> Digest {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Digest(hasher.finalize().into())
    }

    /// The first eight digits, for people.
    pub fn short(&self) -> String {
        self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.short())
    }
}

/// The least number of replicas: one may lie.
pub const LEAST_REPLICAS: u16 = 4;

/// The most replicas in one cluster. Votes grow with the square of it.
pub const MOST_REPLICAS: u16 = 100;

/// How many replicas there are, and all that follows from that number.
///
/// Quorum sizes are computed here and nowhere else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committee {
    replicas: u16,
}

impl Committee {
    /// A committee of so many replicas, if that number can stand a fault at all.
    pub fn new(replicas: u16) -> Option<Committee> {
        (LEAST_REPLICAS..=MOST_REPLICAS).contains(&replicas).then_some(Committee { replicas })
    }

    /// `n`, the number of replicas.
    pub fn size(self) -> usize {
        usize::from(self.replicas)
    }

    /// `f`, the most replicas that may be faulty: `(n-1)/3`, rounded down.
    pub fn faults(self) -> usize {
        (self.size() - 1) / 3
    }

    /// `Q = ceil((n+f+1)/2)`: any two quorums share more than `f` replicas.
    pub fn quorum(self) -> usize {
        (self.size() + self.faults() + 1).div_ceil(2)
    }

    /// `W = f+1`: among so many, one is honest.
    pub fn weak_quorum(self) -> usize {
        self.faults() + 1
    }

    /// The primary of a view: `v mod n`.
    pub fn primary(self, view: View) -> ReplicaId {
        let index = view.0 % u64::from(self.replicas);
        ReplicaId(u16::try_from(index).expect("a remainder of a u16 fits in one"))
    }

    /// The backups of a view, each once: of one turn begun one further than of the turn before.
    pub fn backups_from(self, view: View, turn: u64) -> impl Iterator<Item = ReplicaId> {
        let many = u64::from(self.replicas) - 1;
        let after = self.primary(view).0;
        (0..many).map(move |nth| {
            let place = (turn % many + nth) % many;
            let place = u16::try_from(place).expect("a remainder of a u16 fits in one");
            // In the order of their numbers, the primary left out.
            ReplicaId(if place < after { place } else { place + 1 })
        })
    }

    /// Whether the replica is one of ours.
    pub fn has(self, replica: ReplicaId) -> bool {
        replica.0 < self.replicas
    }

    /// All replicas, in the order of their numbers.
    pub fn replicas(self) -> impl DoubleEndedIterator<Item = ReplicaId> + ExactSizeIterator {
        (0..self.replicas).map(ReplicaId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_quorums_share_more_than_the_faulty() {
        for n in LEAST_REPLICAS..=MOST_REPLICAS {
            let committee = Committee::new(n).expect("within the limits");
            let (size, faults, quorum) = (committee.size(), committee.faults(), committee.quorum());
            assert!(3 * faults < size, "{n}: f is too large");
            assert!(3 * (faults + 1) >= size, "{n}: f could be larger");
            assert!(2 * quorum - size > faults, "{n}: two quorums may share only liars");
            assert!(quorum <= size - faults, "{n}: the honest alone are no quorum");
            assert!(2 * (quorum - 1) <= size + faults, "{n}: a smaller quorum would do");
            assert_eq!(committee.weak_quorum(), faults + 1);
            if size == 3 * faults + 1 {
                assert_eq!(quorum, 2 * faults + 1, "{n}: PBFT's own number");
            }
        }
    }

    #[test]
    fn fewer_than_four_replicas_are_no_committee() {
        assert!(Committee::new(3).is_none());
        assert!(Committee::new(MOST_REPLICAS + 1).is_none());
    }

    #[test]
    fn the_primary_goes_round() {
        let committee = Committee::new(4).expect("four will do");
        let primaries: Vec<u16> = (0..6).map(|view| committee.primary(View(view)).0).collect();
        assert_eq!(primaries, [0, 1, 2, 3, 0, 1]);
    }
}
