//! The proof that a request may be forwarded.

use super::principal::VerifiedPrincipal;
use crate::denial::Reason;
use crate::policy::access::Basis;
use crate::record::Verdict;

/// The proof that a request may be forwarded. There are two ways to get one: a passed access check, whose
/// principal (if any) is verified, and shadow mode.
#[derive(Debug)]
pub(super) struct Permit {
    basis: PermitBasis,
}

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
    /// For a request that passed the access check.
    pub(super) fn granted(basis: Basis<&VerifiedPrincipal>) -> Self {
        let basis = match basis {
            Basis::Public => PermitBasis::Public,
            Basis::Peer => PermitBasis::Peer,
            Basis::Claims(_) => PermitBasis::Claims,
            Basis::Preflight => PermitBasis::Preflight,
        };
        Self { basis }
    }

    /// For a request that would be denied for this reason without shadow mode.
    pub(super) fn shadow(reason: Reason) -> Self {
        Self {
            basis: PermitBasis::Shadow(reason),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        match self.basis {
            PermitBasis::Public
            | PermitBasis::Peer
            | PermitBasis::Claims
            | PermitBasis::Preflight => Verdict::Allow,
            PermitBasis::Shadow(reason) => Verdict::Shadow(reason),
        }
    }

    pub(super) fn is_preflight(&self) -> bool {
        self.basis == PermitBasis::Preflight
    }
}
