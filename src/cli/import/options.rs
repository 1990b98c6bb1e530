//! The arguments of `edge-claims import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Write the plugin config that says what Envoy's or Istio's own filters say.
///
/// Reads Envoy configs with jwt_authn and rbac filters (a bootstrap, a listener, or a list of HTTP filters), or
/// Istio's RequestAuthentication, AuthorizationPolicy and VirtualService objects, as YAML or JSON.
///
/// What the config cannot say in the same way is listed on stderr and at its top, and denied: the config allows no
/// request that the source denies, except where the list says so.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Options {
    /// Files with Envoy's config or Istio's objects; `-` for stdin
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    pub format: Format,
    /// Envoy: the name of the listener, if several have such filters
    #[arg(long, value_name = "NAME")]
    pub listener: Option<String>,
    /// Istio: the namespace of the workload, if the objects apply to several
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Istio: a label of the workload
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    pub label: Vec<String>,
    /// Istio: the namespace whose objects apply to all workloads
    #[arg(long, value_name = "NAME", default_value = "istio-system")]
    pub root_namespace: String,
    /// The trust domain of peers, where the source leaves it open
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local")]
    pub trust_domain: String,
}

const EXAMPLES: &str = "\
Examples:
  edge-claims import envoy.yaml > edge-claims.yaml
  edge-claims import jwt.yaml policies.yaml --namespace shop --label app=cart
  kubectl get requestauthentication,authorizationpolicy -n shop -o yaml | edge-claims import -
  edge-claims import envoy.yaml --format json | jq .not_imported

Exit codes:
  0  all is imported
  1  something is listed as not imported
  2  wrong usage, or a file cannot be read";

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// The config, with comments that say where each route comes from
    Yaml,
    /// An object with `config`, `not_imported` and `notes`
    Json,
}

fn label(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.is_empty() => Ok(text.to_owned()),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
