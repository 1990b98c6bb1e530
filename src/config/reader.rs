//! Reads a JSON tree value by value and goes on after a problem, so that all are reported at once.

use std::cell::RefCell;

use super::problem::{Fault, Place, Problems};
use crate::claims::ClaimPath;
use crate::json::{Json, Object};

/// One value of the config and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    json: &'a Json,
    place: Place,
    problems: &'a Problems,
}

/// An object whose keys are read one by one; [`Section::finish`] reports those that nothing read.
pub(crate) struct Section<'a> {
    object: &'a Object,
    place: Place,
    problems: &'a Problems,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Node<'a> {
    /// The whole config.
    pub(crate) fn root(json: &'a Json, problems: &'a Problems) -> Self {
        Self {
            json,
            place: Place::root(),
            problems,
        }
    }

    /// The value itself.
    pub(crate) fn json(&self) -> &'a Json {
        self.json
    }

    /// Notes a problem at this place; always `None`, so that it ends a reading.
    pub(crate) fn refuse<T>(&self, fault: Fault) -> Option<T> {
        self.problems.add(&self.place, fault);
        None
    }

    /// Notes a problem at an element of this list.
    pub(crate) fn refuse_at(&self, index: usize, fault: Fault) {
        self.problems.add(&self.place.index(index), fault);
    }

    /// Notes that the value is none that is allowed.
    pub(crate) fn refuse_value<T>(&self, expected: impl Into<String>) -> Option<T> {
        let found = match self.json {
            Json::String(text) => text.to_string(),
            Json::Integer(number) => number.to_string(),
            Json::Float(number) => number.to_string(),
            Json::Bool(flag) => flag.to_string(),
            other => other.type_name().to_owned(),
        };
        self.refuse(Fault::Value {
            found,
            expected: expected.into(),
        })
    }

    fn refuse_type<T>(&self, expected: &'static str) -> Option<T> {
        self.refuse(Fault::Type {
            found: self.json.type_name(),
            expected,
        })
    }

    /// An object, to be read key by key.
    pub(crate) fn section(&self) -> Option<Section<'a>> {
        let Some(object) = self.json.as_object() else {
            return self.refuse_type("an object");
        };
        Some(Section {
            object,
            place: self.place.clone(),
            problems: self.problems,
            known: RefCell::default(),
        })
    }

    /// The members of an object whose keys the operator chooses, duplicates refused.
    pub(crate) fn entries(&self) -> Option<Vec<(&'a str, Node<'a>)>> {
        let Some(object) = self.json.as_object() else {
            return self.refuse_type("an object");
        };
        if let Some(name) = object.duplicate_key() {
            self.problems
                .add(&self.place.key(name), Fault::DuplicateKey);
        }
        Some(
            object
                .iter()
                .map(|(key, json)| {
                    (
                        key,
                        Node {
                            json,
                            place: self.place.key(key),
                            problems: self.problems,
                        },
                    )
                })
                .collect(),
        )
    }

    /// The elements of a list.
    pub(crate) fn items(&self) -> Option<Vec<Node<'a>>> {
        let Some(items) = self.json.as_array() else {
            return self.refuse_type("a list");
        };
        Some(
            items
                .iter()
                .enumerate()
                .map(|(index, json)| Node {
                    json,
                    place: self.place.index(index),
                    problems: self.problems,
                })
                .collect(),
        )
    }

    /// A list with at least one element, each read by `read`; what can't be read is left out (and noted).
    pub(crate) fn list<T>(
        &self,
        expected: &'static str,
        mut read: impl FnMut(&Node<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.items()?;
        if items.is_empty() {
            return self.refuse(Fault::EmptyList { expected });
        }
        Some(items.iter().filter_map(&mut read).collect())
    }

    /// A list of non-empty strings, none twice, with at least one element.
    pub(crate) fn names(&self, expected: &'static str) -> Option<Vec<String>> {
        let mut seen: Vec<String> = Vec::new();
        self.list(expected, |node| {
            let text = node.name()?.to_owned();
            if seen.contains(&text) {
                return node.refuse_value("it stands in this list already");
            }
            seen.push(text.clone());
            Some(text)
        })
    }

    /// A string.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.json.as_str().or_else(|| self.refuse_type("a string"))
    }

    /// A string that is not empty.
    pub(crate) fn name(&self) -> Option<&'a str> {
        match self.text()? {
            "" => self.refuse_value("it must not be empty"),
            text => Some(text),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.json {
            Json::Bool(value) => Some(*value),
            _ => self.refuse_type("true or false"),
        }
    }

    /// An integer within bounds; `5.0` counts, since some control planes send every number as a double.
    pub(crate) fn integer(&self, least: u64, most: u64) -> Option<u64> {
        if !matches!(self.json, Json::Integer(_) | Json::Float(_)) {
            return self.refuse_type("a whole number");
        }
        self.json
            .as_integer()
            .and_then(|number| u64::try_from(number).ok())
            .filter(|number| (least..=most).contains(number))
            .or_else(|| self.refuse_value(format!("a whole number from {least} to {most}")))
    }

    /// A number from 0 to 1.
    pub(crate) fn fraction(&self) -> Option<f64> {
        #[allow(clippy::cast_precision_loss)]
        let number = match self.json {
            Json::Integer(number) => *number as f64,
            Json::Float(number) => *number,
            _ => return self.refuse_type("a number from 0 to 1"),
        };
        if (0.0..=1.0).contains(&number) {
            Some(number)
        } else {
            self.refuse_value("a number from 0 to 1")
        }
    }

    /// One of some words.
    pub(crate) fn one_of<T: Copy>(&self, words: &[(&'static str, T)]) -> Option<T> {
        let text = self.json.as_str();
        words
            .iter()
            .find(|(word, _)| Some(*word) == text)
            .map(|(_, value)| *value)
            .or_else(|| {
                let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.refuse_value(format!("it takes {}", all.join(" | ")))
            })
    }

    /// A duration in milliseconds: digits and one unit of `ms`, `s`, `m`, `h`, `d`.
    pub(crate) fn milliseconds(&self, least: u64, most: u64) -> Option<u64> {
        let Some(text) = self.json.as_str() else {
            return self.refuse_type("a duration like \"30s\", \"5m\" or \"24h\"");
        };
        let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let unit = text.get(digits.len()..).unwrap_or_default();
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return self.refuse_value("a duration like \"30s\", \"5m\" or \"24h\""),
        };
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let value = plain
            .then(|| digits.parse::<u64>().ok()?.checked_mul(factor))
            .flatten();
        match value {
            Some(value) if (least..=most).contains(&value) => Some(value),
            Some(_) => self.refuse_value(format!(
                "a duration from {} to {}",
                show_duration(least),
                show_duration(most)
            )),
            None => self.refuse_value("a duration like \"30s\", \"5m\" or \"24h\""),
        }
    }

    /// A duration in whole seconds.
    pub(crate) fn seconds(&self, least: u64, most: u64) -> Option<u64> {
        let value = self.milliseconds(least.saturating_mul(1_000), most.saturating_mul(1_000))?;
        match value.checked_rem(1_000) {
            Some(0) => value.checked_div(1_000),
            _ => self.refuse_value("a duration in whole seconds"),
        }
    }

    /// A claim path: a list of one or more names. A string is refused, since a dot in it would be
    /// ambiguous.
    pub(crate) fn claim_path(&self) -> Option<ClaimPath> {
        if let Json::String(name) = self.json {
            return self.refuse_value(format!("a list of names, like [{name:?}]"));
        }
        let names = self.list("a list of names, like [\"sub\"]", |node| {
            Some(node.name()?.to_owned())
        })?;
        ClaimPath::new(names)
    }

    /// A header name in lower case (RFC 9110 §5.1).
    pub(crate) fn header_name(&self) -> Option<String> {
        header_name(self.name()?).or_else(|| {
            self.refuse_value(
                "a header name: letters, digits and !#$%&'*+-.^_`|~, no pseudo-header",
            )
        })
    }
}

