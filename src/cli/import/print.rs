//! The config as YAML with comments, or as JSON with what was not imported.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::Imported;
use super::routes::Route;
use crate::cli::text::printable;

/// The width up to which a value stays on one line.
const WIDTH: usize = 100;

impl Imported {
    /// The whole config.
    pub(super) fn config(&self) -> Value {
        let mut claims = self.tokens.claims.clone();
        let issuers = self.tokens.issuers.iter().map(|(_, issuer)| issuer.clone());
        claims.insert("issuers".to_owned(), issuers.collect());
        let mut rbac = self.rbac.clone();
        let routes = self.routes.iter().map(|(_, route)| route.clone());
        rbac.insert("routes".to_owned(), routes.collect());
        let mut config = Map::new();
        config.insert("claims".to_owned(), Value::Object(claims));
        config.insert("rbac".to_owned(), Value::Object(rbac));
        for (name, section) in self.more() {
            config.insert(name.to_owned(), Value::Object(section.clone()));
        }
        Value::Object(config)
    }

    /// The sections that are only there if they say something.
    fn more(&self) -> impl Iterator<Item = (&'static str, &Map<String, Value>)> {
        let all = [
            ("identity", &self.tokens.identity),
            ("correlation", &self.correlation),
        ];
        all.into_iter().filter(|(_, section)| !section.is_empty())
    }
}

/// `{config, not_imported, notes}`
pub(super) fn json(imported: &Imported, output: &mut impl Write) -> io::Result<()> {
    let items = imported.report.not_imported.iter();
    let not_imported: Vec<Value> = items
        .map(|item| json!({"source": item.source, "what": item.what, "why": item.why}))
        .collect();
    let all = json!({
        "config": imported.config(),
        "not_imported": not_imported,
        "notes": imported.report.notes,
    });
    serde_json::to_writer_pretty(&mut *output, &all)?;
    writeln!(output)
}

/// The config, with comments.
pub(super) fn yaml(imported: &Imported, output: &mut impl Write) -> io::Result<()> {
    let report = &imported.report;
    if !report.not_imported.is_empty() {
        writeln!(
            output,
            "# Not imported. The config denies what only these allow, and what these could deny:"
        )?;
        for item in &report.not_imported {
            writeln!(
                output,
                "# - {}: {}: {}",
                printable(&item.source),
                printable(&item.what),
                printable(&item.why)
            )?;
        }
    }
    if !report.notes.is_empty() {
        writeln!(output, "# Differences of the filter:")?;
        for note in &report.notes {
            writeln!(output, "# - {}", printable(note))?;
        }
    }
    writeln!(output, "claims:")?;
    members(&imported.tokens.claims, 2, output)?;
    writeln!(output, "  issuers:")?;
    for (place, issuer) in &imported.tokens.issuers {
        writeln!(output, "  # {}", printable(place))?;
        item(
            issuer,
            2,
            &["issuer", "audiences", "any_audience", "algorithms"],
            output,
        )?;
    }
    writeln!(output, "rbac:")?;
    members(&imported.rbac, 2, output)?;
    writeln!(output, "  routes:")?;
    for (route, value) in &imported.routes {
        for place in &route.from {
            writeln!(output, "  # {}", printable(place))?;
        }
        match (route.allow.is_empty(), route.from.is_empty()) {
            (true, true) => writeln!(output, "  # No rule allows it: always denied.")?,
            (true, false) => writeln!(output, "  # Always denied.")?,
            (false, true) => writeln!(output, "  # No rule denies it.")?,
            (false, false) => {}
        }
        item(
            value,
            2,
            &["name", "hosts", "methods", "path", "allow"],
            output,
        )?;
    }
    for (name, section) in imported.more() {
        writeln!(output, "{name}:")?;
        members(section, 2, output)?;
    }
    Ok(())
}

