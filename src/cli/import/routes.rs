//! From the rules of the source to routes.
//!
//! The source takes the union of rules that may overlap; here the most specific route decides alone. So the hosts
//! and paths of all rules are intersected until any two that overlap have their intersection among them. For the
//! requests of one such cell, less those of narrower cells, a rule's host, path and method hold or do not hold, and
//! what remains of all rules together is the route's `allow`.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::allow::alternatives;
use super::alternative::Alternative;
use super::expr::{Cell, Expr, Kind, Leaf, Residual};
use super::hosts::HostShape;
use super::listed::Report;
use super::methods;
use super::path_shape::PathShape;
use super::prune::{drop_denials, drop_hosts, prune};
use super::tests_of::Translator;
use crate::cli::CommandError;

/// Cells of one host, and routes, at most.
const MAX_CELLS: usize = 4096;
const MAX_ROUTES: usize = 20_000;

/// All conditions of the source. A request must pass every stage.
#[derive(Debug, Default)]
pub(super) struct Policy {
    pub(super) stages: Vec<Stage>,
}

/// One stage.
#[derive(Debug)]
pub(super) struct Stage {
    /// Whether a rule denies; otherwise one rule must hold.
    pub(super) denies: bool,
    pub(super) rules: Vec<Rule>,
}

/// One rule, and where it is.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) place: Rc<str>,
    pub(super) expr: Expr,
}

/// A route of the config.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub(super) host: HostShape,
    pub(super) path: PathShape,
    /// Empty: all methods.
    pub(super) methods: Vec<String>,
    /// Empty: always denied.
    pub(super) allow: Vec<Value>,
    /// The rules that decide here.
    pub(super) from: Vec<String>,
    /// Whether the client's certificate counts.
    pub(super) uses_peers: bool,
    /// Whether an alternative is `public`.
    pub(super) is_public: bool,
}

/// What decides in one cell, by groups of methods. The first group is that of all other methods.
pub(super) type Groups = Vec<Route>;

/// The routes that say what the policy says.
///
/// # Errors
/// [`CommandError::Content`] if there would be too many.
pub(super) fn routes(
    policy: &Policy,
    translator: &Translator<'_>,
    report: &mut Report,
) -> Result<Vec<Route>, CommandError> {
    let mut leaves = Vec::new();
    for rule in policy.rules() {
        rule.expr.leaves(&mut leaves);
    }
    let named = method_names(&leaves);
    let mut hosts: BTreeSet<HostShape> = BTreeSet::from([HostShape::Any]);
    for leaf in &leaves {
        if let Kind::Host(text) = &leaf.kind {
            hosts.extend(HostShape::of(text));
        }
    }
    let hosts = close(hosts, HostShape::meet)?;
    let mut by_host: Vec<(HostShape, Vec<Groups>)> = Vec::new();
    let mut count = 0_usize;
    for host in hosts {
        let mut cells = Vec::new();
        for path in policy.paths(&host)? {
            let groups = policy.decide(&host, &path, &named, translator, report);
            count = count.saturating_add(groups.len());
            if count > MAX_ROUTES {
                return Err(too_many());
            }
            cells.push(groups);
        }
        by_host.push((host, drop_denials(prune(cells))));
    }
    drop_hosts(&mut by_host);
    let mut routes: Vec<Route> = by_host
        .into_iter()
        .flat_map(|(_, cells)| cells)
        .flatten()
        .collect();
    // Where no route matches, requests are denied anyway.
    if routes.len() > 1 {
        let is_default = |route: &Route| {
            route.host == HostShape::Any
                && route.path == PathShape::all()
                && route.methods.is_empty()
                && route.allow.is_empty()
        };
        let has_methods = routes.iter().any(|route| {
            route.host == HostShape::Any
                && route.path == PathShape::all()
                && !route.methods.is_empty()
        });
        if !has_methods {
            routes.retain(|route| !is_default(route));
        }
    }
    Ok(routes)
}

