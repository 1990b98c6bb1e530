//! Runs the pipeline on headers.

use edge_claims::internals::{
    Decision, Gate, Header, Headers, KeyWait, Portable, RequestContext, Step,
};

/// The decision about a request with these headers, which does not wait for keys.
pub fn decide(gate: &mut Gate, headers: &[Header<'_>], peers: &[&str]) -> Decision {
    let peers = || peers.iter().map(|peer| (*peer).to_owned()).collect();
    let mut ctx = RequestContext {
        now_ms: 1_767_225_600_000,
        backend: &Portable,
        random: &mut || [0; 10],
        peers: &peers,
        key_wait: KeyWait::Exhausted,
        may_wait: &mut |_| false,
        assigned: None,
    };
    match gate.decide(&Headers::new(headers), &mut ctx) {
        Step::Done(decision) => decision,
        Step::Wait(wait) => panic!("a request that cannot wait waits: {wait:?}"),
    }
}
