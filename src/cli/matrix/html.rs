//! The matrix as one web page that needs no network.
//!
//! The page's style and script are the files in `page/`; a hash of each is in the page's Content Security
//! Policy, so that nothing else in the page can run or load anything. The data is JSON in a script element,
//! and the script only ever makes text of it.

use std::io::{self, Write};

use ct_codecs::{Base64, Encoder};
use serde_json::{Map, Value, json};

use super::json::{cell, column, route};
use super::model::{CellId, CellPair, Change, Matrix, Row};

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPTS: [&str; 4] = [
    include_str!("page/data.js"),
    include_str!("page/details.js"),
    include_str!("page/grid.js"),
    include_str!("page/main.js"),
];

/// Prints the page. `changes_only` hides what does not change when it is opened.
pub(super) fn print(
    matrix: &Matrix,
    changes_only: bool,
    output: &mut impl Write,
) -> io::Result<()> {
    let script = format!("\"use strict\";\n{}", SCRIPTS.join("\n"));
    let csp = format!(
        "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        source_hash(STYLE)?,
        source_hash(&script)?
    );
    let title = match &matrix.old_name {
        Some(old) => format!("Access matrix: {old} → {}", matrix.name),
        None => format!("Access matrix: {}", matrix.name),
    };
    // One pass over the template: a placeholder in a name is not replaced.
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        output.write_all(before.as_bytes())?;
        match name {
            "csp" => output.write_all(csp.as_bytes())?,
            "title" => output.write_all(escape_markup(&title).as_bytes())?,
            "style" => output.write_all(STYLE.as_bytes())?,
            "script" => output.write_all(script.as_bytes())?,
            "data" => output.write_all(escape_script(&data(matrix, changes_only)).as_bytes())?,
            _ => {}
        }
        rest = after;
    }
    output.write_all(rest.as_bytes())
}

/// A source of the Content Security Policy (CSP Level 3, §2.3.1).
fn source_hash(text: &str) -> io::Result<String> {
    let digest = hmac_sha256::Hash::hash(text.as_bytes());
    let encoded = Base64::encode_to_string(digest).map_err(io::Error::other)?;
    Ok(format!("'sha256-{encoded}'"))
}

/// What the page's script reads.
fn data(matrix: &Matrix, changes_only: bool) -> Value {
    let counts: Map<String, Value> = [
        Change::NewlyAllowed,
        Change::NewlyDenied,
        Change::Conditions,
    ]
    .into_iter()
    .map(|change| (change.name().to_owned(), json!(matrix.count(change))))
    .collect();
    json!({
        "config": matrix.name,
        "old_config": matrix.old_name,
        "changes_only": changes_only,
        "change_counts": counts,
        "columns": matrix.columns.iter().map(column).collect::<Value>(),
        // Many cells are equal: rows have their indexes.
        "cells": matrix.cells().iter().map(cell).collect::<Value>(),
        "routes": matrix.rows.iter().map(|it| row(matrix, it)).collect::<Value>(),
    })
}

fn row(matrix: &Matrix, row: &Row) -> Value {
    let ids = |choose: fn(&CellPair) -> Option<CellId>| -> Value {
        let ids = row.cells.iter().map(choose);
        ids.map(|id| id.map_or(Value::Null, |CellId(id)| json!(id)))
            .collect()
    };
    let mut value = json!({
        "route": row.new.as_ref().map(route),
        "cells": ids(|pair| pair.new),
        "change": row.change().map(|change| change.name()),
        "needs_several_roles": row.shown().is_some_and(|route| route.needs_several_roles),
    });
    if let (Some(_), Some(members)) = (&matrix.old_name, value.as_object_mut()) {
        members.insert("old".to_owned(), json!(row.old.as_ref().map(route)));
        members.insert("instead".to_owned(), json!(row.instead));
        members.insert("old_cells".to_owned(), ids(|pair| pair.old));
        let changes = row.cells.iter().map(|pair| match pair.change {
            None => ' ',
            Some(Change::NewlyAllowed) => '+',
            Some(Change::NewlyDenied) => '-',
            Some(Change::Conditions) => '~',
        });
        members.insert("changes".to_owned(), json!(changes.collect::<String>()));
    }
    value
}

/// JSON for a script element: without the characters that could end it or open a comment (HTML §4.12.1.3).
fn escape_script(value: &Value) -> String {
    let mut escaped = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Text for the content of an element.
fn escape_markup(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let hostile = "</script><!--<script>&amp;\u{2028}\"";
        let escaped = escape_script(&json!({ hostile: hostile }));
        assert!(!escaped.contains(['<', '>', '&']), "{escaped}");
        let read: Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read[hostile], hostile);
    }

    #[test]
    fn style_and_script_cannot_end_their_elements() {
        let script = SCRIPTS.join("\n");
        for text in [STYLE, &script] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
    }
}
