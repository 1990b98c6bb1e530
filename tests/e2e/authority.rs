//! Envoy chooses its virtual host by `:authority`, byte by byte but for its case. The host that the
//! policy judged must be the one that Envoy finds, in every spelling that clients may choose.

use edge_claims_harness::upstream::Answer;
use edge_claims_harness::{Reload, Request, Setup, Upstream};
use serde_json::{Value, json};

use crate::support::{CLAIMS, World};

const SHOP: &str = "shop.example.com";
const V6: &str = "[2001:db8::1]";

/// The shop is public on its hosts. Everything else is for administrators.
fn routes(policy: &mut Value) {
    policy["rbac"]["routes"] = json!([
        {"name": "shop", "hosts": [SHOP], "path": "/{*rest}", "allow": "public"},
        {"name": "shop-v6", "hosts": [V6], "path": "/{*rest}", "allow": "public"},
        {"name": "internal", "path": "/{*rest}", "allow": {"any_role": ["admin"]}},
    ]);
}

/// The clusters behind the virtual hosts: what is not the shop is internal.
struct Clusters {
    world: World,
    shop: Upstream,
    v6: Upstream,
    console: Upstream,
}

impl Clusters {
    fn start(config: impl FnOnce(&mut Value), envoy: impl FnOnce(Setup) -> Setup) -> Self {
        let named = |name: &'static str| {
            Upstream::answering(move |seen| {
                let mut answer = Answer::echo(seen);
                answer
                    .headers
                    .push((b"x-cluster".to_vec(), name.as_bytes().to_vec()));
                answer
            })
        };
        let (shop, v6, console) = (named("shop"), named("v6"), named("console"));
        let world = World::with(
            |policy| {
                routes(policy);
                config(policy);
            },
            |setup| {
                let setup = setup
                    .upstream("shop", &shop)
                    .upstream("v6", &v6)
                    .upstream("console", &console)
                    .virtual_hosts(&[
                        (&[SHOP], "shop"),
                        (&["shop.example.com:8443"], "console"),
                        (&[V6], "v6"),
                        (&["*"], "upstream"),
                    ]);
                envoy(setup)
            },
        );
        Self {
            world,
            shop,
            v6,
            console,
        }
    }

    /// Sends a request that must be answered by that upstream alone; the authority that it saw.
    #[track_caller]
    fn reaches(&self, request: Request, upstream: &Upstream, cluster: &str) -> String {
        let what = format!("{request:?}");
        let response = request.send();
        assert_eq!(
            self.world.upstream.take(),
            [],
            "{what}: reached the internal cluster"
        );
        assert_eq!(response.status, 200, "{what}: {response:?}");
        assert_eq!(
            response.header("x-cluster").as_deref(),
            Some(cluster),
            "{what}"
        );
        let seen = upstream.only();
        edge_claims_harness::printable(&seen.authority)
    }
}

/// Spellings of the shop's host, all of which the policy reads as that.
const OF_THE_SHOP: [&str; 8] = [
    "shop.example.com",
    "shop.example.com:1",
    "shop.example.com:80",
    "shop.example.com:65535",
    "shop.example.com.",
    "shop.example.com.:9000",
    "Shop.Example.COM",
    "SHOP.example.com.:1",
];

/// Spellings of its address.
const OF_V6: [&str; 7] = [
    "[2001:db8::1]",
    "[2001:db8::1]:1",
    "[2001:db8:0::1]",
    "[2001:DB8::1]",
    "[2001:0db8:0:0:0:0:0:1]",
    "[2001:0db8:0000:0000:0000:0000:0000:0001]:443",
    "[2001:db8::0.0.0.1]",
];

