//! The compiled routes. The most specific matching route decides.
//!
//! Specificity is by host (exact, then the longest wildcard, then any), then by path (literal, then
//! variable, then tail, segment by segment from the left), then by method (named, then any). The cost of a
//! lookup depends on the path, not on the number of routes.

mod build;
mod edges;
mod error;
mod trie;
mod variables;

pub(crate) use self::error::TableError;
pub(crate) use self::trie::Match;
pub(crate) use self::variables::Variables;

use self::trie::{MethodKey, Trie};
use super::host::Authority;
use super::path::{Ambiguity, CanonicalPath, PathRules, SegmentText, interpretations};
use super::pattern::Segment;
use super::route::{Route, RouteId};

/// The compiled routes.
#[derive(Debug)]
pub struct RouteTable {
    routes: Box<[Route]>,
    base: PathRules,
    trie: Trie,
}

/// A path that is rejected because a backend could interpret it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathAmbiguity {
    /// The class of the ambiguity.
    pub(crate) class: Ambiguity,
    /// The route whose rules reject the path; `None` if those of `rbac.path` do.
    pub(crate) route: Option<RouteId>,
}

/// A route that almost matched, to explain a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nearest {
    /// Its ID.
    pub id: RouteId,
    /// Whether the host matches.
    pub host: bool,
    /// Whether the method matches.
    pub method: bool,
}

/// The maximum number of other hosts that [`RouteTable::nearest`] searches, to limit the cost of unknown
/// paths.
const NEAREST_HOSTS: usize = 64;

impl RouteTable {
    /// Compiles routes; their order does not affect which route matches.
    ///
    /// # Errors
    /// Every [`TableError`] found, in the order of the routes.
    pub fn build(routes: Vec<Route>, base: PathRules) -> Result<Self, Vec<TableError>> {
        let trie = build::compile(&routes, &base)?;
        Ok(Self {
            routes: routes.into(),
            base,
            trie,
        })
    }

    /// The route of a request; `None` if no route matches.
    ///
    /// # Errors
    /// A [`PathAmbiguity`] if a backend could interpret the path differently.
    pub(crate) fn find(
        &self,
        authority: &Authority<'_>,
        method: &[u8],
        path: &CanonicalPath<'_>,
    ) -> Result<Option<Match>, PathAmbiguity> {
        let method_key = self.trie.method_key(method);
        let found = self.trie.find(authority, path.segment_text(), method_key);
        if !path.classes().is_empty() {
            let route = found.and_then(|found| self.get(found.route));
            let rules = route.map_or(self.base, |route| route.rules.over(&self.base));
            let class = path
                .rejected_by(&rules)
                .or_else(|| self.unsafe_class(authority, method_key, path, route));
            if let Some(class) = class {
                let route = found.map(|found| found.route);
                return Err(PathAmbiguity { class, route });
            }
        }
        Ok(found)
    }

    /// The best match if the method, the host or both are ignored. For explanations only.
    pub(crate) fn nearest(
        &self,
        authority: &Authority<'_>,
        method: &[u8],
        path: &CanonicalPath<'_>,
    ) -> Option<Nearest> {
        let segments = path.segment_text();
        let method_key = self.trie.method_key(method);
        let same_host = |method_key| {
            let found = self.trie.find(authority, segments, method_key)?;
            Some(found.route)
        };
        let other_hosts = |method_key| {
            self.trie
                .roots()
                .take(NEAREST_HOSTS)
                .find_map(|root| self.trie.find_below(root, segments, method_key))
        };
        let nearest = |id, host, method| Nearest { id, host, method };
        None.or_else(|| same_host(method_key).map(|id| nearest(id, true, true)))
            .or_else(|| same_host(MethodKey::AnyMethod).map(|id| nearest(id, true, false)))
            .or_else(|| other_hosts(method_key).map(|id| nearest(id, false, true)))
            .or_else(|| other_hosts(MethodKey::AnyMethod).map(|id| nearest(id, false, false)))
    }

