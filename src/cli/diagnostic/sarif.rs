//! SARIF 2.1.0 (OASIS), which code scanning services read.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Diagnostic;
use crate::cli::check::rules;

pub(super) fn print(diagnostics: &[Diagnostic], output: &mut impl Write) -> io::Result<()> {
    let mut names: Vec<&str> = diagnostics
        .iter()
        .map(|diagnostic| diagnostic.rule)
        .collect();
    names.sort_unstable();
    names.dedup();
    let rules: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({
                "id": name,
                "shortDescription": {"text": rules::summary(name)},
                "helpUri": format!("{}/blob/main/docs/command.md#rules", env!("CARGO_PKG_REPOSITORY")),
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics.iter().map(result).collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "edge-claims",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    writeln!(output, "{document:#}")
}

fn result(diagnostic: &Diagnostic) -> Value {
    let region = diagnostic.region();
    json!({
        "ruleId": diagnostic.rule,
        "level": diagnostic.severity.name(),
        "message": {"text": diagnostic.message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&diagnostic.source.name)},
            "region": {
                "startLine": region.line,
                "startColumn": region.column,
                "endLine": region.end_line,
                "endColumn": region.end_column,
            },
        }}],
    })
}

/// A file's name as a relative or absolute URI reference (RFC 3986 §4.2).
fn uri(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.bytes().map(encode).collect()
}
