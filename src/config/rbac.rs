//! The section `rbac`: roles, path rules, routes.

use std::collections::BTreeSet;

use super::access;
use super::problem::Fault;
use super::reader::Node;
use super::settings::claim_name_or_path;
use crate::denial::Reason;
use crate::policy::authorize::{AuthorityPort, Policy};
use crate::policy::host::HostPattern;
use crate::policy::path::{PathRuleOverrides, PathRules, Resolve, Retain, TrailingSlash};
use crate::policy::pattern::PathPattern;
use crate::policy::peer::PeerValidation;
use crate::policy::roles::{RoleFormat, RoleModelBuilder, RoleSource};
use crate::policy::route::{Route, RouteId};
use crate::policy::table::{RouteProblem, RouteTable};

pub(super) fn rbac(node: &Node<'_>, issuers: Option<Vec<&str>>) -> Option<Policy> {
    let section = node.section()?;
    let roles = section.key("roles");
    let mut builder = roles.as_ref().map_or_else(
        || Some(RoleModelBuilder::new(None, &[])),
        |node| role_model(node),
    );
    let base = section
        .key("path")
        .map(|node| path_rules(&node))
        .unwrap_or_default();
    let words = [("allow", true), ("deny", false)];
    let cors_preflight = section
        .key("cors_preflight")
        .and_then(|node| node.one_of(&words))
        .unwrap_or(false);
    let words = [("deny", false), ("authenticated", true)];
    let default_authenticated = section
        .key("default")
        .and_then(|node| node.one_of(&words))
        .unwrap_or(false);
    let words = [("strip", AuthorityPort::Strip), ("keep", AuthorityPort::Keep)];
    let authority_port = section
        .key("authority_port")
        .and_then(|node| node.one_of(&words))
        .unwrap_or_default();
    let words = [
        ("reported", PeerValidation::Reported),
        ("by_listener", PeerValidation::ByListener),
    ];
    let peer_validation = section
        .key("peer_validation")
        .and_then(|node| node.one_of(&words))
        .unwrap_or_default();
    let routes = section.required("routes", "a list of routes; without any no request passes");
    let mut builder_for_routes = builder
        .take()
        .unwrap_or_else(|| RoleModelBuilder::new(None, &[]));
    let known = access::Known {
        roles: roles.is_some(),
        issuers,
    };
    let routes = routes.and_then(|node| {
        let items = node.items()?;
        if items.is_empty() {
            return node.refuse(Fault::EmptyList {
                expected: "at least one route",
            });
        }
        let before = items.len();
        let read: Vec<Route> = items
            .iter()
            .filter_map(|item| route(item, &mut builder_for_routes, &known))
            .collect();
        (read.len() == before).then_some((node, read))
    });
    let model = match builder_for_routes.build() {
        Ok(model) => Some(model),
        Err(cycle) => section.refuse(Some("roles"), Fault::Conflict(format!("includes: {cycle}"))),
    };
    let table =
        routes.and_then(|(node, routes)| table(&node, routes, base.over(&PathRules::default())));
    section.finish();
    Some(Policy {
        roles: model?,
        routes: table?,
        authority_port,
        cors_preflight,
        default_authenticated,
        peer_validation,
    })
}

fn table(node: &Node<'_>, routes: Vec<Route>, base: PathRules) -> Option<RouteTable> {
    match RouteTable::build(routes, base) {
        Ok(table) => Some(table),
        Err(problems) => {
            for problem in problems {
                if matches!(problem, RouteProblem::UnknownVariable { .. }) {
                    // Noted where the route was read, whatever else was wrong with it.
                    continue;
                }
                let fault = Fault::Conflict(problem.to_string());
                match problem
                    .place()
                    .and_then(|RouteId(id)| usize::try_from(id).ok())
                {
                    Some(index) => node.refuse_at(index, fault),
                    None => {
                        node.refuse::<()>(fault);
                    }
                }
            }
            None
        }
    }
}

fn role_model(node: &Node<'_>) -> Option<RoleModelBuilder> {
    let section = node.section()?;
    let claim = section
        .required(
            "claim",
            "the claim that holds the roles, like [realm_access, roles]",
        )
        .and_then(|node| claim_name_or_path(&node));
    let words = [
        ("list", RoleFormat::List),
        ("space", RoleFormat::Space),
        ("comma", RoleFormat::Comma),
    ];
    let format = section.key("format").map(|node| node.one_of(&words));
    let includes = section
        .key("includes")
        .and_then(|node| node.entries())
        .unwrap_or_default()
        .iter()
        .filter_map(|(role, node)| {
            let included = node.names("the roles that it includes, or leave it out")?;
            Some(((*role).to_owned(), included))
        })
        .collect::<Vec<_>>();
    section.finish();
    let format = match format {
        Some(format) => format?,
        None => RoleFormat::List,
    };
    Some(RoleModelBuilder::new(
        Some(RoleSource {
            claim: claim?,
            format,
        }),
        &includes,
    ))
}

