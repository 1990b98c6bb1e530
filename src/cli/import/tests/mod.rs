//! Policies of which a careless import would allow more, and what they become.

mod random;

use std::path::PathBuf;

use serde_json::{Value, json};

use super::options::{Format, Options};
use super::{Imported, Input, flatten, import, print};
use crate::cli::CommandError;
use crate::cli::source::{Source, documents};
use crate::config;

fn options() -> Options {
    Options {
        files: vec![PathBuf::from("-")],
        format: Format::Yaml,
        listener: None,
        namespace: None,
        label: Vec::new(),
        root_namespace: "istio-system".to_owned(),
        trust_domain: "cluster.local".to_owned(),
    }
}

fn inputs(text: &str) -> Vec<Input> {
    let source = Source::new("in".to_owned(), text.to_owned());
    let mut inputs = Vec::new();
    for document in documents(&source).unwrap() {
        flatten("in", document.json, &mut inputs);
    }
    inputs
}

fn try_import(source: &Value) -> Result<Imported, CommandError> {
    import(&inputs(&source.to_string()), &options())
}

/// Policies of one workload with one issuer, whose keys come from a server.
fn istio(policies: &Value) -> Imported {
    let object = |kind: &str, spec: &Value| json!({"kind": kind, "metadata": {"name": "p", "namespace": "foo"}, "spec": spec});
    let authentication =
        json!({"jwtRules": [{"issuer": "https://a.example", "jwksUri": "https://a.example/jwks"}]});
    let mut items = vec![object("RequestAuthentication", &authentication)];
    items.extend(
        policies
            .as_array()
            .unwrap()
            .iter()
            .map(|spec| object("AuthorizationPolicy", spec)),
    );
    try_import(&json!({"kind": "List", "items": items})).unwrap()
}

fn envoy(filters: Value) -> Imported {
    try_import(&filters).unwrap()
}

fn rbac(rules: Value) -> Value {
    json!({"name": "rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": rules}})
}

/// Whether the config allows a request, as the config's own tests decide it.
fn allows(imported: &Imported, request: &Value) -> bool {
    let mut config = imported.config();
    let mut test = request.clone();
    test["name"] = json!("request");
    test["expect"] = json!("allow");
    config["tests"] = json!([test]);
    match config::load(config.to_string().as_bytes()) {
        Ok(_) => true,
        Err(errors) => {
            let text = errors.to_string();
            assert!(text.contains("the test \"request\" fails"), "{text}");
            false
        }
    }
}

fn get(path: &str) -> Value {
    json!({"request": {"path": path}})
}

fn with_claims(path: &str, claims: Value) -> Value {
    json!({"request": {"path": path}, "claims": claims})
}

fn listed(imported: &Imported) -> Vec<&str> {
    imported
        .report
        .not_imported
        .iter()
        .map(|item| item.what.as_str())
        .collect()
}

fn to(paths: Value) -> Value {
    json!([{"operation": {"paths": paths}}])
}

#[test]
fn an_allow_policy_without_rules_denies_all_and_none_allows_all() {
    assert!(allows(&istio(&json!([])), &get("/x")));
    assert!(!allows(&istio(&json!([{}])), &get("/x")));
    assert!(!allows(
        &istio(&json!([{"rules": []}])),
        &with_claims("/x", json!({"sub": "a"}))
    ));
    assert!(allows(&istio(&json!([{"rules": [{}]}])), &get("/x")));
}

#[test]
fn a_deny_rule_beats_the_most_specific_allow_rule() {
    let imported = istio(&json!([
        {"rules": [{"to": to(json!(["/admin/exact", "/*"]))}]},
        {"action": "DENY", "rules": [{"to": to(json!(["/admin/*"]))}]},
    ]));
    assert!(!allows(&imported, &get("/admin/exact")));
    assert!(!allows(&imported, &get("/admin/")));
    assert!(allows(&imported, &get("/admin")));
    assert!(allows(&imported, &get("/other")));
    assert_eq!(listed(&imported), [""; 0]);
}

