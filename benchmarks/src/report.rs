//! Figures of the rounds in, a Markdown table out. Medians, so that one disturbed round does not decide.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::lake_log::Written;
use crate::watch::Took;

/// One contestant's rounds.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    pub name: String,
    pub took: Vec<Took>,
    /// What was left in the lake; none for the yardstick.
    pub written: Option<Written>,
}

/// The value below which so many thousandths of sorted times lie; zero without any.
pub fn percentile(sorted: &[Duration], thousandths: usize) -> Duration {
    let at = (sorted.len() * thousandths / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// A Markdown table of these columns.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &mut dyn Iterator<Item = &str>| format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
    let head = [line(&mut head.iter().copied()), format!("|{}\n", "---|".repeat(head.len()))];
    head.into_iter().chain(rows.iter().map(|row| line(&mut row.iter().map(String::as_str)))).collect()
}

/// One duration in hundredths of another, as text: `1.25`.
pub fn ratio(one: Duration, other: Duration) -> String {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    hundredths(micros(one).saturating_mul(100), micros(other))
}

/// The table. The first contestant is what the others are compared with.
pub fn markdown(events: u64, contestants: &[Rounds]) -> String {
    let head = "| | events/s | of raw | CPU-seconds per million | peak memory | bytes per event | rounds, events/s |\n\
                |---|---|---|---|---|---|---|\n";
    let yardstick = contestants.first().map_or(Duration::ZERO, |first| median(first, |took| took.wall));
    let line = |one: &Rounds| {
        let wall = median(one, |took| took.wall);
        let cpu = median(one, |took| took.cpu);
        let peak = one.took.iter().map(|took| took.peak_bytes).max().unwrap_or(0);
        let bytes = one.written.map_or("–".to_owned(), |written| hundredths(written.bytes * 100, written.rows));
        let rounds: Vec<_> = one.took.iter().map(|took| rate(events, took.wall).to_string()).collect();
        format!(
            "| {} | {} | {} % | {} | {} MB | {bytes} | {} |\n",
            one.name,
            rate(events, wall),
            yardstick.as_micros() * 100 / wall.as_micros().max(1),
            hundredths(u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX) * 100, events),
            peak / 1_000_000,
            rounds.join(", "),
        )
    };
    [head.to_owned()].into_iter().chain(contestants.iter().map(line)).collect()
}

/// Where the processor time of all rounds went, by thread; the busiest first, what is below a hundredth left out.
pub fn threads(contestants: &[Rounds]) -> String {
    let line = |one: &Rounds| {
        let mut sums = BTreeMap::<&str, Duration>::new();
        for (name, cpu) in one.took.iter().flat_map(|took| &took.threads) {
            *sums.entry(name).or_default() += *cpu;
        }
        let all = sums.values().sum::<Duration>().as_micros().max(1);
        let mut shares: Vec<_> = sums.iter().map(|(name, cpu)| (cpu.as_micros() * 100 / all, *name)).collect();
        shares.sort_unstable_by(|a, b| b.cmp(a));
        let shown = shares.iter().filter(|(share, _)| *share > 0).map(|(share, name)| format!("{name} {share} %"));
        format!("| {} | {} |\n", one.name, shown.collect::<Vec<_>>().join(", "))
    };
    let head = "| | processor time by thread |\n|---|---|\n".to_owned();
    [head].into_iter().chain(contestants.iter().map(line)).collect()
}

fn median(one: &Rounds, of: impl Fn(&Took) -> Duration) -> Duration {
    let mut all: Vec<_> = one.took.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

fn rate(events: u64, wall: Duration) -> u128 {
    u128::from(events) * 1_000_000 / wall.as_micros().max(1)
}

/// `number / of` hundredths as text: (1234, 1) is 12.34.
pub fn hundredths(number: u64, of: u64) -> String {
    let value = (number + of / 2) / of.max(1);
    format!("{}.{:02}", value / 100, value % 100)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rounds, markdown, ratio, table, threads};
    use crate::lake_log::Written;
    use crate::watch::Took;

    #[test]
    fn medians_ratios_and_units() {
        let rounds = |name: &str, seconds: [u64; 3], written| Rounds {
            name: name.to_owned(),
            took: seconds
                .map(|wall| Took {
                    wall: Duration::from_secs(wall),
                    cpu: Duration::from_millis(wall * 1_500),
                    peak_bytes: 64_000_000,
                    threads: [
                        ("decode".to_owned(), Duration::from_secs(3)),
                        ("writer".to_owned(), Duration::from_secs(1)),
                    ]
                    .into(),
                })
                .to_vec(),
            written,
        };
        let written = Written { commits: 2, files: 2, rows: 2_000_000, bytes: 44_000_000 };
        let table = markdown(2_000_000, &[rounds("raw", [2, 9, 1], None), rounds("ours", [5, 4, 4], Some(written))]);
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(lines[0], "| raw | 1000000 | 100 % | 1.50 | 64 MB | – | 1000000, 222222, 2000000 |");
        assert_eq!(
            threads(&[rounds("ours", [1, 1, 1], None)]).lines().nth(2),
            Some("| ours | decode 75 %, writer 25 % |")
        );
        assert_eq!(lines[1], "| ours | 500000 | 50 % | 3.00 | 64 MB | 22.00 | 400000, 500000, 500000 |");
    }

    #[test]
    fn rows_become_lines() {
        let rows = [vec!["a".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["", "n"], &rows), "|  | n |\n|---|---|\n| a | 1 |\n");
        assert_eq!(ratio(Duration::from_millis(5), Duration::from_millis(4)), "1.25");
    }
}
