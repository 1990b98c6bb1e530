//! The way from a request to its route: method, host, path, route.
//!
//! Requests, the config's tests and the fuzz targets all use [`Policy::locate`].

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

/// Host and path in their canonical form, and the route that they select.
#[derive(Debug)]
pub struct Location<'r> {
    /// The host, and the port if there is one.
    pub(crate) authority: Authority<'r>,
    /// The path.
    pub(crate) path: CanonicalPath<'r>,
    /// The route that decides; `None` where no route matches.
    pub route: Option<RouteId>,
    /// Whether the request is a CORS preflight that passes without claims.
    pub(crate) is_preflight: bool,
    /// Whether the route was selected by a host pattern with a port.
    port_matched: bool,
}

/// A request whose route cannot be told, or that must not have one.
#[derive(Debug)]
pub struct LocateError {
    /// Why.
    pub denial: Box<Denial>,
    /// The route whose path rules refuse the path.
    pub route: Option<RouteId>,
}

impl Policy {
    /// Finds the route that decides about a request.
    ///
    /// # Errors
    /// A [`LocateError`] with one of these reasons:
    /// [`Reason::RequestMalformed`] if the method, the host or the path is not valid; [`Reason::PathAmbiguous`] if the path can be read in
    /// more than one way.
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

    /// What `:authority` must become so that Envoy sees the host that was judged; `None` if it can
    /// stay as it was sent.
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

    /// A browser is never an mTLS peer: a route that only peers may use needs no preflight.
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
