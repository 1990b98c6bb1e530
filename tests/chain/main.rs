//! The whole chain: client → the edge of `examples/fastly-edge` under Viceroy → HAProxy with
//! `examples/haproxy/front.cfg` → Envoy with the filter → the service of `examples/fastapi`; what its logs say
//! together, and `examples/log-sink`, which ships them to one place.
//!
//! `make test-chain` builds what this needs and runs it.

mod chain;
mod logs;
mod sink;
mod visits;

// Parts of the suites of each hop, which use more of them than this one.
#[allow(dead_code)]
#[path = "../edge/browser.rs"]
mod browser;
#[allow(dead_code)]
#[path = "../haproxy/files.rs"]
mod files;
#[allow(dead_code)]
#[path = "../haproxy/haproxy.rs"]
mod haproxy;
#[allow(dead_code)]
#[path = "../fastapi/service.rs"]
mod service;
#[allow(dead_code)]
#[path = "../edge/viceroy.rs"]
mod viceroy;
#[allow(dead_code)]
#[path = "../edge/world.rs"]
mod world;
