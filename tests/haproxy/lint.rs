//! Each config passes the check of its own tool.

use std::process::Command;

use edge_claims_harness::tools;

use crate::chain::BEHINDS;
use crate::files::Files;
use crate::haproxy::check;

#[test]
fn haproxy_accepts_each_config_without_a_warning() {
    let files = Files::shared();
    check(&[&files.path("front.cfg")], &[]).unwrap();
    for behind in BEHINDS {
        check(&[&files.path("pools.cfg"), &files.path(behind)], &[]).unwrap();
    }
    let broken = files.changed(
        "front.cfg",
        "broken.cfg",
        &[("default_backend", "default_bckend")],
    );
    assert!(
        check(&[&broken], &[])
            .unwrap_err()
            .contains("default_bckend")
    );
}

#[test]
fn envoy_accepts_its_config() {
    let files = Files::shared();
    let module = tools::module();
    let config = files.changed(
        "envoy.yaml",
        "validated.yaml",
        &[("../../target/edge_claims.wasm", module.to_str().unwrap())],
    );
    let output = Command::new(tools::envoy())
        .args(["--mode", "validate", "-c"])
        .arg(config)
        .current_dir(files.folder())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
