//! docs/log-fields.md and docs/log.schema.json, held against each other and against what writes the logs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{read, yaml};

const HOPS: [&str; 5] = ["edge", "haproxy", "mesh", "record", "app"];

fn schema() -> Value {
    serde_json::from_str(&read("docs/log.schema.json")).unwrap()
}

/// The schemas of the lines of all hops, by `#/$defs/<hop>`.
fn validators() -> jsonschema::ValidatorMap {
    jsonschema::validator_map_for(&schema()).expect("the schema is one")
}

fn names(value: &Value) -> BTreeSet<String> {
    let object = value.as_object().expect("an object");
    object.keys().cloned().collect()
}

fn fields_of(hop: &str) -> BTreeSet<String> {
    names(&schema()["$defs"][hop]["properties"])
}

/// Each row of the table: the field's name, its mark for each hop, its meaning.
fn rows() -> BTreeMap<String, (Vec<String>, String)> {
    let page = read("docs/log-fields.md");
    let (_, table) = page.split_once("## Fields").expect("the table");
    let (table, _) = table.split_once("\n## ").expect("its end");
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, marks @ .., meaning] = cells.as_slice() else {
            panic!("{row}");
        };
        let marks = marks.iter().map(|mark| (*mark).to_owned()).collect();
        (
            name.trim_matches('`').to_owned(),
            (marks, (*meaning).to_owned()),
        )
    })
    .collect()
}

#[test]
fn the_page_and_the_schema_have_the_same_fields() {
    let (schema, rows) = (schema(), rows());
    let documented: BTreeSet<String> = rows.keys().cloned().collect();
    assert_eq!(documented, names(&schema["properties"]));
    for (name, (marks, meaning)) in &rows {
        let description = schema["properties"][name]["description"].as_str();
        assert_eq!(description, Some(meaning.as_str()), "{name}");
        let expected = HOPS.map(|hop| {
            let definition = &schema["$defs"][hop];
            let required = definition["required"].as_array().expect("a list");
            match () {
                () if required.contains(&json!(name)) => "●",
                () if definition["properties"].get(name).is_some() => "○",
                () => "",
            }
        });
        assert_eq!(*marks, expected, "{name}");
    }
}

#[test]
fn a_line_with_an_old_name_or_form_does_not_fit() {
    let line = json!({
        "time": "2026-11-21T08:00:00.337Z", "correlation_id": "c-1", "method": "GET", "host": "shop.example.com",
        "path": "/orders", "status": 200, "duration_ms": 7, "verdict": "allow/orders-read", "details": "via_upstream",
        "trace_id": null, "subject": "-", "own_field": {"a": 1},
    });
    let validators = validators();
    let mesh = validators.get("#/$defs/mesh").expect("of the mesh");
    assert!(mesh.is_valid(&line), "{:?}", mesh.validate(&line));
    for (name, value) in [
        ("time", json!("2026-11-21T08:00:00Z")),
        ("time", json!(1_795_234_266_765_u64)),
        ("time", Value::Null),
        ("status", Value::Null),
        ("path", json!("/orders?token=x")),
        (
            "trace_id",
            json!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ),
        ("subject", json!("alice")),
        ("verdict", json!("deny")),
        ("response_us", json!("fast")),
    ] {
        let mut wrong = line.clone();
        wrong[name] = value;
        assert!(!mesh.is_valid(&wrong), "{wrong}");
    }
    for name in ["time", "status", "duration_ms"] {
        let mut short = line.clone();
        short.as_object_mut().unwrap().remove(name);
        assert!(!mesh.is_valid(&short), "{short}");
    }
}

/// The members of every `json_format` (Envoy) and `labels` (Istio) of a document.
fn formats(document: &Value, found: &mut Vec<BTreeSet<String>>) {
    match document {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "json_format" || (name == "labels" && member.get("verdict").is_some()) {
                    found.push(names(member));
                }
                formats(member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| formats(item, found)),
        _ => {}
    }
}

#[test]
fn every_access_log_format_has_the_fields_of_the_schema() {
    let of_mesh = fields_of("mesh");
    for name in [
        "docs/access-logs/envoy.yaml",
        "docs/access-logs/istio-mesh-config.yaml",
        "examples/envoy/standalone.yaml",
        "examples/docker-compose/envoy.yaml",
    ] {
        let mut found = Vec::new();
        formats(&yaml(name, &read(name)), &mut found);
        assert!(!found.is_empty(), "{name} has no format");
        for format in found {
            if name.starts_with("docs/") {
                assert_eq!(format, of_mesh, "{name}");
            }
            assert!(format.is_subset(&of_mesh), "{name}: {format:?}");
            let always = ["time", "status", "method", "host", "path", "duration_ms"];
            let joined = ["correlation_id", "verdict", "trace_id"];
            for field in always.iter().chain(&joined) {
                assert!(format.contains(*field), "{name} lacks {field}");
            }
        }
    }
}

#[test]
fn the_record_has_the_fields_of_the_schema() {
    let record: Value = serde_json::from_str(&read("docs/record.schema.json")).unwrap();
    assert_eq!(names(&record["properties"]), fields_of("record"));
    for field in schema()["$defs"]["record"]["required"].as_array().unwrap() {
        let required = record["required"].as_array().unwrap();
        assert!(required.contains(field), "{field}");
    }
    let page = read("docs/record.md");
    let line = page.lines().find(|line| line.contains("wasm log")).unwrap();
    let line: Value = serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
    let validators = validators();
    let validator = validators.get("#/$defs/record").expect("of the record");
    let problems: Vec<String> = validator
        .iter_errors(&line)
        .map(|it| it.to_string())
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

/// The edge's own unit test holds its table against the lines that it writes.
#[test]
fn the_edges_table_has_the_fields_of_the_schema() {
    let page = read("examples/fastly-edge/README.md");
    let (_, table) = page.split_once("## The log line").expect("the table");
    let (table, _) = table.split_once("\n## ").expect("its end");
    let rows: Vec<(String, bool)> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[1].trim_matches('`').to_owned(), cells[3] == "always")
        })
        .collect();
    let documented: BTreeSet<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(documented, fields_of("edge"));
    for field in schema()["$defs"]["edge"]["required"].as_array().unwrap() {
        let always = rows
            .iter()
            .any(|(name, always)| *always && json!(name) == *field);
        assert!(always, "{field} is not always there");
    }
}
