//! CGI turns every byte of a header's name that is no letter or digit into `_` (RFC 3875 §4.1.18), and
//! much else does the same. A header that reads like a reserved one there is an alias of it here.

use edge_claims_harness::{Backend, Request, Seen};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

/// The bytes of a header name (RFC 9110 §5.6.2) that are no letter or digit.
const OTHER_BYTES: &[u8] = b"!#$%&'*+-.^_`|~";

/// A name with each `-` replaced, byte by byte of that list, and mixtures of them.
fn aliases(name: &str) -> Vec<String> {
    let mut all: Vec<String> = OTHER_BYTES
        .iter()
        .filter(|byte| **byte != b'-')
        .map(|byte| name.replace('-', &char::from(*byte).to_string()))
        .collect();
    all.push(name.replacen('-', ".", 1));
    all.push(name.replacen('-', "_", 1).replacen('-', ".", 1));
    all.push(name.to_uppercase().replace('-', "."));
    all.push(name.to_uppercase().replace('-', "|"));
    all
}

/// The name as CGI has it.
fn folded(name: &[u8]) -> String {
    let fold = |byte: &u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte.to_ascii_uppercase()),
        false => '_',
    };
    name.iter().map(fold).collect()
}

/// The headers that a CGI program would see under the name of this one.
fn read_as(seen: &Seen, name: &str) -> Vec<String> {
    let wanted = folded(name.as_bytes());
    seen.headers
        .iter()
        .filter(|(other, _)| folded(other) == wanted)
        .map(|(_, value)| edge_claims_harness::printable(value))
        .collect()
}

/// Sends a request in both protocols; what reached the upstream, where Envoy let the name through.
fn sent(world: &World, request: &Request) -> Vec<Seen> {
    let mut all = Vec::new();
    for request in [request.clone(), request.clone().http2()] {
        let response = request.send();
        let seen = world.upstream.take();
        if response.status == 200 {
            assert_eq!(seen.len(), 1, "{response:?}");
        } else {
            // Envoy's own refusal of the name; ours would be a problem document.
            assert!(
                response.status == 400 || response.error.is_some(),
                "{response:?}"
            );
            assert_eq!(seen, []);
        }
        all.extend(seen);
    }
    all
}

#[test]
fn identity_headers_are_taken_away_in_every_alias() {
    let world = World::start();
    let token = world.token_of(&["reader"]);
    let mut arrived = 0;
    for name in aliases("x-auth-subject") {
        let public = world.envoy.get("/public/x").header(&name, "root");
        for seen in sent(&world, &public) {
            assert_eq!(read_as(&seen, "x-auth-subject"), [""; 0], "{name}");
            arrived += 1;
        }
        let me = world.envoy.get("/me").header(CLAIMS, &token);
        for seen in sent(&world, &me.header(&name, "root")) {
            assert_eq!(read_as(&seen, "x-auth-subject"), ["alice"], "{name}");
        }
    }
    assert!(arrived > 20, "Envoy let {arrived} of the names through");
}

#[test]
fn aliases_of_identity_headers_can_be_refused() {
    let world = World::with(
        |policy| policy["identity"]["on_spoof"] = json!("reject"),
        |setup| setup,
    );
    for name in [
        "x.auth.subject",
        "X.Auth_Subject",
        "x~auth-subject",
        "x-auth.roles",
    ] {
        let request = world.envoy.get("/public/x").header(name, "root");
        world.denied(request.clone(), 400, "spoofed_header");
        // HTTP/2 has no upper-case names (RFC 9113 §8.2.1).
        if name == name.to_ascii_lowercase() {
            world.denied(request.http2(), 400, "spoofed_header");
        }
    }
}

#[test]
fn the_token_goes_on_under_no_alias() {
    let world = World::start();
    let token = world.token_of(&["reader"]);
    for name in aliases(CLAIMS) {
        for request in [
            world.envoy.get("/public/x"),
            world.envoy.get("/me").header(CLAIMS, &token),
        ] {
            for seen in sent(&world, &request.header(&name, &token)) {
                assert_eq!(read_as(&seen, CLAIMS), [""; 0], "{name}");
            }
        }
        // It is not the token's header either.
        let request = world.envoy.get("/me").header(&name, &token);
        let response = request.send();
        assert_ne!(response.status, 200, "{name}");
        assert_eq!(world.upstream.take(), []);
    }
}

