use serde_json::{Value, json};

use super::*;
use crate::cli::source::{Source, configs_in, documents};

/// A config without a warning.
fn clean() -> Value {
    json!({
        "claims": {"issuers": [{
            "issuer": "https://edge.example.com", "audiences": ["mesh"], "algorithms": ["HS256"],
            "max_lifetime": "5m", "keys": {"secrets": [{"env": "SECRET"}]},
        }]},
        "rbac": {
            "roles": {"claim": "roles"},
            "routes": [
                {"name": "health", "path": "/health", "allow": "public"},
                {"name": "admin", "path": "/admin/{*rest}", "allow": {"any_role": ["admin"]}},
            ],
        },
        "tests": [{"name": "health", "request": {"path": "/health"}, "expect": "allow"}],
    })
}

fn found(text: &str) -> Vec<FoundConfig> {
    let source = Source::new("test.yaml".to_owned(), text.to_owned());
    configs_in(documents(&source).unwrap(), &source).unwrap()
}

/// The rules that a config breaks, and the excerpts that are underlined.
fn broken(text: &str) -> Vec<(&'static str, String)> {
    let mut checked = Checked::default();
    for config in found(text) {
        checked.check(&config, 1_800_000_000);
    }
    let silence = Silence::new(&[]);
    checked.diagnostics.retain(|it| !silence.covers(it));
    let excerpt = |it: &Diagnostic| it.source.text[it.range.clone()].to_owned();
    let all = checked.diagnostics.iter();
    all.map(|it| (it.rule, excerpt(it))).collect()
}

#[test]
fn a_careful_config_has_no_warning() {
    assert_eq!(broken(&clean().to_string()), []);
}

/// Each change to the clean config, and the rule that it breaks.
#[test]
fn each_lint_finds_what_it_names_at_its_place() {
    let route =
        |name: &str, path: &str, allow: Value| json!({"name": name, "path": path, "allow": allow});
    let cases = [
        ("/mode", json!("shadow"), "shadow_mode", "\"shadow\""),
        ("/claims/forward", json!(true), "forwarded_token", "true"),
        (
            "/claims/issuers/0/not_after",
            json!("2026-01-01T00:00:00Z"),
            "expired_issuer",
            "\"2026-01-01T00:00:00Z\"",
        ),
        (
            "/identity/headers/x-user",
            json!(["email"]),
            "self_chosen_claim",
            "[\"email\"]",
        ),
        (
            "/rbac/path/semicolon",
            json!("keep"),
            "kept_class",
            "\"keep\"",
        ),
        (
            "/rbac/routes/1/mode",
            json!("shadow"),
            "shadow_mode",
            "\"shadow\"",
        ),
        (
            "/rbac/routes/1/enforce_percent",
            json!(5),
            "shadow_mode",
            "5",
        ),
        (
            "/rbac/routes/1/allow",
            json!("authenticated"),
            "authenticated_write",
            "\"authenticated\"",
        ),
        (
            "/rbac/routes/1/allow",
            json!([{"any_role": ["admin"]}, {"any_role": ["admin"], "audiences": ["mesh"]}]),
            "implied_alternative",
            "{\"any_role\":[\"admin\"],\"audiences\":[\"mesh\"]}",
        ),
        (
            "/rbac/routes/2",
            route("exact", "/exact", json!({"any_role": ["x"]})),
            "",
            "",
        ),
    ];
    for (pointer, value, rule, excerpt) in cases {
        let mut config = clean();
        set(&mut config, pointer, value);
        let found = broken(&config.to_string());
        if rule.is_empty() {
            assert_eq!(found, [], "{pointer}");
        } else {
            assert_eq!(found, [(rule, excerpt.to_owned())], "{pointer}");
        }
    }
}

