//! What is wrong or odd in a list of prices. Rows come in, findings with their line go out; nothing is changed.

use std::collections::HashMap;
use std::fmt;

use super::row::PriceRow;
use super::steps;
use crate::meter::Token;

/// The text that rows are read from.
const PRICES: &str = "prices.csv";

/// How bad it is: an `Error` makes a book unusable, a `Warning` wants a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// Which text of the book: `prices.csv` or `overrides.toml`.
    pub file: &'static str,
    /// Line in it.
    pub line: usize,
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.text)
    }
}

/// Everything to say about a list of prices, by line. Bad fields (unknown meter, unit, negative price, float noise) are already
/// refused by [`super::row::parse`].
#[must_use]
pub fn check(rows: &[PriceRow]) -> Vec<Finding> {
    let mut findings = ambiguities(rows);
    for group in by_model(rows).values() {
        tiers_without_base(group, &mut findings);
        free_steps(group, &mut findings);
        findings.extend(steps::gaps(group).iter().map(small_prompts_only));
        odd_prices(group, &mut findings);
        findings.extend(unpriced_tokens(group));
    }
    for group in by_name(rows).values() {
        findings.extend(steps::uneven(group).iter().map(step_elsewhere));
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

fn by_model(rows: &[PriceRow]) -> HashMap<(&str, &str), Vec<&PriceRow>> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        groups.entry((&*row.provider, &*row.model)).or_default().push(row);
    }
    groups
}

/// Models of a provider whose ids differ only in what stands before the last slash.
fn by_name(rows: &[PriceRow]) -> HashMap<(&str, &str), Vec<&PriceRow>> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        let name = row.model.rsplit_once('/').map_or(&*row.model, |(_, name)| name);
        groups.entry((&*row.provider, name)).or_default().push(row);
    }
    groups
}

/// Two prices that would both apply to the same call: same key, overlapping in time, or in time and schedule.
pub(super) fn ambiguities(rows: &[PriceRow]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in by_model(rows).values() {
        schedules_that_overlap(group, &mut findings);
        let mut group = group.clone();
        let key = |row: &PriceRow| {
            (row.meter.clone(), row.service_tier.clone(), row.region.clone(), row.schedule.clone(), row.tier_min_tokens)
        };
        group.sort_by_cached_key(|row| (key(row), row.effective_from, row.line));
        for pair in group.windows(2) {
            let [one, two] = pair else { continue };
            if key(one) != key(two) {
                continue;
            }
            if one.effective_until.is_none_or(|until| two.effective_from.is_none_or(|from| from < until)) {
                findings.push(Finding {
                    severity: Severity::Error,
                    file: PRICES,
                    line: two.line,
                    text: format!(
                        "{}/{} has a second price of '{}' for the same time as line {}; end one where the other starts",
                        two.provider, two.model, two.meter, one.line
                    ),
                });
            }
        }
    }
    findings.sort_by_key(|finding| finding.line);
    findings
}

/// Two schedules of one meter, tier, region and prompt size that share a minute and differ in price: which one holds then?
fn schedules_that_overlap(group: &[&PriceRow], findings: &mut Vec<Finding>) {
    let place = |row: &PriceRow| (row.meter.clone(), row.service_tier.clone(), row.region.clone(), row.tier_min_tokens);
    let scheduled = || group.iter().filter_map(|row| Some((*row, row.schedule.as_deref()?)));
    for (two, later) in scheduled() {
        let clash = scheduled().find(|(one, earlier)| {
            one.line < two.line
                && *earlier != later
                && place(one) == place(two)
                && steps::overlap(one, two)
                && steps::dearer(one, two) != steps::dearer(two, one)
                && earlier.overlaps(later)
        });
        if let Some((one, earlier)) = clash {
            findings.push(Finding {
                severity: Severity::Error,
                file: PRICES,
                line: two.line,
                text: format!(
                    "{}/{} has another price of '{}' in '{later}' than in '{earlier}' of line {}, and both hold at once; end one, or make \
                     their windows not overlap",
                    two.provider, two.model, two.meter, one.line
                ),
            });
        }
    }
}