/// The lower-case form of a header name (RFC 9110 §5.1), or `None` where it is none.
pub(crate) fn header_name(text: &str) -> Option<String> {
    (text.len() <= 128 && crate::headers::is_token(text.as_bytes()))
        .then(|| text.to_ascii_lowercase())
}

fn show_duration(milliseconds: u64) -> String {
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    for (unit, factor) in [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ] {
        if milliseconds >= factor && milliseconds.checked_rem(factor) == Some(0) {
            return format!(
                "{}{unit}",
                milliseconds.checked_div(factor).unwrap_or_default()
            );
        }
    }
    format!("{milliseconds}ms")
}

impl<'a> Section<'a> {
    /// Notes a problem of the section as a whole, or of one of its keys.
    pub(crate) fn refuse<T>(&self, key: Option<&str>, fault: Fault) -> Option<T> {
        let place = key.map_or_else(|| self.place.clone(), |key| self.place.key(key));
        self.problems.add(&place, fault);
        None
    }

    /// The value of a key, where it is there. `null` is a problem: it is what YAML makes of a key
    /// whose value was forgotten, and taken for absent it would let more pass than was meant.
    pub(crate) fn key(&self, name: &'static str) -> Option<Node<'a>> {
        let read_before = self.known.borrow().contains(&name);
        if !read_before {
            self.known.borrow_mut().push(name);
        }
        let node = Node {
            json: self.object.get(name)?,
            place: self.place.key(name),
            problems: self.problems,
        };
        match node.json {
            Json::Null if read_before => None,
            Json::Null => node.refuse_type("a value; leave the key out where none is meant"),
            _ => Some(node),
        }
    }

    /// The value of a key that must be there.
    pub(crate) fn required(&self, name: &'static str, expected: &'static str) -> Option<Node<'a>> {
        let node = self.key(name);
        if self.object.get(name).is_none() {
            return self.refuse(Some(name), Fault::Missing { expected });
        }
        node
    }

    /// Whether the object has that key, read or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some()
    }

    /// Reports the keys that nothing read, and those that stand twice.
    pub(crate) fn finish(self) {
        let known = self.known.into_inner();
        let mut reported: Vec<&str> = Vec::new();
        for (key, _) in self.object.iter() {
            if reported.contains(&key) {
                continue;
            }
            if !known.contains(&key) {
                reported.push(key);
                let nearest = known
                    .iter()
                    .copied()
                    .min_by_key(|candidate| distance(candidate, key))
                    .filter(|candidate| distance(candidate, key) <= 2);
                let known = known.join(", ");
                self.problems
                    .add(&self.place.key(key), Fault::UnknownKey { nearest, known });
            }
        }
        if let Some(name) = self.object.duplicate_key() {
            self.problems
                .add(&self.place.key(name), Fault::DuplicateKey);
        }
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

    fn duration(text: &str) -> Option<u64> {
        let (json, problems) = (Json::String(text.into()), Problems::default());
        Node::root(&json, &problems).milliseconds(0, u64::MAX)
    }

    #[test]
    fn durations() {
        assert_eq!(duration("30s"), Some(30_000));
        assert_eq!(duration("5m"), Some(300_000));
        assert_eq!(duration("24h"), Some(86_400_000));
        assert_eq!(duration("250ms"), Some(250));
        for text in [
            "",
            "s",
            "5",
            "5 m",
            "-5s",
            "1.5s",
            "5M",
            "99999999999999999999s",
            "1h30m",
            "+5s",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance("audiences", "audience"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