#[test]
fn each_spelling_of_a_host_reaches_the_cluster_of_the_route_that_was_authorized() {
    let clusters = Clusters::start(|_| {}, |setup| setup);
    let get = |host: &str| clusters.world.envoy.get("/x").host(host);
    for host in OF_THE_SHOP {
        for request in [get(host), get(host).http2()] {
            assert_eq!(clusters.reaches(request, &clusters.shop, "shop"), SHOP);
        }
    }
    for host in OF_V6 {
        for request in [get(host), get(host).http2()] {
            assert_eq!(clusters.reaches(request, &clusters.v6, "v6"), V6);
        }
    }
}

#[test]
fn a_grpc_call_reaches_the_cluster_of_its_route_however_its_host_is_spelled() {
    let clusters = Clusters::start(|_| {}, Setup::http2_upstreams);
    let call = |host: &str| {
        let call = clusters.world.envoy.grpc("/shop.Orders/Get", b"hello");
        call.host(host)
    };
    for host in OF_THE_SHOP {
        assert_eq!(clusters.reaches(call(host), &clusters.shop, "shop"), SHOP);
    }
    for host in OF_V6 {
        assert_eq!(clusters.reaches(call(host), &clusters.v6, "v6"), V6);
    }
}

#[test]
fn the_host_of_an_absolute_request_target_is_the_one_that_is_judged_and_routed() {
    let clusters = Clusters::start(|_| {}, |setup| setup);
    for target in ["http://shop.example.com:1/x", "http://SHOP.example.com./x"] {
        // The Host header loses against the target (RFC 9112 §3.2.2).
        let request = clusters
            .world
            .envoy
            .get(target)
            .host("internal.example.com");
        assert_eq!(clusters.reaches(request, &clusters.shop, "shop"), SHOP);
    }
    let request = clusters.world.envoy.get("http://internal.example.com/x");
    clusters.world.denied(request, 401, "claims_missing");
}

#[test]
fn a_spelling_that_no_host_has_reaches_no_cluster() {
    let clusters = Clusters::start(|_| {}, |setup| setup);
    for host in [
        "shop.example.com..",
        "shop.example.com:+80",
        "shop.example.com:65536",
        "shop.example.com:80:80",
        "user@shop.example.com",
        "shop.example.com%2e",
        "shop.example.com,internal.example.com",
        "[2001:db8::1",
        "[2001:db8::1%25eth0]",
        "[::ffff:shop]",
        "2001:db8::1",
    ] {
        for request in [
            clusters.world.envoy.get("/x").host(host),
            clusters.world.envoy.get("/x").host(host).http2(),
        ] {
            let response = request.send();
            assert!(
                response.status == 400 || response.error.is_some(),
                "{host}: {response:?}"
            );
            let reached = [
                &clusters.world.upstream,
                &clusters.shop,
                &clusters.v6,
                &clusters.console,
            ]
            .map(|upstream| upstream.take().len());
            assert_eq!(reached, [0; 4], "{host}");
        }
    }
}

#[test]
fn the_port_stays_where_the_listener_ignores_it_itself() {
    let clusters = Clusters::start(
        |policy| policy["rbac"]["authority_port"] = json!("keep"),
        |setup| {
            setup
                .virtual_hosts(&[(&[SHOP], "shop"), (&[V6], "v6"), (&["*"], "upstream")])
                .hcm(&json!({"route_config": {"ignore_port_in_host_matching": true}}))
        },
    );
    for (host, canonical) in [
        ("shop.example.com:1", "shop.example.com:1"),
        ("shop.example.com:9000", "shop.example.com:9000"),
        ("SHOP.example.com.:9000", "shop.example.com:9000"),
        ("shop.example.com.", "shop.example.com"),
    ] {
        let request = clusters.world.envoy.get("/x").host(host);
        for request in [request.clone(), request.http2()] {
            let seen = clusters.reaches(request, &clusters.shop, "shop");
            assert_eq!(seen, canonical, "{host}");
        }
    }
    let request = clusters.world.envoy.get("/x").host("[2001:db8:0::1]:1");
    let seen = clusters.reaches(request, &clusters.v6, "v6");
    assert_eq!(seen, "[2001:db8::1]:1");
}