/// Gives each route a name, and its form in the config.
pub(super) fn named(routes: Vec<Route>) -> Vec<(Route, Value)> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut named = Vec::new();
    for route in routes {
        let base = slug(&route);
        let mut name = base.clone();
        let mut count = 2_usize;
        while !names.insert(name.clone()) {
            name = format!("{base}-{count}");
            count = count.saturating_add(1);
        }
        let mut value = Map::new();
        value.insert("name".to_owned(), json!(name));
        if let Some(host) = route.host.pattern() {
            value.insert("hosts".to_owned(), json!([host]));
        }
        if !route.methods.is_empty() {
            value.insert("methods".to_owned(), json!(route.methods));
        }
        value.insert("path".to_owned(), json!(route.path.pattern()));
        match route.allow.as_slice() {
            [] => {
                // `not` needs the claim, and then it exists: this never holds.
                value.insert(
                    "allow".to_owned(),
                    json!({"when": {"not": {"claim": "iss", "exists": true}}}),
                );
                value.insert("on_failure".to_owned(), json!({"claims_missing": 403}));
            }
            [only] => {
                value.insert("allow".to_owned(), only.clone());
            }
            all => {
                value.insert("allow".to_owned(), json!(all));
            }
        }
        named.push((route, Value::Object(value)));
    }
    named
}

/// Host, path and methods as a name of a route.
fn slug(route: &Route) -> String {
    let path = route.path.pattern();
    let parts = [
        route.host.pattern().unwrap_or_default(),
        path.clone(),
        route.methods.join("-").to_ascii_lowercase(),
    ];
    let mut name = String::new();
    for character in parts.join("-").chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    let name = name.trim_end_matches('-');
    let name: String = name.chars().take(56).collect();
    let name = if name.is_empty() {
        "root".to_owned()
    } else {
        name
    };
    if path.len() > 1 && path.ends_with('/') {
        format!("{name}-slash")
    } else {
        name
    }
}

fn members(section: &Map<String, Value>, indent: usize, output: &mut impl Write) -> io::Result<()> {
    for (name, value) in section {
        member(name, value, indent, output)?;
    }
    Ok(())
}

/// An object as an item of a list, these members first.
fn item(value: &Value, indent: usize, first: &[&str], output: &mut impl Write) -> io::Result<()> {
    let Some(object) = value.as_object() else {
        return writeln!(output, "{:indent$}- {}", "", flow(value));
    };
    let before = first.iter().filter_map(|name| object.get_key_value(*name));
    let after = object
        .iter()
        .filter(|(name, _)| !first.contains(&name.as_str()));
    let mut lines = Vec::new();
    for (name, value) in before.chain(after) {
        member(name, value, indent.saturating_add(2), &mut lines)?;
    }
    let text = String::from_utf8_lossy(&lines);
    let body = text.get(indent.saturating_add(2)..).unwrap_or_default();
    write!(output, "{:indent$}- {body}", "")
}

fn member(name: &str, value: &Value, indent: usize, output: &mut impl Write) -> io::Result<()> {
    let name = scalar(name);
    let inline = flow(value);
    let width = indent
        .saturating_add(name.len())
        .saturating_add(inline.len());
    let below = indent.saturating_add(2);
    match value {
        Value::Object(object) if width > WIDTH && !object.is_empty() => {
            writeln!(output, "{:indent$}{name}:", "")?;
            members(object, below, output)
        }
        Value::Array(items) if width > WIDTH && !items.is_empty() => {
            writeln!(output, "{:indent$}{name}:", "")?;
            for value in items {
                let inline = flow(value);
                if indent.saturating_add(inline.len()) > WIDTH {
                    item(value, indent, &[], output)?;
                } else {
                    writeln!(output, "{:indent$}- {inline}", "")?;
                }
            }
            Ok(())
        }
        _ => writeln!(output, "{:indent$}{name}: {inline}", ""),
    }
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(object) => {
            let members: Vec<String> = object
                .iter()
                .map(|(name, value)| format!("{}: {}", scalar(name), flow(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A string, quoted unless it is a plain word that YAML reads as a string.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan",
    ];
    let mut bytes = text.bytes();
    let is_plain = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    // JSON leaves some control characters as they are.
    let quoted = Value::from(text).to_string();
    let mut written = String::with_capacity(quoted.len());
    for character in quoted.chars() {
        if character.is_control() {
            written.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            written.push(character);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_yaml_reads_otherwise_are_quoted() {
        for (text, written) in [
            ("sub", "sub"),
            ("no", "\"no\""),
            ("On", "\"On\""),
            ("1", "\"1\""),
            ("", "\"\""),
            ("a: b", "\"a: b\""),
            ("/a", "\"/a\""),
            ("a#", "\"a#\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }
}
