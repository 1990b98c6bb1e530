//! The login with a real provider (npm oidc-provider): from the redirect to the mesh with one correlation ID, and
//! the attacks on it. The rules one by one are tested in `examples/fastly-edge/src/login/tests.rs`.

use edge_claims_harness::provider::Provider;
use edge_claims_harness::{Response, Upstream};
use serde_json::{Value, json};

use crate::browser::{Browser, SHOP, redirect};
use crate::mesh::Mesh;
use crate::viceroy::{Stores, Viceroy};
use crate::world::{World, payload};

/// A provider that knows the edge as its client.
pub fn provider(authentication: &str) -> Provider {
    let mut provider = Provider::start();
    let mut client = json!({
        "client_id": "shop",
        "redirect_uris": [format!("{SHOP}/login/callback")],
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": authentication,
        "id_token_signed_response_alg": "ES256",
    });
    if authentication != "none" {
        client["client_secret"] = json!(SECRET);
    }
    provider.register(&client);
    provider
}

const SECRET: &str = "a secret of the tests, with : and &";

/// The example's settings for this provider.
pub fn settings(provider: &Provider, authentication: &str) -> Value {
    let issuer = provider.issuer();
    let mut settings = World::settings();
    settings["session"]["issuer"] = json!(issuer);
    settings["session"]["roles"] = json!(["roles"]);
    settings["session"]["jwks"] = json!({"uri": format!("{issuer}/jwks"), "refresh_seconds": 1});
    settings["login"]["authorize_endpoint"] = json!(format!("{issuer}/auth"));
    settings["login"]["token_endpoint"] = json!(format!("{issuer}/token"));
    settings["login"]["client_authentication"] = json!(authentication);
    settings
}

/// Stores of an edge in front of this provider, which fetches its keys there.
pub fn stores(world: &World, provider: &Provider, authentication: &str) -> Stores {
    Stores {
        settings: Some(settings(provider, authentication)),
        session_jwks: None,
        client_secret: (authentication != "none").then(|| SECRET.to_owned()),
        provider: Some(provider.port()),
        ..world.stores()
    }
}

fn id(response: &Response) -> String {
    response.header("x-correlation-id").expect("the ID")
}

#[test]
fn one_id_leads_from_the_redirect_through_the_login_to_the_meshs_access_log() {
    let (world, upstream) = (World::new(), Upstream::start());
    let mesh = Mesh::start(&upstream, &world.edge_key, |_| {});
    let provider = provider("none");
    let edge = mesh.edge(&stores(&world, &provider, "none"), &upstream);
    let mut browser = Browser::new("alice");
    let page = "/tenants/a/orders/7?x=1";
    let [start, back, first] = browser.visit(&edge, &provider, page);
    assert_eq!(redirect(&back), page);
    assert_eq!(first.status, 200, "{first:?}");

    // One ID, and one query that finds the visit in both logs.
    let visit = id(&start);
    assert_eq!([id(&back), id(&first)], [visit.clone(), visit.clone()]);
    let seen = upstream.only();
    assert_eq!(seen.header("x-correlation-id").as_deref(), Some(&*visit));
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-auth-roles").as_deref(), Some("reader"));
    assert_eq!(
        seen.header("cookie"),
        None,
        "no cookie of the login goes on"
    );
    let access = mesh.record(&visit);
    assert_eq!(access["verdict"], "allow/orders-read");
    assert_eq!(access["correlation_source"], "signed", "the token's cid");
    let lines: Vec<Value> = edge.log();
    let steps: Vec<(&Value, &Value)> = lines
        .iter()
        .filter(|line| line["correlation_id"] == visit.as_str())
        .map(|line| (&line["login"], &line["outcome"]))
        .collect();
    assert_eq!(
        json!(steps),
        json!([
            ["start", "redirected"],
            ["callback", "logged_in"],
            ["first_request", "forwarded"]
        ])
    );
    assert!(lines[1]["provider_us"].as_u64() > Some(0), "{}", lines[1]);

    // The next request is one of its own.
    let next = browser.get(&edge, page);
    assert_eq!(next.status, 200);
    assert_ne!(id(&next), visit);
    assert_eq!(
        browser.shop.0.keys().collect::<Vec<_>>(),
        ["__Host-session"]
    );

    // No code, state or token is in the log.
    let token = &browser.shop.0["__Host-session"];
    assert_eq!(payload(token)["sub"], "alice");
    let text = edge.log_text();
    for secret in [token, "code=", "state=", "__Host-"] {
        assert!(!text.contains(secret), "the edge logged {secret}");
    }
}

