//! Path, routes, access tests, the decision.
//!
//! A request's host and path are read into [`host::CanonicalHost`] and [`path::CanonicalPath`],
//! [`table::RouteTable::find`] names the one route that decides, and [`access::check`] says whether
//! its [`access::Access`] lets the [`access::Subject`] through, or why not.

pub(crate) mod access;
pub(crate) mod authority_port;
pub(crate) mod condition;
pub(crate) mod decision;
pub(crate) mod explanation;
mod hash;
pub(crate) mod host;
pub(crate) mod method;
pub(crate) mod path;
pub(crate) mod pattern;
pub(crate) mod peer;
pub(crate) mod percent;
pub(crate) mod permit;
pub(crate) mod roles;
pub(crate) mod route;
pub(crate) mod table;
