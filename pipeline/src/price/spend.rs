//! What a batch spent, for metrics: by provider, model, team and task, with tokens, latencies, statuses and caches. In: decoded and priced columns;
//! out: sums of the batch, and [`SpendMetrics`] that keep them since the start. Money stays exact on its way to the text.
//!
//! Labels are bounded: the first [`MAX_SERIES`] combinations have series of their own, later ones count as `other`.

use std::fmt::Write as _;

use hashbrown::HashMap;
use parking_lot::Mutex;
use prometheus::{Histogram, IntCounterVec, Registry};
use spendstream_schemas::count::Count;
use spendstream_schemas::dimension::Text;
use spendstream_schemas::money::Amount;

use super::engine::PricedColumns;
use crate::columns::events::EventColumns;
use crate::columns::interner::{Interner, Symbol};
use crate::metrics::{counters, histogram};

/// Combinations of provider, model, team and task that have series of their own.
pub const MAX_SERIES: usize = 2_000;
/// The kinds of cost, in the order of the money columns from `input_cost` on.
const KINDS: [&str; 5] = ["input", "output", "cache_read", "cache_write", "other"];
/// Where `input_cost` is among the money columns.
const FIRST_KIND: usize = 2;
/// Upper ends of the token histograms.
const TOKENS: [f64; 7] = [100.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0, 16_000.0];
/// Upper ends of the latency histogram, seconds.
const SECONDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// Provider, model, team and task.
type Labels = [String; 4];

/// Sums of one combination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Units of 10⁻¹⁵ by kind.
    pub cost: [i128; KINDS.len()],
    pub calls: u64,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        for (sum, cost) in self.cost.iter_mut().zip(other.cost) {
            *sum = sum.saturating_add(cost);
        }
        self.calls += other.calls;
    }
}

/// What one batch spent.
#[derive(Clone, Debug, Default)]
pub struct Spend {
    pub by: Vec<(Labels, Sums)>,
    /// Calls by status.
    pub statuses: Vec<(String, u64)>,
    /// Prompt caches, then caches of whole answers: hits and misses.
    pub caches: [[u64; 2]; 2],
    /// Input and output of each call.
    pub tokens: Vec<[i64; 2]>,
    pub latencies_ms: Vec<i64>,
}

/// Sums up a priced batch.
pub(super) fn of(columns: &EventColumns, priced: &PricedColumns, interner: &Interner) -> Spend {
    let mut by: HashMap<[Symbol; 4], Sums> = HashMap::new();
    let mut statuses: HashMap<Symbol, u64> = HashMap::new();
    let mut spend = Spend { tokens: Vec::with_capacity(columns.len()), ..Spend::default() };
    let known = |one: Symbol, sent: Symbol| if one.is_none() { sent } else { one };
    for row in 0..columns.len() {
        let symbol = |text: Text| columns.symbols[text as usize][row];
        let labels = [
            known(priced.provider[row], symbol(Text::ProviderSent)),
            known(priced.model_id[row], symbol(Text::Model)),
            symbol(Text::Team),
            symbol(Text::TaskType),
        ];
        let cost = std::array::from_fn(|kind| priced.money[FIRST_KIND + kind][row].unwrap_or(0));
        by.entry(labels).or_default().add(&Sums { cost, calls: 1 });
        *statuses.entry(symbol(Text::Status)).or_default() += 1;
        let counts = &columns.counts[row];
        spend.tokens.push([counts.get(Count::Input), counts.get(Count::Output)]);
        if counts.get(Count::Input) > 0 {
            spend.caches[0][usize::from(counts.get(Count::CacheRead) == 0)] += 1;
        }
        if let Some(hit) = columns.cache_hits[row] {
            spend.caches[1][usize::from(!hit)] += 1;
        }
        spend.latencies_ms.extend(columns.latencies[row]);
    }
    let text = |symbol: Symbol| interner.text(symbol).unwrap_or_default().to_owned();
    spend.by = by.into_iter().map(|(labels, sums)| (labels.map(text), sums)).collect();
    spend.statuses = statuses.into_iter().map(|(status, calls)| (text(status), calls)).collect();
    spend
}

/// Series of what was spent since the start.
pub struct SpendMetrics {
    by: Mutex<HashMap<Labels, Sums>>,
    statuses: IntCounterVec,
    caches: IntCounterVec,
    input: Histogram,
    output: Histogram,
    latency: Histogram,
}

