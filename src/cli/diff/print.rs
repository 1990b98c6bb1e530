//! Prints what differs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Change, Difference, Format};
use crate::cli::analysis::shapes::Shape;
use crate::cli::diagnostic::count;
use crate::cli::text::printable;

/// The most examples and conditions of one change that text shows.
const MAX_SHOWN: usize = 5;

pub(super) fn print(
    difference: &Difference,
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Text => text(difference, output),
        Format::Json => writeln!(output, "{:#}", json(difference)),
        Format::Line => writeln!(output, "{}", line(difference)),
    }
}

fn text(difference: &Difference, output: &mut impl Write) -> io::Result<()> {
    let gained = |change: &&Change| !change.gained.is_empty();
    let lost = |change: &&Change| !change.lost.is_empty();
    let changes = difference.changes.iter();
    section(
        "Newly allowed",
        changes.clone().filter(gained),
        |it| &it.gained,
        output,
    )?;
    section("Newly denied", changes.filter(lost), |it| &it.lost, output)?;
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
        writeln!(
            output,
            "The configs tell apart too many requests: these are a sample."
        )?;
    }
    writeln!(output, "{}", line(difference))
}

fn section<'d>(
    title: &str,
    changes: impl Iterator<Item = &'d Change>,
    who: impl Fn(&Change) -> &Vec<String>,
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
        let who = who(change);
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
    let gained = changes
        .iter()
        .filter(|change| !change.gained.is_empty())
        .count();
    let lost = changes
        .iter()
        .filter(|change| !change.lost.is_empty())
        .count();
    let settings = &difference.settings;
    let looser = settings
        .iter()
        .filter(|setting| setting.effect.allows_more())
        .count();
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
