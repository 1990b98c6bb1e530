//! The Proxy-Wasm implementation of the host, natively: the SDK's real dispatcher over a fake ABI. What
//! the filter decides is tested in `src/worker/tests` and `src/gate/tests`; these tests show that callbacks
//! and calls reach the worker, and that no status of a call ends the VM.
//!
//! A panic inside a callback aborts the whole test process, as it would end a worker's VM: these
//! tests cannot pass over one.

mod fake;
mod faults;
mod imports;
mod requests;
mod world;
