//! `edge-claims import` against the native filters: for each policy, the same requests go through Envoy's own
//! `jwt_authn` and `rbac`, and through the filter with the imported config.
//!
//! The config may deny what the source allows only where a case says so, and only if the import lists something.
//! It may let a request through that the source denies only if the request that goes on is one that the source
//! allows: on public routes a token that the source refuses is removed, and everywhere the port of the authority.

mod cases;
mod istiod;
mod probes;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use edge_claims_harness::setup::PathNormalization;
use edge_claims_harness::tls::Authority;
use edge_claims_harness::tokens::{self, Key};
use edge_claims_harness::{Client, Envoy, Response, Setup, Upstream, tools};
use serde_json::{Value, json};

use self::probes::{Probe, tokens_of};

const ISSUER: &str = "https://one.example";
const OTHER_ISSUER: &str = "https://two.example";

/// How many requests the cases must make together.
const REQUESTS: usize = 10_000;

/// One policy.
struct Case {
    name: &'static str,
    source: Source,
    /// Whether nothing is listed as not imported.
    is_complete: bool,
    /// Which requests may be denied though the source allows them.
    narrower: fn(&Probe) -> bool,
    /// Whether clients show certificates.
    mtls: bool,
    headers: &'static [(&'static str, &'static str)],
}

enum Source {
    /// The specs of policies; the issuers are the same for all.
    Istio(Vec<Value>),
    /// A list of HTTP filters.
    Envoy(Vec<Value>),
}

