//! Multiples of a point that is known beforehand, for scalars that are no secret.
//!
//! A scalar is written in signed bytes; the sum of one multiple for each of them is the
//! product. Which ones are taken can be seen from outside by the time that it takes: what
//! signs must not use this, and what checks need not care. The tables of
//! [`curve25519_dalek`] hide it, for twice the time.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;

/// The bytes of a scalar.
const BYTES: usize = 32;

/// A signed byte is at most so large, either way.
const MOST: usize = 128;

/// All multiples of one point that are needed: 640 KiB.
pub(super) struct Multiples {
    /// In the row of the byte `i`, the multiples by `256^i` times 1 to [`MOST`].
    rows: Vec<[EdwardsPoint; MOST]>,
}

/// Points to be added, or taken away. They are fetched before they are summed up, since
/// most of a table is seldom in the processor's cache, and memory answers many at once as
/// fast as one.
pub(super) struct Sum {
    points: Vec<(bool, EdwardsPoint)>,
}

impl Multiples {
    pub(super) fn of(point: &EdwardsPoint) -> Multiples {
        let mut first = *point;
        let rows = (0..BYTES).map(|_| {
            let mut next = EdwardsPoint::identity();
            let row = [(); MOST].map(|()| {
                next += first;
                next
            });
            first = row[MOST - 1] + row[MOST - 1];
            row
        });
        Multiples { rows: rows.collect() }
    }
}

impl Sum {
    pub(super) fn new() -> Sum {
        Sum { points: Vec::with_capacity(2 * BYTES) }
    }

    pub(super) fn add(self, multiples: &Multiples, scalar: &Scalar) -> Sum {
        self.with(multiples, scalar, false)
    }

    pub(super) fn subtract(self, multiples: &Multiples, scalar: &Scalar) -> Sum {
        self.with(multiples, scalar, true)
    }

    fn with(mut self, multiples: &Multiples, scalar: &Scalar, is_taken_away: bool) -> Sum {
        let mut carry = 0;
        for (row, byte) in multiples.rows.iter().zip(scalar.as_bytes()) {
            let digit = usize::from(*byte) + carry;
            let is_negative = digit > MOST;
            carry = usize::from(is_negative);
            let size = if is_negative { 2 * MOST - digit } else { digit };
            if let Some(place) = size.checked_sub(1) {
                self.points.push((is_negative != is_taken_away, row[place]));
            }
        }
        // A scalar is below 2^253.
        assert_eq!(carry, 0, "the highest byte of a scalar is small");
        self
    }

    pub(super) fn total(&self) -> EdwardsPoint {
        let zero = EdwardsPoint::identity();
        self.points.iter().fold(zero, |sum, (is_taken_away, point)| match is_taken_away {
            true => sum - point,
            false => sum + point,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT as BASE;
    use proptest::prelude::*;

    #[test]
    fn the_smallest_and_the_largest_scalars_are_multiplied_right() {
        let base = Multiples::of(&BASE);
        let mut all: Vec<Scalar> = (0..600u64).map(Scalar::from).collect();
        all.extend((0..600u64).map(|below| -Scalar::from(below)));
        // Every byte at the edge between the signs, with carries all the way.
        all.extend([0x7f, 0x80, 0x81, 0xff].map(|byte| {
            let mut bytes = [byte; 32];
            bytes[31] = 0x0f;
            Scalar::from_bytes_mod_order(bytes)
        }));
        for scalar in all {
            assert_eq!(Sum::new().add(&base, &scalar).total(), scalar * BASE, "{scalar:?}");
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_products(one: [u8; 64], other: [u8; 64], key: u64) {
            let [one, other] = [one, other].map(|bytes| Scalar::from_bytes_mod_order_wide(&bytes));
            let point = Scalar::from(key) * BASE;
            let sum = Sum::new().add(&Multiples::of(&BASE), &one);
            let sum = sum.subtract(&Multiples::of(&point), &other);
            prop_assert_eq!(sum.total(), one * BASE - other * point);
        }
    }
}