impl SpendMetrics {
    /// All series at zero.
    ///
    /// # Errors
    /// When two series share a name: a fault of this program.
    pub fn new(r: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            by: Mutex::default(),
            statuses: counters(r, "spendstream_calls_by_status_total", "Calls by how they ended.", &["status"])?,
            caches: counters(
                r,
                "spendstream_cache_total",
                "Calls with input that read from the provider's prompt cache or did not (cache=prompt), and calls that a gateway answered \
                 from its own cache or did not, where it says so (cache=response).",
                &["cache", "outcome"],
            )?,
            input: histogram(r, "spendstream_input_tokens", "Input tokens of a call, cached ones included.", &TOKENS)?,
            output: histogram(r, "spendstream_output_tokens", "Output tokens of a call.", &TOKENS)?,
            latency: histogram(r, "spendstream_call_seconds", "How long calls took, where events say so.", &SECONDS)?,
        })
    }

    /// Counts a batch.
    pub fn count(&self, spend: &Spend) {
        {
            let mut by = self.by.lock();
            for (labels, sums) in &spend.by {
                if by.len() < MAX_SERIES || by.contains_key(labels) {
                    by.entry_ref(labels).or_default().add(sums);
                } else {
                    by.entry(["other"; 4].map(str::to_owned)).or_default().add(sums);
                }
            }
        }
        for (status, calls) in &spend.statuses {
            // Decoders know two; whatever else comes is one more, not one each.
            let status = match status.as_str() {
                "ok" | "error" => status.as_str(),
                "" => "ok",
                _ => "other",
            };
            self.statuses.with_label_values(&[status]).inc_by(*calls);
        }
        for (cache, counts) in ["prompt", "response"].into_iter().zip(spend.caches) {
            for (outcome, calls) in ["hit", "miss"].into_iter().zip(counts) {
                self.caches.with_label_values(&[cache, outcome]).inc_by(calls);
            }
        }
        let (input, output, latency) = (self.input.local(), self.output.local(), self.latency.local());
        for [input_tokens, output_tokens] in &spend.tokens {
            input.observe(*input_tokens as f64);
            output.observe(*output_tokens as f64);
        }
        for millis in &spend.latencies_ms {
            latency.observe(*millis as f64 / 1_000.0);
        }
    }

    /// The money and the calls as text for `/metrics`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut rows: Vec<(Labels, Sums)> =
            self.by.lock().iter().map(|(labels, sums)| (labels.clone(), *sums)).collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out = String::from(
            "# HELP spendstream_spend_total Cost of the events priced, in the lake's currency; since the start of this process.\n\
             # TYPE spendstream_spend_total counter\n",
        );
        for (labels, sums) in &rows {
            for (kind, units) in KINDS.into_iter().zip(sums.cost).filter(|(_, units)| *units != 0) {
                let amount = Amount::from_units(units).unwrap_or_default();
                let _ = writeln!(out, "spendstream_spend_total{{{},type=\"{kind}\"}} {amount}", named(labels));
            }
        }
        out.push_str("# HELP spendstream_calls_total Calls priced or kept as unpriced.\n# TYPE spendstream_calls_total counter\n");
        for (labels, sums) in &rows {
            let _ = writeln!(out, "spendstream_calls_total{{{}}} {}", named(labels), sums.calls);
        }
        out
    }
}

fn named(labels: &Labels) -> String {
    let names = ["provider", "model", "team", "task"].into_iter().zip(labels);
    names.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

/// A label's value as the text format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::{MAX_SERIES, Spend, SpendMetrics, Sums};

    fn spend(model: &str, cost: i128) -> Spend {
        let labels = ["openai", model, "search", ""].map(str::to_owned);
        Spend { by: vec![(labels, Sums { cost: [cost, 0, 0, 0, 1], calls: 2 })], ..Spend::default() }
    }

    #[test]
    fn money_is_exact_and_labels_are_escaped() {
        let metrics = SpendMetrics::new(&Registry::new()).unwrap();
        metrics.count(&spend("a\"b", 10_i128.pow(15)));
        metrics.count(&spend("a\"b", 2));
        let text = metrics.render();
        let labels = r#"provider="openai",model="a\"b",team="search",task="""#;
        for line in [
            format!("spendstream_spend_total{{{labels},type=\"input\"}} 1.000000000000002\n"),
            format!("spendstream_spend_total{{{labels},type=\"other\"}} 0.000000000000002\n"),
            format!("spendstream_calls_total{{{labels}}} 4\n"),
        ] {
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("type=\"output\""));
    }

    #[test]
    fn series_are_bounded() {
        let metrics = SpendMetrics::new(&Registry::new()).unwrap();
        for number in 0..MAX_SERIES + 10 {
            metrics.count(&spend(&format!("m{number}"), 1));
        }
        let text = metrics.render();
        let other = r#"spendstream_calls_total{provider="other",model="other",team="other",task="other"} 20"#;
        assert!(text.contains(other));
        assert_eq!(text.matches("spendstream_calls_total{").count(), MAX_SERIES + 1);
    }
}
