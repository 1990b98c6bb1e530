//! `edge-claims test`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{COMMAND, folder, run};

const CONFIG: &str = r#"
claims:
  issuers: [{issuer: edge, audiences: [mesh], algorithms: [HS256], keys: {secrets: [{env: SECRET}]}}]
rbac:
  roles: {claim: roles}
  routes:
  - {name: health, path: /health, allow: public}
  - {name: me, path: /me, allow: authenticated}
  - {name: admin, path: "/admin/{*rest}", allow: {any_role: [admin], issuers: [edge]}}
tests:
- {name: health is public, request: {path: /health}, expect: allow}
"#;

const TESTS: &str = r#"
tests:
- {name: anyone who is logged in, request: {path: /me}, claims: {sub: u}, expect: {allow: true, route: me}}
- {name: nobody else, request: {path: /me}, expect: {deny: claims_missing}}
- {name: admins, request: {path: /admin/x}, claims: {roles: [admin]}, expect: allow}
- {name: no others, request: {path: /admin/x}, claims: {roles: [user]}, expect: {deny: role}}
"#;

#[test]
fn tests_of_configs_and_files_run_and_coverage_names_what_is_missing() {
    let folder = folder(&[("config.yaml", CONFIG), ("more.test.yaml", TESTS)]);
    let run = run(
        &folder,
        &["test", "config.yaml", "more.test.yaml", "--coverage"],
        "",
    );
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert_eq!(
        run.stdout,
        "not covered: route admin, allow[0]: no test request is denied only by `issuers: edge`\n\
         config.yaml: 5 tests, 0 failed, coverage 89 % (8 of 9)\n"
    );
}

#[test]
fn too_little_coverage_fails() {
    let folder = folder(&[("config.yaml", CONFIG), ("more.test.yaml", TESTS)]);
    let code = |arguments: &[&str]| run(&folder, arguments, "").code;
    assert_eq!(code(&["test", "config.yaml"]), 0);
    assert_eq!(code(&["test", "config.yaml", "--min-coverage", "88"]), 1);
    assert_eq!(
        code(&[
            "test",
            "config.yaml",
            "more.test.yaml",
            "--min-coverage",
            "88"
        ]),
        0
    );
    assert_eq!(
        code(&[
            "test",
            "config.yaml",
            "more.test.yaml",
            "--min-coverage",
            "89"
        ]),
        1
    );
}

#[test]
fn a_failure_names_its_place_the_decision_and_the_reason() {
    let tests = TESTS.replace(
        "claims: {roles: [admin]}, expect",
        "claims: {roles: [guest]}, expect",
    );
    let folder = folder(&[("config.yaml", CONFIG), ("more.test.yaml", &tests)]);
    let run = run(&folder, &["test", "config.yaml", "more.test.yaml"], "");
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.starts_with(
            "FAILED more.test.yaml:5: the test \"admins\" fails: expected allow, got deny role by route admin (role: \
             has [guest], needs any of [admin])\n"
        ),
        "{}",
        run.stdout
    );
}

#[test]
fn machine_readable_formats_have_each_test() {
    let tests = TESTS
        .replace("name: admins", "name: 'a <b> & # \"c\"'")
        .replace("expect: {deny: role}", "expect: allow");
    let folder = folder(&[("config.yaml", CONFIG), ("more.test.yaml", &tests)]);
    let output = |format: &str| {
        run(
            &folder,
            &["test", "config.yaml", "more.test.yaml", "--format", format],
            "",
        )
        .stdout
    };
    let tap = output("tap");
    assert!(
        tap.starts_with("TAP version 14\n1..5\nok 1 - config.yaml: health is public\n"),
        "{tap}"
    );
    assert!(
        tap.contains("\nok 4 - config.yaml: a <b> & \\# \"c\"\n"),
        "{tap}"
    );
    assert!(
        tap.contains("\nnot ok 5 - config.yaml: no others\n  ---\n  message: \"the test"),
        "{tap}"
    );
    let junit = output("junit");
    assert!(
        junit.contains("<testsuite name=\"config.yaml\" tests=\"5\" failures=\"1\" errors=\"0\">"),
        "{junit}"
    );
    assert!(
        junit.contains("name=\"a &lt;b&gt; &amp; # &quot;c&quot;\"/>"),
        "{junit}"
    );
    let json: Value = serde_json::from_str(&output("json")).unwrap();
    let suite = &json["suites"][0];
    assert_eq!(suite["tests"].as_array().unwrap().len(), 5);
    assert_eq!(suite["tests"][4]["passed"], false);
    assert_eq!(suite["coverage"]["of"], 9);
}

