//! Which of Envoy's routes a request takes, and which requests Envoy tells apart.

use super::{EnvoyRoute, MethodMatch, PathMatch, RouteTable, VirtualHost};
use crate::cli::analysis::shapes::Shape;
use crate::policy::access::Access;
use crate::policy::host::HostPattern;
use crate::policy::pattern::PathPattern;
use crate::policy::route::Route;

impl RouteTable {
    /// The routes that a request may take: the first that matches for certain, and those before it that depend
    /// on more than host, method and path.
    pub(super) fn routes_of(&self, shape: &Shape) -> Vec<&EnvoyRoute> {
        let mut found = Vec::new();
        for route in self
            .host(&shape.host)
            .map_or(&[][..], |host| host.routes.as_slice())
        {
            if !route.may_match(shape) {
                continue;
            }
            found.push(route);
            if route.matches(shape) {
                break;
            }
        }
        found
    }

    /// Whether a virtual host other than the one for all hosts takes the request.
    pub(super) fn names_host(&self, host: &str) -> bool {
        self.host(host)
            .is_some_and(|host| !host.domains.iter().any(|domain| domain == "*"))
    }

    /// Exact domains first, then the longest suffix, the longest prefix, then `*`
    /// (`VirtualHost.domains`).
    fn host(&self, authority: &str) -> Option<&VirtualHost> {
        let name = authority.split(':').next().unwrap_or_default();
        let rank = |domain: &str| {
            let matches = |text: &str| match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
                _ if domain == "*" => Some((0, 0)),
                (Some(suffix), _) => (text.len() > suffix.len() && text.ends_with(suffix))
                    .then_some((2, suffix.len())),
                (_, Some(prefix)) => (text.len() > prefix.len() && text.starts_with(prefix))
                    .then_some((1, prefix.len())),
                _ => (text == domain).then_some((3, 0)),
            };
            matches(authority).or_else(|| matches(name))
        };
        let ranked = self.hosts.iter().filter_map(|host| {
            let best = host
                .domains
                .iter()
                .filter_map(|domain| rank(domain))
                .max()?;
            Some((best, host))
        });
        // Of equal ranks, which Envoy refuses, the first.
        ranked
            .rev()
            .max_by_key(|(best, _)| *best)
            .map(|(_, host)| host)
    }

    /// Routes of the filter's kind for everything that Envoy tells apart, so that the shapes do, too.
    pub(super) fn as_routes(&self) -> Vec<Route> {
        let mut routes = Vec::new();
        for host in &self.hosts {
            let hosts: Vec<HostPattern> = host
                .domains
                .iter()
                .filter_map(|domain| HostPattern::parse(&domain.replace(".*", ".other")).ok())
                .collect();
            for route in &host.routes {
                for path in route.paths() {
                    let Ok(pattern) = PathPattern::parse(&path) else {
                        continue;
                    };
                    let mut like = Route::new("envoy", pattern, Access::public());
                    like.hosts.clone_from(&hosts);
                    if let MethodMatch::Exact(method) = &route.methods {
                        like.methods
                            .extend(crate::policy::method::Method::parse(method).ok());
                    }
                    routes.push(like);
                }
            }
        }
        routes
    }
}

impl EnvoyRoute {
    fn matches(&self, shape: &Shape) -> bool {
        self.may_match(shape)
            && !self.conditional
            && self.path != PathMatch::Unknown
            && self.methods != MethodMatch::Unknown
    }

    fn may_match(&self, shape: &Shape) -> bool {
        let method = match &self.methods {
            MethodMatch::Exact(method) => *method == shape.method,
            MethodMatch::Any | MethodMatch::Unknown => true,
        };
        let fold = |text: &str| {
            if self.case_sensitive {
                text.to_owned()
            } else {
                text.to_ascii_lowercase()
            }
        };
        let path = fold(&shape.path);
        let matches = match &self.path {
            PathMatch::Prefix(prefix) => path.starts_with(&fold(prefix)),
            PathMatch::Segments(prefix) => path
                .strip_prefix(&fold(prefix))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            PathMatch::Exact(exact) => path == fold(exact),
            PathMatch::Unknown => true,
        };
        method && matches
    }

    /// The number of segments that it names.
    pub(super) fn depth(&self) -> usize {
        match &self.path {
            PathMatch::Prefix(path) | PathMatch::Segments(path) | PathMatch::Exact(path) => path
                .split('/')
                .filter(|segment| !segment.is_empty())
                .count(),
            PathMatch::Unknown => 0,
        }
    }

    /// The path after `prefix_rewrite`.
    pub(super) fn rewritten(&self, path: &str) -> Option<String> {
        let rewrite = self.rewrite.as_ref()?;
        let (PathMatch::Prefix(matched) | PathMatch::Segments(matched) | PathMatch::Exact(matched)) =
            &self.path
        else {
            return None;
        };
        let rest = path.get(matched.len()..)?;
        Some(format!("{rewrite}{rest}"))
    }

    /// Patterns for the paths that it tells apart: what it matches, what is beside it, and other cases of letters.
    fn paths(&self) -> Vec<String> {
        let mut paths = match &self.path {
            PathMatch::Prefix(prefix) => {
                let whole = prefix.trim_end_matches('/');
                let mut paths = vec![format!("{whole}/{{*rest}}")];
                if !prefix.ends_with('/') {
                    // A prefix need not end at a slash.
                    paths.push(format!("{whole}-other/{{*rest}}"));
                }
                paths
            }
            PathMatch::Segments(prefix) => {
                vec![format!("{}/{{*rest}}", prefix.trim_end_matches('/'))]
            }
            PathMatch::Exact(path) => vec![path.clone()],
            PathMatch::Unknown => Vec::new(),
        };
        if !self.case_sensitive {
            let upper: Vec<String> = paths
                .iter()
                .map(|path| path.to_ascii_uppercase().replace("{*REST}", "{*rest}"))
                .collect();
            paths.extend(upper);
        }
        paths
    }
}
