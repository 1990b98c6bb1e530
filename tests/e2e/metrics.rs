//! The metrics of docs/metrics.md: a real Prometheus scrapes Envoy, whose labels come from the shipped
//! `stats_tags`. The table of that page is the list of what is tested.

use std::collections::BTreeSet;

use edge_claims_harness::prometheus::{Sample, promtool};
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::upstream::Answer;
use edge_claims_harness::{Envoy, Prometheus, Reload, Setup, Upstream, envoy, tools};
use serde_json::{Value, json};

use crate::support::{CLAIMS, ISSUER, World, issuer, policy};

/// An issuer whose keys are fetched.
const REMOTE: &str = "https://remote.example.com";

/// One line of the table.
struct Metric {
    name: String,
    kind: String,
    labels: BTreeSet<String>,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(tools::root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn documented() -> Vec<Metric> {
    let page = read("docs/metrics.md");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| `edge_claims_"));
    let metrics: Vec<Metric> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let labels = cells[3].split(", ").filter(|label| *label != "–");
            Metric {
                name: cells[1].trim_matches('`').to_owned(),
                kind: cells[2].to_owned(),
                labels: labels.map(|it| it.trim_matches('`').to_owned()).collect(),
            }
        })
        .collect();
    assert!(metrics.len() > 15, "the table was not understood");
    metrics
}

/// With the labels of the shipped file, and histograms that are there at once.
fn labelled(setup: Setup) -> Setup {
    setup
        .config_yaml(&read("examples/envoy/stats_tags.yaml"))
        .bootstrap(&json!({"stats_flush_interval": "0.2s"}))
}

/// The filter's series on Envoy's Prometheus page, with their values.
fn page(envoy: &Envoy) -> Vec<(String, f64)> {
    let text = envoy.admin("/stats/prometheus");
    let ours = text.lines().filter(|line| line.starts_with("edge_claims_"));
    ours.filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.replace("{}", ""), value.parse().ok()?))
    })
    .collect()
}

fn value(envoy: &Envoy, series: &str) -> f64 {
    let all = page(envoy);
    let found = all.iter().find(|(name, _)| name == series);
    found.map_or(f64::NAN, |(_, value)| *value)
}

/// Waits until a series has that value: the filter tells Envoy once a second.
#[track_caller]
fn becomes(envoy: &Envoy, series: &str, wanted: f64) {
    let reached = || ((value(envoy, series) - wanted).abs() < 0.1).then_some(());
    envoy::wait(series, reached)
        .unwrap_or_else(|problem| panic!("{problem} to be {wanted}: {:#?}", page(envoy)));
}

