//! Compares the filter's routes with Envoy's own route table.

mod compare;
mod matching;
mod read;

pub(super) use self::compare::compare;
pub(super) use self::read::read;

use std::ops::Range;

/// The routes of one listener or of RDS: `envoy.config.route.v3.RouteConfiguration`.
#[derive(Debug)]
pub(super) struct RouteTable {
    hosts: Vec<VirtualHost>,
}

/// `envoy.config.route.v3.VirtualHost`
#[derive(Debug)]
struct VirtualHost {
    /// In lower case; with `*` as in Envoy.
    domains: Vec<String>,
    routes: Vec<EnvoyRoute>,
}

/// `envoy.config.route.v3.Route`
#[derive(Debug)]
struct EnvoyRoute {
    /// As messages show it.
    title: String,
    /// Where it is in the file.
    place: Range<usize>,
    path: PathMatch,
    case_sensitive: bool,
    methods: MethodMatch,
    /// Whether it has conditions besides path and method, so that it may or may not match.
    conditional: bool,
    target: Target,
    /// `prefix_rewrite`, or `path_redirect`-like changes of the path before it is forwarded.
    rewrite: Option<String>,
    disables_filter: bool,
}

/// `envoy.config.route.v3.RouteMatch.path_specifier`
#[derive(Debug, PartialEq, Eq)]
enum PathMatch {
    /// `prefix`
    Prefix(String),
    /// `path_separated_prefix`
    Segments(String),
    /// `path`
    Exact(String),
    /// Another one: any path may match.
    Unknown,
}

/// Tests of the header `:method`.
#[derive(Debug, PartialEq, Eq)]
enum MethodMatch {
    Any,
    Exact(String),
    /// A test other than an exact one: any method may match.
    Unknown,
}

/// `envoy.config.route.v3.Route.action`
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// The cluster, or the clusters with their weights.
    Cluster(String),
    /// A redirect or a direct response: nothing is forwarded.
    NotForwarded,
}

#[cfg(test)]
mod tests;
