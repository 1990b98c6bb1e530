//! The config's `tests`: requests with claims, and the expected decisions. They run whenever a config is
//! loaded, at a fixed time, so that the result depends only on the config. They use the same functions as
//! requests.

#[cfg(feature = "cli")]
use super::error::ConfigError;
use super::path::ConfigPath;
#[cfg(feature = "cli")]
use super::reader::Collector;
use super::reader::{Node, parse_header_name};
use super::section::Section;
use super::test_error::PolicyTestError;
use crate::claims::Claims;
use crate::denial::{Denial, Reason};
use crate::headers::{Header, Headers};
use crate::json::Json;
use crate::policy::authorize::{Circumstances, Policy};
#[cfg(feature = "cli")]
use crate::policy::locate::Location;
use crate::policy::locate::Target;
use crate::policy::principal::Principal;
use crate::policy::roles::RoleSet;
use crate::policy::route::RouteId;

/// The time of a test without `now`: 2026-01-01T00:00:00Z.
const DEFAULT_TIME: u64 = 1_767_225_600;

/// The input of a test.
struct PolicyTest<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    headers: Vec<(String, &'a str)>,
    claims: Option<Claims>,
    issuer: String,
    peers: Vec<String>,
    now: u64,
}

/// The expected or the actual decision.
#[derive(Debug, PartialEq, Eq)]
struct Expectation {
    /// `None` if the request is allowed.
    denied: Option<Reason>,
    route: Option<String>,
}

/// A principal with the claims of a test.
pub(crate) struct TestPrincipal<'t> {
    claims: &'t Claims,
    roles: RoleSet,
    issuer: &'t str,
}

impl Principal for TestPrincipal<'_> {
    fn claims(&self) -> &Claims {
        self.claims
    }

    fn roles(&self) -> &RoleSet {
        &self.roles
    }

    fn issuer(&self) -> &str {
        self.issuer
    }
}

/// A test with its expectation.
pub(crate) struct NamedTest<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: ConfigPath,
    test: PolicyTest<'a>,
    expected: Expectation,
}

/// Runs all tests; each failure is reported as an error of the test.
pub(super) fn run_all(node: &Node<'_>, policy: &Policy, first_issuer: &str) {
    read_all(node, first_issuer, |test| {
        if let Err(failure) = test.check(policy) {
            node.collector.add(&test.path, failure);
        }
    });
}

/// Reads the tests of a list; those with errors are left out.
fn read_all<'a>(node: &Node<'a>, first_issuer: &str, mut each: impl FnMut(NamedTest<'a>)) {
    let mut names: Vec<&str> = Vec::new();
    for item in node.items().unwrap_or_default() {
        let Some(section) = item.section() else {
            continue;
        };
        let name = section
            .required("name", "a unique name, which a failure shows")
            .and_then(|it| it.name());
        if let Some(name) = name {
            if names.contains(&name) {
                section.report::<()>(
                    Some("name"),
                    PolicyTestError::DuplicateName(name.to_owned()),
                );
            }
            names.push(name);
        }
        let test = policy_test(&section, first_issuer);
        let expected = section
            .required(
                "expect",
                "allow, {allow: true, route: …} or {deny: reason, route: …}",
            )
            .and_then(|node| expectation(&node));
        section.finish();
        if let (Some(test), Some(expected)) = (test, expected) {
            each(NamedTest {
                name: name.unwrap_or("-"),
                path: item.path,
                test,
                expected,
            });
        }
    }
}