/// A price for large prompts whose meter has no price for small ones.
fn tiers_without_base(group: &[&PriceRow], findings: &mut Vec<Finding>) {
    for row in group.iter().filter(|row| row.tier_min_tokens > 0) {
        let has_base = group.iter().any(|base| base.tier_min_tokens == 0 && base.meter == row.meter);
        if !has_base {
            findings.push(Finding {
                severity: Severity::Warning,
                file: PRICES,
                line: row.line,
                text: format!("'{}' has a price above {} prompt tokens and none below", row.meter, row.tier_min_tokens),
            });
        }
    }
}

/// A price of zero for large prompts where small ones cost more: large calls would be free.
fn free_steps(group: &[&PriceRow], findings: &mut Vec<Finding>) {
    for row in group.iter().filter(|row| row.tier_min_tokens > 0 && row.price.is_zero()) {
        let place = (&row.meter, &row.service_tier, &row.region, &row.schedule);
        let paid = group.iter().find(|base| {
            base.tier_min_tokens < row.tier_min_tokens
                && !base.price.is_zero()
                && (&base.meter, &base.service_tier, &base.region, &base.schedule) == place
                && steps::overlap(base, row)
        });
        if let Some(paid) = paid {
            findings.push(Finding {
                severity: Severity::Warning,
                file: PRICES,
                line: row.line,
                text: format!(
                    "{}/{} costs nothing for '{}' above {} prompt tokens, but {} per {} below (line {}): is it free, or not entered?",
                    row.provider, row.model, row.meter, row.tier_min_tokens, paid.price, paid.per, paid.line
                ),
            });
        }
    }
}

/// A service tier, region or schedule without the price for large prompts that the model otherwise has.
fn small_prompts_only(gap: &steps::Gap<'_>) -> Finding {
    let row = gap.row;
    Finding {
        severity: Severity::Warning,
        file: PRICES,
        line: row.line,
        text: format!(
            "{}/{} has a price above {} prompt tokens, but none in {} ({}): larger calls pay the dearer of the two and are marked \
             tier_assumed; add the price",
            row.provider,
            row.model,
            gap.above,
            place(row),
            gap.meters.join(", ")
        ),
    }
}

/// A region or a spelling of the model that knows no price for large prompts where another does.
fn step_elsewhere(gap: &steps::Gap<'_>) -> Finding {
    let (row, other) = (gap.row, gap.other);
    Finding {
        severity: Severity::Warning,
        file: PRICES,
        line: row.line,
        text: format!(
            "{}/{} has one price for every prompt in {} ({}), but {}/{} has another above {} prompt tokens in {} (line {}): add the \
             price, or make sure that there is none",
            row.provider,
            row.model,
            place(row),
            gap.meters.join(", "),
            other.provider,
            other.model,
            gap.above,
            place(other),
            other.line
        ),
    }
}

/// The service tier, region and schedule of a row in words.
fn place(row: &PriceRow) -> String {
    let schedule = row.schedule.as_ref().map(ToString::to_string).unwrap_or_default();
    let words = [("service tier", &*row.service_tier), ("region", &*row.region), ("schedule", schedule.as_str())];
    let words: Vec<_> =
        words.iter().filter(|(_, word)| !word.is_empty()).map(|(kind, word)| format!("{kind} '{word}'")).collect();
    if words.is_empty() { "the default region".to_owned() } else { words.join(", ") }
}

/// Prices that are legal but rarely meant: cached input dearer than fresh, a token above 10 000 per million.
fn odd_prices(group: &[&PriceRow], findings: &mut Vec<Finding>) {
    let per_unit = |row: &PriceRow| row.price / rust_decimal::Decimal::from(row.per);
    for row in group.iter().filter(|row| Token::from_name(&row.meter).is_some()) {
        if per_unit(row) > rust_decimal::Decimal::new(1, 2) {
            findings.push(Finding {
                severity: Severity::Warning,
                file: PRICES,
                line: row.line,
                text: format!(
                    "{} per {} for '{}' is more than 10000 per million tokens",
                    row.price, row.per, row.meter
                ),
            });
        }
        if &*row.meter != Token::CacheRead.name() {
            continue;
        }
        let input = group.iter().find(|input| {
            &*input.meter == Token::Input.name()
                && (&input.service_tier, &input.region, &input.schedule, input.tier_min_tokens, input.effective_from)
                    == (&row.service_tier, &row.region, &row.schedule, row.tier_min_tokens, row.effective_from)
        });
        if let Some(input) = input.filter(|input| per_unit(row) > per_unit(input)) {
            findings.push(Finding {
                severity: Severity::Warning,
                file: PRICES,
                line: row.line,
                text: format!("reading from the cache is dearer than fresh input (line {})", input.line),
            });
        }
    }
}

