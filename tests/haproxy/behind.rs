//! HAProxy behind Envoy: the verified roles choose the pool, and nobody else does.

use std::fs;

use ct_codecs::{Base64, Encoder};
use edge_claims_harness::tls::Identity;
use edge_claims_harness::tokens::{self, Key, Order};
use edge_claims_harness::{Client, Request};
use serde_json::json;

use crate::chain::*;
use crate::files::Files;

const PATH: &str = "/tenants/a/orders/7";

/// What a client may try in order to be an editor.
pub fn spoofed(request: &Request) -> Vec<Request> {
    let request = || request.clone();
    let mut attempts: Vec<Request> = [
        "x-auth-roles",
        "X-Auth-Roles",
        "x_auth_roles",
        "x-auth_roles",
        "X_AUTH-ROLES",
        "x.auth.roles",
    ]
    .iter()
    .flat_map(|name| {
        [
            "editor",
            "reader,editor",
            "editor,",
            ",editor",
            "editor, ",
            "\"editor\"",
        ]
        .map(|value| request().header(name, value))
    })
    .collect();
    attempts.extend([
        request()
            .header("x-auth-roles", "reader")
            .header("x-auth-roles", "editor"),
        request()
            .header("x-auth-roles", "editor")
            .header("X-Auth-Roles", "reader"),
        // As if the header were for the next hop only (RFC 9110 §7.6.1).
        request()
            .header("connection", "x-auth-roles")
            .header("x-auth-roles", "editor"),
        request().header("connection", "x-auth-roles, x-auth-subject"),
        request().trailer("x-auth-roles", "editor"),
    ]);
    attempts
}

#[test]
fn the_verified_roles_choose_the_pool_and_a_spoofed_header_chooses_nothing() {
    for behind in BEHINDS {
        let chain = Chain::with(&Options {
            behind: Some(behind),
            ..Options::default()
        });
        let edge = chain.edge();
        for (roles, pool) in [
            (&["reader", "editor"][..], "editors"),
            (&["editor"], "editors"),
            (&["editor", "x"], "editors"),
            (&["reader"], "readers"),
            // Parts of a name, and names that hold separators.
            (&["reader", "noneditor"], "readers"),
            (&["reader", "editors"], "readers"),
            (&["reader", "x,editor"], "readers"),
            (&["reader", "\"editor"], "readers"),
            (&["reader", "\"editor\""], "readers"),
            (&["reader", ",\"editor\","], "readers"),
            (&["\"", "editor", "\"", "reader"], "editors"),
        ] {
            let request = edge.get(PATH).header("x-correlation-id", "pool-1");
            let response = with_token(request, &token("alice", roles)).send();
            assert_eq!(response.status, 200, "{behind}, {roles:?}: {response:?}");
            let (name, seen) = chain.only();
            assert_eq!(name, pool, "{behind}, {roles:?}");
            assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
            assert_eq!(seen.header("x-edge-claims"), None, "{behind}");
            assert_eq!(seen.header("x-mesh-secret"), None, "{behind}");
            assert_eq!(chain.behind.record("pool-1")["outcome"], "forwarded");
        }

        // In front of HAProxy, and around it with its certificate: the filter alone suffices.
        let front = Files::shared().identity("front");
        let proxy = "PROXY TCP4 203.0.113.7 127.0.0.1 4000 10443\r\n";
        for client in [edge, chain.to_envoy(Some(&front)).preface(proxy)] {
            let reader = with_token(client.get(PATH), &token("alice", &["reader"]));
            for request in spoofed(&reader) {
                let shown = format!("{request:?}");
                let response = request.send();
                if response.status != 200 {
                    assert_eq!(chain.count(), 0, "{behind}: {shown}: {response:?}");
                    continue;
                }
                let (name, seen) = chain.only();
                assert_eq!(name, "readers", "{behind}: {shown}");
                let roles: Vec<_> = seen
                    .headers
                    .iter()
                    .chain(&seen.trailers)
                    .filter(|(name, _)| is_roles(name))
                    .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                    .collect();
                assert!(
                    roles.iter().all(|roles| roles == "reader"),
                    "{behind}: {shown}: {roles:?}"
                );
            }
        }
    }
}

