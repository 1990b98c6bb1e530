//! The section `rbac`: roles, path rules, routes.

use std::cell::Cell;

use super::access::References;
use super::error::ErrorKind;
use super::reader::Node;
use super::routes;
use super::section::Section;
use crate::policy::authority_port::AuthorityPort;
use crate::policy::authorize::Policy;
use crate::policy::path::{PathRuleOverrides, PathRules, Resolve, Retain, TrailingSlash};
use crate::policy::peer::PeerValidation;
use crate::policy::roles::{RoleFormat, RoleModel, RoleModelBuilder, RoleSource};
use crate::policy::route::{Route, RouteId};
use crate::policy::table::{RouteTable, TableError};

/// `issuers` is `None` if they could not be read.
pub(super) fn rbac(node: &Node<'_>, issuers: Option<Vec<&str>>) -> Option<Policy> {
    let section = node.section()?;
    let roles = section.optional("roles", role_model);
    let base = section
        .key("path")
        .map(|node| path_rules(&node))
        .unwrap_or_default();
    let words = [("deny", false), ("allow", true)];
    let cors_preflight = section
        .key("cors_preflight")
        .and_then(|node| node.one_of(&words))
        .unwrap_or(false);
    let words = [("deny", false), ("authenticated", true)];
    let default_authenticated = section
        .key("default")
        .and_then(|node| node.one_of(&words))
        .unwrap_or(false);
    let words = [
        ("reported", PeerValidation::Reported),
        ("by_listener", PeerValidation::ByListener),
    ];
    let peer_validation = section
        .key("peer_validation")
        .and_then(|node| node.one_of(&words))
        .unwrap_or_default();
    let words = [
        ("strip", AuthorityPort::Strip),
        ("keep", AuthorityPort::Keep),
    ];
    let authority_port = section
        .key("authority_port")
        .and_then(|node| node.one_of(&words))
        .unwrap_or_default();
    let references = References {
        roles_required: Cell::new(false),
        issuers,
    };
    let mut builder = roles
        .flatten()
        .unwrap_or_else(|| RoleModelBuilder::new(None, &[]));
    let routes = section
        .required(
            "routes",
            "a list of routes; without one no request is allowed",
        )
        .and_then(|node| {
            let routes = routes::routes(&node, &mut builder, &references)?;
            table(&node, routes, base.over(&PathRules::default()))
        });
    if references.roles_required.get() {
        section.required(
            "roles",
            "an object with `claim`, the claim that holds the roles which the routes require",
        );
    }
    let roles = build_roles(&section, builder);
    section.finish();
    Some(Policy {
        roles: roles?,
        routes: routes?,
        cors_preflight,
        default_authenticated,
        peer_validation,
        authority_port,
    })
}

fn table(node: &Node<'_>, routes: Vec<Route>, base: PathRules) -> Option<RouteTable> {
    let errors = match RouteTable::build(routes, base) {
        Ok(table) => return Some(table),
        Err(errors) => errors,
    };
    let route = |RouteId(id): RouteId| match usize::try_from(id) {
        Ok(index) => node.path.index(index),
        Err(_) => node.path.clone(),
    };
    for error in errors {
        let path = match &error {
            TableError::DuplicateName { second, .. } => route(*second).key("name"),
            TableError::Tie { second, .. } => route(second.id),
            TableError::TooMany => node.path.clone(),
        };
        node.collector.add(&path, error);
    }
    None
}

fn build_roles(section: &Section<'_>, builder: RoleModelBuilder) -> Option<RoleModel> {
    builder.build().map_or_else(
        |cycle| {
            let path = section.path_of("roles").key("includes");
            section.report_at(&path, ErrorKind::Roles(cycle))
        },
        Some,
    )
}

fn role_model(node: &Node<'_>) -> Option<RoleModelBuilder> {
    let section = node.section()?;
    let claim = section
        .required(
            "claim",
            "the claim that holds the roles, like [realm_access, roles]",
        )
        .and_then(|node| node.claim());
    let words = [
        ("list", RoleFormat::List),
        ("space", RoleFormat::Space),
        ("comma", RoleFormat::Comma),
    ];
    let format = section.optional("format", |node| node.one_of(&words));
    let includes = section
        .key("includes")
        .and_then(|node| node.entries())
        .unwrap_or_default()
        .iter()
        .filter_map(|(role, node)| {
            let included = node.names("list the roles that it includes, or remove the key")?;
            Some(((*role).to_owned(), included))
        })
        .collect::<Vec<_>>();
    section.finish();
    let source = RoleSource {
        claim: claim?,
        format: format?.unwrap_or_default(),
    };
    Some(RoleModelBuilder::new(Some(source), &includes))
}

pub(super) fn path_rules(node: &Node<'_>) -> PathRuleOverrides {
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
    rules.encoded_query = retain("encoded_query");
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
