//! docs/config.schema.json against docs/config.md, and against every config of the tree. That it agrees with
//! the reader of the config is tested there (`src/config/tests/schema.rs`).

use std::collections::{BTreeMap, BTreeSet};

use edge_claims::internals::Reason;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::envoy_gateway;
use crate::examples::plugin_config;
use crate::manifests::{OVERLAYS, wasm_plugin};
use crate::reference::{Row, bounds, default_of, place_of, quoted, rows};
use crate::text::{blocks, pages};
use crate::{path, read, yaml};

fn schema() -> Value {
    serde_json::from_str(&read("docs/config.schema.json")).unwrap()
}

/// The node that a `$ref` names.
fn target<'s>(schema: &'s Value, node: &'s Value) -> &'s Value {
    match node["$ref"].as_str() {
        Some(name) => schema
            .pointer(name.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{name}")),
        None => node,
    }
}

/// The object schemas with known keys, by the place of the page.
fn sections<'s>(
    schema: &'s Value,
    node: &'s Value,
    place: &str,
    found: &mut BTreeMap<String, Vec<&'s Value>>,
) {
    let node = target(schema, node);
    let place = place_of(place);
    if node["additionalProperties"] == false {
        let known = found.entry(place.clone()).or_default();
        if known.iter().any(|other| std::ptr::eq(*other, node)) {
            return;
        }
        known.push(node);
        for (key, property) in node["properties"].as_object().unwrap() {
            let below = format!("{place}.{key}");
            sections(schema, property, below.trim_start_matches('.'), found);
        }
    }
    if let Some(items) = node.get("items") {
        sections(schema, items, &format!("{place}[]"), found);
    }
    for branch in node["anyOf"].as_array().into_iter().flatten() {
        sections(schema, branch, &place, found);
    }
}

/// The schemas of each key of the page, and the sections that have it.
fn keys(schema: &Value) -> BTreeMap<(String, String), Vec<(&Value, &Value)>> {
    let mut found = BTreeMap::new();
    sections(schema, schema, "", &mut found);
    let mut keys: BTreeMap<(String, String), Vec<(&Value, &Value)>> = BTreeMap::new();
    for (place, sections) in found {
        for section in sections {
            for (key, property) in section["properties"].as_object().unwrap() {
                let of_key = keys.entry((place.clone(), key.clone())).or_default();
                of_key.push((section, property));
            }
        }
    }
    keys
}

/// A cell without the targets of its links.
fn unlinked(cell: &str) -> String {
    let mut text = String::new();
    let mut rest = cell;
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        let Some((label, after)) = link.split_once("](") else {
            return format!("{text}[{link}");
        };
        text.push_str(label);
        rest = after.split_once(')').expect("the end of a link").1;
    }
    text + rest
}

/// What an editor shows: the sentences of the page, the values and the default.
fn description(row: &Row) -> String {
    let mut facts = Vec::new();
    if row.value != "object" {
        facts.push(format!("Value: {}.", unlinked(&row.value)));
    }
    match row.default.as_str() {
        "" | "see below" => {}
        required if required.starts_with("required") => {
            facts.push(format!("R{}.", unlinked(&required[1..])));
        }
        default => facts.push(format!("Default: {}.", unlinked(default))),
    }
    let parts = [unlinked(&row.meaning), facts.join(" ")];
    parts.join("\n\n").trim().to_owned()
}

#[test]
fn the_schema_has_the_keys_the_sentences_and_the_defaults_of_the_page() {
    let schema = schema();
    let keys = keys(&schema);
    let rows = rows();
    let of_page: BTreeSet<(String, String)> = rows
        .iter()
        .map(|row| (row.place.clone(), row.key.clone()))
        .collect();
    let of_schema: BTreeSet<(String, String)> = keys.keys().cloned().collect();
    assert_eq!(
        of_schema, of_page,
        "the schema (left), docs/config.md (right)"
    );
    for row in &rows {
        let name = format!("{}.{}", row.place, row.key);
        for (section, property) in &keys[&(row.place.clone(), row.key.clone())] {
            assert_eq!(property["description"], description(row), "{name}");
            assert_eq!(property.get("default"), default(row).as_ref(), "{name}");
            let required = section["required"].as_array().into_iter().flatten();
            let is_required = required.into_iter().any(|key| *key == row.key);
            // A test of `when` has one of its kinds.
            if !row.place.ends_with(".when") {
                assert_eq!(is_required, row.default == "required", "{name}");
            }
        }
    }
}

/// The default of a row; whole numbers as such.
fn default(row: &Row) -> Option<Value> {
    let default = default_of(row)?;
    match default.as_f64() {
        Some(number) if number.fract() == 0.0 => Some(json!(number as i64)),
        _ => Some(default),
    }
}

