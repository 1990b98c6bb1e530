//! No spelling of a path reaches what is guarded, whatever the backend makes of it.

use edge_claims_harness::setup::PathNormalization;
use edge_claims_harness::{Client, Response};
use serde_json::json;

use crate::support::{CLAIMS, World};

/// Spellings of `/admin/secret`, or of ways to it from a public folder.
const SPELLINGS: &[&str] = &[
    "/admin/secret",
    "/admin",
    "/admin/",
    "//admin/secret",
    "///admin/secret",
    "/./admin/secret",
    "/public/../admin/secret",
    "/public/x/../../admin/secret",
    "/public/%2e%2e/admin/secret",
    "/public/%2E%2e/admin/secret",
    "/public/.%2e/admin/secret",
    "/public/..%2fadmin/secret",
    "/public/%2e%2e%2fadmin%2fsecret",
    "/public%2f..%2fadmin/secret",
    "/public/%252e%252e/admin/secret",
    "/public/%252e%252e%252fadmin",
    "/public/..%252fadmin/secret",
    "/public/..;/admin/secret",
    "/public/..;x=1/admin/secret",
    "/public/..%3b/admin/secret",
    "/public/..%253b/admin/secret",
    "/public;/../admin/secret",
    "/public/;/../admin/secret",
    "/public/x/..;/..;/admin/secret",
    "/public\\..\\admin\\secret",
    "/public/..\\admin\\secret",
    "/public/%5c..%5cadmin%5csecret",
    "/public/..%5cadmin/secret",
    "/public/..%255cadmin/secret",
    "\\admin\\secret",
    "/\\admin/secret",
    "/%5cadmin/secret",
    "/public//..//admin/secret",
    "/public/.//../admin/secret",
    "/admin%2fsecret",
    "/admin%2Fsecret",
    "/%61dmin/secret",
    "/adm%69n/secret",
    "/%2561dmin/secret",
    "/admin;x=1/secret",
    "/admin;/secret",
    "/;/admin/secret",
    "/;x/admin/secret",
    "/admin%3b/secret",
    "/admin%00/secret",
    "/admin%00",
    "/public/%00/../admin/secret",
    "/admin/secret%00.css",
    "/admin%0a/secret",
    "/admin%20/secret",
    "/admin%09",
    "/admin%c0%af/secret",
    "/public/%c0%ae%c0%ae/admin/secret",
    "/public/%e0%80%ae%e0%80%ae/admin/secret",
    "/public/%c0%ae%c0%ae%c0%afadmin",
    "/public/..%c1%9cadmin",
    "/public/%u002e%u002e/admin",
    "/public/%2",
    "/public/%",
    "/public/%zz/../admin",
    "/admin#/../public/x",
    "/public/x#/../../admin",
    "/admin?/../public/x",
    "/admin%3f/../public/x",
    "/admin%23/../public/x",
    "/public/../admin/secret?x=/public/x",
    "/PUBLIC/../admin/secret",
    "/public/.../admin",
    "/../admin/secret",
    "/../../admin/secret",
    "/public/../../admin/secret",
    "/public/.. /admin",
    "/public/..%20/admin",
    "/public/..%09/admin",
    "*",
    "admin/secret",
    "http://shop.example.com/admin/secret",
    "http://shop.example.com/public/../admin/secret",
    "http://evil.example/admin/secret",
    "https://shop.example.com//admin/secret",
    "http:/admin/secret",
    "?/admin",
    "/?/admin",
];

