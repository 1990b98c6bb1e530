//! Whether access depends on the mTLS peer, which is requested from the host only if necessary.

use super::{Access, Alternative};
use crate::policy::condition::Test;

impl Access {
    /// Whether any alternative tests the mTLS peer.
    pub fn needs_peer(&self) -> bool {
        self.alternatives()
            .iter()
            .any(|alternative| match alternative {
                Alternative::Public | Alternative::Authenticated => false,
                Alternative::Conditions(conditions) => {
                    !conditions.peers.is_empty() || conditions.when.as_ref().is_some_and(has_peer)
                }
            })
    }

    /// Whether every alternative requires only an mTLS peer.
    pub(crate) fn is_for_peers_only(&self) -> bool {
        self.alternatives()
            .iter()
            .all(|alternative| match alternative {
                Alternative::Public | Alternative::Authenticated => false,
                Alternative::Conditions(conditions) => conditions.is_peers_only(),
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
