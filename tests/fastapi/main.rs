//! `examples/fastapi` behind a real Envoy with the filter: used, attacked, and read about.
//!
//! Run by `make test-fastapi`, which runs the example's own tests first.

mod chain;
mod identity;
mod log;
mod mtls;
mod readme;
mod service;
mod token;
