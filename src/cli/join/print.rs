//! Prints the result of a join: tables for a terminal, or JSON lines.
//!
//! Text from logs is escaped, because it may contain a client's control characters for the terminal.

use std::io::{self, Write};

use serde_json::json;

use super::half::Counts;
use super::options::{Format, Input};
use super::outcome::{Log, Place};
use super::parts::Parts;
use super::print_times;
use super::summary::{Join, Kind, Request};
use super::timeline::{Line, Timeline};
use super::times;
use crate::cli::text::printable;

/// Prints the summary: lines of the logs, kinds of requests, where requests ended.
pub(super) fn summary(
    join: &Join,
    inputs: &[Input],
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Table => summary_table(join, inputs, output),
        Format::Jsonl => summary_lines(join, inputs, output),
    }
}

fn summary_lines(join: &Join, inputs: &[Input], output: &mut impl Write) -> io::Result<()> {
    for (input, counts) in inputs.iter().zip(&join.counts) {
        let broken: Vec<_> = counts
            .first_broken
            .iter()
            .map(|(number, broken)| json!({"line": number, "why": broken.to_string()}))
            .collect();
        let line = json!({
            "kind": "input", "log": input.log.name(), "file": input.path.display().to_string(),
            "lines": counts.lines(), "with_id": counts.with_id, "without_id": counts.without_id,
            "other": counts.other, "broken": counts.broken, "first_broken": broken,
        });
        writeln!(output, "{line}")?;
    }
    let mut line = json!({"kind": "requests", "total": join.requests(), "adds_up": join.adds_up()});
    if let Some(object) = line.as_object_mut() {
        for kind in Kind::ALL {
            object.insert(kind.name().to_owned(), json!(join.count(kind)));
        }
    }
    writeln!(output, "{line}")?;
    for log in join.hops() {
        let line = json!({"kind": "missing", "log": log.name(), "requests": join.missing(log)});
        writeln!(output, "{line}")?;
    }
    for (place, reason, count) in join.ends() {
        let line =
            json!({"kind": "end", "place": place.name(), "reason": reason, "requests": count});
        writeln!(output, "{line}")?;
    }
    for (reason, count) in join.shadows() {
        let line = json!({"kind": "shadow", "reason": reason, "requests": count});
        writeln!(output, "{line}")?;
    }
    print_times::latency_lines(&join.latencies, output)
}

fn summary_table(join: &Join, inputs: &[Input], output: &mut impl Write) -> io::Result<()> {
    let width = inputs
        .iter()
        .map(|input| input.log.name().len())
        .max()
        .unwrap_or_default();
    for (input, counts) in inputs.iter().zip(&join.counts) {
        let path = printable(&input.path.display().to_string());
        let log = format!("{}:", input.log.name());
        writeln!(
            output,
            "{log:<0$} {path}: {1}",
            width.saturating_add(1),
            counts_of(counts)
        )?;
        for (number, broken) in &counts.first_broken {
            writeln!(output, "      line {number}: {broken}")?;
        }
    }
    let total = join.requests();
    writeln!(output, "\n{:<34} {:>14}", "requests", thousands(total))?;
    let hops: Vec<Log> = join.hops().collect();
    for (kind, title) in titles(&hops) {
        writeln!(output, "  {title:<32} {:>14}", thousands(join.count(kind)))?;
        // With two logs, the kind tells which one lacks a request.
        let lacking = hops
            .iter()
            .filter(|_| kind == Kind::Repeated && hops.len() > 2);
        for log in lacking {
            let title = format!("not in the {}'s log", log.name());
            writeln!(
                output,
                "  {title:<32} {:>14}",
                thousands(join.missing(*log))
            )?;
        }
    }
    writeln!(output, "\n{:<10} {:<44} {:>14}", "ended", "how", "requests")?;
    for (place, reason, count) in join.ends() {
        let reason = printable(reason);
        writeln!(
            output,
            "{:<10} {reason:<44} {:>14}",
            place.name(),
            thousands(count)
        )?;
    }
    if !join.shadows().is_empty() {
        writeln!(output, "\nlet pass by shadow mode, would have been denied")?;
    }
    for (reason, count) in join.shadows() {
        let reason = printable(reason);
        writeln!(
            output,
            "{:<10} {reason:<44} {:>14}",
            "shadow",
            thousands(count)
        )?;
    }
    print_times::latency_table(&join.latencies, output)
}

/// The kinds of requests, in words.
fn titles(hops: &[Log]) -> [(Kind, String); 5] {
    let name = |log: Option<&Log>| log.map_or("", |log| log.name());
    let (first, last) = (name(hops.first()), name(hops.last()));
    let ended = format!("ended at the {first}");
    let repeated = "more than once in one log".to_owned();
    if hops.len() == 2 {
        [
            (Kind::Joined, "in both logs".to_owned()),
            (Kind::EndedAtEdge, ended),
            (Kind::Lost, format!("forwarded, not in the {last}'s log")),
            (Kind::MeshOnly, format!("in the {last}'s log only")),
            (Kind::Repeated, repeated),
        ]
    } else {
        [
            (Kind::Joined, "in the log of each hop reached".to_owned()),
            (Kind::EndedAtEdge, ended),
            (Kind::Lost, "a hop behind the first lacks it".to_owned()),
            (Kind::MeshOnly, format!("the {first} lacks it")),
            (Kind::Repeated, repeated),
        ]
    }
}