/// Sets a value; the last step of the pointer may be new.
fn set(config: &mut Value, pointer: &str, value: Value) {
    let mut at = config;
    for step in pointer.split('/').skip(1) {
        at = match at {
            Value::Array(items) => {
                let index: usize = step.parse().unwrap();
                if index == items.len() {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            other => {
                if !other.is_object() {
                    *other = json!({});
                }
                other
                    .as_object_mut()
                    .unwrap()
                    .entry(step)
                    .or_insert(Value::Null)
            }
        };
    }
    *at = value;
}

fn rules_with(change: impl FnOnce(&mut Value)) -> Vec<&'static str> {
    let mut config = clean();
    change(&mut config);
    broken(&config.to_string())
        .into_iter()
        .map(|(rule, _)| rule)
        .collect()
}

#[test]
fn missing_limits_of_an_issuer_are_found() {
    let rules = rules_with(|config| {
        let issuer = config["claims"]["issuers"][0].as_object_mut().unwrap();
        issuer.remove("max_lifetime");
        issuer.remove("audiences");
        issuer.insert("any_audience".to_owned(), json!(true));
    });
    assert_eq!(rules, ["any_audience", "no_max_lifetime"]);
    let rules = rules_with(|config| {
        let issuer = &mut config["claims"]["issuers"][0];
        issuer["algorithms"] = json!(["ES256"]);
        issuer["keys"] =
            json!({"remote": {"url": "http://keys.example.com/jwks", "cluster": "keys"}});
    });
    assert_eq!(rules, ["plain_http_keys"]);
    let rules = rules_with(|config| {
        config.as_object_mut().unwrap().remove("tests");
    });
    assert_eq!(rules, ["no_tests"]);
}

#[test]
fn roles_of_several_issuers_are_found_unless_the_route_names_issuers() {
    let second = json!({
        "issuer": "https://other.example.com", "audiences": ["mesh"], "algorithms": ["HS256"],
        "max_lifetime": "5m", "keys": {"secrets": [{"env": "OTHER"}]},
    });
    let rules = rules_with(|config| set(config, "/claims/issuers/1", second.clone()));
    assert_eq!(rules, ["roles_of_every_issuer"]);
    let rules = rules_with(|config| {
        set(config, "/claims/issuers/1", second.clone());
        set(
            config,
            "/rbac/routes/1/allow/issuers",
            json!(["https://edge.example.com"]),
        );
    });
    assert!(rules.is_empty(), "{rules:?}");
}

#[test]
fn a_role_with_the_separator_in_its_name_is_found_unless_another_role_includes_it() {
    let spaced = |config: &mut Value| {
        set(config, "/rbac/roles/format", json!("space"));
        set(
            config,
            "/rbac/routes/1/allow/any_role",
            json!(["site admin"]),
        );
    };
    assert_eq!(rules_with(spaced), ["impossible_role"]);
    let rules = rules_with(|config| {
        spaced(config);
        set(
            config,
            "/rbac/roles/includes",
            json!({"root": ["site admin"]}),
        );
    });
    assert!(rules.is_empty(), "{rules:?}");
}

#[test]
fn a_route_below_which_others_cover_everything_is_unreachable() {
    let rules = rules_with(|config| {
        set(
            config,
            "/rbac/routes/2",
            json!({"name": "a", "path": "/admin", "allow": {"any_role": ["x"]}}),
        );
        set(
            config,
            "/rbac/routes/3",
            json!({"name": "b", "path": "/admin/{x}/{*rest}", "allow": {"any_role": ["x"]}}),
        );
    });
    // /admin/{*rest} is /admin, or /admin/{x} and what is below it.
    assert_eq!(rules, ["unreachable_route"]);
    let rules = rules_with(|config| {
        set(
            config,
            "/rbac/routes/2",
            json!({"name": "b", "path": "/admin/{x}/{*rest}", "methods": ["GET"], "allow": {"any_role": ["x"]}}),
        );
    });
    assert!(rules.is_empty(), "{rules:?}");
}

#[test]
fn a_guarded_path_whose_subpaths_are_public_is_found() {
    let rules = rules_with(|config| {
        set(
            config,
            "/rbac/routes/2",
            json!({"name": "all", "path": "/{*rest}", "allow": "public"}),
        );
        set(
            config,
            "/rbac/routes/3",
            json!({"name": "danger", "path": "/danger", "allow": {"any_role": ["x"]}}),
        );
    });
    assert_eq!(rules, ["exact_path_beside_catch_all"]);
    let rules = rules_with(|config| {
        set(
            config,
            "/rbac/routes/2",
            json!({"name": "all", "path": "/{*rest}", "allow": "public"}),
        );
        set(
            config,
            "/rbac/routes/3",
            json!({"name": "danger", "path": "/danger/{*rest}", "allow": {"any_role": ["x"]}}),
        );
    });
    assert!(rules.is_empty(), "{rules:?}");
}

#[test]
fn a_comment_on_the_line_or_above_it_silences_a_rule() {
    let config = |above: &str, beside: &str| {
        let text = clean().to_string();
        let rest = text.trim_start_matches('{').trim_end_matches('}');
        format!(
            "{above}\nmode: shadow {beside}\n{}",
            yaml_members(&format!("{{{rest}}}"))
        )
    };
    assert_eq!(broken(&config("", "")).len(), 1);
    for (above, beside) in [
        ("# edge-claims: allow(shadow_mode)", ""),
        (
            "# edge-claims: allow(no_tests, shadow_mode): until Monday\n# more",
            "",
        ),
        ("", "# edge-claims: allow(shadow_mode)"),
    ] {
        assert_eq!(broken(&config(above, beside)), [], "{above} {beside}");
    }
    for (above, beside) in [
        ("# edge-claims: allow(no_tests)", ""),
        ("# edge-claims: allow(shadow_mode)\n\n", ""),
        ("# allow(shadow_mode)", ""),
        ("", "# \"edge-claims: allow(no_tests)\""),
    ] {
        assert_eq!(broken(&config(above, beside)).len(), 1, "{above} {beside}");
    }
}

/// The members of a JSON object as lines of YAML.
fn yaml_members(json: &str) -> String {
    let value: Value = serde_json::from_str(json).unwrap();
    let members = value.as_object().unwrap().iter();
    members
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect()
}

#[test]
fn a_string_that_looks_like_a_comment_silences_nothing() {
    let mut config = clean();
    config["rbac"]["routes"][1]["allow"] = json!("authenticated");
    config["rbac"]["routes"][1]["name"] = json!("a");
    let text = yaml_members(&config.to_string()).replace(
        "authenticated",
        "authenticated # edge-claims: allow(authenticated_write)",
    );
    assert!(text.contains("\"authenticated # edge"), "{text}");
    // Not a word that `allow` knows, so an error; with a comment within quotes nothing is silenced.
    assert_eq!(broken(&text).len(), 1);
    let shadow = format!(
        "{}mode: \"shadow\" #edge-claims: allow(shadow_mode)\n",
        yaml_members(&clean().to_string())
    );
    assert_eq!(broken(&shadow), []);
}

#[test]
fn every_error_of_the_reader_has_a_place() {
    let cases = [
        (
            "/claims/issuers/0/audience",
            json!(["mesh"]),
            "unknown_key",
            "\"audience\"",
        ),
        ("/claims/issuers/0/leeway", json!(10), "type", "10"),
        (
            "/rbac/routes/1/allow/any_role",
            json!([]),
            "empty_list",
            "[]",
        ),
        (
            "/rbac/routes/1/name",
            json!("health"),
            "conflict",
            "\"health\"",
        ),
        (
            "/rbac/routes/1/path",
            json!("admin"),
            "invalid",
            "\"admin\"",
        ),
        (
            "/tests/0/expect",
            json!({"deny": "role"}),
            "conflict",
            "{\"expect\":{\"deny\":\"role\"}",
        ),
    ];
    for (pointer, value, rule, excerpt) in cases {
        let mut config = clean();
        set(&mut config, pointer, value);
        let found = broken(&config.to_string());
        assert_eq!(found.len(), 1, "{pointer}: {found:?}");
        assert_eq!(found[0].0, rule, "{pointer}");
        assert!(found[0].1.starts_with(excerpt), "{pointer}: {}", found[0].1);
    }
    let mut config = clean();
    config.as_object_mut().unwrap().remove("rbac");
    let found = broken(&config.to_string());
    assert_eq!(found[0].0, "missing");
}

#[test]
fn every_rule_is_named_once_and_in_order() {
    let names: Vec<&str> = rules::LINTS.iter().map(|rule| rule.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
}
