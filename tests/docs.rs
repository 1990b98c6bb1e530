//! The docs against the code: what can drift apart does not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use edge_claims::internals::ErrorKind;
use edge_claims::internals::Reason;
use edge_claims::internals::Source;
use edge_claims::internals::{Record, Verdict};
use serde_json::Value;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The entries of a section of the troubleshooting page: heading and text.
fn entries(section: &str) -> Vec<(String, String)> {
    let page = read("docs/troubleshooting.md");
    let start = page
        .find(&format!("\n## {section}\n"))
        .expect("the section");
    let text = page[start + 4..].split("\n## ").next().unwrap_or_default();
    let entries = text.split("\n### ").skip(1);
    entries
        .map(|entry| {
            let (heading, text) = entry.split_once('\n').expect("a text below the heading");
            (heading.to_owned(), text.trim().to_owned())
        })
        .collect()
}

#[test]
fn every_deny_reason_has_its_entry_and_no_other_has() {
    let entries = entries("Deny reasons");
    let headings: Vec<&str> = entries
        .iter()
        .map(|(heading, _)| heading.as_str())
        .collect();
    let codes: Vec<&str> = Reason::ALL.into_iter().map(Reason::code).collect();
    assert_eq!(headings, codes);
    for (code, text) in &entries {
        let status = Reason::from_code(code).expect(code).status();
        assert!(text.starts_with(&format!("**{status}")), "{code}: {text}");
        assert!(
            text.contains("**See:**") && text.contains("**Do:**"),
            "{code}: {text}"
        );
    }
}

#[test]
fn every_load_error_has_its_entry_and_no_other_has() {
    let no_json = edge_claims::internals::Json::parse(b"{").unwrap_err();
    let kinds = [
        ErrorKind::Empty,
        ErrorKind::Json(no_json),
        ErrorKind::UnknownKey {
            nearest: None,
            known: String::new(),
        },
        ErrorKind::DuplicateKey,
        ErrorKind::Missing { expected: "" },
        ErrorKind::Type {
            found: String::new(),
            expected: String::new(),
        },
        ErrorKind::Value {
            found: String::new(),
            expected: String::new(),
        },
        ErrorKind::EmptyList { expected: "" },
        first_error(r#"{"rbac": {"routes": [{"path": "x"}]}}"#),
        first_error(r#"{"rbac": {"roles": {"includes": {"a": ["a"]}, "claim": "r"}}}"#),
    ];
    let names: Vec<&str> = kinds.iter().map(ErrorKind::kind).collect();
    assert_eq!(names, ErrorKind::KINDS, "one of each kind");
    let entries = entries("Load errors");
    let headings: Vec<String> = names.iter().map(|kind| format!("load: {kind}")).collect();
    let documented: Vec<&String> = entries.iter().map(|(heading, _)| heading).collect();
    assert_eq!(documented, headings.iter().collect::<Vec<_>>());
    for (kind, (heading, text)) in kinds.iter().zip(&entries) {
        assert!(text.contains("**Do:**"), "{heading}: {text}");
        // An operator searches for what the log says. These two have many messages.
        if !["invalid", "conflict"].contains(&kind.kind()) {
            let quoted = text.split('`').nth(1).expect("the message in backticks");
            assert!(
                kind.to_string().contains(quoted),
                "{heading}: {kind} is not {quoted}"
            );
        }
    }
}

/// The first error of a config that is not one of a missing key.
fn first_error(config: &str) -> ErrorKind {
    let errors = edge_claims::internals::load(config.as_bytes()).unwrap_err();
    let mut kinds = errors.0.into_iter().map(|error| error.kind);
    kinds
        .find(|kind| !matches!(kind, ErrorKind::Missing { .. }))
        .expect("another error")
}

/// All code below a folder.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path());
    let texts = entries.map(|path| match path.is_dir() {
        true => sources(&path),
        false => fs::read_to_string(&path).expect("text"),
    });
    texts.collect()
}

#[test]
fn every_warning_of_the_page_is_one_of_the_code() {
    let code = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    // Messages are wrapped in the source.
    let code = code.replace("\\\n", "");
    let code: Vec<&str> = code.split_whitespace().collect();
    let code = code.join(" ");
    let page = read("docs/troubleshooting.md");
    let section = page.split("\n## Warnings\n").nth(1).expect("the section");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let fragments: Vec<&str> = rows.filter_map(|row| row.split('`').nth(1)).collect();
    assert!(fragments.len() >= 8, "{fragments:?}");
    for fragment in fragments {
        assert!(code.contains(fragment), "no message has {fragment:?}");
    }
}

/// Names and labels of docs/metrics.md.
fn metrics() -> Vec<(String, BTreeSet<String>)> {
    let page = read("docs/metrics.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `edge_claims_"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").filter(|label| *label != "–");
        let labels = labels
            .map(|label| label.trim_matches('`').to_owned())
            .collect();
        (cells[1].trim_matches('`').to_owned(), labels)
    })
    .collect()
}

