//! Algebra of pricing: additive over meters, monotone in tokens, exact under any unit, discount and rounding.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop loudly and say where")]

use proptest::prelude::*;
use rust_decimal::Decimal;
use spendstream_schemas::count::{Count, Counts};
use spendstream_schemas::money::{Amount, div_half_even};
use spendstream_schemas::price_book::{BookFiles, Plan, PriceBook, Question, UNITS, Usage};

const HEADER: &str = "provider,model,meter,price,per,currency,effective_from,effective_until,tier_min_tokens,service_tier,region,schedule,source,source_ref\n";

fn plan(prices: &str, overrides: &str) -> Plan {
    let prices = format!("{HEADER}{prices}");
    let book =
        PriceBook::load(&BookFiles { prices: &prices, overrides, currency: "USD", ..BookFiles::default() }).unwrap();
    let question =
        Question { provider: Some("p"), model: Some("m"), organization: Some("acme"), ..Question::default() };
    book.resolve(&question).unwrap()
}

fn cost(plan: &Plan, counts: &[(Count, i64)]) -> Amount {
    let mut all = Counts::default();
    for (count, value) in counts {
        all.set(*count, *value);
    }
    all.set(Count::UncachedInput, all.get(Count::Input) - all.get(Count::CacheRead) - all.get(Count::CacheWrite));
    plan.price(0, &Usage { counts: &all, quantities: &[], committed: false, cache_hit: false }).unwrap().cost
}

/// A price in a unit, as text and as a fraction.
fn price() -> impl Strategy<Value = (String, u32, i64, u32)> {
    (0i64..1_000_000, 0u32..9, prop::sample::select(UNITS.to_vec()))
        .prop_map(|(mantissa, scale, per)| (Decimal::new(mantissa, scale).to_string(), per, mantissa, scale))
}

fn line(meter: &str, price: &str, per: u32) -> String {
    format!("p,m,{meter},{price},{per},USD,,,,,,,,\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_cost_is_the_exact_product_rounded_once((text, per, mantissa, scale) in price(), tokens in 0i64..10_000_000, percent in 0i128..=10_000) {
        let discount = format!("[[override]]\norganization = \"acme\"\ndiscount_percent = \"{}\"\n", Decimal::from_i128_with_scale(percent, 2));
        let plan = plan(&line("input", &text, per), &discount);
        // 10^15 is split over both sides so that the reference does not overflow: scale is at most 8.
        let numerator = i128::from(tokens) * i128::from(mantissa) * (10_000 - percent) * 10_i128.pow(15 - scale);
        let expected = div_half_even(numerator, i128::from(per) * 10_000);
        prop_assert_eq!(cost(&plan, &[(Count::Input, tokens)]).units(), expected);
    }

    #[test]
    fn costs_add_up_over_meters_and_calls(input in price(), output in price(), read in price(), a in 0i64..1_000_000, b in 0i64..1_000_000, c in 0i64..1_000_000) {
        let prices = [("input", &input), ("output", &output), ("cache_read", &read)].map(|(meter, (text, per, _, _))| line(meter, text, *per)).concat();
        let plan = plan(&prices, "");
        let one = cost(&plan, &[(Count::Input, a)]) + cost(&plan, &[(Count::Output, b)]) + cost(&plan, &[(Count::Input, c), (Count::CacheRead, c)]);
        let all = cost(&plan, &[(Count::Input, a + c), (Count::CacheRead, c), (Count::Output, b)]);
        prop_assert_eq!(one, all);
    }

    #[test]
    fn more_tokens_never_cost_less(input in price(), output in price(), tokens in 0i64..1_000_000, more in 0i64..1_000_000) {
        let plan = plan(&(line("input", &input.0, input.1) + &line("output", &output.0, output.1)), "");
        for count in [Count::Input, Count::Output] {
            prop_assert!(cost(&plan, &[(count, tokens)]) <= cost(&plan, &[(count, tokens + more)]));
        }
    }

    #[test]
    fn a_tier_holds_from_one_token_above_its_border(border in 1i64..1_000_000) {
        let plan = plan(&(line("input", "1", 1) + &format!("p,m,input,2,1,USD,,,{border},,,,,\n")), "");
        let units = |tokens: i64| cost(&plan, &[(Count::Input, tokens)]);
        prop_assert_eq!(units(border), Amount::from_decimal(border.into()).unwrap());
        prop_assert_eq!(units(border + 1), Amount::from_decimal((2 * (border + 1)).into()).unwrap());
    }

    #[test]
    fn an_unchanged_division_of_an_hour_is_exact(hourly in 1i64..1_000_000, seconds in 0i64..1_000_000) {
        let plan = plan(&line("audio_second", &Decimal::new(hourly, 4).to_string(), 3600), "");
        let quantities = [("audio_second".into(), Decimal::from(seconds))];
        let usage = Usage { counts: &Counts::default(), quantities: &quantities, committed: false, cache_hit: false };
        let expected = div_half_even(i128::from(hourly) * i128::from(seconds) * 10_i128.pow(11), 3600);
        prop_assert_eq!(plan.price(0, &usage).unwrap().cost.units(), expected);
    }
}