#[test]
fn a_deny_rule_that_cannot_be_said_denies_all_that_it_could_touch() {
    for (rule, touched, untouched) in [
        (
            json!({"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}], "to": to(json!(["/a/*"]))}),
            "/a/x",
            "/b",
        ),
        (
            json!({"to": [{"operation": {"ports": ["8080"], "paths": ["/a"]}}]}),
            "/a",
            "/b",
        ),
        (json!({"to": to(json!(["/a/{**}/c"]))}), "/a/x", "/b"),
        (json!({"to": to(json!(["/x/ad*"]))}), "/x/y", "/b"),
        (
            json!({"to": to(json!(["/a"])), "when": [{"key": "no.such", "values": ["x"]}]}),
            "/a",
            "/b",
        ),
        (json!({"to": to(json!(["/a"])), "unknown": 1}), "/a", "/b"),
        (
            json!({"to": to(json!(["/a"])), "from": [{"sources": {}}]}),
            "/a",
            "/b",
        ),
    ] {
        let imported = istio(&json!([{"action": "DENY", "rules": [rule]}]));
        assert!(!allows(&imported, &get(touched)), "{rule}");
        assert!(
            !allows(&imported, &with_claims(touched, json!({"sub": "a"}))),
            "{rule}"
        );
        assert!(allows(&imported, &get(untouched)), "{rule}");
        assert_eq!(listed(&imported).len(), 1, "{rule}: {:?}", imported.report);
    }
}

#[test]
fn an_allow_rule_that_cannot_be_said_allows_nothing() {
    for rule in [
        json!({"from": [{"source": {"ipBlocks": ["10.0.0.0/8"]}}]}),
        json!({"from": [{"source": {"notIpBlocks": ["10.0.0.0/8"]}}]}),
        json!({"to": [{"operation": {"methods": "GET"}}]}),
        json!({"to": {"operation": {}}}),
        json!({"to": [{"operations": {"paths": ["/x"]}}]}),
        json!({"to": [{"operation": {"path": ["/x"]}}]}),
        json!({"when": [{"key": "request.headers[x-forwarded-for]", "values": ["10.0.0.1"]}]}),
        json!({"when": [{"key": "request.headers[authorization]", "values": ["*"]}]}),
        json!({"when": [{"key": "request.auth.claims[a]", "values": ["*suffix"]}]}),
        json!({"when": [{"key": "request.auth.claims[a]"}]}),
        json!({"from": [{"source": {"principals": ["*/sa/x"]}}]}),
        json!({"from": [{"source": {"requestPrincipals": ["*"]}}], "to": to(json!(["*.html"]))}),
    ] {
        let imported = istio(&json!([{"rules": [rule]}]));
        for request in [
            get("/x"),
            with_claims("/x", json!({"sub": "a", "a": "suffix"})),
        ] {
            assert!(!allows(&imported, &request), "{rule}");
        }
        assert!(!listed(&imported).is_empty(), "{rule}");
    }
}

#[test]
fn absence_is_never_taken_for_a_value() {
    let imported = istio(
        &json!([{"rules": [{"when": [{"key": "request.auth.claims[group]", "notValues": ["banned"]}]}]}]),
    );
    assert!(!allows(&imported, &get("/x")));
    assert!(!allows(&imported, &with_claims("/x", json!({"sub": "a"}))));
    assert!(!allows(
        &imported,
        &with_claims("/x", json!({"group": "banned"}))
    ));
    assert!(!allows(
        &imported,
        &with_claims("/x", json!({"group": ["a", "banned"]}))
    ));
    assert!(allows(&imported, &with_claims("/x", json!({"group": "a"}))));
    assert!(allows(
        &imported,
        &with_claims("/x", json!({"group": ["a"]}))
    ));
}

#[test]
fn an_empty_subject_is_no_principal() {
    let imported = istio(
        &json!([{"rules": [{"from": [{"source": {"requestPrincipals": ["https://a.example/*"]}}]}]}]),
    );
    assert!(allows(&imported, &with_claims("/x", json!({"sub": "a"}))));
    for claims in [json!({"sub": ""}), json!({})] {
        assert!(!allows(&imported, &with_claims("/x", claims)));
    }
    assert!(!allows(&imported, &get("/x")));
}

#[test]
fn overlapping_patterns_are_intersected() {
    // `/a/{v}` is more specific than `/{v}/b` for `/a/b`, which both match.
    let imported = istio(&json!([
        {"rules": [{"to": to(json!(["/a/{*}"]))}]},
        {"action": "DENY", "rules": [{"to": to(json!(["/{*}/b"]))}]},
    ]));
    assert!(allows(&imported, &get("/a/c")));
    assert!(!allows(&imported, &get("/a/b")));
    let imported = istio(&json!([{"rules": [
        {"to": to(json!(["/a/{*}"]))},
        {"to": to(json!(["/{*}/b"])), "from": [{"source": {"requestPrincipals": ["*"]}}]},
    ]}]));
    assert!(allows(&imported, &get("/a/b")));
    assert!(!allows(&imported, &get("/c/b")));
    assert!(allows(&imported, &with_claims("/c/b", json!({"sub": "a"}))));
}

#[test]
fn a_more_specific_host_does_not_hide_rules_of_all_hosts() {
    let imported = istio(&json!([{"rules": [
        {"to": [{"operation": {"hosts": ["a.example"], "paths": ["/a"]}}]},
        {"to": to(json!(["/b"]))},
    ]}, {"action": "DENY", "rules": [{"to": [{"operation": {"hosts": ["*.example"], "methods": ["POST"]}}]}]}]));
    let request = |method: &str, host: &str, path: &str| json!({"request": {"method": method, "host": host, "path": path}});
    for (method, host, path, allowed) in [
        ("GET", "a.example", "/a", true),
        ("GET", "a.example", "/b", true),
        ("GET", "b.example", "/a", false),
        ("GET", "b.example", "/b", true),
        ("POST", "b.example", "/b", false),
        ("POST", "a.example", "/b", false),
        ("POST", "other", "/b", true),
    ] {
        assert_eq!(
            allows(&imported, &request(method, host, path)),
            allowed,
            "{method} {host} {path}"
        );
    }
}

#[test]
fn get_does_not_include_head() {
    let imported = istio(&json!([{"rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}]));
    let request = |method: &str| json!({"request": {"method": method, "path": "/x"}});
    assert!(allows(&imported, &request("GET")));
    assert!(!allows(&imported, &request("HEAD")));
}

#[test]
fn objects_of_other_workloads_do_not_count() {
    let object = |name: &str, namespace: &str, spec: Value| json!({"kind": "AuthorizationPolicy", "metadata": {"name": name, "namespace": namespace}, "spec": spec});
    let open = object("open", "other", json!({"rules": [{}]}));
    let closed = object(
        "closed",
        "foo",
        json!({"rules": [{"to": to(json!(["/x"]))}]}),
    );
    let error = try_import(&json!({"kind": "List", "items": [open, closed]})).unwrap_err();
    assert!(error.to_string().contains("--namespace"), "{error}");
    let list = json!({"kind": "List", "items": [open, closed]}).to_string();
    let chosen = Options {
        namespace: Some("foo".to_owned()),
        ..options()
    };
    let imported = import(&inputs(&list), &chosen).unwrap();
    assert!(!allows(&imported, &get("/y")));
    let nobody = Options {
        namespace: Some("third".to_owned()),
        ..options()
    };
    assert!(import(&inputs(&list), &nobody).is_err());
}

#[test]
fn a_policy_of_another_filter_denies() {
    let imported = istio(
        &json!([{"action": "CUSTOM", "provider": {"name": "p"}, "rules": [{"to": to(json!(["/a"]))}]}]),
    );
    assert!(!allows(&imported, &get("/a")));
    assert!(allows(&imported, &get("/b")));
}

#[test]
fn what_jwt_authn_did_not_verify_is_no_claim() {
    let provider = |issuer: &str, key: &str| {
        json!({
            "issuer": issuer, "payload_in_metadata": key,
            "remote_jwks": {"http_uri": {"uri": "https://a.example/jwks", "cluster": "keys"}},
        })
    };
    let jwt = |rules: Value| {
        json!({"name": "jwt", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"a": provider("https://a.example", "a"), "b": provider("https://b.example", "b")},
            "rules": rules,
        }})
    };
    let sub = rbac(json!({"policies": {"p": {
        "permissions": [{"any": true}],
        "principals": [{"metadata": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "a"}, {"key": "sub"}],
            "value": {"string_match": {"exact": "alice"}}}}]}}}));
    let alice = |issuer: &str| with_claims("/x", json!({"iss": issuer, "sub": "alice"}));
    let needs_a = json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "a"}}]);
    let imported = envoy(json!([jwt(needs_a.clone()), sub]));
    assert!(allows(&imported, &alice("https://a.example")));
    assert!(!allows(&imported, &alice("https://b.example")));
    // No rule verifies tokens there, or only after RBAC looked.
    let elsewhere = json!([{"match": {"prefix": "/y"}, "requires": {"provider_name": "a"}}]);
    for filters in [json!([jwt(elsewhere), sub]), json!([sub, jwt(needs_a)])] {
        assert!(!allows(&envoy(filters), &alice("https://a.example")));
    }
}

