//! The list `rbac.routes`.

use super::access::{self, References, RouteAccess};
use super::conflict::Conflict;
use super::error::ErrorKind;
use super::rbac::path_rules;
use super::reader::Node;
use crate::denial::Reason;
use crate::policy::host::HostPattern;
use crate::policy::method::Method;
use crate::policy::path::{PathRuleOverrides, Retain};
use crate::policy::pattern::{PathPattern, Segment};
use crate::policy::percent::Percent;
use crate::policy::roles::RoleModelBuilder;
use crate::policy::route::Route;

/// Reasons with which a request is denied before its route is known.
const BEFORE_ROUTING: [Reason; 4] = [
    Reason::SpoofedHeader,
    Reason::ClaimsRepeated,
    Reason::RequestMalformed,
    Reason::RouteUnknown,
];

pub(super) fn routes(
    node: &Node<'_>,
    roles: &mut RoleModelBuilder,
    references: &References<'_>,
) -> Option<Vec<Route>> {
    node.list("add at least one route", |node| {
        route(node, roles, references)
    })
}

fn route(
    node: &Node<'_>,
    roles: &mut RoleModelBuilder,
    references: &References<'_>,
) -> Option<Route> {
    let section = node.section()?;
    let name = section
        .required(
            "name",
            "a unique name, which appears in logs, metrics and response details",
        )
        .and_then(|node| route_name(&node));
    let hosts = section.optional("hosts", hosts);
    let methods = section.optional("methods", methods);
    let path = section
        .required(
            "path",
            "a path like /orders, /tenants/{tenant}/orders or /admin/{*rest}",
        )
        .and_then(|node| path_pattern(&node));
    let rules = section
        .key("path_rules")
        .map(|node| path_rules(&node))
        .unwrap_or_default();
    let access = section
        .required(
            "allow",
            "public, authenticated, conditions, or a list of these",
        )
        .and_then(|node| access::access(&node, roles, references));
    let shadow = section
        .key("mode")
        .and_then(|node| node.one_of(&[("enforce", false), ("shadow", true)]))
        .unwrap_or(false);
    let enforce_percent = section.optional("enforce_percent", percent);
    let on_failure = section.optional("on_failure", on_failure);
    section.finish();
    if let (Some(path), Some(access)) = (&path, &access) {
        check_variables(node, path, access);
    }
    if let Some(path) = &path {
        check_kept_separators(node, path, &rules);
    }
    Some(Route {
        name: name?,
        hosts: hosts?.unwrap_or_default(),
        methods: methods?.unwrap_or_default(),
        path: path?,
        rules,
        access: access?.access,
        shadow,
        enforce_percent: enforce_percent?.unwrap_or(Percent::ALL),
        on_failure: on_failure?.unwrap_or_default(),
    })
}

/// Reports `keep` for a separator if it would reject every request: the path, split at the separator, must
/// be below a literal of this route or match this route, too.
fn check_kept_separators(node: &Node<'_>, path: &PathPattern, rules: &PathRuleOverrides) {
    let has_prefix = matches!(path.segments().first(), Some(Segment::Literal(_)));
    let has_tail = matches!(path.segments().last(), Some(Segment::Tail(_)));
    if has_prefix || has_tail {
        return;
    }
    for (key, rule) in [
        ("encoded_slash", rules.encoded_slash),
        ("backslash", rules.backslash),
    ] {
        if rule == Some(Retain::Keep) {
            let path = path.to_string();
            let place = node.path.key("path_rules").key(key);
            node.collector
                .add(&place, Conflict::KeepNeverHolds { path });
        }
    }
}

/// The name is not escaped in access logs and metrics.
fn route_name(node: &Node<'_>) -> Option<String> {
    let name = node.name()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.len() <= 64 && name.bytes().all(plain) {
        Some(name.to_owned())
    } else {
        node.report_value("must be at most 64 letters, digits, `-` and `_`")
    }
}

fn hosts(node: &Node<'_>) -> Option<Vec<HostPattern>> {
    node.set("list hosts, or remove the key to match all", |node| {
        HostPattern::parse(node.text()?).map_or_else(|error| node.report(error), Some)
    })
}

fn methods(node: &Node<'_>) -> Option<Vec<Method>> {
    node.set("list methods, or remove the key to match all", |node| {
        let text = node.text()?;
        Method::parse(text).map_or_else(
            |error| {
                node.report(ErrorKind::Method {
                    text: text.to_owned(),
                    error,
                })
            },
            Some,
        )
    })
}

fn path_pattern(node: &Node<'_>) -> Option<PathPattern> {
    let text = node.text()?;
    PathPattern::parse(text).map_or_else(
        |error| {
            node.report(ErrorKind::PathPattern {
                text: text.to_owned(),
                error,
            })
        },
        Some,
    )
}

fn percent(node: &Node<'_>) -> Option<Percent> {
    let percent = node.integer(0, 100)?;
    u8::try_from(percent).ok().and_then(Percent::new)
}

/// Reports bound variables that the path does not have.
fn check_variables(node: &Node<'_>, path: &PathPattern, access: &RouteAccess) {
    for (place, variable) in &access.bound {
        if !path.variables().any(|known| known == variable) {
            let known: Vec<String> = path.variables().map(|name| format!("{{{name}}}")).collect();
            let known = if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            };
            let variable = variable.clone();
            node.collector
                .add(place, Conflict::UnknownVariable { variable, known });
        }
    }
}

/// Statuses by reason; only 4xx and 5xx.
fn on_failure(node: &Node<'_>) -> Option<Vec<(Reason, u16)>> {
    let entries = node.entries()?;
    let read = |(code, node): &(&str, Node<'_>)| {
        let Some(reason) = Reason::from_code(code) else {
            return node.report(Conflict::UnknownReason((*code).to_owned()));
        };
        if BEFORE_ROUTING.contains(&reason) {
            return node.report(Conflict::ReasonWithoutRoute(reason));
        }
        let status = node.integer(400, 599)?;
        Some((reason, u16::try_from(status).ok()?))
    };
    let statuses: Vec<(Reason, u16)> = entries.iter().filter_map(read).collect();
    (statuses.len() == entries.len()).then_some(statuses)
}