/// The texts of Rust code that start like a metric's name.
fn metric_names(code: &str) -> BTreeSet<String> {
    let texts = code
        .split('"')
        .filter(|text| text.starts_with("edge_claims_"));
    texts.map(str::to_owned).collect()
}

#[test]
fn the_metrics_page_lists_what_the_code_defines() {
    let documented: BTreeSet<String> = metrics().into_iter().map(|(name, _)| name).collect();
    assert_eq!(metric_names(&read("src/worker/metrics.rs")), documented);
}

#[test]
fn every_label_is_known_to_envoy_and_to_istio() {
    let labels: BTreeSet<String> = metrics()
        .into_iter()
        .flat_map(|(_, labels)| labels)
        .collect();
    let envoy = read("examples/envoy/stats_tags.yaml");
    let rows = envoy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- {tag_name: "));
    let mut tags = BTreeSet::new();
    for row in rows {
        let (tag, regex) = row.split_once(", regex: ").expect("a regex");
        // What istiod makes of an extraStatTag.
        assert_eq!(regex, format!("'({tag}=\\.=(.*?);\\.;)'}}"));
        tags.insert(tag.to_owned());
    }
    assert_eq!(tags, labels);
    for file in ["mesh-config.yaml", "gateway-annotation.yaml"] {
        let text = read(&format!("istio/telemetry/{file}"));
        let list = text.split("extraStatTags:").nth(1).expect("the list");
        let tags = list
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- "));
        assert_eq!(
            tags.map(str::to_owned).collect::<BTreeSet<_>>(),
            labels,
            "{file}"
        );
    }
}

#[test]
fn dashboard_and_alerts_use_only_metrics_and_labels_that_exist() {
    let dashboard = json("docs/dashboards/edge-claims.json");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let mut expressions: Vec<String> = targets
        .map(|target| target["expr"].as_str().expect("an expression").to_owned())
        .collect();
    assert!(expressions.len() > 15);
    let alerts = read("docs/dashboards/alerts.yaml");
    let rules = alerts.split("expr: |\n").skip(1);
    let rules = rules.map(|rule| {
        rule.split("    labels:")
            .next()
            .unwrap_or_default()
            .to_owned()
    });
    let rules: Vec<String> = rules
        .map(|rule| rule.split("    for:").next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(rules.len(), alerts.matches("- alert: ").count());
    expressions.extend(rules);
    for expression in &expressions {
        check_expression(expression);
    }
    let used = expressions.join("\n");
    for needed in [
        "shadow_mode",
        "key_set_age",
        "config_refused",
        "spoofed",
        "reserved_trailers",
        "edge_delay",
        "key_unknown",
    ] {
        assert!(
            used.matches(needed).count() >= 2,
            "{needed} is to be on the dashboard and in the alerts"
        );
    }
}

/// Each `edge_claims_…` is a metric, each matcher one of its labels, each reason one of the enum.
fn check_expression(expression: &str) {
    let metrics = metrics();
    let mut known: BTreeSet<String> = ["job", "instance", "le"].map(str::to_owned).into();
    // One of Envoy's own, which the page names too.
    let of_envoy = "envoy_wasm_edge_claims_vm_reload";
    assert!(read("docs/metrics.md").contains(of_envoy));
    let own = expression.replace(of_envoy, "");
    // One of the agent in Istio's proxies, with its own label.
    let of_agent = "istio_agent_wasm_remote_fetch_count";
    assert!(read("docs/metrics.md").contains(of_agent));
    if expression.contains(of_agent) {
        known.insert("result".to_owned());
    }
    let mut rest = own.as_str();
    while let Some(at) = rest.find("edge_claims_") {
        rest = &rest[at..];
        let end = rest.find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        let base = name.strip_suffix("_bucket").unwrap_or(name);
        let metric = metrics.iter().find(|(metric, _)| metric == base);
        let (_, labels) = metric.unwrap_or_else(|| panic!("no metric {name}: {expression}"));
        known.extend(labels.iter().cloned());
        rest = after;
        let Some(matchers) = after.strip_prefix('{').and_then(|it| it.split('}').next()) else {
            continue;
        };
        for matcher in matchers.split(',') {
            let (label, value) = matcher.split_once('=').expect("label and value");
            let of_scrape = ["job", "instance"].contains(&label.trim());
            assert!(
                of_scrape || labels.contains(label.trim()),
                "{label} of {name}: {expression}"
            );
            if label.trim() == "reason" {
                let value = value.trim_start_matches('~').trim_matches('"');
                for reason in value.split('|') {
                    assert!(
                        Reason::from_code(reason).is_some(),
                        "{reason}: {expression}"
                    );
                }
            }
        }
    }
    for list in expression.split(" by (").skip(1) {
        let list = list.split(')').next().unwrap_or_default();
        for label in list.split(',').map(str::trim) {
            assert!(known.contains(label), "by {label}: {expression}");
        }
    }
}

#[test]
fn the_records_page_describes_each_field_of_the_schema() {
    let page = read("docs/record.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let documented: Vec<(String, bool)> = rows
        .map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2] == "always"))
        .collect();
    let schema = json("docs/record.schema.json");
    let fields = schema["properties"].as_object().expect("fields").keys();
    let required = schema["required"].as_array().expect("a list");
    let mut fields: Vec<(String, bool)> = fields
        .map(|name| (name.clone(), required.contains(&name.as_str().into())))
        .collect();
    let mut sorted = documented.clone();
    sorted.sort();
    fields.sort();
    assert_eq!(sorted, fields);
    // Its example is one.
    let example = page
        .lines()
        .find(|line| line.contains("wasm log"))
        .expect("an example");
    let example: Value =
        serde_json::from_str(&example[example.find('{').unwrap_or(0)..]).expect("JSON");
    let example: Vec<&String> = example.as_object().expect("an object").keys().collect();
    assert_eq!(example.len(), documented.len(), "it shows each field");
}

#[test]
fn the_records_schema_knows_every_field_and_every_reason() {
    let schema = json("docs/record.schema.json");
    let codes: Vec<Value> = Reason::ALL
        .into_iter()
        .map(|reason| reason.code().into())
        .collect();
    assert_eq!(schema["properties"]["reason"]["enum"], Value::Array(codes));
    let full = Record {
        time: 1,
        verdict: Verdict::Deny(Reason::Role),
        route: Some("r"),
        explanation: Some("e"),
        correlation_id: "c",
        correlation_source: Source::Signed,
        request_id: Some(b"i"),
        traceparent: Some(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        method: b"GET",
        host: b"h",
        path: b"/",
        issuer: Some("i"),
        kid: Some("k"),
        subject: Some("s"),
    };
    let line: Value = serde_json::from_str(&full.to_line()).expect("JSON");
    let keys = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(keys(&line), keys(&schema["properties"]));
    for source in [Source::Signed, Source::Header, Source::Generated] {
        let sources = schema["properties"]["correlation_source"]["enum"].as_array();
        assert!(sources.expect("a list").contains(&source.as_str().into()));
    }
}
