//! A request with the result of each stage, for the command. It runs the pipeline itself.

use super::authenticate::Credentials;
use super::principal::VerifiedPrincipal;
use super::{Evaluation, Gate, RequestContext, Step};
use crate::claims::Claims;
use crate::denial::Reason;
use crate::headers::Headers;
use crate::policy::locate::Location;
use crate::policy::principal::Principal;
use crate::policy::roles::RoleSet;
use crate::policy::route::RouteId;
use crate::token::{IssuerId, KeySet, Verified};

/// The results of the stages.
pub(crate) struct Trace<'r> {
    /// The canonical host and path, and the route; `None` if the request was denied before.
    pub(crate) location: Option<Location<'r>>,
    /// The route that decided, or whose path rules rejected the path.
    pub(crate) route: Option<RouteId>,
    /// What verification found.
    pub(crate) token: TokenResult,
    /// The principal, unless its one-use token was refused.
    pub(crate) principal: Option<TracedPrincipal>,
    /// What to do.
    pub(crate) step: Step,
}

/// What verification found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenResult {
    /// The stage was not reached.
    NotReached,
    /// There is no token.
    Missing,
    /// The claims were given and not verified.
    Assumed,
    /// The token is valid.
    Verified,
    /// The token is not valid, for this reason.
    Rejected(Reason),
    /// The token's key is not there, but a fetch may bring it.
    KeyUnavailable(IssuerId, Reason),
}

/// A copy of the principal.
pub(crate) struct TracedPrincipal {
    claims: Claims,
    roles: RoleSet,
    issuer: String,
    /// The `kid` of the key that verified the token.
    pub(crate) kid: Option<String>,
}

impl Gate {
    /// Decides about a request and keeps the result of each stage. If `assumed` has claims, they count as
    /// verified, and the request's token is not read.
    pub(crate) fn trace<'r>(
        &mut self,
        headers: &Headers<'r>,
        ctx: &mut RequestContext<'_>,
        assumed: Option<Claims>,
    ) -> Trace<'r> {
        let mut evaluation = Evaluation::default();
        let mut token = TokenResult::NotReached;
        let step = self.decide_into(
            &mut evaluation,
            headers,
            ctx,
            |gate, scan, location, ctx| {
                let credentials = match assumed {
                    Some(claims) => {
                        token = TokenResult::Assumed;
                        return gate.assume(claims);
                    }
                    None => gate.authenticate(scan, location, ctx),
                };
                token = TokenResult::of(&credentials);
                credentials
            },
        );
        Trace {
            location: evaluation.location,
            route: evaluation.route,
            token,
            principal: evaluation.principal.as_ref().map(TracedPrincipal::of),
            step,
        }
    }

    /// Credentials with claims that are not verified. Their issuer is `iss`, else the first of the config.
    fn assume(&self, claims: Claims) -> Credentials {
        let issuers = &self.config.claims.issuers;
        let named = claims.get("iss").and_then(|name| name.as_str());
        let name = named.or_else(|| Some(issuers.first()?.name.as_str()));
        let Some(name) = name.map(str::to_owned) else {
            return Credentials::Rejected(Reason::IssuerUnknown);
        };
        let Some(index) = issuers.iter().position(|issuer| issuer.name == name) else {
            return Credentials::Rejected(Reason::IssuerUnknown);
        };
        let verified = Verified::assumed(claims, IssuerId(index), &name);
        let key = self.subject_key.as_deref();
        Credentials::Verified(VerifiedPrincipal::new(verified, &self.config, key))
    }

    /// Gives an issuer the keys that its key server would give.
    pub(crate) fn set_remote_keys(&mut self, issuer: IssuerId, keys: KeySet, now: u64) {
        self.verifier.set_keys(issuer, keys, now);
    }
}

impl TokenResult {
    fn of(credentials: &Credentials) -> Self {
        match credentials {
            Credentials::Verified(_) => Self::Verified,
            Credentials::Rejected(Reason::ClaimsMissing) => Self::Missing,
            Credentials::Rejected(reason) => Self::Rejected(*reason),
            Credentials::KeyUnavailable(issuer, reason) => Self::KeyUnavailable(*issuer, *reason),
        }
    }
}

impl TracedPrincipal {
    fn of(principal: &VerifiedPrincipal) -> Self {
        Self {
            claims: principal.claims().clone(),
            roles: principal.roles().clone(),
            issuer: principal.issuer().to_owned(),
            kid: principal.verified.kid().map(str::to_owned),
        }
    }
}

impl Principal for TracedPrincipal {
    fn claims(&self) -> &Claims {
        &self.claims
    }

    fn roles(&self) -> &RoleSet {
        &self.roles
    }

    fn issuer(&self) -> &str {
        &self.issuer
    }
}
