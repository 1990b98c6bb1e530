//! The lints: what the filter accepts, but may not be meant.

use crate::cli::analysis::leading_literals;
use crate::cli::analysis::shapes::{encode, for_each_shape};
use crate::cli::analysis::terms::Rules;
use crate::cli::diagnostic::Diagnostic;
use crate::cli::source::FoundConfig;
use crate::config::path::ConfigPath;
use crate::config::{Config, Mode};
use crate::policy::access::{Alternative, Conditions};
use crate::policy::locate::Target;
use crate::policy::method::Method;
use crate::policy::pattern::{PathPattern, Segment};
use crate::policy::percent::Percent;
use crate::policy::route::{Route, RouteId};
use crate::token::Issuer;

/// Claims that users can often choose themselves, or change (OpenID Connect Core §5.1, §5.7).
const SELF_CHOSEN: [&str; 10] = [
    "name",
    "given_name",
    "family_name",
    "middle_name",
    "nickname",
    "preferred_username",
    "profile",
    "picture",
    "website",
    "email",
];

/// Methods that do not change anything (RFC 9110 §9.2.1).
const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];

/// All warnings about a config that loads.
pub(super) fn lint(found: &FoundConfig, config: &Config, now: u64) -> Vec<Diagnostic> {
    let issuers = config.claims.issuers.iter();
    let mut linter = Linter {
        found,
        config,
        issuers: issuers.map(|issuer| issuer.name.clone()).collect(),
        warnings: Vec::new(),
    };
    linter.settings();
    for (index, issuer) in config.claims.issuers.iter().enumerate() {
        linter.issuer(index, issuer, now);
    }
    for (index, route) in config.rbac.routes.routes().iter().enumerate() {
        linter.route(index, route);
    }
    linter.unreachable_routes();
    if let Some(range) = &found.fail_open {
        let path = ConfigPath::root();
        let mut warning = Diagnostic::warning(
            found,
            "fail_open",
            &path,
            "requests pass if the filter fails",
        );
        warning.range = range.clone();
        linter.warnings.push(warning);
    }
    linter.warnings
}

struct Linter<'c> {
    found: &'c FoundConfig,
    config: &'c Config,
    issuers: Vec<String>,
    warnings: Vec<Diagnostic>,
}

