//! YAML with the place of each value, as kubectl and Envoy read it: YAML 1.1 scalars, anchors, merge keys.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};
use smol_str::SmolStr;

use super::SyntaxError;
use super::spans::{Children, Member, Spans};
use super::yaml_scalar;
use crate::json::Json;

/// How deep values may be nested, as in JSON.
const MAX_DEPTH: usize = 128;

/// How many values aliases may repeat in one file, so that a small file cannot use all memory.
const MAX_REPEATED: usize = 1_000_000;

/// Parses the documents of a stream; empty ones are left out.
///
/// # Errors
/// The first syntax error.
pub(super) fn parse(text: &str) -> Result<Vec<(Json, Spans)>, SyntaxError> {
    let parser = Parser::new_from_str_with_options(text, options());
    let mut composer = Composer {
        text,
        parser,
        anchors: HashMap::new(),
        repeated: 0,
    };
    let mut documents = Vec::new();
    loop {
        match composer.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::DocumentStart(..), _) => {
                composer.anchors.clear();
                let (event, span) = composer.next()?;
                let node = composer.node(event, span, 0)?;
                if node.json != Json::Null {
                    documents.push((node.json, node.spans));
                }
            }
            _ => {}
        }
    }
}

fn options() -> Options {
    granit_parser::options! { emit_comments: false }
}

/// Builds values from the parser's events.
struct Composer<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    repeated: usize,
}

/// A value, its place, and the number of values in it, itself included.
#[derive(Clone)]
struct Node {
    json: Json,
    spans: Spans,
    values: usize,
}

/// The members of an object that is being built.
#[derive(Default)]
struct Members {
    json: Vec<(SmolStr, Json)>,
    spans: Vec<Member>,
}

