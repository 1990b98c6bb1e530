//! `edge-claims check`.

use serde_json::Value;

use super::{Run, folder, run};

const CONFIG: &str = "\
claims:
  issuers:
  - issuer: https://edge.example.com
    audience: [mesh]
    algorithms: [HS256]
    keys: {secrets: [{env: SECRET}]}
rbac:
  routes:
  - {name: a, path: /a, allow: public}
  - name: b
    path: /b
    allow: {any_role: []}
";

#[test]
fn every_problem_is_shown_with_its_excerpt() {
    let folder = folder(&[("config.yaml", CONFIG)]);
    let Run { code, stdout, .. } = run(&folder, &["check", "config.yaml"], "");
    assert_eq!(code, 1);
    let expected = "\
error[unknown_key]: claims.issuers[0].audience: unknown key, did you mean `audiences`?; keys here are issuer, \
audiences, any_audience, algorithms, type, keys, leeway, max_age, max_lifetime, require, bind, one_use, revoked, \
not_after
 --> config.yaml:4:5
  |
4 |     audience: [mesh]
  |     ^^^^^^^^
";
    assert!(stdout.contains(expected), "{stdout}");
    assert!(
        stdout.contains("12 |     allow: {any_role: []}\n   |                       ^^\n"),
        "{stdout}"
    );
    assert!(
        stdout
            .ends_with("config.yaml: refused, 3 errors\n1 config checked, 3 errors, 0 warnings\n"),
        "{stdout}"
    );
}

#[test]
fn the_manifests_and_examples_of_the_project_have_no_errors() {
    let root = env!("CARGO_MANIFEST_DIR");
    let files = [
        "examples/config/full.yaml",
        "examples/envoy/standalone.yaml",
        "examples/docker-compose/envoy.yaml",
        "examples/gateway/per-session.yaml",
        "examples/gateway/per-request.yaml",
        "examples/sidecar/orders.yaml",
        "istio/kustomize/overlays/gateway/config.yaml",
        "istio/kustomize/overlays/sidecar/config.yaml",
    ];
    let paths = files.map(|file| format!("{root}/{file}"));
    let mut arguments = vec!["check"];
    arguments.extend(paths.iter().map(String::as_str));
    let run = run(&folder(&[]), &arguments, "");
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for path in &paths {
        assert!(run.stdout.contains(&format!("\n{path}")), "{path}");
    }
}

#[test]
fn resources_are_read_from_stdin() {
    let resource = CONFIG
        .replace('\n', "\n    ")
        .replace("audience:", "audiences:")
        .replace("any_role: []", "any_role: [x]");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: extensions.istio.io/v1alpha1\n  kind: WasmPlugin\n  metadata: \
         {{name: gw, namespace: ns}}\n  spec:\n    pluginConfig:\n      {}",
        resource.replace("\n    ", "\n      ").trim_end()
    );
    let run = run(
        &folder(&[]),
        &["check", "-", "--allow", "no_max_lifetime,no_tests"],
        &list,
    );
    // Roles are asked for, but no claim holds them.
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("error[missing]: rbac.roles: missing"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("--> <stdin> (WasmPlugin ns/gw):"),
        "{}",
        run.stdout
    );
}

#[test]
fn warnings_are_errors_only_if_denied() {
    let config = CONFIG
        .replace("audience:", "audiences:")
        .replace("{any_role: []}", "public");
    let folder = folder(&[("config.yaml", &config)]);
    let code = |arguments: &[&str]| run(&folder, arguments, "").code;
    assert_eq!(code(&["check", "config.yaml"]), 0);
    assert_eq!(code(&["check", "config.yaml", "--deny", "no_tests"]), 1);
    assert_eq!(code(&["check", "config.yaml", "--deny", "warnings"]), 1);
    assert_eq!(
        code(&[
            "check",
            "config.yaml",
            "--deny",
            "warnings",
            "--allow",
            "no_tests,no_max_lifetime"
        ]),
        0
    );
    assert_eq!(code(&["check", "config.yaml", "--deny", "no_such_rule"]), 2);
}

