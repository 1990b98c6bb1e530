//! The built filter in a real Envoy, against the contract: what a client sends, what comes back, what
//! the upstream sees, what the logs say. `make e2e` runs them; `cargo e2e NAME` runs some.
//!
//! Every Envoy here is checked for failed VMs when its test ends.

mod authorize;
mod binding;
mod correlate;
mod headers;
mod keys;
mod module;
mod one_use;
mod paths;
mod protocols;
mod reload;
mod rotation;
mod support;
mod verify;
