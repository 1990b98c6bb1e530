//! The proof that a request may go on.

use super::principal::VerifiedPrincipal;
use crate::denial::Reason;
use crate::policy::access::Basis;
use crate::record::Verdict;

/// A request that may go on. There are two ways to get one: a passed access check, which counts only
/// for a verified principal, and shadow mode.
#[derive(Debug)]
pub(super) struct Permit {
    basis: PermitBasis,
}

/// What a permit rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PermitBasis {
    Public,
    Peer,
    Claims,
    Preflight,
    /// Shadow mode does not enforce a denial for this reason.
    Shadow(Reason),
}

impl Permit {
    /// The permit of a request that passed the access check.
    pub(super) fn granted(basis: Basis<&VerifiedPrincipal>) -> Self {
        let basis = match basis {
            Basis::Public => PermitBasis::Public,
            Basis::Peer => PermitBasis::Peer,
            Basis::Claims(_) => PermitBasis::Claims,
            Basis::Preflight => PermitBasis::Preflight,
        };
        Self { basis }
    }

    /// The permit of a request that would be denied for this reason, were it not for shadow mode.
    pub(super) fn shadow(reason: Reason) -> Self {
        Self {
            basis: PermitBasis::Shadow(reason),
        }
    }

    /// The verdict that logs show.
    pub(super) fn verdict(&self) -> Verdict {
        match self.basis {
            PermitBasis::Public
            | PermitBasis::Peer
            | PermitBasis::Claims
            | PermitBasis::Preflight => Verdict::Allow,
            PermitBasis::Shadow(reason) => Verdict::Shadow(reason),
        }
    }

    /// Whether the request is a CORS preflight.
    pub(super) fn is_preflight(&self) -> bool {
        self.basis == PermitBasis::Preflight
    }
}
