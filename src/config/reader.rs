//! Reads values of the config's JSON tree. Errors are collected, so that all of them are reported at once.

use std::cell::RefCell;

use super::conflict::Conflict;
use super::error::{ConfigError, ErrorKind};
use super::headers::{HeaderUse, Purpose};
use super::path::ConfigPath;
use super::section::Section;
use crate::claims::ClaimPath;
use crate::header_name::HeaderName;
use crate::json::Json;

/// The errors and headers that are collected while a config is read.
#[derive(Debug, Default)]
pub(super) struct Collector {
    errors: RefCell<Vec<ConfigError>>,
    headers: RefCell<Vec<HeaderUse>>,
}

/// One value of the config and its path.
///
/// Every method that returns `None` has reported an error.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub(super) json: &'a Json,
    pub(super) path: ConfigPath,
    pub(super) collector: &'a Collector,
}

impl Collector {
    pub(super) fn add(&self, path: &ConfigPath, kind: impl Into<ErrorKind>) {
        self.errors.borrow_mut().push(ConfigError {
            path: path.clone(),
            kind: kind.into(),
        });
    }

    /// Removes the error that this key is missing.
    pub(super) fn remove_missing(&self, path: &ConfigPath) {
        let is_other = |error: &ConfigError| {
            error.path != *path || !matches!(error.kind, ErrorKind::Missing { .. })
        };
        self.errors.borrow_mut().retain(is_other);
    }

    /// The number of errors so far.
    pub(super) fn count(&self) -> usize {
        self.errors.borrow().len()
    }

    /// All errors, in the order in which they were found.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        self.errors.into_inner()
    }

    /// Adds a header that is a default and not in the config.
    pub(super) fn add_default_header(&self, path: ConfigPath, name: HeaderName, purpose: Purpose) {
        self.headers.borrow_mut().push(HeaderUse {
            name,
            path,
            purpose,
            is_default: true,
        });
    }

    /// All headers that the config names.
    pub(super) fn take_headers(&self) -> Vec<HeaderUse> {
        self.headers.take()
    }
}

impl<'a> Node<'a> {
    /// The whole config.
    pub(super) fn root(json: &'a Json, collector: &'a Collector) -> Self {
        Self {
            json,
            path: ConfigPath::root(),
            collector,
        }
    }

