//! All routes in one compiled structure: the most specific one that matches decides.
//!
//! By host (exact, then the longest wildcard, then any), then by path (literal, then variable, then
//! tail, segment by segment from the left), then by method (named, then any). The cost of a lookup
//! depends on the path, not on the number of routes.

mod build;
mod edges;
mod error;
mod trie;
mod variables;

pub(crate) use self::error::TableError;
pub(crate) use self::trie::Match;
pub(crate) use self::variables::Variables;

use self::trie::{Trie, Wanted};
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

/// A path that can be read in more than one way, and must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PathAmbiguity {
    /// The class of the ambiguity.
    pub(crate) class: Ambiguity,
    /// The route whose rules refuse the path; `None`: those of `rbac.path` do.
    pub(crate) route: Option<RouteId>,
}

/// A route that nearly matched, to explain a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nearest {
    /// Its place.
    pub id: RouteId,
    /// Whether the host was right.
    pub host: bool,
    /// Whether the method was right.
    pub method: bool,
}

/// How many hosts [`RouteTable::nearest`] looks at beyond the request's own, so that a flood of
/// unknown paths costs little.
const NEAREST_HOSTS: usize = 64;

impl RouteTable {
    /// Compiles routes; their order does not matter.
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

    /// The route that decides a request; `None` where no route matches.
    ///
    /// # Errors
    /// A [`PathAmbiguity`] if another program could read the path differently.
    pub(crate) fn find(
        &self,
        authority: &Authority<'_>,
        method: &[u8],
        path: &CanonicalPath<'_>,
    ) -> Result<Option<Match>, PathAmbiguity> {
        let wanted = self.trie.wanted(method);
        let found = self.trie.find(authority, path.segment_text(), wanted);
        if !path.classes().is_empty() {
            let route = found.and_then(|found| self.get(found.route));
            let rules = route.map_or(self.base, |route| route.rules.over(&self.base));
            let class = path
                .refused_by(&rules)
                .or_else(|| self.unsafe_class(authority, wanted, path, route));
            if let Some(class) = class {
                let route = found.map(|found| found.route);
                return Err(PathAmbiguity { class, route });
            }
        }
        Ok(found)
    }

    /// The route that fits best if the method, the host or both are ignored. For explanations only: it
    /// decides nothing.
    pub(crate) fn nearest(
        &self,
        authority: &Authority<'_>,
        method: &[u8],
        path: &CanonicalPath<'_>,
    ) -> Option<Nearest> {
        let segments = path.segment_text();
        let wanted = self.trie.wanted(method);
        let here = |wanted| {
            let found = self.trie.find(authority, segments, wanted)?;
            Some(found.route)
        };
        let elsewhere = |wanted| {
            self.trie
                .roots()
                .take(NEAREST_HOSTS)
                .find_map(|root| self.trie.find_below(root, segments, wanted))
        };
        let nearest = |id, host, method| Nearest { id, host, method };
        None.or_else(|| here(wanted).map(|id| nearest(id, true, true)))
            .or_else(|| here(Wanted::AnyMethod).map(|id| nearest(id, true, false)))
            .or_else(|| elsewhere(wanted).map(|id| nearest(id, false, true)))
            .or_else(|| elsewhere(Wanted::AnyMethod).map(|id| nearest(id, false, false)))
    }

    /// Whether any route names a host.
    pub(crate) fn names_hosts(&self) -> bool {
        !self.trie.hosts.is_empty() || !self.trie.suffixes.is_empty()
    }

    /// The route at a place.
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.0 as usize)
    }

    /// All routes, in the order of the config.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The first kept class of the path, if some backend could read the path so that the decision would
    /// not hold for it.
    #[cold]
    fn unsafe_class(
        &self,
        authority: &Authority<'_>,
        wanted: Wanted,
        path: &CanonicalPath<'_>,
        route: Option<&Route>,
    ) -> Option<Ambiguity> {
        let kept = path
            .classes()
            .iter()
            .find(|class| !matches!(class, Ambiguity::DotSegments | Ambiguity::EmptySegments))?;
        let is_unsafe = interpretations(path.segment_text())
            .any(|other| !self.is_safe(authority, wanted, path, route, &other));
        is_unsafe.then_some(kept)
    }

    /// Whether the decision for a path also holds for another interpretation of it.
    ///
    /// It does if the same route decides, with the same values in the variables that access depends
    /// on. It also does if no route of any method matches the other interpretation and this one lies
    /// below the leading literal segments of the route: nothing else is configured there.
    fn is_safe(
        &self,
        authority: &Authority<'_>,
        wanted: Wanted,
        path: &CanonicalPath<'_>,
        route: Option<&Route>,
        other: &SegmentText<'_>,
    ) -> bool {
        if let Some(found) = self.trie.find(authority, other, wanted) {
            let same = route
                .zip(self.get(found.route))
                .filter(|(route, found)| std::ptr::eq(*route, *found));
            return same.is_some_and(|(route, _)| {
                let sent = Variables::new(&route.path, path.segment_text());
                let read = Variables::new(&route.path, other);
                let mut bound = route.access.bound_variables();
                bound.all(|name| sent.get(name) == read.get(name))
            });
        }
        let other_method = self.trie.find(authority, other, Wanted::AnyMethod);
        other_method.is_none() && route.is_none_or(|route| is_below_literals(route, other))
    }
}

/// Whether a path begins with the leading literal segments of a route, of which there is one at least.
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