    /// The path rules of a route.
    #[cfg(feature = "cli")]
    pub(crate) fn rules_of(&self, route: &Route) -> PathRules {
        route.rules.over(&self.base)
    }

    /// Whether any route names a host.
    pub(crate) fn names_hosts(&self) -> bool {
        !self.trie.hosts.is_empty() || !self.trie.suffixes.is_empty()
    }

    /// The route with this ID.
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.0 as usize)
    }

    /// All routes, in the order of the config.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The path's first class with the rule `keep`, if the decision would not hold for some backend's
    /// interpretation of the path.
    ///
    /// It holds if the same route matches with the same values of the bound variables. It also holds if no
    /// route of any method matches the interpretation, which starts with the route's leading literal
    /// segments: then no other access rules are configured for it.
    #[cold]
    fn unsafe_class(
        &self,
        authority: &Authority<'_>,
        method_key: MethodKey,
        path: &CanonicalPath<'_>,
        route: Option<&Route>,
    ) -> Option<Ambiguity> {
        let kept = path
            .classes()
            .iter()
            .find(|class| !matches!(class, Ambiguity::DotSegments | Ambiguity::EmptySegments))?;
        let is_safe = |other: SegmentText<'_>| {
            // Many backends serve `/a` and `/a/` alike, even if the rules tell them apart.
            let other_slash = SegmentText {
                trailing_slash: !other.trailing_slash && !other.text.is_empty(),
                ..other.clone()
            };
            let reach = |text| self.reach(authority, method_key, path, route, text);
            let is_below = || route.is_none_or(|route| is_below_literals(route, &other));
            match reach(&other) {
                Reach::SameDecision => reach(&other_slash) != Reach::OtherDecision,
                Reach::NoRoute => reach(&other_slash) != Reach::OtherDecision && is_below(),
                Reach::OtherDecision => false,
            }
        };
        let all_safe = interpretations(path.segment_text()).all(is_safe);
        (!all_safe).then_some(kept)
    }

    /// What another interpretation of a path reaches.
    fn reach(
        &self,
        authority: &Authority<'_>,
        method_key: MethodKey,
        path: &CanonicalPath<'_>,
        route: Option<&Route>,
        other: &SegmentText<'_>,
    ) -> Reach {
        if let Some(found) = self.trie.find(authority, other, method_key) {
            let same = route
                .zip(self.get(found.route))
                .filter(|(route, found)| std::ptr::eq(*route, *found));
            let holds = same.is_some_and(|(route, _)| {
                let sent = Variables::new(&route.path, path.segment_text());
                let interpreted = Variables::new(&route.path, other);
                let mut bound = route.access.bound_variables();
                bound.all(|name| sent.get(name) == interpreted.get(name))
            });
            return if holds {
                Reach::SameDecision
            } else {
                Reach::OtherDecision
            };
        }
        match self.trie.find(authority, other, MethodKey::AnyMethod) {
            Some(_) => Reach::OtherDecision,
            None => Reach::NoRoute,
        }
    }
}

/// What an interpretation of a path reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The same route, with the same values of the bound variables.
    SameDecision,
    /// No route of any method.
    NoRoute,
    /// Another route, or other values.
    OtherDecision,
}

/// Whether a path starts with the leading literal segments of a route, which must have at least one.
fn is_below_literals(route: &Route, path: &SegmentText<'_>) -> bool {
    let mut rest = path.start();
    let mut literals = 0_usize;
    for segment in route.path.segments() {
        let Segment::Literal(literal) = segment else {
            break;
        };
        let Some((first, after)) = rest.map(|rest| path.next(rest)) else {
            return false;
        };
        if *first != *literal.as_bytes() {
            return false;
        }
        literals = literals.saturating_add(1);
        rest = after;
    }
    literals > 0
}

#[cfg(test)]
mod tests;
