//! Why a token is not accepted, and whether a fetch of keys might change that.

use crate::denial::Reason;
use crate::token::IssuerId;

/// Why verification did not yield a [`Verified`](crate::token::Verified).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerifyError {
    /// The token is refused; no fetch of keys would change that.
    Denied(Reason),
    /// The key that the token needs is not known; a fetch might bring it.
    KeyUnavailable {
        /// The issuer whose keys are needed.
        issuer: IssuerId,
        /// Why the key is not known.
        why: KeyAbsence,
    },
}

/// Why a key of a remote key set is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAbsence {
    /// No key set was fetched yet.
    NeverFetched,
    /// The last key set that was fetched has no key for the token.
    UnknownKid,
    /// The last key set that was fetched is older than `max_stale`.
    Stale,
}

impl VerifyError {
    /// The deny reason if the keys were fetched after the request arrived: only then is an unknown
    /// `kid` the sender's error.
    pub(crate) fn reason_after_fetch(&self) -> Reason {
        match self {
            Self::Denied(reason) => *reason,
            Self::KeyUnavailable {
                why: KeyAbsence::UnknownKid,
                ..
            } => Reason::KeyUnknown,
            Self::KeyUnavailable {
                why: KeyAbsence::NeverFetched | KeyAbsence::Stale,
                ..
            } => Reason::KeysUnavailable,
        }
    }

    /// The deny reason if no fetch could be made or awaited: an unknown key may be a new one then, so
    /// the answer is 503 and not 401.
    pub(crate) fn reason_without_fetch(&self) -> Reason {
        match self {
            Self::Denied(reason) => *reason,
            Self::KeyUnavailable { .. } => Reason::KeysUnavailable,
        }
    }
}

impl From<Reason> for VerifyError {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason)
    }
}