#[test]
fn formats_for_programs_have_the_place_of_each_problem() {
    let folder = folder(&[("config,1.yaml", CONFIG)]);
    let output =
        |format: &str| run(&folder, &["check", "config,1.yaml", "--format", format], "").stdout;
    let json: Value = serde_json::from_str(&output("json")).unwrap();
    assert_eq!(json["errors"], 3);
    let first = &json["diagnostics"][0];
    assert_eq!(first["rule"], "unknown_key");
    assert_eq!(
        (&first["line"], &first["column"], &first["end_column"]),
        (&4.into(), &5.into(), &13.into())
    );

    let sarif: Value = serde_json::from_str(&output("sarif")).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 3);
    let location = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(location["artifactLocation"]["uri"], "config%2C1.yaml");
    assert_eq!(location["region"]["startLine"], 4);
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]));
    }

    let github = output("github");
    let first = github.lines().next().unwrap();
    assert!(
        first.starts_with("::error file=config%2C1.yaml,line=4,endLine=4,col=5,endColumn=13,title=unknown_key::claims."),
        "{first}"
    );
}

#[test]
fn a_file_that_is_not_yaml_is_an_error_of_the_config() {
    let folder = folder(&[("a.yaml", "claims: [\n"), ("b.json", "{\"claims\": 1,}x")]);
    let run = run(&folder, &["check", "a.yaml", "b.json"], "");
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("error[syntax]: not YAML: "),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("error[syntax]: not JSON: "),
        "{}",
        run.stdout
    );
}

#[test]
fn a_file_that_cannot_be_read_is_a_failure_without_output() {
    let folder = folder(&[("good.yaml", CONFIG), ("latin1.yaml", "")]);
    std::fs::write(folder.path().join("latin1.yaml"), b"claims: \xe4").unwrap();
    for (path, problem) in [
        ("missing.yaml", "missing.yaml: No such file"),
        (".", ".: Is a directory"),
        ("latin1.yaml", "latin1.yaml: not UTF-8 at byte 8"),
        ("/dev/zero", "/dev/zero: larger than 64 MiB"),
    ] {
        let run = run(&folder, &["check", "good.yaml", path], "");
        assert_eq!(run.code, 2, "{path}");
        assert_eq!(run.stdout, "", "{path}");
        assert!(run.stderr.contains(problem), "{path}: {}", run.stderr);
    }
    let run = run(&folder, &["check", "/dev/null"], "");
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("no plugin config in it"),
        "{}",
        run.stdout
    );
}

#[test]
fn text_for_a_terminal_has_no_control_characters_of_the_file() {
    let config = CONFIG.replace("audience:", "\"aud\\u001b[31mience\":");
    let raw = CONFIG.replace("audience:", "# \u{1b}[31m\n    audience:");
    let folder = folder(&[("escaped.yaml", &config), ("raw.yaml", &raw)]);
    let run = run(&folder, &["check", "escaped.yaml", "raw.yaml"], "");
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
}