#[test]
fn a_config_or_a_test_with_errors_fails() {
    let broken = CONFIG.replace("allow: public", "alow: public");
    let folder = folder(&[
        ("broken.yaml", &broken),
        ("config.yaml", CONFIG),
        (
            "bad.test.yaml",
            "tests: [{name: x, request: {path: /}, expect: maybe}]",
        ),
        ("none.test.yaml", "test: []"),
    ]);
    let run = |arguments: &[&str]| super::run(&folder, arguments, "");
    let first = run(&["test", "broken.yaml"]);
    assert_eq!(first.code, 1);
    assert!(
        first
            .stdout
            .contains("error[unknown_key]: rbac.routes[0].alow"),
        "{}",
        first.stdout
    );
    let second = run(&["test", "config.yaml", "bad.test.yaml"]);
    assert_eq!(second.code, 1);
    assert!(
        second.stdout.contains(" --> bad.test.yaml:1:"),
        "{}",
        second.stdout
    );
    let third = run(&["test", "config.yaml", "none.test.yaml"]);
    assert_eq!(third.code, 2);
    assert!(
        third.stderr.contains("needs the key `tests`"),
        "{}",
        third.stderr
    );
    assert_eq!(run(&["test", "bad.test.yaml"]).code, 2);
}

#[test]
fn watch_runs_again_after_a_change() {
    let folder = folder(&[("config.yaml", CONFIG)]);
    let mut child = Command::new(COMMAND)
        .args(["test", "config.yaml", "--watch"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    assert_eq!(
        next(),
        "config.yaml: 1 test, 0 failed, coverage 22 % (2 of 9)"
    );
    assert_eq!(next(), "waiting for changes; Ctrl-C ends");
    let changed = CONFIG.replace("expect: allow", "expect: {deny: role}");
    std::fs::write(folder.path().join("config.yaml"), changed).unwrap();
    // The file may be seen while it is written.
    let failed = std::iter::repeat_with(&mut next).find(|line| line.starts_with("FAILED"));
    assert!(failed.unwrap().contains("config.yaml:11:"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn what_shows_nothing_is_not_covered() {
    let config = CONFIG.replace(
        "{any_role: [admin], issuers: [edge]}",
        "[{any_role: [a]}, {any_role: [b]}]",
    );
    let tests = "tests:\n\
        - {name: a, request: {path: /admin}, claims: {roles: [a]}, expect: allow}\n\
        - {name: b, request: {path: /admin}, claims: {roles: [b]}, expect: allow}\n\
        - {name: nobody, request: {path: /admin}, expect: {deny: claims_missing}}\n\
        - {name: wrong, request: {path: /me}, expect: allow}\n";
    let folder = folder(&[("config.yaml", &config), ("x.test.yaml", tests)]);
    let run = |arguments: &[&str]| super::run(&folder, arguments, "");
    let first = run(&["test", "config.yaml", "x.test.yaml", "--coverage"]);
    for missing in [
        "route me: no test request is decided by it",
        "route admin, allow[0]: no test request is denied only by `any_role: a`",
        "route admin, allow[1]: no test request is denied only by `any_role: b`",
    ] {
        assert!(
            first.stdout.contains(missing),
            "{missing}: {}",
            first.stdout
        );
    }
    let typo = run(&["test", "config.yaml", "--only", "zzz"]);
    assert_eq!((typo.code, typo.stdout.as_str()), (2, ""));
    assert!(
        typo.stderr.contains("no test has this text"),
        "{}",
        typo.stderr
    );
}
