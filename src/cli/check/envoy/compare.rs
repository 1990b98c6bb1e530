//! What Envoy's routes do with the requests that the filter's routes allow.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{EnvoyRoute, RouteTable, Target};
use crate::cli::analysis::leading_literals;
use crate::cli::analysis::shapes::{Shape, for_each_shape_of};
use crate::cli::analysis::terms::Rules;
use crate::cli::check::rules;
use crate::cli::diagnostic::{Diagnostic, Hidden, Severity};
use crate::cli::source::{FoundConfig, Source};
use crate::config::Config;
use crate::config::path::ConfigPath;
use crate::policy::pattern::Segment;
use crate::policy::route::{Route, RouteId};

/// All warnings about a config and Envoy's routes.
pub(in crate::cli::check) fn compare(
    found: &FoundConfig,
    config: &Config,
    tables: &[RouteTable],
    source: &Rc<Source>,
) -> Vec<Diagnostic> {
    let issuers = config
        .claims
        .issuers
        .iter()
        .map(|issuer| issuer.name.clone());
    let mut comparison = Comparison {
        found,
        config,
        source,
        issuers: issuers.collect(),
        meetings: BTreeMap::new(),
        routed: BTreeSet::new(),
        warnings: Vec::new(),
    };
    for table in tables {
        let envoy_routes = table.as_routes();
        let routes = config.rbac.routes.routes().iter();
        let routes: Vec<&Route> = routes.chain(&envoy_routes).collect();
        for_each_shape_of(&routes, true, |shape| comparison.add(table, &shape));
        comparison.wider_routes(table);
    }
    comparison.unrouted();
    comparison.warnings
}

struct Comparison<'c> {
    found: &'c FoundConfig,
    config: &'c Config,
    source: &'c Rc<Source>,
    issuers: Vec<String>,
    /// By one of Envoy's routes (its place in the file): the filter's routes for its requests, with an example.
    meetings: BTreeMap<usize, (&'c EnvoyRoute, BTreeMap<RouteId, Shape>)>,
    /// The filter's routes whose requests Envoy forwards.
    routed: BTreeSet<RouteId>,
    warnings: Vec<Diagnostic>,
}

impl<'c> Comparison<'c> {
    fn add(&mut self, table: &'c RouteTable, shape: &Shape) {
        let policy = &self.config.rbac;
        let id = shape.route(policy);
        for envoy in table.routes_of(shape) {
            if envoy.disables_filter {
                let message = format!(
                    "Envoy's route {} turns the filter off: its requests are not checked",
                    envoy.title
                );
                self.warn(envoy, rules::FILTER_DISABLED, message);
            }
            let Some(id) = id else {
                continue;
            };
            self.routed.insert(id);
            if envoy.target == Target::NotForwarded {
                continue;
            }
            let entry = self.meetings.entry(envoy.place.start);
            let (_, routes) = entry.or_insert_with(|| (envoy, BTreeMap::new()));
            routes.entry(id).or_insert_with(|| shape.clone());
            self.rewrite(envoy, id, shape);
        }
    }

    /// A request whose path Envoy rewrites to one that another route guards more.
    fn rewrite(&mut self, envoy: &'c EnvoyRoute, id: RouteId, shape: &Shape) {
        let Some(path) = envoy.rewritten(&shape.path) else {
            return;
        };
        let rewritten = Shape {
            path,
            ..shape.clone()
        };
        let policy = &self.config.rbac;
        let guard = rewritten.route(policy).and_then(|id| policy.routes.get(id));
        let (Some(route), Some(guard)) = (policy.routes.get(id), guard) else {
            return;
        };
        if !std::ptr::eq(route, guard) && self.allows_more(route, guard) {
            let message = format!(
                "{} {}{} is allowed by the route {}, and Envoy rewrites it to {}, which the route {} guards more",
                shape.method, shape.host, shape.path, route.name, rewritten.path, guard.name
            );
            self.warn(envoy, rules::REWRITTEN_TO_GUARDED, message);
        }
    }