fn path_rules(node: &Node<'_>) -> PathRuleOverrides {
    let mut rules = PathRuleOverrides::default();
    let Some(section) = node.section() else {
        return rules;
    };
    let resolve = |key| {
        let words = [
            ("reject", Resolve::Reject),
            ("normalize", Resolve::Normalize),
        ];
        section.key(key).and_then(|node| node.one_of(&words))
    };
    let retain = |key| {
        let words = [("reject", Retain::Reject), ("keep", Retain::Keep)];
        section.key(key).and_then(|node| node.one_of(&words))
    };
    rules.dot_segments = resolve("dot_segments");
    rules.empty_segments = resolve("empty_segments");
    rules.encoded_slash = retain("encoded_slash");
    rules.double_encoding = retain("double_encoding");
    rules.semicolon = retain("semicolon");
    rules.backslash = retain("backslash");
    let words = [
        ("same", TrailingSlash::Same),
        ("distinct", TrailingSlash::Distinct),
    ];
    rules.trailing_slash = section
        .key("trailing_slash")
        .and_then(|node| node.one_of(&words));
    section.finish();
    rules
}

fn route(
    node: &Node<'_>,
    roles: &mut RoleModelBuilder,
    known: &access::Known<'_>,
) -> Option<Route> {
    let section = node.section()?;
    let name = section
        .required(
            "name",
            "a unique name; it appears in logs, metrics and response details",
        )
        .and_then(|node| route_name(&node));
    let hosts = match section.key("hosts") {
        None => Some(Vec::new()),
        Some(node) => {
            let count = node.items().map(|items| items.len());
            node.list(
                "the hosts it is for, or leave the key out for all",
                |node| {
                    let text = node.name()?;
                    HostPattern::parse(text)
                        .map_or_else(|error| node.refuse_value(error.to_string()), Some)
                },
            )
            .filter(|hosts| Some(hosts.len()) == count)
        }
    };
    let methods = match section.key("methods") {
        None => Some(Vec::new()),
        Some(node) => methods(&node),
    };
    let path = section
        .required(
            "path",
            "a path like /orders, /tenants/{tenant}/orders or /admin/{*rest}",
        )
        .and_then(|node| {
            PathPattern::parse(node.text()?).map_or_else(
                |error| node.refuse(Fault::Conflict(error.to_string())),
                Some,
            )
        });
    let rules = section
        .key("path_rules")
        .map(|node| path_rules(&node))
        .unwrap_or_default();
    let access = section
        .required(
            "allow",
            "public, authenticated, conditions, or a list of these",
        )
        .and_then(|node| access::access(&node, roles, known));
    let shadow = section
        .key("mode")
        .and_then(|node| node.one_of(&[("enforce", false), ("shadow", true)]))
        .unwrap_or(false);
    let percent = section
        .key("enforce_percent")
        .and_then(|node| node.integer(0, 100));
    let on_failure = section
        .key("on_failure")
        .map(|node| on_failure(&node))
        .unwrap_or_default();
    if let (Some(path), Some(access)) = (&path, &access) {
        for variable in access.bound_variables() {
            if !path.variables().any(|name| name == variable) {
                section.refuse::<()>(
                    Some("allow"),
                    Fault::Conflict(format!(
                        "bind: the path has no variable {{{variable}}}, so this would never hold; it has {}",
                        shown(path.variables())
                    )),
                );
            }
        }
    }
    section.finish();
    Some(Route {
        name: name?,
        hosts: hosts?,
        methods: methods?,
        path: path?,
        rules,
        access: access?,
        shadow,
        enforce_percent: percent
            .and_then(|percent| u8::try_from(percent).ok())
            .unwrap_or(100),
        on_failure,
    })
}

fn shown<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.map(|name| format!("{{{name}}}")).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The name goes raw into access logs and metrics.
fn route_name(node: &Node<'_>) -> Option<String> {
    let name = node.name()?;
    let plain = name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if plain {
        Some(name.to_owned())
    } else {
        node.refuse_value("up to 64 letters, digits, `-` and `_`")
    }
}

fn methods(node: &Node<'_>) -> Option<Vec<String>> {
    let count = node.items()?.len();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let methods = node.list(
        "the methods it is for, or leave the key out for all",
        |node| {
            let text = node.name()?;
            let token = text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || b"-_".contains(&byte));
            if !token || text == "CONNECT" {
                return node
                    .refuse_value("a method in upper case, like GET; CONNECT is always denied");
            }
            if !seen.insert(text.to_owned()) {
                return node.refuse_value("it stands in this list already");
            }
            Some(text.to_owned())
        },
    )?;
    (methods.len() == count).then_some(methods)
}

/// Statuses by reason. A failure is never an allow: only 4xx and 5xx.
fn on_failure(node: &Node<'_>) -> Vec<(Reason, u16)> {
    let read = |(code, node): &(&str, Node<'_>)| {
        let status = node.integer(400, 599)?;
        let Some(reason) = Reason::from_code(code) else {
            let codes: Vec<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
            return node.refuse(Fault::Conflict(format!(
                "{code:?} is no deny reason; these are: {}",
                codes.join(", ")
            )));
        };
        Some((reason, u16::try_from(status).ok()?))
    };
    node.entries()
        .unwrap_or_default()
        .iter()
        .filter_map(read)
        .collect()
}
