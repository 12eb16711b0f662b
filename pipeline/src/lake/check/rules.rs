//! Rules that each row must keep by itself, as data: a name, what it means, and an SQL condition that is true for a row that breaks it.

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub name: &'static str,
    /// What holds when no row breaks it.
    pub meaning: &'static str,
    pub broken: &'static str,
}

/// The rules, in the order of the report. `{currency}` stands for the lake's.
pub const RULES: [Rule; 7] = [
    Rule {
        name: "cost_is_sum",
        meaning: "cost = input + output + cache read + cache write + other, exactly, on every priced row",
        broken: "price_status = 'priced' AND (cost IS NULL OR cost IS DISTINCT FROM \
                 input_cost + output_cost + cache_read_cost + cache_write_cost + other_cost)",
    },
    Rule {
        name: "unpriced_has_reason",
        meaning: "an unpriced row has no money and says why",
        broken: "price_status = 'unpriced' AND (unpriced_reason IS NULL OR unpriced_reason = '' OR \
                 coalesce(cost, list_cost, input_cost, output_cost, cache_read_cost, cache_write_cost, other_cost, cache_savings) \
                 IS NOT NULL)",
    },
    Rule {
        name: "price_status",
        meaning: "every row is priced, without a reason against it, or unpriced",
        broken: "NOT (price_status = 'unpriced' OR (price_status = 'priced' AND unpriced_reason IS NULL))",
    },
    Rule {
        name: "input_is_sum",
        meaning: "input tokens = uncached + cache reads + cache writes of both lifetimes",
        broken: "input_tokens <> uncached_input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens",
    },
    Rule {
        name: "counts_not_negative",
        meaning: "no count is negative",
        broken: "least(input_tokens, uncached_input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens, \
                 audio_input_tokens, image_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, web_searches) < 0",
    },
    Rule {
        name: "date_of_event",
        meaning: "a row lies in the UTC date of its event time",
        broken: "date IS NULL OR date <> CAST(event_time AS DATE)",
    },
    Rule { name: "one_currency", meaning: "every row is in the lake's currency", broken: "currency <> {currency}" },
];
