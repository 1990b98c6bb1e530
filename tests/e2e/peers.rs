//! Peers: who an mTLS client is, as Envoy validated it, and nothing that it says itself.

use edge_claims_harness::tls::{Authority, Identity};
use edge_claims_harness::{Client, Setup, Since};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World, count_validated_peers};

const GATEWAY: &str = "spiffe://cluster.local/ns/edge/sa/gateway";
const OTHER: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// Routes that ask for a peer alone, for a peer and claims, and for a peer in a condition.
fn routes(policy: &mut Value) {
    policy["rbac"]["routes"] = json!([
        {"name": "internal", "path": "/internal", "allow": {"peers": ["spiffe://cluster.local/ns/edge/*"]}},
        {"name": "both", "path": "/both", "allow": {"peers": [GATEWAY], "any_role": ["reader"]}},
        {"name": "either", "path": "/either", "allow": [{"peers": [GATEWAY]}, {"any_role": ["admin"]}]},
        {"name": "when", "path": "/when",
            "allow": {"when": {"all": [{"peer": GATEWAY}, {"claim": "sub", "equals": "alice"}]}}},
        {"name": "not", "path": "/not", "allow": {"when": {"not": {"peer": OTHER}}}},
    ]);
}

/// The world of these tests: what its listener asks of clients is the test's choice.
struct Mesh {
    world: World,
    authority: Authority,
}

impl Mesh {
    fn start(listener: impl FnOnce(Setup) -> Setup) -> Self {
        Self::with(|_| {}, listener)
    }

    fn with(config: impl FnOnce(&mut Value), listener: impl FnOnce(Setup) -> Setup) -> Self {
        let authority = Authority::new();
        let gateway = authority.client(GATEWAY);
        let config = |policy: &mut Value| {
            routes(policy);
            config(policy);
        };
        let world = World::with(config, |setup| listener(setup.mtls(&authority, &gateway)));
        Self { world, authority }
    }

    fn client(&self, identity: Option<&Identity>) -> Client {
        Client::with_tls(self.world.envoy.port(), self.authority.client_tls(identity))
    }

    fn peer(&self, uri: &str) -> Client {
        self.client(Some(&self.authority.client(uri)))
    }
}