/// Whether any backend could take this request target for something below `/admin`: it decodes once
/// or twice, cuts `;params` or not, takes `\` for `/` or not, resolves dots, ignores case.
fn could_be_admin(target: &str) -> bool {
    let without_query = target.split(['?', '#']).next().unwrap_or_default();
    let mut readings = vec![without_query.to_owned()];
    for _ in 0..2 {
        let decoded: Vec<String> = readings.iter().map(|text| decode(text)).collect();
        readings.extend(decoded);
    }
    let mut more: Vec<String> = readings
        .iter()
        .map(|text| text.replace('\\', "/"))
        .collect();
    readings.append(&mut more);
    let cut = |text: &String| {
        let parts = text
            .split('/')
            .map(|part| part.split(';').next().unwrap_or_default());
        parts.collect::<Vec<_>>().join("/")
    };
    let mut more: Vec<String> = readings.iter().map(cut).collect();
    readings.append(&mut more);
    // A NUL ends a path for backends in C.
    let cut = |text: &String| text.split('\0').next().unwrap_or_default().to_owned();
    let mut more: Vec<String> = readings.iter().map(cut).collect();
    readings.append(&mut more);
    readings.iter().any(|text| {
        resolve(text)
            .first()
            .is_some_and(|first| first.trim() == "admin")
    })
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes
            .get(at + 1..at + 3)
            .and_then(|digits| str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn resolve(path: &str) -> Vec<String> {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other.to_ascii_lowercase()),
        }
    }
    segments
}

#[test]
fn no_spelling_reaches_what_is_guarded() {
    use PathNormalization::{Base, DecodeAndMergeSlashes, MergeSlashes, None};
    for normalization in [None, Base, MergeSlashes, DecodeAndMergeSlashes] {
        let world = World::with(|_| {}, |setup| setup.path_normalization(normalization));
        let token = world.token_of(&["reader"]);
        let mut passed = 0;
        for spelling in SPELLINGS {
            for request in [
                world.envoy.get(spelling),
                world.envoy.get(spelling).http2(),
                world.envoy.get(spelling).header(CLAIMS, &token),
            ] {
                let response = request.send();
                assert!(
                    response.status != 503,
                    "{normalization:?} {spelling}: {response:?}"
                );
                for seen in world.upstream.take() {
                    passed += 1;
                    assert!(
                        !could_be_admin(&seen.path()),
                        "{normalization:?}: {spelling} went through as {}",
                        seen.path()
                    );
                }
            }
        }
        println!(
            "{normalization:?}: {passed} of {} passed, none guarded",
            3 * SPELLINGS.len()
        );
    }
}

#[test]
fn ambiguous_and_malformed_paths_have_their_reasons() {
    let world = World::start();
    let get = |path: &str| world.envoy.get(path);
    for path in [
        "/public/../me",
        "/public/./x",
        "/public//x",
        "/public/a%2fb",
        "/public/%252e",
        "/public/a;b",
        "/public/a%5cb",
        "/public/..;/x",
    ] {
        world.denied(get(path), 400, "path_ambiguous");
    }
    for path in [
        "/public/%00",
        "/public/%",
        "/public/%zz",
        "/public/%c0%af",
        "/public/%0a",
    ] {
        world.denied(get(path), 400, "request_malformed");
    }
}

#[test]
fn the_upstream_sees_the_path_as_it_was_sent_unless_unreserved_characters_are_encoded() {
    let world = World::start();
    for path in [
        "/public/a~?a=%2F..%2F&b=//",
        "/public/%21%2b",
        "/public/caf%C3%A9",
        "/public/a%20b",
        "/public/x?y=/../admin;x",
        "/public/signed?X-Amz-Signature=a%2Bb%3D",
        "/public/",
        "/public/a:b@c!$&'()*+,=",
    ] {
        assert_eq!(world.allowed(world.envoy.get(path)).path(), path);
        assert_eq!(world.allowed(world.envoy.get(path).http2()).path(), path);
    }
}

#[test]
fn normalized_segments_are_written_back() {
    let world = World::with(
        |policy| {
            policy["rbac"]["path"] =
                json!({"dot_segments": "normalize", "empty_segments": "normalize"});
        },
        |setup| setup,
    );
    for (sent, seen) in [
        ("/public/a/../b?q=/../x", "/public/b?q=/../x"),
        ("/public//a", "/public/a"),
        ("/x/%2e%2e/public/a", "/public/a"),
        ("//public/./a/", "/public/a/"),
    ] {
        assert_eq!(world.allowed(world.envoy.get(sent)).path(), seen, "{sent}");
    }
    world.denied(world.envoy.get("/public/../admin/x"), 401, "claims_missing");
    world.denied(world.envoy.get("/public//../admin"), 401, "claims_missing");
}

