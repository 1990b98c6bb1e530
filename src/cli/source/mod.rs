//! Reads the files that hold plugin configs, with the place of each value.
//!
//! A plugin config is found in what operators have: a bare config, a `WasmPlugin`, `TrafficExtension` or
//! `EnvoyExtensionPolicy` (several documents, `List`s), an Envoy bootstrap, listener or `config_dump`.

mod find;
mod json;
mod spans;
mod yaml;
mod yaml_scalar;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

pub(super) use self::find::{FoundConfig, configs_in};
pub(super) use self::spans::Spans;
use super::CommandError;
use super::keys::file::refuse_literal;
use super::text::printable;
use crate::config::Config;
use crate::json::Json;

/// The largest file that is read, in bytes. A config of 10,000 routes has about 2 MiB.
const MAX_BYTES: u64 = 64 << 20;

/// The text of a file.
#[derive(Debug)]
pub(super) struct Source {
    /// The file as messages name it.
    pub(super) name: String,
    /// Its content.
    pub(super) text: String,
    /// The byte offset of each line.
    line_starts: Vec<usize>,
}

/// One YAML or JSON document.
#[derive(Debug)]
pub(super) struct Document {
    /// The file.
    pub(super) source: Rc<Source>,
    /// The content as its reader gets it.
    pub(super) json: Json,
    /// Where each value is in the file.
    pub(super) spans: Spans,
}

/// A text that is neither YAML nor JSON.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(super) struct SyntaxError {
    /// What is wrong.
    pub(super) problem: String,
    /// The byte offset in the text.
    pub(super) offset: usize,
}

impl Source {
    /// A file with this name and content.
    pub(super) fn new(name: String, text: String) -> Rc<Self> {
        let newlines = text.match_indices('\n').map(|(at, _)| at);
        let line_starts = newlines.map(|at| at.saturating_add(1));
        let line_starts = std::iter::once(0).chain(line_starts).collect();
        Rc::new(Self {
            name,
            text,
            line_starts,
        })
    }

    /// The line and column of a byte offset, both counted from 1; the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_start(offset);
        let before = self.text.get(start..offset).unwrap_or_default();
        (line, before.chars().count().saturating_add(1))
    }

    /// The byte offset at which the line of an offset begins.
    pub(super) fn line_start(&self, offset: usize) -> usize {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|line| self.line_starts.get(line));
        start.copied().unwrap_or_default()
    }
}

/// A file whose content cannot be used.
#[derive(Debug)]
pub(super) struct SourceError {
    /// The file.
    pub(super) source: Rc<Source>,
    /// The place, as a byte offset.
    pub(super) offset: usize,
    /// What is wrong, and what would be right.
    pub(super) problem: String,
    /// Whether the text is neither YAML nor JSON, but looks like a config.
    pub(super) is_syntax: bool,
}

impl SourceError {
    fn new(source: &Rc<Source>, offset: usize, problem: impl Into<String>) -> Self {
        Self {
            source: Rc::clone(source),
            offset,
            problem: problem.into(),
            is_syntax: false,
        }
    }
}

impl From<SourceError> for CommandError {
    fn from(error: SourceError) -> Self {
        let (line, column) = error.source.position(error.offset);
        Self::Content {
            name: format!("{}:{line}:{column}", error.source.name),
            problem: error.problem,
        }
    }
}

/// Reads a file, `-` for stdin.
///
/// # Errors
/// [`CommandError::Input`] if it cannot be read; [`CommandError::Content`] if it is too large or not UTF-8.
pub(super) fn read(path: &Path) -> Result<Rc<Source>, CommandError> {
    refuse_literal(path)?;
    let failed = |error| CommandError::Input {
        path: path.to_owned(),
        error,
    };
    let (name, input): (_, Box<dyn Read>) = if path == "-" {
        ("<stdin>".to_owned(), Box::new(io::stdin().lock()))
    } else {
        let file = File::open(path).map_err(failed)?;
        (printable(&path.display().to_string()), Box::new(file))
    };
    let mut bytes = Vec::new();
    input
        .take(MAX_BYTES.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let content = |problem: String| CommandError::Content {
        name: name.clone(),
        problem,
    };
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_BYTES) {
        return Err(content(format!("larger than {} MiB", MAX_BYTES >> 20)));
    }
    // A byte order mark is not part of the content.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        content(format!("not UTF-8 at byte {offset}"))
    })?;
    Ok(Source::new(name, text))
}

/// The documents of a file: one if it is JSON, any number if it is YAML.
///
/// # Errors
/// The first syntax error.
pub(super) fn documents(source: &Rc<Source>) -> Result<Vec<Document>, SourceError> {
    let document = |(json, spans)| Document {
        source: Rc::clone(source),
        json,
        spans,
    };
    let looks_like_json = source.text.trim_start().starts_with(['{', '[']);
    if looks_like_json && let Ok(parsed) = json::parse(&source.text) {
        return Ok(vec![document(parsed)]);
    }
    // JSON with an error may be YAML in flow style; if it is neither, the error of the likelier one counts.
    match yaml::parse(&source.text) {
        Ok(documents) => Ok(documents.into_iter().map(document).collect()),
        Err(error) => {
            let error = match json::parse(&source.text) {
                Err(json) if looks_like_json => json,
                _ => error,
            };
            // The text of a config has one of these words.
            let is_syntax = ["claims", "rbac", "apiVersion", "static_resources"]
                .iter()
                .any(|word| source.text.contains(word));
            Err(SourceError {
                is_syntax,
                ..SourceError::new(source, error.offset, error.problem)
            })
        }
    }
}

/// The plugin configs in a file.
///
/// # Errors
/// As [`read`] and [`documents`]; [`CommandError::Content`] if there is no plugin config in it.
pub(super) fn configs(path: &Path) -> Result<Vec<FoundConfig>, CommandError> {
    let source = read(path)?;
    Ok(configs_in(documents(&source)?, &source)?)
}

/// The plugin config in a file; if it has several, the one whose title contains `select`.
///
/// # Errors
/// As [`configs`]; [`CommandError::Content`] if there is not exactly one.
pub(super) fn one_config(path: &Path, select: Option<&str>) -> Result<FoundConfig, CommandError> {
    let mut found = configs(path)?;
    if let Some(select) = select {
        found.retain(|config| config.title().contains(select));
    }
    let titles: Vec<String> = found.iter().map(FoundConfig::title).collect();
    match found.pop() {
        Some(config) if found.is_empty() => Ok(config),
        _ => Err(CommandError::Content {
            name: path.display().to_string(),
            problem: match titles.as_slice() {
                [] => "no config has this title; `edge-claims check` lists them".to_owned(),
                _ => format!(
                    "it has several configs; choose one with --select: {}",
                    titles.join("; ")
                ),
            },
        }),
    }
}

/// Loads a config that must have no errors.
///
/// # Errors
/// [`CommandError::Content`] with all errors.
pub(super) fn load(found: &FoundConfig) -> Result<Config, CommandError> {
    found.load().map_err(|errors| CommandError::Content {
        name: found.title(),
        problem: format!(
            "{errors}
`edge-claims check` shows the place of each"
        ),
    })
}

#[cfg(test)]
mod tests;
