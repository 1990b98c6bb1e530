//! Stage 2: verification of the request's token.

use super::principal::VerifiedPrincipal;
use super::scan::Scan;
use super::{Gate, KeyWait, RequestContext};
use crate::denial::Reason;
use crate::headers::SingleHeader;
use crate::policy::locate::Location;
use crate::token::{IssuerId, LiveRequest, VerifyError};

/// The result of authentication.
pub(super) enum Credentials {
    /// The token is valid.
    Verified(VerifiedPrincipal),
    /// There is no token, or it is not valid.
    Rejected(Reason),
    /// The token's key is missing, but a fetch may bring it. The request is denied for this reason if it
    /// cannot wait.
    KeyUnavailable(IssuerId, Reason),
}

impl Credentials {
    pub(super) fn principal(&self) -> Option<&VerifiedPrincipal> {
        match self {
            Self::Verified(principal) => Some(principal),
            Self::Rejected(_) | Self::KeyUnavailable(..) => None,
        }
    }
}

impl Gate {
    pub(super) fn authenticate(
        &mut self,
        scan: &Scan<'_>,
        location: &Location<'_>,
        ctx: &RequestContext<'_>,
    ) -> Credentials {
        let SingleHeader::One(value) = scan.token else {
            return Credentials::Rejected(Reason::ClaimsMissing);
        };
        let claims = &self.config.claims;
        if value.len() > claims.max_bytes {
            return Credentials::Rejected(Reason::ClaimsTooLarge);
        }
        let Some(token) = without_prefix(value, claims.prefix.as_bytes()) else {
            return Credentials::Rejected(Reason::ClaimsMalformed);
        };
        let live = LiveRequest {
            method: scan.method,
            path: scan.path,
            host: location.authority.host(),
        };
        let verified = self.verifier.verify(token, &live, ctx.now_ms, ctx.backend);
        match verified {
            Ok(verified) => {
                self.counters.kid(verified.kid());
                if let (false, Some(issued_at)) = (verified.is_cached(), verified.issued_at()) {
                    self.counters.delay(ctx.seconds().saturating_sub(issued_at));
                }
                let subject_key = self.subject_key.as_deref();
                Credentials::Verified(VerifiedPrincipal::new(verified, &self.config, subject_key))
            }
            Err(VerifyError::Denied(reason)) => Credentials::Rejected(reason),
            Err(ref error @ VerifyError::KeyUnavailable { issuer, .. }) => {
                let reason = match ctx.key_wait {
                    KeyWait::AfterFetch => error.reason_after_fetch(),
                    // The key may exist, so the status is 503 and not 401.
                    KeyWait::Allowed | KeyWait::Exhausted => error.reason_without_fetch(),
                };
                Credentials::KeyUnavailable(issuer, reason)
            }
        }
    }
}

/// Strips the prefix, which is not case-sensitive (RFC 9110 §11.1).
fn without_prefix<'v>(value: &'v [u8], prefix: &[u8]) -> Option<&'v [u8]> {
    let (head, token) = value.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(token)
}
