//! The config's `tests`: requests with claims, and what must become of them. They run at every load,
//! at a time that each test fixes, so that the result depends on the config's bytes alone.

use super::reader::{Node, parse_header_name};
use super::section::Section;
use super::test_error::PolicyTestError;
use crate::claims::Claims;
use crate::denial::Reason;
use crate::headers::{HeaderBuffer, is_token};
use crate::json::Json;
use crate::policy::decision::{Claimant, Pass, Policy, Refused, Situation};
use crate::policy::host::CanonicalHost;
use crate::policy::path::CanonicalPath;
use crate::policy::table::Unmatched;

/// The time of a test that names none: 2026-01-01T00:00:00Z.
const DEFAULT_TIME: u64 = 1_767_225_600;

/// One test as it is written.
struct Rehearsal<'a> {
    method: &'a str,
    host: &'a str,
    path: &'a str,
    headers: Vec<(String, &'a str)>,
    claims: Option<Claims>,
    issuer: String,
    peers: Vec<String>,
    now: u64,
}

/// What a request came to, or must come to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// `None`: allowed.
    denied: Option<Reason>,
    route: Option<String>,
}

/// Runs every test; each failure is a problem at the test's place.
pub(super) fn run(node: &Node<'_>, policy: &Policy, first_issuer: &str) {
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
        let rehearsal = rehearsal(&section, first_issuer);
        let expected = section
            .required(
                "expect",
                "allow, {allow: true, route: …} or {deny: reason, route: …}",
            )
            .and_then(|node| expectation(&node));
        section.finish();
        if let (Some(rehearsal), Some(expected)) = (rehearsal, expected) {
            compare(&item, name.unwrap_or("-"), &rehearsal, &expected, policy);
        }
    }
}

fn compare(
    node: &Node<'_>,
    name: &str,
    rehearsal: &Rehearsal<'_>,
    expected: &Outcome,
    policy: &Policy,
) {
    let (came, why) = perform(rehearsal, policy);
    let route_fits = expected.route.is_none() || expected.route == came.route;
    if came.denied != expected.denied || !route_fits {
        node.report::<()>(PolicyTestError::Failed {
            name: name.to_owned(),
            expected: show(expected),
            actual: show(&came),
            why,
        });
    }
}

fn show(outcome: &Outcome) -> String {
    let decision = outcome.denied.map_or_else(
        || "allow".to_owned(),
        |reason| format!("deny {}", reason.code()),
    );
    match &outcome.route {
        Some(route) => format!("{decision} by route {route}"),
        None => decision,
    }
}

/// What becomes of the request, and why if it is denied.
fn perform(rehearsal: &Rehearsal<'_>, policy: &Policy) -> (Outcome, Option<String>) {
    let denied = |reason, why: String| {
        (
            Outcome {
                denied: Some(reason),
                route: None,
            },
            Some(why),
        )
    };
    if !is_token(rehearsal.method.as_bytes()) {
        return denied(
            Reason::RequestMalformed,
            "the method is no token".to_owned(),
        );
    }
    if rehearsal.method == "CONNECT" {
        return denied(
            Reason::RequestMalformed,
            "CONNECT is always denied".to_owned(),
        );
    }
    let host = match CanonicalHost::parse(rehearsal.host.as_bytes()) {
        Ok(host) => host,
        Err(error) => return denied(Reason::RequestMalformed, error.to_string()),
    };
    let path = match CanonicalPath::parse(rehearsal.path.as_bytes()) {
        Ok(path) => path,
        Err(error) => return denied(Reason::RequestMalformed, error.to_string()),
    };
    let headers: HeaderBuffer = rehearsal
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let headers = headers.headers();
    let method = rehearsal.method.as_bytes();
    let name = |id| policy.routes.get(id).map(|route| route.name.clone());
    let requested = headers.first("access-control-request-method");
    let origin = headers.first("origin").is_some();
    if let Some(found) = policy.preflight(method, origin, requested, &host, &path) {
        return (
            Outcome {
                denied: None,
                route: name(found.id),
            },
            None,
        );
    }
    let route = match policy.routes.find(&host, method, &path) {
        Ok(found) => Some(found.id),
        Err(Unmatched::NoRoute) => None,
        Err(Unmatched::Ambiguous { class, route }) => {
            let (outcome, why) = denied(Reason::PathAmbiguous, class.to_string());
            return (
                Outcome {
                    route: route.and_then(name),
                    ..outcome
                },
                why,
            );
        }
    };
    let claimant = rehearsal.claims.as_ref().map(|claims| Claimant {
        claims,
        roles: None,
        issuer: &rehearsal.issuer,
    });
    let peers = || rehearsal.peers.clone();
    let situation = Situation {
        path: &path,
        headers: &headers,
        peers: &peers,
        now: rehearsal.now,
    };
    let result = policy.authorize(route, claimant.as_ref(), &situation);
    let why = match &result {
        Err(Refused::Access(refusal)) => Some(refusal.explanation.to_string()),
        _ => None,
    };
    let denied = match result {
        Ok(Pass::Granted(_) | Pass::Default) => None,
        Err(refused) => Some(refused.reason()),
    };
    (
        Outcome {
            denied,
            route: route.and_then(name),
        },
        why,
    )
}

fn rehearsal<'a>(section: &Section<'a>, first_issuer: &str) -> Option<Rehearsal<'a>> {
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
    let absent_is_fine = |value: Option<Option<Claims>>| match value {
        None => Some(None),
        Some(value) => value.map(Some),
    };
    let claims = absent_is_fine(claims)?;
    let issuer = claims
        .as_ref()
        .and_then(|claims| claims.get("iss")?.as_str())
        .unwrap_or(first_issuer)
        .to_owned();
    Some(Rehearsal {
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

/// Header values: a string, or a list of strings for a header that stands more than once.
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

fn expectation(node: &Node<'_>) -> Option<Outcome> {
    if let Some(word) = node.json().as_str() {
        if word != "allow" {
            return node.report_value(
                "must be allow, {allow: true, route: …} or {deny: reason, route: …}",
            );
        }
        return Some(Outcome {
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
    Some(Outcome { denied, route })
}
