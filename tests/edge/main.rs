//! A request from the client to the upstream: client → the edge of `examples/fastly-edge` under Viceroy →
//! Envoy with the filter → upstream; and the join of both logs.
//!
//! `make test-edge` builds what this needs and runs it.

mod browser;
mod edge;
mod login;
mod mesh;
mod mixed;
mod rotation;
mod viceroy;
mod world;
