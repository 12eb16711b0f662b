//! What `lake check` and `lake status` print for people.

use std::io::{self, Write};

use spendstream_pipeline::lake::check::{Finding, Report, Verdict};
use spendstream_pipeline::lake::status::LakeStatus;

pub fn report(report: &Report, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}, version {}, {} rows", report.lake, report.version, report.rows)?;
    let width = report.findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    for Finding { check, verdict, detail } in &report.findings {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Info => "note",
            Verdict::Failed => "FAILED",
        };
        writeln!(out, "{word:<6}  {check:<width$}  {detail}")?;
    }
    let failed = report.findings.iter().filter(|finding| finding.verdict == Verdict::Failed).count();
    match failed {
        0 => writeln!(out, "the lake is clean"),
        1 => writeln!(out, "1 check FAILED"),
        failed => writeln!(out, "{failed} checks FAILED"),
    }
}

pub fn status(status: &LakeStatus, out: &mut impl Write) -> io::Result<()> {
    let committed = status.committed_ms.and_then(chrono::DateTime::from_timestamp_millis);
    let committed = committed.map_or("unknown".to_owned(), |time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string());
    writeln!(out, "lake       {}", status.lake)?;
    writeln!(out, "version    {}, committed {committed}", status.version)?;
    writeln!(out, "rows       {} in {} files, {} bytes", status.rows, status.files, status.bytes)?;
    writeln!(out, "cost       {} {}", status.cost, status.currency)?;
    writeln!(out, "unpriced   {} rows", status.unpriced_rows)?;
    for tier in &status.tiers {
        let days = if tier.days == 1 { "day" } else { "days" };
        writeln!(
            out,
            "{:<9}  {} {days}, {} files, {} rows, {} bytes, {} {}; {}",
            tier.name, tier.days, tier.files, tier.rows, tier.bytes, tier.cost, status.currency, tier.place
        )?;
    }
    let oldest = status.oldest_unsealed.as_deref().unwrap_or("none");
    writeln!(out, "unsealed   oldest day {oldest}")?;
    for (date, day) in &status.dates {
        writeln!(out, "{date}  {} rows, {} bytes", day.rows, day.bytes)?;
    }
    for part in &status.partitions {
        let t = &part.tally;
        writeln!(
            out,
            "{}  next offset {}; {} messages: {} rows, {} rejected, {} duplicates, {} ignored",
            part.partition, part.offset, t.messages, t.rows, t.rejected, t.duplicates, t.ignored
        )?;
    }
    Ok(())
}
