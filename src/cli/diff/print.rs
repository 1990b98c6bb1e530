//! Prints what differs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::replay::{Judgement, Replay};
use super::{Change, Difference, Format, Report};
use crate::cli::analysis::shapes::Shape;
use crate::cli::diagnostic::count;
use crate::cli::text::printable;
use crate::config::Config;

/// The most examples and conditions of one change that text shows.
const MAX_SHOWN: usize = 5;

pub(super) fn print(
    report: &Report<'_>,
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    let difference = report.difference;
    match format {
        Format::Text => {
            text(difference, output)?;
            match report.replay {
                Some(replay) => replay_text(replay, report, output),
                None => Ok(()),
            }
        }
        Format::Json => {
            let mut value = json(difference);
            if let (Some(replay), Some(object)) = (report.replay, value.as_object_mut()) {
                object.insert("replay".to_owned(), replay_json(replay, report));
            }
            writeln!(output, "{value:#}")
        }
        Format::Line => match report.replay {
            None => writeln!(output, "{}", line(difference)),
            Some(replay) => {
                let count = |allowed: bool| -> u64 {
                    let changes = replay.changes.iter();
                    let of_kind =
                        changes.filter(|(change, _)| change.new.denied.is_none() == allowed);
                    of_kind.map(|(_, count)| count.requests).sum()
                };
                writeln!(
                    output,
                    "{}; of {} requests in the log {} newly allowed, {} newly denied",
                    line(difference),
                    replay.requests,
                    count(true),
                    count(false)
                )
            }
        },
    }
}

/// What a config decides, in words: `route orders: role`.
fn judgement(judgement: Judgement, config: &Config) -> String {
    let route = judgement.route.and_then(|id| config.rbac.routes.get(id));
    let route = route.map_or("no route", |route| route.name.as_str());
    match judgement.denied {
        None => format!("{route}: allow"),
        Some(reason) => format!("{route}: deny {}", reason.code()),
    }
}

fn replay_text(replay: &Replay, report: &Report<'_>, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "\nReplay of {} requests", replay.requests)?;
    for (number, what) in [
        (replay.broken, "lines are not JSON"),
        (replay.incomplete, "lines have no method or no path"),
        (
            replay.without_context,
            "requests were judged without the headers or peers that a route tests",
        ),
    ] {
        if number > 0 {
            writeln!(output, "  {number} {what}")?;
        }
    }
    for (title, allowed) in [("newly allowed", true), ("newly denied", false)] {
        for (change, count) in &replay.changes {
            if change.new.denied.is_none() != allowed {
                continue;
            }
            writeln!(
                output,
                "  {} {title}: {} -> {}",
                count.requests,
                judgement(change.old, report.old),
                judgement(change.new, report.new)
            )?;
            for (number, request) in &count.examples {
                writeln!(output, "    line {number}: {}", printable(request))?;
            }
        }
    }
    let (allowed, denied) = replay.unchanged;
    writeln!(
        output,
        "  {allowed} allowed as before, {denied} denied as before"
    )
}