#[test]
fn a_confidential_client_authenticates() {
    let (world, upstream) = (World::new(), Upstream::start());
    for method in ["client_secret_basic", "client_secret_post"] {
        let provider = provider(method);
        let good = stores(&world, &provider, method);
        let edge = World::edge_with(&good, &upstream);
        let [_, _, first] = Browser::new("alice").visit(&edge, &provider, "/a");
        assert_eq!(first.status, 200, "{first:?}");
        let _ = upstream.take();

        let wrong = Stores {
            client_secret: Some("another".to_owned()),
            ..good
        };
        let edge = World::edge_with(&wrong, &upstream);
        let mut browser = Browser::new("alice");
        let start = browser.get(&edge, "/a");
        let callback = browser.log_in(&provider, &redirect(&start));
        let refused = browser.get(&edge, &callback);
        assert_eq!(
            (refused.status, &refused.json()["code"]),
            (502, &json!("login_provider"))
        );
        let line = edge.log().pop().expect("a line");
        assert_eq!(line["error"], "token endpoint: 401 invalid_client");
        assert_eq!(upstream.count(), 0);
    }
}

#[test]
fn the_provider_refuses_what_is_not_of_this_login() {
    let (world, upstream) = (World::new(), Upstream::start());
    let provider = provider("none");
    let edge = World::edge_with(&stores(&world, &provider, "none"), &upstream);
    let (mut attacker, mut victim) = (Browser::new("mallory"), Browser::new("alice"));
    let callback = |browser: &mut Browser| {
        let start = browser.get(&edge, "/a");
        browser.log_in(&provider, &redirect(&start))
    };
    let refused = |browser: &mut Browser, callback: &str, reason: &str| {
        let response = browser.get(&edge, callback);
        assert_eq!(response.json()["code"], reason, "{response:?}");
        assert!(!browser.shop.0.contains_key("__Host-session"), "{reason}");
    };
    let part = |callback: &str, name: &str| {
        let query = callback.split_once('?').expect("a query").1;
        let found = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        found.expect("the parameter").to_owned()
    };
    let (own, stolen) = (callback(&mut attacker), callback(&mut victim));

    // Login CSRF: the victim's browser is led to the attacker's callback.
    refused(&mut victim.clone(), &own, "login_browser");
    // Code injection: PKCE, checked by the real provider. The attempt costs the code.
    let injected = own.replace(&part(&own, "code"), &part(&stolen, "code"));
    refused(&mut attacker.clone(), &injected, "login_code");
    // Mix-up: RFC 9207's `iss` of this provider is there, and no other goes.
    assert_eq!(
        part(&own, "iss").replace("%3A", ":").replace("%2F", "/"),
        provider.issuer()
    );
    refused(
        &mut attacker.clone(),
        &own.replace(&part(&own, "iss"), "https%3A%2F%2Fevil.example"),
        "login_issuer",
    );
    refused(
        &mut attacker.clone(),
        own.split_once("&iss=").unwrap().0,
        "login_issuer",
    );
    // A state that was changed, or is none.
    refused(
        &mut attacker.clone(),
        &own.replace("state=", "state=A"),
        "login_state",
    );
    refused(
        &mut attacker.clone(),
        "/login/callback?code=x&state=y",
        "login_state",
    );
    // Used twice, with the cookies of before.
    let mut copy = attacker.clone();
    let back = attacker.get(&edge, &own);
    assert_eq!(redirect(&back), "/a");
    refused(&mut copy, &own, "login_code");
    // Not one ID for two: what was refused before the browser was known has an ID of its own.
    for line in edge.log() {
        if line["reason"] == "login_browser" || line["reason"] == "login_state" {
            assert_eq!(line["correlation_source"], "generated");
        }
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_provider_that_is_down_or_says_no_is_told() {
    let (world, upstream) = (World::new(), Upstream::start());
    let provider = provider("none");
    let stores = stores(&world, &provider, "none");
    let edge = World::edge_with(&stores, &upstream);
    let mut browser = Browser::new("alice");
    let start = browser.get(&edge, "/a");
    let location = redirect(&start);
    let state = location
        .split("&state=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    let issuer = provider.issuer().replace(':', "%3A").replace('/', "%2F");
    let denied = format!(
        "/login/callback?error=access_denied&state={}&iss={issuer}",
        state.expect("a state")
    );
    let response = browser.get(&edge, &denied);
    assert_eq!(
        (response.status, &response.json()["code"]),
        (403, &json!("login_denied"))
    );
    assert_eq!(id(&response), id(&start));

    let start = browser.get(&edge, "/a");
    let callback = browser.log_in(&provider, &redirect(&start));
    drop(provider);
    let response = browser.get(&edge, &callback);
    assert_eq!(
        (response.status, &response.json()["code"]),
        (502, &json!("login_provider"))
    );
    let line = edge.record_of("login_provider");
    assert_eq!(line["error"], "token endpoint: not reachable");
    assert_eq!(line["correlation_id"], id(&start).as_str());
}

impl Viceroy {
    /// The log line with this reason.
    fn record_of(&self, reason: &str) -> Value {
        let lines = self.log();
        let found = lines.into_iter().find(|line| line["reason"] == reason);
        found.unwrap_or_else(|| panic!("no line with {reason}: {}", self.log_text()))
    }
}
