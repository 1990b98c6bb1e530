//! The built filter in a real Envoy, against the contract: what a client sends, what comes back, what
//! the upstream sees, what the logs say. `make e2e` runs them; `cargo e2e NAME` runs some.
//!
//! Every Envoy here is checked for failed VMs when its test ends.

mod ambiguous;
mod authorize;
mod binding;
mod chain;
mod correlate;
mod cors;
mod every_reason;
mod headers;
mod keys;
mod metrics;
mod module;
mod never_logged;
mod one_use;
mod oracle;
mod paths;
mod peers;
mod policy;
mod protocols;
mod record;
mod reload;
mod rotation;
mod scale;
mod shadow;
mod support;
mod verify;
mod wycheproof;