#[test]
fn a_kept_class_stays_inside_its_segment() {
    let world = World::with(
        |policy| {
            let files = json!({"name": "files", "path": "/files/{name}", "allow": "public",
                "path_rules": {"encoded_slash": "keep"}});
            policy["rbac"]["routes"].as_array_mut().unwrap().push(files);
        },
        |setup| setup,
    );
    assert_eq!(
        world.allowed(world.envoy.get("/files/a%2Fb")).path(),
        "/files/a%2Fb"
    );
    world.denied(world.envoy.get("/files/a/b"), 401, "claims_missing");
    world.denied(world.envoy.get("/public/a%2Fb"), 400, "path_ambiguous");
    world.denied(world.envoy.get("/files/..%2Fadmin"), 400, "path_ambiguous");
}

#[test]
fn request_targets_that_are_no_paths_never_get_through() {
    let world = World::with(
        |_| {},
        |setup| {
            setup.hcm(&json!({"upgrade_configs": [{"upgrade_type": "CONNECT"}],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"connect_matcher": {}}, "route": {"cluster": "upstream",
                    "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}]}},
                {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},
            ]}]}}))
        },
    );
    let client: Client = world.envoy.client();
    let token = world.token_of(&["admin"]);
    let line = |target: &str| {
        format!("{target} HTTP/1.1\r\nhost: shop.example.com\r\nx-edge-claims: {token}\r\n\r\n")
    };
    for target in [
        "CONNECT shop.example.com:443",
        "CONNECT /admin",
        "CONNECT 127.0.0.1:22",
        "OPTIONS *",
        "GET *",
        "GET ",
        "GET admin",
        "GET /admin /x",
        " /admin",
    ] {
        let response = client.raw(line(target).as_bytes());
        assert!(refused(&response), "{target}: {response:?}");
    }
    for request in [
        world
            .envoy
            .request("CONNECT", "")
            .header(CLAIMS, &token)
            .http2(),
        world
            .envoy
            .request("CONNECT", "/admin")
            .header(CLAIMS, &token)
            .http2(),
        world
            .envoy
            .request("GET", "")
            .header(CLAIMS, &token)
            .http2(),
        world
            .envoy
            .request("GET", "*")
            .header(CLAIMS, &token)
            .http2(),
        world
            .envoy
            .request("GET", "admin")
            .header(CLAIMS, &token)
            .http2(),
        world
            .envoy
            .request("", "/admin")
            .header(CLAIMS, &token)
            .http2(),
    ] {
        let response = request.clone().send();
        assert!(refused(&response), "{request:?}: {response:?}");
    }
    assert_eq!(world.upstream.take(), []);
}

#[test]
fn absolute_form_is_decided_by_its_path_and_its_host() {
    let world = World::with(
        |policy| {
            policy["rbac"]["routes"] = json!([{"name": "p", "hosts": ["shop.example.com"],
                "path": "/public/{*rest}", "allow": "public"}]);
        },
        |setup| setup.hcm(&json!({"http_protocol_options": {"allow_absolute_url": true}})),
    );
    let send = |target: &str, host: &str| {
        world
            .envoy
            .raw(format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())
    };
    assert_eq!(
        send("http://shop.example.com/public/x", "other.example").status,
        200
    );
    assert_eq!(world.upstream.only().path(), "/public/x");
    for (target, host) in [
        ("http://other.example/public/x", "shop.example.com"),
        ("http://shop.example.com/admin", "shop.example.com"),
        (
            "http://shop.example.com@other.example/public/x",
            "shop.example.com",
        ),
    ] {
        let response = send(target, host);
        assert!(refused(&response), "{target}: {response:?}");
        assert_eq!(world.upstream.take(), []);
    }
}

fn refused(response: &Response) -> bool {
    (400..500).contains(&response.status) || response.error.is_some()
}
