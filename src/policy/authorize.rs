//! Authorization: whether a principal may use the located route.

use super::access::{self, AccessRequest, Basis};
use super::authority_port::AuthorityPort;
use super::locate::Location;
use super::peer::PeerValidation;
use super::principal::Principal;
use super::roles::RoleModel;
use super::route::Route;
use super::table::{RouteTable, Variables};
use crate::denial::{Denial, Reason};
use crate::headers::Headers;

/// The config's `rbac`, compiled.
#[derive(Debug)]
pub struct Policy {
    /// Which claim contains the roles, and which roles include others.
    pub roles: RoleModel,
    /// All routes.
    pub routes: RouteTable,
    /// What to do with the port of `:authority`.
    pub authority_port: AuthorityPort,
    /// Whether CORS preflights are allowed if a route exists for the announced method.
    pub cors_preflight: bool,
    /// Whether verified claims are sufficient if no route matches.
    pub default_authenticated: bool,
    /// When a client certificate counts as an mTLS peer.
    pub peer_validation: PeerValidation,
}

/// The input of an access check besides the principal and the location.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The request's headers.
    pub(crate) headers: &'a Headers<'a>,
    /// Returns the SPIFFE IDs of the mTLS peer; called only if access depends on them.
    pub(crate) peers: &'a dyn Fn() -> Vec<String>,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

impl Policy {
    /// Decides whether the principal may use the location.
    ///
    /// # Errors
    /// A [`Denial`]; its reason is [`Reason::ClaimsMissing`] if a principal is required and there is none.
    pub(crate) fn authorize<'p, P: Principal>(
        &self,
        location: &Location<'_>,
        principal: Option<&'p P>,
        circumstances: &Circumstances<'_>,
    ) -> Result<Basis<&'p P>, Box<Denial>> {
        if location.is_preflight {
            return Ok(Basis::Preflight);
        }
        let Some(route) = location.route.and_then(|id| self.routes.get(id)) else {
            return self.authorize_without_route(principal);
        };
        let peers = if route.access.needs_peer() {
            (circumstances.peers)()
        } else {
            Vec::new()
        };
        let request = self.access_request(route, location, principal, circumstances, &peers);
        access::check(&route.access, principal, &request)
    }

    /// The input of the check of a route's access rules.
    pub(crate) fn access_request<'a, P: Principal>(
        &'a self,
        route: &'a Route,
        location: &'a Location<'_>,
        principal: Option<&'a P>,
        circumstances: &Circumstances<'a>,
        peers: &'a [String],
    ) -> AccessRequest<'a> {
        AccessRequest {
            claims: principal.map(Principal::claims),
            roles: principal.map(Principal::roles),
            issuer: principal.map(Principal::issuer),
            role_model: &self.roles,
            variables: Variables::of(&route.path, &location.path),
            headers: circumstances.headers,
            peers,
            now: circumstances.now,
        }
    }

    /// Decides about a request that no route matches.
    ///
    /// # Errors
    /// As [`Self::authorize`].
    pub(crate) fn authorize_without_route<P>(
        &self,
        principal: Option<P>,
    ) -> Result<Basis<P>, Box<Denial>> {
        match principal {
            None => Err(Reason::ClaimsMissing.into()),
            Some(principal) if self.default_authenticated => Ok(Basis::Claims(principal)),
            Some(_) => Err(Reason::RouteUnknown.into()),
        }
    }
}