impl Linter<'_> {
    fn warn(&mut self, rule: &'static str, path: &ConfigPath, message: impl Into<String>) {
        let warning = Diagnostic::warning(self.found, rule, path, message);
        self.warnings.push(warning);
    }

    fn settings(&mut self) {
        let root = ConfigPath::root();
        let config = self.config;
        if config.mode == Mode::Shadow {
            self.warn(
                "shadow_mode",
                &root.key("mode"),
                "no denial is enforced, except of malformed requests",
            );
        }
        if config.claims.forward {
            let path = root.key("claims").key("forward");
            self.warn("forwarded_token", &path, "backends receive the token");
        }
        let root_object = self.found.json.as_object();
        if root_object.is_none_or(|object| object.get("tests").is_none()) {
            self.warn("no_tests", &root.key("tests"), "the config has no tests");
        }
        for header in &config.identity.headers {
            let names = header.claim.names();
            if let [name] = names
                && SELF_CHOSEN.contains(&name.as_str())
            {
                let path = root
                    .key("identity")
                    .key("headers")
                    .key(header.name.as_str());
                let message = format!("the claim {name} can often be chosen by the user");
                self.warn("self_chosen_claim", &path, message);
            }
        }
        if config.rbac.default_authenticated {
            let path = root.key("rbac").key("default");
            let message = "everyone with verified claims may write where no route matches";
            self.warn("authenticated_write", &path, message);
        }
        self.kept_classes(&root.key("rbac").key("path"));
    }

    fn issuer(&mut self, index: usize, issuer: &Issuer, now: u64) {
        let path = ConfigPath::root().key("claims").key("issuers").index(index);
        if issuer.audiences.is_none() {
            self.warn(
                "any_audience",
                &path.key("any_audience"),
                "`aud` is not checked",
            );
        }
        if issuer.max_lifetime.is_none() && issuer.max_age.is_none() {
            let message = "the lifetime of its tokens is not limited";
            self.warn("no_max_lifetime", &path, message);
        }
        if issuer.not_after.is_some_and(|end| end <= now) {
            let message = "this time is past: all tokens of this issuer are denied";
            self.warn("expired_issuer", &path.key("not_after"), message);
        }
        if let Some(remote) = &issuer.remote
            && remote.url.starts_with("http://")
        {
            let path = path.key("keys").key("remote").key("url");
            self.warn("plain_http_keys", &path, "keys are fetched without TLS");
        }
    }

    fn route(&mut self, index: usize, route: &Route) {
        let path = ConfigPath::root().key("rbac").key("routes").index(index);
        if route.shadow {
            self.warn(
                "shadow_mode",
                &path.key("mode"),
                "denials of this route are not enforced",
            );
        } else if route.enforce_percent != Percent::ALL {
            let message = format!(
                "denials of this route are enforced for {} % of the subjects",
                route.enforce_percent.get()
            );
            self.warn("shadow_mode", &path.key("enforce_percent"), message);
        }
        self.kept_classes(&path.key("path_rules"));
        let may_write = route.methods.is_empty()
            || route
                .methods
                .iter()
                .any(|method| !SAFE.contains(&method.as_str()));
        let alternatives = route.access.alternatives();
        for (number, alternative) in alternatives.iter().enumerate() {
            let place = alternative_path(self.found, &path, number);
            match alternative {
                Alternative::Authenticated if may_write => {
                    let message = "everyone with verified claims may write here";
                    self.warn("authenticated_write", &place, message);
                }
                Alternative::Conditions(conditions) => self.conditions(&place, conditions),
                _ => {}
            }
            if alternatives.len() > 1 {
                self.implied(route, number, &place);
            }
        }
        self.exact_path(route, &path);
    }

    fn conditions(&mut self, place: &ConfigPath, conditions: &Conditions) {
        let asks_roles = !conditions.any_role.is_empty() || !conditions.all_roles.is_empty();
        if asks_roles && conditions.issuers.is_empty() && self.issuers.len() > 1 {
            let message = format!(
                "these roles count from each of the {} issuers",
                self.issuers.len()
            );
            self.warn("roles_of_every_issuer", place, message);
        }
        for (key, roles) in [
            ("any_role", &conditions.any_role),
            ("all_roles", &conditions.all_roles),
        ] {
            for (index, role) in roles.iter().enumerate() {
                if !self.config.rbac.roles.can_be_given(role) {
                    let message = format!("no token can have the role {:?}", role.name());
                    self.warn("impossible_role", &place.key(key).index(index), message);
                }
            }
        }
    }

    fn kept_classes(&mut self, path: &ConfigPath) {
        let value = self.found.value_at(path);
        let Some(rules) = value.and_then(|value| value.as_object()) else {
            return;
        };
        let kept: Vec<String> = rules
            .iter()
            .filter(|(_, value)| value.as_str() == Some("keep"))
            .map(|(key, _)| key.to_owned())
            .collect();
        for key in kept {
            let message = "such paths reach backends, which may read them differently";
            self.warn("kept_class", &path.key(&key), message);
        }
    }

    /// An alternative that allows nobody whom the others do not.
    fn implied(&mut self, route: &Route, number: usize, place: &ConfigPath) {
        let rules = self.rules(route);
        let is_implied = rules
            .terms_of(number)
            .iter()
            .all(|term| rules.allow(term, Some(number)));
        if is_implied {
            let message = "another alternative of this route allows everyone whom this one allows";
            self.warn("implied_alternative", place, message);
        }
    }

    /// A guarded path without a tail, whose subpaths fall to a catch-all that allows more.
    fn exact_path(&mut self, route: &Route, path: &ConfigPath) {
        let has_tail = matches!(route.path.segments().last(), Some(Segment::Tail(_)));
        if has_tail || route.access.is_public() || route.path.segments().is_empty() {
            return;
        }
        let below = format!("{}/other", sample_path(&route.path));
        let routes = self.config.rbac.routes.routes();
        let methods = route.methods.iter().map(Method::as_str);
        let methods = if route.methods.is_empty() {
            vec!["GET"]
        } else {
            methods.collect()
        };
        let others = methods.into_iter().filter_map(|method| {
            let index = self.decides(route, method, &below)?;
            routes.get(index)
        });
        let is_wider = |other: &&Route| {
            let has_tail = matches!(other.path.segments().last(), Some(Segment::Tail(_)));
            let (mine, others) = (self.rules(route), self.rules(other));
            let terms = others.terms(Some(mine));
            let allows_more = terms.iter().any(|term| !mine.allow(term, None));
            allows_more && (has_tail || leading_literals(other) < leading_literals(route))
        };
        if let Some(other) = { others }.find(is_wider) {
            let message = format!(
                "{below} is not guarded by this route: the route {} decides about it",
                other.name
            );
            self.warn("exact_path_beside_catch_all", &path.key("path"), message);
        }
    }

    fn unreachable_routes(&mut self) {
        let policy = &self.config.rbac;
        let routes = policy.routes.routes();
        let mut decides: Vec<bool> = routes
            .iter()
            .enumerate()
            .map(|(index, route)| self.decides_its_sample(index, route))
            .collect();
        // Only then all shapes are worth their time: with 10,000 routes, there are a million.
        if decides.contains(&false) {
            let complete = for_each_shape(&[policy], |shape| {
                let route = shape.route(policy).map(RouteId::index);
                if let Some(decides) = route.and_then(|index| decides.get_mut(index)) {
                    *decides = true;
                }
            });
            if !complete {
                return;
            }
        }
        for (index, _) in decides.iter().enumerate().filter(|(_, decides)| !**decides) {
            let path = ConfigPath::root().key("rbac").key("routes").index(index);
            let message =
                "this route never decides: for each of its requests another one is more specific";
            self.warn("unreachable_route", &path, message);
        }
    }

    /// Whether a route decides about one of its requests.
    fn decides_its_sample(&self, index: usize, route: &Route) -> bool {
        let path = sample_path(&route.path);
        let method = route.methods.first().map_or("GET", Method::as_str);
        self.decides(route, method, &path) == Some(index)
    }

    /// The route that decides about a path, for a host of this route.
    fn decides(&self, route: &Route, method: &str, path: &str) -> Option<usize> {
        let host = route.hosts.first();
        let host = host.map_or_else(|| "other.invalid".to_owned(), sample_host);
        let target = Target {
            method: method.as_bytes(),
            authority: host.as_bytes(),
            path: path.as_bytes(),
            ..Target::default()
        };
        let location = self.config.rbac.locate(&target).ok()?;
        location.route.map(RouteId::index)
    }

    fn rules<'r>(&'r self, route: &'r Route) -> Rules<'r> {
        Rules {
            access: &route.access,
            path: Some(&route.path),
            roles: &self.config.rbac.roles,
            issuers: &self.issuers,
        }
    }
}

/// The path of an alternative: `allow` is one, or a list of them.
fn alternative_path(found: &FoundConfig, route: &ConfigPath, number: usize) -> ConfigPath {
    let allow = route.key("allow");
    match found.value_at(&allow) {
        Some(value) if value.as_array().is_some() => allow.index(number),
        _ => allow,
    }
}

fn sample_path(pattern: &PathPattern) -> String {
    let segment = |segment: &Segment| match segment {
        Segment::Literal(text) => encode(text),
        Segment::Variable(_) | Segment::Tail(_) => "other".to_owned(),
    };
    let segments: Vec<String> = pattern.segments().iter().map(segment).collect();
    format!("/{}", segments.join("/"))
}

fn sample_host(pattern: &crate::policy::host::HostPattern) -> String {
    pattern.to_string().replace("*.", "other.")
}
