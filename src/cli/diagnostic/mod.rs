//! Problems of configs, with their place, in the formats that people and programs read.

mod github;
mod json;
mod sarif;
mod text;

use std::io::{self, Write};
use std::ops::Range;
use std::rc::Rc;

use clap::ValueEnum;

use super::check::rules;
use super::source::{FoundConfig, Source};
use crate::config::error::{ConfigError, ErrorKind};
use crate::config::path::ConfigPath;

/// A problem of a config.
#[derive(Debug)]
pub(super) struct Diagnostic {
    /// How bad it is.
    pub(super) severity: Severity,
    /// The kind of the error, or the name of the lint.
    pub(super) rule: &'static str,
    /// What is wrong, and what would be right.
    pub(super) message: String,
    /// What to do, if the message does not say it.
    pub(super) help: Option<&'static str>,
    /// The file.
    pub(super) source: Rc<Source>,
    /// What the config was found in; see [`FoundConfig::owner`].
    pub(super) owner: String,
    /// The excerpt, as a byte range of the file.
    pub(super) range: Range<usize>,
    /// What is not shown of the file.
    pub(super) hidden: Hidden,
}

/// What is not shown of a file.
#[derive(Debug, Clone)]
pub(super) enum Hidden {
    /// These byte ranges, which may be secrets.
    Ranges(Rc<[Range<usize>]>),
    /// All: the file may be anything.
    All,
}

impl Hidden {
    /// `unknown` is the value of a key that nobody knows.
    fn of(config: &FoundConfig, unknown: Option<Range<usize>>) -> Self {
        let has = |key| config.spans.member(key).is_some();
        if !has("claims") && !has("rbac") {
            return Self::All;
        }
        let mut ranges = config.spans.secrets();
        ranges.extend(unknown);
        Self::Ranges(ranges.into())
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The filter refuses the config.
    Error,
    /// The filter accepts it, but it may not be what is meant.
    Warning,
}

/// The format of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Messages with the excerpt underlined
    Text,
    /// One JSON object
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

/// What was checked.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// One line for each config: its title, and what it has.
    pub(super) configs: Vec<(String, String)>,
}

/// The line and column where a range begins and where it ends, counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Region {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl Severity {
    /// `error`, `warning`
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Diagnostic {
    /// An error of the filter's own reader.
    pub(super) fn of_config(config: &FoundConfig, error: &ConfigError) -> Self {
        Self {
            severity: Severity::Error,
            rule: error.kind.kind(),
            message: error.to_string(),
            help: None,
            source: Rc::clone(&config.source),
            owner: config.owner.clone(),
            range: error_range(config, error),
            hidden: Hidden::of(
                config,
                matches!(error.kind, ErrorKind::UnknownKey { nearest: None, .. })
                    .then(|| config.spans.locate(&error.path).spans.value.clone()),
            ),
        }
    }

    /// A warning about the value at a path.
    pub(super) fn warning(
        config: &FoundConfig,
        rule: &'static str,
        path: &ConfigPath,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            rule,
            message: format!("{path}: {}", message.into()),
            help: rules::lint(rule).map(|rule| rule.help),
            source: Rc::clone(&config.source),
            owner: config.owner.clone(),
            range: value_range(config, path),
            hidden: Hidden::of(config, None),
        }
    }

    fn region(&self) -> Region {
        let (line, column) = self.source.position(self.range.start);
        let (end_line, end_column) = self.source.position(self.range.end);
        Region {
            line,
            column,
            end_line,
            end_column,
        }
    }
}

/// What to underline: the key if the key is wrong, the value if the value is.
fn error_range(config: &FoundConfig, error: &ConfigError) -> Range<usize> {
    let is_key = matches!(
        error.kind,
        ErrorKind::UnknownKey { .. } | ErrorKind::DuplicateKey
    );
    match config.spans.locate(&error.path).key {
        Some(key) if is_key => key,
        _ => value_range(config, &error.path),
    }
}

/// A scalar; the key of an object or a list; if the path does not exist, the same of what should contain it.
fn value_range(config: &FoundConfig, path: &ConfigPath) -> Range<usize> {
    let located = config.spans.locate(path);
    let value = located.spans.value.clone();
    let text = &config.source.text;
    let is_one_line = text
        .get(value.clone())
        .is_some_and(|text| !text.contains('\n'));
    match located.key {
        Some(key) if !located.exact || !is_one_line => key,
        _ => first_line(text, value),
    }
}

fn first_line(text: &str, range: Range<usize>) -> Range<usize> {
    let line = text.get(range.clone()).and_then(|text| text.lines().next());
    let length = line.map_or(0, |line| line.trim_end().len());
    range.start..range.start.saturating_add(length)
}

/// Prints the problems, and in text the summary.
pub(super) fn print(
    diagnostics: &[Diagnostic],
    summary: &Summary,
    format: Format,
    output: &mut impl Write,
) -> io::Result<()> {
    match format {
        Format::Text => text::print(diagnostics, summary, output),
        Format::Json => json::print(diagnostics, summary, output),
        Format::Sarif => sarif::print(diagnostics, output),
        Format::Github => github::print(diagnostics, output),
    }
}

/// `1 error`, `2 errors`
pub(super) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn number_of(diagnostics: &[Diagnostic], severity: Severity) -> usize {
    let of_severity = |diagnostic: &&Diagnostic| diagnostic.severity == severity;
    diagnostics.iter().filter(of_severity).count()
}
