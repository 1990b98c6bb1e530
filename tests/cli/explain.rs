//! `edge-claims explain`.

use serde_json::Value;

use super::{Run, folder, run};

const CONFIG: &str = r#"
claims:
  issuers:
  - {issuer: https://edge.example.com, audiences: [mesh], algorithms: [HS256], keys: {secrets: [{env: SECRET}]}}
rbac:
  roles: {claim: roles, includes: {admin: [editor]}}
  routes:
  - {name: all, path: "/{*rest}", allow: public}
  - {name: orders, hosts: [shop.example.com], path: "/t/{tenant}/orders", methods: [GET], allow: authenticated}
  - name: write
    hosts: [shop.example.com]
    path: "/t/{tenant}/orders"
    methods: [POST]
    allow:
    - any_role: [editor]
      bind: {tenant: [tenant_id]}
      when: {all: [{claim: acr, equals: mfa}, {not: {claim: suspended, equals: true}}]}
    - {peers: ["spiffe://td/batch"]}
identity: {headers: {x-auth-subject: [sub]}}
"#;

const URL: &str = "https://shop.example.com/t/a/orders";

fn explain(arguments: &[&str]) -> Run {
    let folder = folder(&[("config.yaml", CONFIG)]);
    let mut all = vec!["explain", "config.yaml", "--now", "2026-01-01T00:00:00Z"];
    all.extend(arguments);
    run(&folder, &all, "")
}

/// Each line of a text, without the ID, which is random.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).collect()
}

#[test]
fn each_condition_has_its_result() {
    let claims = r#"{"sub":"u","roles":["reader"],"tenant_id":"a","acr":"pwd","suspended":false}"#;
    let run = explain(&["-X", "POST", URL, "--claims", claims]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let expected = [
        "POST shop.example.com/t/a/orders at 2026-01-01T00:00:00Z",
        "   host shop.example.com, path /t/a/orders",
        "   yes  write: POST shop.example.com /t/{tenant}/orders (decides)",
        "   no   all: every method every host /{*rest} (matches, but its host is less specific)",
        "   no   orders: GET shop.example.com /t/{tenant}/orders (other method)",
        "   the claims of --claims count as verified: issuer https://edge.example.com",
        "   route write, `allow` needs one of these:",
        "   no      [0] conditions",
        "   no          any_role: editor  (role: has [reader], needs any of [editor])",
        "   yes         bind: {tenant} = claim tenant_id",
        "   no            all",
        "   no              claim acr equals \"mfa\"",
        "   yes             not",
        "   no                claim suspended equals true",
        "   no      [1] conditions",
        "   no          peers: spiffe://td/batch  (peer: none, needs any of [spiffe://td/batch])",
        "   deny/role/write: answered with 403",
    ];
    let lines = lines(&run.stdout);
    for line in expected {
        assert!(lines.contains(&line), "no line {line:?} in\n{}", run.stdout);
    }
}

#[test]
fn an_included_role_and_the_edits_are_shown() {
    let claims = r#"{"sub":"u","roles":["admin"],"tenant_id":"a","acr":"mfa","suspended":false}"#;
    let run = explain(&[
        "-X",
        "POST",
        URL,
        "--claims",
        claims,
        "-H",
        "x-auth-subject: root",
    ]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(
        run.stdout.contains("yes         any_role: editor\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("allow/write: forwarded with these changes\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("   x-auth-subject: u\n"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_is_denied_before_a_route_is_known_says_why() {
    let run = explain(&["https://shop.example.com/t/a/../b"]);
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("   path_ambiguous: dot_segments\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("2. Authenticate\n   not reached\n"),
        "{}",
        run.stdout
    );
    let run = explain(&["-X", "get", URL]);
    assert!(
        run.stdout
            .contains("request_malformed: the method has a lower-case letter"),
        "{}",
        run.stdout
    );
}

#[test]
fn peers_and_claims_from_a_file_count() {
    let run = explain(&["-X", "POST", URL, "--peer", "spiffe://td/batch"]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    let folder = folder(&[
        ("config.yaml", CONFIG),
        ("claims.json", r#"{"iss":"https://other.example.com"}"#),
    ]);
    let run = super::run(
        &folder,
        &["explain", "config.yaml", URL, "--claims", "@claims.json"],
        "",
    );
    assert_eq!(run.code, 1);
    assert!(
        run.stdout
            .contains("from an issuer that the config does not have"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_token_is_verified_and_not_shown() {
    let folder = folder(&[
        ("config.yaml", CONFIG),
        ("token.txt", "eyJhbGciOiJIUzI1NiJ9.e30.c2VjcmV0\n"),
    ]);
    let run = super::run(
        &folder,
        &["explain", "config.yaml", URL, "--token", "token.txt"],
        "",
    );
    assert_eq!(run.code, 1);
    assert!(
        run.stdout
            .contains("the token is not valid: issuer_unknown"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("deny/issuer_unknown/orders"),
        "{}",
        run.stdout
    );
    assert!(
        !run.stdout.contains("eyJ") && !run.stderr.contains("eyJ"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_token_in_place_of_its_file_is_not_repeated() {
    let run = explain(&["/", "--token", "eyJhbGciOiJIUzI1NiJ9.TOPSECRET.c2ln"]);
    assert_eq!(run.code, 2);
    assert!(!run.stderr.contains("TOPSECRET"), "{}", run.stderr);
}

#[test]
fn json_has_what_the_text_has() {
    let run = explain(&["-X", "POST", URL, "--json"]);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(value["conclude"]["verdict"], "deny/claims_missing/write");
    assert_eq!(value["conclude"]["status"], 401);
    assert_eq!(value["conclude"]["forwarded"], false);
    assert_eq!(value["locate"]["routes"][0]["name"], "write");
    assert_eq!(
        value["authorize"]["alternatives"][1]["conditions"][0]["result"],
        "no"
    );
    let run = explain(&["/", "--json"]);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(value["conclude"]["forwarded"], true);
}

#[test]
fn wrong_usage_and_a_config_with_errors_are_failures() {
    for (arguments, problem) in [
        (&["shop.example.com/x"][..], "is neither a URL nor a path"),
        (&["/", "-H", "x"], "has no colon"),
        (
            &["/", "--claims", "[]"],
            "--claims: is a list, must be an object",
        ),
        (&["/", "--claims", r#"{"a":1,"a":2}"#], "duplicate key"),
        (
            &["/", "--claims", "@missing.json"],
            "missing.json: No such file",
        ),
        (
            &["/", "--jwks", "https://edge.example.com=x.json"],
            "no issuer of this name with remote keys",
        ),
        (&["/", "--select", "other"], "no config has this title"),
    ] {
        let run = explain(arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        assert_eq!(run.stdout, "", "{arguments:?}");
        assert!(
            run.stderr.contains(problem),
            "{arguments:?}: {}",
            run.stderr
        );
    }
    let folder = folder(&[("config.yaml", "rbac: {}")]);
    let now = run(
        &folder,
        &["explain", "config.yaml", "/", "--now", "tomorrow"],
        "",
    );
    assert_eq!(now.code, 2);
    assert!(now.stderr.contains("write a UTC time"), "{}", now.stderr);
    let run = run(&folder, &["explain", "config.yaml", "/"], "");
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("config refused, 2 errors"),
        "{}",
        run.stderr
    );
}