fn replay_json(replay: &Replay, report: &Report<'_>) -> Value {
    let side = |judged: Judgement, config: &Config| {
        let route = judged.route.and_then(|id| config.rbac.routes.get(id));
        json!({
            "route": route.map(|route| route.name.clone()),
            "denied": judged.denied.map(|reason| reason.code()),
        })
    };
    let changes: Vec<Value> = replay
        .changes
        .iter()
        .map(|(change, count)| {
            let example =
                |(number, request): &(u64, String)| json!({"line": number, "request": request});
            json!({
                "old": side(change.old, report.old),
                "new": side(change.new, report.new),
                "requests": count.requests,
                "examples": count.examples.iter().map(example).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "requests": replay.requests,
        "broken": replay.broken,
        "incomplete": replay.incomplete,
        "without_context": replay.without_context,
        "allowed_as_before": replay.unchanged.0,
        "denied_as_before": replay.unchanged.1,
        "changes": changes,
    })
}

fn text(difference: &Difference, output: &mut impl Write) -> io::Result<()> {
    let gains = difference
        .changes
        .iter()
        .filter(|change| change.allows_more());
    section(
        "Newly allowed",
        gains,
        |it| (&it.gained, &it.looser),
        output,
    )?;
    let losses = difference
        .changes
        .iter()
        .filter(|change| change.allows_less());
    section(
        "Newly denied",
        losses,
        |it| (&it.lost, &it.stricter),
        output,
    )?;
    if !difference.settings.is_empty() {
        writeln!(output, "Settings")?;
        for setting in &difference.settings {
            let value = |value: &Option<String>| value.as_deref().map_or("-".to_owned(), printable);
            writeln!(
                output,
                "  {}: {} -> {} ({})",
                printable(&setting.path),
                value(&setting.old),
                value(&setting.new),
                setting.effect.text()
            )?;
        }
        writeln!(output)?;
    }
    if !difference.complete {
        writeln!(output, "These are a sample.")?;
    }
    writeln!(output, "{}", line(difference))
}

fn section<'d>(
    title: &str,
    changes: impl Iterator<Item = &'d Change>,
    what: impl Fn(&Change) -> (&Vec<String>, &Vec<String>),
    output: &mut impl Write,
) -> io::Result<()> {
    let mut changes = changes.peekable();
    if changes.peek().is_none() {
        return Ok(());
    }
    writeln!(output, "{title}")?;
    for change in changes {
        let name = |route: &Option<String>| match route {
            Some(name) => format!("route {name}"),
            None => "no route".to_owned(),
        };
        writeln!(output, "  {} -> {}", name(&change.old), name(&change.new))?;
        for shape in change.shapes.iter().take(MAX_SHOWN) {
            writeln!(output, "    {}", printable(&show(shape)))?;
        }
        more(change.shapes.len(), "kinds of requests", output)?;
        let (who, rules) = what(change);
        for rule in rules {
            writeln!(output, "      {}", printable(rule))?;
        }
        for term in who.iter().take(MAX_SHOWN) {
            writeln!(output, "      for {}", printable(term))?;
        }
        more(who.len(), "kinds of users", output)?;
    }
    writeln!(output)
}

fn more(all: usize, what: &str, output: &mut impl Write) -> io::Result<()> {
    match all.checked_sub(MAX_SHOWN) {
        Some(more) if more > 0 => writeln!(output, "    and {more} more {what}"),
        _ => Ok(()),
    }
}

/// A representative request.
fn show(shape: &Shape) -> String {
    format!("{} {}{}", shape.method, shape.host, shape.path)
}

/// One line for a pull-request check.
fn line(difference: &Difference) -> String {
    let changes = &difference.changes;
    let gained = changes.iter().filter(|change| change.allows_more()).count();
    let lost = changes.iter().filter(|change| change.allows_less()).count();
    let settings = &difference.settings;
    let looser = settings
        .iter()
        .filter(|setting| setting.effect.allows_more())
        .count();
    if !difference.complete {
        return "not compared completely: the configs tell apart too many requests or roles"
            .to_owned();
    }
    if changes.is_empty() && settings.is_empty() {
        return "no difference in who is allowed".to_owned();
    }
    format!(
        "{} newly allowed, {} newly denied, {} changed, of which {looser} may allow more",
        count(gained, "route change"),
        count(lost, "route change"),
        count(settings.len(), "setting"),
    )
}

fn json(difference: &Difference) -> Value {
    let changes: Vec<Value> = difference
        .changes
        .iter()
        .map(|change| {
            let shapes: Vec<Value> = change
                .shapes
                .iter()
                .map(|it| json!({"method": it.method, "host": it.host, "path": it.path}))
                .collect();
            json!({
                "old_route": change.old,
                "new_route": change.new,
                "newly_allowed": change.gained,
                "newly_denied": change.lost,
                "looser": change.looser,
                "stricter": change.stricter,
                "requests": shapes,
            })
        })
        .collect();
    let settings: Vec<Value> = difference
        .settings
        .iter()
        .map(
            |it| json!({"path": it.path, "old": it.old, "new": it.new, "effect": it.effect.text()}),
        )
        .collect();
    json!({
        "allows_more": difference.allows_more(),
        "complete": difference.complete,
        "changes": changes,
        "settings": settings,
    })
}
