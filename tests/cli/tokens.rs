//! `edge-claims mint` and `edge-claims token inspect`.

use serde_json::Value;

use crate::keys::Folder;

const ISSUER: &str = "https://edge.example.com";
const REQUEST: &str = "POST https://Shop.example.com:8443/orders?x=1";

/// A folder with a key and a config that accepts its tokens.
fn folder(algorithm: &str) -> Folder {
    let folder = Folder::new();
    let is_secret = algorithm.starts_with("HS");
    let mut new = vec![
        "keys", "new", "--alg", algorithm, "--out", "key.jwk", "--kid", "k1",
    ];
    if is_secret {
        new.extend(["--secret-out", "secret.txt"]);
    }
    assert_eq!(folder.run(&new).code, 0);
    let keys = if is_secret {
        r#"{"secrets": [{"env": "EDGE_SECRET", "kid": "k1"}]}"#.to_owned()
    } else {
        let set = folder.run(&["keys", "jwks", "key.jwk"]).stdout;
        format!("{{\"inline\": {}}}", set.replace('\n', ""))
    };
    folder.write(
        "config.yaml",
        &format!(
            "claims:
  issuers:
  - issuer: {ISSUER}
    audiences: [mesh.example.com]
    algorithms: [{algorithm}]
    type: edge-claims+jwt
    keys: {keys}
    max_lifetime: 2m
    require: [sub]
    bind: {{method: htm, path_and_query: [req, htu], host: hth}}
    one_use: {{}}
rbac:
  roles: {{claim: [realm_access, roles], format: space}}
  routes:
  - {{name: orders, path: /orders, allow: {{any_role: [reader]}}}}
"
        ),
    );
    folder
}

/// A token for [`REQUEST`], issued at the beginning of 2027.
fn mint(folder: &Folder, more: &[&str]) -> (String, String) {
    let arguments = [
        "mint",
        "--key",
        "key.jwk",
        "--config",
        "config.yaml",
        "--subject",
        "alice",
        "--role",
        "reader",
        "--role",
        "writer",
        "--now",
        "2027-01-01T00:00:00Z",
        "--for",
        REQUEST,
    ];
    let output = folder.run(&[&arguments[..], more].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    (output.stdout, output.stderr)
}

/// The verdict of `token inspect` a minute later.
fn inspect(folder: &Folder, token: &str, more: &[&str]) -> (i32, Value) {
    let arguments = [
        "token",
        "inspect",
        "--config",
        "config.yaml",
        "--format",
        "json",
        "--now",
        "2027-01-01T00:01:00Z",
    ];
    let mut arguments = arguments.to_vec();
    if folder.path("secret.txt").exists() {
        arguments.extend(["--secret", "EDGE_SECRET=secret.txt"]);
    }
    arguments.extend(more);
    let output = folder.run_with(&arguments, token);
    assert_eq!(output.stderr, "");
    (output.code, serde_json::from_str(&output.stdout).unwrap())
}

fn result<'a>(inspection: &'a Value, check: &str) -> &'a str {
    let checks = inspection["config"]["checks"].as_array().unwrap();
    let found = checks.iter().find(|one| one["check"] == check);
    found.unwrap()["result"].as_str().unwrap()
}

#[test]
fn a_minted_token_is_what_the_config_asks_for() {
    for algorithm in [
        "ES256", "ES384", "ES512", "RS256", "PS512", "EdDSA", "HS256", "HS512",
    ] {
        let folder = folder(algorithm);
        let (token, warnings) = mint(&folder, &[]);
        assert_eq!(warnings, "", "{algorithm}");
        assert_eq!(token.matches('.').count(), 2);
        assert_eq!(token.lines().count(), 1);
        let (code, inspection) = inspect(&folder, &format!("Bearer {token}"), &["--for", REQUEST]);
        assert_eq!(code, 0, "{inspection}");
        assert_eq!(inspection["config"]["accepted"], true);
        assert_eq!(inspection["config"]["key"]["kid"], "k1");
        assert_eq!(inspection["header"]["alg"], algorithm);
        let claims = &inspection["claims"];
        assert_eq!(claims["aud"], "mesh.example.com");
        assert_eq!(claims["realm_access"]["roles"], "reader writer");
        assert_eq!(
            (&claims["htm"], &claims["hth"]),
            (&"POST".into(), &"shop.example.com".into())
        );
        assert_eq!(claims["req"]["htu"], "/orders?x=1");
        assert!(claims["jti"].is_string() && claims["cid"].is_string());
        assert_eq!(inspection["times"]["expires_at"], "2027-01-01T00:02:00Z");
        assert_eq!(result(&inspection, "one_use"), "not_checked");
    }
}

