//! Who may do what: hosts, paths and routes, roles, conditions, and the check against them.
//!
//! [`Policy::locate`](authorize::Policy::locate) finds the one route that decides a request, and
//! [`Policy::authorize`](authorize::Policy::authorize) checks whether that route's access lets the
//! request's principal through, or why not.

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
