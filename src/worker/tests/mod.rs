//! A worker over a fake host: headers in, reply or edited headers out. What a real host rarely does is easy
//! here: a call that fails, a clock that jumps, another worker that is faster.

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