#[test]
fn a_port_that_a_route_names_counts_and_goes_on() {
    let clusters = Clusters::start(
        |policy| {
            let console = json!({"name": "console", "hosts": ["shop.example.com:8443"],
                "path": "/{*rest}", "allow": {"any_role": ["admin"]}});
            let routes = policy["rbac"]["routes"].as_array_mut().unwrap();
            routes.push(console);
        },
        |setup| setup,
    );
    let world = &clusters.world;
    let at = |host: &str| world.envoy.get("/x").host(host);
    for host in [
        "shop.example.com:8443",
        "SHOP.example.com:8443",
        "shop.example.com.:8443",
    ] {
        for request in [at(host), at(host).http2()] {
            world.denied(request.clone(), 401, "claims_missing");
            assert_eq!(clusters.shop.take(), [], "{host}");
            let admin = request.header(CLAIMS, world.token(&json!({"roles": ["admin"]})));
            let seen = clusters.reaches(admin, &clusters.console, "console");
            assert_eq!(seen, "shop.example.com:8443");
        }
    }
    // Other ports are the shop's, and don't go on.
    for host in [
        "shop.example.com",
        "shop.example.com:9443",
        "shop.example.com:844",
    ] {
        assert_eq!(clusters.reaches(at(host), &clusters.shop, "shop"), SHOP);
    }
}

#[test]
fn a_port_stays_where_no_route_names_a_host() {
    let world = World::start();
    let seen = world.allowed(world.envoy.get("/public/x").host("shop.example.com:8443"));
    assert_eq!(seen.authority, b"shop.example.com:8443");
}

/// Adds an RBAC filter, and a virtual host for the shop whose settings deny everything.
fn with_rbac_for_the_shop(setup: Setup) -> Setup {
    const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
    let to_upstream = json!([{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}]);
    let deny_all = json!({"@type": format!("{RBAC}PerRoute"),
        "rbac": {"rules": {"action": "ALLOW", "policies": {}}}});
    setup
        .hcm(&json!({"route_config": {"virtual_hosts": [
            {"name": "shop", "domains": [SHOP], "routes": to_upstream,
                "typed_per_filter_config": {"envoy.filters.http.rbac": deny_all}},
            {"name": "all", "domains": ["*"], "routes": to_upstream},
        ]}}))
        .filter(json!({"name": "envoy.filters.http.rbac", "typed_config": {"@type": RBAC}}))
}

/// Whether the RBAC filter denies the request.
fn is_denied_by_rbac(world: &World, host: &str, http2: bool) -> bool {
    let request = world.envoy.get("/x").host(host);
    let request = if http2 { request.http2() } else { request };
    let response = request.send();
    let denied = response.status == 403 && response.text().contains("RBAC");
    assert!(denied || response.status == 200, "{host}: {response:?}");
    denied
}

#[test]
fn a_filter_after_this_one_uses_the_settings_of_the_judged_host() {
    let mut world = World::with(routes, |setup| setup);
    let reload = world.envoy.reload(with_rbac_for_the_shop);
    assert!(matches!(reload, Reload::Accepted), "{reload:?}");
    for host in OF_THE_SHOP {
        for http2 in [false, true] {
            assert!(is_denied_by_rbac(&world, host, http2), "{host}");
        }
    }
}

#[test]
fn a_filter_before_this_one_needs_the_host_to_be_normalized_earlier() {
    let world = World::with(routes, with_rbac_for_the_shop);
    assert!(is_denied_by_rbac(&world, SHOP, false));
    assert!(!is_denied_by_rbac(&world, "shop.example.com:1", false));
    let strip = json!({"strip_any_host_port": true, "strip_trailing_host_dot": true});
    let world = World::with(routes, |setup| with_rbac_for_the_shop(setup).hcm(&strip));
    for host in OF_THE_SHOP {
        for http2 in [false, true] {
            assert!(is_denied_by_rbac(&world, host, http2), "{host}");
        }
    }
}
