//! The decision about one request, once its host and path are read: which route, and whether the
//! claimant may pass it.

use super::access::{self, Grant, HeaderSource, Subject};
use super::authority_port::AuthorityPort;
use super::explanation::Refusal;
use super::host::CanonicalHost;
use super::path::CanonicalPath;
use super::peer::PeerValidation;
use super::roles::{RoleModel, RoleSet};
use super::route::RouteId;
use super::table::{Match, RouteTable, Variables};
use crate::claims::Claims;
use crate::denial::Reason;

/// The config's `rbac`, compiled.
#[derive(Debug)]
pub struct Policy {
    /// Where roles are found in claims, and which includes which.
    pub roles: RoleModel,
    /// All routes.
    pub routes: RouteTable,
    /// Whether CORS preflights pass where a route exists for the method that they ask for.
    pub cors_preflight: bool,
    /// Whether claims alone suffice where no route matches.
    pub default_authenticated: bool,
    /// What it takes for a client's certificate to name a peer.
    pub peer_validation: PeerValidation,
    /// Whether the port is removed from `:authority`.
    pub authority_port: AuthorityPort,
}

/// Whose claims they are. Nothing here says that they were verified: a rehearsal has claims, too.
#[derive(Clone, Copy)]
pub struct Claimant<'a> {
    /// The claims.
    pub claims: &'a Claims,
    /// The roles in them, if they were resolved before by the same policy.
    pub roles: Option<&'a RoleSet>,
    /// The issuer.
    pub issuer: &'a str,
}

/// What else access may depend on.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The request's path.
    pub path: &'a CanonicalPath<'a>,
    /// The request's headers.
    pub headers: &'a dyn HeaderSource,
    /// The SPIFFE IDs of the mTLS peer; asked for only where access depends on them.
    pub peers: &'a dyn Fn() -> Vec<String>,
    /// Seconds since 1970.
    pub now: u64,
}

/// Why a request passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// A route grants access.
    Granted(Grant),
    /// No route matches, and `default` is `authenticated`.
    Default,
}

/// Why it does not.
#[derive(Debug, Clone, PartialEq)]
pub enum Refused {
    /// It takes claims, and there are none.
    ClaimsMissing,
    /// There are claims, but no route.
    RouteUnknown,
    /// The route's access refuses.
    Access(Refusal),
}

impl Refused {
    /// The deny reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::ClaimsMissing => Reason::ClaimsMissing,
            Self::RouteUnknown => Reason::RouteUnknown,
            Self::Access(refusal) => refusal.reason,
        }
    }
}

impl Policy {
    /// Whether the claimant may pass the route that was found.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn authorize(
        &self,
        route: Option<RouteId>,
        claimant: Option<&Claimant<'_>>,
        situation: &Situation<'_>,
    ) -> Result<Pass, Refused> {
        let Some(route) = route.and_then(|id| self.routes.get(id)) else {
            return match claimant {
                None => Err(Refused::ClaimsMissing),
                Some(_) if self.default_authenticated => Ok(Pass::Default),
                Some(_) => Err(Refused::RouteUnknown),
            };
        };
        let peers = if route.access.asks_for_peer() {
            (situation.peers)()
        } else {
            Vec::new()
        };
        let peers: Vec<&str> = peers.iter().map(String::as_str).collect();
        let subject = Subject {
            claims: claimant.map(|claimant| claimant.claims),
            role_model: &self.roles,
            roles: claimant.and_then(|claimant| claimant.roles),
            issuer: claimant.map(|claimant| claimant.issuer),
            variables: Variables::of(&route.path, situation.path),
            headers: situation.headers,
            peers: &peers,
            now: situation.now,
        };
        match access::check(&route.access, &subject) {
            Ok(grant) => Ok(Pass::Granted(grant)),
            Err(refusal) if claimant.is_none() && refusal.reason == Reason::ClaimsMissing => {
                Err(Refused::ClaimsMissing)
            }
            Err(refusal) => Err(Refused::Access(refusal)),
        }
    }

    /// The route that lets a CORS preflight (Fetch §4.8) pass without claims: `OPTIONS` with an
    /// `origin`, where a route exists for the method in `access-control-request-method`.
    pub fn preflight<'a>(
        &'a self,
        method: &[u8],
        origin: bool,
        requested: Option<&[u8]>,
        host: &CanonicalHost<'_>,
        path: &'a CanonicalPath<'_>,
    ) -> Option<Match<'a>> {
        let requested =
            requested.filter(|_| self.cors_preflight && origin && method == b"OPTIONS")?;
        self.routes.find(host, requested, path).ok()
    }
}
