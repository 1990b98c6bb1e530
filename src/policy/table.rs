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
pub(crate) use self::variables::Variables;

use self::trie::{Trie, Wanted};
use super::host::CanonicalHost;
use super::path::{Ambiguity, CanonicalPath, PathRules, readings};
use super::route::{Route, RouteId};

/// The compiled routes.
#[derive(Debug)]
pub struct RouteTable {
    routes: Box<[Route]>,
    base: PathRules,
    trie: Trie,
}

/// The route that decides a request.
#[derive(Debug, Clone, Copy)]
pub struct Match<'a> {
    /// Its place.
    pub id: RouteId,
    /// The route.
    pub route: &'a Route,
    path: &'a CanonicalPath<'a>,
}

/// Why no route decides a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// No route matches. If requests pass without one, [`CanonicalPath::normalized`] must be written
    /// back all the same.
    NoRoute,
    /// The path may be read in another way, and the rules refuse it for that.
    Ambiguous {
        /// Its class.
        class: Ambiguity,
        /// The route that would have decided; its rules were asked. Else those of `rbac.path` were.
        route: Option<RouteId>,
    },
}

/// A route that nearly matched, to explain a denial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nearest {
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

    /// The route that decides a request, once its path is found to have one reading.
    ///
    /// # Errors
    /// [`Unmatched`]: there is none, or the path is ambiguous.
    pub fn find<'a>(
        &'a self,
        host: &CanonicalHost<'_>,
        method: &[u8],
        path: &'a CanonicalPath<'_>,
    ) -> Result<Match<'a>, Unmatched> {
        let host = host.as_bytes();
        let wanted = self.trie.wanted(method);
        let id = self.trie.find(host, path.segment_text(), wanted);
        let route = id.and_then(|id| self.get(id));
        if !path.classes().is_empty() {
            let rules = route.map_or(self.base, |route| route.rules.over(&self.base));
            let class = path
                .refused_by(&rules)
                .or_else(|| self.misread(host, wanted, path, route));
            if let Some(class) = class {
                return Err(Unmatched::Ambiguous { class, route: id });
            }
        }
        match (id, route) {
            (Some(id), Some(route)) => Ok(Match { id, route, path }),
            _ => Err(Unmatched::NoRoute),
        }
    }

    /// The route that fits best if the method, or the host, or both are left aside. For explanations
    /// only: it decides nothing.
    pub fn nearest(
        &self,
        host: &CanonicalHost<'_>,
        method: &[u8],
        path: &CanonicalPath<'_>,
    ) -> Option<Nearest> {
        let segments = path.segment_text();
        let wanted = self.trie.wanted(method);
        let here = |wanted| self.trie.find(host.as_bytes(), segments, wanted);
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

    /// The route at a place.
    pub fn get(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.0 as usize)
    }

    /// All routes, in the order of the config.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The rules that hold where a route does not override them.
    pub fn base_rules(&self) -> &PathRules {
        &self.base
    }

    /// The class by which a backend could take the path for one that another route decides, or that
    /// has another value in a variable which access depends on.
    #[cold]
    fn misread(
        &self,
        host: &[u8],
        wanted: Wanted,
        path: &CanonicalPath<'_>,
        route: Option<&Route>,
    ) -> Option<Ambiguity> {
        let kept = path
            .classes()
            .iter()
            .find(|class| !matches!(class, Ambiguity::DotSegments | Ambiguity::EmptySegments))?;
        let misread = readings(path.segment_text()).any(|reading| {
            let Some(other) = self.trie.find(host, &reading, wanted) else {
                return false;
            };
            let Some((route, other)) = route.zip(self.get(other)) else {
                return true;
            };
            if !std::ptr::eq(route, other) {
                return true;
            }
            let sent = Variables::new(&route.path, path.segment_text());
            let read = Variables::new(&route.path, &reading);
            route
                .access
                .bound_variables()
                .any(|name| sent.get(name) != read.get(name))
        });
        misread.then_some(kept)
    }
}

impl<'a> Match<'a> {
    /// The values of the route's variables.
    pub fn variables(&self) -> Variables<'a> {
        Variables::new(&self.route.path, self.path.segment_text())
    }

    /// What `:path` must become, query included; `None` if it stays as sent.
    pub fn normalized(&self) -> Option<&'a [u8]> {
        self.path.normalized()
    }
}

#[cfg(test)]
mod tests;
