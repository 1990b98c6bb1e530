//! How the join is shown: tables for a terminal, or JSON lines.
//!
//! Whatever comes from a log is shown escaped: a log may hold what a client sent, and a terminal must
//! not obey it.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::json;

use super::event::Side;
use super::options::{Format, Options};
use super::summary::{Input, Join, Kind};
use super::timeline::Found;

/// The summary: what was read, how it joins, where requests ended.
pub(super) fn summary(join: &Join, options: &Options, output: &mut impl Write) -> io::Result<()> {
    match options.format {
        Format::Table => summary_table(join, options, output),
        Format::Jsonl => summary_lines(join, output),
    }
}

fn summary_lines(join: &Join, output: &mut impl Write) -> io::Result<()> {
    for (side, input) in &join.inputs {
        let broken: Vec<_> = input
            .first_broken
            .iter()
            .map(|(number, broken)| json!({"line": number, "why": broken.to_string()}))
            .collect();
        let line = json!({
            "kind": "input", "log": side.name(), "lines": input.lines(), "with_id": input.with_id,
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
    Ok(())
}

fn summary_table(join: &Join, options: &Options, output: &mut impl Write) -> io::Result<()> {
    for (side, input) in &join.inputs {
        let path = match side {
            Side::Edge => &options.edge,
            Side::Mesh => &options.mesh,
        };
        let name = escaped(&path.display().to_string());
        writeln!(output, "{}: {name}: {}", side.name(), read(input))?;
        for (number, broken) in &input.first_broken {
            writeln!(output, "      line {number}: {broken}")?;
        }
    }
    let total = join.requests();
    writeln!(output, "\n{:<34} {:>14}", "requests", thousands(total))?;
    for (kind, words) in [
        (Kind::Joined, "in both logs"),
        (Kind::EndedAtEdge, "ended at the edge"),
        (Kind::Lost, "forwarded, not in the mesh's log"),
        (Kind::MeshOnly, "in the mesh's log only"),
        (Kind::Repeated, "more than once in one log"),
    ] {
        writeln!(output, "  {words:<32} {:>14}", thousands(join.count(kind)))?;
    }
    writeln!(output, "\n{:<10} {:<44} {:>14}", "ended", "how", "requests")?;
    for (place, reason, count) in join.ends() {
        let reason = escaped(reason);
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
        let reason = escaped(reason);
        writeln!(
            output,
            "{:<10} {reason:<44} {:>14}",
            "shadow",
            thousands(count)
        )?;
    }
    Ok(())
}

fn read(input: &Input) -> String {
    format!(
        "{} lines, {} with an ID, {} without, {} broken",
        thousands(input.lines()),
        thousands(input.with_id),
        thousands(input.without_id),
        thousands(input.broken)
    )
}

/// The head of a list of requests.
pub(super) fn list_header(format: Format, output: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Table => writeln!(output, "{:<40} {:<10} ended", "correlation ID", "kind"),
        Format::Jsonl => Ok(()),
    }
}

/// One request of a list.
pub(super) fn listed(
    id: &str,
    kind: Kind,
    end: &str,
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Table => {
            let (id, kind, end) = (escaped(id), kind.name(), escaped(end));
            writeln!(output, "{id:<40} {kind:<10} {end}")
        }
        Format::Jsonl => {
            let line = json!({"kind": kind.name(), "correlation_id": id, "end": end});
            writeln!(output, "{line}")
        }
    }
}

/// One ID's timeline.
pub(super) fn timeline(found: &Found, format: Format, output: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Jsonl => timeline_lines(found, output),
        Format::Table => timeline_table(found, output),
    }
}

fn timeline_lines(found: &Found, output: &mut impl Write) -> io::Result<()> {
    for line in &found.events {
        // The record is JSON on one line already, and goes out as it was logged.
        let (log, number, record) = (line.side.name(), line.number, &line.text);
        writeln!(
            output,
            r#"{{"kind":"line","log":"{log}","line":{number},"record":{record}}}"#
        )?;
    }
    if found.more > 0 {
        writeln!(output, "{}", json!({"kind": "more", "lines": found.more}))?;
    }
    Ok(())
}

fn timeline_table(found: &Found, output: &mut impl Write) -> io::Result<()> {
    let id = escaped(&found.id);
    if found.events.is_empty() {
        return writeln!(output, "{id}: in neither log");
    }
    writeln!(output, "{id}")?;
    let start = found.events.first().and_then(|line| line.since_epoch);
    for line in &found.events {
        let after = match (start, line.since_epoch) {
            (Some(start), Some(at)) => {
                format!("+{} ms", at.saturating_sub(start).as_millis())
            }
            _ => String::new(),
        };
        let [time, what, why, status, method, path] = [
            &line.time,
            &line.what,
            &line.why,
            &line.status,
            &line.method,
            &line.path,
        ]
        .map(|text| escaped(text));
        let what = if what.is_empty() { "-" } else { &what };
        writeln!(
            output,
            "  {time:<24} {after:>9}  {:<4} {status:>3} {what:<32} {method} {path}",
            line.side.name()
        )?;
        let mut notes = Vec::new();
        if !why.is_empty() {
            notes.push(why);
        }
        if !line.duration_ms.is_empty() {
            notes.push(format!("{} ms", escaped(&line.duration_ms)));
        }
        notes.push(format!("line {}", line.number));
        writeln!(output, "  {:<41} {}", "", notes.join(" · "))?;
    }
    if found.more > 0 {
        writeln!(output, "  and {} lines more", thousands(found.more))?;
    }
    Ok(())
}

/// Text as a terminal may show it: everything that is not plain and visible is escaped. Right-to-left
/// marks and the like are `Debug`-escaped too.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' '..='~' => escaped.push(character),
            _ => {
                let _ = write!(escaped, "{}", character.escape_debug());
            }
        }
    }
    escaped
}

/// A number with its thousands apart.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = digits.as_str();
    while let Some((head, tail)) = rest
        .len()
        .checked_sub(3)
        .and_then(|at| rest.split_at_checked(at))
    {
        parts.push(tail);
        rest = head;
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts.reverse();
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
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

    #[test]
    fn a_terminal_never_sees_what_it_would_obey() {
        let hostile = "a\u{1b}[31m\r\n\u{9b}2J\u{202e}é\u{7f}\0";
        let shown = escaped(hostile);
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
        assert!(!shown.contains('\u{202e}'), "{shown:?}");
        assert_eq!(escaped("plain text {1}"), "plain text {1}");
    }
}
