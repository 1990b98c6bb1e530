//! The built filter in a real Envoy, against the contract: what a client sends, what comes back, what
//! the upstream sees, what the logs say. `make e2e` runs them; `cargo e2e NAME` runs some.
//!
//! Every Envoy here is checked for failed VMs when its test ends.

mod ambiguous;
mod authority;
mod authorize;
mod binding;
mod chain;
mod correlate;
mod cors;
mod denial_cost;
mod every_reason;
mod forwarded_path;
mod header_aliases;
mod headers;
mod import;
mod joined_values;
mod kept_paths;
mod keys;
mod known_causes;
mod method_case;
mod metrics;
mod module;
mod never_logged;
mod one_use;
mod oracle;
mod path_binding;
mod paths;
mod peers;
mod policy;
mod protocols;
mod record;
mod refused_configs;
mod reload;
mod revoked_keys;
mod rotation;
mod scale;
mod shadow;
mod starter;
mod support;
mod trailers;
mod upgrades;
mod used_tokens;
mod verify;
mod waiting;
mod wycheproof;
