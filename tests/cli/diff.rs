//! `edge-claims diff`.

use serde_json::Value;

use super::{folder, run};

const OLD: &str = r#"
claims:
  issuers: [{issuer: edge, audiences: [mesh], algorithms: [HS256], max_lifetime: 5m, keys: {secrets: [{env: S}]}}]
rbac:
  roles: {claim: roles}
  routes:
  - {name: orders, hosts: [shop.example.com], path: "/orders/{id}", methods: [GET], allow: {any_role: [reader]}}
  - {name: admin, path: "/admin/{*rest}", allow: {any_role: [admin]}}
  - {name: all, path: "/{*rest}", allow: public}
"#;

#[test]
fn gains_losses_and_settings_are_shown() {
    let new = OLD
        .replace("any_role: [reader]", "any_role: [reader, guest]")
        .replace("any_role: [admin]", "any_role: [admin], audiences: [ops]")
        .replace("max_lifetime: 5m", "max_lifetime: 1h");
    let folder = folder(&[("old.yaml", OLD), ("new.yaml", &new)]);
    let run = run(&folder, &["diff", "old.yaml", "new.yaml"], "");
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(
        run.stdout,
        "\
Newly allowed
  route orders -> route orders
    GET shop.example.com/orders/other
    HEAD shop.example.com/orders/other
      for role guest

Newly denied
  route admin -> route admin
    GET other.invalid/admin
    GET shop.example.com/admin
      for role admin

Settings
  claims.issuers[edge].max_lifetime: \"5m\" -> \"1h\" (may allow more)

1 route change newly allowed, 1 route change newly denied, 1 setting changed, of which 1 may allow more
"
    );
}

#[test]
fn only_what_allows_more_fails() {
    let stricter = OLD.replace("any_role: [reader]", "any_role: [reader], audiences: [ops]");
    let folder = folder(&[("old.yaml", OLD), ("new.yaml", &stricter)]);
    let run = |arguments: &[&str]| super::run(&folder, arguments, "");
    let first = run(&["diff", "old.yaml", "new.yaml", "--format", "line"]);
    assert_eq!(
        (first.code, first.stdout.as_str()),
        (
            0,
            "0 route changes newly allowed, 1 route change newly denied, 0 settings changed, of which 0 may allow more\n"
        )
    );
    assert_eq!(run(&["diff", "new.yaml", "old.yaml"]).code, 1);
    let same = run(&["diff", "old.yaml", "old.yaml"]);
    assert_eq!(
        (same.code, same.stdout.as_str()),
        (0, "no difference in who is allowed\n")
    );
    assert_eq!(run(&["diff", "old.yaml", "missing.yaml"]).code, 2);
}

#[test]
fn json_has_each_change() {
    let new = OLD.replace("allow: public", "allow: authenticated");
    let folder = folder(&[("old.yaml", OLD), ("new.yaml", &new)]);
    let run = run(
        &folder,
        &["diff", "old.yaml", "new.yaml", "--format", "json"],
        "",
    );
    assert_eq!(run.code, 0);
    let value: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(value["allows_more"], false);
    assert_eq!(value["complete"], true);
    assert_eq!(value["changes"][0]["newly_denied"][0], "anyone");
    assert_eq!(value["changes"][0]["requests"][0]["path"], "/");
}

#[test]
fn the_requests_of_a_log_go_through_both_configs() {
    let new = OLD.replace("any_role: [reader]", "any_role: [guest]");
    let log = r#"
{"method":"GET","host":"shop.example.com","path":"/orders/1","subject":"s1","time":"2026-01-01T00:00:00Z"}
{"method":"GET","host":"shop.example.com","path":"/orders/2","subject":"s2","x":{"path":"/no"}}
2026-01-01 stdout F {"method":"GET","host":"shop.example.com","path":"/orders/3","subject":"s2"}
{"method":"GET","host":"shop.example.com","path":"/orders/4","subject":"stranger"}
{"method":"GET","host":"shop.example.com","path":"/","subject":"-"}
{"method":"GET"}
broken
"#;
    let subjects = r#"{"s1": {"roles": ["guest"]}, "s2": {"roles": ["reader"]}}"#;
    let folder = folder(&[
        ("old.yaml", OLD),
        ("new.yaml", &new),
        ("log", log),
        ("subjects.json", subjects),
    ]);
    let arguments = [
        "diff",
        "old.yaml",
        "new.yaml",
        "--replay",
        "log",
        "--subjects",
        "subjects.json",
    ];
    let text = run(&folder, &arguments, "");
    assert_eq!(text.code, 1, "{}", text.stderr);
    let expected = "
Replay of 5 requests
  1 lines are not JSON
  1 lines have no method or no path
  1 newly allowed: orders: deny role -> orders: allow
    line 2: GET shop.example.com/orders/1
  2 newly denied: orders: allow -> orders: deny role
    line 3: GET shop.example.com/orders/2
    line 4: GET shop.example.com/orders/3
  1 allowed as before, 1 denied as before
";
    assert!(text.stdout.ends_with(expected), "{}", text.stdout);
    let json = run(
        &folder,
        &[&arguments[..], &["--format", "json"]].concat(),
        "",
    );
    let value: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(value["replay"]["changes"][0]["requests"], 2);
    let line = run(
        &folder,
        &[&arguments[..], &["--format", "line"]].concat(),
        "",
    );
    assert!(
        line.stdout
            .ends_with("; of 5 requests in the log 1 newly allowed, 2 newly denied\n"),
        "{}",
        line.stdout
    );
    let missing = run(
        &folder,
        &["diff", "old.yaml", "new.yaml", "--replay", "none"],
        "",
    );
    assert_eq!((missing.code, missing.stdout.as_str()), (2, ""));
}

/// Without its host, a request could meet another route.
#[test]
fn a_log_of_an_earlier_version_is_told_with_the_options_that_read_it() {
    let log = r#"{"start_time":"2026-01-01T00:00:00Z","method":"GET","authority":"shop.example.com","path":"/"}"#;
    let folder = folder(&[("old.yaml", OLD), ("log", log)]);
    let arguments = ["diff", "old.yaml", "old.yaml", "--replay", "log"];
    let refused = run(&folder, &arguments, "");
    assert_eq!(refused.code, 2);
    let says = "log: line 1 has no `host`, but `authority`, as access logs of earlier versions; \
        add --field host=authority --field time=start_time";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    let options = ["--field", "host=authority", "--field", "time=start_time"];
    let read = run(&folder, &[&arguments[..], &options].concat(), "");
    assert_eq!(read.code, 0, "{}", read.stderr);
    assert!(
        read.stdout.contains("Replay of 1 requests"),
        "{}",
        read.stdout
    );
}

#[test]
fn claims_come_from_a_field_of_the_log() {
    let new = OLD.replace("any_role: [admin]", "any_role: [admin, root]");
    let log = "{\"m\":\"GET\",\"path\":\"/admin\",\"claims\":{\"roles\":[\"root\"]}}\n";
    let folder = folder(&[("old.yaml", OLD), ("new.yaml", &new)]);
    let run = run(
        &folder,
        &[
            "diff", "old.yaml", "new.yaml", "--replay", "-", "--field", "method=m",
        ],
        log,
    );
    assert!(
        run.stdout
            .contains("1 newly allowed: admin: deny role -> admin: allow"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}
