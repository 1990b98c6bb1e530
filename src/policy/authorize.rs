//! Authorization: whether the policy lets a principal use the route that was found.

use super::access::{self, AccessRequest, Basis};
use super::authority_port::AuthorityPort;
use super::locate::Location;
use super::peer::PeerValidation;
use super::principal::Principal;
use super::roles::RoleModel;
use super::table::{RouteTable, Variables};
use crate::denial::{Denial, Reason};
use crate::headers::Headers;

/// The config's `rbac`, compiled.
#[derive(Debug)]
pub struct Policy {
    /// Where roles are found in claims, and which roles include which.
    pub roles: RoleModel,
    /// All routes.
    pub routes: RouteTable,
    /// What happens to the port of `:authority`.
    pub authority_port: AuthorityPort,
    /// Whether CORS preflights pass where a route exists for the method that they announce.
    pub cors_preflight: bool,
    /// Whether verified claims suffice where no route matches.
    pub default_authenticated: bool,
    /// When a client certificate counts as an mTLS peer.
    pub peer_validation: PeerValidation,
}

/// What access depends on besides the principal and the location.
#[derive(Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// The request's headers.
    pub(crate) headers: &'a Headers<'a>,
    /// Reads the SPIFFE IDs of the mTLS peer; called only where access depends on them.
    pub(crate) peers: &'a dyn Fn() -> Vec<String>,
    /// Seconds since 1970.
    pub(crate) now: u64,
}

impl Policy {
    /// Decides whether the principal may use the location.
    ///
    /// # Errors
    /// The [`Denial`]; its reason is [`Reason::ClaimsMissing`] where there is no principal and one is
    /// needed.
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
            return match principal {
                None => Err(Reason::ClaimsMissing.into()),
                Some(principal) if self.default_authenticated => Ok(Basis::Claims(principal)),
                Some(_) => Err(Reason::RouteUnknown.into()),
            };
        };
        let peers = if route.access.needs_peer() {
            (circumstances.peers)()
        } else {
            Vec::new()
        };
        let request = AccessRequest {
            claims: principal.map(Principal::claims),
            roles: principal.map(Principal::roles),
            issuer: principal.map(Principal::issuer),
            role_model: &self.roles,
            variables: Variables::of(&route.path, &location.path),
            headers: circumstances.headers,
            peers: &peers,
            now: circumstances.now,
        };
        access::check(&route.access, principal, &request)
    }
}
