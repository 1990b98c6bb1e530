//! Tests of the method.

use super::expr::Cover;
use super::text::{Text, TextRule};
use crate::policy::method::Method;

/// Which requests of a method satisfy a test; `None`: any method that no rule names.
pub(super) fn cover(text: &Text, method: Option<&str>) -> Cover {
    match method {
        Some(method) => text.matches(method).map_or(Cover::Partial, Cover::exactly),
        None => match &text.rule {
            TextRule::Any | TextRule::NonEmpty => Cover::Full,
            TextRule::Exact(_) => Cover::None,
            TextRule::Prefix(_)
            | TextRule::Suffix(_)
            | TextRule::Contains(_)
            | TextRule::Regex(_)
            | TextRule::Unknown => Cover::Partial,
        },
    }
}

/// The method that a test names, if the filter accepts it.
pub(super) fn named(text: &Text) -> Option<String> {
    let TextRule::Exact(name) = &text.rule else {
        return None;
    };
    let name = if text.ignore_case {
        name.to_ascii_uppercase()
    } else {
        name.clone()
    };
    Method::parse(&name).ok().map(|_| name)
}

/// A test of the method, with `GET|POST` as what it says.
pub(super) fn alternatives(text: Text) -> Vec<Text> {
    let TextRule::Regex(regex) = &text.rule else {
        return vec![text];
    };
    let inner = regex.trim_start_matches('^').trim_end_matches('$');
    let inner = inner
        .strip_prefix('(')
        .and_then(|inner| inner.strip_suffix(')'))
        .unwrap_or(inner);
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
    if inner.split('|').all(plain) {
        inner.split('|').map(Text::exact).collect()
    } else {
        vec![text]
    }
}