/// Reads a list of tests and calls `each` with them, unless one has an error.
///
/// # Errors
/// All errors in the list, with their paths below `path`.
#[cfg(feature = "cli")]
pub(crate) fn for_each(
    tests: &Json,
    path: &ConfigPath,
    first_issuer: &str,
    each: impl FnMut(&NamedTest<'_>),
) -> Result<(), Vec<ConfigError>> {
    let collector = Collector::default();
    let node = Node {
        json: tests,
        path: path.clone(),
        collector: &collector,
    };
    let mut found = Vec::new();
    read_all(&node, first_issuer, |test| found.push(test));
    if collector.count() == 0 {
        found.iter().for_each(each);
        return Ok(());
    }
    drop((found, node));
    Err(collector.into_errors())
}

impl NamedTest<'_> {
    /// Runs the test.
    ///
    /// # Errors
    /// [`PolicyTestError::Failed`]
    pub(crate) fn check(&self, policy: &Policy) -> Result<(), PolicyTestError> {
        let (found, why) = self.test.run(policy);
        let is_route = self.expected.route.is_none() || self.expected.route == found.route;
        if found.denied == self.expected.denied && is_route {
            return Ok(());
        }
        Err(PolicyTestError::Failed {
            name: self.name.to_owned(),
            expected: show(&self.expected),
            actual: show(&found),
            why,
        })
    }

    /// Calls `each` with the input of the test's access check; not if the request is denied before.
    #[cfg(feature = "cli")]
    pub(crate) fn inspect(
        &self,
        policy: &Policy,
        each: impl FnOnce(&Location<'_>, Option<&TestPrincipal<'_>>, &Circumstances<'_>, &[String]),
    ) {
        let headers = self.test.header_list();
        let headers = Headers::new(&headers);
        let Ok(location) = policy.locate(&self.test.target(&headers)) else {
            return;
        };
        let principal = self.test.principal(policy);
        let circumstances = Circumstances {
            headers: &headers,
            peers: &|| self.test.peers.clone(),
            now: self.test.now,
        };
        each(
            &location,
            principal.as_ref(),
            &circumstances,
            &self.test.peers,
        );
    }
}

fn show(expectation: &Expectation) -> String {
    let decision = expectation.denied.map_or_else(
        || "allow".to_owned(),
        |reason| format!("deny {}", reason.code()),
    );
    match &expectation.route {
        Some(route) => format!("{decision} by route {route}"),
        None => decision,
    }
}

impl PolicyTest<'_> {
    /// The decision about the request, and the explanation if it is denied.
    fn run(&self, policy: &Policy) -> (Expectation, Option<String>) {
        let (result, route) = self.decide(policy);
        let (denied, explanation) = match result {
            Ok(()) => (None, None),
            Err(denial) => (Some(denial.reason), denial.explanation),
        };
        let route = route.and_then(|id| policy.routes.get(id));
        let route = route.map(|route| route.name.clone());
        (Expectation { denied, route }, explanation)
    }

    fn decide(&self, policy: &Policy) -> (Result<(), Box<Denial>>, Option<RouteId>) {
        let headers = self.header_list();
        let headers = Headers::new(&headers);
        let location = match policy.locate(&self.target(&headers)) {
            Ok(location) => location,
            Err(error) => return (Err(error.denial), error.route),
        };
        let circumstances = Circumstances {
            headers: &headers,
            peers: &|| self.peers.clone(),
            now: self.now,
        };
        let principal = self.principal(policy);
        let result = policy.authorize(&location, principal.as_ref(), &circumstances);
        (result.map(|_| ()), location.route)
    }

    fn header_list(&self) -> Vec<Header<'_>> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
            .collect()
    }

    fn target<'t>(&'t self, headers: &Headers<'t>) -> Target<'t> {
        Target {
            method: self.method.as_bytes(),
            authority: self.host.as_bytes(),
            path: self.path.as_bytes(),
            has_origin: headers.first("origin").is_some(),
            preflight_method: headers.first("access-control-request-method"),
        }
    }

    fn principal(&self, policy: &Policy) -> Option<TestPrincipal<'_>> {
        let claims = self.claims.as_ref()?;
        Some(TestPrincipal {
            claims,
            roles: policy.roles.roles_of(claims),
            issuer: &self.issuer,
        })
    }
}

fn policy_test<'a>(section: &Section<'a>, first_issuer: &str) -> Option<PolicyTest<'a>> {
    let request = section
        .required("request", "{method, host, path}")
        .and_then(|it| it.section());
    let claims = section.key("claims").map(|node| claims(&node));
    let peers = section
        .key("peers")
        .map(|node| node.names("the SPIFFE IDs of the peer, or leave the key out"));
    let now = section.key("now").map(|node| node.rfc3339());
    let request = request?;
    let method = request
        .key("method")
        .map_or(Some("GET"), |node| node.name());
    let host = request
        .key("host")
        .map_or(Some("test.example"), |node| node.name());
    let path = request
        .required("path", "the path that is asked for")
        .and_then(|node| node.text());
    let headers = request.key("headers").map(|node| headers(&node));
    request.finish();
    let claims = match claims {
        None => None,
        Some(claims) => Some(claims?),
    };
    let issuer = claims
        .as_ref()
        .and_then(|claims| claims.get("iss")?.as_str())
        .unwrap_or(first_issuer)
        .to_owned();
    Some(PolicyTest {
        method: method?,
        host: host?,
        path: path?,
        headers: headers.unwrap_or_else(|| Some(Vec::new()))?,
        claims,
        issuer,
        peers: peers.unwrap_or_else(|| Some(Vec::new()))?,
        now: now.unwrap_or(Some(DEFAULT_TIME))?,
    })
}

fn claims(node: &Node<'_>) -> Option<Claims> {
    node.entries()?;
    node.json().as_object().cloned().map(Claims::from)
}

/// Headers; a list of strings is a repeated header.
fn headers<'a>(node: &Node<'a>) -> Option<Vec<(String, &'a str)>> {
    let mut headers = Vec::new();
    for (name, value) in node.entries()? {
        let lower = parse_header_name(&value, name)?.to_string();
        match value.json() {
            Json::Array(_) => {
                for item in value.items()? {
                    headers.push((lower.clone(), item.text()?));
                }
            }
            _ => headers.push((lower, value.text()?)),
        }
    }
    Some(headers)
}

fn expectation(node: &Node<'_>) -> Option<Expectation> {
    if let Some(word) = node.json().as_str() {
        if word != "allow" {
            return node.report_value(
                "must be allow, {allow: true, route: …} or {deny: reason, route: …}",
            );
        }
        return Some(Expectation {
            denied: None,
            route: None,
        });
    }
    let section = node.section()?;
    let allow = section.key("allow").map(|node| node.boolean());
    let deny = section.key("deny").map(|node| {
        let code = node.name()?;
        Reason::from_code(code).or_else(|| {
            node.report_value(format!(
                "must be one of {}",
                super::conflict::reason_codes()
            ))
        })
    });
    let route = section
        .key("route")
        .map(|node| node.name().map(str::to_owned));
    section.finish();
    let denied = match (allow, deny) {
        (Some(Some(true)), None) => None,
        (None, Some(reason)) => Some(reason?),
        _ => {
            return node.report(PolicyTestError::Expectation);
        }
    };
    let route = match route {
        None => None,
        Some(route) => Some(route?),
    };
    Some(Expectation { denied, route })
}
