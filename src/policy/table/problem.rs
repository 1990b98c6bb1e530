//! What is wrong with a set of routes, naming every route that has to do with it.

use std::fmt;

use crate::policy::route::RouteId;

/// A route, as a message names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRef {
    /// Its place.
    pub id: RouteId,
    /// Its name.
    pub name: String,
}

/// A reason not to load a set of routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteProblem {
    /// Two routes have one name.
    #[error("routes[{}] and routes[{}] are both named {name:?}: give each its own name", first.0, second.0)]
    DuplicateName {
        /// The name.
        name: String,
        /// The first route with it.
        first: RouteId,
        /// The second.
        second: RouteId,
    },
    /// Two routes match the same requests and none is more specific, so that one of them would never
    /// decide.
    #[error(
        "{first} and {second} tie for {method} {path} on {host}: neither is more specific; change the host, path or method of one, or remove it"
    )]
    Tie {
        /// The first.
        first: RouteRef,
        /// The second.
        second: RouteRef,
        /// A host for which they do.
        host: String,
        /// A method for which they do.
        method: String,
        /// The path of the second.
        path: String,
    },
    /// A host stands twice in one route.
    #[error("{route} names the host {host:?} twice: remove one")]
    DuplicateHost {
        /// The route.
        route: RouteRef,
        /// The host.
        host: String,
    },
    /// A method stands twice in one route.
    #[error("{route} names the method {method:?} twice: remove one")]
    DuplicateMethod {
        /// The route.
        route: RouteRef,
        /// The method.
        method: String,
    },
    /// A method that no request has: methods are compared as they are, and are in upper case.
    #[error("{route} never matches the method {method:?}: write it in upper case, such as GET")]
    Method {
        /// The route.
        route: RouteRef,
        /// The method.
        method: String,
    },
    /// CONNECT, which is refused before routes are looked at.
    #[error(
        "{route} names CONNECT, which never reaches a route: plain CONNECT is refused, and an upgrade is decided as GET"
    )]
    Connect {
        /// The route.
        route: RouteRef,
    },
    /// A binding of a variable that the path does not have.
    #[error(
        "{route} binds the variable {variable:?}, which its path {path} does not have: write {{{variable}}} there, or correct the name"
    )]
    UnknownVariable {
        /// The route.
        route: RouteRef,
        /// The variable.
        variable: String,
        /// The path.
        path: String,
    },
    /// More than a hundred.
    #[error("{route} enforces {percent} percent: write 0 to 100")]
    EnforcePercent {
        /// The route.
        route: RouteRef,
        /// The value.
        percent: u8,
    },
    /// More routes, segments or hosts than can be numbered.
    #[error("there are too many routes")]
    TooMany,
}

impl RouteProblem {
    /// The route whose config is to be looked at; of two, the one that stands later.
    pub fn place(&self) -> Option<RouteId> {
        match self {
            Self::DuplicateName { second, .. } => Some(*second),
            Self::Tie { second, .. } => Some(second.id),
            Self::DuplicateHost { route, .. }
            | Self::DuplicateMethod { route, .. }
            | Self::Method { route, .. }
            | Self::Connect { route }
            | Self::UnknownVariable { route, .. }
            | Self::EnforcePercent { route, .. } => Some(route.id),
            Self::TooMany => None,
        }
    }
}

impl fmt::Display for RouteRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "routes[{}] ({})", self.id.0, self.name)
    }
}
