//! Why a token is rejected, and whether a fetch of keys may change that.

use crate::denial::Reason;
use crate::token::IssuerId;

/// Why verification failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VerifyError {
    /// The token is rejected; a fetch of keys would not change that.
    Denied(Reason),
    /// The token's key is missing; a fetch may bring it.
    KeyUnavailable {
        /// The issuer whose keys are needed.
        issuer: IssuerId,
        /// Why the key is missing.
        why: KeyAbsence,
    },
}

/// Why a remote key is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyAbsence {
    /// No key set has been fetched.
    NeverFetched,
    /// The fetched key set has no key for the token.
    UnknownKid,
    /// The fetched key set is older than `max_stale`.
    Stale,
}

impl VerifyError {
    /// The deny reason if keys were fetched after the request arrived: only then is an unknown `kid` the
    /// client's error.
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

    /// The deny reason if the request did not wait for a fetch: an unknown key may be a new one, so the status
    /// is 503 and not 401.
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
