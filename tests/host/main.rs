//! The real filter and the SDK's real dispatcher, natively, over a fake host: headers in, reply or
//! headers out. What a real Envoy never or rarely does to a filter is easy here: a host call that
//! fails, a callback out of order, a clock that stands still.
//!
//! A panic inside a callback aborts the whole test process, as it would end a worker's VM: these
//! tests cannot pass over one.

mod fake;
mod faults;
mod imports;
mod keys;
mod lifecycle;
mod requests;
mod world;
