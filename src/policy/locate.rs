//! Finds the route of a request by its method, host and path.
//!
//! The pipeline, the config's tests and the fuzz targets all use [`Policy::locate`].

use std::borrow::Cow;

use super::authority_port::AuthorityPort;
use super::authorize::Policy;
use super::host::Authority;
use super::method::Method;
use super::path::CanonicalPath;
use super::route::RouteId;
use crate::denial::{Denial, Reason};

/// The parts of a request that select its route.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'r> {
    /// `:method`
    pub method: &'r [u8],
    /// `:authority`
    pub authority: &'r [u8],
    /// `:path`
    pub path: &'r [u8],
    /// Whether the request has an `origin` header.
    pub has_origin: bool,
    /// `access-control-request-method`
    pub preflight_method: Option<&'r [u8]>,
}

/// The canonical host and path of a request, and its route.
#[derive(Debug)]
pub struct Location<'r> {
    /// The host, and the port if there is one.
    pub(crate) authority: Authority<'r>,
    /// The canonical path.
    pub(crate) path: CanonicalPath<'r>,
    /// The route; `None` if no route matches.
    pub route: Option<RouteId>,
    /// Whether the request is a CORS preflight, which is allowed without claims.
    pub(crate) is_preflight: bool,
    /// Whether the route was selected by a host pattern with a port.
    port_matched: bool,
}

/// A request that is denied before its route is known.
#[derive(Debug)]
pub struct LocateError {
    /// The denial.
    pub denial: Box<Denial>,
    /// The route whose path rules reject the path.
    pub route: Option<RouteId>,
}

impl Policy {
    /// Finds the route of a request.
    ///
    /// # Errors
    /// [`Reason::RequestMalformed`] if the method, the host or the path is not valid;
    /// [`Reason::PathAmbiguous`] if a backend could interpret the path differently.
    pub fn locate<'r>(&self, target: &Target<'r>) -> Result<Location<'r>, LocateError> {
        Method::check(target.method).map_err(malformed)?;
        let authority = Authority::parse(target.authority).map_err(malformed)?;
        let path = CanonicalPath::parse(target.path).map_err(malformed)?;
        if let Some(method) = self.announced_method(target)
            && let Ok(Some(found)) = self.routes.find(&authority, method, &path)
            && self.may_be_preflighted(found.route)
        {
            return Ok(Location {
                authority,
                path,
                route: Some(found.route),
                is_preflight: true,
                port_matched: found.port_matched,
            });
        }
        let found = self
            .routes
            .find(&authority, target.method, &path)
            .map_err(|ambiguity| LocateError {
                denial: Denial::explained(Reason::PathAmbiguous, ambiguity.class),
                route: ambiguity.route,
            })?;
        Ok(Location {
            route: found.map(|found| found.route),
            is_preflight: false,
            port_matched: found.is_some_and(|found| found.port_matched),
            authority,
            path,
        })
    }

    /// The `:authority` to forward, so that Envoy sees the same host as the policy; `None` if it is unchanged.
    pub(crate) fn forwarded_authority<'l>(
        &self,
        location: &'l Location<'_>,
        sent: &[u8],
    ) -> Option<Cow<'l, [u8]>> {
        let keeps_port = location.port_matched
            || self.authority_port == AuthorityPort::Keep
            || !self.routes.names_hosts();
        let canonical = location.authority.to_bytes(keeps_port);
        (*canonical != *sent).then_some(canonical)
    }

    /// The method that a CORS preflight announces (Fetch §4.8): `OPTIONS` with `origin` and
    /// `access-control-request-method`.
    fn announced_method<'r>(&self, target: &Target<'r>) -> Option<&'r [u8]> {
        let method = target.preflight_method?;
        let is_preflight = self.cors_preflight && target.has_origin && target.method == b"OPTIONS";
        is_preflight.then_some(method)
    }

    /// Browsers are not mTLS peers, so a route for peers only does not allow preflights.
    fn may_be_preflighted(&self, route: RouteId) -> bool {
        let route = self.routes.get(route);
        route.is_some_and(|route| !route.access.is_for_peers_only())
    }
}

#[cold]
fn malformed(problem: impl ToString) -> LocateError {
    LocateError {
        denial: Denial::explained(Reason::RequestMalformed, problem),
        route: None,
    }
}
