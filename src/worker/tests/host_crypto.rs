//! The self-test of the host's signature verification.

use serde_json::json;

use super::edge::{Edge, policy};
use super::fake_host::{Call, FakeHost, Signatures};
use super::logs;
use super::support::{ORDERS, Rig};

const BY_HOST: &str = "algorithm=.=ES256;.;edge_claims_host_verification";

fn verified_by(rig: &Rig, backend: &str) -> i128 {
    let name = format!("algorithm=.=ES256;.;backend=.={backend};.;edge_claims_verifications_total");
    rig.host.metric(&name).unwrap_or_default()
}

fn rig(signatures: Signatures, edge: &Edge) -> Rig {
    let host = FakeHost::new();
    host.state().signatures = signatures;
    Rig::on(host, &policy(edge))
}

/// A valid token is accepted and a forged one rejected.
fn decides_correctly(rig: &mut Rig, edge: &Edge) {
    let forged = Edge::new(9).good_token();
    rig.get(ORDERS, &forged).denied(401, "signature_invalid");
    rig.get(ORDERS, &edge.good_token()).passed();
    rig.flush();
}

#[test]
fn a_host_that_passes_the_test_verifies() {
    let edge = Edge::new(1);
    let mut rig = rig(Signatures::Correct, &edge);
    let start = logs::with("config sha256");
    assert!(start[0].contains("the host verifies ES256"), "{start:?}");
    assert_eq!(rig.metric(BY_HOST), 1);
    decides_correctly(&mut rig, &edge);
    assert_eq!(
        (verified_by(&rig, "host"), verified_by(&rig, "portable")),
        (2, 0)
    );
}

#[test]
fn a_host_that_fails_the_test_verifies_nothing() {
    let edge = Edge::new(1);
    for signatures in [
        Signatures::Unsupported,
        Signatures::Always(true),
        Signatures::Always(false),
    ] {
        let mut rig = rig(signatures, &edge);
        assert_eq!(rig.metric(BY_HOST), 0, "{signatures:?}");
        let calls = rig.host.state().made.get(&Call::Verify).copied();
        decides_correctly(&mut rig, &edge);
        assert_eq!(rig.host.state().made.get(&Call::Verify).copied(), calls);
        assert_eq!(
            (verified_by(&rig, "host"), verified_by(&rig, "portable")),
            (0, 2)
        );
    }
    assert_eq!(
        logs::with("the filter verifies all algorithms itself").len(),
        3
    );
}

#[test]
fn the_portable_backend_takes_over_where_a_tested_host_fails() {
    let edge = Edge::new(1);
    let mut rig = rig(Signatures::Correct, &edge);
    rig.host.break_call(Call::Verify);
    decides_correctly(&mut rig, &edge);
    assert_eq!(
        (verified_by(&rig, "host"), verified_by(&rig, "portable")),
        (0, 2)
    );
}

#[test]
fn a_config_can_leave_the_hosts_crypto_unused() {
    let edge = Edge::new(1);
    let host = FakeHost::new();
    host.state().signatures = Signatures::Correct;
    let mut config = policy(&edge);
    config["claims"]["verification"] = json!("portable");
    let mut rig = Rig::on(host, &config);
    decides_correctly(&mut rig, &edge);
    assert_eq!(rig.host.state().made.get(&Call::Verify), None);
    assert_eq!(rig.metric(BY_HOST), 0);
}
