//! Random policies against what Istio's documentation says of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::istio;
use crate::config;

/// A value of a policy that is evaluated below, independently of the importer.
fn rules() -> impl Strategy<Value = Value> {
    let paths = prop::sample::subsequence(
        vec![
            "/a",
            "/a/",
            "/a/*",
            "/a/b",
            "/a*",
            "/a/{*}",
            "/{*}/b",
            "/{*}/b/{**}",
            "*",
            "*b",
            "/a/{**}/c",
        ],
        0..3,
    );
    let methods = prop::sample::subsequence(vec!["GET", "POST", "HEAD", "P*"], 0..3);
    let hosts = prop::sample::subsequence(vec!["x.example", "*.example", "*example", "y.*"], 0..2);
    let groups = prop::sample::subsequence(vec!["g1", "g2", "g*"], 0..2);
    let principals = prop::sample::subsequence(
        vec!["https://a.example/s", "*", "https://a.example/*"],
        0..2,
    );
    (
        paths,
        any::<bool>(),
        methods,
        any::<bool>(),
        hosts,
        any::<bool>(),
        groups,
        any::<bool>(),
        principals,
        any::<bool>(),
    )
        .prop_map(
            |(
                paths,
                not_paths,
                methods,
                not_methods,
                hosts,
                not_hosts,
                groups,
                not_groups,
                principals,
                not_principals,
            )| {
                let mut rule = json!({});
                let mut operation = json!({});
                let mut set = |positive: &str, negative: &str, negate: bool, values: Vec<&str>| {
                    if !values.is_empty() {
                        operation[if negate { negative } else { positive }] = json!(values);
                    }
                };
                set("paths", "notPaths", not_paths, paths);
                set("methods", "notMethods", not_methods, methods);
                set("hosts", "notHosts", not_hosts, hosts);
                if operation != json!({}) {
                    rule["to"] = json!([{"operation": operation}]);
                }
                if !groups.is_empty() {
                    let key = if not_groups { "notValues" } else { "values" };
                    rule["when"] = json!([{"key": "request.auth.claims[groups]", key: groups}]);
                }
                if !principals.is_empty() {
                    let key = if not_principals {
                        "notRequestPrincipals"
                    } else {
                        "requestPrincipals"
                    };
                    rule["from"] = json!([{"source": {key: principals}}]);
                }
                rule
            },
        )
}

/// What Istio decides, straight from its documentation.
fn source_allows(policies: &Value, request: &Value) -> bool {
    let of = |action: &str| -> Vec<Value> {
        let all = policies.as_array().unwrap().iter();
        all.filter(|policy| policy["action"].as_str().unwrap_or("ALLOW") == action)
            .cloned()
            .collect()
    };
    let any = |policies: &[Value]| {
        policies
            .iter()
            .flat_map(|policy| policy["rules"].as_array().unwrap())
            .any(|rule| holds(rule, request))
    };
    let allow = of("ALLOW");
    !any(&of("DENY")) && (allow.is_empty() || any(&allow))
}

fn holds(rule: &Value, request: &Value) -> bool {
    let strings = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|value| value.as_str().unwrap().to_owned())
            .collect()
    };
    let check = |object: &Value, name: &str, not: &str, test: &dyn Fn(&str) -> bool| {
        let (yes, no) = (strings(&object[name]), strings(&object[not]));
        (yes.is_empty() || yes.iter().any(|value| test(value)))
            && !no.iter().any(|value| test(value))
    };
    let matches = |pattern: &str, text: &str| match pattern {
        "*" => !text.is_empty(),
        pattern => match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(suffix), _) => text.ends_with(suffix),
            (None, Some(prefix)) => text.starts_with(prefix),
            (None, None) => text == pattern,
        },
    };
    let text = |name: &str| request["request"][name].as_str().unwrap();
    let path = |pattern: &str| {
        if pattern.contains('{') {
            template(pattern, text("path"))
        } else {
            matches(pattern, text("path"))
        }
    };
    let claims = &request["claims"];
    let group = |pattern: &str| match &claims["groups"] {
        Value::String(group) => matches(pattern, group),
        Value::Array(groups) => groups
            .iter()
            .any(|group| group.as_str().is_some_and(|group| matches(pattern, group))),
        _ => false,
    };
    let principal = |pattern: &str| {
        let (Some(iss), Some(sub)) = (claims["iss"].as_str(), claims["sub"].as_str()) else {
            return false;
        };
        match pattern {
            "*" => !sub.is_empty(),
            pattern => {
                let (wanted, subject) = pattern.rsplit_once('/').unwrap();
                iss == wanted && matches(subject, sub)
            }
        }
    };
    let operation = &rule["to"][0]["operation"];
    check(operation, "paths", "notPaths", &path)
        && check(operation, "methods", "notMethods", &|pattern| {
            matches(pattern, text("method"))
        })
        && check(operation, "hosts", "notHosts", &|pattern| {
            matches(pattern, text("host"))
        })
        && check(&rule["when"][0], "values", "notValues", &group)
        && check(
            &rule["from"][0]["source"],
            "requestPrincipals",
            "notRequestPrincipals",
            &principal,
        )
}

