//! `edge-claims import`.

use std::fs;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::COMMAND;

const AUTHENTICATION: &str = "\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: shop}
spec:
  jwtRules:
  - issuer: https://login.example
    jwksUri: https://login.example/jwks.json
    audiences: [shop]
";

/// Runs the command on a file of that content.
fn import(content: impl AsRef<[u8]>, arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("in.yaml"), content).unwrap();
    Command::new(COMMAND)
        .args(["import", "in.yaml"])
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn policy(rules: &str) -> String {
    format!(
        "{AUTHENTICATION}---\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n  rules:\n{rules}"
    )
}

#[test]
fn istio_policies_become_a_config_with_comments() {
    let rules = "  - to: [{operation: {paths: [/healthz]}}]\n  - from: [{source: {requestPrincipals: ['*']}}]\n    to: [{operation: {paths: [/orders/*], methods: [GET]}}]\n";
    let output = import(policy(rules), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for line in [
        "  # in.yaml: RequestAuthentication shop/jwt jwtRules[0]\n  - issuer: \"https://login.example\"\n",
        "        cluster: \"outbound|443||login.example\"\n",
        "  # in.yaml: AuthorizationPolicy shop/p rules[0]\n  - name: healthz\n    path: \"/healthz\"\n    allow: public\n",
        "  # in.yaml: AuthorizationPolicy shop/p rules[1]\n  - name: orders-rest-get\n    methods: [GET]\n    path: \"/orders/{*rest}\"\n    allow: {when: {not: {claim: sub, equals: \"\"}}}\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(
        stderr(&output)
            .lines()
            .all(|line| line.starts_with("note: ")),
        "{}",
        stderr(&output)
    );
}

#[test]
fn what_is_not_imported_is_listed_everywhere() {
    let rules = "  - from: [{source: {ipBlocks: [10.0.0.0/8]}}]\n";
    let output = import(policy(rules), &[]);
    assert_eq!(output.status.code(), Some(1));
    let item = "in.yaml: AuthorizationPolicy shop/p rules[0]: ipBlocks: the filter does not look at addresses; what only this allows is denied";
    assert!(
        stderr(&output).contains(&format!("not imported: {item}\n")),
        "{}",
        stderr(&output)
    );
    assert!(stdout(&output).contains(&format!("# - {item}\n")));
    let output = import(policy(rules), &["--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let [item] = value["not_imported"].as_array().unwrap().as_slice() else {
        panic!("{value}");
    };
    assert_eq!(item["what"], "ipBlocks");
    assert_eq!(
        item["source"],
        "in.yaml: AuthorizationPolicy shop/p rules[0]"
    );
    let routes = value["config"]["rbac"]["routes"].as_array().unwrap();
    assert!(
        routes.iter().all(|route| route["allow"] != "public"),
        "{value}"
    );
}

#[test]
fn a_bootstrap_of_envoy_is_searched_for_its_filters() {
    let rbac = json!({"name": "rbac", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": {"policies": {"health": {
            "permissions": [{"url_path": {"path": {"exact": "/healthz"}}}],
            "principals": [{"any": true}]}}}}});
    let listener = |name: &str| json!({"name": name, "filter_chains": [{"filters": [{"typed_config": {"http_filters": [rbac]}}]}]});
    let bootstrap = |names: &[&str]| {
        let listeners: Vec<Value> = names.iter().map(|name| listener(name)).collect();
        json!({"static_resources": {"listeners": listeners}}).to_string()
    };
    let output = import(bootstrap(&["ingress"]), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains(
        "  # in.yaml: listener ingress http_filters[0] rbac policies[health]\n  - name: healthz\n"
    ));
    let two = bootstrap(&["one", "two"]);
    let output = import(&two, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("--listener"),
        "{}",
        stderr(&output)
    );
    let output = import(&two, &["--listener", "two"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

#[test]
fn header_rules_of_a_virtual_service_can_mean_correlation() {
    let service = "---\nkind: VirtualService\nmetadata: {name: v}\nspec:\n  http:\n  - headers: {request: {set: {X-Correlation-Id: '%REQ(x-request-id)%', x-other: a}}}\n";
    let output = import(format!("{AUTHENTICATION}{service}"), &["--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let value: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let expected = json!({"header": "x-correlation-id", "accept": ["x-correlation-id", "x-request-id"], "response_header": false});
    assert_eq!(value["config"]["correlation"], expected);
}

#[test]
fn broken_input_gives_no_config() {
    for (content, problem) in [
        (&b""[..], "there is nothing to import"),
        (b"kind: Service\n", "there is nothing to import"),
        (b"kind: [", "in.yaml:"),
        (b"\xff\xfe", "not UTF-8"),
        (
            b"kind: AuthorizationPolicy\nspec: {rules: 5}\n\x00",
            "in.yaml",
        ),
    ] {
        let output = import(content, &[]);
        assert_eq!(output.status.code(), Some(2), "{content:?}");
        assert_eq!(stdout(&output), "");
        assert!(
            stderr(&output).contains(problem),
            "{content:?}: {}",
            stderr(&output)
        );
    }
    let missing = Command::new(COMMAND)
        .args(["import", "/no/such/file"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    let folder = Command::new(COMMAND)
        .args(["import", "."])
        .output()
        .unwrap();
    assert_eq!(folder.status.code(), Some(2));
}

#[test]
fn text_of_files_cannot_control_the_terminal() {
    let rules = "  - to: [{operation: {paths: [\"/\\e[2J\\x9b*\"]}}]\n";
    let output = import(policy(rules), &[]);
    let all = stdout(&output) + &stderr(&output);
    assert!(
        all.chars()
            .all(|character| character == '\n' || !character.is_control()),
        "{all:?}"
    );
}
