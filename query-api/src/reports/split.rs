//! Whole parts of a whole: in come a total and weights, out come parts that add up to it, to the last digit (the method of the largest remainder). Pure.

#![deny(clippy::float_arithmetic)]

use arrow::datatypes::i256;

/// Divides `total` (so many of its last digit) in proportion to weights. Parts come in the order of the weights; of nobody there are none.
///
/// A weight below zero counts as zero: who got money back takes no part of what others pay. Where no weight is above zero all are equal. The
/// order does not matter: of equal remainders that of the lesser key is rounded up. Of two the heavier never gets less (of a total below
/// zero, more).
#[must_use]
pub fn split<K: Ord>(total: i128, weights: &[(K, i128)]) -> Vec<i128> {
    let mut weighed: Vec<i256> = weights.iter().map(|(_, weight)| i256::from_i128((*weight).max(0))).collect();
    let sum = |weighed: &[i256]| weighed.iter().fold(i256::ZERO, |sum, weight| sum.wrapping_add(*weight));
    let mut whole = sum(&weighed);
    if whole == i256::ZERO {
        weighed.fill(i256::ONE);
        whole = sum(&weighed);
    }
    let magnitude = i256::from_i128(total).wrapping_abs();
    let mut left = magnitude;
    let mut parts = Vec::with_capacity(weights.len());
    for weight in weighed {
        // 127 bits times 127 bits fit, and a sum of weights is not zero.
        let product = magnitude.wrapping_mul(weight);
        let (part, rest) = (product.checked_div(whole), product.checked_rem(whole));
        let (part, rest) = (part.unwrap_or(i256::ZERO), rest.unwrap_or(i256::ZERO));
        left = left.wrapping_sub(part);
        parts.push((part.as_i128(), rest));
    }
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|a, b| parts[*b].1.cmp(&parts[*a].1).then_with(|| weights[*a].0.cmp(&weights[*b].0)));
    // Fewer are left than there are parts.
    for at in order.into_iter().take(usize::try_from(left.as_i128()).unwrap_or(0)) {
        parts[at].0 += 1;
    }
    let sign = if total < 0 { -1 } else { 1 };
    parts.into_iter().map(|(part, _)| sign * part).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::split;

    fn check(total: i128, weights: &[i128], expected: &[i128]) {
        let weights: Vec<_> = weights.iter().copied().enumerate().collect();
        assert_eq!(split(total, &weights), expected, "{total} by {weights:?}");
    }

    #[test]
    fn the_largest_remainders_are_rounded_up() {
        check(100, &[1, 1, 1], &[34, 33, 33]);
        check(-100, &[1, 1, 1], &[-34, -33, -33]);
        check(10, &[6, 3, 1], &[6, 3, 1]);
        check(7, &[0, 0], &[4, 3]);
        check(7, &[5, -5], &[7, 0]);
        check(0, &[5, 1], &[0, 0]);
        check(7, &[], &[]);
        check(i128::MAX, &[i128::MAX, i128::MAX], &[i128::MAX / 2 + 1, i128::MAX / 2]);
    }

    fn weights() -> impl Strategy<Value = Vec<(u32, i128)>> {
        let one = prop_oneof![Just(0_i128), -5_i128..50, any::<i64>().prop_map(i128::from), 0..10_i128.pow(28)];
        prop::collection::btree_map(any::<u32>(), one, 1..30).prop_map(|all| all.into_iter().collect())
    }

    fn totals() -> impl Strategy<Value = i128> {
        prop_oneof![-20_i128..20, any::<i64>().prop_map(i128::from), -10_i128.pow(28)..10_i128.pow(28)]
    }

    proptest! {
        #[test]
        fn parts_add_up(total in totals(), weights in weights()) {
            prop_assert_eq!(split(total, &weights).iter().sum::<i128>(), total);
        }

        #[test]
        fn the_order_does_not_matter(total in totals(), weights in weights()) {
            let parts = split(total, &weights);
            let backwards: Vec<_> = weights.iter().rev().copied().collect();
            let mut found = split(total, &backwards);
            found.reverse();
            prop_assert_eq!(found, parts);
        }

        #[test]
        fn the_heavier_never_gets_less(total in totals(), weights in weights()) {
            let parts = split(total, &weights);
            for (one, part) in weights.iter().zip(&parts) {
                for (other, theirs) in weights.iter().zip(&parts) {
                    prop_assert!(one.1.max(0) <= other.1.max(0) || part.abs() >= theirs.abs());
                    prop_assert!((part.signum() * total.signum()) >= 0);
                }
            }
        }
    }
}
