//! Prints how long requests took: in one request, and as percentiles and histograms of all.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::latency::{Bucket, Latencies};
use super::parts::{Part, Parts};
use super::print::thousands;
use super::times::human;

/// The parts that have a column in a table of requests, from the client's side to the upstream's.
const COLUMNS: [Part; 6] = [
    Part::Total,
    Part::Edge,
    Part::Network,
    Part::Filter,
    Part::Connect,
    Part::Upstream,
];
/// The width of a histogram's bar, in characters.
const BAR: u64 = 10;
/// A character filled by eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The titles of the columns of [`cells`].
pub(super) fn titles() -> String {
    COLUMNS.map(|part| format!("{:>8}", part.name())).join(" ")
}

/// The times of a request for a table; `-` for those that are unknown.
pub(super) fn cells(parts: &Parts) -> String {
    COLUMNS
        .map(|part| format!("{:>8}", human_or_unknown(parts.get(part))))
        .join(" ")
}

/// Adds the times of a request to a JSON object: `<part>_us`, `null` for those that are unknown.
pub(super) fn insert(parts: &Parts, line: &mut Value) {
    if let Some(line) = line.as_object_mut() {
        for (part, time) in parts.iter() {
            line.insert(format!("{}_us", part.name()), json!(time));
        }
    }
}

/// Prints the times of one request.
pub(super) fn request(parts: &Parts, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "\n  time")?;
    for (part, time) in parts.iter() {
        if part.is_optional() && time.is_none() {
            continue;
        }
        writeln!(
            output,
            "    {:<18} {:>9}",
            title(part),
            human_or_unknown(time)
        )?;
    }
    Ok(())
}

/// Prints percentiles and histograms as JSON lines. Parts and buckets without requests are left out.
pub(super) fn latency_lines(latencies: &Latencies, output: &mut impl Write) -> io::Result<()> {
    for (part, latency) in latencies.iter() {
        if latency.count() == 0 {
            continue;
        }
        let line = json!({
            "kind": "time", "part": part.name(), "requests": latency.count(),
            "p50_us": latency.quantile(0.5), "p90_us": latency.quantile(0.9),
            "p99_us": latency.quantile(0.99), "max_us": latency.max(),
        });
        writeln!(output, "{line}")?;
        for bucket in latency.buckets().filter(|bucket| bucket.count > 0) {
            let line = json!({
                "kind": "histogram", "part": part.name(), "from_us": bucket.from,
                "below_us": bucket.below, "requests": bucket.count,
            });
            writeln!(output, "{line}")?;
        }
    }
    Ok(())
}

/// Prints percentiles and histograms as tables, if any time is known.
pub(super) fn latency_table(latencies: &Latencies, output: &mut impl Write) -> io::Result<()> {
    if !latencies.is_known() {
        return Ok(());
    }
    writeln!(
        output,
        "\n{:<20} {:>14} {:>9} {:>9} {:>9} {:>9}",
        "time", "requests", "p50", "p90", "p99", "max"
    )?;
    for (part, latency) in latencies.iter() {
        if part.is_optional() && latency.count() == 0 {
            continue;
        }
        let [p50, p90, p99, max] = [
            latency.quantile(0.5),
            latency.quantile(0.9),
            latency.quantile(0.99),
            latency.max(),
        ]
        .map(human_or_unknown);
        writeln!(
            output,
            "{:<20} {:>14} {p50:>9} {p90:>9} {p99:>9} {max:>9}",
            title(part),
            thousands(latency.count())
        )?;
    }
    histograms(latencies, output)
}

/// One histogram beside the other, a bucket in a row. The longest bar of each is its largest bucket.
fn histograms(latencies: &Latencies, output: &mut impl Write) -> io::Result<()> {
    let known: Vec<(Part, Vec<Bucket>)> = latencies
        .iter()
        .filter(|(part, latency)| {
            let shown = COLUMNS.contains(part) || part.is_optional();
            shown && latency.count() > 0
        })
        .map(|(part, latency)| (part, latency.buckets().collect()))
        .collect();
    let column = |part: Part| match part {
        Part::EdgeAndNetwork => "edge+netw.",
        Part::HaproxyNetwork => "to mesh",
        Part::AppNetwork => "to app",
        _ => part.name(),
    };
    let titles: String = known
        .iter()
        .map(|(part, _)| format!(" {:<10}", column(*part)))
        .collect();
    writeln!(output, "\n{:>16} {}", "histogram", titles.trim_end())?;
    let is_used = |row: usize| {
        known
            .iter()
            .filter_map(|(_, buckets)| buckets.get(row))
            .any(|bucket| bucket.count > 0)
    };
    let rows = known.first().map_or(0, |(_, buckets)| buckets.len());
    let first = (0..rows).find(|row| is_used(*row)).unwrap_or_default();
    let last = (0..rows).rfind(|row| is_used(*row)).unwrap_or_default();
    for row in first..=last {
        let mut bars = String::new();
        let mut label = String::new();
        for (_, buckets) in &known {
            let most = buckets.iter().map(|bucket| bucket.count).max();
            if let (Some(bucket), Some(most)) = (buckets.get(row), most) {
                label = bucket_label(bucket);
                bars.push_str(&format!(" {}", bar(bucket.count, most)));
            }
        }
        writeln!(output, "{}", format!("{label:>16} {bars}").trim_end())?;
    }
    Ok(())
}

fn bucket_label(bucket: &Bucket) -> String {
    match bucket.below {
        Some(below) => format!("< {}", human_bound(below)),
        None => format!("≥ {}", human_bound(bucket.from)),
    }
}

/// A bound of a bucket, which is a round number.
fn human_bound(micros: u64) -> String {
    match micros {
        0..1000 => format!("{micros} µs"),
        1000..1_000_000 => format!("{} ms", micros / 1000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

/// A bar for `count` where the longest is for `most`. Every count above 0 is visible.
fn bar(count: u64, most: u64) -> String {
    let eighths = u128::from(count)
        .saturating_mul(u128::from(BAR * 8))
        .div_ceil(u128::from(most.max(1)));
    let eighths = usize::try_from(eighths).unwrap_or_default();
    let part = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    let bar = "█".repeat(eighths / 8) + part;
    format!("{bar:<10}")
}

fn title(part: Part) -> &'static str {
    match part {
        Part::EdgeAndNetwork => "edge and network",
        Part::HaproxyNetwork => "haproxy to mesh",
        Part::AppNetwork => "    mesh to app",
        Part::App => "    app",
        Part::Filter => "  filter",
        Part::Connect => "  connect",
        Part::Upstream => "  upstream",
        _ => part.name(),
    }
}

fn human_or_unknown(time: Option<u64>) -> String {
    time.map_or_else(|| "-".to_owned(), human)
}