    pub(super) fn json(&self) -> &'a Json {
        self.json
    }

    /// Reports an error at this path.
    pub(super) fn report<T>(&self, kind: impl Into<ErrorKind>) -> Option<T> {
        self.collector.add(&self.path, kind);
        None
    }

    /// Reports that the value has the right type but is not allowed.
    pub(super) fn report_value<T>(&self, expected: impl Into<String>) -> Option<T> {
        self.report(ErrorKind::Value {
            found: scalar(self.json).unwrap_or_else(|| self.json.type_name().to_owned()),
            expected: expected.into(),
        })
    }

    /// Reports that the value has the wrong type. A string is shown only if it looks like a number or a
    /// boolean, because any other may be a misplaced secret.
    pub(super) fn report_type<T>(&self, expected: impl Into<String>) -> Option<T> {
        let found = match (self.json, scalar(self.json)) {
            (Json::String(text), Some(shown)) if looks_like_a_scalar(text) => {
                format!("the string {shown}")
            }
            (Json::String(_), _) => "a string".to_owned(),
            (Json::Integer(_) | Json::Float(_), Some(number)) => format!("the number {number}"),
            (Json::Bool(_), Some(flag)) => format!("the boolean {flag}"),
            (other, _) => other.type_name().to_owned(),
        };
        self.report(ErrorKind::Type {
            found,
            expected: expected.into(),
        })
    }

    /// Records the purpose of a header.
    pub(super) fn use_header(&self, name: &HeaderName, purpose: Purpose) {
        self.collector.headers.borrow_mut().push(HeaderUse {
            name: name.clone(),
            path: self.path.clone(),
            purpose,
            is_default: false,
        });
    }

    /// An object with known keys.
    pub(super) fn section(&self) -> Option<Section<'a>> {
        let Some(object) = self.json.as_object() else {
            return self.report_type("an object");
        };
        Some(Section::new(object, self.path.clone(), self.collector))
    }

    /// The members of an object with arbitrary keys. Duplicate keys are reported.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Node<'a>)>> {
        let Some(object) = self.json.as_object() else {
            return self.report_type("an object");
        };
        if let Some(name) = object.duplicate_key() {
            self.collector
                .add(&self.path.key(name), ErrorKind::DuplicateKey);
        }
        let node = |(key, json): (&'a str, &'a Json)| {
            let node = Node {
                json,
                path: self.path.key(key),
                collector: self.collector,
            };
            (key, node)
        };
        Some(object.iter().map(node).collect())
    }

    /// The elements of a list.
    pub(super) fn items(&self) -> Option<Vec<Node<'a>>> {
        let Some(items) = self.json.as_array() else {
            return self.report_type("a list");
        };
        let node = |(index, json): (usize, &'a Json)| Node {
            json,
            path: self.path.index(index),
            collector: self.collector,
        };
        Some(items.iter().enumerate().map(node).collect())
    }

    /// A list with at least one element.
    pub(super) fn list<T>(
        &self,
        expected: &'static str,
        read: impl FnMut(&Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.items()?;
        if items.is_empty() {
            return self.report(ErrorKind::EmptyList { expected });
        }
        read_all(&items, read)
    }

    /// A list with at least one element and without duplicates.
    pub(super) fn set<T: PartialEq>(
        &self,
        expected: &'static str,
        mut read: impl FnMut(&Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.items()?;
        if items.is_empty() {
            return self.report(ErrorKind::EmptyList { expected });
        }
        let mut seen: Vec<T> = Vec::new();
        let mut complete = true;
        for item in &items {
            match read(item) {
                Some(value) if seen.contains(&value) => {
                    complete = false;
                    item.report_value::<()>("it is already in this list");
                }
                Some(value) => seen.push(value),
                None => complete = false,
            }
        }
        complete.then_some(seen)
    }

    /// A list of distinct, non-empty strings with at least one element.
    pub(super) fn names(&self, expected: &'static str) -> Option<Vec<String>> {
        self.set(expected, |node| node.name().map(str::to_owned))
    }

    /// A string.
    pub(super) fn text(&self) -> Option<&'a str> {
        self.json.as_str().or_else(|| self.report_type("a string"))
    }

    /// A string that is not empty.
    pub(super) fn name(&self) -> Option<&'a str> {
        match self.text()? {
            "" => self.report_value("must not be empty"),
            text => Some(text),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.json {
            Json::Bool(value) => Some(*value),
            _ => self.report_type("true or false"),
        }
    }

    /// An integer in a range. `5.0` is accepted, because some control planes send every number as a double.
    pub(super) fn integer(&self, least: u64, most: u64) -> Option<u64> {
        let expected = format!("a whole number from {least} to {most}");
        if !matches!(self.json, Json::Integer(_) | Json::Float(_)) {
            return self.report_type(expected);
        }
        self.json
            .as_integer()
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (least..=most).contains(number))
            .or_else(|| self.report_value(format!("must be {expected}")))
    }

    /// A number from 0 to 1.
    pub(super) fn fraction(&self) -> Option<f64> {
        const EXPECTED: &str = "a number from 0 to 1";
        let number = match self.json {
            Json::Integer(0) => Some(0.0),
            Json::Integer(1) => Some(1.0),
            Json::Integer(_) => None,
            Json::Float(number) => Some(*number),
            _ => return self.report_type(EXPECTED),
        };
        number
            .filter(|number| (0.0..=1.0).contains(number))
            .or_else(|| self.report_value(format!("must be {EXPECTED}")))
    }

    /// One of the words.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let expected = format!("one of {}", all.join(", "));
        let Some(text) = self.json.as_str() else {
            return self.report_type(expected);
        };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map_or_else(
            || self.report_value(format!("must be {expected}")),
            |(_, value)| Some(*value),
        )
    }

    /// A claim path: a list of one or more names. A string is rejected, because a dot in it would be
    /// ambiguous.
    pub(super) fn claim_path(&self) -> Option<ClaimPath> {
        if let Json::String(name) = self.json {
            return self.report_type(format!("a list of names, like [{name:?}]"));
        }
        let names = self.list("must be a list of names, like [\"sub\"]", |node| {
            Some(node.name()?.to_owned())
        })?;
        ClaimPath::new(names)
    }

    /// A top-level claim by its name, or a claim path.
    pub(super) fn claim(&self) -> Option<ClaimPath> {
        match self.json {
            Json::String(_) => self.name().map(ClaimPath::from),
            Json::Array(_) => self.claim_path(),
            _ => self.report_type("the name of a claim, or a list of names"),
        }
    }

    /// A header name.
    pub(super) fn header_name(&self) -> Option<HeaderName> {
        parse_header_name(self, self.text()?)
    }

    /// A header that the filter may set or remove.
    pub(super) fn settable_header(&self) -> Option<HeaderName> {
        let name = self.header_name()?;
        check_settable(self, name)
    }
}

/// Reads all elements, so that all errors are reported; `None` if any is invalid.
pub(super) fn read_all<'a, T>(
    items: &[Node<'a>],
    mut read: impl FnMut(&Node<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let values: Vec<T> = items.iter().filter_map(&mut read).collect();
    (values.len() == items.len()).then_some(values)
}

/// A header name in a value or in a key.
pub(super) fn parse_header_name(node: &Node<'_>, text: &str) -> Option<HeaderName> {
    HeaderName::parse(text).map_or_else(
        |error| {
            node.report(ErrorKind::HeaderName {
                text: text.to_owned(),
                error,
            })
        },
        Some,
    )
}

/// Rejects headers that the filter cannot set or remove without breaking the request.
pub(super) fn check_settable(node: &Node<'_>, name: HeaderName) -> Option<HeaderName> {
    const HTTP: [&str; 7] = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "te",
        "transfer-encoding",
        "upgrade",
    ];
    if HTTP.contains(&name.as_str()) {
        return node.report(Conflict::HttpHeader(name.to_string()));
    }
    Some(name)
}

/// `true`, `false`, or a short number.
fn looks_like_a_scalar(text: &str) -> bool {
    let is_number = text.len() <= 10 && text.parse::<f64>().is_ok();
    is_number || matches!(text, "true" | "false")
}

/// A scalar as JSON; long strings are truncated.
fn scalar(json: &Json) -> Option<String> {
    const LONGEST: usize = 100;
    match json {
        Json::String(text) if text.chars().count() > LONGEST => {
            let start: String = text.chars().take(LONGEST).collect();
            Some(format!("{start:?}…"))
        }
        Json::String(text) => Some(format!("{text:?}")),
        Json::Integer(number) => Some(number.to_string()),
        Json::Float(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}
