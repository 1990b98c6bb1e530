//! Why routes cannot be compiled.

use std::fmt;

use crate::policy::route::RouteId;

/// A route in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRef {
    /// Its index.
    pub id: RouteId,
    /// Its name.
    pub name: String,
}

/// Why routes are rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Two routes have the same name.
    #[error("routes[{}] and routes[{}] are both named {name:?}: give each its own name", first.0, second.0)]
    DuplicateName {
        /// The name.
        name: String,
        /// The first route with it.
        first: RouteId,
        /// The second.
        second: RouteId,
    },
    /// Two routes match the same requests and neither is more specific.
    #[error(
        "{first} and {second} both match {method} {path} on {host} and neither is more specific: change the host, path or method of one, or remove it"
    )]
    Tie {
        /// The first.
        first: RouteRef,
        /// The second.
        second: RouteRef,
        /// A host that both match.
        host: String,
        /// A method that both match.
        method: String,
        /// The path of the second.
        path: String,
    },
    /// More routes, segments or hosts than 32-bit indexes allow.
    #[error("there are too many routes")]
    TooMany,
}

impl fmt::Display for RouteRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "routes[{}] ({})", self.id.0, self.name)
    }
}