fn counts_of(counts: &Counts) -> String {
    let other = match counts.other {
        0 => String::new(),
        other => format!(", {} of other things", thousands(other)),
    };
    format!(
        "{} lines, {} with an ID, {} without{other}, {} broken",
        thousands(counts.lines()),
        thousands(counts.with_id),
        thousands(counts.without_id),
        thousands(counts.broken)
    )
}

/// Prints the column titles of a list of requests.
pub(super) fn list_header(format: Format, output: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Table => {
            let times = print_times::titles();
            writeln!(
                output,
                "{:<40} {:<10} {times} ended",
                "correlation ID", "kind"
            )
        }
        Format::Jsonl => Ok(()),
    }
}

/// Prints one request of a list.
pub(super) fn listed(
    request: &Request<'_>,
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    let (kind, end) = (request.kind.name(), request.end);
    let end = format!("{}: {}", end.place.name(), end.reason);
    match format {
        Format::Table => {
            let (id, end) = (printable(request.id), printable(&end));
            let times = print_times::cells(&request.parts);
            let missing: Vec<&str> = request.missing.iter().map(|log| log.name()).collect();
            let lacks = if missing.is_empty() || request.end.place == Place::Between {
                String::new()
            } else {
                format!(", not in the log of {}", missing.join(", "))
            };
            writeln!(output, "{id:<40} {kind:<10} {times} {end}{lacks}")
        }
        Format::Jsonl => {
            let missing: Vec<&str> = request.missing.iter().map(|log| log.name()).collect();
            let mut line = json!({
                "kind": kind, "correlation_id": request.id, "end": end, "missing": missing,
            });
            print_times::insert(&request.parts, &mut line);
            writeln!(output, "{line}")
        }
    }
}

/// Prints the timeline of one ID.
pub(super) fn timeline(
    timeline: &Timeline,
    parts: &Parts,
    inputs: &[Input],
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Table => timeline_table(timeline, parts, inputs, output),
        Format::Jsonl => timeline_lines(timeline, parts, inputs, output),
    }
}

/// The file of a line, and whether its hop has others.
fn file_of(line: &Line, inputs: &[Input]) -> (String, bool) {
    let of_hop = inputs.iter().filter(|input| input.log == line.log);
    let file = of_hop.clone().nth(line.file);
    let path = file.map(|input| input.path.display().to_string());
    (path.unwrap_or_default(), of_hop.count() > 1)
}

fn timeline_lines(
    timeline: &Timeline,
    parts: &Parts,
    inputs: &[Input],
    output: &mut impl Write,
) -> io::Result<()> {
    for line in &timeline.lines {
        // The record is a JSON object on one line.
        let (log, number, record) = (line.log.name(), line.number, &line.text);
        let file = json!(file_of(line, inputs).0);
        writeln!(
            output,
            r#"{{"kind":"line","log":"{log}","file":{file},"line":{number},"record":{record}}}"#
        )?;
    }
    if timeline.more > 0 {
        let line = json!({"kind": "more", "lines": timeline.more});
        writeln!(output, "{line}")?;
    }
    if !timeline.lines.is_empty() {
        let mut line = json!({"kind": "times"});
        print_times::insert(parts, &mut line);
        writeln!(output, "{line}")?;
    }
    Ok(())
}

fn timeline_table(
    timeline: &Timeline,
    parts: &Parts,
    inputs: &[Input],
    output: &mut impl Write,
) -> io::Result<()> {
    let id = printable(&timeline.id);
    if timeline.lines.is_empty() {
        return writeln!(output, "{id}: in no log");
    }
    let names = timeline.lines.iter().map(|line| line.log.name().len());
    let width = names.max().unwrap_or_default();
    writeln!(output, "{id}")?;
    let start = timeline.lines.first().and_then(|line| line.since_epoch);
    for line in &timeline.lines {
        let after = match (start, line.since_epoch) {
            (Some(start), Some(at)) => {
                format!("+{} ms", at.saturating_sub(start).as_millis())
            }
            _ => String::new(),
        };
        let [time, outcome, reason, status, method, path] = [
            &line.time,
            &line.outcome,
            &line.reason,
            &line.status,
            &line.method,
            &line.path,
        ]
        .map(|text| printable(text));
        let outcome = if outcome.is_empty() { "-" } else { &outcome };
        let log = line.log.name();
        let line_text = format!(
            "  {time:<24} {after:>9}  {log:<width$} {status:>3} {outcome:<32} {method} {path}"
        );
        writeln!(output, "{}", line_text.trim_end())?;
        let mut notes = Vec::new();
        if !reason.is_empty() {
            notes.push(reason);
        }
        notes.extend(line.duration.map(times::human));
        notes.push(match file_of(line, inputs) {
            (file, true) => format!("line {} of {}", line.number, printable(&file)),
            _ => format!("line {}", line.number),
        });
        let indent = width.saturating_add(37);
        writeln!(output, "  {:<indent$} {}", "", notes.join(" · "))?;
    }
    if timeline.more > 0 {
        writeln!(output, "  and {} lines more", thousands(timeline.more))?;
    }
    print_times::request(parts, output)
}

/// A number with a comma between groups of three digits.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && digits.len().saturating_sub(index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three_digits_are_separated() {
        for (number, text) in [
            (0, "0"),
            (7, "7"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }
}