/// Input and output cost nothing although something else does: a reranker, billed by the query, or a price nobody entered.
fn unpriced_tokens(group: &[&PriceRow]) -> Option<Finding> {
    let open = || group.iter().filter(|row| row.effective_until.is_none());
    let is_text = |row: &PriceRow| [Token::Input.name(), Token::Output.name()].contains(&&*row.meter);
    let first = open().find(|row| is_text(row))?;
    let free = open().filter(|row| is_text(row)).all(|row| row.price.is_zero());
    let priced = open().find(|row| !is_text(row) && !row.price.is_zero())?;
    free.then(|| Finding {
        severity: Severity::Warning,
        file: PRICES,
        line: first.line,
        text: format!(
            "{}/{} has no price above 0 for input and output, but one for '{}' (line {}): is it free, or not entered?",
            first.provider, first.model, priced.meter, priced.line
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::price_book::row;

    fn findings(lines: &str) -> Vec<String> {
        let mut errors = Vec::new();
        let rows = row::parse(&format!("{}\n{lines}", row::COLUMNS.join(",")), &mut errors);
        assert_eq!(errors, Vec::<String>::new());
        check(&rows).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn overlapping_prices_are_found_and_adjoining_ones_are_not() {
        let lines = "a,m,input,1,1000,USD,,2026-01-01,,,,,,\na,m,input,2,1000,USD,2026-01-01,,,,,,,\n";
        assert_eq!(findings(lines), Vec::<String>::new());
        let lines = "a,m,input,1,1000,USD,,2026-01-02,,,,,,\na,m,input,2,1000,USD,2026-01-01,,,,,,,\n";
        assert_eq!(
            findings(lines),
            [
                "prices.csv:3: a/m has a second price of 'input' for the same time as line 2; end one where the other starts"
            ]
        );
    }

    #[test]
    fn schedules_that_overlap_with_different_prices_are_found() {
        let base = "a,m,input,1,1000000,USD,,,,,,,,\n";
        let line = |price: &str, from: &str, until: &str, above: &str, schedule: &str| {
            format!("a,m,input,{price},1000000,USD,{from},{until},{above},,,{schedule},,\n")
        };
        let peak = line("3", "", "", "", "01:00-04:00");
        assert_eq!(
            findings(&format!("{base}{peak}{}", line("9", "", "", "", "02:00-03:00"))),
            [
                "prices.csv:4: a/m has another price of 'input' in '02:00-03:00' than in '01:00-04:00' of line 3, and both hold at once; \
                 end one, or make their windows not overlap"
            ]
        );
        for fine in [
            line("9", "", "", "", "04:00-06:00"),
            line("3.0", "", "", "", "02:00-03:00"),
            line("9", "", "", "200000", "02:00-03:00"),
        ] {
            assert_eq!(findings(&format!("{base}{peak}{fine}")), Vec::<String>::new(), "{fine}");
        }
        let ended = line("3", "", "2026-01-01", "", "01:00-04:00");
        let next = line("9", "2026-01-01", "", "", "01:00-04:00 06:00-10:00");
        assert_eq!(findings(&format!("{base}{ended}{next}")), Vec::<String>::new());
    }

    #[test]
    fn a_tier_without_the_price_for_large_prompts_is_named_once() {
        let standard = "a,m,input,2,1000000,USD,,,,,,,,\na,m,input,4,1000000,USD,,,200000,,,,,\na,m,output,8,1000000,USD,,,,,,,,\n";
        let output = "a,m,output,12,1000000,USD,,,200000,,,,,\n";
        let flex = "a,m,input,1,1000000,USD,,,,flex,eu,,,\na,m,output,4,1000000,USD,,,,flex,eu,,,\n";
        assert_eq!(findings(&format!("{standard}{output}")), Vec::<String>::new());
        assert_eq!(
            findings(&format!("{standard}{output}{flex}")),
            [
                "prices.csv:6: a/m has a price above 200000 prompt tokens, but none in service tier 'flex', region 'eu' (input, output): \
              larger calls pay the dearer of the two and are marked tier_assumed; add the price"
            ]
        );
        let step = "a,m,input,2,1000000,USD,,,200000,flex,eu,,,\n";
        assert_eq!(findings(&format!("{standard}{flex}{step}")), Vec::<String>::new());
        let over = "a,m,input,1,1000000,USD,,2026-01-01,,flex,,,,\n";
        let later = "a,m,input,2,1000000,USD,,,,,,,,\na,m,input,4,1000000,USD,2026-01-01,,200000,,,,,\n";
        assert_eq!(findings(&format!("{later}{over}")), Vec::<String>::new(), "never in force together");
    }

    #[test]
    fn a_region_or_spelling_without_the_price_for_large_prompts_that_another_has_is_named() {
        let lines = "a,m,input,2,1000000,USD,,,,,,,,\na,m,input,2,1000000,USD,,,,,us,,,\na,m,input,4,1000000,USD,,,200000,,us,,,\n\
             a,x/m,input,3,1000000,USD,,,,,us,,,\n";
        assert_eq!(
            findings(lines),
            [
                "prices.csv:2: a/m has one price for every prompt in the default region (input), but a/m has another above 200000 prompt \
                 tokens in region 'us' (line 4): add the price, or make sure that there is none",
                "prices.csv:5: a/x/m has one price for every prompt in region 'us' (input), but a/m has another above 200000 prompt \
                 tokens in region 'us' (line 4): add the price, or make sure that there is none",
            ]
        );
        // What the default region knows stands in for the others: that is the other finding, once.
        let stands_in = "a,m,input,2,1000000,USD,,,,,,,,\na,m,input,4,1000000,USD,,,200000,,,,,\na,m,input,3,1000000,USD,,,,,us,,,\n";
        assert_eq!(findings(stands_in).len(), 1);
    }

    #[test]
    fn a_large_prompt_that_costs_nothing_where_a_small_one_does_is_named() {
        let step = |price: &str| format!("a,m,input,{price},1000000,USD,,,128000,,,,,\n");
        let base = |price: &str, until: &str| format!("a,m,input,{price},1000000,USD,,{until},,,,,,\n");
        assert_eq!(
            findings(&format!("{}{}", base("0.3", ""), step("0"))),
            [
                "prices.csv:3: a/m costs nothing for 'input' above 128000 prompt tokens, but 0.3 per 1000000 below (line 2): is it \
                 free, or not entered?"
            ]
        );
        let later = "a,m,input,0,1000000,USD,2026-01-01,,128000,,,,,\n";
        let free = "a,m,input,0,1000000,USD,2026-01-01,,,,,,,\n";
        for fine in
            [base("0", "") + &step("0"), base("0.3", "") + &step("0.6"), base("0.3", "2026-01-01") + free + later]
        {
            assert_eq!(findings(&fine), Vec::<String>::new(), "{fine}");
        }
    }

    #[test]
    fn tokens_that_cost_nothing_beside_something_that_does_are_named() {
        let free = "a,m,input,0,1,USD,,,,,,,,\na,m,output,0,1,USD,,,,,,,,\n";
        let cache = "a,m,cache_read,0.03,1000000,USD,,,,,,,,\n";
        assert_eq!(findings(free), Vec::<String>::new(), "free altogether");
        assert_eq!(
            findings(&format!("a,m,input,1,1000000,USD,,,,,,,,\na,m,output,0,1,USD,,,,,,,,\n{cache}")),
            Vec::<String>::new()
        );
        let found = findings(&format!("{free}a,m,query,0.002,1,USD,,,,,,,,\n"));
        assert_eq!(
            found,
            [
                "prices.csv:2: a/m has no price above 0 for input and output, but one for 'query' (line 4): is it free, or not entered?"
            ]
        );
        assert_eq!(findings(&format!("{free}{cache}")).len(), 2, "and the cache is dearer than input");
    }

    #[test]
    fn odd_prices_are_named() {
        let lines =
            "a,m,input,1,1000000,USD,,,,,,,,\na,m,cache_read,2,1000000,USD,,,,,,,,\na,m,output,1,1,USD,,,200000,,,,,\n";
        assert_eq!(
            findings(lines),
            [
                "prices.csv:3: reading from the cache is dearer than fresh input (line 2)",
                "prices.csv:4: 'output' has a price above 200000 prompt tokens and none below",
                "prices.csv:4: 1 per 1 for 'output' is more than 10000 per million tokens",
            ]
        );
    }
}