impl<'t> Composer<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), SyntaxError> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = error.marker().byte_offset();
                Err(self.error(at, error.info().to_string()))
            }
            None => Err(self.error(None, "the document ends too early")),
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        let range = span.byte_range().unwrap_or_default();
        let start = range.start;
        if depth > MAX_DEPTH {
            return Err(self.error(Some(start), "values are nested more than 128 deep"));
        }
        let depth = depth.saturating_add(1);
        let (anchor, mut node) = match event {
            Event::Alias(anchor) => return self.alias(anchor, start),
            Event::Scalar(text, style, anchor, tag) => {
                let json = self.scalar(&text, style, tag.as_deref(), start)?;
                (anchor, Node::new(json, Children::None, 1))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", start)?;
                (anchor, self.sequence(depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", start)?;
                (anchor, self.mapping(depth)?)
            }
            _ => return Err(self.error(Some(start), "a value is missing")),
        };
        let end = node.spans.value.end.max(range.end);
        node.spans.value = start..end;
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, start: usize) -> Result<Node, SyntaxError> {
        // An anchor is known when its value is complete, so an alias within it is unknown.
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.error(Some(start), "an alias within the value that it names"));
        };
        self.repeated = self.repeated.saturating_add(node.values);
        if self.repeated > MAX_REPEATED {
            return Err(self.error(Some(start), "aliases repeat more than 1,000,000 values"));
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let (mut items, mut spans, mut values) = (Vec::new(), Vec::new(), 1_usize);
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let node = Node::new(Json::Array(items), Children::List(spans), values);
                return Ok(node.ending(span));
            }
            let node = self.node(event, span, depth)?;
            values = values.saturating_add(node.values);
            items.push(node.json);
            spans.push(node.spans);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let mut members = Members::default();
        let mut merged = Members::default();
        let mut values = 1_usize;
        loop {
            let (event, span) = self.next()?;
            let start = span.byte_range().unwrap_or_default().start;
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            if matches!(event, Event::MappingEnd) {
                merged.remove(&members);
                merged.append(members);
                let json = Json::Object(merged.json.into_iter().collect());
                return Ok(Node::new(json, Children::Map(merged.spans), values).ending(span));
            }
            let key = self.node(event, span, depth)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth)?;
            values = values.saturating_add(value.values);
            if is_merge {
                if !members.json.is_empty() {
                    let problem = "`<<` after other keys: readers disagree about which one counts; write it first";
                    return Err(self.error(Some(start), problem));
                }
                self.merge(value, &mut merged, start)?;
                continue;
            }
            let Some(name) = key_name(&key.json) else {
                return Err(self.error(Some(start), "a key that is not a string"));
            };
            members.add(name, key.spans.value, value);
        }
    }

    /// Adds the members of a merge key (YAML 1.1): an object, or a list of objects of which the first wins.
    fn merge(&self, value: Node, merged: &mut Members, start: usize) -> Result<(), SyntaxError> {
        let objects: Vec<(Json, Spans)> = match (value.json, value.spans.children) {
            (json @ Json::Object(_), children) => {
                let spans = Spans {
                    value: value.spans.value,
                    children,
                };
                vec![(json, spans)]
            }
            (Json::Array(items), Children::List(spans)) => items.into_iter().zip(spans).collect(),
            _ => Vec::new(),
        };
        let problem = "`<<` needs an object or a list of objects";
        if objects.is_empty() {
            return Err(self.error(Some(start), problem));
        }
        for (json, spans) in objects {
            let (Json::Object(object), Children::Map(places)) = (json, spans.children) else {
                return Err(self.error(Some(start), problem));
            };
            let mut added = Members {
                json: object
                    .iter()
                    .map(|(name, value)| (name.into(), value.clone()))
                    .collect(),
                spans: places,
            };
            added.remove(merged);
            merged.append(added);
        }
        Ok(())
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        start: usize,
    ) -> Result<Json, SyntaxError> {
        let plain = || {
            yaml_scalar::plain(text)
                .ok_or_else(|| self.error(Some(start), "a number that JSON does not have"))
        };
        let Some(tag) = tag else {
            return match style {
                ScalarStyle::Plain => plain(),
                _ => Ok(Json::String(text.into())),
            };
        };
        let mismatch = |name| self.error(Some(start), format!("not a value of the tag !!{name}"));
        match (tag.is_yaml_core_schema(), tag.suffix()) {
            (true, "str") => Ok(Json::String(text.into())),
            (true, name @ ("bool" | "int" | "float" | "null")) => {
                let value = plain()?;
                let fits = match name {
                    "bool" => matches!(value, Json::Bool(_)),
                    "int" => matches!(value, Json::Integer(_)),
                    "float" => matches!(value, Json::Integer(_) | Json::Float(_)),
                    _ => value == Json::Null,
                };
                if fits { Ok(value) } else { Err(mismatch(name)) }
            }
            // The non-specific tag, which Envoy's documentation uses for strings.
            (false, "") => Ok(Json::String(text.into())),
            _ => Err(self.unknown_tag(start)),
        }
    }

    fn check_tag(&self, tag: Option<&Tag>, name: &str, start: usize) -> Result<(), SyntaxError> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix() == name) => {
                Err(self.unknown_tag(start))
            }
            _ => Ok(()),
        }
    }

    fn unknown_tag(&self, start: usize) -> SyntaxError {
        self.error(Some(start), "a tag that kubectl and Envoy do not know")
    }

    fn error(&self, offset: Option<usize>, problem: impl Into<String>) -> SyntaxError {
        SyntaxError {
            problem: format!("not YAML: {}", problem.into()),
            offset: offset.unwrap_or(self.text.len()),
        }
    }
}

/// The name of a key in JSON, as kubectl writes it: `1.0` becomes `1`.
fn key_name(key: &Json) -> Option<SmolStr> {
    match key {
        Json::String(name) => Some(name.clone()),
        Json::Bool(flag) => Some(SmolStr::from(flag.to_string())),
        Json::Integer(number) => Some(SmolStr::from(number.to_string())),
        Json::Float(number) => Some(SmolStr::from(number.to_string())),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

impl Node {
    fn new(json: Json, children: Children, values: usize) -> Self {
        let value = 0..0;
        Self {
            json,
            spans: Spans { value, children },
            values,
        }
    }

    /// Sets where a collection ends: at its bracket, or, in block style, where its last value ends; the end event
    /// of block style is where the next value begins.
    fn ending(mut self, end: Span) -> Self {
        let bracket = end.byte_range().unwrap_or_default();
        let last = self.spans.children.end().unwrap_or_default();
        self.spans.value.end = if bracket.is_empty() {
            last
        } else {
            bracket.end
        };
        self
    }
}

impl Members {
    fn add(&mut self, name: SmolStr, key: std::ops::Range<usize>, value: Node) {
        self.spans.push(Member {
            name: name.to_string(),
            key,
            spans: value.spans,
        });
        self.json.push((name, value.json));
    }

    /// Removes the members that another object has.
    fn remove(&mut self, other: &Self) {
        let has = |name: &str| other.spans.iter().any(|member| member.name == name);
        self.json.retain(|(name, _)| !has(name));
        self.spans.retain(|member| !has(&member.name));
    }

    fn append(&mut self, mut other: Self) {
        self.json.append(&mut other.json);
        self.spans.append(&mut other.spans);
    }
}
