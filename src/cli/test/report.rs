//! Prints the results of tests.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Format, Options, Suite};
use crate::cli::diagnostic::{self, Summary, count};
use crate::cli::text::printable;

pub(super) fn print(
    suites: &[Suite],
    options: &Options,
    output: &mut impl Write,
) -> io::Result<()> {
    match options.format {
        Format::Text => text(suites, options, output),
        Format::Json => json(suites, output),
        Format::Tap => tap(suites, output),
        Format::Junit => junit(suites, output),
    }
}

fn text(suites: &[Suite], options: &Options, output: &mut impl Write) -> io::Result<()> {
    for suite in suites {
        if !suite.errors.is_empty() {
            let format = diagnostic::Format::Text;
            diagnostic::print(&suite.errors, &Summary::default(), format, output)?;
        }
        for result in &suite.results {
            if let Some(failure) = &result.failure {
                writeln!(output, "FAILED {}: {}", result.place, printable(failure))?;
            }
        }
        if options.coverage {
            for missing in suite.coverage.missing() {
                writeln!(output, "not covered: {}", printable(&missing))?;
            }
        }
        let (covered, all) = suite.coverage.counts();
        writeln!(
            output,
            "{}: {}, {} failed, coverage {:.0} % ({covered} of {all})",
            suite.title,
            count(suite.results.len(), "test"),
            suite.failed(),
            suite.coverage.percent(),
        )?;
    }
    Ok(())
}

fn json(suites: &[Suite], output: &mut impl Write) -> io::Result<()> {
    let suites: Vec<Value> = suites
        .iter()
        .map(|suite| {
            let (covered, all) = suite.coverage.counts();
            let tests: Vec<Value> = suite
                .results
                .iter()
                .map(|result| {
                    json!({
                        "name": result.name,
                        "place": result.place,
                        "passed": result.failure.is_none(),
                        "failure": result.failure,
                    })
                })
                .collect();
            let errors: Vec<&str> = suite
                .errors
                .iter()
                .map(|error| error.message.as_str())
                .collect();
            json!({
                "config": suite.title,
                "tests": tests,
                "errors": errors,
                "coverage": {"covered": covered, "of": all, "missing": suite.coverage.missing()},
            })
        })
        .collect();
    writeln!(output, "{:#}", json!({ "suites": suites }))
}

/// A test point for each test, and for each error of a config.
fn tap(suites: &[Suite], output: &mut impl Write) -> io::Result<()> {
    let all: usize = suites
        .iter()
        .map(|suite| suite.results.len().saturating_add(suite.errors.len()))
        .sum();
    writeln!(output, "TAP version 14\n1..{all}")?;
    let mut number = 0_usize;
    // `#` begins a directive.
    let escape = |text: &str| printable(text).replace('\\', "\\\\").replace('#', "\\#");
    for suite in suites {
        for result in &suite.results {
            number = number.saturating_add(1);
            let not = if result.failure.is_some() { "not " } else { "" };
            let name = format!("{}: {}", suite.title, result.name);
            writeln!(output, "{not}ok {number} - {}", escape(&name))?;
            if let Some(failure) = &result.failure {
                let message = Value::String(failure.clone());
                let place = Value::String(result.place.clone());
                writeln!(output, "  ---\n  message: {message}\n  at: {place}\n  ...")?;
            }
        }
        for error in &suite.errors {
            number = number.saturating_add(1);
            let name = format!("{}: {}", suite.title, error.message);
            writeln!(output, "not ok {number} - {}", escape(&name))?;
        }
    }
    Ok(())
}

/// The format of Ant's JUnit task, which CI services read.
fn junit(suites: &[Suite], output: &mut impl Write) -> io::Result<()> {
    writeln!(
        output,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>"
    )?;
    for suite in suites {
        let title = xml(&suite.title);
        writeln!(
            output,
            "  <testsuite name=\"{title}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
            suite.results.len().saturating_add(suite.errors.len()),
            suite.failed(),
            suite.errors.len(),
        )?;
        for result in &suite.results {
            let name = xml(&result.name);
            write!(
                output,
                "    <testcase classname=\"{title}\" name=\"{name}\""
            )?;
            match &result.failure {
                None => writeln!(output, "/>")?,
                Some(failure) => writeln!(
                    output,
                    "><failure message=\"{}\">{}</failure></testcase>",
                    xml(failure),
                    xml(&result.place)
                )?,
            }
        }
        for error in &suite.errors {
            let message = xml(&error.message);
            writeln!(
                output,
                "    <testcase classname=\"{title}\" name=\"config\"><error message=\"{message}\"/></testcase>"
            )?;
        }
        writeln!(output, "  </testsuite>")?;
    }
    writeln!(output, "</testsuites>")
}

/// Text in an attribute or an element (XML 1.0 §2.4); control characters are escaped, because XML has none.
fn xml(text: &str) -> String {
    printable(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
