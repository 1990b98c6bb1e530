//! `allow` of a route: the alternatives and their conditions.

use std::cell::Cell;

use super::error::ErrorKind;
use super::path::ConfigPath;
use super::reader::{Node, read_all};
use super::section::Section;
use super::when;
use crate::policy::access::{Access, AccessError, Alternative, Binding, Conditions, Scopes};
use crate::policy::peer::PeerPattern;
use crate::policy::roles::{RequiredRole, RoleModelBuilder};

/// What the conditions of a route refer to in the rest of the config.
pub(super) struct References<'k> {
    /// Whether any condition requires roles, so that `rbac.roles` is required.
    pub(super) roles_required: Cell<bool>,
    /// The issuers; `None` if they could not be read.
    pub(super) issuers: Option<Vec<&'k str>>,
}

/// The access rules of a route, and the bound path variables with their paths in the config.
pub(super) struct RouteAccess {
    pub(super) access: Access,
    pub(super) bound: Vec<(ConfigPath, String)>,
}

/// Reads one alternative or a list of them.
pub(super) fn access(
    node: &Node<'_>,
    roles: &mut RoleModelBuilder,
    references: &References<'_>,
) -> Option<RouteAccess> {
    let mut bound = Vec::new();
    let mut read = |node: &Node<'_>| alternative(node, roles, references, &mut bound);
    let is_list = node.json().as_array().is_some();
    let alternatives = if is_list {
        node.list("write public, authenticated or conditions", read)?
    } else {
        vec![read(node)?]
    };
    match Access::new(alternatives) {
        Ok(access) => Some(RouteAccess { access, bound }),
        Err(error) => {
            let path = match &error {
                AccessError::NoCondition(index)
                | AccessError::NoScope(index)
                | AccessError::NeverDecides { unused: index, .. }
                | AccessError::When { index, .. }
                    if is_list =>
                {
                    node.path.index(*index)
                }
                _ => node.path.clone(),
            };
            node.collector.add(&path, error);
            None
        }
    }
}

fn alternative(
    node: &Node<'_>,
    roles: &mut RoleModelBuilder,
    references: &References<'_>,
    bound: &mut Vec<(ConfigPath, String)>,
) -> Option<Alternative> {
    if node.json().as_object().is_none() {
        let Some(word) = node.json().as_str() else {
            return node.report_type("public, authenticated, conditions, or a list of these");
        };
        return match word {
            "public" => Some(Alternative::Public),
            "authenticated" => Some(Alternative::Authenticated),
            _ => node.report_value("must be public, authenticated or conditions"),
        };
    }
    let section = node.section()?;
    let any_role = required_roles(
        &section,
        "any_role",
        "list roles of which one suffices, or remove the key",
        roles,
        references,
    );
    let all_roles = required_roles(
        &section,
        "all_roles",
        "list roles that are all required, or remove the key",
        roles,
        references,
    );
    let issuers = section.optional("issuers", |node| issuers(node, references));
    let audiences = section.optional("audiences", |node| {
        node.names("list audiences of which one suffices, or remove the key")
    });
    let scopes = section.optional("scopes", scopes);
    let bind = section.optional("bind", |node| bind(node, bound));
    let peers = section.optional("peers", |node| {
        node.list(
            "list SPIFFE IDs, like spiffe://cluster.local/ns/edge/*, or remove the key",
            peer,
        )
    });
    let when = section.optional("when", when::condition);
    if !section.finish() {
        return None;
    }
    Some(Alternative::Conditions(Box::new(Conditions {
        any_role: any_role?,
        all_roles: all_roles?,
        issuers: issuers?.unwrap_or_default(),
        audiences: audiences?.unwrap_or_default(),
        scopes: scopes?,
        bind: bind?.unwrap_or_default(),
        peers: peers?.unwrap_or_default(),
        when: when?,
    })))
}

fn required_roles(
    section: &Section<'_>,
    key: &'static str,
    expected: &'static str,
    roles: &mut RoleModelBuilder,
    references: &References<'_>,
) -> Option<Vec<RequiredRole>> {
    let names = section.optional(key, |node| {
        references.roles_required.set(true);
        node.names(expected)
    })?;
    let names = names.unwrap_or_default();
    Some(names.iter().map(|name| roles.require(name)).collect())
}

/// Issuers of a condition. Each must be an issuer of `claims.issuers`, or the condition never holds.
fn issuers(node: &Node<'_>, references: &References<'_>) -> Option<Vec<String>> {
    node.set(
        "list issuers of which one suffices, or remove the key",
        |item| {
            let name = item.name()?;
            match &references.issuers {
                Some(known) if !known.contains(&name) => item.report_value(format!(
                    "must be one of claims.issuers: {}",
                    known.join(", ")
                )),
                _ => Some(name.to_owned()),
            }
        },
    )
}

fn scopes(node: &Node<'_>) -> Option<Scopes> {
    let section = node.section()?;
    let claim = section
        .required("claim", "the claim that holds the scopes, like scope")
        .and_then(|node| node.claim());
    let all = section
        .required("all", "a list of the scopes that are all required")
        .and_then(|node| node.names("list at least one scope"));
    section.finish();
    Some(Scopes {
        claim: claim?,
        all: all?,
    })
}

fn bind(node: &Node<'_>, bound: &mut Vec<(ConfigPath, String)>) -> Option<Vec<Binding>> {
    let entries = node.entries()?;
    if entries.is_empty() {
        return node.report(ErrorKind::EmptyList {
            expected: "bind at least one path variable to a claim, or remove the key",
        });
    }
    let (names, nodes): (Vec<&str>, Vec<Node<'_>>) = entries.into_iter().unzip();
    for (name, node) in names.iter().zip(&nodes) {
        bound.push((node.path.clone(), (*name).to_owned()));
    }
    let claims = read_all(&nodes, Node::claim)?;
    let bindings = names.iter().zip(claims).map(|(variable, claim)| Binding {
        variable: (*variable).to_owned(),
        claim,
    });
    Some(bindings.collect())
}

/// A pattern for SPIFFE IDs.
pub(super) fn peer(node: &Node<'_>) -> Option<PeerPattern> {
    PeerPattern::parse(node.name()?).map_or_else(|error| node.report(error), Some)
}