#[test]
fn the_correlation_id_has_one_name() {
    let world = World::with(
        |policy| {
            policy["correlation"] = json!({"accept": ["x-correlation-id", "x-request-trace"]});
        },
        |setup| setup,
    );
    for name in aliases("x-correlation-id") {
        let request = world
            .envoy
            .get("/public/x")
            .header("x-correlation-id", "mine")
            .header(&name, "another");
        for seen in sent(&world, &request) {
            assert_eq!(
                read_as(&seen, "x-correlation-id").len(),
                1,
                "{name}: {seen:?}"
            );
            assert_eq!(seen.header("x-correlation-id").as_deref(), Some("mine"));
        }
    }
}

#[test]
fn stripped_and_override_headers_are_taken_away_in_every_alias() {
    for configured in [None, Some(json!(["x-internal-user", "x-original-url"]))] {
        let names: &[&str] = match configured {
            None => &["x-http-method-override", "x-original-url", "x-rewrite-url"],
            Some(_) => &["x-internal-user", "x-original-url"],
        };
        let world = World::with(
            |policy: &mut Value| {
                if let Some(strip) = &configured {
                    policy["identity"]["strip"] = strip.clone();
                }
            },
            |setup| setup,
        );
        for name in names {
            for alias in aliases(name) {
                let request = world.envoy.get("/public/x").header(&alias, "/admin");
                for seen in sent(&world, &request) {
                    assert_eq!(read_as(&seen, name), [""; 0], "{alias}");
                }
            }
        }
    }
}

#[test]
fn headers_that_name_another_request_are_taken_away_by_default() {
    let world = World::start();
    for name in [
        "x-http-method-override",
        "x-method-override",
        "x-http-method",
        "x-original-url",
        "x-rewrite-url",
        "x-original-uri",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-envoy-original-path",
        "x-middleware-subrequest",
    ] {
        let request = world.envoy.get("/public/x").header(name, "/admin");
        for seen in sent(&world, &request) {
            assert_eq!(read_as(&seen, name), [""; 0], "{name}");
        }
    }
    // Whoever needs them says so.
    let world = World::with(
        |policy| policy["identity"]["strip"] = json!([]),
        |setup| setup,
    );
    let request = world
        .envoy
        .get("/public/x")
        .header("x-forwarded-uri", "/admin");
    let seen = world.allowed(request);
    assert_eq!(seen.header("x-forwarded-uri").as_deref(), Some("/admin"));
}

#[test]
fn headers_that_only_resemble_reserved_ones_stay() {
    let world = World::start();
    for name in [
        "xauthsubject",
        "x-auth-subject-2",
        "x--auth-subject",
        "auth.subject",
        "x.auth",
    ] {
        let seen = world.allowed(world.envoy.get("/public/x").header(name, "v"));
        assert_eq!(seen.header(name).as_deref(), Some("v"), "{name}");
    }
}

#[test]
fn a_cgi_program_is_given_the_verified_subject_alone() {
    let cgi = Backend::cgi();
    let world = World::with(
        |policy| {
            policy["rbac"]["routes"] = json!([
                {"name": "program", "path": "/environment.cgi", "allow": "public"}]);
        },
        |setup| {
            setup
                .cluster(cgi.cluster())
                .virtual_hosts(&[(&["*"], "cgi")])
        },
    );
    let variables = |request: Request, name: &str| -> Vec<String> {
        let response = request.send();
        assert_eq!(response.status, 200, "{response:?}");
        let text = response.text();
        let values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.map(str::to_owned).collect()
    };
    // lighttpd does what the RFC says, so that an alias would be seen.
    let direct = cgi
        .client()
        .get("/environment.cgi")
        .header("connection", "close");
    let direct = direct.header("x.auth.subject", "root");
    assert_eq!(variables(direct, "HTTP_X_AUTH_SUBJECT"), ["root"]);
    let token = world.token(&json!({}));
    for name in [
        "x.auth.subject",
        "x_auth_subject",
        "X.Auth-Subject",
        "x~auth!subject",
    ] {
        let public = world.envoy.get("/environment.cgi").header(name, "root");
        let verified = public.clone().header(CLAIMS, &token);
        for (request, expected) in [(public, None), (verified, Some("alice"))] {
            // HTTP/2 has no upper-case names (RFC 9113 §8.2.1).
            let is_lower_case = name == name.to_ascii_lowercase();
            let over_http2 = is_lower_case.then(|| request.clone().http2());
            for request in [Some(request), over_http2].into_iter().flatten() {
                let subjects = variables(request, "HTTP_X_AUTH_SUBJECT");
                assert_eq!(subjects, Vec::from_iter(expected), "{name}");
            }
        }
    }
}
