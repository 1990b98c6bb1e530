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
fn place_of(raw: &str) -> String {
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
                "double_encoding": "reject", "semicolon": "reject", "backslash": "reject",
                "trailing_slash": "same"},
            "cors_preflight": "deny", "default": "deny", "peer_validation": "reported",
            "authority_port": "strip",
            "routes": [{"name": "a", "path": "/a", "allow": "public", "mode": "enforce",
                "enforce_percent": 100}]},
        "identity": {"on_spoof": "strip", "strip": ["x-http-method-override", "x-method-override",
            "x-http-method", "x-original-url", "x-rewrite-url", "x-override-url", "x-original-method",
            "x-original-uri", "x-forwarded-method", "x-forwarded-uri", "x-forwarded-path",
            "x-middleware-subrequest"]},
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
            config.identity,
            config.correlation,
            config.responses,
            config.log,
        )
    };
    assert_eq!(shown(&small), shown(&spelled));
}