fn template(pattern: &str, path: &str) -> bool {
    fn all(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, None) => true,
            (Some((&"{**}", [])), Some(_)) => true,
            (Some((&"{**}", rest)), Some(_)) => {
                (0..=path.len()).any(|skip| all(rest, &path[skip..]))
            }
            (Some((&"{*}", rest)), Some((segment, more))) => !segment.is_empty() && all(rest, more),
            (Some((literal, rest)), Some((segment, more))) => literal == segment && all(rest, more),
            _ => false,
        }
    }
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    all(&pattern, &path)
}

/// The requests that each set of rules is asked about.
fn requests() -> Vec<Value> {
    let mut requests = Vec::new();
    let claims = [
        Value::Null,
        json!({"sub": "s", "groups": "g1"}),
        json!({"sub": "t", "groups": ["g2", "x"]}),
        json!({"sub": "", "groups": "x"}),
        json!({}),
    ];
    for path in [
        "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/b", "/c/b", "/c/b/d", "/a/x/c",
        "/a/c",
    ] {
        for (index, method) in ["GET", "HEAD", "PUT", "POST"].iter().enumerate() {
            for (other, host) in ["x.example", "z.example", "y.other", "badexample"]
                .iter()
                .enumerate()
            {
                let claims = &claims[(index + other * 2 + path.len()) % claims.len()];
                let mut request =
                    json!({"request": {"path": path, "method": method, "host": host}});
                if !claims.is_null() {
                    let mut claims = claims.clone();
                    claims["iss"] = json!("https://a.example");
                    request["claims"] = claims;
                }
                requests.push(request);
            }
        }
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_policies_allow_nothing_that_istio_denies(
        allow in prop::collection::vec(rules(), 0..4),
        deny in prop::collection::vec(rules(), 0..3),
    ) {
        let mut policies = vec![json!({"action": "DENY", "rules": deny})];
        if !allow.is_empty() {
            policies.push(json!({"action": "ALLOW", "rules": allow}));
        }
        let policies = json!(policies);
        let imported = istio(&policies);
        let mut config = imported.config();
        let requests = requests();
        // All requests in one load: those that the config allows pass their test.
        let tests: Vec<Value> = requests.iter().enumerate().map(|(index, request)| {
            let mut test = request.clone();
            test["name"] = json!(format!("r{index}."));
            test["expect"] = json!("allow");
            test
        }).collect();
        config["tests"] = json!(tests);
        let failed = config::load(config.to_string().as_bytes()).err().map(|errors| errors.to_string()).unwrap_or_default();
        for (index, request) in requests.iter().enumerate() {
            let allowed = !failed.contains(&format!("\"r{index}.\" fails"));
            let expected = source_allows(&policies, request);
            prop_assert!(!allowed || expected, "{policies}\n{request}\n{}", imported.config()["rbac"]);
            // Where nothing is listed, the config says the same.
            if imported.report.not_imported.is_empty() {
                prop_assert_eq!(allowed, expected, "{}\n{}\n{}", policies, request, imported.config()["rbac"]);
            }
        }
    }
}