#[test]
fn a_public_route_gets_no_identity_from_a_client() {
    let chain = Chain::start();
    for request in spoofed(&chain.edge().get("/public/x")) {
        let shown = format!("{request:?}");
        assert_eq!(request.send().status, 200, "{shown}");
        let (name, seen) = chain.only();
        assert_eq!(name, "readers", "{shown}");
        assert!(
            !seen.headers.iter().any(|(name, _)| is_roles(name)),
            "{shown}: {seen:?}"
        );
    }
}

fn is_roles(name: &[u8]) -> bool {
    let folded: String = name
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    folded == "xauthroles"
}

#[test]
fn nobody_reaches_the_pools_around_envoy() {
    let (readers, editors) = (pool(), pool());
    let files = Files::shared();
    let other = Files::new().identity("envoy");
    let count = || readers.count() + editors.count();

    // By certificate: none, those of other hops, another authority's.
    let (running, port) = behind(BEHINDS[0], &readers, &editors);
    let client = |identity: Option<&Identity>| Client::with_tls(port, files.tls(BEHIND, identity));
    let editor = |client: Client| {
        let request = client.get(PATH).header("x-auth-subject", "root");
        request.header("x-auth-roles", "editor")
    };
    for identity in [None, Some(other)] {
        let response = editor(client(identity.as_ref())).send();
        assert_eq!(response.status, 0, "{response:?}");
    }
    for name in ["edge", "front", "behind"] {
        let identity = files.identity(name);
        let response = editor(client(Some(&identity)))
            .header("x-mesh-secret", MESH_SECRET)
            .send();
        assert_eq!(
            (response.status, &*code(&response)),
            (403, "not_from_envoy"),
            "{name}"
        );
    }
    assert_eq!(count(), 0);
    let response = editor(client(Some(&files.identity("envoy")))).send();
    assert_eq!((response.status, editors.count()), (200, 1), "{response:?}");
    let _ = editors.take();
    drop(running);

    // By secret.
    let (_running, port) = behind(BEHINDS[1], &readers, &editors);
    let client = Client::with_tls(port, files.tls(BEHIND, Some(&files.identity("envoy"))));
    let wrong = format!("{MESH_SECRET}x");
    for secret in ["", "-", "x", &wrong, &MESH_SECRET[1..]] {
        let response = editor(client.clone())
            .header("x-mesh-secret", secret)
            .send();
        assert_eq!(
            (response.status, &*code(&response)),
            (403, "not_from_envoy"),
            "{secret}"
        );
    }
    assert_eq!(editor(client.clone()).send().status, 403);
    assert_eq!(
        editor(client.clone())
            .header("x_mesh_secret", MESH_SECRET)
            .send()
            .status,
        403
    );
    assert_eq!(count(), 0);
    assert_eq!(
        editor(client)
            .header("x-mesh-secret", MESH_SECRET)
            .send()
            .status,
        200
    );
    assert_eq!(editors.take().len(), 1);
}