#[test]
fn each_refusal_names_its_check() {
    let folder = folder("ES256");
    let cases: [(&[&str], &[&str], &str, &str); 7] = [
        (
            &[],
            &["--for", REQUEST, "--now", "2027-01-01T01:00:00Z"],
            "times",
            "expired",
        ),
        (
            &[],
            &["--for", REQUEST, "--now", "2026-12-31T00:00:00Z"],
            "times",
            "not_yet_valid",
        ),
        (
            &[],
            &["--for", "GET https://shop.example.com/orders?x=1"],
            "binding",
            "binding_request",
        ),
        (
            &["--audience", "other"],
            &["--for", REQUEST],
            "audience",
            "audience",
        ),
        (&["--ttl", "1h"], &["--for", REQUEST], "lifetime", "too_old"),
        (&["--type", "JWT"], &["--for", REQUEST], "type", "type"),
        (
            &["--claim", "sub=null"],
            &["--for", REQUEST],
            "required",
            "claim_required",
        ),
    ];
    for (minted, inspected, check, reason) in cases {
        let (token, _) = mint(&folder, minted);
        let arguments = [
            "token",
            "inspect",
            "--config",
            "config.yaml",
            "--format",
            "json",
        ];
        let now = ["--now", "2027-01-01T00:01:00Z"];
        let now = if inspected.contains(&"--now") {
            &[][..]
        } else {
            &now[..]
        };
        let output = folder.run_with(&[&arguments[..], now, inspected].concat(), &token);
        let inspection: Value = serde_json::from_str(&output.stdout).unwrap();
        assert_eq!(output.code, 1, "{inspection}");
        assert_eq!(inspection["config"]["reason"], reason, "{inspection}");
        assert_eq!(result(&inspection, check), "failed");
        assert_eq!(result(&inspection, "shape"), "ok");
    }
    let (token, _) = mint(&folder, &["--audience", "other"]);
    let (_, inspection) = inspect(&folder, &token, &["--for", REQUEST]);
    assert_eq!(result(&inspection, "signature"), "ok");
    assert_eq!(result(&inspection, "binding"), "not_reached");
}

#[test]
fn mint_warns_of_what_the_config_would_refuse() {
    let folder = folder("ES256");
    let (_, warnings) = mint(&folder, &["--ttl", "1h"]);
    assert!(
        warnings.contains("401 too_old: exp - iat is 1 hour, more than 2 minutes"),
        "{warnings}"
    );
    folder.run(&[
        "keys", "new", "--alg", "ES256", "--out", "key.jwk", "--force",
    ]);
    let (_, warnings) = mint(&folder, &[]);
    assert!(warnings.contains("does not have this key"), "{warnings}");
    let folder = self::folder("HS256");
    folder.write("key.jwk", &folder.read("key.jwk").replace("k1", "k2"));
    let (_, warnings) = mint(&folder, &[]);
    assert!(warnings.contains("the kid of this secret"), "{warnings}");
}

#[test]
fn a_request_or_keys_that_are_missing_are_asked_for() {
    let folder = folder("ES256");
    let (token, _) = mint(&folder, &[]);
    let (code, inspection) = inspect(&folder, &token, &[]);
    assert_eq!((code, &inspection["config"]["accepted"]), (1, &Value::Null));
    assert_eq!(result(&inspection, "binding"), "not_checked");
    // The same keys from a server.
    let config = folder.read("config.yaml");
    let inline = config
        .lines()
        .find(|line| line.contains("keys: {"))
        .unwrap();
    let remote = "    keys: {remote: {url: https://keys.example.com/, cluster: keys}}";
    folder.write("config.yaml", &config.replace(inline, remote));
    let (code, inspection) = inspect(&folder, &token, &["--for", REQUEST]);
    assert_eq!(code, 1);
    assert_eq!(result(&inspection, "key"), "not_checked");
    folder.write(
        "jwks.json",
        &folder.run(&["keys", "jwks", "key.jwk"]).stdout,
    );
    let keys = format!("{ISSUER}=jwks.json");
    let (code, inspection) = inspect(&folder, &token, &["--for", REQUEST, "--jwks", &keys]);
    assert_eq!(code, 0, "{inspection}");
    assert_eq!(inspection["config"]["key"]["source"], "keys.remote");
}