impl Policy {
    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.stages.iter().flat_map(|stage| &stage.rules)
    }

    /// The path shapes of the rules that matter for a host.
    fn paths(&self, host: &HostShape) -> Result<BTreeSet<PathShape>, CommandError> {
        let cell = Cell {
            host: Some(host),
            ..Cell::default()
        };
        let mut paths = BTreeSet::from([PathShape::all()]);
        for rule in self.rules() {
            if rule.expr.at(cell, false) == Residual::False {
                continue;
            }
            let mut leaves = Vec::new();
            rule.expr.leaves(&mut leaves);
            for leaf in leaves {
                if let Kind::Path(test) = &leaf.kind {
                    paths.extend(test.shapes());
                }
            }
        }
        close(paths, PathShape::meet)
    }

    fn decide(
        &self,
        host: &HostShape,
        path: &PathShape,
        named: &BTreeSet<String>,
        translator: &Translator<'_>,
        report: &mut Report,
    ) -> Groups {
        let mut route = |method: Option<&str>| {
            let cell = Cell {
                host: Some(host),
                path: Some(path),
                method: Some(method),
            };
            self.route(cell, host, path, translator, report)
        };
        let mut groups = vec![route(None)];
        for name in named {
            let mut found = route(Some(name));
            match groups.iter_mut().find(|group| group.allow == found.allow) {
                Some(group) => {
                    for place in found.from {
                        if !group.from.contains(&place) {
                            group.from.push(place);
                        }
                    }
                    if !group.methods.is_empty() {
                        group.methods.push(name.clone());
                    }
                }
                None => {
                    found.methods.push(name.clone());
                    groups.push(found);
                }
            }
        }
        // A route for GET is one for HEAD as well, unless a route names HEAD.
        let names = |name: &str| {
            groups
                .iter()
                .any(|group| group.methods.iter().any(|known| known == name))
        };
        if names("GET")
            && !names("HEAD")
            && let Some(others) = groups.first()
        {
            let mut head = others.clone();
            head.methods.push("HEAD".to_owned());
            groups.push(head);
        }
        groups
    }

    fn route(
        &self,
        cell: Cell<'_>,
        host: &HostShape,
        path: &PathShape,
        translator: &Translator<'_>,
        report: &mut Report,
    ) -> Route {
        let mut from: Vec<String> = Vec::new();
        let mut stages = Vec::new();
        for stage in &self.stages {
            let mut parts = Vec::new();
            for rule in &stage.rules {
                let part = rule.expr.at(cell, stage.denies);
                let decides = if stage.denies {
                    part != Residual::True
                } else {
                    part != Residual::False
                };
                if decides && !from.iter().any(|known| *known == *rule.place) {
                    from.push(rule.place.to_string());
                }
                parts.push(part);
            }
            stages.push(if stage.denies {
                Residual::all(parts)
            } else {
                Residual::any(parts)
            });
        }
        let mut found = alternatives(&Residual::all(stages), translator, report);
        found.retain(|alternative| !alternative.is_empty());
        if let Some(public) = found.iter().position(Alternative::is_public) {
            found = vec![found.swap_remove(public)];
        }
        let mut allow: Vec<Value> = Vec::new();
        for alternative in &found {
            let value = alternative.to_json(translator.issuers, report);
            if !allow.contains(&value) {
                allow.push(value);
            }
        }
        if allow.iter().any(|value| value == "authenticated") {
            // Every other one that needs a token is implied.
            allow.retain(|value| value == "authenticated" || is_peers_only(value));
        }
        Route {
            host: host.clone(),
            path: path.clone(),
            methods: Vec::new(),
            allow,
            from,
            uses_peers: found.iter().any(Alternative::uses_peers),
            is_public: found.iter().any(Alternative::is_public),
        }
    }
}

fn is_peers_only(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|conditions| conditions.keys().all(|key| key == "peers"))
}

fn method_names(leaves: &[Rc<Leaf>]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for leaf in leaves {
        if let Kind::Method(text) = &leaf.kind {
            named.extend(methods::named(text));
        }
    }
    if named.contains("GET") {
        named.insert("HEAD".to_owned());
    }
    named
}

/// Adds the intersections of all pairs, until nothing is new.
fn close<S: Ord + Clone>(
    shapes: BTreeSet<S>,
    meet: impl Fn(&S, &S) -> Option<S>,
) -> Result<BTreeSet<S>, CommandError> {
    let mut all = BTreeSet::new();
    let mut new: Vec<S> = shapes.into_iter().collect();
    while let Some(shape) = new.pop() {
        if all.contains(&shape) {
            continue;
        }
        for other in &all {
            if let Some(both) = meet(&shape, other)
                && both != shape
                && !all.contains(&both)
            {
                new.push(both);
            }
        }
        all.insert(shape);
        if all.len() > MAX_CELLS {
            return Err(too_many());
        }
    }
    Ok(all)
}

fn too_many() -> CommandError {
    CommandError::Usage(format!(
        "the hosts and paths of the rules overlap in more than {MAX_CELLS} ways, or need more than {MAX_ROUTES} routes; import fewer rules at once"
    ))
}
