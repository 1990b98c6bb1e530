//! The proof that a request may go on.

use super::access::Means;
use super::decision::Pass;
use super::table::Match;
use crate::denial::Reason;
use crate::token::Verified;

/// A request that may go on. Only a pass can become one, and one that rests on claims only
/// together with the proof that they were verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(Basis);

/// What a permit rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    Public,
    Peer,
    Claims,
    Preflight,
    Shadow(Reason),
}

impl Permit {
    /// The permit of a request that passes; `None` where that rests on claims that nobody verified.
    pub fn new(pass: Pass, verified: Option<&Verified>) -> Option<Self> {
        let means = match pass {
            Pass::Granted(grant) => grant.means(),
            Pass::Default => Means::Claims,
        };
        match (means, verified) {
            (Means::Public, _) => Some(Self(Basis::Public)),
            (Means::Peer, _) => Some(Self(Basis::Peer)),
            (Means::Claims, Some(_)) => Some(Self(Basis::Claims)),
            (Means::Claims, None) => None,
        }
    }

    /// A CORS preflight for a method that a route exists for. It carries no identity.
    pub fn preflight(_route: &Match<'_>) -> Self {
        Self(Basis::Preflight)
    }

    /// Shadow mode lets through what would have been denied for this reason.
    pub fn shadow(reason: Reason) -> Self {
        Self(Basis::Shadow(reason))
    }

    /// The reason that shadow mode passed over.
    pub fn shadowed(&self) -> Option<Reason> {
        match self.0 {
            Basis::Shadow(reason) => Some(reason),
            _ => None,
        }
    }
}
