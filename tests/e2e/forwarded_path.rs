//! The path that goes on is the one that was judged, so that Envoy's routes and every backend read it
//! in the same way; and the path in the access log is that path.

use edge_claims_harness::Upstream;
use edge_claims_harness::upstream::Answer;
use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

/// Percent-encoded unreserved characters (RFC 3986 §2.3) mean themselves, all else stays as sent.
const FORWARDED: [(&str, &str); 14] = [
    ("/%70ublic/x", "/public/x"),
    ("/%70%75%62%6C%69%63/x", "/public/x"),
    ("/%70%75%62%6c%69%63/x", "/public/x"),
    ("/public/%7Euser", "/public/~user"),
    ("/public/a%2Db%5Fc%39", "/public/a-b_c9"),
    ("/public/a%2Eb", "/public/a.b"),
    ("/public/%41%5A%61%7a", "/public/AZaz"),
    ("/public/a%3Ab%40c", "/public/a%3Ab%40c"),
    ("/public/a%20b", "/public/a%20b"),
    ("/public/%C3%A9", "/public/%C3%A9"),
    ("/public/%c3%a9", "/public/%c3%a9"),
    ("/public/a%2Bb", "/public/a%2Bb"),
    ("/%70ublic/x?q=%70&r=%2e%2e", "/public/x?q=%70&r=%2e%2e"),
    ("/public/x?%70=/%70", "/public/x?%70=/%70"),
];

#[test]
fn percent_encoded_unreserved_characters_go_on_decoded() {
    let world = World::start();
    for (sent, forwarded) in FORWARDED {
        for request in [world.envoy.get(sent), world.envoy.get(sent).http2()] {
            assert_eq!(world.allowed(request).path(), forwarded, "{sent}");
        }
    }
}

#[test]
fn envoys_route_is_chosen_by_the_path_that_was_judged() {
    let public = Upstream::answering(|seen| Answer {
        headers: vec![(b"x-cluster".to_vec(), b"public".to_vec())],
        ..Answer::echo(seen)
    });
    let world = World::with(
        |_| {},
        |setup| {
            let route = |prefix: &str, cluster: &str| json!({"match": {"prefix": prefix}, "route": {"cluster": cluster}});
            setup.upstream("public", &public).hcm(
                &json!({"route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
                    "routes": [route("/public/", "public"), route("/", "upstream")]}]}}),
            )
        },
    );
    for path in ["/public/x", "/%70ublic/x", "/publi%63/x", "/%70ublic/x?q=1"] {
        for request in [world.envoy.get(path), world.envoy.get(path).http2()] {
            let response = request.send();
            assert_eq!(
                world.upstream.take(),
                [],
                "{path} reached the cluster of other paths"
            );
            assert_eq!(response.status, 200, "{path}: {response:?}");
            assert_eq!(public.take().len(), 1, "{path}");
        }
    }
}

fn path_in_access_log(policy: &mut Value) {
    policy["log"] = json!({"access_fields": ["correlation_id", "verdict", "path"]});
}

#[test]
fn the_access_log_has_the_path_that_was_judged_whatever_a_client_sends() {
    let world = World::with(path_in_access_log, |setup| setup);
    let token = world.token_of(&["reader"]);
    for (sent, judged, status) in [
        ("/me", "/me", 200),
        ("/admin/x", "/admin/x", 403),
        ("/nowhere", "/nowhere", 403),
        ("/%70ublic/x", "/public/x", 200),
        ("/public/x", "/public/x", 200),
    ] {
        for header in ["x-envoy-original-path", "X-Envoy-Original-Path"] {
            let request = world.envoy.get(sent).header(CLAIMS, &token);
            let response = request.header(header, "/elsewhere").send();
            assert_eq!(response.status, status, "{sent}: {response:?}");
            let id = response.header("x-correlation-id").unwrap();
            let record = world
                .envoy
                .wait_for_access(|record| record["correlation_id"] == id.as_str());
            assert_eq!(record["judged_path"], judged, "{record}");
        }
    }
}

#[test]
fn a_path_that_was_refused_cannot_break_the_access_log() {
    let world = World::with(path_in_access_log, |setup| setup);
    for path in ["/public/%0A%22x", "/public/../x", "/public/%00", "/a\"b"] {
        let response = world.envoy.get(path).header("x-test", path).send();
        assert!(
            (400..500).contains(&response.status),
            "{path}: {response:?}"
        );
        let record = world.envoy.access_of(path);
        let logged = record["judged_path"].to_string();
        assert!(!logged.contains("\\n"), "{record}");
        assert!(logged.len() < 1_000, "{record}");
    }
}
