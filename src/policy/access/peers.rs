//! Whether access depends on the mTLS peer: asking the host for it costs a call.

use super::{Access, Alternative};
use crate::policy::condition::Test;

impl Access {
    /// Whether any alternative looks at the mTLS peer.
    pub fn asks_for_peer(&self) -> bool {
        self.alternatives()
            .iter()
            .any(|alternative| match alternative {
                Alternative::Public | Alternative::Authenticated => false,
                Alternative::Conditions(conditions) => {
                    !conditions.peers.is_empty() || conditions.when.as_ref().is_some_and(has_peer)
                }
            })
    }
}

fn has_peer(test: &Test) -> bool {
    match test {
        Test::All(tests) | Test::Any(tests) => tests.iter().any(has_peer),
        Test::Not(test) => has_peer(test),
        Test::Peer(_) => true,
        Test::Claim { .. } | Test::Header { .. } => false,
    }
}