#[test]
fn every_documented_metric_reaches_prometheus_under_its_labels() {
    let remote = Key::generate("ES384", "r1");
    let set = tokens::jwks(&[&remote]);
    let keys = Upstream::answering(move |_| Answer::json(200, &set));
    let mut world = World::with(
        |policy| {
            policy["claims"]["issuers"][0]["not_after"] = json!("2099-01-01T00:00:00Z");
            policy["claims"]["issuers"].as_array_mut().unwrap().push(json!({
                "issuer": REMOTE, "audiences": ["mesh.example.com"], "algorithms": ["ES384"],
                "keys": {"remote": {"url": "http://keys.local/jwks", "cluster": "keys", "max_stale": "12h"}},
            }));
            policy["rbac"]["routes"][5]["mode"] = json!("shadow");
        },
        |setup| labelled(setup).upstream("keys", &keys).concurrency(2),
    );
    let prometheus = Prometheus::scraping(&world.envoy, &[]);
    mixed_traffic(&world, &remote);
    let refused = world
        .envoy
        .reload(|setup| setup.without_filters().plugin_text("{}"));
    assert!(matches!(refused, Reload::Rejected(_)), "{refused:?}");

    // The contract's own example, and what it must add up to.
    let series = r#"edge_claims_requests_total{decision="deny",reason="role"}"#;
    prometheus.query_until(series, |found| matches!(found, [one] if one.value == 3.0));
    let exact = [
        (
            r#"edge_claims_requests_total{decision="allow",reason="none"}"#,
            9.0,
        ),
        (
            r#"edge_claims_requests_total{decision="deny",reason="claims_missing"}"#,
            2.0,
        ),
        (
            r#"edge_claims_requests_total{decision="shadow",reason="role"}"#,
            1.0,
        ),
        (
            r#"edge_claims_route_requests_total{route="admin",decision="deny"}"#,
            4.0,
        ),
        (
            r#"edge_claims_route_requests_total{route="audit",decision="shadow"}"#,
            1.0,
        ),
        ("edge_claims_spoofed_headers_total", 2.0),
        ("edge_claims_tokens_dropped_total", 1.0),
        ("edge_claims_correlation_malformed_total", 2.0),
        ("edge_claims_correlation_overwritten_total", 1.0),
        (r#"edge_claims_tokens_total{kid="r1"}"#, 1.0),
        (
            r#"sum(edge_claims_verifications_total{algorithm="ES384"})"#,
            1.0,
        ),
        ("edge_claims_config_refused_total", 1.0),
        (
            r#"edge_claims_edge_delay_seconds_count - ignoring(le) edge_claims_edge_delay_seconds_bucket{le="25"}"#,
            1.0,
        ),
        ("edge_claims_shadow_mode", 0.0),
        ("edge_claims_shadow_routes", 1.0),
        (
            r#"edge_claims_keys_loaded{issuer="https://remote.example.com"}"#,
            1.0,
        ),
        (
            r#"edge_claims_key_set_max_stale_seconds{issuer="https://remote.example.com"}"#,
            43_200.0,
        ),
        (
            r#"edge_claims_break_glass{issuer="https://edge.example.com"}"#,
            1.0,
        ),
        (r#"edge_claims_host_verification{algorithm="ES256"}"#, 1.0),
        (r#"edge_claims_host_verification{algorithm="PS256"}"#, 0.0),
    ];
    for (series, wanted) in exact {
        prometheus.query_until(
            series,
            |found| matches!(found, [one] if (one.value - wanted).abs() < 0.1),
        );
    }

    // Rates want a second event after the first was scraped.
    mixed_traffic(&world, &remote);
    every_panel_shows_something(&prometheus);
    let metrics = documented();
    let types = world.envoy.admin("/stats/prometheus");
    for metric in &metrics {
        let line = format!("# TYPE {} {}", metric.name, metric.kind);
        assert!(
            types.lines().any(|it| it == line),
            "{line} is not on the page:\n{types}"
        );
        let histogram = metric.kind == "histogram";
        let suffixes: &[&str] = if histogram {
            &["_bucket", "_sum", "_count"]
        } else {
            &[""]
        };
        for suffix in suffixes {
            let set: Vec<String> = metric
                .labels
                .iter()
                .map(|it| format!("{it}!=\"\""))
                .collect();
            let query = format!("{}{suffix}{{{}}}", metric.name, set.join(","));
            let found = prometheus.query_until(&query, |found| !found.is_empty());
            for sample in &found {
                let mut expected = metric.labels.clone();
                expected.insert("__name__".to_owned());
                if *suffix == "_bucket" {
                    expected.insert("le".to_owned());
                }
                assert_eq!(names(sample), expected, "{query}");
            }
        }
    }
    // What an alert watches beside them.
    let own = "envoy_wasm_edge_claims_vm_reload";
    prometheus.query_until(own, |found| matches!(found, [one] if one.value == 0.0));
    // Nothing else is there under the filter's name, and nothing under a name with tags left in it.
    let names: BTreeSet<String> = metrics.iter().map(|metric| metric.name.clone()).collect();
    for sample in
        prometheus.query(r#"{__name__=~"edge_claims.*|.*(wasmcustom|_edge_claims_.*_total).*"}"#)
    {
        let name = sample.label("__name__").unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|it| name.strip_suffix(it));
        let known = names.contains(name) || base.is_some_and(|base| names.contains(base));
        assert!(known, "docs/metrics.md does not name {name}");
    }
}

fn names(sample: &Sample) -> BTreeSet<String> {
    sample.labels.iter().map(|(name, _)| name.clone()).collect()
}

/// Runs the dashboard's expressions, with Grafana's variables filled in.
fn every_panel_shows_something(prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(&read("docs/dashboards/edge-claims.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let expressions: Vec<String> = targets
        .map(|target| target["expr"].as_str().unwrap())
        .map(|it| {
            it.replace("$__rate_interval", "1m")
                .replace("$__range", "1m")
        })
        .map(|it| it.replace("$job", ".*").replace("$instance", ".*"))
        .collect();
    assert!(expressions.len() > 15, "{expressions:?}");
    for expression in expressions {
        prometheus.query_until(&expression, |found| !found.is_empty());
    }
}

/// One request at least for each kind of thing that is counted.
fn mixed_traffic(world: &World, remote: &Key) {
    let reader = world.token_of(&["reader"]);
    let get = |path: &str| world.envoy.get(path);
    let status = |request: edge_claims_harness::Request| request.send().status;
    // Nine that are allowed.
    let old = world.token(&json!({"iat": tokens::now() - 30}));
    assert_eq!(status(get("/me").header(CLAIMS, &old)), 200);
    for _ in 0..3 {
        assert_eq!(status(get("/me").header(CLAIMS, &reader)), 200);
    }
    let of_remote = remote.sign(&tokens::claims(&json!({"iss": REMOTE})));
    assert_eq!(status(get("/me").header(CLAIMS, &of_remote)), 200);
    assert_eq!(status(get("/public/x").header(CLAIMS, "bad")), 200);
    assert_eq!(
        status(get("/public/x").header("x-auth-subject", "root")),
        200
    );
    assert_eq!(
        status(get("/public/x").header("x-correlation-id", "no id")),
        200
    );
    let signed = world.token(&json!({"cid": "signed"}));
    assert_eq!(
        status(
            get("/me")
                .header(CLAIMS, &signed)
                .header("x-correlation-id", "mine")
        ),
        200
    );
    // Six that are not, and one that would not be.
    for _ in 0..3 {
        assert_eq!(status(get("/admin/x").header(CLAIMS, &reader)), 403);
    }
    assert_eq!(
        status(get("/admin/x").header("x-auth-subject", "root")),
        401
    );
    let twice = get("/me")
        .header("x-correlation-id", "a")
        .header("x-correlation-id", "b");
    assert_eq!(status(twice), 401);
    assert_eq!(status(get("/audit").header(CLAIMS, &reader)), 200);
}

#[test]
fn what_clients_send_makes_no_series() {
    let world = World::with(|_| {}, labelled);
    let series = |envoy: &Envoy| -> BTreeSet<String> {
        page(envoy).into_iter().map(|(series, _)| series).collect()
    };
    let reader = world.token_of(&["reader"]);
    for path in [
        "/me",
        "/admin/x",
        "/public/x",
        "/audit",
        "/tenants/a/orders/1",
    ] {
        let _ = world.envoy.get(path).header(CLAIMS, &reader).send();
        let _ = world.envoy.get(path).send();
    }
    becomes(
        &world.envoy,
        r#"edge_claims_requests_total{decision="allow",reason="none"}"#,
        4.0,
    );
    // The last request above: when it was told, all others were.
    becomes(
        &world.envoy,
        r#"edge_claims_route_requests_total{decision="deny",route="orders-read"}"#,
        1.0,
    );
    let before = series(&world.envoy);
    let attacker = Key::generate("ES256", "made-up");
    for number in 0..100 {
        let kid = Key::secret("HS256", &format!("kid-{number}"), &[7; 32]);
        let issuer =
            json!({"iss": format!("https://{number}.example.com"), "sub": number.to_string()});
        let path = format!("/me/{number}");
        for token in [
            kid.sign(&tokens::claims(&json!({}))),
            attacker.sign(&tokens::claims(&issuer)),
        ] {
            let request = world.envoy.get(&path).header(CLAIMS, token);
            let _ = request
                .header("x-correlation-id", number.to_string())
                .send();
        }
    }
    let total = || {
        let denied = page(&world.envoy).into_iter();
        let denied = denied.filter(|(name, _)| name.contains("decision=\"deny\",reason="));
        let sum: f64 = denied.map(|(_, value)| value).sum();
        (sum > 200.0).then_some(())
    };
    envoy::wait("all denials", total).unwrap();
    let after = series(&world.envoy);
    let fresh: Vec<&String> = after.difference(&before).collect();
    assert!(fresh.is_empty(), "clients made series: {fresh:?}");
}

/// More routes and keys than are told apart: the rest is counted together, and nothing is lost.
#[test]
fn routes_and_keys_beyond_their_bounds_are_counted_together() {
    let upstream = Upstream::start();
    let keys: Vec<Key> = (0..80)
        .map(|n| Key::generate("ES256", &format!("key-{n}")))
        .collect();
    let inline: Vec<&Key> = keys.iter().collect();
    let halves = inline.chunks(40).enumerate();
    let issuers: Vec<Value> = halves
        .map(|(n, half)| issuer(&format!("{ISSUER}/{n}"), half))
        .collect();
    let mut config = policy(&issuers);
    let route = |n: usize| json!({"name": format!("r{n}"), "path": format!("/r{n}"), "allow": "authenticated"});
    config["rbac"]["routes"] = (0..250).map(route).collect();
    let envoy = labelled(Setup::new(&upstream)).plugin(&config).start();
    for (n, key) in keys.iter().enumerate() {
        let claims = tokens::claims(&json!({"iss": format!("{ISSUER}/{}", n / 40)}));
        let path = format!("/r{}", 170 + n);
        let response = envoy.get(path).header(CLAIMS, key.sign(&claims)).send();
        assert_eq!(response.status, 200, "{response:?}");
    }
    becomes(
        &envoy,
        r#"edge_claims_requests_total{decision="allow",reason="none"}"#,
        80.0,
    );
    let of = |name: &str| -> Vec<f64> {
        let named = page(&envoy).into_iter();
        let named = named.filter(|(series, _)| series.starts_with(name));
        named.map(|(_, value)| value).collect()
    };
    // The page may show a flush half done.
    let told = || (of("edge_claims_tokens_total{").iter().sum::<f64>() >= 80.0).then_some(());
    envoy::wait("all tokens", told).unwrap();
    let tokens = of("edge_claims_tokens_total{");
    assert_eq!((tokens.len(), tokens.iter().sum::<f64>()), (65, 80.0));
    let routes = of("edge_claims_route_requests_total{");
    assert_eq!((routes.len(), routes.iter().sum::<f64>()), (31, 80.0));
    let other = value(&envoy, r#"edge_claims_tokens_total{kid="other"}"#);
    assert_eq!(other, 16.0);
}

#[test]
fn a_config_push_loses_no_count_and_leaves_no_entry() {
    let mut world = World::with(|_| {}, labelled);
    let token = world.token(&json!({}));
    becomes(
        &world.envoy,
        r#"edge_claims_requests_total{decision="allow",reason="none"}"#,
        0.0,
    );
    for _ in 0..20 {
        assert_eq!(
            world.envoy.get("/me").header(CLAIMS, &token).send().status,
            200
        );
    }
    let mut config = policy(&[issuer(ISSUER, &[&world.key])]);
    config["log"] = json!({"deny": 0.5});
    let result = world
        .envoy
        .reload(|setup| setup.without_filters().plugin(&config));
    assert_eq!(result, Reload::Accepted);
    becomes(
        &world.envoy,
        r#"edge_claims_requests_total{decision="allow",reason="none"}"#,
        20.0,
    );
    becomes(&world.envoy, "edge_claims_cache_entries", 0.0);
}

/// Names and labels that cannot be told from the syntax that carries them.
#[test]
fn odd_names_keep_their_place() {
    let upstream = Upstream::start();
    let odd = "a;.;route=.=x;.;|\"\\ é";
    let key = Key::generate("ES256", odd);
    let mut config = policy(&[issuer(ISSUER, &[&key])]);
    config["mode"] = json!("shadow");
    let envoy = labelled(Setup::new(&upstream)).plugin(&config).start();
    let token = key.sign(&tokens::claims(&json!({})));
    assert_eq!(envoy.get("/me").header(CLAIMS, token).send().status, 200);
    assert_eq!(envoy.get("/me").send().status, 200);
    let prometheus = Prometheus::scraping(&envoy, &[]);
    let found = prometheus.query_until("edge_claims_tokens_total", |found| !found.is_empty());
    let kids: Vec<Option<&str>> = found.iter().map(|sample| sample.label("kid")).collect();
    assert_eq!(kids, [Some("a_._route_._x_.__\"\\__")]);
    let _ = envoy.wait_for_log("mode is shadow: nothing is denied");
    let shadow = r#"edge_claims_requests_total{decision="shadow",reason="claims_missing"}"#;
    prometheus.query_until(shadow, |found| matches!(found, [one] if one.value == 1.0));
    prometheus.query_until(
        "edge_claims_shadow_mode",
        |found| matches!(found, [one] if one.value == 1.0),
    );
}

#[test]
fn the_alert_rules_are_valid_and_fire_when_they_should() {
    let path = |name: &str| {
        tools::root()
            .join("docs/dashboards")
            .join(name)
            .display()
            .to_string()
    };
    let said = promtool(&["check", "rules", &path("alerts.yaml")]);
    assert!(said.contains("SUCCESS"), "{said}");
    promtool(&["test", "rules", &path("alerts.test.yaml")]);
    let names = |file: &str, key: &str| -> BTreeSet<String> {
        let text = read(&format!("docs/dashboards/{file}"));
        let lines = text
            .lines()
            .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
        lines.map(|name| name.trim().to_owned()).collect()
    };
    let alerts = names("alerts.yaml", "alert:");
    assert!(alerts.len() >= 8, "{alerts:?}");
    assert_eq!(
        alerts,
        names("alerts.test.yaml", "alertname:"),
        "every alert has its test"
    );
}
