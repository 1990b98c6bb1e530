//! Tests of a worker on a fake host, which can simulate failing calls, clock jumps and concurrent workers.

mod edge;
mod fake_host;
mod faults;
mod host_crypto;
mod keys;
mod lifecycle;
mod logs;
mod metrics;
mod one_use;
mod requests;
mod shared_keys;
mod support;
mod trailers;
mod waiting;
