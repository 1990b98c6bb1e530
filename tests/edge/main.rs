//! The whole way of a request, for real: client → the edge of `examples/fastly-edge` under Viceroy →
//! Envoy with the filter → upstream; and the join of the logs that it leaves.
//!
//! `make test-edge` builds what this needs and runs it.

mod edge;
mod mesh;
mod mixed;
mod viceroy;
mod world;
