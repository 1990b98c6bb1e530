//! What is written loads, whatever the values are.

use super::*;
use crate::config::Config;

const TARGETS: [Target; 3] = [Target::Envoy, Target::Istio, Target::Compose];

fn values(issuer: &str, audience: &str, jwks_url: Option<&str>, host: Option<&str>) -> Values {
    Values {
        issuer: values::word(issuer).unwrap(),
        audience: values::word(audience).unwrap(),
        jwks_url: jwks_url.map(|url| url.parse().unwrap()),
        key: None,
        image: None,
        host: host.map(|host| values::host(host).unwrap()),
    }
}

/// The one config of a file; its tests have run.
fn config(file: &File) -> Config {
    let text = String::from_utf8(file.content.clone()).unwrap();
    let source = Source::new(file.name.to_owned(), text);
    let documents = source::documents(&source).unwrap();
    let [found] = source::configs_in(documents, &source)
        .unwrap()
        .try_into()
        .unwrap();
    found.load().unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_config_has_the_values_and_loads() {
    for (issuer, audience, url, host) in [
        ("https://edge.example.com", "mesh.example.com", None, None),
        // Values that look like others of the templates.
        (
            "mesh.example.com",
            "https://edge.example.com",
            None,
            Some("TOKENS"),
        ),
        (
            "https://keys.example.com/AUDIENCE",
            "y",
            Some("https://my.keys.example.com:8443/HOST"),
            Some("shop.example.com:8443"),
        ),
        ("1", "true", Some("http://10.0.0.1/?a=[{&}]"), Some("[::1]")),
        (
            "#:{}[]|>,*&!%@",
            "null",
            Some("https://number.example/URL"),
            None,
        ),
    ] {
        let values = values(issuer, audience, url, host);
        for target in TARGETS {
            if target == Target::Istio && url.is_none() {
                continue;
            }
            let files = starter::files(target, &values).unwrap();
            assert_eq!(files[0].name, starter::config_file(target));
            let config = config(&files[0]);
            let [loaded] = config.claims.issuers.as_slice() else {
                panic!("one issuer");
            };
            assert_eq!(loaded.name, issuer);
            assert_eq!(loaded.audiences, Some(vec![audience.to_owned()]));
            assert_eq!(loaded.remote.as_ref().map(|keys| &*keys.url), url);
            assert_eq!(loaded.secrets.is_empty(), url.is_some());
            let routes = config.rbac.routes.routes();
            assert_eq!(routes.len(), 3);
            assert!(
                routes
                    .iter()
                    .all(|route| route.hosts.is_empty() == host.is_none())
            );
            for file in &files {
                let text = std::str::from_utf8(&file.content).unwrap();
                let is_template = file.name == "README.md" && text.replace("$(", "").contains('$');
                assert!(
                    !is_template && !text.contains(": PORT"),
                    "{}: {text}",
                    file.name
                );
            }
        }
    }
}

/// The cluster of the keys has the name that the config uses.
#[test]
fn the_keys_come_from_a_cluster_that_is_there() {
    let url = "https://my.keys.example.com:8443/jwks.json";
    let values = values("https://edge.example.com", "a", Some(url), None);
    let files = starter::files(Target::Envoy, &values).unwrap();
    let envoy: serde_json::Value =
        serde_saphyr::from_str(std::str::from_utf8(&files[0].content).unwrap()).unwrap();
    let clusters = envoy["static_resources"]["clusters"].as_array().unwrap();
    assert_eq!(clusters.len(), 2);
    let keys = &clusters[1];
    let remote = |config: &Config| config.claims.issuers[0].remote.clone().unwrap();
    assert_eq!(keys["name"], remote(&config(&files[0])).cluster);
    let address = &keys["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
        ["socket_address"];
    assert_eq!(address["address"], "my.keys.example.com");
    assert_eq!(address["port_value"], 8443);
    assert_eq!(
        keys["transport_socket"]["typed_config"]["sni"],
        "my.keys.example.com"
    );

    let files = starter::files(Target::Istio, &values).unwrap();
    assert_eq!(
        remote(&config(&files[0])).cluster,
        "outbound|8443||my.keys.example.com"
    );
    let text = std::str::from_utf8(&files[1].content).unwrap();
    let entries: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["spec"]["hosts"][0], "my.keys.example.com");
    assert_eq!(entries[0]["spec"]["ports"][0]["number"], 8443);
    assert_eq!(entries[1]["spec"]["host"], "my.keys.example.com");
    assert_eq!(
        entries[1]["spec"]["trafficPolicy"]["tls"]["sni"],
        "my.keys.example.com"
    );
}

/// Without TLS, nothing is checked: there is no TLS in the files.
#[test]
fn a_key_server_without_tls_has_none() {
    let url = "http://keys.shop.svc:8080/jwks.json";
    let values = values("https://edge.example.com", "a", Some(url), None);
    for target in TARGETS {
        for file in starter::files(target, &values).unwrap() {
            let text = String::from_utf8(file.content).unwrap().to_lowercase();
            if file.name.ends_with(".yaml") {
                assert!(!text.contains("tls"), "{}: {text}", file.name);
                assert!(!text.contains("https, protocol"), "{}: {text}", file.name);
            }
        }
    }
}

#[test]
fn an_issuer_that_is_no_url_has_no_well_known_keys() {
    let url = well_known("https://login.example.com/").unwrap();
    assert_eq!(
        url.to_string(),
        "https://login.example.com/.well-known/jwks.json"
    );
    let error = well_known("login").unwrap_err().to_string();
    assert!(error.contains("--jwks-url"), "{error}");
}
