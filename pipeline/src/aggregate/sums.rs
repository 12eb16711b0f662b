//! What is added up of a group of rows. In: rows, other sums. Out: their sum, exact whatever the order.

use std::ops::{Add, AddAssign};

/// Sums of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Sum of `cost`, in units of 10⁻¹⁵ of the lake's currency; rows without a price add nothing.
    pub cost: i128,
    /// Rows.
    pub requests: u64,
    /// Rows without a price, among `requests`.
    pub unpriced: u64,
}

impl Sums {
    /// One row; `None` is a row without a price.
    #[must_use]
    pub fn row(cost: Option<i128>) -> Self {
        Self { cost: cost.unwrap_or(0), requests: 1, unpriced: u64::from(cost.is_none()) }
    }

    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        // Amounts have at most 28 digits, i128 has 38: ten thousand million of the largest fit.
        self.cost += other.cost;
        self.requests += other.requests;
        self.unpriced += other.unpriced;
    }
}

impl Add for Sums {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Sums;

    proptest! {
        #[test]
        fn adding_is_associative_and_commutative(costs in prop::collection::vec(prop::option::of(-1_000_i128..1_000), 3)) {
            let [a, b, c] = [0, 1, 2].map(|at| Sums::row(costs[at]));
            prop_assert_eq!((a + b) + c, a + (b + c));
            prop_assert_eq!(a + b, b + a);
            prop_assert_eq!(a + Sums::default(), a);
        }
    }
}
