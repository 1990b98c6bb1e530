//! One JSON object with all problems.

use std::io::{self, Write};

use serde_json::json;

use super::{Diagnostic, Severity, Summary, number_of};

pub(super) fn print(
    diagnostics: &[Diagnostic],
    summary: &Summary,
    output: &mut impl Write,
) -> io::Result<()> {
    let problems: Vec<_> = diagnostics
        .iter()
        .map(|diagnostic| {
            let region = diagnostic.region();
            json!({
                "severity": diagnostic.severity.name(),
                "rule": diagnostic.rule,
                "message": diagnostic.message,
                "help": diagnostic.help,
                "file": diagnostic.source.name,
                "found_in": diagnostic.owner,
                "line": region.line,
                "column": region.column,
                "end_line": region.end_line,
                "end_column": region.end_column,
            })
        })
        .collect();
    let configs: Vec<_> = summary.configs.iter().map(|(title, _)| title).collect();
    let document = json!({
        "configs": configs,
        "errors": number_of(diagnostics, Severity::Error),
        "warnings": number_of(diagnostics, Severity::Warning),
        "diagnostics": problems,
    });
    writeln!(output, "{document:#}")
}