#[test]
fn configs_of_routes_and_unknown_parts_deny() {
    let open = rbac(
        json!({"policies": {"p": {"permissions": [{"any": true}], "principals": [{"any": true}]}}}),
    );
    assert!(allows(&envoy(json!([open])), &get("/x")));
    let chain = json!({"http_filters": [open], "route_config": {"virtual_hosts": [{"routes": [
        {"typed_per_filter_config": {"rbac": {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute"}}}]}]}});
    let matching = rbac(json!({}));
    let mut tree = matching;
    tree["typed_config"]["matcher"] = json!({});
    let unknown = json!({"name": "envoy.filters.http.rbac", "typed_config": {"@type": "type.googleapis.com/old.RBAC"}});
    for source in [chain, json!([open, tree]), json!([open, unknown])] {
        let imported = try_import(&source).unwrap();
        assert!(!allows(&imported, &get("/x")), "{source}");
        assert!(!listed(&imported).is_empty());
    }
    let two = json!({"a": {"http_filters": [open]}, "b": {"http_filters": [open]}});
    assert!(try_import(&two).is_err());
}

#[test]
fn the_yaml_is_the_config() {
    let imported = istio(&json!([{"rules": [
        {"to": [{"operation": {"hosts": ["*.b.example", "no"], "methods": ["GET"], "paths": ["/a b\u{85}", "/on/*"]}}],
            "when": [{"key": "request.auth.claims[on][y]", "values": ["no", "1", "~", "a: b # c"]}]}]}]));
    let mut text = Vec::new();
    print::yaml(&imported, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let source = Source::new("out".to_owned(), text);
    let documents = documents(&source).unwrap();
    let [document] = documents.as_slice() else {
        panic!("{}", source.text);
    };
    assert_eq!(super::fields::to_value(&document.json), imported.config());
}

#[test]
fn objects_of_other_projects_are_no_policies() {
    let policy = json!({"apiVersion": "policy.linkerd.io/v1alpha1", "kind": "AuthorizationPolicy", "spec": {}});
    assert!(try_import(&policy).is_err());
}

#[test]
fn paths_that_match_more_here_are_listed() {
    for path in ["/v1/a:b", "/a/{*}"] {
        let imported = istio(&json!([{"rules": [{"to": to(json!([path]))}]}]));
        assert_eq!(listed(&imported), [format!("paths {path:?}")]);
        let exact = json!({"exact": path});
        let template = json!({"name": "t", "typed_config": {"path_template": "/a/*"}});
        let permission = if path.contains('*') {
            json!({"uri_template": template})
        } else {
            json!({"url_path": {"path": exact}})
        };
        let rules = json!({"policies": {"p": {"permissions": [permission], "principals": [{"any": true}]}}});
        assert_eq!(listed(&envoy(json!([rbac(rules)]))).len(), 1);
    }
}
