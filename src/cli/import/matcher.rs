//! Envoy's matchers: strings, headers, paths, and values of metadata.

use std::rc::Rc;

use super::expr::{Expr, Kind, ValueTest};
use super::fields::Fields;
use super::methods;
use super::paths::PathTest;
use super::text::{Text, TextRule};
use crate::json::Json;

/// `StringMatcher`
pub(super) fn string(fields: Fields<'_>) -> Text {
    let owned = str::to_owned;
    let ignore_case = fields.flag("ignore_case");
    let rule = if let Some(text) = fields.text("exact") {
        TextRule::Exact(owned(text))
    } else if let Some(text) = fields.text("prefix") {
        TextRule::Prefix(owned(text))
    } else if let Some(text) = fields.text("suffix") {
        TextRule::Suffix(owned(text))
    } else if let Some(text) = fields.text("contains") {
        TextRule::Contains(owned(text))
    } else if let Some(regex) = fields.object("safe_regex").text("regex") {
        // `ignore_case` has no effect on it.
        return Text::regex(regex);
    } else {
        TextRule::Unknown
    };
    Text::new(rule).ignoring_case(ignore_case)
}

/// `PathMatcher`
pub(super) fn url_path(place: &Rc<str>, json: &Json) -> Expr {
    let text = string(Fields::of(Some(json)).object("path"));
    path(place, "url_path", &text)
}

pub(super) fn path(place: &Rc<str>, name: &str, text: &Text) -> Expr {
    let shown = format!("{name} {}", show(text));
    Expr::leaf(place, shown, Kind::Path(PathTest::of(text)))
}

/// `HeaderMatcher`
pub(super) fn header(place: &Rc<str>, json: &Json) -> Expr {
    let fields = Fields::of(Some(json));
    let name = fields.text("name").unwrap_or_default().to_ascii_lowercase();
    let invert = fields.flag("invert_match");
    let unknown = |why| Expr::leaf(place, format!("header {name}"), Kind::Unknown(why));
    if fields.flag("treat_missing_header_as_empty") {
        return unknown("there is no test for an absent header");
    }
    let test = if fields.get("string_match").is_some() {
        Some(string(fields.object("string_match")))
    } else if let Some(exact) = fields.text("exact_match") {
        Some(Text::exact(exact))
    } else if let Some(prefix) = fields.text("prefix_match") {
        Some(Text::new(TextRule::Prefix(prefix.to_owned())))
    } else if let Some(suffix) = fields.text("suffix_match") {
        Some(Text::new(TextRule::Suffix(suffix.to_owned())))
    } else if let Some(part) = fields.text("contains_match") {
        Some(Text::new(TextRule::Contains(part.to_owned())))
    } else if let Some(regex) = fields.object("safe_regex_match").text("regex") {
        Some(Text::regex(regex))
    } else if fields.get("range_match").is_some() {
        return unknown("headers have no test for a range of numbers here");
    } else {
        // Without a test, the header must be present; `present_match: false` wants it absent.
        let absent = fields.get("present_match") == Some(&Json::Bool(false));
        if absent != invert && !name.starts_with(':') {
            let present = Kind::Header {
                name: name.clone(),
                test: None,
                invert: false,
            };
            return Expr::leaf(place, format!("header {name}"), present).negate();
        }
        None
    };
    let shown = match &test {
        Some(text) => format!("header {name} {}", show(text)),
        None => format!("header {name}"),
    };
    let always = || Text::new(TextRule::Any);
    let inverted = |expr: Expr| if invert { expr.negate() } else { expr };
    match name.as_str() {
        ":method" => {
            let texts = methods::alternatives(test.unwrap_or_else(always));
            let any = texts
                .into_iter()
                .map(|text| Expr::leaf(place, shown.clone(), Kind::Method(text)));
            inverted(Expr::Any(any.collect()))
        }
        ":authority" | "host" => {
            let kind = Kind::Host(test.unwrap_or_else(always));
            inverted(Expr::leaf(place, shown, kind))
        }
        ":path" => match test.as_ref().map(|text| (&text.rule, text.ignore_case)) {
            None => inverted(Expr::always()),
            // A query can follow.
            Some((TextRule::Any | TextRule::NonEmpty | TextRule::Prefix(_), false)) if !matches!(&test, Some(Text { rule: TextRule::Prefix(text), .. }) if text.contains(['?', '#'])) => {
                inverted(path(place, "header :path", &test.unwrap_or_else(always)))
            }
            Some(_) => Expr::leaf(
                place,
                shown,
                Kind::Unknown("`:path` includes the query, which routes do not see"),
            ),
        },
        name if name.starts_with(':') => Expr::leaf(
            place,
            shown,
            Kind::Unknown("this pseudo-header is not tested here"),
        ),
        _ => Expr::leaf(place, shown, Kind::Header { name, test, invert }),
    }
}

/// The tests of `ValueMatcher`, one of which must hold.
pub(super) fn value(json: Option<&Json>, tests: &mut Vec<ValueTest>) {
    let fields = Fields::of(json);
    if fields.get("string_match").is_some() {
        tests.push(ValueTest::Text(string(fields.object("string_match"))));
    } else if let Some(Json::Bool(flag)) = fields.get("bool_match") {
        tests.push(ValueTest::Bool(*flag));
    } else if fields.get("double_match").is_some() {
        tests.push(number(fields.object("double_match")));
    } else if let Some(list) = fields.object("list_match").get("one_of") {
        let mut members = Vec::new();
        value(Some(list), &mut members);
        tests.extend(members.into_iter().map(|test| match test {
            ValueTest::Text(text) => ValueTest::Member(text),
            _ => ValueTest::Other,
        }));
    } else if let Some(parts) = fields.object("or_match").get("value_matchers") {
        for part in parts.as_array().unwrap_or_default() {
            value(Some(part), tests);
        }
    } else if fields.flag("present_match") {
        tests.push(ValueTest::Present);
    } else {
        tests.push(ValueTest::Other);
    }
}

fn number(fields: Fields<'_>) -> ValueTest {
    let float = |json: Option<&Json>| match json {
        #[expect(clippy::cast_precision_loss, reason = "Envoy's numbers are doubles")]
        Some(Json::Integer(number)) => Some(*number as f64),
        Some(Json::Float(number)) => Some(*number),
        _ => None,
    };
    if let Some(exact) = float(fields.get("exact")) {
        return ValueTest::Number(exact);
    }
    let range = fields.object("range");
    let (start, end) = (float(range.get("start")), float(range.get("end")));
    ValueTest::Range(start.unwrap_or(0.0), end.unwrap_or(0.0))
}

/// A test as messages name it.
pub(super) fn show(text: &Text) -> String {
    match &text.rule {
        TextRule::Any => "any".to_owned(),
        TextRule::NonEmpty => "not empty".to_owned(),
        TextRule::Exact(text) => format!("{text:?}"),
        TextRule::Prefix(text) => format!("prefix {text:?}"),
        TextRule::Suffix(text) => format!("suffix {text:?}"),
        TextRule::Contains(text) => format!("contains {text:?}"),
        TextRule::Regex(regex) => format!("regex {regex:?}"),
        TextRule::Unknown => "by an unknown matcher".to_owned(),
    }
}
