//! Keys by ServiceEntry and DestinationRule over TLS.

use edge_claims_harness::Request;
use edge_claims_harness::tls::Authority;
use edge_claims_harness::tokens::Key;
use serde_json::json;

use crate::lab::{Lab, Lease, token};
use crate::manifests::{self, Image};
use crate::process::wait;
use crate::proxy::Proxy;
use crate::requests::CLAIMS;

/// A gateway with the filter, and the address of the key server, but not yet a request.
fn start() -> (Lease, Proxy) {
    let mut lab = Lab::open();
    let image = Image::push();
    lab.apply(&image.overlay(manifests::GATEWAY[0]));
    let gateway = lab.gateway();
    (lab, gateway)
}

fn request(gateway: &Proxy, key: &Key) -> Request {
    gateway
        .client()
        .get("/admin/x")
        .header(CLAIMS, token(key, &json!({"roles": ["admin"]})))
}

#[test]
fn a_key_that_is_new_is_fetched_when_a_token_names_it() {
    let (lab, gateway) = start();
    assert_eq!(request(&gateway, &lab.key).send().status, 200);
    let next = Key::generate("ES256", "edge-2");
    assert_eq!(
        request(&gateway, &next).send().json()["code"],
        "key_unknown"
    );
    lab.keys.publish(&[&lab.key, &next]);
    // The filter asks three times at once, and then every ten seconds.
    wait("the new key", || {
        (request(&gateway, &next).send().status == 200).then_some(())
    });
    assert_eq!(
        request(&gateway, &lab.key).send().status,
        200,
        "both are published"
    );
}

#[test]
fn keys_that_were_fetched_outlast_an_outage_and_a_new_config() {
    let (mut lab, gateway) = start();
    assert_eq!(request(&gateway, &lab.key).send().status, 200);
    lab.keys_host.down();
    assert_eq!(request(&gateway, &lab.key).send().status, 200);
    // A new config, and so a new VM, while the key server is down.
    let edited = Image::push()
        .overlay(manifests::GATEWAY[0])
        .with_public("/open/{*rest}");
    lab.apply(&edited);
    wait("the new config", || {
        (gateway.client().get("/open/x").send().status == 200).then_some(())
    });
    let response = request(&gateway, &lab.key).send();
    assert_eq!(response.status, 200, "{response:?}");
}

#[test]
fn without_keys_tokens_get_503_until_the_key_server_is_back() {
    let mut lab = Lab::open();
    lab.keys_host.down();
    let image = Image::push();
    lab.apply(&image.overlay(manifests::GATEWAY[0]));
    let gateway = lab.gateway();
    let response = request(&gateway, &lab.key).send();
    assert_eq!(
        (response.status, response.json()["code"].as_str()),
        (503, Some("keys_unavailable")),
        "{response:?}"
    );
    assert_eq!(
        gateway.client().get("/public/x").send().status,
        200,
        "public routes need no keys"
    );
    assert_eq!(lab.web.take().len(), 1);
    lab.hosts_up();
    wait("the keys", || {
        (request(&gateway, &lab.key).send().status == 200).then_some(())
    });
}

#[test]
fn keys_of_a_server_with_a_wrong_certificate_are_not_used() {
    let mut lab = Lab::open();
    let image = Image::push();
    lab.apply(&image.overlay(manifests::GATEWAY[0]));
    let strangers = [
        (
            "a root that nobody trusts",
            Authority::new().server_named(&["keys.example.com"]),
        ),
        (
            "another name",
            lab.authority.server_named(&["registry.example.com"]),
        ),
    ];
    for (what, certificate) in strangers {
        lab.keys_host.up(&certificate);
        let before = lab.keys.fetches();
        let gateway = lab.gateway();
        let response = request(&gateway, &lab.key).send();
        assert_eq!(
            (response.status, response.json()["code"].as_str()),
            (503, Some("keys_unavailable")),
            "{what}: {response:?}"
        );
        assert_eq!(
            lab.keys.fetches(),
            before,
            "{what}: no request may reach such a server"
        );
    }
    // The DestinationRule is what makes Envoy check: with the right certificate, the same gateway gets keys.
    lab.hosts_up();
    let gateway = lab.gateway();
    assert_eq!(request(&gateway, &lab.key).send().status, 200);
}