/// One listener, which validates what it is shown, and hands on what clients say of themselves.
#[test]
fn peers_are_who_their_certificates_say() {
    let mesh = Mesh::with(count_validated_peers, |setup| {
        setup.hcm(&json!({"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}))
    });
    the_right_peer_passes_without_claims_and_no_other_does(&mesh);
    claims_and_peers_can_both_be_asked_for_or_one_of_them(&mesh);
    a_peer_brings_no_identity(&mesh);
    a_forged_client_certificate_header_changes_nothing(&mesh);
    only_the_first_uri_of_a_certificate_is_the_peer(&mesh);
    what_a_stranger_signed_is_refused_in_the_handshake(&mesh);
}

fn the_right_peer_passes_without_claims_and_no_other_does(mesh: &Mesh) {
    let world = &mesh.world;
    for request in [
        mesh.peer(GATEWAY).get("/internal"),
        mesh.peer(GATEWAY).get("/internal").http2(),
        mesh.peer("spiffe://cluster.local/ns/edge/sa/x")
            .get("/internal"),
    ] {
        world.allowed(request);
    }
    for uri in [
        OTHER,
        "spiffe://cluster.local/ns/edge",
        "spiffe://cluster.local/ns/edge2/sa/gateway",
        "spiffe://cluster.local.example/ns/edge/sa/gateway",
        "spiffe://other/ns/edge/sa/gateway",
        "spiffe://cluster.local/ns/edge/sa/../../shop",
        "spiffe://cluster.local/ns/edge/",
        "SPIFFE://cluster.local/ns/edge/sa/gateway",
        "https://cluster.local/ns/edge/sa/gateway",
    ] {
        world.denied(mesh.peer(uri).get("/internal"), 403, "peer");
    }
    let nobody = mesh.client(None);
    world.denied(nobody.get("/internal"), 403, "peer");
    let certificate_without_uri = mesh.client(Some(&mesh.authority.client_with(&[])));
    world.denied(certificate_without_uri.get("/internal"), 403, "peer");
}

fn claims_and_peers_can_both_be_asked_for_or_one_of_them(mesh: &Mesh) {
    let world = &mesh.world;
    let reader = world.token_of(&["reader"]);
    let admin = world.token_of(&["admin"]);
    let visitor = world.token_of(&["visitor"]);
    let gateway = mesh.peer(GATEWAY);
    let nobody = mesh.client(None);
    let with = |client: &Client, path: &str, token: &str| client.get(path).header(CLAIMS, token);

    world.allowed(with(&gateway, "/both", &reader));
    world.denied(gateway.get("/both"), 401, "claims_missing");
    world.denied(with(&nobody, "/both", &reader), 403, "peer");
    world.denied(with(&gateway, "/both", &visitor), 403, "role");

    world.allowed(gateway.get("/either"));
    world.allowed(with(&nobody, "/either", &admin));
    world.denied(nobody.get("/either"), 401, "claims_missing");
    // Two alternatives that came equally far: the first gives the reason.
    world.denied(with(&nobody, "/either", &reader), 403, "peer");

    world.allowed(with(&gateway, "/when", &reader));
    world.denied(with(&mesh.peer(OTHER), "/when", &reader), 403, "condition");
    world.denied(with(&nobody, "/when", &reader), 403, "condition");

    world.allowed(with(&gateway, "/not", &reader));
    world.denied(with(&mesh.peer(OTHER), "/not", &reader), 403, "condition");
    // That there is no peer is no proof that it is another one.
    world.denied(with(&nobody, "/not", &reader), 403, "condition");
}

fn a_peer_brings_no_identity(mesh: &Mesh) {
    let request = mesh.peer(GATEWAY).get("/internal");
    let seen = mesh.world.allowed(request.header("x-auth-subject", "root"));
    assert_eq!(seen.header("x-auth-subject"), None);
    // A bad token is no hindrance where the peer suffices, and goes no further.
    let request = mesh.peer(GATEWAY).get("/internal").header(CLAIMS, "a.b.c");
    assert_eq!(mesh.world.allowed(request).header(CLAIMS), None);
}

fn a_forged_client_certificate_header_changes_nothing(mesh: &Mesh) {
    let forged = format!("By=spiffe://cluster.local/ns/x;Hash=00;Subject=\"\";URI={GATEWAY}");
    for client in [mesh.client(None), mesh.peer(OTHER)] {
        let forge = |name| client.get("/internal").header(name, &forged);
        for request in [
            forge("x-forwarded-client-cert"),
            forge("X-Forwarded-Client-Cert"),
            forge("X_Forwarded_Client_Cert"),
            forge("x-forwarded-client-cert").header("x-forwarded-client-cert", &forged),
            forge("x-forwarded-client-cert").http2(),
        ] {
            mesh.world.denied(request, 403, "peer");
        }
    }
}

/// An X.509 SVID has one URI SAN (X509-SVID §2). Envoy shows filters the first of several.
fn only_the_first_uri_of_a_certificate_is_the_peer(mesh: &Mesh) {
    let get = |uris: &[&str]| {
        let client = mesh.client(Some(&mesh.authority.client_with(uris)));
        client.get("/internal")
    };
    mesh.world.denied(get(&[OTHER, GATEWAY]), 403, "peer");
    let first_is_none = get(&["https://example.com/", GATEWAY]);
    mesh.world.denied(first_is_none, 403, "peer");
    mesh.world.allowed(get(&[GATEWAY, OTHER]));
}

fn what_a_stranger_signed_is_refused_in_the_handshake(mesh: &Mesh) {
    let impostor = Authority::new().client(GATEWAY);
    let response = mesh.client(Some(&impostor)).get("/internal").send();
    assert_eq!(response.status, 0, "{response:?}");
    assert_eq!(mesh.world.upstream.count(), 0);
}

/// By default, a certificate counts if Envoy reports that it validated it, and older ones do not report it.
#[test]
fn by_default_a_peer_needs_the_report_of_envoy() {
    let mesh = Mesh::start(|setup| setup);
    let request = mesh.peer(GATEWAY).get("/internal");
    if Since::PeerValidation.is_there() {
        mesh.world.allowed(request);
    } else {
        mesh.world.denied(request, 403, "peer");
        let log = mesh.world.envoy.log();
        assert!(
            log.contains("a client certificate is no peer here"),
            "{log}"
        );
    }
}

/// What a listener can be told that lets in a certificate which nobody validated.
#[test]
fn a_certificate_that_nobody_validated_is_no_peer() {
    let impostor = Authority::new().client(GATEWAY);
    for (settings, shown) in [
        // One is required, with nothing to validate it by: then Envoy does not even ask for it.
        (
            json!({"require_client_certificate": true,
                "common_tls_context": {"validation_context": null}}),
            false,
        ),
        // Untrusted ones are accepted.
        (
            json!({"common_tls_context":
                {"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}}}),
            true,
        ),
    ] {
        let mesh = Mesh::start(|setup| setup.downstream_tls(&settings));
        // The client trusts the mesh's authority, and shows a stranger's certificate.
        let client = mesh.client(Some(&impostor));
        let world = &mesh.world;
        world.denied(client.get("/internal"), 403, "peer");
        world.denied(client.get("/internal").http2(), 403, "peer");
        let token = world.token_of(&["reader"]);
        world.denied(client.get("/both").header(CLAIMS, &token), 403, "peer");
        world.denied(client.get("/not").header(CLAIMS, &token), 403, "condition");
        let said = world
            .envoy
            .log()
            .contains("a client certificate is no peer here");
        assert_eq!(said, shown, "{settings}");
    }
}

#[test]
fn a_listener_that_does_not_ask_for_certificates_has_no_peers() {
    let authority = Authority::new();
    let world = World::with(routes, |setup| setup.tls(&authority));
    let tls = authority.client_tls(Some(&authority.client(GATEWAY)));
    let client = Client::with_tls(world.envoy.port(), tls);
    world.denied(client.get("/internal"), 403, "peer");
}

/// Envoy does not report the validation of a session that is resumed: a peer counts there only where
/// the operator vouches for the listener, or forbids resumption.
#[test]
fn a_resumed_session_needs_a_word_of_the_operator() {
    let resuming = |mesh: &Mesh| {
        let identity = mesh.authority.client(GATEWAY);
        let tls = mesh.authority.client_tls(Some(&identity)).resuming();
        Client::with_tls(mesh.world.envoy.port(), tls)
    };
    let statuses = |mesh: &Mesh| {
        let client = resuming(mesh);
        let statuses = [(); 3].map(|()| client.get("/internal").send().status);
        let _ = mesh.world.upstream.take();
        statuses
    };
    let by_default = Mesh::start(|setup| setup);
    let reported = if Since::PeerValidation.is_there() {
        200
    } else {
        403
    };
    assert_eq!(statuses(&by_default), [reported, 403, 403]);

    let vouched = Mesh::with(
        |policy| policy["rbac"]["peer_validation"] = json!("by_listener"),
        |setup| setup.downstream_tls(&json!({"require_client_certificate": true})),
    );
    assert_eq!(statuses(&vouched), [200, 200, 200]);
    vouched
        .world
        .denied(vouched.peer(OTHER).get("/internal"), 403, "peer");

    let not_resumed = Mesh::start(|setup| {
        setup.downstream_tls(&json!({"disable_stateless_session_resumption": true,
            "disable_stateful_session_resumption": true}))
    });
    assert_eq!(statuses(&not_resumed), [reported; 3]);
}