#[test]
fn the_schema_has_the_bounds_and_the_words_of_the_page() {
    let schema = schema();
    let keys = keys(&schema);
    let (mut bounded, mut listed) = (0, 0);
    for row in rows() {
        let name = format!("{}.{}", row.place, row.key);
        let words = quoted(&row.value);
        let is_list = row.value.starts_with("list of `");
        let is_word = words.len() > 1
            && row.value.split(", ").collect::<Vec<_>>()
                == words
                    .iter()
                    .map(|word| format!("`{word}`"))
                    .collect::<Vec<_>>();
        for (_, property) in &keys[&(row.place.clone(), row.key.clone())] {
            let node = target(&schema, property);
            match bounds(&row.value) {
                Some(_) if row.value.starts_with("duration") => {
                    let unit = if row.key == "timeout" {
                        "milliseconds"
                    } else {
                        "seconds"
                    };
                    assert_eq!(property["$ref"], format!("#/$defs/{unit}"), "{name}");
                }
                Some((least, most)) => {
                    assert_eq!(node["minimum"].to_string(), least, "{name}");
                    assert_eq!(node["maximum"].to_string(), most, "{name}");
                    bounded += 1;
                }
                None => {}
            }
            if is_list || is_word {
                let node = if is_list { &node["items"] } else { node };
                assert_eq!(node["enum"], json!(words), "{name}");
                listed += 1;
            }
            match row.value.as_str() {
                "boolean" => assert_eq!(node["type"], "boolean", "{name}"),
                "claim" => assert_eq!(property["$ref"], "#/$defs/claim", "{name}"),
                "UTC time" => assert_eq!(property["$ref"], "#/$defs/utc_time", "{name}"),
                _ => {}
            }
        }
    }
    assert!(
        bounded >= 7 && listed >= 22,
        "{bounded} bounds, {listed} words"
    );
}

#[test]
fn the_schema_has_the_reasons() {
    let schema = schema();
    let all: Vec<&str> = Reason::ALL.into_iter().map(Reason::code).collect();
    assert_eq!(schema["$defs"]["reason"]["enum"], json!(all));
    // Those before a route is known: the page names them.
    let rows = rows();
    let row = rows.iter().find(|row| row.key == "on_failure").unwrap();
    let before = quoted(&row.meaning);
    assert_eq!(before.len(), 4);
    let on_failure = &schema["$defs"]["route"]["properties"]["on_failure"];
    let later: Vec<&str> = all
        .into_iter()
        .filter(|code| !before.contains(code))
        .collect();
    assert_eq!(on_failure["propertyNames"]["enum"], json!(later));
    assert_eq!(on_failure["additionalProperties"]["minimum"], 400);
    assert_eq!(on_failure["additionalProperties"]["maximum"], 599);
}

/// What an editor inserts is valid.
#[test]
fn examples_and_defaults_fit_their_own_schema() {
    fn walk(schema: &Value, node: &Value, count: &mut usize) {
        let samples = node["examples"].as_array().into_iter().flatten();
        for sample in samples.chain(node.get("default")) {
            let mut own = node.clone();
            own["$defs"] = schema["$defs"].clone();
            let own = jsonschema::validator_for(&own).unwrap();
            assert!(own.is_valid(sample), "{sample} {node}");
            *count += 1;
        }
        match node {
            Value::Object(members) => members.values().for_each(|it| walk(schema, it, count)),
            Value::Array(items) => items.iter().for_each(|it| walk(schema, it, count)),
            _ => {}
        }
    }
    let schema = schema();
    let mut count = 0;
    walk(&schema, &schema, &mut count);
    assert!(count >= 70, "{count}");
}

#[track_caller]
fn fits(validator: &Validator, name: &str, value: &Value) {
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(problems, Vec::<String>::new(), "{name}");
}

#[test]
fn every_config_of_the_tree_fits() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for folder in ["examples/config", "examples/gateway", "examples/sidecar"] {
        for entry in std::fs::read_dir(path(folder)).unwrap() {
            let file = entry.unwrap().path();
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).unwrap();
            fits(&validator, &name, &yaml(&name, &text));
            // What an editor looks for.
            let first = text.lines().next().unwrap();
            let schema = first.strip_prefix("# yaml-language-server: $schema=");
            let schema = file.parent().unwrap().join(schema.expect(&name));
            let published = path("docs/config.schema.json");
            assert_eq!(
                schema.canonicalize().unwrap(),
                published.canonicalize().unwrap()
            );
        }
    }
    for name in [
        "examples/envoy/standalone.yaml",
        "examples/docker-compose/envoy.yaml",
    ] {
        fits(&validator, name, &plugin_config(&yaml(name, &read(name))));
    }
    for (overlay, _) in OVERLAYS {
        let manifest = wasm_plugin(&path(""), overlay);
        fits(&validator, overlay, &manifest["spec"]["pluginConfig"]);
    }
    for name in envoy_gateway::POLICIES {
        fits(&validator, name, &envoy_gateway::wasm(name)["config"]);
    }
}

/// Also parts of configs: one or several sections, or keys of an issuer.
#[test]
fn every_config_in_the_docs_fits() {
    let mut whole = schema();
    whole.as_object_mut().unwrap().remove("required");
    let mut issuer = whole["$defs"]["issuer"].clone();
    for key in ["required", "anyOf"] {
        issuer.as_object_mut().unwrap().remove(key);
    }
    issuer["$defs"] = whole["$defs"].clone();
    let forms = [whole, issuer].map(|form| (jsonschema::validator_for(&form).unwrap(), form));
    let mut count = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for language in ["yaml", "json"] {
            for (line, block) in blocks(&text, language) {
                let name = format!("{}:{line}", page.display());
                let part = yaml(&name, &block.replace('…', "AAAA"));
                let Some(members) = part.as_object() else {
                    continue;
                };
                let form = forms.iter().find(|(_, form)| {
                    members
                        .keys()
                        .any(|key| form["properties"].get(key).is_some())
                });
                if let Some((validator, _)) = form {
                    fits(validator, &name, &part);
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 15, "{count}");
}
