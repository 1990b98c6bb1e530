//! JSON with the place of each value. The values are those that the filter's own reader finds.

use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::SyntaxError;
use super::spans::{Children, Member, Spans};
use crate::json::{Json, JsonError};

/// Parses one JSON text (RFC 8259).
///
/// # Errors
/// The filter's own syntax error.
pub(super) fn parse(text: &str) -> Result<(Json, Spans), SyntaxError> {
    // First, because it limits how deep values are nested.
    let json = Json::parse(text.as_bytes()).map_err(|error| SyntaxError {
        offset: match &error {
            JsonError::Syntax(error) => offset(text, error.line(), error.column()),
            _ => 0,
        },
        problem: format!("not JSON: {error}"),
    })?;
    let tree = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default());
    let tree = tree.ok().and_then(|parsed| parsed.value);
    let spans = tree.as_ref().map_or_else(Spans::default, spans);
    Ok((json, spans))
}

/// The byte offset of a position of `serde_json`: line and column count from 1, the column in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let offset = before.saturating_add(column.saturating_sub(1));
    text.floor_char_boundary(offset)
}

fn spans(value: &Value<'_>) -> Spans {
    let range = value.range();
    Spans {
        value: range.start..range.end,
        children: match value {
            Value::Array(array) => Children::List(array.elements.iter().map(spans).collect()),
            Value::Object(object) => Children::Map(
                object
                    .properties
                    .iter()
                    .map(|property| Member {
                        name: name(&property.name).to_owned(),
                        key: property.name.start()..property.name.end(),
                        spans: spans(&property.value),
                    })
                    .collect(),
            ),
            _ => Children::None,
        },
    }
}

fn name<'n>(name: &'n ObjectPropName<'_>) -> &'n str {
    match name {
        ObjectPropName::String(text) => &text.value,
        ObjectPropName::Word(word) => word.value,
    }
}
