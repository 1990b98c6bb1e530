//! One route of the policy: what it matches and what it requires.

use crate::denial::Reason;

use super::access::Access;
use super::host::HostPattern;
use super::method::Method;
use super::path::PathRuleOverrides;
use super::pattern::PathPattern;
use super::percent::Percent;

/// The index of a route in the table and in the config (`rbac.routes[…]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

impl RouteId {
    /// The index of the route in the config.
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One route. A request matches it if host, path and method all do.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Unique; it appears in logs, metrics and response details.
    pub name: String,
    /// Any of these hosts; empty means every host.
    pub hosts: Vec<HostPattern>,
    /// Any of these methods; empty means every method. `GET` includes `HEAD` unless a route with the same
    /// path names `HEAD`.
    pub methods: Vec<Method>,
    /// The path pattern.
    pub path: PathPattern,
    /// Overrides of `rbac.path`.
    pub rules: PathRuleOverrides,
    /// Who is allowed.
    pub access: Access,
    /// Record a denial instead of enforcing it.
    pub shadow: bool,
    /// The share of subjects for whom a denial is enforced.
    pub enforce_percent: Percent,
    /// Statuses that override those of the reasons, for denials on this route.
    pub on_failure: Vec<(Reason, u16)>,
}

impl Route {
    /// An enforced route for every host and method, without overrides.
    pub fn new(name: impl Into<String>, path: PathPattern, access: Access) -> Self {
        Self {
            name: name.into(),
            hosts: Vec::new(),
            methods: Vec::new(),
            path,
            rules: PathRuleOverrides::default(),
            access,
            shadow: false,
            enforce_percent: Percent::ALL,
            on_failure: Vec::new(),
        }
    }

    /// The status of a denial on this route.
    pub fn status(&self, reason: Reason) -> u16 {
        self.on_failure
            .iter()
            .find(|(overridden, _)| *overridden == reason)
            .map_or_else(|| reason.status(), |(_, status)| *status)
    }
}
