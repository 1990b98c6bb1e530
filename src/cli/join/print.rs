//! Prints the result of a join: tables for a terminal, or JSON lines.
//!
//! Text from logs is escaped, because it may contain a client's control characters for the terminal.

use std::io::{self, Write};

use serde_json::json;

use super::options::{Format, Options};
use super::print_times;
use super::summary::{Input, Join, Kind, Request};
use super::timeline::Timeline;
use super::times::{self, Parts};
use crate::cli::text::printable;

/// Prints the summary: lines of the logs, kinds of requests, where requests ended.
pub(super) fn summary(join: &Join, options: &Options, output: &mut impl Write) -> io::Result<()> {
    match options.format {
        Format::Table => summary_table(join, options, output),
        Format::Jsonl => summary_lines(join, output),
    }
}

fn summary_lines(join: &Join, output: &mut impl Write) -> io::Result<()> {
    for (log, input) in &join.inputs {
        let broken: Vec<_> = input
            .first_broken
            .iter()
            .map(|(number, broken)| json!({"line": number, "why": broken.to_string()}))
            .collect();
        let line = json!({
            "kind": "input", "log": log.name(), "lines": input.lines(), "with_id": input.with_id,
            "without_id": input.without_id, "broken": input.broken, "first_broken": broken,
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

fn summary_table(join: &Join, options: &Options, output: &mut impl Write) -> io::Result<()> {
    for (log, input) in &join.inputs {
        let path = printable(&options.path(*log).display().to_string());
        writeln!(output, "{}: {path}: {}", log.name(), counts(input))?;
        for (number, broken) in &input.first_broken {
            writeln!(output, "      line {number}: {broken}")?;
        }
    }
    let total = join.requests();
    writeln!(output, "\n{:<34} {:>14}", "requests", thousands(total))?;
    for (kind, title) in [
        (Kind::Joined, "in both logs"),
        (Kind::EndedAtEdge, "ended at the edge"),
        (Kind::Lost, "forwarded, not in the mesh's log"),
        (Kind::MeshOnly, "in the mesh's log only"),
        (Kind::Repeated, "more than once in one log"),
    ] {
        writeln!(output, "  {title:<32} {:>14}", thousands(join.count(kind)))?;
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

fn counts(input: &Input) -> String {
    format!(
        "{} lines, {} with an ID, {} without, {} broken",
        thousands(input.lines()),
        thousands(input.with_id),
        thousands(input.without_id),
        thousands(input.broken)
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
            writeln!(output, "{id:<40} {kind:<10} {times} {end}")
        }
        Format::Jsonl => {
            let mut line = json!({"kind": kind, "correlation_id": request.id, "end": end});
            print_times::insert(&request.parts, &mut line);
            writeln!(output, "{line}")
        }
    }
}

/// Prints the timeline of one ID.
pub(super) fn timeline(
    timeline: &Timeline,
    parts: &Parts,
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Table => timeline_table(timeline, parts, output),
        Format::Jsonl => timeline_lines(timeline, parts, output),
    }
}

fn timeline_lines(timeline: &Timeline, parts: &Parts, output: &mut impl Write) -> io::Result<()> {
    for line in &timeline.lines {
        // The record is a JSON object on one line.
        let (log, number, record) = (line.log.name(), line.number, &line.text);
        writeln!(
            output,
            r#"{{"kind":"line","log":"{log}","line":{number},"record":{record}}}"#
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

fn timeline_table(timeline: &Timeline, parts: &Parts, output: &mut impl Write) -> io::Result<()> {
    let id = printable(&timeline.id);
    if timeline.lines.is_empty() {
        return writeln!(output, "{id}: in neither log");
    }
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
        writeln!(
            output,
            "  {time:<24} {after:>9}  {:<4} {status:>3} {outcome:<32} {method} {path}",
            line.log.name()
        )?;
        let mut notes = Vec::new();
        if !reason.is_empty() {
            notes.push(reason);
        }
        notes.extend(line.duration.map(times::human));
        notes.push(format!("line {}", line.number));
        writeln!(output, "  {:<41} {}", "", notes.join(" · "))?;
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
