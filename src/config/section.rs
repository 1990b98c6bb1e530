//! Objects with known keys.

use std::cell::{Cell, RefCell};

use super::error::ErrorKind;
use super::path::ConfigPath;
use super::reader::{Collector, Node};
use crate::json::{Json, Object};

/// An object whose keys are read one by one; [`Section::finish`] reports those that are unknown.
pub(super) struct Section<'a> {
    object: &'a Object,
    path: ConfigPath,
    collector: &'a Collector,
    errors_before: usize,
    known: RefCell<Vec<&'static str>>,
    finished: Cell<bool>,
}

impl<'a> Section<'a> {
    pub(super) fn new(object: &'a Object, path: ConfigPath, collector: &'a Collector) -> Self {
        Self {
            object,
            path,
            collector,
            errors_before: collector.count(),
            known: RefCell::default(),
            finished: Cell::new(false),
        }
    }

    /// Reports an error of the section as a whole, or of one of its keys.
    pub(super) fn report<T>(&self, key: Option<&str>, kind: impl Into<ErrorKind>) -> Option<T> {
        let path = key.map_or_else(|| self.path.clone(), |key| self.path.key(key));
        self.collector.add(&path, kind);
        None
    }

    /// Reports an error at a path below the section.
    pub(super) fn report_at<T>(&self, path: &ConfigPath, kind: impl Into<ErrorKind>) -> Option<T> {
        self.collector.add(path, kind);
        None
    }

    /// The path of a key, whether the object has it or not.
    pub(super) fn path_of(&self, key: &str) -> ConfigPath {
        self.path.key(key)
    }

    /// The value of a key, if the object has it. `null` is an error: in YAML it is the value of a key without
    /// one, and ignoring the key could allow more than intended.
    pub(super) fn key(&self, name: &'static str) -> Option<Node<'a>> {
        let read_before = self.known.borrow().contains(&name);
        if !read_before {
            self.known.borrow_mut().push(name);
        }
        let node = Node {
            json: self.object.get(name)?,
            path: self.path.key(name),
            collector: self.collector,
        };
        match node.json {
            Json::Null if read_before => None,
            Json::Null => node.report_type("a value; remove the key to leave it unset"),
            _ => Some(node),
        }
    }

    /// The value of a key that the object must have.
    pub(super) fn required(&self, name: &'static str, expected: &'static str) -> Option<Node<'a>> {
        let node = self.key(name);
        if self.object.get(name).is_none() {
            return self.report(Some(name), ErrorKind::Missing { expected });
        }
        node
    }

    /// The value of an optional key: `Some(None)` if the object does not have it, `None` if it
    /// cannot be read.
    #[expect(
        clippy::option_option,
        reason = "an absent value and one that cannot be read are different"
    )]
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Node<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.key(name) {
            Some(node) => read(&node).map(Some),
            None if self.has(name) => None,
            None => Some(None),
        }
    }

    /// Whether the object has the key, even if its value is invalid.
    pub(super) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some()
    }

    /// Whether an error was reported since the section was opened.
    pub(super) fn has_errors(&self) -> bool {
        self.collector.count() > self.errors_before
    }

    /// Reports unknown and duplicate keys, once. Returns whether the section has no errors, so that its values
    /// can be checked together.
    pub(super) fn finish(&self) -> bool {
        if self.finished.replace(true) {
            return !self.has_errors();
        }
        let known = self.known.borrow();
        let mut reported: Vec<&str> = Vec::new();
        for (key, _) in self.object.iter() {
            if known.contains(&key) || reported.contains(&key) {
                continue;
            }
            reported.push(key);
            let nearest = known
                .iter()
                .copied()
                .min_by_key(|candidate| distance(candidate, key))
                .filter(|candidate| distance(candidate, key) <= 2);
            let known = known.join(", ");
            if let Some(nearest) = nearest {
                // A misspelt key is one mistake.
                self.collector.remove_missing(&self.path.key(nearest));
            }
            self.report::<()>(Some(key), ErrorKind::UnknownKey { nearest, known });
        }
        if let Some(name) = self.object.duplicate_key() {
            self.report::<()>(Some(name), ErrorKind::DuplicateKey);
        }
        !self.has_errors()
    }
}

/// The Levenshtein distance of two short words, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let above = *cell;
            let replace = diagonal.saturating_add(usize::from(x != y));
            left = replace
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_the_number_of_edits() {
        assert_eq!(distance("audiences", "audience"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
