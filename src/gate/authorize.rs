//! Stage 3: whether the request is allowed: the route's access rules, one-use tokens, shadow mode.

use super::authenticate::Credentials;
use super::permit::Permit;
use super::principal::VerifiedPrincipal;
use super::{Evaluation, Gate, Held, KeyWait, RequestContext};
use crate::config::Mode;
use crate::denial::{Denial, Reason};
use crate::headers::Headers;
use crate::policy::access::Basis;
use crate::policy::authorize::Circumstances;
use crate::policy::locate::Location;
use crate::policy::percent::Percent;
use crate::policy::principal::Principal;
use crate::policy::route::{Route, RouteId};
use crate::token::IssuerId;

impl Gate {
    /// Checks the route's access rules and consumes a one-use token. Sets `found` to the token's principal,
    /// whether or not access is granted.
    pub(super) fn authorize(
        &mut self,
        location: &Location<'_>,
        credentials: &Credentials,
        headers: &Headers<'_>,
        ctx: &mut RequestContext<'_>,
        found: &mut Option<VerifiedPrincipal>,
    ) -> Result<Permit, Held> {
        let principal = credentials.principal();
        *found = principal.cloned();
        let checked = self.check_access(location, principal, headers, ctx);
        let permit = match (checked, credentials) {
            (Ok(basis), _) => Permit::granted(basis),
            (Err(denial), Credentials::Verified(_)) => return Err(Held::Denied(denial)),
            (Err(denial), Credentials::Rejected(reason)) => {
                return Err(Held::Denied(with_token_reason(denial, *reason)));
            }
            (Err(denial), Credentials::KeyUnavailable(issuer, reason)) => {
                if denial.reason == Reason::ClaimsMissing && self.waits(*issuer, location, ctx) {
                    return Err(Held::Waiting(*issuer));
                }
                return Err(Held::Denied(with_token_reason(denial, *reason)));
            }
        };
        let Some(principal) = principal else {
            return Ok(permit);
        };
        let Err(reason) = self.verifier.consume(&principal.verified, ctx.seconds()) else {
            return Ok(permit);
        };
        // Without the token, the route may still allow the request.
        match self.check_access(location, None, headers, ctx) {
            Ok(basis) => {
                *found = None;
                Ok(Permit::granted(basis))
            }
            Err(_) => Err(Held::Denied(reason.into())),
        }
    }

    fn check_access<'p>(
        &self,
        location: &Location<'_>,
        principal: Option<&'p VerifiedPrincipal>,
        headers: &Headers<'_>,
        ctx: &RequestContext<'_>,
    ) -> Result<Basis<&'p VerifiedPrincipal>, Box<Denial>> {
        let circumstances = Circumstances {
            headers,
            peers: ctx.peers,
            now: ctx.seconds(),
        };
        let policy = &self.config.rbac;
        policy.authorize(location, principal, &circumstances)
    }

    /// Whether the request waits for the issuer's keys. A request that shadow mode allows anyway does not
    /// wait, but its key is requested.
    fn waits(
        &self,
        issuer: IssuerId,
        location: &Location<'_>,
        ctx: &mut RequestContext<'_>,
    ) -> bool {
        ctx.key_wait == KeyWait::Allowed
            && (ctx.may_wait)(issuer)
            && !self.is_shadowed(location.route, None)
    }

    /// Whether the denial is not enforced: in shadow mode, or if `enforce_percent` does not include the
    /// principal. A malformed request is always denied.
    #[cold]
    pub(super) fn is_shadow_denial(&self, denial: &Denial, evaluation: &Evaluation<'_>) -> bool {
        !denial.reason.is_malformed_request()
            && self.is_shadowed(evaluation.route, evaluation.principal.as_ref())
    }

    fn is_shadowed(&self, route: Option<RouteId>, principal: Option<&VerifiedPrincipal>) -> bool {
        let route = route.and_then(|id| self.config.rbac.routes.get(id));
        self.config.mode == Mode::Shadow
            || route.is_some_and(|route| route.shadow || !is_enforced(route, principal))
    }
}

/// Replaces `claims_missing` by the reason why the token was rejected.
fn with_token_reason(denial: Box<Denial>, token: Reason) -> Box<Denial> {
    if denial.reason == Reason::ClaimsMissing {
        token.into()
    } else {
        denial
    }
}

/// Whether `enforce_percent` of the route includes this principal. The hash is over the verified subject,
/// so a client cannot choose to be excluded; a request without one is excluded only at 0 %.
fn is_enforced(route: &Route, principal: Option<&VerifiedPrincipal>) -> bool {
    if route.enforce_percent == Percent::ALL {
        return true;
    }
    let subject = principal.and_then(|principal| principal.claims().get("sub")?.as_str());
    match subject {
        Some(subject) => {
            let hash = fnv1a(&[subject.as_bytes(), b"\0", route.name.as_bytes()]);
            hash.checked_rem(100)
                .is_some_and(|bucket| bucket < u64::from(route.enforce_percent.get()))
        }
        None => route.enforce_percent.get() > 0,
    }
}

/// 64-bit FNV-1a: the same on every worker and after every restart.
fn fnv1a(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
