//! What README, docs, examples and manifests say, held against the filter itself. Needs no Envoy.

mod commands;
mod contract;
mod envoy_gateway;
mod examples;
mod figures;
mod istio;
mod log_fields;
mod manifests;
mod order;
mod reference;
mod schema;
mod text;

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of the tree.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[track_caller]
fn read(name: &str) -> String {
    std::fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A YAML document, as YAML 1.2 has it.
#[track_caller]
fn yaml(name: &str, text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The config must load.
#[track_caller]
fn loads(name: &str, config: &Value) {
    if let Err(refused) = edge_claims::internals::load(config.to_string().as_bytes()) {
        panic!("{name}: {refused}");
    }
}