#[test]
fn the_haproxy_that_verifies_the_token_itself_believes_no_other() {
    let (readers, editors) = (pool(), pool());
    let (_running, port) = behind(BEHINDS[2], &readers, &editors);
    let client = Client::with_tls(port, Files::shared().tls(BEHIND, None));
    let request = || {
        client
            .get(PATH)
            .header("x-auth-roles", "editor")
            .header("x-auth-subject", "root")
    };
    let now = tokens::now();
    let roles = json!(["editor"]);
    let claims = |changes| tokens::claims(&changes);
    let good = token("alice", &["editor"]);
    let parts: Vec<&str> = good.split('.').collect();
    let none = tokens::assemble(
        br#"{"alg":"none"}"#,
        claims(json!({"roles": roles})).to_string().as_bytes(),
        b"",
    );
    let forged = Key::secret("HS256", "edge-1", b"another-secret-0123456789abcdef0123");
    for (name, token) in [
        (
            "expired",
            token_with(&json!({"roles": roles, "exp": now - 1})),
        ),
        (
            "without expiry",
            token_with(&json!({"roles": roles, "exp": null})),
        ),
        (
            "another issuer",
            token_with(&json!({"roles": roles, "iss": "https://evil.example.com"})),
        ),
        (
            "another audience",
            token_with(&json!({"roles": roles, "aud": "other"})),
        ),
        ("another key", forged.sign(&claims(json!({"roles": roles})))),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("alg none", none),
        (
            "HS384",
            Key::secret("HS384", "edge-1", CLAIMS_SECRET.as_bytes())
                .sign(&claims(json!({"roles": roles}))),
        ),
        ("garbage", "x".to_owned()),
        ("empty", String::new()),
    ] {
        let response = request().header("x-edge-claims", token).send();
        assert_eq!(
            (response.status, &*code(&response)),
            (403, "claims_refused"),
            "{name}"
        );
    }
    assert_eq!(request().send().status, 403, "no token");
    let twice = request()
        .header("x-edge-claims", &good)
        .header("x-edge-claims", &good);
    assert_eq!(twice.send().status, 403, "two tokens");
    assert_eq!(readers.count() + editors.count(), 0);

    // Only the roles claim has roles.
    for other in [
        json!({"roles": ["reader"], "x": {"roles": ["editor"]}}),
        json!({"roles": [["editor"], {"editor": "editor"}]}),
        json!({"roles": "editor"}),
        json!({"sub": "\"roles\":[\"editor\"]", "roles": ["reader"]}),
    ] {
        let response = request().header("x-edge-claims", token_with(&other)).send();
        assert_eq!((response.status, readers.take().len()), (200, 1), "{other}");
    }

    // The token counts, whatever the headers say.
    let reader = request().header("x-edge-claims", token("alice", &["reader"]));
    assert_eq!(reader.send().status, 200);
    let seen = readers.only();
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-auth-roles"), None);
    assert_eq!(request().header("x-edge-claims", good).send().status, 200);
    assert_eq!(editors.take().len(), 1);
}

#[test]
fn the_lines_for_es256_verify_es256_alone() {
    let files = Files::shared();
    let key = Key::generate("ES256", "edge-1");
    let pem = public_pem(&key);
    fs::write(files.path("certs/edge-claims.pem"), &pem).unwrap();
    let text = files.read(BEHINDS[2]);
    // The comment has the lines to put in place of those with HS256.
    let commented: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   acl "))
        .collect();
    let current: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("  acl") && line.contains("HS256"))
        .collect();
    let changes: Vec<(&str, String)> = current
        .iter()
        .zip(&commented)
        .map(|(old, new)| (*old, format!("  acl {new}")))
        .collect();
    assert_eq!(changes.len(), 2, "{current:?} {commented:?}");
    let changes: Vec<(&str, &str)> = changes.iter().map(|(old, new)| (*old, &**new)).collect();
    let file = files.changed(BEHINDS[2], "behind-es256.cfg", &changes);

    let (readers, editors) = (pool(), pool());
    let (_running, port) = behind_file(&file, &readers, &editors);
    let client = Client::with_tls(port, files.tls(BEHIND, None));
    let send = |token: &str| {
        client
            .get(PATH)
            .header("x-edge-claims", token)
            .send()
            .status
    };
    let claims = tokens::claims(&json!({"roles": ["editor"]}));
    assert_eq!(send(&key.sign(&claims)), 200);
    assert_eq!(editors.take().len(), 1);
    assert_eq!(
        send(&Key::generate("ES256", "edge-1").sign(&claims)),
        403,
        "another key"
    );
    assert_eq!(send(&token("alice", &["editor"])), 403, "HS256");
    // The public key as a secret.
    let confused = Key::secret("HS256", "edge-1", pem.as_bytes()).sign(&claims);
    assert_eq!(send(&confused), 403);
    let hs = Key::secret("HS256", "edge-1", pem.as_bytes());
    let es_header = Order::raw(
        &hs,
        br#"{"alg":"ES256","kid":"edge-1"}"#,
        claims.to_string(),
    );
    assert_eq!(send(&tokens::mint(&[es_header])[0]), 403);
    assert_eq!(readers.count() + editors.count(), 0);
}

/// The public key as PEM: a SubjectPublicKeyInfo (RFC 5480) for P-256.
fn public_pem(key: &Key) -> String {
    const PREFIX: [u8; 27] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    let jwk = key.jwk();
    let mut der = PREFIX.to_vec();
    for name in ["x", "y"] {
        der.extend(tokens::from_base64url(
            jwk[name].as_str().expect("a coordinate"),
        ));
    }
    let text = Base64::encode_to_string(der).expect("short enough");
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| str::from_utf8(line).expect("ASCII"))
        .collect();
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        lines.join("\n")
    )
}