#[test]
fn an_imported_config_allows_nothing_that_the_source_denies() {
    let keys = [Key::generate("ES256", "one"), Key::generate("ES256", "two")];
    let tokens = tokens_of(&keys);
    let authority = Authority::new();
    let upstream = Upstream::start();
    let (mut requests, mut allowed, mut narrower, mut telling) = (0, 0, 0, 0);
    let mut failures: Vec<String> = Vec::new();
    let cases = cases::all();
    let istio = cases
        .iter()
        .filter(|case| matches!(case.source, Source::Istio(_)))
        .count();
    assert!(istio >= 20, "{istio} of Istio's policies");
    for case in &cases {
        let (source, native) = case.sources(&keys);
        let imported = import(&source);
        let mut config = imported["config"].clone();
        if case.mtls {
            crate::support::count_validated_peers(&mut config);
        }
        let listed = imported["not_imported"].as_array().unwrap();
        assert_eq!(
            listed.is_empty(),
            case.is_complete,
            "{}: {listed:#?}",
            case.name
        );
        let worlds = [
            case.start(&authority, &upstream, |setup| {
                native.iter().cloned().fold(setup, Setup::filter)
            }),
            case.start(&authority, &upstream, |setup| setup.plugin(&config)),
        ];
        let probes = case.probes(&tokens);
        let tls = case.mtls.then_some(&authority);
        let [theirs, ours] = [0, 1].map(|world: usize| ask(&worlds[world], tls, &probes));
        let mut counts = (0, 0, 0);
        let mut failed: Vec<String> = Vec::new();
        for ((probe, theirs), ours) in probes.iter().zip(&theirs).zip(&ours) {
            for response in [theirs, ours] {
                assert!(
                    [200, 400, 401, 403].contains(&response.status),
                    "{}: {}: {response:?}",
                    case.name,
                    probe.show()
                );
            }
            let verdicts = (theirs.status == 200, ours.status == 200);
            counts.0 += usize::from(verdicts == (true, true));
            counts.1 += usize::from(verdicts == (false, false));
            if verdicts.0 == verdicts.1 {
                continue;
            }
            // What the filter judges: without port, in lower case.
            let judged = ask(&worlds[0], tls, &[probe.canonical()]).remove(0).status == 200;
            if verdicts.1 && !judged {
                // On a public route, the request goes on without a token that the source refuses.
                let bare = [Probe {
                    token: None,
                    ..probe.canonical()
                }];
                let go_on = [0, 1]
                    .iter()
                    .all(|world| ask(&worlds[*world], tls, &bare)[0].status == 200);
                if probe.token.is_none() || !go_on {
                    failed.push(format!(
                        "allowed, while the source says {}: {}",
                        theirs.status,
                        probe.show()
                    ));
                }
            }
            if !verdicts.1 && judged {
                counts.2 += 1;
                if !(case.narrower)(&probe.canonical()) {
                    failed.push(format!(
                        "denied, while the source allows: {}: {}",
                        probe.show(),
                        ours.text()
                    ));
                }
            }
        }
        println!(
            "import: {}: {} requests, {} allowed and {} denied by both, {} denied here only, {} listed",
            case.name,
            probes.len(),
            counts.0,
            counts.1,
            counts.2,
            listed.len()
        );
        if !failed.is_empty() {
            failed.truncate(5);
            failures.push(format!(
                "{}: {failed:#?}\n{}",
                case.name, imported["config"]["rbac"]
            ));
        }
        telling += usize::from(counts.0 > 0 && counts.1 > 0);
        requests += probes.len();
        allowed += counts.0;
        narrower += counts.2;
        for world in worlds {
            world.finish();
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    println!(
        "import: {} policies, {requests} requests, {allowed} allowed by both, {narrower} denied here only",
        cases.len()
    );
    assert!(requests >= REQUESTS, "{requests} requests");
    assert!(
        allowed > requests / 10,
        "{allowed} of {requests} allowed: too few to prove anything"
    );
    assert!(
        telling + 5 >= cases.len(),
        "only {telling} policies both allow and deny"
    );
    assert!(
        narrower < requests / 5,
        "{narrower} of {requests} denied here only"
    );
}

impl Case {
    /// What is imported, and the native filters.
    fn sources(&self, keys: &[Key; 2]) -> (Value, Vec<Value>) {
        let jwks = |key: &Key| tokens::jwks(&[key]).to_string();
        match &self.source {
            Source::Istio(policies) => {
                let authentication = json!({"jwtRules": [
                    {"issuer": ISSUER, "jwks": jwks(&keys[0])},
                    {"issuer": OTHER_ISSUER, "jwks": jwks(&keys[1])},
                ]});
                let object = |kind: &str, index: usize, spec: &Value| {
                    json!({
                        "apiVersion": "security.istio.io/v1",
                        "kind": kind,
                        "metadata": {"name": format!("o{index}"), "namespace": "foo"},
                        "spec": spec,
                    })
                };
                let mut items = vec![object("RequestAuthentication", 0, &authentication)];
                items.extend(
                    policies
                        .iter()
                        .enumerate()
                        .map(|(index, spec)| object("AuthorizationPolicy", index, spec)),
                );
                let native = istiod::filters(&[authentication], policies);
                (
                    json!({"apiVersion": "v1", "kind": "List", "items": items}),
                    native,
                )
            }
            Source::Envoy(filters) => {
                let mut filters = filters.clone();
                let provider = |issuer: &str, key: &Key, name: &str| {
                    json!({
                        "issuer": issuer,
                        "local_jwks": {"inline_string": jwks(key)},
                        "payload_in_metadata": name,
                        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
                    })
                };
                filters[0]["typed_config"]["providers"] = json!({
                    "one": provider(ISSUER, &keys[0], "one"),
                    "other": provider(OTHER_ISSUER, &keys[1], "other"),
                });
                (json!(filters), filters)
            }
        }
    }

    fn start(
        &self,
        authority: &Authority,
        upstream: &Upstream,
        filters: impl FnOnce(Setup) -> Setup,
    ) -> Envoy {
        let setup = Setup::new(upstream)
            .log_level("warning")
            .path_normalization(PathNormalization::Base)
            .hcm(&json!({"route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "direct_response": {"status": 200}}]}]}}));
        let setup = if self.mtls {
            setup.mtls(authority, &authority.client(cases::SLEEP))
        } else {
            setup
        };
        filters(setup).start()
    }
}

/// The responses, in the order of the requests.
fn ask(envoy: &Envoy, authority: Option<&Authority>, probes: &[Probe]) -> Vec<Response> {
    let mut responses: Vec<Option<Response>> = vec![None; probes.len()];
    let mut peers: Vec<Option<&str>> = probes.iter().map(|probe| probe.peer).collect();
    peers.sort_unstable();
    peers.dedup();
    for peer in peers {
        let client = match authority {
            Some(authority) => {
                let identity = peer.map(|peer| authority.client(peer));
                Client::with_tls(envoy.port(), authority.client_tls(identity.as_ref()))
            }
            None => envoy.client(),
        };
        let of_peer: Vec<usize> = (0..probes.len())
            .filter(|index| probes[*index].peer == peer)
            .collect();
        let bytes: Vec<Vec<u8>> = of_peer
            .iter()
            .map(|index| probes[*index].bytes(&client))
            .collect();
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        for (index, response) in of_peer.into_iter().zip(client.conversation(&bytes)) {
            responses[index] = Some(response);
        }
    }
    responses.into_iter().map(Option::unwrap).collect()
}

/// Runs the command.
fn import(source: &Value) -> Value {
    let mut child = Command::new(command())
        .args(["import", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(source.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let imported: Value = serde_json::from_slice(&output.stdout).expect("the import writes JSON");
    let is_complete = imported["not_imported"] == json!([]);
    assert_eq!(output.status.code(), Some(if is_complete { 0 } else { 1 }));
    imported
}

/// The command, built once.
fn command() -> &'static PathBuf {
    static COMMAND: OnceLock<PathBuf> = OnceLock::new();
    COMMAND.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--features",
                "cli",
                "--bin",
                "edge-claims",
            ])
            .current_dir(tools::root())
            .status()
            .unwrap();
        assert!(status.success(), "the command does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| tools::root().join("target"), PathBuf::from);
        target.join("debug/edge-claims")
    })
}
