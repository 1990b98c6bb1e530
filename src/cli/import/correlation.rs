//! Header rules of a `VirtualService` that carry a correlation ID.

use serde_json::{Map, Value, json};

use super::Input;
use super::fields::Fields;
use super::listed::Report;
use super::select::Object;

/// Headers that carry a correlation ID by convention.
const NAMES: [&str; 4] = [
    "x-correlation-id",
    "correlation-id",
    "x-request-id",
    "request-id",
];

/// The section `correlation`.
pub(super) fn read(inputs: &[Input], report: &mut Report) -> Map<String, Value> {
    let mut header: Option<(String, Vec<String>)> = None;
    let mut on_response = false;
    for object in inputs
        .iter()
        .filter_map(Object::of)
        .filter(|object| object.kind == "VirtualService")
    {
        for (index, route) in object.spec.list("http").iter().enumerate() {
            let place = format!("{} http[{index}]", object.place);
            let headers = Fields::of(Some(route)).object("headers");
            for (name, value) in rules(headers.object("request")) {
                match sources(&value) {
                    Some(from) if header.as_ref().is_none_or(|(known, accept)| *known == name && *accept == from) => {
                        header = Some((name, from));
                    }
                    Some(_) => report.list(&place, &format!("header {name}"), "another rule sets a correlation ID in a different way, and the filter has one header for it"),
                    None => report.list(&place, &format!("header {name}"), "its value is not that of request headers (%REQ(…)%)"),
                }
            }
            on_response |= !rules(headers.object("response")).is_empty();
        }
    }
    let mut section = Map::new();
    if let Some((name, from)) = header {
        let mut accept = vec![name.clone()];
        accept.extend(from.into_iter().filter(|other| *other != name));
        section.insert("header".to_owned(), json!(name));
        section.insert("accept".to_owned(), json!(accept));
        section.insert("response_header".to_owned(), json!(on_response));
    }
    section
}

/// What is set or added under a name that means correlation.
fn rules(fields: Fields<'_>) -> Vec<(String, String)> {
    let set = ["set", "add"].map(|operation| fields.object(operation));
    let members = set.into_iter().flat_map(Fields::members);
    members
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), value.as_str()?.to_owned())))
        .filter(|(name, _)| NAMES.contains(&name.as_str()))
        .collect()
}

/// The headers in `%REQ(A?B)%`.
fn sources(value: &str) -> Option<Vec<String>> {
    let inner = value.strip_prefix("%REQ(")?.strip_suffix(")%")?;
    let names: Vec<String> = inner.split('?').map(str::to_ascii_lowercase).collect();
    let is_name = |name: &String| crate::header_name::HeaderName::parse(name).is_ok();
    names.iter().all(is_name).then_some(names)
}