#[test]
fn the_output_is_no_token_and_no_terminal_command() {
    let folder = folder("EdDSA");
    let (token, _) = mint(&folder, &["--claim", r#"x="\u001b[2J\u202eabc""#]);
    let signature = token.trim().rsplit('.').next().unwrap().to_owned();
    folder.write("token.txt", &token);
    for format in ["text", "json"] {
        let output = folder.run(&["token", "inspect", "token.txt", "--format", format]);
        assert_eq!(output.code, 0);
        let text = output.stdout;
        assert!(!text.contains(&signature) && !text.contains(token.trim()));
        assert!(text.contains(r"\u001b[2J\u202eabc"), "{text}");
        assert!(text.chars().all(|one| one == '\n' || !one.is_control()));
    }
    let text = folder
        .run(&[
            "token",
            "inspect",
            "token.txt",
            "--now",
            "2027-01-01T00:01:30Z",
        ])
        .stdout;
    assert!(
        text.contains("issued       1 minute 30 seconds ago (2027-01-01T00:00:00Z)"),
        "{text}"
    );
    assert!(
        text.contains("expires      in 30 seconds (2027-01-01T00:02:00Z)"),
        "{text}"
    );
}

#[test]
fn tokens_keys_and_secrets_on_the_command_line_are_refused_and_not_echoed() {
    let folder = folder("HS256");
    let (token, _) = mint(&folder, &[]);
    let (token, key) = (token.trim(), folder.read("key.jwk"));
    let secret = folder.read("secret.txt");
    folder.write("token.txt", token);
    let secret_argument = format!("EDGE_SECRET={secret}");
    let inspect = [
        "token",
        "inspect",
        "token.txt",
        "--config",
        "config.yaml",
        "--secret",
    ];
    for (arguments, value) in [
        (vec!["token", "inspect", token], token),
        (vec!["mint", "--issuer", "a", "--key", &key], key.as_str()),
        (
            [&inspect[..], &[secret_argument.as_str()]].concat(),
            secret.as_str(),
        ),
    ] {
        let output = folder.run(&arguments);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""));
        assert!(!output.stderr.contains(value), "{}", output.stderr);
    }
}

#[test]
fn broken_input_is_an_error_and_a_forged_token_is_refused() {
    let folder = folder("ES256");
    for text in [
        "",
        "abc",
        "a.b.c",
        "e30.e30",
        "a.b.c.d.e",
        "{}",
        "\u{0}",
        "e30.AAAA.AA",
    ] {
        let output = folder.run_with(&["token", "inspect"], text);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{text:?}");
    }
    // Well-formed parts that the filter refuses are shown.
    let output = folder.run_with(&["token", "inspect"], "eyJhbGciOiJub25lIn0.e30.");
    assert_eq!(output.code, 1);
    assert!(
        output
            .stdout
            .contains("malformed    the signature is empty"),
        "{}",
        output.stdout
    );
    let (token, _) = mint(&folder, &[]);
    folder.run(&[
        "keys", "new", "--alg", "ES256", "--kid", "k1", "--out", "key.jwk", "--force",
    ]);
    let (forged, _) = mint(&folder, &[]);
    assert_ne!(token, forged);
    let (code, inspection) = inspect(&folder, &forged, &["--for", REQUEST]);
    assert_eq!(
        (code, &inspection["config"]["reason"]),
        (1, &"signature_invalid".into())
    );
}

#[test]
fn without_a_config_the_options_say_all() {
    let folder = folder("HS256");
    folder.write(
        "claims.json",
        r#"{"iss": "a", "sub": "from the file", "level": 1}"#,
    );
    let options = [
        "mint",
        "--key",
        "-",
        "--claims",
        "@claims.json",
        "--subject",
        "bob",
        "--audience",
        "x",
        "--audience",
        "y",
        "--role",
        "r",
        "--claim",
        "level=2",
        "--claim",
        "iat=null",
        "--now",
        "2027-01-01T00:00:00Z",
        "--ttl",
        "1h",
    ];
    let minted = folder.run_with(&options, &folder.read("key.jwk"));
    assert_eq!((minted.code, minted.stderr.as_str()), (0, ""));
    let shown = folder.run_with(&["token", "inspect", "--format", "json"], &minted.stdout);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let expected = serde_json::json!({
        "iss": "a", "sub": "bob", "level": 2, "aud": ["x", "y"], "exp": 1_798_765_200, "roles": ["r"],
    });
    assert_eq!(shown["claims"], expected);
    assert_eq!(
        shown["header"],
        serde_json::json!({"alg": "HS256", "typ": "JWT", "kid": "k1"})
    );
    // Mistakes are told before anything is signed.
    for (options, problem) in [
        (vec!["mint", "--key", "key.jwk"], "no issuer"),
        (
            vec![
                "mint", "--key", "key.jwk", "--issuer", "a", "--alg", "ES256",
            ],
            "the key is for HS256",
        ),
        (
            vec![
                "mint", "--key", "key.jwk", "--issuer", "a", "--claim", "x=y",
            ],
            "a string needs quotes",
        ),
        (
            vec![
                "mint",
                "--key",
                "key.jwk",
                "--config",
                "config.yaml",
                "--issuer",
                "b",
            ],
            "no issuer b",
        ),
        (
            vec!["mint", "--key", "-", "--issuer", "a", "--claims", "@-"],
            "only one file can be `-`",
        ),
    ] {
        let output = folder.run(&options);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""));
        assert!(output.stderr.contains(problem), "{}", output.stderr);
    }
}
