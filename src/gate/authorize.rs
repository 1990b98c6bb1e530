//! Stage 3: whether the request may go on: the route's access, one-use tokens, shadow mode.

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
    /// Checks the route's access and uses up a one-use token. `found` becomes the principal of a good
    /// token, whether or not access is granted.
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
        // The token cannot be used, but the route may not need it.
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

    /// Whether the request waits for the issuer's keys. One that shadow mode lets pass anyway does not, but
    /// its key is requested all the same.
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

    /// Whether shadow mode, or a roll-out that has not reached the principal, lets the request pass all
    /// the same. A malformed request is denied in any case.
    #[cold]
    pub(super) fn spares(&self, denial: &Denial, evaluation: &Evaluation<'_>) -> bool {
        !denial.reason.is_malformed_request()
            && self.is_shadowed(evaluation.route, evaluation.principal.as_ref())
    }

    fn is_shadowed(&self, route: Option<RouteId>, principal: Option<&VerifiedPrincipal>) -> bool {
        let route = route.and_then(|id| self.config.rbac.routes.get(id));
        self.config.mode == Mode::Shadow
            || route.is_some_and(|route| route.shadow || !is_enforced(route, principal))
    }
}

/// Where the route only asks for claims, the reason is what is wrong with the token.
fn with_token_reason(denial: Box<Denial>, token: Reason) -> Box<Denial> {
    if denial.reason == Reason::ClaimsMissing {
        token.into()
    } else {
        denial
    }
}

/// Whether a denial on this route is enforced for this principal. The share is taken from a hash of
/// the verified subject and the route, so that nobody without verified claims can choose to be spared.
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

/// FNV-1a (64 bit): the same on every worker and after every restart, which is all that is needed here.
fn fnv1a(parts: &[&[u8]]) -> u64 {
    parts
        .iter()
        .copied()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
