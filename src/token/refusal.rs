//! Why a token is not believed, and whether a fetch of keys might change that.

use crate::denial::Reason;

/// Why there is no [`Verified`](crate::token::Verified).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The token is not good, whatever is fetched.
    Denied(Reason),
    /// The key that the token needs is not here; a fetch might bring it.
    KeysAbsent {
        /// The index of the issuer whose keys are wanted.
        issuer: usize,
        /// The token's `kid`, unverified.
        kid: Option<String>,
        /// What is missing.
        why: Absence,
    },
}

/// Why a key is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// No key set was fetched yet.
    NeverFetched,
    /// The last set that was fetched has no key for the token.
    UnknownKid,
    /// The last set that was fetched is older than `max_stale`.
    Stale,
}

impl Refusal {
    /// The reason where the keys were fetched after the request arrived: only then is an unknown
    /// `kid` the sender's fault.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Denied(reason) => *reason,
            Self::KeysAbsent {
                why: Absence::UnknownKid,
                ..
            } => Reason::KeyUnknown,
            Self::KeysAbsent {
                why: Absence::NeverFetched | Absence::Stale,
                ..
            } => Reason::KeysUnavailable,
        }
    }

    /// The reason where a fetch was due and could not be made or awaited: a key that is missing then
    /// may be a fresh one, so its users get 503, not 401.
    pub fn reason_without_fetch(&self) -> Reason {
        match self {
            Self::Denied(reason) => *reason,
            Self::KeysAbsent { .. } => Reason::KeysUnavailable,
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason)
    }
}
