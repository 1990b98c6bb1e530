//! The policy: hosts, paths and routes, roles, conditions.
//!
//! [`Policy::locate`](authorize::Policy::locate) finds the route of a request, and
//! [`Policy::authorize`](authorize::Policy::authorize) checks whether the principal may use it.

pub(crate) mod access;
pub(crate) mod authority_port;
pub(crate) mod authorize;
pub(crate) mod condition;
mod hash;
pub(crate) mod host;
pub(crate) mod locate;
pub(crate) mod method;
pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod peer;
pub(crate) mod percent;
pub(crate) mod principal;
pub(crate) mod roles;
pub(crate) mod route;
pub(crate) mod table;
