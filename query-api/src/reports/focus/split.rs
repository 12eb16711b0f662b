//! One amount in parts. In: a total and what each part should have of it. Out: parts that add up to the total, to the last digit.
//!
//! Where the shares add up to the total they are the parts. Else each part is the total by its share, cut to a whole unit, and what the cuts left goes, a unit
//! each, to the parts that lost most by it; among equals to the first. Never a float, and never a part of another sign than the total.

use arrow::datatypes::i256;

/// How a total was split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// There is one part, or the shares are the parts.
    Exact,
    /// In proportion to what the price book asks for each part.
    ByPrice,
    /// In proportion to quantities: no price book could be asked.
    ByQuantity,
}

impl Manner {
    /// The word in `x_MeterSplit`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::ByPrice => "by_price",
            Self::ByQuantity => "by_quantity",
        }
    }
}

/// `total` in as many parts as there are shares; a negative share counts as none. All of it is the first part's where all shares are zero, and there
/// are no parts without shares.
#[must_use]
pub fn split(total: i128, shares: &[i128]) -> Vec<i128> {
    if shares.iter().all(|share| *share >= 0) && sum(shares) == i256::from_i128(total) {
        return shares.to_vec();
    }
    let whole = sum(shares);
    if whole == i256::ZERO {
        return (0..shares.len()).map(|at| if at == 0 { total } else { 0 }).collect();
    }
    let sign = total.signum();
    let magnitude = i256::from_i128(total).wrapping_abs();
    let (mut parts, mut cut) = (Vec::with_capacity(shares.len()), Vec::with_capacity(shares.len()));
    for share in shares {
        let product = magnitude.wrapping_mul(i256::from_i128((*share).max(0)));
        // A part is at most the total, so it fits.
        parts.push(product.wrapping_div(whole).to_i128().unwrap_or_default());
        cut.push(product.wrapping_rem(whole));
    }
    let mut left = magnitude.wrapping_sub(sum(&parts)).to_i128().unwrap_or_default();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|one, other| cut[*other].cmp(&cut[*one]).then(one.cmp(other)));
    for at in order {
        if left == 0 {
            break;
        }
        parts[at] += 1;
        left -= 1;
    }
    parts.into_iter().map(|part| part * sign).collect()
}

fn sum(shares: &[i128]) -> i256 {
    let shares = shares.iter().map(|share| i256::from_i128((*share).max(0)));
    shares.fold(i256::ZERO, i256::wrapping_add)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::split;

    /// The largest amount that a sum of money has: 38 digits.
    const MOST: i128 = 10_i128.pow(38) - 1;

    #[test]
    fn shares_that_add_up_are_the_parts() {
        assert_eq!(split(10, &[7, 0, 3]), [7, 0, 3]);
        assert_eq!(split(0, &[0, 0]), [0, 0]);
        assert_eq!(split(5, &[0, 0]), [5, 0]);
        assert!(split(0, &[]).is_empty());
    }

    #[test]
    fn what_is_left_goes_to_who_lost_most() {
        assert_eq!(split(10, &[1, 1, 1]), [4, 3, 3]);
        assert_eq!(split(-10, &[1, 1, 1]), [-4, -3, -3]);
        assert_eq!(split(101, &[50, 25, 25]), [51, 25, 25]);
        assert_eq!(split(MOST, &[MOST, MOST]), [MOST / 2 + 1, MOST / 2]);
    }

    proptest! {
        #[test]
        fn parts_add_up_and_are_within_a_unit(
            total in -MOST..=MOST,
            shares in prop::collection::vec(prop_oneof![Just(0_i128), 0_i128..1_000_000_000_000, 0_i128..MOST], 1..8),
        ) {
            let parts = split(total, &shares);
            prop_assert_eq!(parts.len(), shares.len());
            prop_assert_eq!(parts.iter().sum::<i128>(), total);
            for (part, share) in parts.iter().zip(&shares) {
                prop_assert!(*part == 0 || part.signum() == total.signum());
                prop_assert!(*share > 0 || *part == 0 || shares.iter().all(|share| *share == 0));
            }
        }

        #[test]
        fn a_larger_share_is_never_a_smaller_part(total in 0..MOST, shares in prop::collection::vec(1_i128..1_000_000, 2..8)) {
            let parts = split(total, &shares);
            for one in 0..shares.len() {
                for other in 0..shares.len() {
                    prop_assert!(shares[one] <= shares[other] || parts[one] >= parts[other]);
                }
            }
        }

        #[test]
        fn a_part_is_less_than_a_unit_from_its_share(total in 0_i128..1_000_000_000_000, shares in prop::collection::vec(1_i128..1_000_000, 1..8)) {
            let whole: i128 = shares.iter().sum();
            for (part, share) in split(total, &shares).iter().zip(&shares) {
                prop_assert!((part * whole - total * share).abs() < whole);
            }
        }
    }
}
