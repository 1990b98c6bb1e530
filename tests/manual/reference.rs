//! docs/config.md and examples/config/full.yaml against the reader of the config: no key is missing,
//! none is invented.

use std::collections::{BTreeMap, BTreeSet};

use edge_claims::internals as config;
use edge_claims::internals::ErrorKind;
use serde_json::{Map, Value, json};

use crate::{read, yaml};

/// Keys by place: `rbac.routes[]` → `name`, `hosts`, …
type Keys = BTreeMap<String, BTreeSet<String>>;

const PROBE: &str = "no_such_key";

/// The one name for all places where the same reader is at work.
pub fn place_of(raw: &str) -> String {
    let mut place = String::new();
    let mut inside = false;
    for letter in raw.chars() {
        match letter {
            '[' => {
                inside = true;
                place.push_str("[]");
            }
            ']' => inside = false,
            _ if inside => {}
            letter => place.push(letter),
        }
    }
    let place = place.replace(".allow[]", ".allow");
    match place.find(".allow.when") {
        Some(at) => format!("{}.allow.when", &place[..at]),
        None => place,
    }
}

/// Every object of the config, one after the other with a key that means nothing.
fn with_probe(config: &Value) -> Vec<Value> {
    fn walk(value: &Value, rebuild: &dyn Fn(Value) -> Value, out: &mut Vec<Value>) {
        match value {
            Value::Object(members) => {
                let mut probed = members.clone();
                probed.insert(PROBE.to_owned(), json!(1));
                out.push(rebuild(Value::Object(probed)));
                for (name, member) in members {
                    let inner = |new: Value| {
                        let mut members: Map<String, Value> = members.clone();
                        members.insert(name.clone(), new);
                        rebuild(Value::Object(members))
                    };
                    walk(member, &inner, out);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let inner = |new: Value| {
                        let mut items = items.clone();
                        items[index] = new;
                        rebuild(Value::Array(items))
                    };
                    walk(item, &inner, out);
                }
            }
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(config, &|value| value, &mut out);
    out
}

/// What the reader itself says are the keys of each place.
fn keys_of_reader() -> Keys {
    let full = yaml("full.yaml", &read("examples/config/full.yaml"));
    let mut keys = Keys::new();
    for probed in with_probe(&full) {
        let Err(refused) = config::load(probed.to_string().as_bytes()) else {
            continue;
        };
        for error in refused.0 {
            let place = error.path.to_string();
            if let ErrorKind::UnknownKey { known, .. } = error.kind {
                let place = place
                    .strip_suffix(PROBE)
                    .expect("only the probe is unknown");
                let place = place_of(place.trim_end_matches('.'));
                let known = known.split(", ").map(str::to_owned);
                keys.entry(place).or_default().extend(known);
            }
        }
    }
    keys
}

/// What the page has: a heading names places in backticks, its table the keys.
fn keys_of_page() -> Keys {
    let mut keys = Keys::new();
    let mut places: Vec<String> = Vec::new();
    for line in read("docs/config.md").lines() {
        if line.starts_with('#') {
            let quoted = line.split('`').skip(1).step_by(2);
            places = quoted.map(|place| place.trim().to_owned()).collect();
        } else if let Some(row) = line.strip_prefix("| `") {
            let key = row.split('`').next().unwrap_or_default();
            for place in &places {
                let added = keys
                    .entry(place.clone())
                    .or_default()
                    .insert(key.to_owned());
                assert!(added, "{place}: {key} stands twice");
            }
        }
    }
    keys
}

#[test]
fn the_page_has_the_keys_that_the_filter_reads_and_no_others() {
    let (reader, page) = (keys_of_reader(), keys_of_page());
    assert!(reader.len() >= 20, "{reader:#?}");
    let places: BTreeSet<&String> = reader.keys().chain(page.keys()).collect();
    for place in places {
        assert_eq!(
            page.get(place),
            reader.get(place),
            "docs/config.md (left) and the reader (right) differ about `{place}`"
        );
    }
}

#[test]
fn the_full_example_has_every_key() {
    let text = read("examples/config/full.yaml");
    for (place, keys) in keys_of_reader() {
        for key in keys {
            let there = [format!("{key}:"), format!("{key}\":")]
                .iter()
                .any(|form| text.contains(form.as_str()));
            assert!(there, "{place}.{key} is not in examples/config/full.yaml");
        }
    }
}

/// kubectl reads YAML 1.1, where a bare key of these is a boolean.
#[test]
fn no_key_is_a_boolean_of_yaml_1_1() {
    for (place, keys) in keys_of_reader() {
        for key in keys {
            assert!(!crate::istio::is_yaml_1_1_boolean(&key), "{place}.{key}");
        }
    }
}

/// The defaults of the page: a config that spells them out is the one that leaves them out.
#[test]
fn the_defaults_are_what_the_page_says() {
    let small = json!({
        "claims": {"issuers": [{"issuer": "i", "any_audience": true, "algorithms": ["HS256"],
            "keys": {"secrets": [{"env": "S"}]}}]},
        "rbac": {"routes": [{"name": "a", "path": "/a", "allow": "public"}]},
    });
    let spelled = json!({
        "mode": "enforce",
        "claims": {"header": "x-edge-claims", "prefix": "", "forward": false, "max_bytes": 8192,
            "cache_entries": 4096, "verification": "auto",
            "issuers": [{"issuer": "i", "any_audience": true, "algorithms": ["HS256"],
                "keys": {"secrets": [{"env": "S"}]}, "leeway": "10s"}]},
        "rbac": {
            "path": {"dot_segments": "reject", "empty_segments": "reject", "encoded_slash": "reject",
                "double_encoding": "reject", "semicolon": "reject", "backslash": "reject", "encoded_query": "reject",
                "trailing_slash": "same"},
            "cors_preflight": "deny", "default": "deny", "peer_validation": "reported",
            "authority_port": "strip",
            "routes": [{"name": "a", "path": "/a", "allow": "public", "mode": "enforce",
                "enforce_percent": 100}]},
        "identity": {"on_spoof": "strip", "strip": stripped_by_default()},
        "correlation": {"header": "x-correlation-id", "claim": "cid",
            "accept": ["x-correlation-id"], "response_header": true},
        "responses": {"detail": "code", "realm": "mesh"},
        "log": {"allow": 0, "deny": 1, "shadow": 1, "subject": "hash",
            "access_fields": ["correlation_id", "verdict"]},
    });
    let shown = |config: &Value| {
        let loaded = config::load(config.to_string().as_bytes());
        let config = loaded.unwrap_or_else(|refused| panic!("{refused}"));
        // The routes' table has a hash seed in it.
        let rules = format!("{:?}", config.rbac.routes.routes());
        format!(
            "{:?} {:?} {rules} {} {} {:?} {:?} {:?} {:?} {:?} {:?}",
            config.mode,
            config.claims,
            config.rbac.cors_preflight,
            config.rbac.default_authenticated,
            config.rbac.peer_validation,
            config.rbac.authority_port,
            (
                &config.identity.headers,
                config.identity.on_spoof,
                sorted(&config.identity.strip)
            ),
            config.correlation,
            config.responses,
            config.log,
        )
    };
    assert_eq!(shown(&small), shown(&spelled));
}

fn sorted<T: std::ops::Deref<Target = str>>(names: &[T]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(|name| (**name).to_owned()).collect();
    names.sort();
    names
}

/// The page's list of headers that are stripped by default.
fn stripped_by_default() -> Vec<String> {
    let page = read("docs/config.md");
    let section = page
        .split("\n### Headers that are stripped by default\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .expect("the section");
    let items = section.lines().filter(|line| line.starts_with("- "));
    items.flat_map(quoted).map(str::to_owned).collect()
}

/// A row of the page: a key, where it is, what it takes, its default, and what it means.
pub struct Row {
    pub place: String,
    pub key: String,
    pub value: String,
    pub default: String,
    pub meaning: String,
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut places: Vec<String> = Vec::new();
    for line in read("docs/config.md").lines() {
        if line.starts_with('#') {
            let quoted = line.split('`').skip(1).step_by(2);
            places = quoted.map(|place| place.trim().to_owned()).collect();
        } else if line.starts_with("| `") {
            let line = line.replace("\\|", "\0");
            let cells = line.split('|').map(|cell| cell.trim().replace('\0', "|"));
            let cells: Vec<String> = cells.collect();
            rows.extend(places.iter().map(|place| Row {
                place: place.clone(),
                key: cells[1].trim_matches('`').to_owned(),
                value: cells[2].clone(),
                default: cells[3].clone(),
                meaning: cells[4].clone(),
            }));
        }
    }
    rows
}

/// The texts in backticks.
pub fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A config with every section that has defaults, and nothing else.
fn bare() -> Value {
    json!({
        "claims": {"issuers": [
            {"issuer": "i", "audiences": ["a"], "algorithms": ["ES256"], "one_use": {},
                "keys": {"remote": {"url": "https://k.example/", "cluster": "k"}}},
        ]},
        "rbac": {"roles": {"claim": "roles"}, "path": {}, "routes": [
            {"name": "a", "path": "/a/{x}", "path_rules": {}, "allow": {"any_role": ["r"], "when": {"claim": "t", "max_age": "1m"}}},
        ]},
        "identity": {}, "correlation": {}, "responses": {}, "log": {},
    })
}

/// The object at a place of the page; `None` where the bare config has none.
fn at<'c>(config: &'c mut Value, place: &str) -> Option<&'c mut Value> {
    let mut found = config;
    for name in place.split('.').filter(|name| !name.is_empty()) {
        found = match name.strip_suffix("[]") {
            Some(list) => found.get_mut(list)?.get_mut(0)?,
            None => found.get_mut(name)?,
        };
    }
    Some(found)
}

/// A config with one key set; `None` where the bare config has no such place.
fn with(place: &str, key: &str, value: Value) -> Option<Value> {
    let mut config = bare();
    let object = at(&mut config, place)?;
    object.as_object_mut()?.insert(key.to_owned(), value);
    Some(config)
}

fn problem(config: &Value) -> Option<String> {
    let loaded = config::load(config.to_string().as_bytes());
    loaded.err().map(|refused| refused.to_string())
}

/// Everything that was loaded, without the routes' table, which has a hash seed in it.
fn shown(config: &Value) -> String {
    let loaded = config::load(config.to_string().as_bytes());
    let config = loaded.unwrap_or_else(|refused| panic!("{refused}"));
    let routes = config.rbac.routes.routes();
    format!(
        "{:?} {:?} {:?} {routes:?} {:?} {} {} {:?} {:?} {:?} {:?} {:?}",
        config.mode,
        config.claims,
        config.rbac.roles,
        config.rbac.authority_port,
        config.rbac.cors_preflight,
        config.rbac.default_authenticated,
        config.rbac.peer_validation,
        config.identity,
        config.correlation,
        config.responses,
        config.log,
    )
}

/// The value that the column `default` names, if it names one.
pub fn default_of(row: &Row) -> Option<Value> {
    let words = [
        "required",
        "none",
        "any",
        "all",
        "see below",
        "the one of",
        "`rbac.",
    ];
    if row.default.is_empty() || words.iter().any(|word| row.default.starts_with(word)) {
        return None;
    }
    if row.value.starts_with("list") {
        return Some(json!(quoted(&row.default)));
    }
    if row.default == "`\"\"`" {
        return Some(json!(""));
    }
    let text = row.default.trim_matches('`');
    let value = text.parse::<f64>().map(|number| json!(number));
    let boolean = text.parse::<bool>().map(|flag| json!(flag));
    Some(boolean.or(value).unwrap_or_else(|_| json!(text)))
}

#[test]
fn each_default_of_the_page_is_the_one_of_the_filter() {
    let unset = shown(&bare());
    let mut keys = BTreeSet::new();
    for row in rows() {
        let Some(default) = default_of(&row) else {
            continue;
        };
        // What a route leaves out is the base's, and the config's tests are in no loaded config.
        if row.place.ends_with("path_rules") || row.place.starts_with("tests") {
            continue;
        }
        // Instead of `audiences`, which the bare config has.
        let config = with(&row.place, &row.key, default).expect(&row.place);
        assert_eq!(shown(&config), unset, "{}.{}", row.place, row.key);
        keys.insert(format!("{}.{}", row.place, row.key));
    }
    assert!(keys.len() >= 39, "{keys:#?}");
}

/// The lower and the upper bound of a cell such as `256 to 65536` or `duration, 1s to 366d`.
pub fn bounds(cell: &str) -> Option<(String, String)> {
    let range = cell.strip_prefix("duration, ").unwrap_or(cell);
    let (least, most) = range.split_once(" to ")?;
    let starts = |text: &str| text.starts_with(|letter: char| letter.is_ascii_digit());
    (starts(least) && starts(most)).then(|| (least.to_owned(), most.to_owned()))
}

/// A number, or a duration in its own unit, changed by one.
fn moved(text: &str, by: i64) -> Value {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number = digits.parse::<i64>().unwrap() + by;
    match text.strip_prefix(digits) {
        None | Some("") => json!(number),
        Some(unit) => json!(format!("{number}{unit}")),
    }
}

#[test]
fn each_bound_of_the_page_is_the_one_of_the_filter() {
    let mut count = 0;
    for row in rows() {
        let Some((least, most)) = bounds(&row.value) else {
            continue;
        };
        let set = |value: Value| {
            let mut config = with(&row.place, &row.key, value.clone()).expect(&row.place);
            let key = &row.key;
            if key == "max_stale" {
                // Not below `refresh`.
                let remote = at(&mut config, &row.place).unwrap();
                remote["refresh"] = json!("1s");
            }
            if row.place.ends_with("when") {
                // Where `max_age` is the one comparison of the test.
                let when = at(&mut config, &row.place).unwrap();
                *when = json!({"claim": "t", key.as_str(): value});
            }
            problem(&config)
        };
        let name = format!("{}.{}", row.place, row.key);
        assert_eq!(set(moved(&least, 0)), None, "{name}");
        assert_eq!(set(moved(&most, 0)), None, "{name}");
        assert!(set(moved(&most, 1)).is_some(), "{name}: above {most}");
        assert!(set(moved(&least, -1)).is_some(), "{name}: below {least}");
        count += 1;
    }
    assert!(count >= 12, "{count} bounds");
}

#[test]
fn each_word_of_the_page_is_accepted_and_no_other() {
    let mut count = 0;
    for row in rows() {
        let words = quoted(&row.value);
        let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        if words.len() < 2 || row.value != listed.join(", ") {
            continue;
        }
        let place = row.place.as_str();
        for word in &words {
            let config = with(place, &row.key, json!(word)).expect(place);
            assert_eq!(problem(&config), None, "{place}.{}: {word}", row.key);
        }
        let other = with(place, &row.key, json!("no_such_word")).expect(place);
        let message = problem(&other).unwrap_or_else(|| panic!("{place}.{}", row.key));
        for word in &words {
            assert!(message.contains(word), "{message} does not name {word}");
        }
        count += 1;
    }
    assert!(count >= 20, "{count} keys");
}

/// "Rules for all keys": durations, integers and claims.
#[test]
fn values_have_the_forms_that_the_page_names() {
    for (place, key, value, accepted) in [
        ("claims.issuers[]", "leeway", json!("2s"), true),
        ("claims.issuers[]", "leeway", json!("2000ms"), true),
        ("claims.issuers[]", "leeway", json!("1500ms"), false),
        ("claims.issuers[]", "leeway", json!("1m30s"), false),
        ("claims.issuers[]", "leeway", json!(10), false),
        (
            "claims.issuers[].keys.remote",
            "timeout",
            json!("1500ms"),
            true,
        ),
        ("claims", "max_bytes", json!(8192.0), true),
        ("claims", "max_bytes", json!(8192.5), false),
        ("claims", "max_bytes", json!("8192"), false),
        (
            "claims.issuers[]",
            "require",
            json!(["sub", ["act", "sub"], "a.b"]),
            true,
        ),
        ("identity", "headers", json!({"x-a": ["sub"]}), true),
        ("identity", "headers", json!({"x-a": "sub"}), false),
        (
            "claims.issuers[]",
            "not_after",
            json!("2027-01-01T00:00:00Z"),
            true,
        ),
        ("claims.issuers[]", "not_after", json!("2027-01-01"), false),
        ("claims", "header", json!("X-Token"), true),
        ("claims", "header", json!(":path"), false),
        ("claims", "header", json!("a".repeat(128)), true),
        ("claims", "header", json!("a".repeat(129)), false),
        ("claims", "header", json!("content-type"), false),
        ("correlation", "accept", json!([]), true),
        ("correlation", "accept", json!(["cookie"]), false),
        ("correlation", "accept", json!(["x-edge-claims"]), false),
        ("claims", "header", json!("x.correlation_id"), false),
        ("identity", "strip", json!(["x_edge_claims"]), false),
        ("identity", "strip", json!([]), true),
        ("rbac.routes[]", "methods", json!(["CONNECT"]), false),
        ("rbac.routes[]", "hosts", json!(["*.example.com"]), true),
        ("rbac.routes[]", "hosts", json!(["example.com:8443"]), true),
        (
            "rbac.routes[]",
            "hosts",
            json!(["example.com:65536"]),
            false,
        ),
        ("rbac.routes[]", "methods", json!(["M-SEARCH"]), true),
        ("rbac.routes[]", "methods", json!(["delete"]), false),
        ("rbac.routes[]", "hosts", json!([]), false),
        ("rbac.routes[]", "on_failure", json!({"role": 404}), true),
        ("rbac.routes[]", "on_failure", json!({"role": 200}), false),
        (
            "rbac.routes[]",
            "on_failure",
            json!({"spoofed_header": 404}),
            false,
        ),
        (
            "rbac.routes[]",
            "on_failure",
            json!({"claims_repeated": 404}),
            false,
        ),
        (
            "rbac.routes[]",
            "on_failure",
            json!({"request_malformed": 404}),
            false,
        ),
        (
            "rbac.routes[]",
            "on_failure",
            json!({"route_unknown": 404}),
            false,
        ),
    ] {
        let config = with(place, key, value.clone()).expect(place);
        let problem = problem(&config);
        assert_eq!(
            problem.is_none(),
            accepted,
            "{place}.{key}: {value} {problem:?}"
        );
    }
    let nested = |levels: usize| {
        let test = (0..levels).fold(
            json!({"claim": "a", "exists": true}),
            |test, _| json!({"not": test}),
        );
        let allow = json!({"when": test});
        problem(&with("rbac.routes[]", "allow", allow).unwrap())
    };
    assert_eq!(nested(16), None);
    assert!(nested(17).is_some());
}

/// "Rules for all keys": `null` is never the same as leaving a key out.
#[test]
fn null_is_refused_for_every_key() {
    fn walk(value: &Value, rebuild: &dyn Fn(Value) -> Value, out: &mut Vec<(String, Value)>) {
        let Value::Object(members) = value else {
            if let Value::Array(items) = value {
                for (index, item) in items.iter().enumerate() {
                    let inner = |new: Value| {
                        let mut items = items.clone();
                        items[index] = new;
                        rebuild(Value::Array(items))
                    };
                    walk(item, &inner, out);
                }
            }
            return;
        };
        for (name, member) in members {
            let inner = |new: Value| {
                let mut members = members.clone();
                members.insert(name.clone(), new);
                rebuild(Value::Object(members))
            };
            out.push((name.clone(), inner(Value::Null)));
            // Claims of a test are claims, of which null is one.
            if name != "claims" || member.get("issuers").is_some() {
                walk(member, &inner, out);
            }
        }
    }
    let full = yaml("full.yaml", &read("examples/config/full.yaml"));
    let mut all = Vec::new();
    walk(&full, &|value| value, &mut all);
    assert!(all.len() >= 150, "{}", all.len());
    for (name, config) in all {
        assert!(problem(&config).is_some(), "{name}: null is accepted");
    }
}