/// Envoy gives the module the serialized message: `not JSON: not UTF-8`, in a real Envoy 1.40.
#[test]
fn a_struct_in_an_envoy_config_is_an_error() {
    let envoy = format!(
        "static_resources:\n  filters:\n  - typed_config:\n      \"@type\": \
         type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n      config:\n        configuration:\n          \
         \"@type\": type.googleapis.com/google.protobuf.Struct\n          value:\n            {}",
        CONFIG.replace('\n', "\n            ").trim_end()
    );
    let run = run(
        &folder(&[("envoy.yaml", &envoy)]),
        &["check", "envoy.yaml"],
        "",
    );
    assert_eq!(run.code, 1);
    assert!(
        run.stdout
            .contains("error[envoy_struct]: Envoy gives a google.protobuf.Struct"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout
            .contains("error[unknown_key]: claims.issuers[0].audience"),
        "{}",
        run.stdout
    );
}

#[test]
fn envoys_routes_are_compared_with_those_of_the_config() {
    let config = "\
claims:
  issuers: [{issuer: e, audiences: [m], algorithms: [HS256], max_lifetime: 5m, keys: {secrets: [{env: S}]}}]
rbac:
  roles: {claim: roles}
  routes:
  - {name: all, path: \"/{*rest}\", allow: public}
  - {name: admin, path: \"/admin\", allow: {any_role: [admin]}}  # edge-claims: allow(exact_path_beside_catch_all)
";
    let envoy = "\
virtual_hosts:
- name: web
  domains: [\"*\"]
  routes:
  - match: {prefix: /admin}
    route: {cluster: admin}
  - match: {prefix: /}
    route: {cluster: web}
";
    let folder = folder(&[
        ("config.yaml", config),
        ("envoy.yaml", envoy),
        ("none.yaml", "a: 1"),
    ]);
    let run = run(
        &folder,
        &[
            "check",
            "config.yaml",
            "--envoy",
            "envoy.yaml",
            "--allow",
            "no_tests",
        ],
        "",
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let expected = "\
warning[envoy_wider_route]: GET other.invalid/admin-other is decided by the route all, but Envoy sends it to admin, \
where the route admin guards more
 --> envoy.yaml:5:5
  |
5 |   - match: {prefix: /admin}
  |     ^^^^^^^^^^^^^^^^^^^^^^^
";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
    let run = super::run(
        &folder,
        &["check", "config.yaml", "--envoy", "none.yaml"],
        "",
    );
    assert_eq!(run.code, 2);
    assert!(
        run.stderr.contains("no virtual_hosts in it"),
        "{}",
        run.stderr
    );
}

#[test]
fn secrets_in_a_config_or_in_place_of_one_are_not_shown() {
    let config = CONFIG.replace(
        "{secrets: [{env: SECRET}]}",
        "{secrets: [{env: SECRET, value: TOPSECRET, kids: 1}]}",
    );
    let direct = CONFIG.replace("{secrets: [{env: SECRET}]}", "{secrets: TOPSECRET}");
    let jwk = r#"{"kty": "OKP", "d": "TOPSECRET", "x": "eA"}"#;
    let token = "eyJhbGciOiJFUzI1NiJ9.TOPSECRET.c2ln";
    let folder = folder(&[
        ("config.yaml", &config),
        ("direct.yaml", &direct),
        ("jwk.json", jwk),
        ("token.txt", token),
        ("bare.txt", "TOPSECRET\n"),
    ]);
    for file in [
        "config.yaml",
        "direct.yaml",
        "jwk.json",
        "token.txt",
        "bare.txt",
    ] {
        for format in ["text", "json", "sarif", "github"] {
            let run = run(&folder, &["check", file, "--format", format], "");
            assert_eq!(run.code, 1, "{file}");
            assert!(
                !run.stdout.contains("TOPSECRET") && !run.stderr.contains("TOPSECRET"),
                "{}",
                run.stdout
            );
        }
    }
    let shown = run(&folder, &["check", "config.yaml"], "").stdout;
    assert!(
        shown.contains("keys: {secrets: [{env: SECRET, value: *********, kids: *}]}"),
        "{shown}"
    );
    let run = run(&folder, &["check", token], "");
    assert_eq!(run.code, 2);
    assert!(!run.stderr.contains("TOPSECRET"), "{}", run.stderr);
}

#[test]
fn a_resource_that_fails_open_is_found() {
    let config = CONFIG
        .replace("audience:", "audiences:")
        .replace("{any_role: []}", "public");
    let plugin = format!(
        "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {{name: gw}}\nspec:\n  failStrategy: \
         FAIL_OPEN\n  pluginConfig:\n    {}",
        config.replace('\n', "\n    ").trim_end()
    );
    let run = run(
        &folder(&[("plugin.yaml", &plugin)]),
        &["check", "plugin.yaml"],
        "",
    );
    assert_eq!(run.code, 0, "{}", run.stdout);
    assert!(run.stdout.contains("warning[fail_open]"), "{}", run.stdout);
    assert!(
        run.stdout
            .contains("5 |   failStrategy: FAIL_OPEN\n  |                 ^^^^^^^^^"),
        "{}",
        run.stdout
    );
}
