//! Real HAProxys in front of a real Envoy with the filter and behind it: `examples/haproxy`, used and attacked.
//!
//! Run by `make test-haproxy`.

mod behind;
mod chain;
mod feedback;
mod files;
mod front;
mod haproxy;
mod lint;
mod paths;
mod readme;
mod routing;
mod smuggling;