    /// Routes that decide about requests which Envoy sends where stricter routes lead.
    fn wider_routes(&mut self, table: &RouteTable) {
        let policy = &self.config.rbac;
        let meetings: Vec<_> = std::mem::take(&mut self.meetings).into_values().collect();
        for (envoy, routes) in &meetings {
            let Target::Cluster(cluster) = &envoy.target else {
                continue;
            };
            // What leads to the cluster by name, by any of Envoy's routes.
            let guards: Vec<&Route> = meetings
                .iter()
                .filter(|(other, _)| {
                    let is_by_name = other.depth() > 0 || std::ptr::eq(*other, *envoy);
                    other.target == envoy.target && is_by_name
                })
                .flat_map(|(other, routes)| routes.keys().map(move |id| (other.depth(), *id)))
                .filter_map(|(depth, id)| Some((depth, policy.routes.get(id)?)))
                .filter(|(depth, guard)| leading_literals(guard) >= *depth)
                .map(|(_, guard)| guard)
                .collect();
            for (id, shape) in routes {
                let Some(wide) = policy.routes.get(*id) else {
                    continue;
                };
                // A route that is meant for more than Envoy's route.
                let host = wide.hosts.is_empty() && has_tail(wide) && table.names_host(&shape.host);
                if leading_literals(wide) >= envoy.depth() && !host {
                    continue;
                }
                let guard = guards.iter().find(|guard| self.allows_more(wide, guard));
                if let Some(guard) = guard {
                    let message = format!(
                        "{} {}{} is decided by the route {}, but Envoy sends it to {cluster}, where the route {} \
                         guards more",
                        shape.method, shape.host, shape.path, wide.name, guard.name
                    );
                    self.warn(envoy, rules::WIDER_THAN_ENVOY_ROUTE, message);
                }
            }
        }
    }

    /// Routes whose requests Envoy does not forward.
    fn unrouted(&mut self) {
        let policy = &self.config.rbac;
        for (index, route) in (0_u32..).zip(policy.routes.routes()) {
            if self.routed.contains(&RouteId(index)) {
                continue;
            }
            let path = ConfigPath::root()
                .key("rbac")
                .key("routes")
                .index(RouteId(index).index());
            let message = format!(
                "Envoy has no route for any request of the route {}",
                route.name
            );
            let warning = Diagnostic::warning(self.found, rules::NO_ENVOY_ROUTE, &path, message);
            self.warnings.push(warning);
        }
    }

    /// Whether somebody is allowed by one route and not by the other.
    fn allows_more(&self, route: &Route, guard: &Route) -> bool {
        let (mine, guards) = (self.rules(route), self.rules(guard));
        mine.terms(Some(guards))
            .iter()
            .any(|term| !guards.allow(term, None))
    }

    fn rules<'r>(&'r self, route: &'r Route) -> Rules<'r> {
        Rules {
            access: &route.access,
            path: Some(&route.path),
            roles: &self.config.rbac.roles,
            issuers: &self.issuers,
        }
    }

    /// A warning at one of Envoy's routes; one for each rule.
    fn warn(&mut self, envoy: &EnvoyRoute, rule: &'static str, message: String) {
        let start = envoy.place.start;
        let is_known = |it: &Diagnostic| it.rule == rule && it.range.start == start;
        if self.warnings.iter().any(is_known) {
            return;
        }
        let text = self
            .source
            .text
            .get(envoy.place.clone())
            .unwrap_or_default();
        let length = text.lines().next().map_or(0, |line| line.trim_end().len());
        self.warnings.push(Diagnostic {
            severity: Severity::Warning,
            rule,
            message,
            help: rules::lint(rule).map(|rule| rule.help),
            source: Rc::clone(self.source),
            owner: String::new(),
            range: start..start.saturating_add(length),
            hidden: Hidden::Ranges([].into()),
        });
    }
}

fn has_tail(route: &Route) -> bool {
    matches!(route.path.segments().last(), Some(Segment::Tail(_)))
}
