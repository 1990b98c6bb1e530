//! Path, routes, access tests, the decision.
//!
//! A request's host and path are read into [`host::CanonicalHost`] and [`path::CanonicalPath`],
//! [`table::RouteTable::find`] names the one route that decides, and [`access::check`] says whether
//! its [`access::Access`] lets the [`access::Subject`] through, or why not.

pub mod access;
pub mod condition;
pub mod decision;
pub mod explanation;
mod hash;
pub mod host;
pub mod path;
pub mod pattern;
pub mod peer;
pub mod permit;
pub mod roles;
pub mod route;
pub mod table;
